"""Rate limiters as services have them, and a client with a lane before each, as a simulation without a loop.

Times are in seconds from the start. A limiter counts a request when it arrives, half of the latency after it was
sent.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

import attrs

from chamelaion_async._http.rate import AdaptiveRate, AnswerLog

SLOTS = 100  # calls under way at once, as a lane has them at most


class Limiter(Protocol):
    """Something that refuses what is too much."""

    def take(self, now: float) -> float:
        """Return 0 for a request that is let in, else the seconds until the next one would be."""

    def allows(self, start: float, end: float) -> float:
        """Return how many requests are let in from one time to another if there are always enough."""


@attrs.define
class FixedWindow:
    """So many in each stretch of time that begins by the service's clock."""

    number: int
    seconds: float
    phase: float = 0.0
    window: int = -1
    used: int = 0

    def take(self, now: float) -> float:
        window = math.floor((now + self.phase) / self.seconds)
        if window != self.window:
            self.window, self.used = window, 0
        if self.used < self.number:
            self.used += 1
            return 0.0
        return (window + 1) * self.seconds - self.phase - now

    def allows(self, start: float, end: float) -> float:
        return (end - start) * self.number / self.seconds


@attrs.define
class SlidingWindow:
    """So many in any stretch of time."""

    number: int
    seconds: float
    taken: deque[float] = attrs.Factory(deque)

    def take(self, now: float) -> float:
        while self.taken and self.taken[0] <= now - self.seconds:
            self.taken.popleft()
        if len(self.taken) < self.number:
            self.taken.append(now)
            return 0.0
        return self.taken[0] + self.seconds - now

    def allows(self, start: float, end: float) -> float:
        return (end - start) * self.number / self.seconds


@attrs.define
class TokenBucket:
    """A bucket that fills evenly, of which each request takes one."""

    rate: float
    size: float
    tokens: float = attrs.field(default=attrs.Factory(lambda self: self.size, takes_self=True))
    filled_at: float = 0.0

    def take(self, now: float) -> float:
        self.tokens = min(self.size, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.tokens >= 1 - 1e-9:  # sums of floats are not exact
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / self.rate

    def allows(self, start: float, end: float) -> float:
        return (end - start) * self.rate


@attrs.define
class Changing:
    """One limiter after another, each with the time from which on it holds."""

    limiters: Sequence[tuple[float, Limiter]]

    def take(self, now: float) -> float:
        return [limiter for start, limiter in self.limiters if start <= now][-1].take(now)

    def allows(self, start: float, end: float) -> float:
        starts = [*(start for start, _ in self.limiters), math.inf]
        return sum(
            limiter.allows(max(start, first), min(end, last))
            for (first, limiter), last in zip(self.limiters, starts[1:], strict=True)
            if max(start, first) < min(end, last)
        )


@attrs.define
class Outcome:
    """When requests arrived that were let in, and that were not, and how long those let in had waited to be sent."""

    good: list[float] = attrs.Factory(list)
    refused: list[float] = attrs.Factory(list)
    waited: list[tuple[float, float]] = attrs.Factory(list)

    def good_between(self, start: float, end: float) -> int:
        return sum(start <= time < end for time in self.good)

    def refused_share(self, start: float, end: float) -> float:
        refused = sum(start <= time < end for time in self.refused)
        return refused / (refused + self.good_between(start, end))


@attrs.define
class _Client:
    """Sends as soon as its lane lets it, for as long as there is something to send."""

    limiter: Limiter
    latency: float
    retry_after: Callable[[float], float | None]
    demand: deque[float] | None
    """When each request came up that is yet to be sent, or None for always one more."""

    rate: AdaptiveRate = attrs.Factory(AdaptiveRate)
    answers: AnswerLog = attrs.Factory(AnswerLog)
    outcome: Outcome = attrs.Factory(Outcome)
    events: list[tuple[float, int, Callable[[float], None]]] = attrs.Factory(list)
    number: Callable[[], int] = attrs.Factory(lambda: itertools.count().__next__)
    under_way: int = 0
    wakes_at: float = -1.0

    def at(self, time: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self.events, (time, self.number(), event))

    def run(self, until: float) -> Outcome:
        self.at(0.0, self.send)
        while self.events and self.events[0][0] < until:
            time, _, event = heapq.heappop(self.events)
            event(time)
        return self.outcome

    def come(self, now: float) -> None:
        assert self.demand is not None
        self.demand.append(now)
        self.send(now)

    def send(self, now: float) -> None:
        while self.under_way < SLOTS and (self.demand is None or self.demand):
            if not self.rate.take(now):
                if self.wakes_at != self.rate.opens_at:
                    self.wakes_at = self.rate.opens_at
                    self.at(self.wakes_at, self.send)
                return
            self.under_way += 1
            came = now if self.demand is None else self.demand.popleft()
            self.at(now + self.latency / 2, partial(self.arrive, came, now))

    def arrive(self, came: float, sent: float, now: float) -> None:
        needed = self.limiter.take(now)
        if needed:
            self.outcome.refused.append(now)
        else:
            self.outcome.good.append(now)
            self.outcome.waited.append((came, sent - came))
        self.at(now + self.latency / 2, partial(self.answer, came, sent, needed))

    def answer(self, came: float, sent: float, needed: float, now: float) -> None:
        self.under_way -= 1
        if needed:
            answered = self.answers.refused(now, sent, is_throttled=self.rate.is_throttled(now))
            self.rate.throttled(now, self.retry_after(needed), answered, self.answers.lately)
            if self.demand is not None:
                self.demand.append(came)
        else:
            self.answers.answered(now, sent)
        self.send(now)


def simulate(
    limiter: Limiter,
    *,
    latency: float,
    until: float,
    retry_after: Callable[[float], float | None] = lambda _: None,
    demand: Iterable[float] | None = None,
) -> Outcome:
    """Let a client ask as fast as its lane lets it.

    Args:
        limiter: What stands before the service.
        latency: Seconds from sending a request to its answer.
        until: When it ends.
        retry_after: What a 429 says, given the seconds until a request would be let in.
        demand: When requests come up, or None for as many as may be sent.
    """
    client = _Client(limiter, latency, retry_after, None if demand is None else deque())
    for time in demand or ():
        client.at(time, client.come)
    return client.run(until)
