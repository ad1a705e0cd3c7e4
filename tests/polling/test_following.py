"""What following a job decides at the edges: how many failures are too many, and when a look is due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tenacity import wait_fixed

from chamelaion_async import (
    APIConnectionError,
    ChamelaionError,
    ConfigurationError,
    InternalServerError,
    LipsyncRequest,
    PollPolicy,
    RateLimitError,
)
from chamelaion_async.polling.state import Look, PollState, Pursuit, Sighting, make_terms

BEGAN = 1000.0
STEADY = PollPolicy(jitter=0.0)
CREATED = datetime(2026, 4, 7, 10, tzinfo=UTC)
DETAILS: dict[str, Any] = {"message": "", "headers": {}, "body": None, "method": "GET", "path": "/x"}


def following(
    policy: PollPolicy = STEADY, *, timeout: float | None = None, attempts: int | None = None
) -> PollState[LipsyncRequest]:
    terms = make_terms(timeout, policy, lambda: 0.0, attempts=attempts)
    return PollState(id="job", pursuit=Pursuit(terms=terms, started=BEGAN))


def refused(retry_after: float | None = None) -> ChamelaionError:
    return RateLimitError("answered 429", status=429, retry_after=retry_after, **DETAILS)


def broken() -> ChamelaionError:
    return InternalServerError("answered 503", status=503, **DETAILS)


def unanswered() -> ChamelaionError:
    return APIConnectionError("no answer", sent="maybe", method="GET", path="/x")


def look_at(state: PollState[LipsyncRequest], at: float, *, aged: float = 0.0) -> None:
    """Let a look show the job when it is so old, by the service's clock."""
    state.begin_look(at)
    state.end_look(at)
    server_time = datetime.fromtimestamp(CREATED.timestamp() + aged, UTC)
    job = LipsyncRequest(id="job", status="processing", created_at=CREATED)
    state.saw(Sighting(job, Look(server_time=server_time, at=at, chance=0.5)))


def fail_with(state: PollState[LipsyncRequest], *errors: ChamelaionError) -> list[bool]:
    """Let one look after the other fail, and tell after which of them another one may succeed."""
    outcomes = []
    for error in errors:
        state.begin_look(BEGAN)
        outcomes.append(state.failed(error, BEGAN))
    return outcomes


def pause_at(state: PollState[LipsyncRequest], at: float) -> float:
    attempt: Any = None  # wait_fixed does not ask for it
    return state.pause(at, lambda: attempt)


@pytest.mark.parametrize("timeout", [-1.0, float("nan")])
def test_a_timeout_that_is_none_is_refused_by_name(timeout: float) -> None:
    with pytest.raises(ConfigurationError, match=r"^timeout "):
        following(timeout=timeout)


class TestFewAttempts:
    def test_as_many_failures_are_allowed(self) -> None:
        assert fail_with(following(attempts=3), *[broken() for _ in range(3)]) == [True, True, False]

    def test_a_429_is_none_of_them(self) -> None:
        errors = [refused(), broken(), refused(), unanswered(), broken()]
        assert fail_with(following(attempts=3), *errors) == [True, True, True, True, False]

    def test_refusals_without_end_end_it_as_well(self) -> None:
        assert fail_with(following(attempts=1), *[refused() for _ in range(10)]) == [True] * 9 + [False]

    @pytest.mark.parametrize(
        ("retry_after", "may_pass"), [(None, True), (0.0, True), (0.5, True), (0.51, False), (60.0, False)]
    )
    def test_a_retry_after_is_waited_for_up_to_the_longest(self, retry_after: float | None, may_pass: bool) -> None:
        state = following(PollPolicy(max_retry_after=0.5), attempts=3)
        assert fail_with(state, refused(retry_after)) == [may_pass]


