"""The decisions of a wait: when the next poll is due, how many failures are too many, and its last error."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tenacity import wait_fixed

from chamelaion_async import (
    APIConnectionError,
    APITimeoutError,
    ChamelaionError,
    ConfigurationError,
    InternalServerError,
    LipsyncRequest,
    NotFoundError,
    PollPolicy,
    RateLimitError,
    WaitError,
    WaitTimeoutError,
    WaitUnreachableError,
)
from chamelaion_async.loading.entries import Read
from chamelaion_async.loading.snapshot import ReadStamp, Snapshot
from chamelaion_async.loading.times import NEVER
from chamelaion_async.polling.plan import make_plan
from chamelaion_async.polling.state import PollState

BEGAN = 1000.0
STEADY = PollPolicy(jitter=0.0)
CREATED = datetime(2026, 4, 7, 10, tzinfo=UTC)
JOB = LipsyncRequest(id="job", status="processing", created_at=CREATED)
AGAIN = "wait again with wait_until_finished('dub-42')"
FAILED, OUTAGE = " (the last poll failed: no answer)", ": nothing readable came for 60.3 s, last: no answer"
DETAILS: dict[str, Any] = {"message": "", "headers": {}, "body": None, "method": "GET", "path": "/x"}


def waiting(
    policy: PollPolicy = STEADY, *, timeout: float | None = None, attempts: int | None = None
) -> PollState[LipsyncRequest]:
    plan = make_plan(timeout, policy, lambda: 0.0, started=BEGAN, attempts=attempts)
    return PollState(id="job", plan=plan)


def refused(retry_after: float | None = None) -> ChamelaionError:
    return RateLimitError("answered 429", status=429, retry_after=retry_after, **DETAILS)


def missing() -> NotFoundError:
    return NotFoundError("unknown", status=404, **DETAILS)


def broken() -> ChamelaionError:
    return InternalServerError("answered 503", status=503, **DETAILS)


def unanswered() -> ChamelaionError:
    return APIConnectionError("no answer", sent="maybe", method="GET", path="/x")


def poll_at(state: PollState[LipsyncRequest], at: float, *, aged: float = 0.0) -> None:
    """Let a poll show the job when it is so old, by the service's clock."""
    state.begin_poll(at)
    state.end_poll(at)
    server_time = datetime.fromtimestamp(CREATED.timestamp() + aged, UTC)
    job = LipsyncRequest(id="job", status="processing", created_at=CREATED)
    state.saw(Snapshot(job, ReadStamp(began=at, at=at, server_time=server_time, jitter_draw=0.5)))


def fail_with(state: PollState[LipsyncRequest], *errors: ChamelaionError) -> list[bool]:
    """Let one poll after the other fail, and tell after which of them another one may succeed."""
    outcomes = []
    for error in errors:
        state.begin_poll(BEGAN)
        outcomes.append(state.failed(error, BEGAN))
    return outcomes


def stubborn() -> PollState[LipsyncRequest]:
    policy = PollPolicy(outage_budget=60.0, not_found_grace=5.0)
    return PollState(id="dub-42", plan=make_plan(300.0, policy, lambda: 0.5, started=BEGAN))


def shown_at(state: PollState[LipsyncRequest], at: float) -> None:
    """Let a poll show the job."""
    state.begin_poll(at)
    state.end_poll(at)
    state.saw(Snapshot(JOB, ReadStamp(began=at, at=at, server_time=None, jitter_draw=0.5)))


def fail_at(state: PollState[LipsyncRequest], at: float) -> ChamelaionError:
    """Let a poll fail."""
    error = unanswered()
    state.begin_poll(at)
    state.failed(error, at)
    return error


def pause_at(state: PollState[LipsyncRequest], at: float) -> float:
    attempt: Any = None  # wait_fixed does not ask for it
    return state.pause(at, lambda: attempt)


@pytest.mark.parametrize("timeout", [-1.0, float("nan")])
def test_an_invalid_timeout_is_refused_by_name(timeout: float) -> None:
    with pytest.raises(ConfigurationError, match=r"^timeout "):
        waiting(timeout=timeout)


