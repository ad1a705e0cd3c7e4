"""The time of the sandbox: the clock of the machine, or one that a test moves."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from attrs import Factory, define, field
from attrs.validators import ge

NOON = 1_775_563_200.0
"""2026-04-07T12:00:00Z, later than every documented example."""


def machine_time() -> float:
    """Return the time of the machine in seconds since the epoch; virtual time takes its place."""
    return time.time()


class Clock(Protocol):
    """A source of the current time, in seconds since the Unix epoch."""

    def time(self) -> float:
        """Return the current time in seconds since the epoch."""


@define(kw_only=True, eq=False)
class _AdvancingClock(ABC):
    """A clock that can be moved forward, and calls those who go by it."""

    _listeners: list[Callable[[], None]] = field(init=False, factory=list, repr=False)

    @abstractmethod
    def _move(self, seconds: float) -> None:
        """Show a time that is later by so many seconds."""

    def advance(self, seconds: float) -> None:
        """Move the clock forward.

        Args:
            seconds: how far, zero or more.

        Raises:
            ValueError: if seconds is negative or not finite.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"seconds must be finite and not negative, not {seconds!r}: no clock runs backwards")
        self._move(seconds)
        for listener in tuple(self._listeners):
            listener()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a function after every advance.

        Args:
            listener: called without arguments, in the thread that advances the clock.

        Returns:
            A function that ends the subscription.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)


@define(kw_only=True, eq=False)
class WallClock(_AdvancingClock):
    """The machine's own clock, plus what it was advanced by."""

    _ahead: float = field(init=False, default=0.0)

    def time(self) -> float:
        """Return the current time in seconds since the epoch."""
        return machine_time() + self._ahead

    def _move(self, seconds: float) -> None:
        self._ahead += seconds


@define(eq=False)
class ManualClock(_AdvancingClock):
    """A clock that moves only when a test advances it, so that life cycles take no time.

    Args:
        start: the first time that it shows, in seconds since the epoch; default 2026-04-07T12:00:00Z.
    """

    start: float = field(default=NOON, validator=ge(0))
    _now: float = field(init=False, default=Factory(lambda self: self.start, takes_self=True))

    def time(self) -> float:
        """Return the current time in seconds since the epoch."""
        return self._now

    def _move(self, seconds: float) -> None:
        self._now += seconds
