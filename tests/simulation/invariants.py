"""What has to be true of every world, as functions from a world and its trace to what violates it.

1 true, 2 in time, 3 each call returns, 4 each id once, 5 deadlines, 6 few requests, 7 nothing left, 8 the rate, 9
each read is awaited, 10 true errors, 11 no worse than alone (``dominance``), and "s" for submissions.
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
    faults_met,
    limits_seconds,
    longest_spacing,
    spacing_seconds,
    targets_of,
)
from .trace import Call, Received, Result, Trace
from .world import Nudge, World

_EARLY: Final = 0.001  # seconds by which a nudge may come early, as timers do
_FRUITLESS_PAGES: Final = 8  # requests that may be made for pages before it is known that they are of no use
_NAMES: Final = 40  # places that may hold names when nothing is awaited
_NAMES_FOR_EACH: Final = 16
_SLOWEST: Final = 12.0  # seconds between two requests of a lane that has been refused many times
_REFUSALS: Final = 10  # in a row, after which ``get_many`` gives up what is left
_FINAL: Final = frozenset({"completed", "failed"})  # true however early it was read
_ORDER: Final = ("queued", "processing", "completed", "failed")


@attrs.frozen
class Violation:
    """The number of the invariant that is violated, and how."""

    number: str
    text: str

    def __str__(self) -> str:
        return f"({self.number}) {self.text}"


Invariant = Callable[[World, Trace], Iterator[Violation]]


def results(trace: Trace) -> Iterator[tuple[Call, int, Result]]:
    """Give each result with its call and its target."""
    for call in trace.calls:
        by_name = dict(zip(call.names, call.user.targets, strict=True))
        for result in call.results:
            yield call, by_name.get(result.id, -1), result


def ends(trace: Trace) -> Iterator[tuple[Call, int, Result]]:
    """Give each job that came out of a wait at the moment at which its end was known."""
    for call, target, result in results(trace):
        if result.request is not None and call.user.call in {"wait", "as_finished"}:
            yield call, target, result


def shown(call: Call, result: Result) -> str:
    """Return a result in words."""
    what = result.request.status if result.request is not None else f"{type(result.error).__name__}: {result.error}"
    return f"{call.user.call} of {result.id} from {call.began:.2f} s gave at {result.at:.2f} s: {what[:300]}"


def true_state(world: World, trace: Trace) -> Iterator[Violation]:
    """What comes out about a job is true, and final where a wait ends with it."""
    for call, target, result in results(trace):
        request = result.request
        if request is None:
            continue
        if target < 0 or target >= len(world.jobs) or request.id != world.jobs[target].id:
            yield Violation("1", f"{shown(call, result)}, of another job {request.id}")
            continue
        job = world.jobs[target]
        if call.user.call in {"wait", "wait_all", "as_finished"}:
            if request.status != job.final or result.at < job.ended:
                yield Violation("1", f"{shown(call, result)}, but it is {job.status(result.at)}")
        elif call.user.call == "get_many" and not _was_read(trace, target, request.status, call.began, result.at):
            yield Violation("1", f"{shown(call, result)}, which no read showed that began after the call")
    for call in trace.calls:
        if call.user.call == "watch":
            ranks = [min(_ORDER.index(r.request.status), 2) for r in call.results if r.request is not None]
            if any(after <= before for before, after in pairwise(ranks)):
                yield Violation("1", f"watch of {call.names[0]} gave {ranks}, which does not go on")


def _was_read(trace: Trace, target: int, status: str, since: float, until: float) -> bool:
    return any(
        read.reply == "good"
        and (since <= read.at + 1e-6 or status in _FINAL)
        and read.answered <= until + 0.01
        and (target, status) in read.shown
        for read in trace.received
    )


def in_time(world: World, trace: Trace) -> Iterator[Violation]:
    """The end of a job is known soon after it, or after the end of what went wrong."""
    limits = limits_seconds(world)
    for call, target, result in ends(trace):
        since = max(world.jobs[target].ended, call.began)
        met = faults_met(world, target, call.began, result.at)
        spacing = spacing_seconds(world, target, since) if not met else longest_spacing(world)
        over = max([since, *(fault.ends for fault in met)])
        due = over + spacing + answers_seconds(world, target) + limits + SLACK + behind_seconds(world, spacing)
        due += world.settings.request_timeout * any(fault.kind == "hang" for fault in met)
        if result.at > due:
            yield Violation("2", f"{shown(call, result)}; it was over at {since:.2f} s and due at {due:.2f} s")


def after_a_nudge(world: World, trace: Trace) -> Iterator[Violation]:
    """The end of a job is known at once after a nudge."""
    if _is_limited(world):
        return
    reads = _good_reads(trace)
    for call, target, result in ends(trace):
        for nudge in world.nudges:
            is_meant = nudge.target == target and nudge.at >= world.jobs[target].ended + _EARLY
            if not is_meant or not call.began < nudge.at < result.at:
                continue
            if not _is_known(world, call, nudge, reads.get(target, ())):
                continue
            due = nudge.at + answers_seconds(world, target) + 1.0 + limits_seconds(world)
            if result.at > due and not faults_met(world, target, call.began, result.at):
                yield Violation("2", f"{shown(call, result)}, nudged at {nudge.at:.2f} s and due at {due:.2f} s")


def _is_known(world: World, call: Call, nudge: Nudge, reads: Sequence[Received]) -> bool:
    """Whether a client can know that a nudge means a job that a call waits for: by its name, or by what was read."""
    if world.name(nudge.target, nudge.by_reference) in call.names:
        return True
    known_by = [read for read in reads if read.route == "get" or not call.user.by_reference]
    return any(call.began <= read.at and read.answered < nudge.at - _EARLY for read in known_by)


def _is_limited(world: World) -> bool:
    """Whether the service answers 429."""
    return world.limit is not None or any(fault.kind == "refused" for fault in world.faults)


def no_poll_is_skipped(world: World, trace: Trace) -> Iterator[Violation]:
    """While a call waits for a job and nothing goes wrong, the job is read each time a pause is over."""
    if _is_limited(world) or world.settings.max_rate is not None:
        return
    reads = _good_reads(trace)
    for call, target, result in ends(trace):
        if faults_met(world, target, call.began, result.at):
            continue
        own = [read for read in reads.get(target, ()) if call.began <= read.at <= result.at]
        for before, after in pairwise(own):
            longest = spacing_seconds(world, target, before.answered) + SLACK + limits_seconds(world)
            longest += answers_seconds(world, target)
            if after.at - before.answered > longest:
                text = f"{shown(call, result)}: read at {before.at:.3f} s and not until {after.at:.3f} s"
                yield Violation("2", f"{text}, with at most {longest:.2f} s between polls")
                break


def _good_reads(trace: Trace) -> dict[int, list[Received]]:
    """Return the reads that show each job."""
    found: dict[int, list[Received]] = {}
    for read in trace.received:
        for target, _ in read.shown if read.reply == "good" else ():
            found.setdefault(target, []).append(read)
    return found


def first_read_in_time(world: World, trace: Trace) -> Iterator[Violation]:
    """A job that nothing goes wrong with is read for the first time without delay."""
    reads, limits = _good_reads(trace), limits_seconds(world)
    if world.limit is not None and world.limit.retry_after >= world.settings.outage_budget:
        return  # two 429s in a row end a wait
    for call in trace.calls:
        for target in call.user.targets if call.user.cancelled_at is None else ():
            due = call.began + answers_seconds(world, target) + limits + SLACK
            if call.ended < due or target >= len(world.jobs) or faults_met(world, target, call.began, due):
                continue
            times = [read.answered for read in reads.get(target, ())]
            first = min((at for at in times if at >= call.began - 0.001), default=math.inf)
            if min(first, call.ended) > due and not _read_shortly_before(times, call.began, world, target):
                text = f"{call.user.call} of {world.name(target, call.user.by_reference)} from {call.began:.2f} s"
                yield Violation("2", f"{text} read for the first time at {first:.2f} s, due at {due:.2f} s")
                return


def _read_shortly_before(times: Sequence[float], began: float, world: World, target: int) -> bool:
    """Whether others have read it so shortly before that their read will do."""
    return any(began - spacing_seconds(world, target, began) <= at < began for at in times)


def refusals_are_not_prolonged(world: World, trace: Trace) -> Iterator[Violation]:
    """Where one job is waited for, it is polled again when ``Retry-After`` is over, and no poll is skipped."""
    if world.limit is not None or targets_of(world) != 1 or trace.submissions:
        return
    reads = [read for read in trace.received if read.route != "post"]
    ordered = max((fault.value for fault in world.faults if fault.kind == "refused"), default=0.0)
    (target,) = {target for user in world.users for target in user.targets}
    longest = max(ordered, longest_spacing(world)) + 2 * answers_seconds(world, target) + SLACK + _SLOWEST
    for place, before in enumerate(reads):
        if before.reply != "refused" or before.route == "list":
            continue
        after, at = reads[place + 1].at if place + 1 < len(reads) else math.inf, before.answered
        if any(call.began <= at and min(call.ended, after) > at + longest for call in trace.calls):
            yield Violation("2", f"refused at {at:.2f} s for {ordered:g} s at most, polled again at {after:.2f} s")
            return


def every_call_returns(world: World, trace: Trace) -> Iterator[Violation]:
    """The loop makes progress, and each call returns."""
    if trace.stuck is not None:
        yield Violation("3", f"the loop was stuck: {trace.stuck}")
        return
    for call in trace.calls:
        if call.ended == math.inf:
            yield Violation("3", f"{call.user.call} of {call.names[:3]} did not return by {world.horizon:g} s")
    for submission in trace.submissions:
        if submission.ended == math.inf:
            yield Violation("3", f"submission {submission.number} did not return by {world.horizon:g} s")


def each_once(world: World, trace: Trace) -> Iterator[Violation]:
    """Each id comes out once, and in the order of the ids where that is promised."""
    for call in trace.calls:
        if call.user.call == "watch" or call.was_cancelled or call.raised is not None or call.ended == math.inf:
            continue
        ids, expected = [result.id for result in call.results], list(dict.fromkeys(call.names))
        if call.user.call == "as_finished":
            ids, expected = sorted(ids), sorted(expected)
        if ids != expected:
            odd, lost = [*(Counter(ids) - Counter(expected)).items()], [*(Counter(expected) - Counter(ids))]
            yield Violation("4", f"{call.user.call} gave too often {odd[:3]}, never {lost[:3]}, or out of order")


def deadlines(world: World, trace: Trace) -> Iterator[Violation]:
    """A call ends by its deadline and a second, and gives up no earlier."""
    for call in trace.calls:
        timeout = call.user.timeout
        if timeout is None or call.user.call == "get_many" or call.ended == math.inf:
            continue
        grace = 1.0 if timeout else world.settings.request_timeout + limits_seconds(world)
        if call.ended > call.began + timeout + grace + 0.05:
            took = call.ended - call.began
            yield Violation("5", f"{call.user.call} of {call.names[:3]} with timeout={timeout:g} took {took:.2f} s")
        for result in call.results:
            if isinstance(result.error, WaitTimeoutError) and result.at < call.began + timeout - 1.05:
                yield Violation("5", f"{shown(call, result)}, before its timeout of {timeout:g} s")


def few_requests(world: World, trace: Trace) -> Iterator[Violation]:
    """Never more requests than a loop of GETs for each target of each call would make."""
    if not trace.calls:
        return
    reads = [read for read in trace.received if read.route != "post"]
    most = sum(_polls(world, call, target) for call in trace.calls for target in set(call.user.targets))
    most += _FRUITLESS_PAGES + 2 * len(world.nudges)
    if len(reads) > most:
        pages = sum(read.route == "list" for read in reads)
        yield Violation("6", f"{len(reads)} requests ({pages} pages) where loops of GETs make at most {most:.0f}")


def _polls(world: World, call: Call, target: int) -> float:
    """Return how often a loop polls at most."""
    if call.user.call == "get_many":
        return 3.0 + 10.0 * _is_limited(world)
    name = world.name(target, call.user.by_reference)
    known = next((result.at for result in reversed(call.results) if result.id == name), math.inf)
    ended = min(known, call.ended, world.horizon)
    at, polls, settings = call.began, 1.0, world.settings
    is_irregular = bool(faults_met(world, target, call.began, ended)) or world.limit is not None
    is_irregular |= settings.date != "true"
    created = world.jobs[target].created if target < len(world.jobs) else 0.0
    least, most = settings.min_interval, settings.max_interval
    while at < ended:
        at += least if is_irregular else min(max((at - created - 1.0) * 0.09, least), most)
        polls += 1.0
    return polls + 1.0


def no_storm(world: World, trace: Trace) -> Iterator[Violation]:
    """In no second more requests than there are waits to make them, however the service refuses them."""
    counts = Counter(int(read.at) for read in trace.received if read.route != "post")
    for second, count in counts.items():
        if count <= 8:
            continue
        active = sum(
            len(set(call.user.targets)) for call in trace.calls if call.began < second + 1 and call.ended >= second
        )
        nudged = sum(int(nudge.at) in {second - 1, second} for nudge in world.nudges)
        if count > active * (1.0 / world.settings.min_interval + 5.0) + 2 * nudged + 8:
            yield Violation("6", f"{count} requests in the second from {second} s on, with {active} waited for")
            return


def keeps_below_a_limit(world: World, trace: Trace) -> Iterator[Violation]:
    """Where the service limits the rate, few requests are refused, and what it allows is made use of."""
    limit = world.limit
    if limit is None or not trace.received or any(fault.kind == "refused" for fault in world.faults):
        return
    text = f"with a limit of {limit.requests} in {limit.seconds:g} s"
    refused = sum(read.reply == "refused" for read in trace.received)
    if refused > 40 + 2 * limit.requests + 0.08 * len(trace.received):
        yield Violation("6", f"{refused} of {len(trace.received)} requests refused, {text}")
    if limit.retry_after > limit.seconds:
        return  # what it orders keeps the client from using it
    # From the third minute on, in each minute in which the waits would use more than there is.
    allowed = limit.requests / limit.seconds * 60.0
    last = min(int(min(trace.received[-1].at, world.horizon) // 60), 20)
    for minute in range(2, last):
        begins = minute * 60.0
        open_jobs = {
            target
            for call in trace.calls
            if call.began <= begins and call.ended >= begins + 60.0
            for target in call.user.targets
            if target < len(world.jobs) and not world.jobs[target].is_listed
        }
        open_gets = sum(world.jobs[target].ended > begins + 60.0 for target in open_jobs)
        if open_gets / longest_spacing(world) < 1.5 * limit.requests / limit.seconds:
            continue
        within = [read for read in trace.received if begins <= read.at < begins + 60.0]
        good = sum(read.reply != "refused" for read in within)
        refused = len(within) - good
        if good < 0.3 * allowed or refused > 0.06 * len(within) + 3:
            counts = f"in minute {minute + 1} {good} requests let through and {refused} refused"
            yield Violation("6", f"{counts}, {text} and {open_gets} waited for")
            return


def pages_are_not_cut_short(world: World, trace: Trace) -> Iterator[Violation]:
    """Pages that some waits have time for are not given up, one after another, for a wait with little time left."""
    pages = [read for read in trace.received if read.route == "list"]
    given_up = [
        read
        for read in pages
        if read.reply == "hang"
        and read.timeout < read.delay < world.settings.request_timeout
        and any(_has_time_for(call, read) for call in trace.calls)
    ]
    if len(given_up) >= 5 and len(given_up) > 0.2 * len(pages):
        read = given_up[0]
        text = f"{len(given_up)} of {len(pages)} pages were given up before their time; the one at {read.at:.2f} s"
        yield Violation("6", f"{text} after {read.timeout:.2f} s, where a page takes {read.delay:.2f} s")


def _has_time_for(call: Call, page: Received) -> bool:
    """Whether a call that waits could have waited for the answer to a page that was given up."""
    over, timeout = page.at + page.delay, call.user.timeout
    return call.began <= page.at and call.ended > over and (not timeout or call.began + timeout > over)


def nothing_left(world: World, trace: Trace) -> Iterator[Violation]:
    """When all calls have returned, nothing runs, and the client holds no name that no call waits for."""
    for thing in trace.leftovers:
        yield Violation("7", f"left over: {thing}")
    for held, wanted in trace.held_names:
        if held > _NAMES + _NAMES_FOR_EACH * wanted:
            yield Violation("7", f"names held in {held} places, with {wanted} waits and jobs")
            return


def rate_is_kept(world: World, trace: Trace) -> Iterator[Violation]:
    """In each window of a second and of ten, no more requests of a lane than ``max_rate`` allows."""
    rate = world.settings.max_rate
    if rate is None:
        return
    for is_post in (False, True):
        times = [read.at for read in trace.received if (read.route == "post") is is_post]
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


def each_read_is_awaited(world: World, trace: Trace) -> Iterator[Violation]:
    """A call was waiting for each read at the moment at which it was sent."""
    for read in trace.received:
        if not read.is_awaited:
            yield Violation("9", f"{read.route} {read.id} at {read.at:.2f} s, which no call was waiting for")
            return


def errors_are_true(world: World, trace: Trace) -> Iterator[Violation]:
    """Only documented errors come, each where it is true and about its own id."""
    for call in trace.calls:
        if call.raised is not None:
            kind = type(call.raised).__name__
            yield Violation("10", f"{call.user.call} of {call.names[:3]} raised {kind}: {call.raised}")
    for call, target, result in results(trace):
        if result.error is not None:
            wrong = _untrue(world, trace, call, target, result, result.error)
            if wrong:
                yield Violation("10", f"{shown(call, result)}; {wrong}")


def _untrue(
    world: World, trace: Trace, call: Call, target: int, result: Result, error: ChamelaionError
) -> str | None:
    many = call.user.call == "get_many"
    if many and isinstance(error, RateLimitError) and _was_refused_for_long(trace, call, result):
        return None
    number = target if 0 <= target < len(world.jobs) else -2
    job = world.jobs[number] if number >= 0 else None
    about: Any = error.last_error if isinstance(error, WaitError) else error
    if about is not None and not _is_about(about, {result.id, *(() if job is None else (job.id, job.reference))}):
        return f"it is about {getattr(about, 'path', about)}"
    # ``wait_all`` returns all at once, and an error long after it arose.
    at = call.began + error.elapsed if call.user.call == "wait_all" and isinstance(error, WaitError) else result.at
    # A GET that takes longer than a wait allows has failed for that wait, though it goes on for another call.
    longest = math.inf if many else world.settings.request_timeout
    gets = [
        get
        for get in trace.received
        if get.route == "get" and get.target == number and min(get.answered, get.at + longest) <= at + 0.01
    ]
    if isinstance(error, NotFoundError):
        return None if any(get.reply == "missing" for get in gets) else "the service never answered so"
    if many:
        documented = (APIConnectionError, InternalServerError, RateLimitError, InvalidResponseError)
        if isinstance(error, documented) or (isinstance(error, APIStatusError) and error.status == 408):
            failed = any(get.reply != "good" and get.at >= call.began - 1e-6 for get in gets)
            return None if failed else "no read of it has failed"
    if isinstance(error, WaitTimeoutError) and not many:
        return "without a timeout" if call.user.timeout is None else _wrong_details(error, call, result)
    if isinstance(error, WaitUnreachableError) and not many:
        last = _last_good_read(world, trace, call, target, result.id, at)
        unanswered = (
            get for get in gets if get.reply not in {"good", "cancelled"} or get.answered > get.at + longest
        )
        failed_since = [get.at for get in unanswered if get.at > last]
        if not failed_since:
            return "no read of it had failed since the last good one"
        if min(failed_since) > at - world.settings.outage_budget + 1.0:
            return f"the first failed read since the last good one began at {min(failed_since):.2f} s"
        return _wrong_details(error, call, result)
    return "which is not documented"


def _last_good_read(world: World, trace: Trace, call: Call, target: int, id: str, until: float) -> float:
    """Return when the last read began that showed a job to a call."""
    shown = [read for read in _good_reads(trace).get(target, ()) if read.answered <= until]
    if world.replicas.lost or world.replicas.outages:
        shown = [read for read in shown if read.client == call.user.client]  # it may not know of the others
    # Only a GET can show which job a reference means, so before the first one a page shows nothing of it.
    known = min((read.at for read in shown if read.id == id and read.at >= call.began), default=math.inf)
    good = [read.at for read in shown if read.at >= known or not call.user.by_reference]
    if behind_seconds(world, 1.0):
        good = [read.at for read in shown if read.route == "get"]  # a page that is behind is no good read
    return max([at for at in good if call.began <= at <= until], default=-math.inf)


def _was_refused_for_long(trace: Trace, call: Call, result: Result) -> bool:
    """Whether so many GETs in a row were refused that ``get_many`` ends all that is left with the last refusal."""
    in_a_row = 0
    for read in sorted(trace.received, key=lambda read: read.answered):
        if read.at < call.began - 1e-6 or read.answered > result.at + 0.01:
            continue
        if read.reply == "good":
            in_a_row = 0
        in_a_row += read.reply == "refused" and read.route == "get"
        if in_a_row >= _REFUSALS:
            return True
    return False


def _wrong_details(error: WaitError, call: Call, result: Result) -> str | None:
    if error.id != result.id:
        return f"its id is {error.id}"
    if call.user.call != "wait_all" and abs(error.elapsed - (result.at - call.began)) > 0.1 + 1.0:
        return f"its elapsed is {error.elapsed:.2f}"
    return None


def _is_about(error: Any, own: set[str | None]) -> bool:
    path = getattr(error, "path", None)
    return path is None or path.endswith("/requests") or path.rpartition("/")[2] in own


def paid_once(world: World, trace: Trace) -> Iterator[Violation]:
    """A submission that returns has started one job, the one it returns; one that raises has started none."""
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
    *(every_call_returns, true_state, in_time, after_a_nudge, no_poll_is_skipped, first_read_in_time),
    *(refusals_are_not_prolonged, each_once, deadlines, few_requests, no_storm, keeps_below_a_limit),
    *(pages_are_not_cut_short, nothing_left, rate_is_kept, each_read_is_awaited, errors_are_true, paid_once),
)


def violations(world: World, trace: Trace) -> list[Violation]:
    """Return what one world violates, without what follows from a loop that was stuck."""
    if trace.stuck is not None:
        return [*every_call_returns(world, trace)]
    return [violation for invariant in INVARIANTS for violation in invariant(world, trace)]
