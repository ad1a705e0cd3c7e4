"""Lanes: how many calls may be under way, and how soon the next one may start.

Generation calls and status calls have a lane each. A lane gives a slot, which bounds the calls of this process under
way, and a permit of the budget, which bounds the rate. The budget is a protocol, so that processes on one account can
share one.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict

from ..config import Pace
from ..sharing import Budget, LaneName
from .clock import loop_time
from .concurrency import MOMENT, ConcurrencyLimit
from .rate import AdaptiveRate, AnswerLog

__all__ = ["Lane", "LocalBudget", "make_lanes"]


class _Gate:
    """The permits of one lane: a queue of callers, and a timer for the next permit."""

    def __init__(self, limit: float) -> None:
        self.rate = AdaptiveRate(limit)
        self._queue: OrderedDict[asyncio.Future[None], int] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def try_pass(self, n: int) -> bool:
        if self._queue:
            return False
        # No rate, and no 429 so far: most clients, most of the time. This path reads no clock.
        return self.rate.is_free or self.rate.take(loop_time(), n)

    def give_back(self) -> None:
        self.rate.give_back()
        self._disarm()
        if self._queue:
            self._arm(asyncio.get_running_loop())

    async def acquire(self, n: int) -> None:
        if self.try_pass(n):
            return
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._queue[waiter] = n
        self._arm(loop)
        try:
            await waiter
        except asyncio.CancelledError:
            self._queue.pop(waiter, None)
            if not waiter.cancelled():
                self.rate.give_back()  # the permit came in the same turn of the loop
                self._disarm()
            if self._queue:
                self._arm(loop)
            else:
                self._disarm()
            raise

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None:
            self._timer = loop.call_at(self.rate.opens_at, self._open, loop)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        while self._queue:
            waiter, n = next(iter(self._queue.items()))
            if not waiter.done():
                # Not due if the lane was closed since the timer was set, or if the loop's timer fires early.
                if not self.rate.take(loop.time(), n):
                    self._arm(loop)
                    return
                waiter.set_result(None)
            del self._queue[waiter]


class LocalBudget:
    """The budget of a single process: evenly spaced permits, in order of arrival, slower after each 429."""

    def __init__(self, max_rate: float | None = None) -> None:
        limit = math.inf if max_rate is None else max_rate
        self._gates: dict[LaneName, _Gate] = {
            "generation": _Gate(limit),
            "status": _Gate(limit),
        }

    def try_acquire(self, lane: LaneName) -> bool:
        """Take one permit if it is due and no caller waits for one."""
        return self._gates[lane].try_pass(1)

    async def acquire(self, lane: LaneName, n: int = 1) -> None:
        """Return once ``n`` requests of ``lane`` may start. A cancelled caller leaves the queue."""
        await self._gates[lane].acquire(n)

    def give_back(self, lane: LaneName) -> None:
        """Take back the last permit, unless another one or a closure has followed."""
        self._gates[lane].give_back()

    def throttled(
        self,
        lane: LaneName,
        seconds: float | None,
        answered: int | None,
        lately: tuple[int, float] = (0, 0.0),
        sent: float | None = None,  # noqa: ARG002 - a single process knows from ``answered``
    ) -> None:
        """Record a 429: nothing of ``lane`` starts for a while, and then more slowly than before."""
        self._gates[lane].rate.throttled(loop_time(), seconds, answered, lately)

    def is_throttled(self, lane: LaneName) -> bool:
        """Whether the lane is closed, or its rate was learned from 429s."""
        return self._gates[lane].rate.is_throttled(loop_time())

    def pace(self, lane: LaneName) -> tuple[float, float]:
        """Return the seconds for which a lane is still closed, and its rate in requests a second."""
        now, rate = loop_time(), self._gates[lane].rate
        return rate.closed_for(now), rate.at(now)


class Lane:
    """The queue of one kind of call: a slot first, then a permit, each in order of arrival."""

    def __init__(self, name: LaneName, budget: Budget, pace: Pace) -> None:
        self._name = name
        self._budget = budget
        self.max_rate: float | None = pace.max_rate
        self.max_concurrency: int = pace.max_concurrency
        self.calls = 0  # sent so far
        self._limit = ConcurrencyLimit(pace.max_concurrency)
        self._under_way = 0
        self._judging: asyncio.TimerHandle | None = None
        self._queue: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._answers = AnswerLog()

    @property
    def is_throttled(self) -> bool:
        """Whether 429s hold the lane back: it is closed, or its rate was learned from them."""
        return self._budget.is_throttled(self._name)

    @property
    def pace(self) -> tuple[float, float]:
        """Seconds for which the lane is still closed, and its rate; those of a shared budget are not known here."""
        return self._budget.pace(self._name) if isinstance(self._budget, LocalBudget) else (0.0, math.inf)

    def try_acquire(self) -> bool:
        """Take a slot and a permit if both are free, without waiting."""
        # The slot comes first: a permit without a slot would be lost, or wait with its call.
        if self._under_way >= self._limit.allowed or not self._budget.try_acquire(self._name):
            return False
        self._under_way += 1
        return True

    async def acquire(self) -> None:
        """Wait for a slot and a permit."""
        if self._under_way < self._limit.allowed:
            self._under_way += 1
        else:
            await self._queue_for_slot()
        try:
            if not self._budget.try_acquire(self._name):
                await self._budget.acquire(self._name)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give the slot back; the caller that has waited longest gets it."""
        self._under_way -= 1
        if self._queue:
            self._let_in()
        if self._judging is not None:
            self._limit.ended()
            # Without a call under way none queues, and an idle client has no timer.
            if not self._under_way:
                self._judging.cancel()
                self._judging = None

    def give_back(self) -> None:
        """Give back a slot and a permit of which no use was made."""
        self._budget.give_back(self._name)
        self.release()

    def _let_in(self) -> None:
        while self._queue and self._under_way < self._limit.allowed:
            waiter, _ = self._queue.popitem(last=False)
            if not waiter.done():
                waiter.set_result(None)
                self._under_way += 1

    def answered(self, sent: float | None = None, path: str | None = None) -> None:
        """Record an answer that is not a 429.

        Args:
            sent: When the call was sent, by the loop's clock; at the latest now.
            path: What was read, if a 429 to it may be its own.
        """
        now = loop_time()
        self._answers.answered(now, now if sent is None else sent, path)

    def throttled(self, seconds: float | None, sent: float | None = None, path: str | None = None) -> None:
        """Close the lane for all calls after a 429, unless only this path is refused while others are answered.

        Args:
            seconds: What its ``Retry-After`` asks for. 0 and less count as None: they name no time at which the next
                call would be accepted.
            sent: When the call was sent, by the loop's clock; at the latest now.
            path: What was read, if a limit may be its own.
        """
        now = loop_time()
        sent = now if sent is None else sent
        if path is not None and self._answers.has_own_limit(now, sent, path):
            return
        is_throttled = self._budget.is_throttled(self._name)
        answered = self._answers.refused(now, sent, is_throttled=is_throttled)
        asked = seconds if seconds is not None and seconds > 0 else None
        self._budget.throttled(self._name, asked, answered, self._answers.lately, sent)

    async def _queue_for_slot(self) -> None:
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._queue[waiter] = None  # ordered, and a cancelled waiter leaves without a search
        if self._judging is None and not self._limit.is_fixed:
            self._limit.begin(loop.time())
            self._judging = loop.call_later(MOMENT, self._judge, loop)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self.release()  # the slot came in the same turn of the loop
            self._queue.pop(waiter, None)
            raise

    def _judge(self, loop: asyncio.AbstractEventLoop) -> None:
        self._judging = None
        if self._queue:
            self._limit.adapt(loop.time())
            self._let_in()
            self._judging = loop.call_later(MOMENT, self._judge, loop)


def make_lanes(pace: Pace, budget: Budget | None = None) -> dict[LaneName, Lane]:
    """Return the lanes of one client."""
    shared = budget or LocalBudget(pace.max_rate)
    return {
        "generation": Lane("generation", shared, pace),
        "status": Lane("status", shared, pace),
    }
