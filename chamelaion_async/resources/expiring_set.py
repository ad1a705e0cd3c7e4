"""A set whose members expire: bounded in time and in number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["CAPACITY", "LIFETIME", "ExpiringSet"]

LIFETIME: Final = 3600.0
"""Seconds that a member is kept: far longer than any list was seen to lag."""

CAPACITY: Final = 4096
"""Members that are kept: more than the documented 60 submissions a minute add within the lifetime."""


class ExpiringSet:
    """The texts that were added within ``LIFETIME``, and of those the newest ``CAPACITY``.

    Args:
        clock: Returns the time in seconds; it must be monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._added: dict[str, float] = {}

    def add(self, member: str) -> None:
        """Add a member, or start the lifetime of one again."""
        self._added.pop(member, None)  # a dict keeps the place of a key that is set again
        self._added[member] = self._clock()
        self._drop()

    def __contains__(self, member: object) -> bool:
        self._drop()
        return member in self._added

    def _drop(self) -> None:
        """Drop what is too old or too many. The oldest comes first, so this costs no more than what it drops."""
        expired = self._clock() - LIFETIME
        while self._added:
            oldest = next(iter(self._added))
            if self._added[oldest] > expired and len(self._added) <= CAPACITY:
                return
            del self._added[oldest]
