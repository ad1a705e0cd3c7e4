"""Each invariant tells of a trace that violates it, and has nothing to say of one that does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from chamelaion_async import (
    InternalServerError,
    LipsyncRequest,
    NotFoundError,
    RateLimitError,
    SubmissionUncertainError,
    WaitTimeoutError,
    WaitUnreachableError,
)

from .dominance import hurt
from .invariants import (
    INVARIANTS,
    Invariant,
    after_a_nudge,
    deadlines,
    each_once,
    each_read_is_wanted,
    errors_are_true,
    every_call_returns,
    few_requests,
    first_read_in_time,
    in_time,
    keeps_below_a_limit,
    no_poll_is_skipped,
    no_storm,
    nothing_left,
    paid_once,
    patience_is_its_own,
    rate_is_kept,
    refusals_are_not_prolonged,
    true_state,
)
from .service import EPOCH
from .trace import Ask, Call, Result, Started, Submission, Trace
from .world import Fault, Habits, Job, Limit, Nudge, Submit, User, World

JOB = Job(number=0, reference="name-0", ended=10.0)
OTHER = Job(number=1, reference="name-1", ended=10.0)
WORLD = World(jobs=(JOB, OTHER), users=(User(),))
LIMITED = attrs.evolve(WORLD, limit=Limit(requests=10, seconds=10.0))
REFUSED = attrs.evolve(WORLD, faults=(Fault(kind="refused", value=5.0, ends=20.0),))


def seen(job: Job = JOB, status: str = "completed") -> LipsyncRequest:
    return LipsyncRequest(id=job.id, status=status, created_at=EPOCH)


def result(at: float, request: Any = None, error: Any = None, id: str = JOB.id) -> Result:
    return Result(at=at, id=id, request=request, error=error)


def call(*results: Result, began: float = 0.0, ended: float | None = None, **user: Any) -> Call:
    made = User(**user)
    names = tuple((JOB, OTHER)[target].id for target in made.targets)
    last = results[-1].at if results else began
    return Call(user=made, names=names, began=began, ended=last if ended is None else ended, results=[*results])


def ask(at: float, reply: Any = "good", *, takes: float = 0.1, status: Any = "processing", **more: Any) -> Ask:
    details: dict[str, Any] = {"route": "get", "target": 0, "id": JOB.id, "shown": ((0, status),)}
    return Ask(at=at, answered=at + takes, reply=reply, **(details | more))


def status_error(kind: Any, status: int, id: str = JOB.id) -> Any:
    path = f"/v1/lipsync/requests/{id}"
    return kind("broken", status=status, message="broken", headers={}, body=None, method="GET", path=path)


def wait_error(kind: Any, *, last: Any = None, last_error: Any = None, elapsed: float = 5.0, id: str = JOB.id) -> Any:
    return kind("no", id=id, last=last, elapsed=elapsed, polls=1, last_error=last_error)


POLLS = [ask(float(second)) for second in range(10)]
SUBMITTED = World(submits=(Submit(),))


def submission(**more: Any) -> Submission:
    return Submission(submit=Submit(), number=0, began=0.0, ended=1.0, **more)


OWN = Started(id=JOB.id, owner=0, at=0.0)
TWICE = Started(id=OTHER.id, owner=0, at=1.0)
FOREIGN = Started(id=JOB.id, owner=1, at=0.0)

BAD: list[tuple[Invariant, World, Trace]] = [
    (true_state, WORLD, Trace(calls=[call(result(11.0, seen(status="processing")))])),
    (true_state, WORLD, Trace(calls=[call(result(11.0, seen(OTHER)))])),
    (true_state, WORLD, Trace(calls=[call(result(5.0, seen()))])),
    (true_state, WORLD, Trace(calls=[call(result(11.0, seen(status="failed")))])),
    (
        true_state,
        WORLD,
        Trace(calls=[call(result(9.0, seen(status="processing")), began=9.0, call="get_many")], asks=[ask(8.9)]),
    ),
    (
        true_state,
        WORLD,
        Trace(calls=[call(result(1.0, seen(status="processing")), result(2.0, seen(status="queued")), call="watch")]),
    ),
    (in_time, WORLD, Trace(calls=[call(result(13.0, seen()))])),
    (
        in_time,
        attrs.evolve(WORLD, faults=(Fault(kind="reset", ends=15.0),)),
        Trace(calls=[call(result(29.0, seen()))]),
    ),
    (
        after_a_nudge,
        attrs.evolve(WORLD, habits=Habits(least=60.0, most=60.0), nudges=(Nudge(at=11.0, target=0),)),
        Trace(calls=[call(result(13.0, seen()))]),
    ),
    (no_poll_is_skipped, WORLD, Trace(calls=[call(result(11.0, seen()))], asks=[*POLLS[:3], *POLLS[6:]])),
    (first_read_in_time, WORLD, Trace(calls=[call(result(11.0, seen()))], asks=POLLS[4:])),
    (
        refusals_are_not_prolonged,
        REFUSED,
        Trace(calls=[call(result(40.0, seen()))], asks=[ask(0.0, "refused"), ask(35.0)]),
    ),
    (refusals_are_not_prolonged, REFUSED, Trace(calls=[call(result(40.0, seen()))], asks=[ask(0.0, "refused")])),
    (every_call_returns, WORLD, Trace(held="at 1 s more than 1000 steps")),
    (every_call_returns, WORLD, Trace(calls=[Call(user=User(), names=(JOB.id,), began=0.0)])),
    (every_call_returns, SUBMITTED, Trace(submissions=[Submission(submit=Submit(), number=0)])),
    (each_once, WORLD, Trace(calls=[call(result(11.0, seen()), call="wait_all", targets=(0, 1))])),
    (each_once, WORLD, Trace(calls=[call(result(11.0, seen()), result(11.0, seen()), call="as_finished")])),
    (
        each_once,
        WORLD,
        Trace(calls=[call(result(11.0, seen(), id=OTHER.id), result(11.0, seen()), call="wait_all", targets=(0, 1))]),
    ),
    (deadlines, WORLD, Trace(calls=[call(ended=6.2, timeout=5.0)])),
    (deadlines, WORLD, Trace(calls=[call(ended=21.2, timeout=0.0)])),
    (deadlines, WORLD, Trace(calls=[call(result(3.0, error=wait_error(WaitTimeoutError)), timeout=5.0)])),
    (few_requests, WORLD, Trace(calls=[call(result(10.5, seen()))], asks=[ask(0.4 * n) for n in range(26)])),
    (
        few_requests,
        WORLD,
        Trace(calls=[call(result(1.0, seen()), call="get_many")], asks=[ask(0.1 * n) for n in range(15)]),
    ),
    (no_storm, WORLD, Trace(calls=[call(result(10.5, seen()))], asks=[ask(2.0 + 0.04 * n) for n in range(20)])),
    (keeps_below_a_limit, LIMITED, Trace(calls=[call()], asks=[ask(0.1 * n, "refused") for n in range(80)])),
    (
        keeps_below_a_limit,
        World(
            jobs=tuple(attrs.evolve(JOB, number=n, is_listed=False) for n in range(40)),
            users=(User(),),
            limit=Limit(requests=10, seconds=10.0),
        ),
        Trace(
            calls=[Call(user=User(call="wait_all", targets=(*range(40),)), names=("",) * 40, began=0.0, ended=500.0)],
            asks=[ask(5.0 * n) for n in range(60)],
        ),
    ),
    (
        patience_is_its_own,
        attrs.evolve(WORLD, habits=Habits(page=1.5)),
        Trace(
            calls=[call(result(60.0, seen()))],
            asks=[ask(2.0 * n, "hang", route="list", patience=1.0, delay=1.5, takes=1.0) for n in range(5)],
        ),
    ),
    (nothing_left, WORLD, Trace(left_over=["a task"])),
    (nothing_left, WORLD, Trace(kept=[(500, 1)])),
    (rate_is_kept, attrs.evolve(WORLD, habits=Habits(max_rate=2.0)), Trace(asks=[ask(0.2 * n) for n in range(5)])),
    (rate_is_kept, attrs.evolve(WORLD, habits=Habits(max_rate=2.0)), Trace(asks=[ask(0.45 * n) for n in range(30)])),
    (each_read_is_wanted, WORLD, Trace(asks=[ask(1.0, is_wanted=False)])),
    (errors_are_true, WORLD, Trace(calls=[attrs.evolve(call(), raised=RuntimeError())])),
    (errors_are_true, WORLD, Trace(calls=[call(result(1.0, error=status_error(InternalServerError, 500)))])),
    (
        errors_are_true,
        WORLD,
        Trace(calls=[call(result(6.0, error=status_error(NotFoundError, 404)))], asks=[ask(0.0, "gateway")]),
    ),
    (errors_are_true, WORLD, Trace(calls=[call(result(5.0, error=wait_error(WaitTimeoutError)))])),
    (
        errors_are_true,
        WORLD,
        Trace(calls=[call(result(5.0, error=wait_error(WaitTimeoutError, id=OTHER.id)), timeout=5.0)]),
    ),
    (
        errors_are_true,
        WORLD,
        Trace(calls=[call(result(5.0, error=wait_error(WaitTimeoutError, elapsed=3.0)), timeout=5.0)]),
    ),
    (
        errors_are_true,
        WORLD,
        Trace(
            calls=[
                call(
                    result(
                        5.0,
                        error=wait_error(
                            WaitTimeoutError, last_error=status_error(InternalServerError, 500, OTHER.id)
                        ),
                    ),
                    timeout=5.0,
                )
            ]
        ),
    ),
    (
        errors_are_true,
        WORLD,
        Trace(calls=[call(result(130.0, error=wait_error(WaitUnreachableError, elapsed=130.0)))]),
    ),
    (
        errors_are_true,
        WORLD,
        Trace(
            calls=[call(result(130.0, error=wait_error(WaitUnreachableError, elapsed=130.0)))],
            asks=[ask(40.0), ask(50.0, "status")],
        ),
    ),
    (
        errors_are_true,
        WORLD,
        Trace(calls=[call(result(1.0, error=status_error(RateLimitError, 429)), call="get_many")], asks=[ask(0.5)]),
    ),
    (paid_once, SUBMITTED, Trace(submissions=[submission(request_id=JOB.id)], started=[FOREIGN])),
    (paid_once, SUBMITTED, Trace(submissions=[submission(request_id=JOB.id)], started=[OWN, TWICE])),
    (
        paid_once,
        SUBMITTED,
        Trace(submissions=[submission(error=status_error(InternalServerError, 500))], started=[OWN]),
    ),
    (paid_once, SUBMITTED, Trace(submissions=[submission(error=RuntimeError())])),
]

GOOD = Trace(
    asks=[*POLLS, ask(10.0, status="completed")],
    calls=[call(result(10.1, seen()))],
    kept=[(10, 2), (0, 0)],
)


@pytest.mark.parametrize(("invariant", "world", "trace"), BAD, ids=lambda value: getattr(value, "__name__", ""))
def test_a_trace_that_violates_it_is_told_of(invariant: Invariant, world: World, trace: Trace) -> None:
    assert [*invariant(world, trace)]


@pytest.mark.parametrize("invariant", INVARIANTS, ids=lambda value: value.__name__)
def test_a_trace_as_it_should_be_is_not(invariant: Invariant) -> None:
    assert [*invariant(WORLD, GOOD)] == []


def test_each_invariant_is_among_those_shown() -> None:
    assert {invariant for invariant, _, _ in BAD} == set(INVARIANTS)


@pytest.mark.parametrize(("refusals", "is_true"), [((10,), True), ((9,), False), ((5, 5), False), ((3, 10), True)])
def test_a_429_ends_what_is_left_of_get_many_after_ten_in_a_row(refusals: tuple[int, ...], is_true: bool) -> None:
    refused = call(result(20.0, error=status_error(RateLimitError, 429, OTHER.id)), call="get_many")
    replies = [reply for count in refusals for reply in [*["refused"] * count, "good"]][:-1]
    asks = [ask(float(number), reply) for number, reply in enumerate(replies)]
    assert ([*errors_are_true(WORLD, Trace(calls=[refused], asks=asks))] == []) is is_true


UNREACHABLE_AT = 125.0
FAILS_AND_COMES_BACK = [*POLLS[:2], *(ask(float(at), "status") for at in range(2, 125, 3)), ask(200.0)]


@pytest.mark.parametrize(("elapsed", "is_true"), [(UNREACHABLE_AT, True), (60.0, False), (201.0, False)])
def test_an_error_of_wait_all_is_judged_by_what_was_known_when_it_arose(elapsed: float, is_true: bool) -> None:
    late = call(
        result(201.0, error=wait_error(WaitUnreachableError, elapsed=elapsed)),
        result(201.0, seen(OTHER), id=OTHER.id),
        call="wait_all",
        targets=(0, 1),
    )
    found = [*errors_are_true(WORLD, Trace(calls=[late], asks=FAILS_AND_COMES_BACK))]
    assert (found == []) is is_true


UNCERTAIN = SubmissionUncertainError("perhaps", reference_id="name")


@pytest.mark.parametrize(
    ("made", "started"),
    [
        (submission(request_id=JOB.id), [OWN]),
        (submission(error=UNCERTAIN), [OWN, TWICE]),
        (submission(error=UNCERTAIN), []),
        (submission(error=status_error(InternalServerError, 500)), []),
    ],
)
def test_submissions_as_they_should_be_are_not(made: Submission, started: list[Started]) -> None:
    assert [*paid_once(SUBMITTED, Trace(submissions=[made], started=started))] == []


# 11

Compared = Callable[[Call, Call], list[str]]


def compared(shared: Call, alone: Call, world: World = WORLD) -> list[str]:
    return [violation.text for violation in hurt(world, [(shared, 0)], [alone])]


@pytest.mark.parametrize("kind", [WaitTimeoutError, WaitUnreachableError])
def test_an_error_where_alone_there_is_a_job_is_told_of(kind: Any) -> None:
    assert compared(call(result(60.0, error=wait_error(kind)), timeout=60.0), call(result(10.5, seen())))


def test_a_job_that_is_known_late_is_told_of() -> None:
    assert compared(call(result(12.7, seen())), call(result(10.5, seen())))


def test_a_job_that_was_never_read_is_told_of() -> None:
    unread = result(9.0, error=wait_error(WaitTimeoutError))
    read = result(9.0, error=wait_error(WaitTimeoutError, last=seen(status="processing")))
    assert compared(call(unread, timeout=9.0), call(read, timeout=9.0))
    assert not compared(call(read, timeout=9.0), call(unread, timeout=9.0))


def test_a_job_that_is_known_as_soon_is_not() -> None:
    assert not compared(call(result(10.5, seen())), call(result(10.5, seen())))
    assert not compared(call(result(11.9, seen())), call(result(10.5, seen())))


def test_what_a_rate_needs_is_allowed() -> None:
    slow = attrs.evolve(WORLD, habits=Habits(max_rate=1.0))
    assert not compared(call(result(14.0, seen())), call(result(10.5, seen())), slow)
    assert compared(call(result(16.0, seen())), call(result(10.5, seen())), slow)


def test_a_deadline_before_the_allowed_time_excuses() -> None:
    ours = call(result(11.0, error=wait_error(WaitTimeoutError)), timeout=11.0)
    assert not compared(ours, call(result(10.5, seen()), timeout=11.0))


@pytest.mark.parametrize(
    ("ordered", "last_error", "is_excused"),
    [(30.0, RateLimitError, True), (29.0, RateLimitError, False), (30.0, InternalServerError, False)],
)
def test_an_error_is_excused_where_one_429_orders_a_pause_as_long_as_the_outage_budget(
    ordered: float, last_error: Any, is_excused: bool
) -> None:
    limit = Limit(requests=10, seconds=10.0, retry_after=ordered)
    world = attrs.evolve(WORLD, habits=Habits(outage_budget=30.0), limit=limit)
    error = wait_error(WaitUnreachableError, last_error=status_error(last_error, 429))
    found = compared(call(result(36.0, error=error)), call(result(10.5, seen())), world)
    assert (found == []) is is_excused
