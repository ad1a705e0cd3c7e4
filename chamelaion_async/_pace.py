"""Lanes: how many calls may be under way, and how soon the next one may start.

A lane grants a slot, which bounds what this process has under way, and a permit from the budget, which bounds the
rate. The budget is a protocol, so that many processes on one account can share theirs.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from typing import Final, Literal, Protocol

from ._rate import AdaptiveRate
from ._width import MOMENT, Width
from .config import Pace

__all__ = ["Budget", "Lane", "LaneName", "LocalBudget", "make_lanes"]

LaneName = Literal["generation", "status"]
_REMEMBERED: Final = 1000  # answers by which the rate is judged; a lane that is faster has no bound worth a name
_ALWAYS: Final = float("-inf")


class Budget(Protocol):
    """Grants the permits of the lanes."""

    def try_acquire(self, lane: LaneName) -> bool:
        """Take one permit if that needs no waiting; False is always a correct answer."""

    async def acquire(self, lane: LaneName, n: int = 1) -> None:
        """Return once ``n`` requests of ``lane`` may start. A cancelled caller leaves the queue."""

    def throttled(self, lane: LaneName, seconds: float, answered: int) -> None:
        """Take note of a 429: nothing of ``lane`` may start for ``seconds``.

        Args:
            lane: Whose call it was.
            seconds: How long the service wants to be left alone.
            answered: Calls of this process that were answered well in the second before.
        """


class _Gate:
    """A queue before a gate that opens at a known time of the loop."""

    def __init__(self, rate: AdaptiveRate) -> None:
        self._rate = rate
        self._opens_at = _ALWAYS
        self._closed_until = _ALWAYS
        self._queue: OrderedDict[asyncio.Future[None], int] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def try_pass(self, n: int) -> bool:
        if self._queue:
            return False
        if self._opens_at == _ALWAYS and self._rate.is_free:
            return True  # no rate, and no 429 so far: most clients, most of the time
        now = asyncio.get_running_loop().time()
        if now < self._opens_at:
            return False
        self._opens_at = now + n / self._rate.at(now)
        return True

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
            # A permit that was granted in the same moment is lost, which keeps the rate below its bound.
            self._queue.pop(waiter, None)
            if not self._queue and self._timer is not None:
                self._timer.cancel()
                self._timer = None
            raise

    def close_for(self, seconds: float, answered: int) -> None:
        if seconds <= 0:
            return  # the service would take the very next request: no reason to slow down
        now = asyncio.get_running_loop().time()
        reopens_at = now + seconds
        # What is answered 429 while the lane is closed was sent before, and is no second reason to slow down.
        if now >= self._closed_until:
            self._rate.throttled(now, reopens_at, answered)
        self._closed_until = max(self._closed_until, reopens_at)
        self._opens_at = max(self._opens_at, reopens_at)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None:
            self._timer = loop.call_at(self._opens_at, self._open, loop)

    def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        while self._queue and loop.time() >= self._opens_at:
            waiter, n = self._queue.popitem(last=False)
            if not waiter.done():
                self._opens_at = loop.time() + n / self._rate.at(loop.time())
                waiter.set_result(None)
        if self._queue:
            self._arm(loop)


class LocalBudget:
    """The budget of a single process: evenly spaced permits, in order of arrival, slower after each 429."""

    def __init__(self, max_rate: float | None = None) -> None:
        limit = math.inf if max_rate is None else max_rate
        self._gates: dict[LaneName, _Gate] = {
            "generation": _Gate(AdaptiveRate(limit)),
            "status": _Gate(AdaptiveRate(limit)),
        }

    def try_acquire(self, lane: LaneName) -> bool:
        """Take one permit if the gate is open and nobody waits before it."""
        return self._gates[lane].try_pass(1)

    async def acquire(self, lane: LaneName, n: int = 1) -> None:
        """Return once ``n`` requests of ``lane`` may start. A cancelled caller leaves the queue."""
        await self._gates[lane].acquire(n)

    def throttled(self, lane: LaneName, seconds: float, answered: int) -> None:
        """Take note of a 429: nothing of ``lane`` may start for ``seconds``, and then more slowly than before."""
        self._gates[lane].close_for(seconds, answered)


class Lane:
    """What one kind of call has to pass before it is sent: a slot first, then a permit, each in order of arrival."""

    def __init__(self, name: LaneName, budget: Budget, max_concurrency: int) -> None:
        self._name = name
        self._budget = budget
        self._width = Width(max_concurrency)
        self._under_way = 0
        self._judging: asyncio.TimerHandle | None = None
        self._queue: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._answered: deque[float] = deque(maxlen=_REMEMBERED)

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

    def answered(self) -> None:
        """Take note of a good answer."""
        self._answered.append(asyncio.get_running_loop().time())

    def throttled(self, seconds: float) -> None:
        """Close the lane for everyone after a 429."""
        since = asyncio.get_running_loop().time() - 1.0
        self._budget.throttled(self._name, seconds, sum(time > since for time in self._answered))

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
