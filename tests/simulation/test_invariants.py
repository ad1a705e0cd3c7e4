"""Each invariant reports a trace that violates it, and nothing about one that does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
import pytest

from chamelaion_async import LipsyncRequest, SubmissionUncertainError, WaitTimeoutError, WaitUnreachableError
from tests.support.api import EPOCH
from tests.support.errors import status_error

from . import invariants as the
from .dominance import worse_than_alone
from .invariants import Invariant
from .trace import Call, Received, Result, Started, Submission, Trace
from .world import Fault, Job, Limit, Nudge, Settings, Submit, User, World

JOB: Final = Job(number=0, reference="name-0", ended=10.0)
OTHER: Final = Job(number=1, reference="name-1", ended=10.0)
WORLD: Final = World(jobs=(JOB, OTHER), users=(User(),))
LIMITED: Final = attrs.evolve(WORLD, limit=Limit(requests=10, seconds=10.0))
REFUSED: Final = attrs.evolve(WORLD, faults=(Fault(kind="refused", value=5.0, ends=20.0),))
UNLISTED: Final = tuple(attrs.evolve(JOB, number=n, is_listed=False) for n in range(40))


def with_settings(**settings: Any) -> World:
    return attrs.evolve(WORLD, settings=Settings(**settings))


def seen(job: Job = JOB, status: str = "completed") -> LipsyncRequest:
    return LipsyncRequest(id=job.id, status=status, created_at=EPOCH)


def result(at: float, request: Any = None, error: Any = None, id: str = JOB.id) -> Result:
    return Result(at=at, id=id, request=request, error=error)


def call(*results: Result, began: float = 0.0, ended: float | None = None, **user: Any) -> Call:
    made = User(**user)
    names = tuple((JOB, OTHER)[target].id for target in made.targets)
    last = results[-1].at if results else began
    return Call(user=made, names=names, began=began, ended=last if ended is None else ended, results=[*results])


def traced(*results: Result, received: Sequence[Received] = (), **details: Any) -> Trace:
    """A trace of one call."""
    return Trace(calls=[call(*results, **details)], received=[*received])


def read(at: float, reply: Any = "good", *, takes: float = 0.1, status: Any = "processing", **more: Any) -> Received:
    details: dict[str, Any] = {"route": "get", "target": 0, "id": JOB.id, "shown": ((0, status),)}
    return Received(at=at, answered=at + takes, reply=reply, **(details | more))


def answered(status: int, id: str = JOB.id) -> Any:
    return status_error(status, path=f"/v1/lipsync/requests/{id}")


def failed(at: float, status: int, id: str = JOB.id) -> Result:
    return result(at, error=answered(status, id))


def ended(at: float, kind: Any, *, last: Any = None, last_error: Any = None, id: str = JOB.id, **more: Any) -> Result:
    """A wait that ended with an error."""
    details = {"elapsed": at, "polls": 1, "last": last, "last_error": last_error, **more}
    return result(at, error=kind("no", id=id, **details))


POLLS = [read(float(second)) for second in range(10)]
SUBMITTED = World(submits=(Submit(),))
DONE = result(11.0, seen())


def submitted(*started: Started, **more: Any) -> Trace:
    made = Submission(submit=Submit(), number=0, began=0.0, ended=1.0, **more)
    return Trace(submissions=[made], started=[*started])


OWN = Started(id=JOB.id, owner=0, at=0.0)
TWICE = Started(id=OTHER.id, owner=0, at=1.0)
FOREIGN = Started(id=JOB.id, owner=1, at=0.0)
ALL = User(call="wait_all", targets=(*range(40),))

BAD: Mapping[Invariant, Sequence[tuple[World, Trace]]] = {
    the.true_state: [
        (WORLD, traced(result(11.0, seen(status="processing")))),
        (WORLD, traced(result(11.0, seen(OTHER)))),
        (WORLD, traced(result(5.0, seen()))),
        (WORLD, traced(result(11.0, seen(status="failed")))),
        (WORLD, traced(result(9.0, seen(status="processing")), began=9.0, call="get_many", received=[read(8.9)])),
        (WORLD, traced(result(1.0, seen(status="processing")), result(2.0, seen(status="queued")), call="watch")),
    ],
    the.in_time: [
        (WORLD, traced(result(13.0, seen()))),
        (attrs.evolve(WORLD, faults=(Fault(kind="reset", ends=15.0),)), traced(result(29.0, seen()))),
    ],
    the.after_a_nudge: [
        (
            attrs.evolve(with_settings(min_interval=60.0, max_interval=60.0), nudges=(Nudge(at=11.0, target=0),)),
            traced(result(13.0, seen())),
        )
    ],
    the.no_poll_is_skipped: [(WORLD, traced(DONE, received=[*POLLS[:3], *POLLS[6:]]))],
    the.first_read_in_time: [(WORLD, traced(DONE, received=POLLS[4:]))],
    the.refusals_are_not_prolonged: [
        (REFUSED, traced(result(40.0, seen()), received=[read(0.0, "refused"), read(35.0)])),
        (REFUSED, traced(result(40.0, seen()), received=[read(0.0, "refused")])),
    ],
    the.every_call_returns: [
        (WORLD, Trace(stuck="at 1 s more than 1000 steps")),
        (WORLD, Trace(calls=[Call(user=User(), names=(JOB.id,), began=0.0)])),
        (SUBMITTED, Trace(submissions=[Submission(submit=Submit(), number=0)])),
    ],
    the.each_once: [
        (WORLD, traced(DONE, call="wait_all", targets=(0, 1))),
        (WORLD, traced(DONE, DONE, call="as_finished")),
        (WORLD, traced(result(11.0, seen(), id=OTHER.id), DONE, call="wait_all", targets=(0, 1))),
    ],
    the.deadlines: [
        (WORLD, traced(ended=6.2, timeout=5.0)),
        (WORLD, traced(ended=21.2, timeout=0.0)),
        (WORLD, traced(ended(3.0, WaitTimeoutError), timeout=5.0)),
    ],
    the.few_requests: [
        (WORLD, traced(result(10.5, seen()), received=[read(0.4 * n) for n in range(26)])),
        (WORLD, traced(result(1.0, seen()), call="get_many", received=[read(0.1 * n) for n in range(15)])),
    ],
    the.no_storm: [(WORLD, traced(result(10.5, seen()), received=[read(2.0 + 0.04 * n) for n in range(20)]))],
    the.keeps_below_a_limit: [
        (LIMITED, traced(received=[read(0.1 * n, "refused") for n in range(80)])),
        (
            attrs.evolve(LIMITED, jobs=tuple(attrs.evolve(job, ended=600.0) for job in UNLISTED)),
            Trace(
                calls=[Call(user=ALL, names=("",) * 40, began=0.0, ended=500.0)],
                received=[read(5.0 * n) for n in range(60)],
            ),
        ),
    ],
    the.pages_are_not_cut_short: [
        (
            with_settings(page_seconds=1.5),
            traced(
                result(60.0, seen()),
                received=[read(2.0 * n, "hang", route="list", timeout=1.0, delay=1.5, takes=1.0) for n in range(5)],
            ),
        )
    ],
    the.nothing_left: [(WORLD, Trace(leftovers=["a task"])), (WORLD, Trace(held_names=[(500, 1)]))],
    the.rate_is_kept: [
        (with_settings(max_rate=2.0), Trace(received=[read(0.2 * n) for n in range(5)])),
        (with_settings(max_rate=2.0), Trace(received=[read(0.45 * n) for n in range(30)])),
    ],
    the.each_read_is_awaited: [(WORLD, Trace(received=[read(1.0, is_awaited=False)]))],
    the.errors_are_true: [
        (WORLD, Trace(calls=[attrs.evolve(call(), raised=RuntimeError())])),
        (WORLD, traced(failed(1.0, 500))),
        (WORLD, traced(failed(6.0, 404), received=[read(0.0, "gateway")])),
        (WORLD, traced(ended(5.0, WaitTimeoutError))),
        (WORLD, traced(ended(5.0, WaitTimeoutError, id=OTHER.id), timeout=5.0)),
        (WORLD, traced(ended(5.0, WaitTimeoutError, elapsed=3.0), timeout=5.0)),
        (WORLD, traced(ended(5.0, WaitTimeoutError, last_error=answered(500, OTHER.id)), timeout=5.0)),
        (WORLD, traced(ended(130.0, WaitUnreachableError))),
        (WORLD, traced(ended(130.0, WaitUnreachableError), received=[read(40.0), read(50.0, "status")])),
        (WORLD, traced(failed(1.0, 429), call="get_many", received=[read(0.5)])),
    ],
    the.paid_once: [
        (SUBMITTED, submitted(FOREIGN, request_id=JOB.id)),
        (SUBMITTED, submitted(OWN, TWICE, request_id=JOB.id)),
        (SUBMITTED, submitted(OWN, error=answered(500))),
        (SUBMITTED, submitted(error=RuntimeError())),
    ],
}
BAD_TRACES = [
    pytest.param(invariant, *bad, id=f"{invariant.__name__}-{number}")
    for invariant, cases in BAD.items()
    for number, bad in enumerate(cases)
]
GOOD = attrs.evolve(
    traced(result(10.1, seen()), received=[*POLLS, read(10.0, status="completed")]), held_names=[(10, 2), (0, 0)]
)


@pytest.mark.parametrize(("invariant", "world", "trace"), BAD_TRACES)
def test_an_invariant_reports_a_trace_that_violates_it(invariant: Invariant, world: World, trace: Trace) -> None:
    assert [*invariant(world, trace)]


@pytest.mark.parametrize("invariant", the.INVARIANTS, ids=lambda value: value.__name__)
def test_an_invariant_reports_nothing_about_a_good_trace(invariant: Invariant) -> None:
    assert [*invariant(WORLD, GOOD)] == []


def test_each_invariant_has_a_trace_that_violates_it() -> None:
    assert BAD.keys() == set(the.INVARIANTS)


@pytest.mark.parametrize(("refusals", "is_true"), [((10,), True), ((9,), False), ((5, 5), False), ((3, 10), True)])
def test_a_429_ends_what_is_left_of_get_many_after_ten_in_a_row(refusals: tuple[int, ...], is_true: bool) -> None:
    replies = [reply for count in refusals for reply in [*["refused"] * count, "good"]][:-1]
    reads = [read(float(number), reply) for number, reply in enumerate(replies)]
    trace = traced(failed(20.0, 429, OTHER.id), call="get_many", received=reads)
    assert ([*the.errors_are_true(WORLD, trace)] == []) is is_true


@pytest.mark.parametrize(("takes", "is_true"), [(60.0, True), (0.1, False)])
def test_a_get_that_goes_on_for_longer_than_a_wait_allows_has_failed_for_it(takes: float, is_true: bool) -> None:
    world = with_settings(outage_budget=30.0)
    trace = traced(ended(50.0, WaitUnreachableError), received=[read(0.0, takes=takes)])
    assert ([*the.errors_are_true(world, trace)] == []) is is_true


FAILS_AND_RECOVERS = [*POLLS[:2], *(read(float(at), "status") for at in range(2, 125, 3)), read(200.0)]


@pytest.mark.parametrize(("elapsed", "is_true"), [(125.0, True), (60.0, False), (201.0, False)])
def test_an_error_of_wait_all_is_checked_against_what_was_known_when_it_arose(elapsed: float, is_true: bool) -> None:
    late = ended(201.0, WaitUnreachableError, elapsed=elapsed)
    other = result(201.0, seen(OTHER), id=OTHER.id)
    trace = traced(late, other, call="wait_all", targets=(0, 1), received=FAILS_AND_RECOVERS)
    assert ([*the.errors_are_true(WORLD, trace)] == []) is is_true


@pytest.mark.parametrize(
    ("nudge", "received", "is_due"),
    [
        pytest.param(Nudge(at=11.0, target=0), [], True, id="by the id that is waited for"),
        pytest.param(Nudge(at=11.0, target=0, by_reference=True), [], False, id="by a name that no read has shown"),
        pytest.param(Nudge(at=11.0, target=0, by_reference=True), [read(9.0)], True, id="by a name that one has"),
        pytest.param(Nudge(at=11.0, target=0, by_reference=True), [read(10.95)], False, id="before that is answered"),
        pytest.param(Nudge(at=10.0, target=0), [], False, id="at the moment of the end, which a timer may precede"),
    ],
)
def test_a_nudge_is_due_at_once_if_it_comes_after_the_end_and_by_a_name_that_is_known(
    nudge: Nudge, received: Sequence[Received], is_due: bool
) -> None:
    world = attrs.evolve(with_settings(min_interval=60.0, max_interval=60.0), nudges=(nudge,))
    trace = traced(result(15.0, seen()), received=received)
    assert bool([*the.after_a_nudge(world, trace)]) is is_due


UNCERTAIN = SubmissionUncertainError("perhaps", reference_id="name")


@pytest.mark.parametrize(
    "trace",
    [
        submitted(OWN, request_id=JOB.id),
        submitted(OWN, TWICE, error=UNCERTAIN),
        submitted(error=UNCERTAIN),
        submitted(error=answered(500)),
    ],
    ids=["returned", "uncertain with two", "uncertain with none", "failed"],
)
def test_a_submission_may_return_its_own_job_or_raise_a_true_error(trace: Trace) -> None:
    assert [*the.paid_once(SUBMITTED, trace)] == []


UNREAD = ended(9.0, WaitTimeoutError)
READ = ended(9.0, WaitTimeoutError, last=seen(status="processing"))
SLOW = with_settings(max_rate=1.0)
SLOWER = with_settings(max_rate=0.2)


def budgeted(retry_after: float) -> World:
    limit = Limit(requests=10, seconds=10.0, retry_after=retry_after)
    return attrs.evolve(with_settings(outage_budget=30.0), limit=limit)


@pytest.mark.parametrize(
    ("world", "shared", "alone", "timeout", "is_worse"),
    [
        pytest.param(WORLD, ended(60.0, WaitTimeoutError), None, 60.0, True, id="timeout"),
        pytest.param(WORLD, ended(60.0, WaitUnreachableError), None, 60.0, True, id="unreachable"),
        pytest.param(WORLD, result(12.7, seen()), None, None, True, id="late"),
        pytest.param(WORLD, result(11.9, seen()), None, None, False, id="a spacing later"),
        pytest.param(WORLD, result(10.5, seen()), None, None, False, id="as soon"),
        pytest.param(WORLD, UNREAD, READ, 9.0, True, id="never read"),
        pytest.param(WORLD, READ, UNREAD, 9.0, False, id="read more often"),
        pytest.param(SLOW, result(14.0, seen()), None, None, False, id="as late as the rate needs"),
        pytest.param(SLOW, result(16.0, seen()), None, None, True, id="later than the rate needs"),
        pytest.param(WORLD, ended(11.0, WaitTimeoutError), None, 11.0, False, id="deadline before it is due"),
        pytest.param(SLOW, ended(20.0, WaitTimeoutError), None, 0.0, True, id="only poll"),
        pytest.param(SLOWER, ended(20.0, WaitTimeoutError), None, 0.0, False, id="only poll before the rate lets it"),
    ],
)
def test_a_wait_is_worse_than_alone_where_it_knows_less_or_much_later(
    world: World, shared: Result, alone: Result | None, timeout: float | None, is_worse: bool
) -> None:
    ours, theirs = (call(each, timeout=timeout) for each in (shared, alone or result(10.5, seen())))
    assert bool([*worse_than_alone(world, [(ours, 0)], [theirs])]) is is_worse


@pytest.mark.parametrize(
    ("retry_after", "last_status", "is_worse"), [(30.0, 429, False), (29.0, 429, True), (30.0, 500, True)]
)
def test_a_429_that_orders_a_pause_as_long_as_the_outage_budget_may_end_a_shared_wait(
    retry_after: float, last_status: int, is_worse: bool
) -> None:
    ours = call(ended(36.0, WaitUnreachableError, last_error=answered(last_status)))
    found = [*worse_than_alone(budgeted(retry_after), [(ours, 0)], [call(result(10.5, seen()))])]
    assert bool(found) is is_worse
