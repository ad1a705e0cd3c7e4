"""Where several processes on one account share what they read, so that of many replicas one reads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeVar

from ..models import Job
from .state import Sighting

__all__ = ["LocalStore", "StatusStore"]

J = TypeVar("J", bound=Job)


class StatusStore(Protocol[J]):
    """What the loader asks before it reads, and tells what it has read.

    It must not raise: a store that is out of reach grants every claim.
    """

    def attach(self, hear: Callable[[Sequence[Sighting[J]]], None]) -> None:
        """Call ``hear``, in the loop, with what others have published of the ids that are subscribed to."""

    def subscribe(self, id: str) -> None:
        """Begin to listen for an id."""

    def unsubscribe(self, id: str) -> None:
        """Cease to listen for an id."""

    async def claim(self, ids: Collection[str]) -> Collection[str]:
        """Return those of ``ids`` that are this process's to read now; somebody else is about to read the rest."""

    async def publish(self, sightings: Sequence[Sighting[J]]) -> None:
        """Tell others what was read."""


class LocalStore:
    """The store of a process that shares with nobody: everything is its own to read."""

    def attach(self, hear: Callable[[Sequence[Sighting[J]]], None]) -> None:
        """Nobody will ever call."""

    def subscribe(self, id: str) -> None:
        """Nobody else publishes."""

    def unsubscribe(self, id: str) -> None:
        """Nobody else published."""

    async def claim(self, ids: Collection[str]) -> Collection[str]:
        """Grant all."""
        return ids

    async def publish(self, sightings: Sequence[Sighting[J]]) -> None:
        """Nobody listens."""
