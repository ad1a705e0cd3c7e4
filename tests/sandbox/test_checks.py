"""What a sandbox asserts about the requests that it received, and what the texts say instead."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from chamelaion_async.sandbox import Fault, ManualClock, Sandbox

from .calling import AUDIO, LIPSYNC, VIDEO, Caller

GENERATE = "v1/lipsync/generate"
GET = "v1/lipsync/requests"
INPUTS = [{**VIDEO, "url": f"{VIDEO['url']}?sig=secret"}, AUDIO]


@pytest.fixture
async def submitted(call: Caller, sandbox: Sandbox) -> None:
    """Two submissions of dub-42, one of dub-43, and one that was refused."""
    for reference in ("dub-42", "dub-43", "dub-42"):
        await call(f"POST {GENERATE}", json={"inputs": INPUTS, "reference_id": reference})
    with_fault = sandbox.inject(Fault.rate_limited())
    await call(f"POST {GENERATE}", json={"inputs": INPUTS, "reference_id": "dub-44"})
    with_fault.remove()


@pytest.mark.usefixtures("submitted")
@pytest.mark.parametrize(
    ("reference_id", "times"), [("dub-42", 2), ("dub-43", 1), ("dub-44", 0), ("dub-45", 0), (None, 3)]
)
async def test_what_was_submitted_so_often_passes(sandbox: Sandbox, reference_id: str | None, times: int) -> None:
    sandbox.assert_submitted(reference_id=reference_id, times=times)


@pytest.mark.usefixtures("submitted")
@pytest.mark.parametrize(
    ("reference_id", "times", "first"),
    [
        ("dub-42", 1, "expected 1 job submitted with reference_id 'dub-42', but there were 2"),
        ("dub-43", 0, "expected no jobs submitted with reference_id 'dub-43', but there was one"),
        ("dub-44", 1, "expected 1 job submitted with reference_id 'dub-44', but there were none"),
        (None, 2, "expected 2 jobs submitted, but there were 3"),
    ],
)
async def test_another_number_of_submissions_says_what_was_seen(
    sandbox: Sandbox, reference_id: str | None, times: int, first: str
) -> None:
    with pytest.raises(AssertionError) as caught:
        sandbox.assert_submitted(reference_id=reference_id, times=times)
    text = str(caught.value)
    assert text.splitlines()[0] == first
    for received in sandbox.received[:3]:
        assert (
            f"POST /api/{GENERATE} -> 200, reference_id {received.body['reference_id']!r}, job {received.job_id}"
            in text
        )
    assert f"refused:\n  2026-04-07T12:00:00Z POST /api/{GENERATE} -> 429" in text
    assert "secret" not in text


async def test_a_submission_whose_answer_was_lost_counts(sandbox: Sandbox, call: Caller) -> None:
    sandbox.inject(Fault.status(500, when="after"))
    await call(f"POST {GENERATE}", json={"inputs": INPUTS, "reference_id": "dub-42"})
    sandbox.assert_submitted(reference_id="dub-42")


async def test_no_submission_at_all_says_so(sandbox: Sandbox) -> None:
    with pytest.raises(AssertionError, match="no generation call was received"):
        sandbox.assert_submitted()


async def test_a_long_text_is_cut_and_counts_the_rest(sandbox: Sandbox, call: Caller) -> None:
    for _ in range(10):
        await call(f"POST {GENERATE}", json=LIPSYNC)
    with pytest.raises(AssertionError, match="and 2 more"):
        sandbox.assert_submitted()


Since = Callable[[float], object]
MOMENTS: list[Since] = [lambda at: at, lambda at: datetime.fromtimestamp(at, UTC)]


@pytest.mark.parametrize("since", MOMENTS, ids=["seconds", "datetime"])
async def test_polls_after_a_moment_are_told_from_those_before(
    sandbox: Sandbox, call: Caller, clock: ManualClock, since: Since
) -> None:
    job = sandbox.add_job(reference_id="dub-42")
    await call(f"{GET}/{job.id}")
    moment = since(sandbox.now)
    sandbox.assert_not_polled_since(moment, "dub-42")  # type: ignore[arg-type]  # one of both
    clock.advance(2)
    await call(f"{GET}/dub-episode-42")
    sandbox.assert_not_polled_since(moment, "dub-42")  # type: ignore[arg-type]
    await call(GET)
    with pytest.raises(AssertionError) as caught:
        sandbox.assert_not_polled_since(moment, "dub-42")  # type: ignore[arg-type]
    assert "expected no poll of 'dub-42' within 2 s, but there was one\nthe polls:\n" in str(caught.value)
    assert f"12:00:02Z GET /api/{GET} -> 200, a page of 1" in str(caught.value)
    with pytest.raises(AssertionError, match="no poll of any job within 2 s, but there were 2"):
        sandbox.assert_not_polled_since(moment)  # type: ignore[arg-type]


async def test_a_poll_marks_what_came_after_it_at_the_same_time(sandbox: Sandbox, call: Caller) -> None:
    job = sandbox.add_job()
    await call(f"{GET}/{job.id}")
    poll = sandbox.received[-1]
    sandbox.assert_not_polled_since(poll, job.id)
    await call(f"{GET}/{job.id}")
    with pytest.raises(AssertionError):
        sandbox.assert_not_polled_since(poll, job.id)
    sandbox.assert_not_polled_since(sandbox.received[-1], job.id)


async def test_other_calls_are_no_polls(sandbox: Sandbox, call: Caller, clock: ManualClock) -> None:
    before = sandbox.now
    clock.advance(1)
    await call("v1/users/me")
    await call(f"POST {GENERATE}", json=LIPSYNC)
    await call("v1/nothing")
    sandbox.assert_not_polled_since(before)


def test_a_time_without_a_zone_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="since must be aware of its time zone"):
        sandbox.assert_not_polled_since(datetime(2026, 4, 7))  # noqa: DTZ001
