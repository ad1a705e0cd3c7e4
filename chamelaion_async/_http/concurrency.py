"""How many calls may be under way at once: a few at first, and more where that saves time.

A thread that does nothing but parse answers is faster with few connections, whose state stays in the processor's
caches; with a hundred, each answer costs a fifth more. If calls wait for the network instead, more of them at once
are that much faster. Which of the two it is shows while calls queue: either the thread has idle time, or it is busy
and calls end all the time.
"""

from __future__ import annotations

from time import thread_time
from typing import Final

__all__ = ["MOMENT", "ConcurrencyLimit"]

MOMENT: Final = 0.025
"""Seconds after which the limit is adapted, as long as calls queue."""

_LEAST: Final = 16
_BUSY: Final = 0.75  # share of CPU time from which on a thread counts as busy


class ConcurrencyLimit:
    """The number of calls of a lane that may be under way, adapted to the load.

    Args:
        most: The upper bound.

    Attributes:
        allowed: The present number.
        is_fixed: Whether it never changes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._least = self.allowed = min(_LEAST, most)
        self.is_fixed = self._least == most
        self._ended = 0
        self._since = self._cpu_since = 0.0

    def begin(self, now: float) -> None:
        """Start to measure: calls queue from ``now`` on, by the loop's clock."""
        self._ended, self._since, self._cpu_since = 0, now, thread_time()

    def ended(self) -> None:
        """Count a call that has ended."""
        self._ended += 1

    def adapt(self, now: float) -> None:
        """Halve the number if the thread was busy with what ended, else double it, and start to measure again."""
        is_busy = thread_time() - self._cpu_since > _BUSY * (now - self._since)
        if is_busy and self._ended >= self.allowed:
            self.allowed = max(self.allowed // 2, self._least)
        else:
            self.allowed = min(self.allowed * 2, self._most)
        self.begin(now)
