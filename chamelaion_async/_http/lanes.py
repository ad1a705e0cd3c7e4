"""Lanes: how many calls may be under way, and how soon the next one may start.

A lane grants a slot, which bounds what this process has under way, and a permit from the budget, which bounds the
rate. The budget is a protocol, so that many processes on one account can share theirs.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from typing import Literal, Protocol

from ..config import Pace
from .concurrency import MOMENT, Width
from .rate import AdaptiveRate, AnswerLog

__all__ = ["Budget", "Lane", "LaneName", "LocalBudget", "make_lanes"]

LaneName = Literal["generation", "status"]


class Budget(Protocol):
    """Grants the permits of the lanes."""

    def try_acquire(self, lane: LaneName) -> bool:
        """Take one permit if that needs no waiting; False is always a correct answer."""

    async def acquire(self, lane: LaneName, n: int = 1) -> None:
        """Return once ``n`` requests of ``lane`` may start. A cancelled caller leaves the queue."""

    def throttled(
        self, lane: LaneName, seconds: float | None, answered: int | None, lately: tuple[int, float] = (0, 0.0)
    ) -> None:
        """Take note of a 429, and close the lane for a while.

        Args:
            lane: Whose call it was.
            seconds: How long the service wants to be left alone, or None where it does not say.
            answered: Calls of this process that were answered well since its last 429, or in the last second where
                the lane was not throttled; 0 where the service refuses still, which is no second reason to slow
                down; None where the call was sent before the last 429 came, which is none either.
            lately: Good answers in the ten seconds before the first 429, and seconds from the first of them to it.
        """

    def is_throttled(self, lane: LaneName) -> bool:
        """Whether 429s hold the lane back at present: it is closed, or its rate was learned from them."""


class _Gate:
    """A queue of callers for permits whose times are known."""

    def __init__(self, limit: float) -> None:
        self.rate = AdaptiveRate(limit)
        self._queue: OrderedDict[asyncio.Future[None], int] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def try_pass(self, n: int) -> bool:
        if self._queue:
            return False
        # No rate, and no 429 so far: most clients, most of the time. No clock is read for them.
        return self.rate.is_free or self.rate.take(asyncio.get_running_loop().time(), n)

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
                self.rate.give_back()  # the permit was granted in the same moment
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
                # Not due if the lane was closed since the timer was set, or if the loop's timers go off early.
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
        """Take one permit if the gate is open and no caller waits for one."""
        return self._gates[lane].try_pass(1)

    async def acquire(self, lane: LaneName, n: int = 1) -> None:
        """Return once ``n`` requests of ``lane`` may start. A cancelled caller leaves the queue."""
        await self._gates[lane].acquire(n)

    def throttled(
        self, lane: LaneName, seconds: float | None, answered: int | None, lately: tuple[int, float] = (0, 0.0)
    ) -> None:
        """Take note of a 429: nothing of ``lane`` may start for a while, and then more slowly than before."""
        self._gates[lane].rate.throttled(asyncio.get_running_loop().time(), seconds, answered, lately)

    def is_throttled(self, lane: LaneName) -> bool:
        """Whether the lane is closed, or its rate was learned from 429s."""
        return self._gates[lane].rate.is_throttled(asyncio.get_running_loop().time())


class Lane:
    """What one kind of call has to pass before it is sent: a slot first, then a permit, each in order of arrival."""

    def __init__(self, name: LaneName, budget: Budget, max_concurrency: int) -> None:
        self._name = name
        self._budget = budget
        self.max_concurrency = max_concurrency
        self._width = Width(max_concurrency)
        self._under_way = 0
        self._judging: asyncio.TimerHandle | None = None
        self._queue: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._answers = AnswerLog()

    @property
    def is_throttled(self) -> bool:
        """Whether 429s hold the lane back at present: it is closed, or its rate was learned from them."""
        return self._budget.is_throttled(self._name)

    def try_acquire(self) -> bool:
        """Enter if nothing has to be waited for; the quick way for a lane that is neither full nor closed."""
        if self._under_way >= self._width.allowed or not self._budget.try_acquire(self._name):
            return False
        self._under_way += 1
        return True

    async def acquire(self) -> None:
        """Wait for a slot and a permit."""
        if self._under_way < self._width.allowed:
            self._under_way += 1
        else:
            await self._queue_for_slot()
        try:
            await self._budget.acquire(self._name)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Hand the slot to whoever has waited longest."""
        self._under_way -= 1
        self._width.ended()
        self._let_in()
        if not self._under_way and self._judging is not None:
            self._judging.cancel()
            self._judging = None

    def _let_in(self) -> None:
        while self._queue and self._under_way < self._width.allowed:
            waiter, _ = self._queue.popitem(last=False)
            if not waiter.done():
                waiter.set_result(None)
                self._under_way += 1

    def answered(self, sent: float | None = None) -> None:
        """Take note of an answer that is not a 429.

        Args:
            sent: When the call was sent, by the loop's clock; at the latest now.
        """
        now = asyncio.get_running_loop().time()
        self._answers.answered(now, now if sent is None else sent)

    def throttled(self, seconds: float | None, sent: float | None = None) -> None:
        """Close the lane for all calls after a 429.

        Args:
            seconds: What its ``Retry-After`` asks for. What is not positive says as little as None does: it names no
                time at which the next call would be taken.
            sent: When the call was sent, by the loop's clock; at the latest now.
        """
        now = asyncio.get_running_loop().time()
        is_throttled = self._budget.is_throttled(self._name)
        answered = self._answers.refused(now, now if sent is None else sent, is_throttled=is_throttled)
        asked = seconds if seconds is not None and seconds > 0 else None
        self._budget.throttled(self._name, asked, answered, self._answers.lately)

    async def _queue_for_slot(self) -> None:
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._queue[waiter] = None  # ordered, and a cancelled waiter leaves without a search
        if self._judging is None and not self._width.is_fixed:
            self._width.begin(loop.time())
            self._judging = loop.call_later(MOMENT, self._judge, loop)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self.release()  # the slot was handed over in the same moment
            self._queue.pop(waiter, None)
            raise

    def _judge(self, loop: asyncio.AbstractEventLoop) -> None:
        self._judging = None
        if self._queue:
            self._width.judge(loop.time())
            self._let_in()
            self._judging = loop.call_later(MOMENT, self._judge, loop)


def make_lanes(pace: Pace, budget: Budget | None = None) -> dict[LaneName, Lane]:
    """Return the lanes of one client."""
    shared = budget or LocalBudget(pace.max_rate)
    return {
        "generation": Lane("generation", shared, pace.max_concurrency),
        "status": Lane("status", shared, pace.max_concurrency),
    }
