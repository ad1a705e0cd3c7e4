"""What one is told when the time for following a job is over: which job, how it stands, why, and what to do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from chamelaion_async import (
    APIConnectionError,
    LipsyncRequest,
    NotFoundError,
    PollPolicy,
    WaitError,
    WaitTimeoutError,
    WaitUnreachableError,
)
from chamelaion_async.polling.state import Look, PollState, Pursuit, Sighting, make_terms

BEGAN = 1000.0
JOB = LipsyncRequest(id="job", status="processing", created_at=datetime(2026, 4, 7, 10, tzinfo=UTC))
POLICY = PollPolicy(outage_budget=60.0, not_found_grace=5.0)
AGAIN = "wait again with wait_until_finished('dub-42')"


def following() -> PollState[LipsyncRequest]:
    return PollState(id="dub-42", pursuit=Pursuit(terms=make_terms(300.0, POLICY, lambda: 0.5), started=BEGAN))


def look_at(state: PollState[LipsyncRequest], at: float) -> None:
    """Let a look show the job."""
    state.begin_look(at)
    state.end_look(at)
    state.saw(Sighting(JOB, Look(server_time=None, at=at, chance=0.5)))


def fail_at(state: PollState[LipsyncRequest], at: float) -> APIConnectionError:
    """Let a look fail."""
    error = APIConnectionError("no answer", sent="maybe", method="GET", path="/x")
    state.begin_look(at)
    state.failed(error, at)
    return error


def test_of_a_job_that_goes_on() -> None:
    state = following()
    look_at(state, BEGAN)
    look_at(state, BEGAN + 299)
    verdict = state.verdict(BEGAN + 300.26)
    assert type(verdict) is WaitTimeoutError
    assert str(verdict) == f"request dub-42 is still processing after 300.3 s and 2 looks; the job goes on, {AGAIN}"


def test_of_a_job_whose_last_look_failed() -> None:
    state = following()
    look_at(state, BEGAN)
    fail_at(state, BEGAN + 299)
    assert str(state.verdict(BEGAN + 300)) == (
        "request dub-42 is still processing after 300 s and 2 looks (the last look failed: no answer); "
        f"the job goes on, {AGAIN}"
    )


def test_of_a_job_that_was_never_read_in_a_short_time() -> None:
    state = following()
    fail_at(state, BEGAN)
    verdict = state.verdict(BEGAN + 3.14)
    assert type(verdict) is WaitTimeoutError
    assert str(verdict) == (
        "request dub-42 could not be read after 3.1 s and 1 look (the last look failed: no answer); "
        f"check the connection, and {AGAIN}"
    )


def test_of_a_job_that_cannot_be_read_any_more() -> None:
    state = following()
    look_at(state, BEGAN + 10)
    fail_at(state, BEGAN + 11)
    verdict = state.verdict(BEGAN + 70.26)
    assert type(verdict) is WaitUnreachableError
    assert str(verdict) == (
        "request dub-42 is still processing after 70.3 s and 2 looks: nothing readable came for 60.3 s, "
        f"last: no answer; the job goes on, {AGAIN}"
    )


def test_of_a_job_that_could_never_be_read() -> None:
    state = following()
    fail_at(state, BEGAN)
    assert str(state.verdict(BEGAN + 60)) == (
        "request dub-42 could not be read after 60 s and 1 look: nothing readable came for 60 s, "
        f"last: no answer; check the connection, and {AGAIN}"
    )


def test_it_holds_what_was_found_out() -> None:
    state = following()
    look_at(state, BEGAN)
    error = fail_at(state, BEGAN + 299)
    verdict = state.verdict(BEGAN + 300.5)
    assert isinstance(verdict, WaitError)
    assert (verdict.id, verdict.last, verdict.elapsed, verdict.polls, verdict.last_error, verdict.__cause__) == (
        "dub-42",
        JOB,
        300.5,
        2,
        error,
        error,
    )


@pytest.mark.parametrize("after", [1.0, 100.0])
def test_of_a_job_that_the_service_does_not_know_its_own_word_is_kept(after: float) -> None:
    state = following()
    error = NotFoundError("unknown", status=404, message="", headers={}, body=None, method="GET", path="/x")
    state.begin_look(BEGAN)
    state.failed(error, BEGAN)
    assert state.verdict(BEGAN + after) is error
