"""The requests of a client, for a line on the board: how many, how fast, and what a 429 has done to the rate."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from ...client import AsyncClient

__all__ = ["Traffic"]

_SPAN: Final = 10.0  # seconds over which the rate is measured


class Traffic:
    """Counts the status requests that a client sends from now on.

    Args:
        client: The client.
        clock: Returns seconds.
    """

    def __init__(self, client: AsyncClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._lane = client._transport.lanes["status"]  # noqa: SLF001 - a user's program has no use for it
        self._before = self._lane.calls
        self._clock = clock
        self._counts = deque([(clock(), 0)])

    @property
    def used(self) -> int:
        """How many requests were sent."""
        return self._lane.calls - self._before

    def line(self) -> str:
        """Return the line, such as ``214 requests, 3.2/s; no rate limit met``."""
        now, used = self._clock(), self.used
        self._counts.append((now, used))
        while now - self._counts[0][0] > _SPAN and len(self._counts) > 2:
            self._counts.popleft()
        since, count = self._counts[0]
        rate = (used - count) / (now - since) if now > since else 0.0
        return f"{used} request{'' if used == 1 else 's'}, {rate:.1f}/s; {self._pace()}"

    def _pace(self) -> str:
        closed_for, rate = self._lane.pace
        if closed_for > 0:
            return f"paused after a 429 for {math.ceil(closed_for)} s"
        return "no rate limit met" if rate == math.inf else f"paced at {rate:.1f}/s"
