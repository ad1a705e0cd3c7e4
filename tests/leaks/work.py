"""The work that is repeated: every call of the client, and every way in which one can fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, suppress
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, Final

from chamelaion_async import AsyncClient, ChamelaionError, PollPolicy, RetryPolicy, WaitTimeoutError

from .api import BASE_URL, OUTPUT_URL, StatelessApi, refusal, uuid
from .connections import HANG

Step = Callable[[], Awaitable[object]]
"""A piece of work that sends a few requests."""

_BATCH: Final = 50
_VIDEO: Final = "https://cdn.test/video.mp4"
_AUDIO: Final = "https://cdn.test/audio.wav"
_QUICK: Final = RetryPolicy(attempts=2, initial=0.01, max=0.01)


class Bench:
    """What the work is done with.

    Attributes:
        client: The client.
        api: The API that answers it.
        folder: Where downloads go.
    """

    def __init__(self, client: AsyncClient, api: StatelessApi, folder: Path) -> None:
        self.client = client
        self.api = api
        self.folder = folder
        self.requests = client.lipsync.requests
        self._last = 0

    def new(self, count: int, *, finished: int) -> list[str]:
        """Return ids that no call has used before, the first of them finished."""
        first, self._last = self._last + 1, self._last + count
        self.api.jobs, self.api.finished = self._last + 1, first + finished
        return [uuid(number) for number in range(first, first + count)]

    def finish(self) -> None:
        """Let all jobs end."""
        self.api.finished = self.api.jobs


Work = Callable[[Bench], Awaitable[Step]]
"""Begins some work, and returns a step of it to repeat."""


def fail(api: StatelessApi) -> None:
    """Let each answer be another failure, from the first one on."""
    ways: Iterator[bytes | Exception] = cycle(
        [
            refusal(500, "internal error"),
            refusal(429, "rate limit exceeded"),
            ConnectionResetError("reset"),
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff{}[",
            b"no HTTP\r\n\r\n",
            HANG,
        ]
    )
    api.trouble = lambda _: next(ways)


async def one_wait(bench: Bench) -> Step:
    (id,) = bench.new(1, finished=0)
    return _beside(bench, bench.client.wait_until_finished(id, timeout=None))


async def one_wait_through_failures(bench: Bench) -> Step:
    (id,) = bench.new(1, finished=0)
    fail(bench.api)
    return _beside(bench, bench.client.wait_until_finished(id, timeout=None))


async def one_batch(bench: Bench) -> Step:
    return _beside(bench, bench.requests.wait_all(bench.new(_BATCH, finished=0)))


async def one_watch(bench: Bench) -> Step:
    async def watch(id: str) -> None:
        async with aclosing(bench.requests.watch(id)) as changes:
            async for _ in changes:
                pass

    (id,) = bench.new(1, finished=0)
    return _beside(bench, watch(id))


def _beside(bench: Bench, waiting: Any) -> Step:
    """Let a wait go on beside the test, which ends it with all other tasks."""
    task = asyncio.ensure_future(waiting)

    async def step() -> None:
        asked = asyncio.ensure_future(bench.api.until_answered(12))
        await asyncio.wait([asked, task], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            raise AssertionError("the wait was not to end") from task.exception()

    return step


async def short_waits(bench: Bench) -> None:
    for id in bench.new(5, finished=2):
        asyncio.get_running_loop().call_later(0.5, bench.finish)
        request = await bench.client.wait_until_finished(id)
        assert request.is_completed


async def waits_at_once(bench: Bench) -> None:
    ids = bench.new(_BATCH, finished=_BATCH // 2)
    asyncio.get_running_loop().call_later(2.5, bench.finish)
    await asyncio.gather(*map(bench.client.wait_until_finished, ids))


async def waits_that_are_nudged(bench: Bench) -> None:
    (id,) = bench.new(1, finished=0)
    waiting = asyncio.ensure_future(bench.client.wait_until_finished(id))
    await bench.api.until_answered(1)
    bench.requests.nudge(id)
    bench.requests.nudge(uuid(0))
    await bench.api.until_answered(1)
    bench.finish()
    await waiting


async def cancelled_waits(bench: Bench) -> None:
    for pause in (0.0, 1.5):
        (id,) = bench.new(1, finished=0)
        waiting = asyncio.ensure_future(bench.client.wait_until_finished(id))
        await bench.api.until_answered(1)
        await asyncio.sleep(pause)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()


async def waits_that_time_out(bench: Bench) -> None:
    for timeout in (0, 2.5):
        (id,) = bench.new(1, finished=0)
        with suppress(WaitTimeoutError):
            await bench.client.wait_until_finished(id, timeout=timeout)
            raise AssertionError


async def waits_through_an_outage(bench: Bench) -> Step:
    policy = PollPolicy(outage_budget=3.0, request_timeout=1.0)

    async def step() -> None:
        fail(bench.api)
        with suppress(ChamelaionError):
            await bench.client.wait_until_finished(*bench.new(1, finished=0), polling=policy)
            raise AssertionError

    return step


async def batches(bench: Bench) -> None:
    ids = bench.new(_BATCH, finished=_BATCH // 2)
    asyncio.get_running_loop().call_later(1.5, bench.finish)
    found = [outcome.unwrap().id async for outcome in bench.requests.as_finished(ids)]
    assert sorted(found) == ids


async def batches_left_early(bench: Bench) -> None:
    async with aclosing(bench.requests.as_finished(bench.new(_BATCH, finished=3))) as outcomes:
        async for _ in outcomes:
            break


async def batches_that_time_out(bench: Bench) -> None:
    outcomes = await bench.requests.wait_all(bench.new(_BATCH, finished=3), timeout=2.5)
    assert sum(outcome.error is not None for outcome in outcomes.values()) == _BATCH - 3


async def get_many(bench: Bench) -> None:
    ids = bench.new(_BATCH, finished=20)
    assert [*await bench.requests.get_many(ids)] == ids


async def reads(bench: Bench) -> None:
    for id in bench.new(5, finished=2):
        await bench.requests.get(id)


async def lists(bench: Bench) -> Step:
    bench.new(30, finished=10)

    async def step() -> None:
        await bench.requests.list()
        async for _ in bench.requests.iterate(page_size=10):
            pass

    return step


async def views(bench: Bench) -> None:
    for _ in range(3):
        view = bench.client.with_options(timeout=10.0)
        await view.wait_until_finished(*bench.new(1, finished=1))


async def submissions(bench: Bench) -> None:
    (reference,) = bench.new(1, finished=0)
    await bench.client.lipsync.generate(video=_VIDEO, audio=_AUDIO, reference_id=reference)
    await bench.client.lipsync.generate(video=_VIDEO, audio=_AUDIO)
    await bench.client.lipsync.generate_with_media(video=b"video", audio=b"audio")


async def uncertain_submissions(bench: Bench) -> Step:
    bench.api.trouble = lambda asked: refusal(500) if asked.startswith("POST") else None

    async def step() -> None:
        (reference,) = bench.new(1, finished=0)
        with suppress(ChamelaionError):
            await bench.client.lipsync.generate(video=_VIDEO, audio=_AUDIO, reference_id=reference)
            raise AssertionError

    return step


async def downloads(bench: Bench) -> None:
    for _ in range(3):
        await bench.client.download(OUTPUT_URL, bench.folder / "out.mp4", overwrite=True)


async def failing_downloads(bench: Bench) -> Step:
    client = bench.client.with_options(retry=_QUICK)

    async def step() -> None:
        fail(bench.api)
        with suppress(ChamelaionError):
            await client.download(OUTPUT_URL, bench.folder / "out.mp4", overwrite=True)

    return step


async def failing_reads(bench: Bench) -> Step:
    client = bench.client.with_options(retry=_QUICK)

    async def step() -> None:
        fail(bench.api)
        for _ in range(3):
            with suppress(ChamelaionError):
                await client.users.me()
                raise AssertionError

    return step


async def clients(bench: Bench) -> None:
    async with AsyncClient("sk-test-key", base_url=BASE_URL) as client:
        await client.wait_until_finished(*bench.new(1, finished=1))
        await client.wait_until_finished(*bench.new(1, finished=1))


async def _repeat(step: Callable[[Bench], Awaitable[None]], bench: Bench) -> Step:
    return partial(step, bench)


def _title(work: Callable[..., object]) -> str:
    return work.__name__.replace("_", " ")


_BEGUN: Final = (
    *(one_wait, one_wait_through_failures, one_batch, one_watch, waits_through_an_outage),
    *(lists, uncertain_submissions, failing_downloads, failing_reads),
)
_REPEATED: Final = (
    *(short_waits, waits_at_once, waits_that_are_nudged, cancelled_waits, waits_that_time_out, batches),
    *(batches_left_early, batches_that_time_out, get_many, reads, views, submissions, downloads, clients),
)
WORK: Final[dict[str, Work]] = {
    **{_title(work): work for work in _BEGUN},
    **{_title(step): partial(_repeat, step) for step in _REPEATED},
}
