"""The permits that one process took lately."""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["GrantLog"]

_REMEMBERED: Final = 10.0  # seconds, as the gate counts those of all processes
_SLICE: Final = 0.25  # seconds that are counted together


class GrantLog:
    """Counts permits by the quarter of a second, for the last ten seconds."""

    def __init__(self) -> None:
        self._slices: deque[tuple[float, int]] = deque()

    def add(self, now: float, count: int = 1) -> None:
        """Count permits; a negative number takes back the last ones."""
        if self._slices and now - self._slices[-1][0] < _SLICE:
            began, before = self._slices[-1]
            self._slices[-1] = began, before + count
        else:
            self._slices.append((now, count))
            self._forget(now)

    def lately(self, now: float) -> int:
        """Return how many there were in the last ten seconds."""
        self._forget(now)
        return max(sum(count for _, count in self._slices), 0)

    def _forget(self, now: float) -> None:
        while self._slices and self._slices[0][0] < now - _REMEMBERED:
            self._slices.popleft()