class TestFewAttempts:
    def test_as_many_failures_are_allowed_as_attempts(self) -> None:
        assert fail_with(waiting(attempts=3), *[broken() for _ in range(3)]) == [True, True, False]

    def test_a_429_is_not_counted_as_an_attempt(self) -> None:
        errors = [refused(), broken(), refused(), unanswered(), broken()]
        assert fail_with(waiting(attempts=3), *errors) == [True, True, True, True, False]

    def test_ten_429s_end_a_poll_that_is_made_once(self) -> None:
        assert fail_with(waiting(attempts=1), *[refused() for _ in range(10)]) == [True] * 9 + [False]

    @pytest.mark.parametrize(
        ("retry_after", "may_pass"), [(None, True), (0.0, True), (0.5, True), (0.51, False), (60.0, False)]
    )
    def test_a_retry_after_is_waited_for_up_to_the_longest(self, retry_after: float | None, may_pass: bool) -> None:
        state = waiting(PollPolicy(max_retry_after=0.5), attempts=3)
        assert fail_with(state, refused(retry_after)) == [may_pass]


class TestPause:
    def test_a_pause_counts_from_the_last_read_whichever_wait_asked(self) -> None:
        state = waiting()
        poll_at(state, BEGAN, aged=100.0)
        assert [pause_at(state, BEGAN + seconds) for seconds in (0.0, 4.0, 10.0, 11.0)] == [10.0, 6.0, 0.0, 0.0]

    def test_a_strategy_of_the_caller_counts_from_the_last_read_too(self) -> None:
        state = waiting(PollPolicy(wait=wait_fixed(10)))
        poll_at(state, BEGAN)
        assert [pause_at(state, BEGAN + seconds) for seconds in (0.0, 4.0, 10.0, 11.0)] == [10.0, 6.0, 0.0, 0.0]

    def test_after_a_failure_a_strategy_of_the_callers_counts_from_now(self) -> None:
        state = waiting(PollPolicy(wait=wait_fixed(10)))
        poll_at(state, BEGAN)
        fail_with(state, broken())
        assert pause_at(state, BEGAN + 4.0) == 10.0

    def test_before_the_first_answer_a_strategy_of_the_callers_counts_from_now(self) -> None:
        state = waiting(PollPolicy(wait=wait_fixed(10)))
        fail_with(state, broken())
        assert pause_at(state, BEGAN + 4.0) == 10.0

    @pytest.mark.parametrize("wait", [lambda _: -1.0, lambda _: float("nan")], ids=["negative", "nan"])
    def test_a_strategy_that_returns_nonsense_is_named(self, wait: Callable[[Any], float]) -> None:
        state = waiting(PollPolicy(wait=wait))
        poll_at(state, BEGAN)
        with pytest.raises(ConfigurationError, match=r"^the pause that PollPolicy\.wait returned "):
            pause_at(state, BEGAN)

    def test_a_short_retry_after_that_is_repeated_backs_off(self) -> None:
        state = waiting()
        pauses = []
        for _ in range(5):
            fail_with(state, refused(0.05))
            pauses.append(pause_at(state, BEGAN))
        assert pauses == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8])

    def test_a_retry_after_of_zero_counts_as_none(self) -> None:
        state = waiting()
        pauses = []
        for _ in range(3):
            fail_with(state, refused(0.0))
            pauses.append(pause_at(state, BEGAN))
        assert pauses == [1.0, 2.0, 4.0]

    def test_a_read_before_the_wait_began_counts_for_the_shortest_interval(self) -> None:
        state = waiting()
        poll_at(state, BEGAN - 0.75, aged=100.0)
        assert pause_at(state, BEGAN) == pytest.approx(0.25)

    def test_a_page_counts_from_when_it_was_sent(self) -> None:
        state = waiting()
        stamp = ReadStamp(began=BEGAN + 1, at=BEGAN + 3, server_time=None, jitter_draw=0.5, is_page=True)
        state.saw(Snapshot(JOB, stamp))
        assert pause_at(state, BEGAN + 3) == 0.0


