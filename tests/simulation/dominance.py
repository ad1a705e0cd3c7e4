"""(11) Sharing costs no wait anything: it knows what it would know alone, no worse and hardly later.

Each wait is played again by itself, with a client of its own and GETs only, in the same world. Chance is taken out of
the comparison: alone, a poll may fall right on the end of a job or right before an outage, and shared right after. So
the world of the lone wait is made *worse* first: each fault begins earlier and ends later by the longest pause
between two polls and one answer, which is as far as phases can differ. What the wait reads in that world, polls at
any phase read in the true one. The shared wait must then

- return a job wherever the lone one does, unless its own deadline comes before the time allowed for it;
- return it at most so much later: one spacing (the phase again, now against the job's end), two answers to GETs of
  that id, and what the limits need, all as ``allowance`` says.

A bound like this finds any wait that has to wait for an answer that is not its own, skips a poll, or backs off for a
failure that was another's; it does not find a delay below one pause.
"""

from __future__ import annotations

from collections.abc import Iterator

from chamelaion_async import RateLimitError, WaitTimeoutError, WaitUnreachableError

from .allowance import (
    SLACK,
    answers_seconds,
    behind_seconds,
    faults_met,
    limits_seconds,
    longest_spacing,
    spacing_seconds,
)
from .invariants import Violation, shown
from .play import alone, play_alone
from .trace import Call, Result, Trace
from .world import World, with_longer_faults

_MOST: dict[str, int] = {"crowds": 8, "limits": 8}
_USUALLY = 16


def pairs_to_compare(world: World, trace: Trace) -> list[tuple[Call, int]]:
    """Return calls and targets to play alone: evenly chosen where there are very many."""
    pairs = [
        (call, target)
        for call in trace.calls
        if call.user.cancelled_at is None and call.raised is None
        for target in dict.fromkeys(call.user.targets)
    ]
    most = _MOST.get(world.kind, _USUALLY)
    # Those who know least come first, since the comparison is about them.
    pairs.sort(key=lambda pair: -_known_after(world, *pair))
    if len(pairs) <= most:
        return pairs
    step = len(pairs) / (most / 2)
    return [*pairs[: most // 2], *(pairs[int(number * step)] for number in range(most // 2))]


def _known_after(world: World, call: Call, target: int) -> float:
    result = _last(call, world.name(target, call.user.by_reference))
    if result is None or result.request is None:
        return 1e9
    ended = world.jobs[target].ended if target < len(world.jobs) else 0.0
    return result.at - max(ended, call.began)


def pairs_alone(world: World, pairs: list[tuple[Call, int]]) -> list[Call]:
    """Play those alone, in a world that is a little worse."""
    return play_alone(_worse(world), [alone(call.user, target) for call, target in pairs])


def _worse(world: World) -> World:
    return with_longer_faults(world, longest_spacing(world) + world.settings.get_seconds)


def worse_than_alone(world: World, pairs: list[tuple[Call, int]], lone: list[Call]) -> Iterator[Violation]:
    """Compare what was known when shared with what is known alone."""
    for (call, target), single in zip(pairs, lone, strict=True):
        name = world.name(target, call.user.by_reference)
        ours, theirs = _last(call, name), _last(single, name)
        if theirs is None or ours is None:
            continue
        kind, timeout, due = call.user.call, call.user.timeout, theirs.at + _allowed(world, call, target, theirs)
        if theirs.request is None:
            yield from _less_known(call, ours, theirs, due - theirs.at)
        elif kind == "get_many" and faults_met(_worse(world), target, call.began, theirs.at):
            continue  # its few tries may have met another failure, or none
        elif ours.request is None:
            is_late = timeout is not None and due >= call.began + (timeout or world.settings.request_timeout)
            if not is_late and not _comes_of_its_own_polls(world, call, target, ours):
                yield Violation("11", f"{shown(call, ours)}; alone it knows at {theirs.at:.2f} s")
        elif kind != "wait_all":
            due += _others(world, call) if kind == "get_many" else 0.0
            if ours.at > due:
                text = f"{shown(call, ours)}; alone it knows at {theirs.at:.2f} s, due {due:.2f} s"
                yield Violation("11", text)


def _comes_of_its_own_polls(world: World, call: Call, target: int, ours: Result) -> bool:
    """Whether an error may come of the phase of its own polls: one that hung earlier, or met a 404 at another time.

    That it is true all the same, (10) sees to.
    """
    refused = any(fault.kind == "refused" and fault.route != "list" for fault in world.faults)
    if isinstance(ours.error, WaitTimeoutError):
        # A 429 closes the lane to all, and a wait with little time may not get its turn.
        return refused
    if isinstance(ours.error, WaitUnreachableError) and isinstance(ours.error.last_error, RateLimitError):
        # The pause that a 429 orders counts as outage. If it is as long as the budget, the next 429 ends the wait,
        # and a client that is learning a limit may get two in a row. Alone, the wait stays below the limit.
        limit = world.limit
        if limit is not None and limit.retry_after >= world.settings.outage_budget:
            return True
    met = faults_met(_worse(world), target, call.began, ours.at)
    if met and (world.limit is not None or world.settings.max_rate is not None):
        return True  # the limit may have put its first read off until the fault began
    return any(fault.kind in {"hang", "missing", "gateway", "refused"} for fault in met)


def _others(world: World, call: Call) -> float:
    """Return what ``get_many`` may take longer, since it returns all at once, for those that fail.

    Each has three tries, of a minute at most, and pauses of a second and a half; 429 may come ten times, with pauses
    of eight seconds or what it orders.
    """
    slowest = max(answers_seconds(world, target) for target in call.user.targets)
    for target in dict.fromkeys(call.user.targets):
        met = faults_met(world, target, call.began, call.ended)
        if not met:
            continue
        tries = 1.5 + (3 + len(world.nudges)) * (
            answers_seconds(world, target) + 60.0 * any(fault.kind == "hang" for fault in met)
        )
        refused = [max(fault.value, 8.0) for fault in met if fault.kind == "refused"]
        slowest = max(slowest, tries + 10 * (max(refused) + world.settings.get_seconds) if refused else tries)
    return slowest


def _allowed(world: World, call: Call, target: int, theirs: Result) -> float:
    met = faults_met(world, target, call.began, theirs.at + longest_spacing(world))
    spacing = longest_spacing(world) if met else spacing_seconds(world, target, theirs.at)
    pending = [world.settings.request_timeout for fault in met if fault.kind == "hang"]
    if call.user.call == "get_many" or call.user.timeout == 0:
        spacing, pending = 0.0, []
    hung = max(pending, default=0.0) + behind_seconds(world, spacing)
    return spacing + answers_seconds(world, target) + limits_seconds(world) + SLACK + hung


def _less_known(call: Call, ours: Result, theirs: Result, allowed: float) -> Iterator[Violation]:
    """Where both ran out of time, the shared wait has read the job at least once if the lone one has."""
    timeout = call.user.timeout
    if not timeout or timeout < 2 * allowed:
        return
    mine, other = ours.error, theirs.error
    is_unread = isinstance(mine, WaitTimeoutError) and mine.last is None
    if is_unread and isinstance(other, WaitTimeoutError) and other.last is not None:
        yield Violation("11", f"{shown(call, ours)}; alone it has been read")


def _last(call: Call, name: str) -> Result | None:
    return next((result for result in reversed(call.results) if result.id == name), None)
