"""One request of a batch."""

from __future__ import annotations

from typing import Protocol, TypeVar

import attrs

from ..loading.entries import Entry, Read
from ..loading.snapshot import Snapshot
from ..loading.times import NEVER
from ..models import ErrorOutcome, Job, Outcome
from .state import PollState

__all__ = ["Member", "MemberOwner"]

J = TypeVar("J", bound=Job)


class MemberOwner(Protocol[J]):
    """Receives what the loader reads for a member; a batch."""

    def on_snapshot(self, member: Member[J], snapshot: Snapshot[J]) -> None:
        """Receive a request as a read showed it, whichever subscriber asked for that read."""

    def on_error(self, member: Member[J], error: Exception, read: Read[J] | None) -> None:
        """Receive the error of a read; without a read, an error that concerns the whole client."""


@attrs.define(kw_only=True, eq=False, weakref_slot=False)
class Member(PollState[J]):
    """One request of a batch. There may be very many; this and the entry are the only objects for each.

    Attributes:
        owner: The batch.
        entry: The loader's entry of the request.
        due: When to poll; after the end, when it ended.
        scheduled: When the schedule comes back to the request, which may be earlier.
        was_sent: Whether a read was under way when the request was given up.
    """

    owner: MemberOwner[J] = attrs.field(repr=False)
    entry: Entry[J] = attrs.field(init=False)
    due: float = NEVER
    scheduled: float = NEVER
    was_sent: bool = False

    @property
    def is_polling(self) -> bool:
        """Whether a poll was asked for and is not answered yet."""
        return self.began != NEVER

    def on_snapshot(self, snapshot: Snapshot[J]) -> None:
        """Receive the request as a read showed it."""
        self.owner.on_snapshot(self, snapshot)

    def on_error(self, error: Exception, read: Read[J] | None) -> None:
        """Receive the error of a read."""
        self.owner.on_error(self, error, read)

    def outcome(self) -> Outcome[J]:
        """Return the outcome of a request that ended without a result. Errors are large, so they are made late."""
        if self.is_polling:
            self.gave_up(self.due, was_sent=self.was_sent)
        return ErrorOutcome(id=self.id, error=self.verdict(self.due))
