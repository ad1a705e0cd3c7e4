"""A loop on virtual time without a single system call, which notices when it is stuck."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Mapping
from typing import Any, Final, Literal

_INSTANT: Final = 0.001  # seconds of virtual time that count as one instant
_STEPS: Final = 1000  # handles that may run in one instant
_STEPS_FOR_EACH: Final = 60  # and for each wait
_READS_OF_TIME: Final = 20_000  # reads of the clock in one step, which only a step that spins makes
_EARLY: Final = 0.0005  # seconds by which uvloop's timers may go off before their time
_TURN: Final = 0.00001  # seconds that a turn takes at least where a timer that went off early is set again
_BEGINS: Final = 1000.0


class StuckError(SystemExit):
    """The loop makes no progress. A ``SystemExit``, since tasks and handles let no other class through at once."""


class _Jump(selectors.BaseSelector):
    """Instead of waiting for sockets, of which there are none, it lets the clock jump."""

    loop: SimulatedLoop

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        raise NotImplementedError

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        raise NotImplementedError

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.loop.turned(timeout)
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop whose time stands still while anything can run, and then jumps to the next timer.

    Args:
        timers: Whether they go off in time, up to 0.5 ms early as uvloop's do, or up to 1 ms late as epoll's do.
        things: How many waits there are; each of them may take a few steps in one instant.
        seed: Decides how early timers are.
    """

    def __init__(
        self, timers: Literal["exact", "early", "late"] = "exact", *, things: int = 0, seed: int = 0
    ) -> None:
        self._now = _BEGINS
        self._timers = timers
        self._limit = _STEPS + _STEPS_FOR_EACH * things
        self._reads_limit = _READS_OF_TIME + _STEPS_FOR_EACH * things
        self._steps = 0
        self._instant = 0.0
        self._reads = 0
        self._drawn = seed * 2 + 1
        self.is_stuck = False
        jump = _Jump()
        super().__init__(jump)
        jump.loop = self
        if timers == "early":
            self._clock_resolution = _EARLY  # what is due by then goes off together

    def _make_self_pipe(self) -> None:
        self._ssock = self._csock = None

    def _close_self_pipe(self) -> None:
        pass

    @property
    def elapsed(self) -> float:
        """Seconds since the world began."""
        return self._now - _BEGINS

    def time(self) -> float:
        self._reads += 1
        if self._reads > self._reads_limit:
            self._end(f"one step read the clock {self._reads_limit} times without an await")
        return self._now

    def turned(self, timeout: float | None) -> None:
        """Take note of one turn of the loop, and let time pass if nothing can run."""
        self._reads = 0
        if timeout is None:
            self._end("nothing will ever happen again")
        if timeout:
            self._now += self._jump(timeout)
        if self._now > self._instant + _INSTANT:
            self._instant, self._steps = self._now, 0
        self._steps += len(self._ready) + 1  # type: ignore[attr-defined] # there is no public way
        if self._steps > self._limit:
            self._end(f"more than {self._limit} steps in one instant")

    def _jump(self, timeout: float) -> float:
        if self._timers == "late":
            return math.ceil(timeout * 1000) / 1000
        if self._timers == "early":
            self._drawn = (self._drawn * 6364136223846793005 + 1442695040888963407) % 2**64
            return max(timeout - _EARLY * self._drawn / 2**64, _TURN)
        return timeout

    def _end(self, why: str) -> None:
        self.is_stuck = True
        self._reads = 0
        raise StuckError(f"at {self.elapsed:.3f} s {why}")
