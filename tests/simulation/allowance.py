"""How late is late: what a wait may take once all that delayed it is over, in this world and with this client.

All bounds are made of the same parts, each of which a single wait may need as well or a limit demands of all:

- *spacing*: the pause until the next poll, by the job's age; its longest where a failure or odd clocks make it
  longer. Sharing moves the phase of a wait's polls (a neighbour's read counts as one's own), so a whole one is
  allowed.
- *answers*: two, each as long as the slowest GET of this very id or as a page of this service takes; a page counts
  two seconds at most: before that none can know that it is slow. What goes wrong with the list allows nothing, for
  pages are an accelerator and no wait may depend on them. Four where clients share their polls: a read may wait for
  one of another client, and be sent after that fails.
- *rate*: two rounds of all ids at what the client's ``max_rate`` allows, or at 0.4 of what the service lets through,
  since a client has to find that out; and the pauses that its 429s order. One round may be under way, and the next is
  the one that counts. A 429 to a list page is the list's own and allows two seconds only.
- *behind*: where the list is behind, until each job that it shows was checked with a GET in turn: one every five
  seconds, or with each page where pages are rarer.
- *start*: the doubling from eight reads at once to as many as there are.
- *slack*: half a second for turns of the loop, timers that round and lanes that widen.
"""

from __future__ import annotations

import math
from typing import Final

from .world import Fault, World

SLACK: Final = 0.5
_AGE_FACTOR: Final = 0.1
_JITTER: Final = 1.1
_CHECKED_EVERY: Final = 5.0  # seconds between two GETs that check what a list says
_PAGE_PATIENCE: Final = 2.0  # seconds after which the client counts a page as slow
_LEASE: Final = 2.0  # seconds until the claim of a client that has died ends
_USABLE: Final = 0.4  # part of the service's rate that a client finds and keeps


def longest_spacing(world: World) -> float:
    """Return the longest pause between two polls of a job, failures or not."""
    return max(world.settings.max_interval, world.settings.min_interval)


def spacing_seconds(world: World, target: int, at: float) -> float:
    """Return the longest pause after a good answer at a time."""
    settings = world.settings
    if settings.date != "true":
        return longest_spacing(world)  # the client cannot know the age, or knows a wrong one
    age = at - (world.jobs[target].created if target < len(world.jobs) else 0.0) + 1.0  # Date has whole seconds
    return min(max(age * _AGE_FACTOR, settings.min_interval) * _JITTER, longest_spacing(world))


def answers_seconds(world: World, target: int) -> float:
    """Return the seconds that two answers which show a job may take."""
    slow = [fault.value for fault in world.faults if fault.kind == "slow" and fault.concerns("get", target)]
    one = min(world.settings.get_seconds + sum(slow), world.settings.request_timeout)
    count = 2 if world.replicas.count == 1 else 4
    return count * max(one, min(world.settings.page_seconds, _PAGE_PATIENCE)) + sharing_seconds(world)


def sharing_seconds(world: World) -> float:
    """Return the seconds that sharing itself may take: commands, and claims of clients that have died."""
    replicas = world.replicas
    if replicas.count == 1:
        return 0.0
    return 8 * replicas.latency + (_LEASE if replicas.deaths or replicas.lost else 0.0)


def behind_seconds(world: World, spacing: float) -> float:
    """Return the seconds for which a list that is behind may be believed."""
    listing = world.listing
    lag = math.inf if listing.stands_still_at < math.inf else listing.lag
    return min(lag, (targets_of(world) + 1) * max(spacing, _CHECKED_EVERY))


def targets_of(world: World) -> int:
    """Return the number of different jobs that anyone received for."""
    return len({target for user in world.users for target in user.targets})


def faults_met(world: World, target: int, begins: float, ends: float) -> list[Fault]:
    """Return the faults, but for slowness, that GETs of a job may meet in a span of time."""
    return [
        fault
        for fault in world.faults
        if fault.kind != "slow" and fault.concerns("get", target) and fault.begins < ends and fault.ends > begins
    ]


def limits_seconds(world: World) -> float:
    """Return the seconds that limits of all kinds may take from a wait, see above."""
    settings, limit, count = world.settings, world.limit, targets_of(world)
    seconds = 2 * count * settings.get_seconds / settings.max_concurrency
    # The first reads begin slowly: eight at once, and then twice as many with each answer.
    seconds += (
        2
        * max(settings.get_seconds, min(settings.page_seconds, _PAGE_PATIENCE))
        * max(math.log2(max(count, 1) / 8), 0.0)
    )
    if settings.max_rate is not None:
        seconds += (2 * count + 1) / settings.max_rate
    if limit is not None:
        rate = limit.requests / limit.seconds
        seconds += 2 * count / (_USABLE * rate) + 2 * limit.seconds + 2 * max(limit.retry_after, 1.0) + 10.0
    refusing = [fault for fault in world.faults if fault.kind == "refused"]
    if any(fault.route == "list" for fault in refusing):
        seconds += 2.0
    ordered = [min(max(fault.value, 1.0), 60.0) for fault in refusing if fault.route != "list"]
    if ordered:
        # The lane is slower afterwards, and has to find out that the limit is gone.
        seconds += 2 * sum(ordered) + 2 * count + 15.0
    return seconds if math.isfinite(seconds) else math.inf