class TestDeadline:
    def test_the_last_poll_begins_as_much_earlier_as_the_one_before_took(self) -> None:
        state = waiting(timeout=60.0)
        state.begin_poll(BEGAN)
        state.end_poll(BEGAN + 0.25)
        poll_at(state, BEGAN + 50.0, aged=10_000.0)
        state.plan.latency = 0.25
        assert pause_at(state, BEGAN + 50.0) == 9.75

    @pytest.mark.parametrize(("retry_after", "pause"), [(10.0, 10.0), (59.5, 60.0), (70.0, 60.0)])
    def test_a_retry_after_that_ends_shortly_before_it_moves_the_last_poll_to_it(
        self, retry_after: float, pause: float
    ) -> None:
        state = waiting(PollPolicy(max_retry_after=100.0), timeout=60.0)
        fail_with(state, refused(retry_after))
        state.plan.latency = 0.75
        assert pause_at(state, BEGAN) == pause

    @pytest.mark.parametrize(("at", "is_last"), [(58.9, False), (58.99, True), (59.0, True), (60.0, True)])
    def test_the_timer_of_the_last_poll_may_fire_early(self, at: float, is_last: bool) -> None:
        state = waiting(timeout=60.0)
        state.plan.latency = 1.0
        state.begin_poll(BEGAN + at)
        assert state.is_last_poll is is_last

    @pytest.mark.parametrize(("at", "is_last"), [(10.0, False), (58.9, False), (58.99, True), (60.0, True)])
    def test_a_refusal_that_still_stands_is_the_answer_of_the_last_poll(self, at: float, is_last: bool) -> None:
        state = waiting(PollPolicy(max_retry_after=100.0), timeout=60.0)
        error = refused(90.0)
        fail_with(state, error)
        pause_at(state, BEGAN)
        state.plan.latency = 1.0
        assert (state.standing_refusal(BEGAN + at), state.is_last_poll) == (error, is_last)

    def test_a_refusal_stands_no_longer_than_it_said(self) -> None:
        state = waiting()
        fail_with(state, refused(5.0))
        pause_at(state, BEGAN)
        assert state.standing_refusal(BEGAN + 5.0) is None


class TestTimeForAPoll:
    def test_without_a_deadline_there_is_no_end(self) -> None:
        assert waiting().begin_poll(BEGAN) == float("inf")

    def test_a_poll_may_last_until_the_deadline_and_the_last_one_a_second_longer(self) -> None:
        state = waiting(timeout=60.0)
        assert [state.begin_poll(BEGAN + at) - BEGAN for at in (0.0, 20.0, 60.0)] == [60.0, 60.0, 61.0]

    @pytest.mark.parametrize(("timeout", "left"), [(0.0, 20.0), (0.01, 1.0)])
    def test_an_only_one_has_the_time_of_a_request(self, timeout: float, left: float) -> None:
        assert waiting(PollPolicy(request_timeout=20.0), timeout=timeout).begin_poll(BEGAN) == BEGAN + left

    def test_the_last_poll_has_at_most_the_time_of_a_request(self) -> None:
        state = waiting(PollPolicy(request_timeout=0.5), timeout=60.0)
        assert state.begin_poll(BEGAN + 60.0) == BEGAN + 60.5

    @pytest.mark.parametrize(("at", "seconds"), [(20.0, 20.0), (50.0, 10.0), (59.5, 1.0), (80.0, 1.0)])
    def test_within_an_outage_a_read_has_what_remains_of_the_budget_but_a_second_at_least(
        self, at: float, seconds: float
    ) -> None:
        state = waiting(PollPolicy(outage_budget=60.0), timeout=1000.0)
        fail_with(state, unanswered())
        assert state.read_timeout(BEGAN + at) == seconds


def snapshot(status: str = "processing", *, began: float = BEGAN, is_page: bool = False) -> Snapshot[LipsyncRequest]:
    stamp = ReadStamp(began=began, at=began + 1, server_time=None, jitter_draw=0.5, is_page=is_page)
    return Snapshot(LipsyncRequest(id="job", status=status, created_at=CREATED), stamp)


