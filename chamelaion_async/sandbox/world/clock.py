"""The time of the sandbox: the clock of the machine, or one that a test moves."""

import time
from collections.abc import Callable
from typing import Protocol

from attrs import Factory, define, field
from attrs.validators import ge

NOON = 1_775_563_200.0
"""2026-04-07T12:00:00Z, later than every documented example."""


class Clock(Protocol):
    """A source of the current time, in seconds since the Unix epoch."""

    def time(self) -> float:
        """Return the current time in seconds since the epoch."""


@define(kw_only=True)
class WallClock:
    """The machine's own clock."""

    def time(self) -> float:
        """Return the current time in seconds since the epoch."""
        return time.time()


@define(eq=False)
class ManualClock:
    """A clock that moves only when a test advances it, so that life cycles take no time.

    Args:
        start: the first time that it shows, in seconds since the epoch; default 2026-04-07T12:00:00Z.
    """

    start: float = field(default=NOON, validator=ge(0))
    _now: float = field(init=False, default=Factory(lambda self: self.start, takes_self=True))
    _listeners: list[Callable[[], None]] = field(init=False, factory=list, repr=False)

    def time(self) -> float:
        """Return the current time in seconds since the epoch."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock forward.

        Args:
            seconds: how far, zero or more.

        Raises:
            ValueError: if seconds is negative.
        """
        if seconds < 0:
            raise ValueError("seconds must not be negative: the clock does not run backwards")
        self._now += seconds
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
