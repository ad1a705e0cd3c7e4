"""What the loader decides to read, what comes back, and who carries it out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import attrs

from ..models import Job, Pagination
from .entry import Entry
from .places import Bucket, ListView, Search

__all__ = ["Answer", "Reading", "Source"]

J = TypeVar("J", bound=Job)


@attrs.define(kw_only=True, eq=False)
class Reading(Generic[J]):
    """One call that was decided upon: a request on its own, or a page.

    Attributes:
        timeout: Seconds for an answer.
        entries: Who asked for it, and gets no other answer.
        view: The list of a page, or None for a request on its own.
        offset: Where the page begins.
        bucket: Whose page it is, if it is one's.
        search: The search that a page belongs to.
        begun_at: Where in that search.
    """

    timeout: float
    entries: list[Entry[J]]
    view: ListView[J] | None = None
    offset: int = 0
    bucket: Bucket[J] | None = None
    search: Search[J] | None = None
    begun_at: int | None = None

    def is_only_for(self, entry: Entry[J]) -> bool:
        """Whether nobody else will hear of it."""
        return self.view is None and self.entries == [entry]


@attrs.frozen(kw_only=True)
class Answer(Generic[J]):
    """What came back. Records are made on demand: most of a page may be of no concern.

    Attributes:
        records: Id and undecoded record, in the order of the list.
        make: Makes a request of a record; ValueError if it is not what the API promises.
        pagination: Where a page lies in its list, or None for a request on its own.
        is_newest_first: The order that a page shows, or None where it shows none.
        server_time: When the service answered, by its own clock.
    """

    records: Sequence[tuple[str, Any]]
    make: Callable[[Any], J]
    pagination: Pagination | None
    is_newest_first: bool | None
    server_time: datetime | None


class Source(Protocol[J]):
    """Carries a reading out."""

    async def read(self, choose: Callable[[], Awaitable[Reading[J] | None]]) -> Answer[J] | None:
        """Wait until a call may be sent, let ``choose`` decide which one, and make it.

        Returns:
            The answer, or None where there was nothing to read any more.
        """