class TestAnswers:
    @pytest.mark.parametrize("is_page", [False, True])
    @pytest.mark.parametrize("began", [BEGAN - 9, BEGAN + 9])
    def test_any_read_answers_a_poll(self, is_page: bool, began: float) -> None:
        state = waiting()
        assert not state.is_answered_by(snapshot(began=began, is_page=is_page))
        state.begin_poll(BEGAN)
        assert state.is_answered_by(snapshot(began=began, is_page=is_page))

    @pytest.mark.parametrize(
        ("began", "is_page", "takes_pages", "is_answer"),
        [
            (BEGAN + 60, False, False, True),
            (BEGAN + 59, False, False, False),
            (BEGAN + 60, True, False, False),
            (BEGAN + 60, True, True, True),
            (BEGAN + 59, True, True, False),
        ],
    )
    def test_the_last_poll_wants_a_get_that_began_for_it_or_a_page_where_very_many_wait(
        self, began: float, is_page: bool, takes_pages: bool, is_answer: bool
    ) -> None:
        state = waiting(timeout=60.0)
        state.plan.ends_with_pages = takes_pages
        state.begin_poll(BEGAN + 60)
        assert state.is_answered_by(snapshot(began=began, is_page=is_page)) is is_answer
        assert state.is_answered_by(snapshot("completed", began=began, is_page=is_page))

    @pytest.mark.parametrize("options", [{"timeout": 0.0}, {"attempts": 3}], ids=["timeout=0", "get_many"])
    @pytest.mark.parametrize(("began", "is_answer"), [(BEGAN, True), (BEGAN - 0.1, False)])
    def test_where_each_is_read_once_that_read_begins_after_the_call(
        self, options: dict[str, Any], began: float, is_answer: bool
    ) -> None:
        state = waiting(**options)
        state.begin_poll(BEGAN)
        assert state.is_answered_by(snapshot(began=began)) is is_answer
        assert state.is_answered_by(snapshot("completed", began=began))

    def test_a_page_answers_the_only_poll_of_get_many_but_not_of_a_wait_without_time(self) -> None:
        for options, is_answer in (({"attempts": 3}, True), ({"timeout": 0.0}, False)):
            state = waiting(**options)
            state.begin_poll(BEGAN)
            assert state.is_answered_by(snapshot(began=BEGAN, is_page=True)) is is_answer

    @pytest.mark.parametrize(
        ("timeout", "at", "sent", "is_failure"),
        [
            (None, 0, -1, True),
            (60.0, 0, -1, True),
            (60.0, 60, 59, False),
            (60.0, 60, 60, True),
            (0.0, 0, -1, False),
            (0.0, 0, 0, True),
        ],
    )
    def test_the_failure_of_a_read_is_that_of_the_polls_it_could_have_answered(
        self, timeout: float | None, at: float, sent: float, is_failure: bool
    ) -> None:
        state = waiting(timeout=timeout)
        state.begin_poll(BEGAN + at)
        assert state.is_failed_by(broken(), Read(began=BEGAN + sent, timeout=20.0)) is is_failure

    @pytest.mark.parametrize(
        ("is_only_poll", "sent", "is_overdue", "is_failure"),
        [(False, 0, True, True), (False, -1, True, False), (True, 0, False, True), (True, -1, False, False)],
    )
    def test_an_earlier_read_fails_no_poll_that_another_read_is_to_answer(
        self, is_only_poll: bool, sent: float, is_overdue: bool, is_failure: bool
    ) -> None:
        state = waiting(attempts=3 if is_only_poll else None)
        state.begin_poll(BEGAN)
        read = Read[LipsyncRequest](began=BEGAN + sent, timeout=20.0, is_overdue=is_overdue)
        assert state.is_failed_by(broken(), read) is is_failure

    def test_a_read_that_was_given_less_time_than_this_poll_has_is_no_failure_of_it(self) -> None:
        state = waiting()
        error = APITimeoutError("too slow", sent="maybe", method="GET", path="/x")
        state.begin_poll(BEGAN)
        assert [state.is_failed_by(error, Read(began=BEGAN, timeout=timeout)) for timeout in (5.0, 20.0)] == [
            False,
            True,
        ]

    @pytest.mark.parametrize("is_polling", [False, True])
    def test_an_error_of_the_whole_client_fails_each_poll_under_way(self, is_polling: bool) -> None:
        state = waiting()
        if is_polling:
            state.begin_poll(BEGAN)
        assert state.is_failed_by(broken(), None) is is_polling


