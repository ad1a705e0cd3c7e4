from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from chamelaion_async.sandbox import ManualClock, Sandbox


def test_a_job_can_be_added_without_http(clock: ManualClock) -> None:
    sandbox = Sandbox(clock=clock, job_seconds=100, queue_seconds=50)
    job = sandbox.add_job(id="ABCDEF00-0000-4000-8000-000000000000", reference_id="dub", job_seconds=10)

    assert sandbox.jobs == {"abcdef00-0000-4000-8000-000000000000": job}
    assert (job.queue_seconds, job.job_seconds) == (5, 10)


@pytest.mark.parametrize(
    ("seconds", "status"), [(0, "queued"), (9, "queued"), (10, "processing"), (100, "completed")]
)
def test_a_job_may_have_begun_in_the_past(clock: ManualClock, seconds: float, status: str) -> None:
    sandbox = Sandbox(clock=clock, job_seconds=100)
    created_at = datetime.fromtimestamp(clock.time() - seconds, UTC)

    assert sandbox.status(sandbox.add_job(created_at=created_at).id) == status


def test_a_job_can_be_ended_by_hand_with_either_end(clock: ManualClock) -> None:
    sandbox = Sandbox(clock=clock, job_seconds=100)
    ids = [sandbox.add_job(reference_id=name, fails=fails).id for name, fails in (("a", True), ("b", False))]
    clock.advance(5)

    finished, failed = sandbox.finish("a"), sandbox.fail("b", "no face found")

    assert [sandbox.status(id) for id in ids] == ["completed", "failed"]
    assert finished.finished_at == failed.finished_at == clock.time()
    assert finished.started_at <= clock.time()
    assert failed.error_message == "no face found"


def test_a_job_ends_once(clock: ManualClock) -> None:
    sandbox = Sandbox(clock=clock)
    job = sandbox.add_job()
    sandbox.finish(job.id)

    with pytest.raises(ValueError, match="has ended"):
        sandbox.fail(job.id)


@pytest.mark.parametrize("id", ["nobody", "dub-episode-42"])
def test_an_unknown_job_or_an_example_cannot_be_ended(id: str) -> None:
    with pytest.raises(KeyError):
        Sandbox().finish(id)


def test_a_job_without_an_end_ends_by_hand(clock: ManualClock) -> None:
    assert Sandbox(clock=clock, job_seconds=math.inf).add_job(job_seconds=10).queue_seconds == 0
    sandbox = Sandbox(clock=clock, job_seconds=math.inf, queue_seconds=5)
    job = sandbox.add_job()
    assert sandbox.status(sandbox.add_job(job_seconds=0).id) == "completed"
    clock.advance(10**9)
    assert sandbox.status(job.id) == "processing"
    sandbox.finish(job.id)
    assert sandbox.status(job.id) == "completed"


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"job_seconds": -1}, "queue_seconds"),
        ({"queue_seconds": -1}, "queue_seconds"),
        ({"job_seconds": 1, "queue_seconds": 2}, "queue_seconds"),
        ({"created_at": 1e12}, "future"),
        ({"created_at": datetime(2026, 4, 7)}, "time zone"),  # noqa: DTZ001
        ({"family": "dubbing"}, "family"),
        ({"id": "6F82A2D8-a6d4-4e8a-a0fa-e8b09823a2d8"}, "already"),
        ({"id": "ABCDEF00-0000-4000-8000-000000000000"}, "already"),
    ],
)
def test_a_job_that_makes_no_sense_is_an_error(settings: dict[str, Any], error: str) -> None:
    sandbox = Sandbox()
    sandbox.add_job(id="abcdef00-0000-4000-8000-000000000000")

    with pytest.raises(ValueError, match=error):
        sandbox.add_job(**settings)
