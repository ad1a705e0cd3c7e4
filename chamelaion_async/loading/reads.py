"""What a read brings back, and what sends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import attrs

from ..errors import RateLimitError
from ..models import Job, Pagination
from .entries import Read

__all__ = ["Answer", "FinishedRequests", "SendRead", "Source"]

J = TypeVar("J", bound=Job)


@attrs.frozen(kw_only=True)
class Answer(Generic[J]):
    """The answer to a read. Records are decoded on demand, since most records of a page may be of no interest.

    Attributes:
        records: The id and the undecoded record of each request, in the order of the list.
        make: Decodes a record into a request; raises ValueError if the record breaks the API's promises.
        pagination: The position of a page in the list, or None for a GET.
        is_newest_first: The order of the page, or None if the page does not show it.
        server_time: When the service answered, by its own clock.
    """

    records: Sequence[tuple[str, Any]]
    make: Callable[[Any], J]
    pagination: Pagination | None
    is_newest_first: bool | None
    server_time: datetime | None


SendRead = Callable[[Read[J]], Awaitable[Answer[J]]]
"""Makes one attempt at a read; raises a ChamelaionError if there is no usable answer."""


class FinishedRequests(Protocol):
    """Learns from finished requests, such as how long they took."""

    @property
    def room(self) -> int:
        """How many finished requests of one page are of use."""

    def wants(self, id: str) -> bool:
        """Whether a finished request without a wait is of use; it has to be decoded for that."""

    def set_clock(self, server_time: datetime | None) -> None:
        """Receive the time of an answer by the service's clock, if it says."""

    def add(self, request: Job, server_time: datetime | None) -> None:
        """Receive a request as a read showed it, finished or not, at a time by the service's clock."""


class Source(Protocol[J]):
    """Sends reads."""

    @property
    def most_at_once(self) -> int:
        """How many reads may be under way at once."""

    @property
    def is_throttled(self) -> bool:
        """Whether 429s hold reads back at present."""

    @property
    def clients(self) -> int:
        """How many clients share the answers, this one included."""

    def was_refused(self, read: Read[J], error: RateLimitError) -> None:
        """Slow all reads down after a 429 to a page that turned out to concern them all."""

    def turn(self) -> AbstractAsyncContextManager[SendRead[J]]:
        """Wait until the lane admits a read; the caller then decides which read to send, if any."""
