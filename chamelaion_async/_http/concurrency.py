"""How many calls may be under way at once: a few at first, and more where they gain time.

A thread that does nothing but take answers apart gets through more of them with few connections, whose state stays in
the processor's caches; with a hundred, each answer costs a fifth more. Where calls wait for the network instead, more
of them at once are that much faster. Both show in the same moment, while calls have to wait for others: either the
thread has time to spare, or it is busy and the calls under way come and go.
"""

from __future__ import annotations

from time import thread_time
from typing import Final

__all__ = ["MOMENT", "Width"]

MOMENT: Final = 0.025
"""Seconds after which a width is judged, as long as calls have to wait."""

_LEAST: Final = 16
_BUSY: Final = 0.75  # part of the time from which on a thread has none to spare


class Width:
    """How many calls of a lane may be under way.

    Args:
        most: Never more.

    Attributes:
        allowed: How many at present.
        is_fixed: Whether that never changes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._least = self.allowed = min(_LEAST, most)
        self.is_fixed = self._least == most
        self._ended = 0
        self._since = self._cpu_since = 0.0

    def begin(self, now: float) -> None:
        """Note that calls have to wait from now on, by the loop's clock."""
        self._ended, self._since, self._cpu_since = 0, now, thread_time()

    def ended(self) -> None:
        """Note that a call has ended."""
        self._ended += 1

    def judge(self, now: float) -> None:
        """Allow twice or half as many, as it was worth its while, and begin anew."""
        is_busy = thread_time() - self._cpu_since > _BUSY * (now - self._since)
        if is_busy and self._ended >= self.allowed:
            self.allowed = max(self.allowed // 2, self._least)
        else:
            self.allowed = min(self.allowed * 2, self._most)
        self.begin(now)
