"""What has to be true of every world, as functions from a world and its trace to what violates it.

The numbers are those of the list in CONTRIBUTING: 1 true, 2 in time, 3 each call returns, 4 each once, 5 deadlines,
6 few requests, 7 nothing left, 8 the rate, 9 each read is wanted, 10 true errors, 11 sharing never hurts
(``dominance``), and "s" for submissions.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import attrs

from chamelaion_async import (
    APIConnectionError,
    APIStatusError,
    ChamelaionError,
    InternalServerError,
    InvalidResponseError,
    NotFoundError,
    RateLimitError,
    SubmissionUncertainError,
    WaitError,
    WaitTimeoutError,
    WaitUnreachableError,
)

from .allowance import (
    SLACK,
    answers_seconds,
    behind_seconds,
    limits_seconds,
    longest_spacing,
    spacing_seconds,
    targets_of,
    troubles,
)
from .trace import Ask, Call, Result, Trace
from .world import World

__all__ = ["INVARIANTS", "Violation", "violations"]

_LEARNS: Final = 8  # requests that may be made for pages before it is known that they are of no use
_KEPT: Final = 40  # places that may hold names when nothing is waited for
_KEPT_FOR_EACH: Final = 16
_SLOWEST: Final = 12.0  # seconds between two requests of a lane that has been refused many times
_REFUSALS: Final = 10  # in a row, after which ``get_many`` gives up what is left
_FINAL: Final = frozenset({"completed", "failed"})  # true however early it was read
_ORDER: Final = ("queued", "processing", "completed", "failed")


@attrs.frozen
class Violation:
    """What is wrong.

    Attributes:
        number: Which invariant it violates.
        text: How.
    """

    number: str
    text: str

    def __str__(self) -> str:
        return f"({self.number}) {self.text}"


Invariant = Callable[[World, Trace], Iterator[Violation]]


def told(trace: Trace) -> Iterator[tuple[Call, int, Result]]:
    """Give each result with its call and its target."""
    for call in trace.calls:
        by_name = dict(zip(call.names, call.user.targets, strict=True))
        for result in call.results:
            yield call, by_name.get(result.id, -1), result


def said(call: Call, result: Result) -> str:
    """Return what a result is, in words."""
    what = result.request.status if result.request is not None else f"{type(result.error).__name__}: {result.error}"
    return f"{call.user.call} of {result.id} from {call.began:.2f} s told at {result.at:.2f} s: {what[:300]}"


# 1


def true_state(world: World, trace: Trace) -> Iterator[Violation]:
    """What is told of a job is true, and final where a wait ends with it."""
    for call, target, result in told(trace):
        request = result.request
        if request is None:
            continue
        if target < 0 or target >= len(world.jobs) or request.id != world.jobs[target].id:
            yield Violation("1", f"{said(call, result)}, of another job {request.id}")
            continue
        job = world.jobs[target]
        if call.user.call in {"wait", "wait_all", "as_finished"}:
            if request.status != job.final or result.at < job.ended:
                yield Violation("1", f"{said(call, result)}, but it is {job.stage(result.at)}")
        elif call.user.call == "get_many" and not _was_answered(trace, target, request.status, call.began, result.at):
            yield Violation("1", f"{said(call, result)}, which no read showed that began after the call")
    for call in trace.calls:
        if call.user.call == "watch":
            ranks = [min(_ORDER.index(r.request.status), 2) for r in call.results if r.request is not None]
            if any(after <= before for before, after in pairwise(ranks)):
                yield Violation("1", f"watch of {call.names[0]} told {ranks}, which does not go on")


def _was_answered(trace: Trace, target: int, status: str, since: float, until: float) -> bool:
    return any(
        ask.reply == "good"
        and (since <= ask.at + 1e-6 or status in _FINAL)
        and ask.answered <= until + 0.01
        and (target, status) in ask.shown
        for ask in trace.asks
    )


# 2


def in_time(world: World, trace: Trace) -> Iterator[Violation]:
    """The end of a job is known soon after it, or after the end of what went wrong."""
    limits = limits_seconds(world)
    for call, target, result in told(trace):
        if result.request is None or call.user.call not in {"wait", "as_finished"}:
            continue
        since = max(world.jobs[target].ended, call.began)
        met = troubles(world, target, call.began, result.at)
        spacing = spacing_seconds(world, target, since) if not met else longest_spacing(world)
        over = max([since, *(fault.ends for fault in met)])
        pending = [world.habits.request_timeout for fault in met if fault.kind == "hang"]
        due = over + spacing + answers_seconds(world, target) + limits + SLACK + max(pending, default=0.0)
        due += behind_seconds(world, spacing)
        if result.at > due:
            yield Violation("2", f"{said(call, result)}; it was over at {since:.2f} s and due at {due:.2f} s")


def after_a_nudge(world: World, trace: Trace) -> Iterator[Violation]:
    """The end of a job is known at once after a nudge."""
    if world.limit is not None or any(fault.kind == "refused" for fault in world.faults):
        return
    for call, target, result in told(trace):
        if result.request is None or call.user.call not in {"wait", "as_finished"}:
            continue
        for nudge in world.nudges:
            is_meant = nudge.target == target and nudge.at >= world.jobs[target].ended
            if not is_meant or not call.began < nudge.at < result.at:
                continue
            due = nudge.at + answers_seconds(world, target) + 1.0 + limits_seconds(world)
            if result.at > due and not troubles(world, target, call.began, result.at):
                yield Violation("2", f"{said(call, result)}, nudged at {nudge.at:.2f} s and due at {due:.2f} s")


def no_poll_is_skipped(world: World, trace: Trace) -> Iterator[Violation]:
    """While one waits for a job and nothing goes wrong, it is read each time a pause is over."""
    if world.limit is not None or world.habits.max_rate is not None or any(f.kind == "refused" for f in world.faults):
        return
    reads: dict[int, list[Ask]] = {}
    for ask in trace.asks:
        if ask.reply == "good":
            for target, _ in ask.shown:
                reads.setdefault(target, []).append(ask)
    for call, target, result in told(trace):
        if result.request is None or call.user.call not in {"wait", "as_finished"}:
            continue
        if troubles(world, target, call.began, result.at):
            continue
        own = [ask for ask in reads.get(target, ()) if call.began <= ask.at <= result.at]
        for before, after in pairwise(own):
            pause = after.at - before.answered
            longest = spacing_seconds(world, target, before.answered) + SLACK + limits_seconds(world)
            longest += answers_seconds(world, target)
            if pause > longest:
                text = f"{said(call, result)}: read at {before.at:.3f} s and not until {after.at:.3f} s"
                yield Violation("2", f"{text}, with at most {longest:.2f} s between polls")
                break


def first_read_in_time(world: World, trace: Trace) -> Iterator[Violation]:
    """What nothing goes wrong with is read for the first time without delay."""
    first: dict[int, list[float]] = {}
    for ask in trace.asks:
        if ask.reply == "good":
            for target, _ in ask.shown:
                first.setdefault(target, []).append(ask.answered)
    limits = limits_seconds(world)
    for call in trace.calls:
        for target in call.user.targets if call.user.leaves is None else ():
            due = call.began + answers_seconds(world, target) + limits + SLACK
            if call.ended < due or target >= len(world.jobs) or troubles(world, target, call.began, due):
                continue
            read = min((at for at in first.get(target, ()) if at >= call.began - 0.001), default=math.inf)
            if min(read, call.ended) > due and not _read_shortly_before(
                first.get(target, ()), call.began, world, target
            ):
                text = f"{call.user.call} of {world.name(target, call.user.by_reference)} from {call.began:.2f} s"
                yield Violation("2", f"{text} read for the first time at {read:.2f} s, due at {due:.2f} s")
                return


def _read_shortly_before(times: Sequence[float], began: float, world: World, target: int) -> bool:
    """Whether others have read it so shortly before that their read will do."""
    return any(began - spacing_seconds(world, target, began) <= at < began for at in times)


def refusals_are_not_prolonged(world: World, trace: Trace) -> Iterator[Violation]:
    """Where a single job is waited for, it is polled again when ``Retry-After`` is over, and no poll is skipped."""
    if world.limit is not None or targets_of(world) != 1 or trace.submissions:
        return
    asks = [ask for ask in trace.asks if ask.route != "post"]
    ordered = max((fault.value for fault in world.faults if fault.kind == "refused"), default=0.0)
    (target,) = {target for user in world.users for target in user.targets}
    longest = max(ordered, longest_spacing(world)) + 2 * answers_seconds(world, target) + SLACK + _SLOWEST
    for place, before in enumerate(asks):
        if before.reply != "refused" or before.route == "list":
            continue
        after = asks[place + 1].at if place + 1 < len(asks) else math.inf
        waiting = [
            call
            for call in trace.calls
            if call.began <= before.answered and min(call.ended, after) > before.answered + longest
        ]
        if waiting:
            text = f"refused at {before.answered:.2f} s for at most {ordered:g} s, and asked again at {after:.2f} s"
            yield Violation("2", text)
            return


# 3


def every_call_returns(world: World, trace: Trace) -> Iterator[Violation]:
    """The loop goes on, and each call returns."""
    if trace.held is not None:
        yield Violation("3", f"the loop was held: {trace.held}")
        return
    for call in trace.calls:
        if call.ended == math.inf:
            yield Violation("3", f"{call.user.call} of {call.names[:3]} did not return by {world.horizon:g} s")
    for submission in trace.submissions:
        if submission.ended == math.inf:
            yield Violation("3", f"submission {submission.number} did not return by {world.horizon:g} s")


# 4


def each_once(world: World, trace: Trace) -> Iterator[Violation]:
    """Each id comes out once, and in the order of the ids where that is promised."""
    for call in trace.calls:
        if call.user.call == "watch" or call.was_left or call.raised is not None or call.ended == math.inf:
            continue
        ids = [result.id for result in call.results]
        expected = list(dict.fromkeys(call.names))
        if call.user.call == "as_finished":
            ids.sort()
            expected.sort()
        if ids != expected:
            odd = [(id, count) for id, count in (Counter(ids) - Counter(expected)).items()]
            lost = [*(Counter(expected) - Counter(ids))]
            yield Violation("4", f"{call.user.call} told too often {odd[:3]}, never {lost[:3]}, or out of order")


# 5


def deadlines(world: World, trace: Trace) -> Iterator[Violation]:
    """A call ends by its deadline and a second, and gives up no earlier."""
    for call in trace.calls:
        timeout = call.user.timeout
        if timeout is None or call.user.call == "get_many" or call.ended == math.inf:
            continue
        grace = 1.0 if timeout else world.habits.request_timeout + limits_seconds(world)
        if call.ended > call.began + timeout + grace + 0.05:
            took = call.ended - call.began
            yield Violation("5", f"{call.user.call} of {call.names[:3]} with timeout={timeout:g} took {took:.2f} s")
        for result in call.results:
            if isinstance(result.error, WaitTimeoutError) and result.at < call.began + timeout - 1.05:
                yield Violation("5", f"{said(call, result)}, before its timeout of {timeout:g} s")


# 6


def few_requests(world: World, trace: Trace) -> Iterator[Violation]:
    """Never more requests than a loop of GETs for each target of each call would make."""
    if not trace.calls:
        return
    asks = [ask for ask in trace.asks if ask.route != "post"]
    most = sum(_polls(world, call, target) for call in trace.calls for target in set(call.user.targets))
    most += _LEARNS + 2 * len(world.nudges)
    if len(asks) > most:
        pages = sum(ask.route == "list" for ask in asks)
        yield Violation("6", f"{len(asks)} requests ({pages} pages) where loops of GETs make at most {most:.0f}")


def _polls(world: World, call: Call, target: int) -> float:
    """Return how often a loop polls at most."""
    if call.user.call == "get_many":
        return 3.0 + 10.0 * (world.limit is not None or any(fault.kind == "refused" for fault in world.faults))
    name = world.name(target, call.user.by_reference)
    known = next((result.at for result in reversed(call.results) if result.id == name), math.inf)
    ended = min(known, call.ended, world.horizon)
    at, polls, habits = call.began, 1.0, world.habits
    has_trouble = bool(troubles(world, target, call.began, ended)) or habits.date != "true" or world.limit is not None
    created = world.jobs[target].created if target < len(world.jobs) else 0.0
    while at < ended:
        at += habits.least if has_trouble else min(max((at - created - 1.0) * 0.09, habits.least), habits.most)
        polls += 1.0
    return polls + 1.0


def no_storm(world: World, trace: Trace) -> Iterator[Violation]:
    """In no second more requests than there are waits to make them, however the service refuses them."""
    asks = [ask for ask in trace.asks if ask.route != "post"]
    for second, count in Counter(int(ask.at) for ask in asks).items():
        if count <= 8:
            continue
        active = sum(
            len(set(call.user.targets)) for call in trace.calls if call.began < second + 1 and call.ended >= second
        )
        nudged = sum(int(nudge.at) in {second - 1, second} for nudge in world.nudges)
        most = active * (1.0 / world.habits.least + 5.0) + 2 * nudged + 8
        if count > most:
            yield Violation("6", f"{count} requests in the second from {second} s on, with {active} waited for")
            return


def keeps_below_a_limit(world: World, trace: Trace) -> Iterator[Violation]:
    """Where the service limits the rate, few requests are refused, and what it allows is made use of."""
    limit = world.limit
    if limit is None or not trace.asks or any(fault.kind == "refused" for fault in world.faults):
        return
    refused = sum(ask.reply == "refused" for ask in trace.asks)
    most = 40 + 2 * limit.requests + 0.08 * len(trace.asks)
    if refused > most:
        yield Violation("6", f"{refused} of {len(trace.asks)} requests refused, with a limit of {_said_limit(world)}")
    if limit.retry_after > limit.seconds:
        return  # what it orders keeps the client from using it
    # From the third minute on, in each minute in which those who wait would use more than there is.
    allowed = limit.requests / limit.seconds * 60.0
    last = min(int(min(trace.asks[-1].at, world.horizon) // 60), 20)
    for minute in range(2, last):
        begins = minute * 60.0
        open_gets = sum(
            result_is_open(call, target, begins + 60.0, world)
            for call in trace.calls
            for target in call.user.targets
            if call.began <= begins and not _may_be_on_a_page(world, call, target)
        )
        if open_gets / longest_spacing(world) < 1.5 * limit.requests / limit.seconds:
            continue
        within = [ask for ask in trace.asks if begins <= ask.at < begins + 60.0]
        good = sum(ask.reply != "refused" for ask in within)
        refused = len(within) - good
        if good < 0.3 * allowed or refused > 0.06 * len(within) + 3:
            text = f"in minute {minute + 1} {good} requests let through and {refused} refused"
            yield Violation("6", f"{text}, with a limit of {_said_limit(world)} and {open_gets} waited for")
            return


def _may_be_on_a_page(world: World, call: Call, target: int) -> bool:
    if target >= len(world.jobs):
        return False
    return world.jobs[target].is_listed


def result_is_open(call: Call, target: int, at: float, world: World) -> bool:
    """Whether a target of a call was not known yet at a time."""
    if call.ended < at:
        return False
    name = world.name(target, call.user.by_reference)
    return not any(result.id == name and result.at < at for result in call.results)


def _said_limit(world: World) -> str:
    limit = world.limit
    assert limit is not None
    return f"{limit.requests} in {limit.seconds:g} s"


def patience_is_its_own(world: World, trace: Trace) -> Iterator[Violation]:
    """Pages that others have time for are not given up, one after another, for one who has little time left."""
    pages = [ask for ask in trace.asks if ask.route == "list"]
    given_up = [
        ask
        for ask in pages
        if ask.reply == "hang"
        and ask.patience < ask.delay < world.habits.request_timeout
        and _has_patience(trace, ask)
    ]
    if len(given_up) >= 5 and len(given_up) > 0.2 * len(pages):
        ask = given_up[0]
        text = f"{len(given_up)} of {len(pages)} pages were given up before their time; the one at {ask.at:.2f} s"
        yield Violation("6", f"{text} after {ask.patience:.2f} s, where a page takes {ask.delay:.2f} s")


def _has_patience(trace: Trace, ask: Ask) -> bool:
    """Whether anyone who waits has the time for a page that was given up."""
    over = ask.at + ask.delay
    return any(
        call.began <= ask.at
        and call.ended > over
        and (not call.user.timeout or call.began + call.user.timeout > over)
        for call in trace.calls
    )


# 7


def nothing_left(world: World, trace: Trace) -> Iterator[Violation]:
    """When all have what they want, nothing goes on, and nothing is kept that no call waits for."""
    for thing in trace.left_over:
        yield Violation("7", f"left over: {thing}")
    for kept, wanted in trace.kept:
        if kept > _KEPT + _KEPT_FOR_EACH * wanted:
            yield Violation("7", f"names kept in {kept} places, with {wanted} waits and jobs")
            return


# 8


def rate_is_kept(world: World, trace: Trace) -> Iterator[Violation]:
    """In each window of a second and of ten, no more requests of a lane than ``max_rate`` allows."""
    rate = world.habits.max_rate
    if rate is None:
        return
    for is_post in (False, True):
        times = [ask.at for ask in trace.asks if (ask.route == "post") is is_post]
        for window in (1.0, 10.0):
            within: deque[float] = deque()
            for at in times:
                within.append(at)
                while within[0] <= at - window:
                    within.popleft()
                if len(within) > rate * window * 1.002 + 1.5:
                    text = f"{len(within)} requests in the {window:g} s to {at:.2f} s"
                    yield Violation("8", f"{text}, with max_rate={rate:g}")
                    return


# 9


def each_read_is_wanted(world: World, trace: Trace) -> Iterator[Violation]:
    """What is read was waited for at that moment."""
    for ask in trace.asks:
        if not ask.is_wanted:
            yield Violation("9", f"{ask.route} {ask.id} at {ask.at:.2f} s, which no call was waiting for")
            return


# 10


def errors_are_true(world: World, trace: Trace) -> Iterator[Violation]:
    """Only documented errors come, each where it is true and about its own id."""
    for call in trace.calls:
        if call.raised is not None:
            kind = type(call.raised).__name__
            yield Violation("10", f"{call.user.call} of {call.names[:3]} raised {kind}: {call.raised}")
    for call, target, result in told(trace):
        error = result.error
        if error is not None:
            wrong = _untrue(world, trace, call, target, result, error)
            if wrong:
                yield Violation("10", f"{said(call, result)}; {wrong}")


def _untrue(
    world: World, trace: Trace, call: Call, target: int, result: Result, error: ChamelaionError
) -> str | None:
    if (
        call.user.call == "get_many"
        and isinstance(error, RateLimitError)
        and _was_refused_for_long(trace, call, result)
    ):
        return None
    own = {result.id, *_ids_of(world, target)}
    about: Any = error.last_error if isinstance(error, WaitError) else error
    if about is not None and not _is_about(about, own):
        return f"it is about {getattr(about, 'path', about)}"
    number = target if 0 <= target < len(world.jobs) else -2
    # ``wait_all`` tells of all at once, and of an error long after it arose.
    at = call.began + error.elapsed if call.user.call == "wait_all" and isinstance(error, WaitError) else result.at
    reads = [ask for ask in trace.asks if ask.route == "get" and ask.target == number and ask.answered <= at + 0.01]
    if isinstance(error, NotFoundError):
        missing = any(ask.reply == "missing" for ask in reads)
        return None if missing else "the service never said so"
    if call.user.call == "get_many":
        documented = (APIConnectionError, InternalServerError, RateLimitError, InvalidResponseError)
        if isinstance(error, documented) or (isinstance(error, APIStatusError) and error.status == 408):
            failed = any(ask.reply != "good" and ask.at >= call.began - 1e-6 for ask in reads)
            return None if failed else "no read of it has failed"
        return "which is not documented"
    if isinstance(error, WaitTimeoutError):
        return "without a timeout" if call.user.timeout is None else _wrongly_told(error, call, result)
    if isinstance(error, WaitUnreachableError):
        budget, slack = world.habits.outage_budget, 1.0
        shown = [
            ask
            for ask in trace.asks
            if ask.reply == "good" and ask.answered <= at and any(t == target for t, _ in ask.shown)
        ]
        # Only a GET can tell which job a reference means, so before the first one a page says nothing of it.
        known = min((ask.at for ask in shown if ask.id == result.id and ask.at >= call.began), default=math.inf)
        good = [ask.at for ask in shown if ask.at >= known or not call.user.by_reference]
        if behind_seconds(world, 1.0):
            good = [ask.at for ask in shown if ask.route == "get"]  # what is behind is no good read
        last = max([good_at for good_at in good if call.began <= good_at <= at], default=-math.inf)
        failed_since = [ask.at for ask in reads if ask.reply not in {"good", "left"} and ask.at > last]
        if not failed_since:
            return "no read of it had failed since the last good one"
        if min(failed_since) > at - budget + slack:
            return f"the first failed read since the last good one began at {min(failed_since):.2f} s"
        return _wrongly_told(error, call, result)
    return "which is not documented"


def _was_refused_for_long(trace: Trace, call: Call, result: Result) -> bool:
    """Whether so many GETs in a row were refused that ``get_many`` ends all that is left with the last refusal."""
    in_a_row = 0
    for ask in sorted(trace.asks, key=lambda ask: ask.answered):
        if ask.at < call.began - 1e-6 or ask.answered > result.at + 0.01:
            continue
        if ask.reply == "good":
            in_a_row = 0
        in_a_row += ask.reply == "refused" and ask.route == "get"
        if in_a_row >= _REFUSALS:
            return True
    return False


def _wrongly_told(error: WaitError, call: Call, result: Result) -> str | None:
    if error.id != result.id:
        return f"its id is {error.id}"
    if call.user.call != "wait_all" and abs(error.elapsed - (result.at - call.began)) > 0.1 + 1.0:
        return f"its elapsed is {error.elapsed:.2f}"
    return None


def _ids_of(world: World, target: int) -> set[str]:
    if not 0 <= target < len(world.jobs):
        return set()
    job = world.jobs[target]
    return {job.id} if job.reference is None else {job.id, job.reference}


def _is_about(error: Any, own: set[str]) -> bool:
    path = getattr(error, "path", None)
    if path is None or path.endswith("/requests"):
        return True
    return path.rpartition("/")[2] in own


# s


def paid_once(world: World, trace: Trace) -> Iterator[Violation]:
    """A submission that returns has started one job, the one it returns; one that says it failed has started none."""
    for submission in trace.submissions:
        own = [started.id for started in trace.started if started.owner == submission.number]
        name = f"submission {submission.number} under {submission.submit.reference!r} at {submission.began:.2f} s"
        if submission.request_id is not None:
            if submission.request_id not in own:
                yield Violation("s", f"{name} returned a job that it did not start")
            if len(own) > 1:
                yield Violation("s", f"{name} returned, and started {len(own)} jobs")
        elif submission.error is not None:
            kind = type(submission.error).__name__
            if not isinstance(submission.error, ChamelaionError):
                yield Violation("s", f"{name} raised {kind}: {submission.error}")
            elif own and not isinstance(submission.error, SubmissionUncertainError):
                yield Violation("s", f"{name} raised {kind}, as if no job was started: {submission.error}")


INVARIANTS: Final[tuple[Invariant, ...]] = (
    every_call_returns,
    true_state,
    in_time,
    after_a_nudge,
    no_poll_is_skipped,
    first_read_in_time,
    refusals_are_not_prolonged,
    each_once,
    deadlines,
    few_requests,
    no_storm,
    keeps_below_a_limit,
    patience_is_its_own,
    nothing_left,
    rate_is_kept,
    each_read_is_wanted,
    errors_are_true,
    paid_once,
)


def violations(world: World, trace: Trace) -> list[Violation]:
    """Return what one world violates, without what follows from a loop that was held."""
    if trace.held is not None:
        return [*every_call_returns(world, trace)]
    return [violation for invariant in INVARIANTS for violation in invariant(world, trace)]
