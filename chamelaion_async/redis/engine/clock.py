"""The engine's clock, which all processes share, in terms of the clock of this loop."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["ServerClock"]

MARGIN: Final = 0.001
"""Seconds by which two clocks may drift apart between two commands."""


class ServerClock:
    """Converts times between the engine's clock and this loop's, with an error on the safe side.

    A command that is sent at ``sent``, names the time ``shown`` and is answered at ``received`` (both by this loop)
    was run between the two. This loop's clock is therefore ahead of the engine's by at least ``sent - shown`` and at
    most ``received - shown``. Only the last command counts, since the engine's clock may be set.
    """

    def __init__(self) -> None:
        self._least = -math.inf
        self._most = math.inf

    def note(self, sent: float, received: float, shown: float) -> None:
        """Compare the clocks by a command."""
        self._least = sent - shown - MARGIN
        self._most = received - shown + MARGIN

    def earliest(self, server_time: float) -> float:
        """Return when a time of the engine's was by this loop's clock, or earlier."""
        return server_time + self._least

    def stamp(self, loop_time: float) -> float:
        """Return when a time of this loop's was by the engine's clock, or earlier."""
        return loop_time - self._most