class TestOutage:
    def test_an_outage_begins_with_the_first_failure(self) -> None:
        state = waiting(PollPolicy(outage_budget=60.0))
        state.begin_poll(BEGAN)
        state.failed(broken(), BEGAN + 50, sent_at=BEGAN + 49, answered_at=BEGAN + 48)
        assert [state.is_over(BEGAN + at) for at in (109.0, 110.0)] == [False, True]

    @pytest.mark.parametrize(
        ("answered_at", "ends"),
        [
            (70.0, 140.0),  # others were served while this poll was queued for half a minute
            (60.5, 140.0),
            (60.0, 110.0),  # the last good answer is as old as the poll: none was served
            (10.0, 110.0),
            (-NEVER, 110.0),
        ],
    )
    def test_time_in_the_queue_is_no_outage_if_another_read_was_answered_meanwhile(
        self, answered_at: float, ends: float
    ) -> None:
        state = waiting(PollPolicy(outage_budget=60.0))
        state.begin_poll(BEGAN)
        state.failed(broken(), BEGAN + 50, sent_at=BEGAN + 49)
        state.begin_poll(BEGAN + 60)
        state.failed(broken(), BEGAN + 91, sent_at=BEGAN + 90, answered_at=BEGAN + answered_at)
        assert [state.is_over(BEGAN + at) for at in (ends - 1, ends)] == [False, True]

    def test_a_poll_that_no_read_was_sent_for_adds_nothing_to_the_time_in_the_queue(self) -> None:
        state = waiting(PollPolicy(outage_budget=60.0))
        state.begin_poll(BEGAN)
        state.failed(broken(), BEGAN + 50)
        state.begin_poll(BEGAN + 60)
        state.failed(broken(), BEGAN + 91, answered_at=BEGAN + 70)
        assert [state.is_over(BEGAN + at) for at in (109.0, 110.0)] == [False, True]

    def test_the_grace_of_a_404_begins_with_the_first_one_after_a_good_poll(self) -> None:
        state = waiting(PollPolicy(not_found_grace=5.0))
        state.begin_poll(BEGAN)
        state.failed(broken(), BEGAN)
        assert [state.failed(missing(), BEGAN + at) for at in (10.0, 14.9, 15.0)] == [True, True, False]
        poll_at(state, BEGAN + 16)
        assert [state.failed(missing(), BEGAN + at) for at in (20.0, 24.9, 25.0)] == [True, True, False]

    def test_a_poll_that_was_never_sent_leaves_the_error_of_before(self) -> None:
        state = waiting(PollPolicy(outage_budget=60.0), timeout=100.0)
        error = broken()
        fail_with(state, error)
        state.begin_poll(BEGAN + 10)
        assert state.gave_up(BEGAN + 100, was_sent=False) is error

    @pytest.mark.parametrize(
        ("was_sent", "reason"),
        [(True, "was not answered"), (False, "could not be sent, for the rate limit or calls before it,")],
    )
    def test_a_poll_that_is_given_up_says_whether_it_was_sent(self, was_sent: bool, reason: str) -> None:
        state = waiting(timeout=60.0)
        state.begin_poll(BEGAN)
        error = state.gave_up(BEGAN + 60, was_sent=was_sent)
        assert isinstance(error, APITimeoutError)
        assert str(error) == f"the poll of job {reason} within the 60 s that were left"
        assert (error.sent, error.method, error.path) == ("maybe" if was_sent else "no", "GET", "job")
        assert state.last_error is error


class TestVerdict:
    """The error that ends a wait says which job, its status, why, and what to do."""

    @pytest.mark.parametrize(
        ("shown", "failed", "ended", "kind", "text"),
        [
            ([0, 299], [], 300.26, WaitTimeoutError, "is still processing after 300.3 s and 2 polls"),
            ([0], [299], 300, WaitTimeoutError, f"is still processing after 300 s and 2 polls{FAILED}"),
            ([], [0], 3.14, WaitTimeoutError, f"could not be read after 3.1 s and 1 poll{FAILED}"),
            ([10], [11], 71.26, WaitUnreachableError, f"is still processing after 71.3 s and 2 polls{OUTAGE}"),
            ([], [11], 71.26, WaitUnreachableError, f"could not be read after 71.3 s and 1 poll{OUTAGE}"),
        ],
        ids=["it goes on", "its last poll failed", "never read", "an outage", "an outage from the start"],
    )
    def test_it_tells_how_the_job_was_read_last(
        self, shown: list[float], failed: list[float], ended: float, kind: type[WaitError], text: str
    ) -> None:
        state = stubborn()
        for at in shown:
            shown_at(state, BEGAN + at)
        for at in failed:
            fail_at(state, BEGAN + at)
        verdict = state.verdict(BEGAN + ended)
        advice = f"{'the job goes on,' if shown else 'check the connection, and'} {AGAIN}"
        assert (type(verdict), str(verdict)) == (kind, f"request dub-42 {text}; {advice}")

    def test_it_holds_the_state_of_the_wait(self) -> None:
        state = stubborn()
        shown_at(state, BEGAN)
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
    def test_a_404_is_the_error_of_a_wait_that_ends_with_it(self, after: float) -> None:
        state = stubborn()
        error = NotFoundError("unknown", status=404, message="", headers={}, body=None, method="GET", path="/x")
        state.begin_poll(BEGAN)
        state.failed(error, BEGAN)
        assert state.verdict(BEGAN + after) is error
