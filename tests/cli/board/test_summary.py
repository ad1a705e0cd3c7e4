"""What became of many jobs, in a few lines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from chamelaion_async import LipsyncRequest, NotFoundError, WaitTimeoutError, WaitUnreachableError
from chamelaion_async.cli._ui.board.summary import summary_lines

EVEN = "\u2588\u2585\u2585\u2585\u2586\u2585\u2585\u2585\u2586\u2585\u2585\u2586"  # four more in the first bin
Job = Callable[..., LipsyncRequest]


def took(job: Job, queued: float, processing: float, status: str = "completed", **details: object) -> LipsyncRequest:
    start = job().created_at + timedelta(seconds=queued)
    return job(status, started_at=start, finished_at=start + timedelta(seconds=processing), **details)


def late(kind: type[WaitTimeoutError | WaitUnreachableError] = WaitTimeoutError) -> Exception:
    return kind("late", id="a", last=None, elapsed=1.0, polls=1, last_error=None)


def test_it_says_how_many_ended_why_some_failed_and_how_long_they_took(job: Job) -> None:
    jobs = [took(job, number, 10.0 * number) for number in range(1, 101)]
    uuid = "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8"
    jobs += [took(job, 1, 10, "failed", error_message=f"no video at https://x.y/{number}.mp4") for number in range(3)]
    jobs += [took(job, 1, 10, "failed", error_message=f"{uuid} is too long")]
    errors = [late(), late(), late(WaitUnreachableError)]
    lines = summary_lines(110, jobs, errors, elapsed=725.0, requests=412)  # type: ignore[arg-type]
    assert lines == [
        "110 jobs in 12:05: 100 completed, 4 failed, 1 unreachable, 5 still open",
        "failed   3 x no video at ...",
        "         1 x ... is too long",
        f"queued   median 48.5 s, 95 % within 1:35  [{EVEN}] 1.0 s to 1:40",
        f"took     median 8:05, 95 % within 15:50  [{EVEN}] 10.0 s to 16:40",
        "used     412 requests, 3.7 a job",
    ]


def test_a_job_that_timed_out_is_still_open(job: Job) -> None:
    lines = summary_lines(2, [job("processing"), job("completed")], [late()], elapsed=1.0)  # type: ignore[list-item]
    assert lines[0] == "2 jobs in 0:01: 1 completed, 1 still open"


def test_an_id_that_was_not_found_is_not_open() -> None:
    error = NotFoundError("", status=404, message="no", headers={}, body=b"", method="GET", path="/", attempts=1)
    assert summary_lines(2, [], [error], elapsed=1.0) == ["2 jobs in 0:01: 1 not found, 1 still open"]


@pytest.mark.parametrize(("reasons", "last"), [(5, "         1 x reason 4"), (8, "         3 for 3 other reasons")])
def test_the_most_common_reasons_are_shown(job: Job, reasons: int, last: str) -> None:
    jobs = [job("failed", error_message=f"reason {number}", started_at=None) for number in range(reasons)]
    lines = summary_lines(reasons, jobs, [], elapsed=1.0)
    assert (lines[1], lines[-1], len(lines)) == ("failed   1 x reason 0", last, 6 if reasons == 5 else 7)


def test_a_few_jobs_and_equal_times_have_no_histogram(job: Job) -> None:
    few = summary_lines(4, [took(job, 1, number) for number in range(4)], [], elapsed=1.0)
    equal = summary_lines(40, [took(job, 1, 5)] * 40, [], elapsed=1.0)
    assert not any("[" in line for line in [*few, *equal])
    assert equal[-1] == "took     median 5.0 s, 95 % within 5.0 s"


def test_a_terminal_without_unicode_gets_ascii_and_every_job_a_mark(job: Job) -> None:
    jobs = [took(job, 1, 1.0)] * 500 + [took(job, 1, 100.0)]
    line = summary_lines(501, jobs, [], elapsed=1.0, ascii_only=True)[-1]
    assert line.endswith("[#          .] 1.0 s to 1:40")
