"""The places of requests in the list, learned from the pages that were read: pure, without I/O.

A place is a rank, counted from the old end of the list. It stays the same while the list grows at its young end,
whichever end is listed first. A bucket holds as many neighbours as a page, so one page answers for a whole bucket.

A place may turn out wrong. If a page does not show a request although its place lies on that page, a GET reads the
request, and it loses the place unless the list has grown.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import attrs

from .._http.paging import PAGE_SIZE
from ..models import Job, Pagination
from .entries import Bucket, Entry

__all__ = ["ListIndex"]

J = TypeVar("J", bound=Job)


@attrs.define(eq=False)
class ListIndex(Generic[J]):
    """What pages have shown of the list.

    Attributes:
        size: Records that the service puts on a page.
        total: Records in the list when it was last read.
        is_newest_first: The order of the list.
    """

    size: int = PAGE_SIZE
    total: int = 0
    is_newest_first: bool = True
    _buckets: dict[int, Bucket[J]] = attrs.field(init=False, factory=dict)

    def offset_below(self, top: int | None) -> int:
        """Return the offset of the page that shows the ranks just below ``top``; None is the young end."""
        if self.is_newest_first:
            return 0 if top is None else max(self.total - top, 0)
        return max((self.total if top is None else top) - self.size, 0)

    def top_of(self, bucket: Bucket[J]) -> int:
        """Return the rank above the highest that a bucket holds."""
        return (bucket.number + 1) * self.size

    def learn(self, pagination: Pagination, count: int, is_newest_first: bool | None) -> bool:
        """Learn from a page of ``count`` records; return whether the known places are void.

        Args:
            pagination: The position of the page, as the service states it.
            count: Records on the page.
            is_newest_first: The order of the page, or None if the page does not show it.
        """
        end = pagination.offset + count
        # A total below what the page shows cannot be true.
        self.total = max(pagination.total, end)
        # A service may state 0, or more than it was asked for.
        size = pagination.limit if 1 <= pagination.limit <= PAGE_SIZE else PAGE_SIZE
        # It puts fewer on a page than it states. The last page is no evidence, since it may hold fewer anyway.
        if 0 < count < size and end < self.total:
            size = count
        # Ranks were counted in the order, and buckets in the size, that were assumed before.
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

    def bucket_at(self, rank: int) -> Bucket[J]:
        """Return the bucket that holds a rank."""
        number = rank // self.size
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = Bucket(number)
        return bucket

    def page_was_heard(self, ranks: range, now: float) -> None:
        """Record that another client on the account has read a page with these ranks."""
        for number in {rank // self.size for rank in (*ranks[:1], *ranks[-1:])}:
            if (bucket := self._buckets.get(number)) is not None:
                bucket.heard_at = now

    def remove(self, bucket: Bucket[J]) -> None:
        """Remove a bucket without members."""
        # By now the number may belong to a bucket that was made later.
        if self._buckets.get(bucket.number) is bucket:
            del self._buckets[bucket.number]

    def entries(self) -> list[Entry[J]]:
        """Return all entries that have a place."""
        return [entry for bucket in self._buckets.values() for entry in bucket.members]
