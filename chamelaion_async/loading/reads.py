"""What a read brings back, and what sends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import attrs

from ..models import Job, Pagination
from .entries import Read

__all__ = ["Answer", "Source", "Turn"]

J = TypeVar("J", bound=Job)


@attrs.frozen(kw_only=True)
class Answer(Generic[J]):
    """The answer of a read. Records are decoded on demand, since most records of a page may be of no interest.

    Attributes:
        records: Id and undecoded record, in the order of the list.
        make: Makes a request of a record; ValueError if it is not what the API promises.
        pagination: Where a page lies in the list, or None for a GET.
        is_newest_first: The order that a page shows, or None where it shows none.
        server_time: When the service answered, by its own clock.
    """

    records: Sequence[tuple[str, Any]]
    make: Callable[[Any], J]
    pagination: Pagination | None
    is_newest_first: bool | None
    server_time: datetime | None


class Turn(Protocol[J]):
    """The permission to send one read now."""

    async def send(self, read: Read[J]) -> Answer[J]:
        """Make one attempt.

        Raises:
            ChamelaionError: There is no answer, or none that can be used.
        """


class Source(Protocol[J]):
    """Sends reads."""

    @property
    def most_at_once(self) -> int:
        """How many reads may be under way at once."""

    def turn(self) -> AbstractAsyncContextManager[Turn[J]]:
        """Wait until the lane lets a read through, then let the caller decide which one to send, or none."""
