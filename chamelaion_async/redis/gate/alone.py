"""The permits of one lane while the engine is gone: this process's share of the rate that was last known."""

from __future__ import annotations

import asyncio
import math

from ..._http.clock import loop_time
from ..._http.lanes import LocalBudget
from ...sharing import LaneName
from .script import Refusal

__all__ = ["Alone"]


class Alone:
    """A local budget that begins at a chance moment, since all processes lose the engine at the same time.

    Args:
        lane: Whose permits it gives.
        rate: Requests a second of all processes, or infinity.
        processes: How many share them.
        opens_at: When the last time that the gate has handed out is over.
        chance: A number from 0 to 1. The first permits of all processes are spread by it over one round.
    """

    def __init__(self, lane: LaneName, *, rate: float, processes: int, opens_at: float, chance: float) -> None:
        self._lane = lane
        self._begins_at = opens_at + chance * processes / rate
        self._budget = LocalBudget(None if math.isinf(rate) else rate / processes)

    @property
    def is_throttled(self) -> bool:
        """Whether 429s hold the lane back since the engine went."""
        return self._budget.is_throttled(self._lane)

    def try_acquire(self) -> bool:
        """Take one permit if it is due."""
        return loop_time() >= self._begins_at and self._budget.try_acquire(self._lane)

    async def acquire(self) -> None:
        """Return once a request may start."""
        if (pause := self._begins_at - loop_time()) > 0:
            await asyncio.sleep(pause)
        await self._budget.acquire(self._lane)

    def give_back(self) -> None:
        """Take back the last permit."""
        self._budget.give_back(self._lane)

    def throttled(self, refusal: Refusal) -> None:
        """Record a 429 that the gate could not be told of."""
        self._budget.throttled(self._lane, refusal.seconds, refusal.answered, (refusal.lately, refusal.span))
