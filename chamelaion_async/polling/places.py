"""Where watched requests stand in a list, learned from the pages that were read: pure, without I/O.

A place is counted as a rank from the old end of a list, which stays the same while the list grows at its young end,
whichever end of it is listed first. Requests are kept in buckets of as many neighbours as a page holds, so that one
page answers for a whole bucket. Where a request stands is found out by a search, which reads the list page by page
from its young end, since what is waited for is mostly young.

Nothing here is believed for good. A request that a page did not show, although its place was on it, has lost its
place, and is read on its own until a page shows it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Generic, TypeVar

import attrs

from ..listing import PAGE_SIZE
from ..models import Job, Pagination
from .entry import Entry

__all__ = ["Bucket", "ListView", "Place", "Search"]

J = TypeVar("J", bound=Job)

_BARREN_PART: Final = 8  # a search may read one page in vain for each so many requests that it looks for


@attrs.define(eq=False)
class _Gathering(Generic[J]):
    """Requests that one page may answer for.

    Attributes:
        view: The list.
        members: Who stands here.
        asking: Who of them asks for a look, in order.
    """

    view: ListView[J]
    members: set[Entry[J]] = attrs.field(init=False, factory=set)
    asking: dict[Entry[J], None] = attrs.field(init=False, factory=dict)

    def remove(self, entry: Entry[J]) -> None:
        """Let an entry go."""
        self.members.discard(entry)
        self.asking.pop(entry, None)

    def is_worth_a_page(self, now: float) -> bool:
        """Whether a page is likely to answer more than a read on its own."""
        if len(self.asking) > 1:
            return True
        wanting = 0
        for entry in self.members:
            wanting += entry.wants_a_look(now)
            if wanting > 1:
                return True
        return any(entry.special.prefers_page_until > now for entry in self.asking)


@attrs.define(eq=False)
class Bucket(_Gathering[J]):
    """Neighbours in a list, as many as one page shows.

    Attributes:
        index: Which one, counted from the old end.
        is_under_way: Whether their page is being read: who asks meanwhile may be shown by it as well.
    """

    index: int
    is_under_way: bool = False

    @property
    def top(self) -> int:
        """The rank above the highest that it holds."""
        return (self.index + 1) * self.view.size

    def remove(self, entry: Entry[J]) -> None:
        """Let an entry go, and with the last one the bucket."""
        super().remove(entry)
        if not self.members:
            self.view.forget(self)


@attrs.define(eq=False)
class Search(_Gathering[J]):
    """A walk through a list, from its young end, for requests whose place in it is not known.

    Attributes:
        top: The rank below which the walk goes on, or None before its first page is answered.
        under_way: Number of its pages that are being read.
        barren: Number of pages in a row that answered no more than a read on its own would have.
        origin: The search that is to go on with those whom this one does not find.
    """

    top: int | None = None
    under_way: int = 0
    barren: int = 0
    origin: Search[J] | None = None

    @property
    def is_exhausted(self) -> bool:
        """Whether going on would cost more than it is likely to bring."""
        return self.top == 0 or self.barren * _BARREN_PART >= len(self.members)

    @property
    def is_enough_under_way(self) -> bool:
        """Whether the pages that are being read may answer all who ask."""
        if not self.under_way:
            return False
        return self.top is None or self.under_way * self.view.size >= len(self.asking)

    def advance(self) -> int | None:
        """Begin the next page, and return the rank below which it lies."""
        top = self.top
        self.under_way += 1
        if top is not None:
            self.top = max(top - self.view.size, 0)
        return top

    def answered(self, begun_at: int | None, ranks: range, hits: int) -> None:
        """Take note of an answered page: the ranks that it covers, and the number of members that it showed."""
        self.under_way -= 1
        self.barren = 0 if hits > 1 else self.barren + 1
        if not ranks or len(ranks) >= self.view.total:
            self.top = 0
        elif begun_at is None:
            # A list with its oldest first is begun at the wrong end as long as that is not known.
            self.top = min(ranks) if max(ranks) + 1 >= self.view.total else self.view.total

    def failed(self, begun_at: int | None) -> None:
        """Take note of a page that could not be read: it is to be read again."""
        self.under_way -= 1
        if begun_at is not None and self.top is not None:
            self.top = max(self.top, begun_at)


Place = Bucket[J] | Search[J] | Entry[J]
"""What stands in the queue for reading: a page's worth of requests, a search, or a single request."""


@attrs.define(eq=False)
class ListView(Generic[J]):
    """What has been learned of one list.

    Attributes:
        filters: Query that makes the list.
        size: Records that the service puts on a page.
        total: Records in the list when it was last read.
        is_newest_first: The order of the list.
    """

    filters: Mapping[str, str]
    size: int = PAGE_SIZE
    total: int = 0
    is_newest_first: bool = True
    _buckets: dict[int, Bucket[J]] = attrs.field(init=False, factory=dict)

    def offset_below(self, top: int | None) -> int:
        """Return the offset of the page that shows the ranks just below ``top``; None is the young end."""
        if self.is_newest_first:
            return 0 if top is None else max(self.total - top, 0)
        return max((self.total if top is None else top) - self.size, 0)

    def learn(self, pagination: Pagination, count: int, is_newest_first: bool | None) -> bool:
        """Learn from a page of ``count`` records; return whether known places have become void.

        Args:
            pagination: Where the page lies, in the service's words.
            count: Records on the page.
            is_newest_first: The order that the page shows, or None where it shows none.
        """
        end = pagination.offset + count
        self.total = max(pagination.total, end)
        size = pagination.limit if 1 <= pagination.limit <= PAGE_SIZE else PAGE_SIZE
        if 0 < count < size and end < self.total:
            size = count
        is_void = False
        if is_newest_first is not None and is_newest_first != self.is_newest_first:
            self.is_newest_first = is_newest_first
            is_void = bool(self._buckets)
        if size != self.size:
            self.size = size
            is_void = is_void or bool(self._buckets)
        return is_void

    def ranks(self, offset: int, count: int) -> range:
        """Return the ranks of the records of a page, in its order."""
        if self.is_newest_first:
            first = self.total - 1 - offset
            return range(first, first - count, -1)
        return range(offset, offset + count)

    def put(self, entry: Entry[J], rank: int) -> None:
        """Give an entry its place."""
        index = rank // self.size
        bucket = self._buckets.get(index)
        if bucket is None:
            bucket = self._buckets[index] = Bucket(self, index)
        if entry.place is not bucket:
            entry.move_to(bucket)

    def forget(self, bucket: Bucket[J]) -> None:
        """Forget a bucket in which nobody stands any more."""
        if self._buckets.get(bucket.index) is bucket:
            del self._buckets[bucket.index]

    def entries(self) -> list[Entry[J]]:
        """Return who has a place here."""
        return [entry for bucket in self._buckets.values() for entry in bucket.members]
