"""How many calls may be under way at once: all that are allowed, or a few where more are of no use.

A thread that does nothing but take answers apart gets through more of them with few connections, whose state stays in
the processor's caches; with a hundred, each answer costs a fifth more. That cannot be told from outside, so it is
tried: where the thread has no time to spare, the lane is narrowed, and stays so unless fewer calls are answered. A
lane that waits for the network is never narrowed.
"""

from __future__ import annotations

from time import thread_time
from typing import Final

__all__ = ["Width"]

_NARROW: Final = 16
_CROWD: Final = 24  # calls under way from which on it is tried
_LEAST: Final = 0.05  # seconds over which a rate is measured
_BUSY: Final = 0.9  # part of the time from which on a thread has none to spare
_WORSE: Final = 0.9  # part of the rate below which a narrow lane is too narrow
_HOLDS: Final = 5.0  # seconds until what was found out is tried once more


class Width:
    """How many calls of a lane may be under way.

    Args:
        most: Never more.

    Attributes:
        allowed: How many at present.
    """

    def __init__(self, most: int) -> None:
        self.allowed = self._most = most
        self._answers = 0
        self._since = self._cpu_since = 0.0
        self._rate_wide = 0.0
        self._holds_until = float("-inf")

    def answered(self, under_way: int, now: float) -> None:
        """Take note of a good answer.

        Args:
            under_way: Calls under way, this one included.
            now: The loop's time.
        """
        is_wide = self.allowed == self._most
        if under_way < (_CROWD if is_wide else _NARROW):  # nobody would be kept waiting
            self._answers = 0
            if not is_wide:
                self._widen(now)
        elif under_way <= self.allowed:  # else more were allowed when they began
            self._count(now)

    def _count(self, now: float) -> None:
        if not self._answers:
            self._since, self._cpu_since = now, thread_time()
        self._answers += 1
        seconds = now - self._since
        if seconds < _LEAST or self._answers <= 2 * self.allowed:
            return
        rate, is_busy = self._answers / seconds, thread_time() - self._cpu_since > _BUSY * seconds
        self._answers = 0
        if self.allowed == self._most:
            if is_busy and now >= self._holds_until:
                self.allowed, self._rate_wide, self._holds_until = _NARROW, rate, now + _HOLDS
        elif rate < _WORSE * self._rate_wide:
            self._widen(now + _HOLDS)
        elif not is_busy or now >= self._holds_until:
            self._widen(now)

    def _widen(self, holds_until: float) -> None:
        self.allowed, self._holds_until = self._most, holds_until
