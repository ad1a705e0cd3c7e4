"""The budget of all processes on one account: permits come from the gates, or from this process while it is alone."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Callable
from typing import Final

from ...sharing import LaneName
from .lane_gate import LaneGate
from .script import ScriptEngine

__all__ = ["SharedBudget"]

logger: logging.Logger = logging.getLogger("chamelaion_async")

_LANES: Final[tuple[LaneName, ...]] = ("generation", "status")


class SharedBudget:
    """A ``Budget`` whose permits are those of all processes.

    While the engine is gone, this process takes its share of the last known rate: that rate divided by the number of
    processes last seen.

    Args:
        engine: Runs the gates.
        prefix: Begins the keys of this account.
        max_rate: ``Pace.max_rate``: requests a second of all processes together. The lowest of all processes counts.
        tell: Called after a 429 has closed a lane, to tell the other processes, which then call ``refresh``. Without
            that, a process notices up to a quarter of a second later.
        draw: Returns a number from 0 to 1, by chance.
    """

    def __init__(
        self,
        engine: ScriptEngine,
        prefix: str,
        max_rate: float | None = None,
        *,
        tell: Callable[[LaneName], None] = lambda _: None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        member = uuid.uuid4().hex
        self._max_rate = max_rate
        self._has_warned = False
        self._lanes = {
            lane: LaneGate(
                engine,
                lane=lane,
                key=f"{prefix}:gate:{lane}",
                member=member,
                max_rate=max_rate,
                tell=tell,
                warn=self._warn_of_limit,
                draw=draw,
            )
            for lane in _LANES
        }

    def try_acquire(self, lane: LaneName) -> bool:
        """Take one permit if no limit is known, or if this process is alone and the permit is due."""
        return self._lanes[lane].try_acquire()

    async def acquire(self, lane: LaneName, n: int = 1) -> None:
        """Return once ``n`` requests of ``lane`` may start. A cancelled caller leaves the queue."""
        gate = self._lanes[lane]
        for number in range(n):
            try:
                await gate.acquire()
            except asyncio.CancelledError:
                for _ in range(number):
                    gate.give_back()
                raise

    def give_back(self, lane: LaneName) -> None:
        """Give the last permit to the next caller in the queue, or its time back to the gate."""
        self._lanes[lane].give_back()

    def throttled(
        self,
        lane: LaneName,
        seconds: float | None,
        answered: int | None,
        lately: tuple[int, float] = (0, 0.0),
        sent: float | None = None,
    ) -> None:
        """Record a 429. No call of ``lane`` starts here before the gate has answered that."""
        self._lanes[lane].throttled(seconds, answered, lately, sent)

    def is_throttled(self, lane: LaneName) -> bool:
        """Whether 429s held the lane back when the gate was last asked."""
        return self._lanes[lane].is_throttled

    def refresh(self, lane: LaneName) -> None:
        """Ask the gate for news, since another process was refused."""
        self._lanes[lane].refresh()

    def close(self) -> None:
        """Ask the gates no more. Callers that wait go on with this process's share of the rate."""
        for gate in self._lanes.values():
            gate.close()

    async def wait_closed(self) -> None:
        """Return once nothing is under way any more."""
        await asyncio.gather(*(gate.wait_closed() for gate in self._lanes.values()))

    def _warn_of_limit(self, limit: float) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "max_rate is %s here, but %g in another process on the same account; the lower one counts for all. "
                "Set the same in all of them",
                self._max_rate,
                limit,
            )
