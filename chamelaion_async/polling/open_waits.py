"""The waits under way, so that draining the client ends them."""

from __future__ import annotations

from typing import Any

from .._http.lifecycle import Lifecycle, draining
from ..loading.slices import in_slices
from .batch import Batch
from .subscription import WaitSubscription

__all__ = ["OpenWaits"]

_Wait = Batch[Any] | WaitSubscription[Any]


class OpenWaits:
    """The waits of one family that have begun and not ended. ``get_many`` is a call, and none of them."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._waits: set[_Wait] = set()
        lifecycle.at_drain(self._drain)

    def check(self) -> None:
        """Raise unless waits may begin.

        Raises:
            ClientClosedError: The client is draining.
        """
        self._lifecycle.check_waits()

    def add(self, wait: _Wait) -> None:
        """Record that a wait has begun."""
        self._waits.add(wait)

    def discard(self, wait: _Wait) -> None:
        """Record that a wait has ended."""
        self._waits.discard(wait)

    def _drain(self) -> None:
        # Each has an error of its own, which would collect the tracebacks of all of them otherwise.
        in_slices([*self._waits], lambda wait: wait.drain(draining()))
