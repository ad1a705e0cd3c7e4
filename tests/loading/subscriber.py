"""A subscriber that records what it receives."""

from __future__ import annotations

from typing import Any

import attrs

from chamelaion_async import LipsyncRequest
from chamelaion_async.loading.entries import Entry, Read
from chamelaion_async.loading.snapshot import Snapshot

__all__ = ["Listener"]


@attrs.define(eq=False)
class Listener:
    """Subscribes to a request.

    Attributes:
        id: The id that it was given.
        entry: The request.
        snapshots: The snapshots that it received.
        errors: The errors that it received.
    """

    id: str = "job"
    entry: Entry[LipsyncRequest] = attrs.field(init=False)
    snapshots: list[Snapshot[LipsyncRequest]] = attrs.Factory(list)
    errors: list[Exception] = attrs.Factory(list)

    def on_snapshot(self, snapshot: Snapshot[Any]) -> None:
        self.snapshots.append(snapshot)

    def on_error(self, error: Exception, read: Read[Any] | None) -> None:
        self.errors.append(error)
