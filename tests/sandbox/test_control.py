"""Tests start and end jobs by hand, move the clock, and wait for the next poll."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

import pytest

from chamelaion_async.sandbox import Fault, ManualClock, Sandbox, WallClock

from .calling import Caller, Serve

GET = "v1/lipsync/requests"


@pytest.mark.parametrize("job_seconds", [100.0, math.inf])
def test_a_job_that_is_started_leaves_the_queue_and_lasts_as_long_as_planned(
    clock: ManualClock, job_seconds: float
) -> None:
    sandbox = Sandbox(clock=clock, job_seconds=job_seconds)
    job = sandbox.add_job(reference_id="dub-42")
    clock.advance(3)
    assert sandbox.start("dub-42") is job
    assert (sandbox.status(job.id), job.started_at) == ("processing", clock.time())
    clock.advance(89)
    assert sandbox.status(job.id) == "processing"
    clock.advance(2)
    assert sandbox.status(job.id) == ("processing" if job_seconds == math.inf else "completed")


def test_a_job_starts_once(clock: ManualClock) -> None:
    sandbox = Sandbox(clock=clock, job_seconds=100)
    job = sandbox.add_job()
    sandbox.start(job.id)
    with pytest.raises(ValueError, match=f"{job.id} has started already and is processing"):
        sandbox.start(job.id)
    sandbox.finish(job.id)
    with pytest.raises(ValueError, match="is completed"):
        sandbox.start(job.id)


@pytest.mark.parametrize("id", ["unknown", "dub-episode-42"])
def test_an_unknown_job_or_an_example_cannot_be_started(id: str) -> None:
    with pytest.raises(KeyError):
        Sandbox().start(id)


@pytest.mark.parametrize("make", [ManualClock, WallClock])
def test_the_clock_can_be_advanced_through_the_sandbox(make: Callable[[], ManualClock | WallClock]) -> None:
    sandbox = Sandbox(clock=make(), job_seconds=3600)
    job, before = sandbox.add_job(), sandbox.now
    sandbox.advance(1800)
    assert sandbox.now - before == pytest.approx(1800, abs=60)
    assert sandbox.status(job.id) == "processing"
    sandbox.advance(1800)
    assert sandbox.status(job.id) == "completed"


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf])
def test_the_clock_does_not_run_backwards_or_to_the_end_of_time(seconds: float) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        Sandbox().advance(seconds)


def test_a_clock_of_ones_own_is_moved_by_its_owner() -> None:
    class Stopped:
        def time(self) -> float:
            return 0.0

    with pytest.raises(TypeError, match="advance that clock yourself"):
        Sandbox(clock=Stopped()).advance(1)


async def test_an_advance_of_the_wall_clock_delivers_the_webhooks_that_are_due() -> None:
    async with Sandbox(job_seconds=3600) as sandbox:
        sandbox.add_job(family="video_translate", webhook_url="https://elsewhere.example.com/")
        await asyncio.sleep(0)
        sandbox.advance(3600)
        async with asyncio.timeout(10):
            while not sandbox.deliveries:  # noqa: ASYNC110
                await asyncio.sleep(0)
    assert [delivery.error for delivery in sandbox.deliveries] == ["not a loopback address"]


async def test_a_translation_that_was_started_reports_its_new_end(sandbox: Sandbox, clock: ManualClock) -> None:
    job = sandbox.add_job(family="video_translate", webhook_url="https://elsewhere.example.com/")
    sandbox.start(job.id)
    clock.advance(90)
    await sandbox.settle()
    assert [delivery.job_id for delivery in sandbox.deliveries] == [job.id]


Read = Callable[[Caller, str], Awaitable[object]]
READS: dict[str, Read] = {
    "by its id": lambda call, own: call(f"{GET}/{own}"),
    "by its reference": lambda call, _: call(f"{GET}/dub%2F42"),
    "on a page": lambda call, _: call(GET),
}


@pytest.mark.parametrize("asked", ["id", "reference_id"])
@pytest.mark.parametrize("read", READS)
async def test_a_poll_is_a_read_of_the_job_however_it_is_read(
    sandbox: Sandbox, call: Caller, read: str, asked: str
) -> None:
    job = sandbox.add_job(reference_id="dub/42")
    polled = asyncio.create_task(sandbox.polled(getattr(job, asked)))
    await asyncio.sleep(0)
    await call(f"{GET}/{sandbox.add_job().id}")
    assert not polled.done()
    await READS[read](call, job.id)
    assert (await polled) is sandbox.received[-1]


async def test_polls_before_do_not_count(sandbox: Sandbox, call: Caller) -> None:
    job = sandbox.add_job()
    await call(f"{GET}/{job.id}")
    with pytest.raises(AssertionError, match=f"expected a poll of '{job.id}' within 0 s, but there were none"):
        await sandbox.polled(job.id, timeout=0)


async def test_a_job_that_is_submitted_only_later_can_be_waited_for(sandbox: Sandbox, call: Caller) -> None:
    polled = asyncio.create_task(sandbox.polled("dub-42"))
    await asyncio.sleep(0)
    job = sandbox.add_job(reference_id="dub-42")
    await call(f"{GET}/{job.id}")
    await polled


async def test_a_poll_that_a_fault_met_counts(sandbox: Sandbox, call: Caller) -> None:
    job = sandbox.add_job()
    sandbox.inject(Fault.rate_limited())
    polled = asyncio.create_task(sandbox.polled(job.id))
    await asyncio.sleep(0)
    await call(f"{GET}/{job.id}")
    assert (await polled).status == 429


async def test_several_polls_can_be_waited_for(sandbox: Sandbox, call: Caller) -> None:
    job = sandbox.add_job()
    polled = asyncio.create_task(sandbox.polled(job.id, times=2))
    await asyncio.sleep(0)
    await call(f"{GET}/{job.id}")
    await asyncio.sleep(0)
    assert not polled.done()
    await call(f"{GET}/{job.id}")
    assert (await polled) is sandbox.received[-1]


async def test_polls_that_come_in_one_turn_of_the_loop_are_answered_all(sandbox: Sandbox, call: Caller) -> None:
    job = sandbox.add_job()
    await call(f"{GET}/{job.id}")
    polled = asyncio.create_task(sandbox.polled(job.id))
    await asyncio.sleep(0)
    poll = sandbox.received[-1]
    for _ in range(2):  # before the waiting task can run
        sandbox._journal.close(poll, 200)
    assert await polled is poll


@pytest.mark.virtual_time
async def test_a_poll_that_does_not_come_is_an_error_that_says_what_came(serve: Serve) -> None:
    sandbox, call = await serve()
    job = sandbox.add_job(reference_id="dub-42")
    polled = asyncio.create_task(sandbox.polled("dub-42", times=2))
    await asyncio.sleep(0)
    await call(f"{GET}/{job.id}")
    await call(f"{GET}/dub-episode-43?token=secret")
    with pytest.raises(AssertionError) as caught:
        await polled
    text = str(caught.value)
    assert "expected 2 polls of 'dub-42' within 30 s, but there was one" in text
    assert f"the polls:\n  2026-04-07T12:00:00Z GET /api/{GET}/{job.id} -> 200\n" in text
    assert f"other requests:\n  2026-04-07T12:00:00Z GET /api/{GET}/dub-episode-43 -> 200" in text
    assert "secret" not in text


@pytest.mark.virtual_time
@pytest.mark.parametrize("remember", [2, 100], ids=["few are kept", "all are kept"])
async def test_what_came_instead_is_what_came_since_the_wait_began(serve: Serve, remember: int) -> None:
    sandbox, call = await serve(remember=remember)
    for _ in range(2):
        await call(f"{GET}/before")
    polled = asyncio.create_task(sandbox.polled("dub-42"))
    await asyncio.sleep(0)
    for name in ("first", "second"):
        await call(f"{GET}/{name}")
    with pytest.raises(AssertionError) as caught:
        await polled
    assert "before" not in str(caught.value)
    assert f"/{GET}/first ->" in str(caught.value)
    assert f"/{GET}/second ->" in str(caught.value)


@pytest.mark.virtual_time
async def test_a_poll_that_does_not_come_says_that_nothing_came(serve: Serve) -> None:
    sandbox, _ = await serve()
    with pytest.raises(AssertionError, match="no request at all was received"):
        await sandbox.polled("dub-42")


async def test_a_cancelled_wait_for_a_poll_leaves_no_listener(sandbox: Sandbox) -> None:
    polled = asyncio.create_task(sandbox.polled("dub-42"))
    await asyncio.sleep(0)
    polled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await polled
    assert sandbox._journal._listeners == []