class TestPause:
    def test_it_counts_from_the_last_look_whoever_took_it(self) -> None:
        state = following()
        look_at(state, BEGAN, aged=100.0)
        assert [pause_at(state, BEGAN + seconds) for seconds in (0.0, 4.0, 10.0, 11.0)] == [10.0, 6.0, 0.0, 0.0]

    def test_a_strategy_of_the_callers_counts_from_there_too(self) -> None:
        state = following(PollPolicy(wait=wait_fixed(10)))
        look_at(state, BEGAN)
        assert [pause_at(state, BEGAN + seconds) for seconds in (0.0, 4.0, 10.0, 11.0)] == [10.0, 6.0, 0.0, 0.0]

    def test_after_a_failure_a_strategy_of_the_callers_counts_from_now(self) -> None:
        state = following(PollPolicy(wait=wait_fixed(10)))
        look_at(state, BEGAN)
        fail_with(state, broken())
        assert pause_at(state, BEGAN + 4.0) == 10.0

    def test_before_the_first_answer_a_strategy_of_the_callers_counts_from_now(self) -> None:
        state = following(PollPolicy(wait=wait_fixed(10)))
        fail_with(state, broken())
        assert pause_at(state, BEGAN + 4.0) == 10.0

    @pytest.mark.parametrize("wait", [lambda _: -1.0, lambda _: float("nan")], ids=["negative", "nan"])
    def test_a_strategy_that_returns_nonsense_is_named(self, wait: Callable[[Any], float]) -> None:
        state = following(PollPolicy(wait=wait))
        look_at(state, BEGAN)
        with pytest.raises(ConfigurationError, match=r"^the pause that PollPolicy\.wait returned "):
            pause_at(state, BEGAN)

    def test_a_service_that_says_now_and_refuses_again_is_left_alone_for_longer_each_time(self) -> None:
        state = following()
        pauses = []
        for _ in range(4):
            fail_with(state, refused(0.0))
            pauses.append(pause_at(state, BEGAN))
        assert pauses == pytest.approx([0.0, 0.1, 0.2, 0.4])


class TestDeadline:
    def test_the_last_look_begins_as_much_earlier_as_the_one_before_took(self) -> None:
        state = following(timeout=60.0)
        state.begin_look(BEGAN)
        state.end_look(BEGAN + 0.25)
        look_at(state, BEGAN + 50.0, aged=10_000.0)
        state.pursuit.latency = 0.25
        assert pause_at(state, BEGAN + 50.0) == 9.75

    @pytest.mark.parametrize(("retry_after", "pause"), [(10.0, 10.0), (59.5, 60.0), (70.0, 60.0)])
    def test_a_retry_after_that_ends_shortly_before_it_moves_the_last_look_to_it(
        self, retry_after: float, pause: float
    ) -> None:
        state = following(PollPolicy(max_retry_after=100.0), timeout=60.0)
        fail_with(state, refused(retry_after))
        state.pursuit.latency = 0.75
        assert pause_at(state, BEGAN) == pause

    @pytest.mark.parametrize(("at", "is_last"), [(58.9, False), (58.99, True), (59.0, True), (60.0, True)])
    def test_a_timer_may_go_off_a_little_early_for_the_last_look(self, at: float, is_last: bool) -> None:
        state = following(timeout=60.0)
        state.pursuit.latency = 1.0
        state.begin_look(BEGAN + at)
        assert state.is_last_look is is_last

    @pytest.mark.parametrize(("at", "is_last"), [(10.0, False), (58.9, False), (58.99, True), (60.0, True)])
    def test_a_refusal_that_still_stands_is_the_answer_of_the_last_look(self, at: float, is_last: bool) -> None:
        state = following(PollPolicy(max_retry_after=100.0), timeout=60.0)
        error = refused(90.0)
        fail_with(state, error)
        pause_at(state, BEGAN)
        state.pursuit.latency = 1.0
        assert (state.standing_refusal(BEGAN + at), state.is_last_look) == (error, is_last)

    def test_a_refusal_stands_no_longer_than_it_said(self) -> None:
        state = following()
        fail_with(state, refused(5.0))
        pause_at(state, BEGAN)
        assert state.standing_refusal(BEGAN + 5.0) is None


class TestTimeForALook:
    def test_without_a_deadline_there_is_no_end(self) -> None:
        assert following().begin_look(BEGAN) == float("inf")

    @pytest.mark.parametrize(("at", "left"), [(20.0, 40.0), (59.5, 1.0), (80.0, 1.0)])
    def test_within_an_outage_it_is_what_remains_of_the_budget_but_a_second_at_least(
        self, at: float, left: float
    ) -> None:
        state = following(PollPolicy(outage_budget=60.0), timeout=1000.0)
        fail_with(state, unanswered())
        assert state.begin_look(BEGAN + at) == left

    @pytest.mark.parametrize(("timeout", "left"), [(0.0, 20.0), (0.01, 1.0)])
    def test_the_last_look_has_a_second_and_an_only_one_the_time_of_a_request(
        self, timeout: float, left: float
    ) -> None:
        assert following(PollPolicy(request_timeout=20.0), timeout=timeout).begin_look(BEGAN) == left

    def test_it_is_never_more_than_a_request_may_take(self) -> None:
        state = following(PollPolicy(request_timeout=0.5), timeout=60.0)
        assert state.begin_look(BEGAN + 60.0) == 0.5
