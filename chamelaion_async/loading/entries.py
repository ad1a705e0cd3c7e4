"""A request that is polled, its subscribers, and the groups of requests that one page of the list may answer for.

One module writes each field of an entry, as a test holds: the read queue the state, the timeouts and the place in the
list; the registry the ids, the subscribers and the last snapshot; the loader the failures; the delivery the nudges
and the checks. Of 100,000 entries each has to be small: fields that few entries need are in ``RareFields``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

import attrs

from ..models import Job
from .packing import Packed
from .snapshot import ReadStamp, Snapshot
from .times import ALWAYS, NEVER

__all__ = ["Bucket", "Entry", "EntryGroup", "ListScan", "RareFields", "Read", "Subscriber"]

J = TypeVar("J", bound=Job)

_SAMPLE: Final = 200  # how many members are examined for a wanted poll; a scan may have very many
_GETS_PER_PAGE: Final = 16  # GETs after which a scan whose pages show too little may read one more page


class Subscriber(Protocol[J]):
    """A wait for a request.

    Attributes:
        id: The id or reference that the wait was given.
        entry: The request. Changes when two ids turn out to mean the same request.
    """

    id: str
    entry: Entry[J]

    def on_snapshot(self, snapshot: Snapshot[J]) -> None:
        """Receive the request as a read showed it, whichever subscriber asked for that read."""

    def on_error(self, error: Exception, read: Read[J] | None) -> None:
        """Receive the error of a read; without a read, an error that concerns the whole client."""


@attrs.frozen(kw_only=True)
class RareFields(Generic[J]):
    """The fields of an entry that few entries need; all others share one instance with the defaults.

    Attributes:
        others: Further subscribers, in order of arrival.
        aliases: How many subscribers use each other name of the request.
        misses: How many pages in a row should have shown the request and did not.
        scan_at: From when on the list may be scanned for the request.
        scans: How many scans did not find the request.
        failures_alone: How many GETs of the request failed in a row.
        prefers_page_until: Until when a page may be read for this request alone, because its GETs keep failing.
        nudged_at: When the request was nudged; reset once a read that began later was answered.
        least_timeout: The shortest timeout among the subscribers' polls, if they differ.
        audited_at: When a GET last checked what a page says of the request.
        is_end_checked: Whether a GET was asked for because a page showed the end without its output or reason.
    """

    others: dict[Subscriber[J], None] | None = None
    aliases: dict[str, int] | None = None
    misses: int = 0
    scan_at: float = ALWAYS
    scans: int = 0
    failures_alone: int = 0
    prefers_page_until: float = ALWAYS
    nudged_at: float = ALWAYS
    least_timeout: float = NEVER
    audited_at: float = ALWAYS
    is_end_checked: bool = False


_NONE_RARE: Final[RareFields[Any]] = RareFields()


@attrs.define(eq=False, weakref_slot=False)
class Entry(Generic[J]):
    """A request that is polled.

    Attributes:
        id: The id as a subscriber gave it; the service's own id once that is known.
        subscriber: The first subscriber.
        state: ``idle``; ``asking`` while queued for a read; ``reading`` while ``read`` is under way.
        read: The read that is to answer the poll.
        packed: The request as it was last read.
        stamp: The answer that showed it.
        timeout: Seconds that the next GET may take: the longest that a subscriber allows.
        due: When the next poll is wanted, by the loop's clock.
        group: The entries that the same page may answer for, or None if only a GET can show the request.
        rare: The fields that few entries need.
    """

    id: str
    subscriber: Subscriber[J] | None = None
    state: Literal["idle", "asking", "reading"] = "idle"
    read: Read[J] | None = None
    packed: Packed | None = None
    stamp: ReadStamp | None = None
    timeout: float = 0.0
    due: float = ALWAYS
    group: Bucket[J] | ListScan[J] | None = None
    rare: RareFields[J] = _NONE_RARE

    def note(self, **fields: Any) -> None:
        """Set rare fields."""
        self.rare = attrs.evolve(self.rare, **fields)

    @property
    def subscribers(self) -> tuple[Subscriber[J], ...]:
        """All subscribers at this moment."""
        if self.subscriber is None:
            return ()
        others = self.rare.others
        return (self.subscriber,) if others is None else (self.subscriber, *others)

    def wants_poll(self, now: float) -> bool:
        """Whether a poll is queued, or at least half of the pause between two polls is over."""
        if self.state != "idle":
            return self.state == "asking"
        return self.stamp is None or now - self.stamp.at >= self.due - now


@attrs.define(eq=False)
class EntryGroup(Generic[J]):
    """Entries that one page may answer for.

    Attributes:
        members: All entries of the group.
        asking: The members whose poll is queued, oldest first, each with the time since when.
        gets_allowed: How many members may be read with GET although a page is under way that may show them.
        wants_page: Whether a page is to be read although no poll waits for it.
    """

    members: set[Entry[J]] = attrs.field(init=False, factory=set)
    asking: dict[Entry[J], float] = attrs.field(init=False, factory=dict)
    gets_allowed: float = attrs.field(init=False, default=0)
    wants_page: bool = attrs.field(init=False, default=False)

    def is_worth_page(self, now: float) -> bool:
        """Whether a page is likely to answer for more than one member, or GETs of the one member keep failing."""
        if len(self.asking) > 1:
            return True
        wanted = 0
        for entry in islice(self.members, _SAMPLE):
            wanted += entry.wants_poll(now)
            if wanted > 1:
                return True
        return any(entry.rare.prefers_page_until > now for entry in self.asking)


@attrs.define(eq=False)
class Bucket(EntryGroup[J]):
    """Neighbours in the list, as many as one page shows.

    Attributes:
        number: The position of the bucket, counted in pages from the old end of the list.
        page: The read of the bucket's page, while one is under way.
        heard_at: When another client on the account last read the bucket's page.
    """

    number: int
    page: Read[J] | None = None
    heard_at: float = ALWAYS


@attrs.define(eq=False)
class ListScan(EntryGroup[J]):
    """Entries whose place in the list is unknown, and the scan of the list, from its young end, that searches them.

    Attributes:
        top: The rank below which the scan goes on; None before the first page is answered.
        under_way: How many pages of the scan are under way.
        fruitless_pages: How many pages in a row showed at most one member, as a GET would have.
        gets: How many members were read with GET since the last page was sent.
    """

    top: int | None = None
    under_way: int = 0
    fruitless_pages: int = 0
    gets: int = 0

    def covers_all(self, size: int) -> bool:
        """Whether the pages that are under way may show all members whose poll is queued."""
        if not self.under_way:
            return False
        return self.top is None or self.under_way * size >= len(self.asking)

    def may_go_on(self) -> bool:
        """Whether another page may be read: after a fruitless page, only once for each sixteen GETs."""
        return self.top != 0 and (not self.fruitless_pages or self.gets >= _GETS_PER_PAGE)

    def advance(self, size: int) -> int | None:
        """Move on by one page, and return the rank below which that page lies."""
        top = self.top
        self.under_way += 1
        self.gets = 0
        if top is not None:
            self.top = max(top - size, 0)
        return top

    def answered(self, begun_at: int | None, ranks: range, total: int, found: int) -> None:
        """Record an answered page.

        Args:
            begun_at: What ``advance`` returned for the page.
            ranks: The ranks that the page shows.
            total: How many records the list holds.
            found: How many members the page shows.
        """
        self.under_way -= 1
        self.fruitless_pages = 0 if found > 1 else self.fruitless_pages + 1
        # If a page shows few members, the others would wait for many pages: they may be read with GET as well.
        self.gets_allowed: float = 0 if found * 2 >= len(ranks) else NEVER
        if not ranks or len(ranks) >= total:
            self.top = 0
        elif begun_at is None:
            # The order may have been unknown: in a list with the oldest first, page one is at the wrong end.
            self.top = min(ranks) if max(ranks) + 1 >= total else total

    def skip(self, ranks: range, total: int) -> None:
        """Go on below a page that another client has read, if that is the next page of the scan.

        Args:
            ranks: The ranks that the page shows.
            total: How many records the list holds.
        """
        if ranks and max(ranks) + 1 >= (total if self.top is None else self.top) > min(ranks):
            self.top = min(ranks)

    def failed(self, begun_at: int | None) -> None:
        """Record a page that could not be read: the scan goes back to it."""
        self.under_way -= 1
        if begun_at is not None and self.top is not None:
            self.top = max(self.top, begun_at)


@attrs.define(kw_only=True, eq=False)
class Read(Generic[J]):
    """A GET of one request, or a page of the list, from its choice to its answer.

    Attributes:
        began: When the read was sent, by the loop's clock.
        timeout: Seconds for the answer.
        least_timeout: Seconds after which the read has failed for a part of its polls, which allow less time.
        entry: The request of a GET; None for a page.
        id: The id in the path of a GET.
        is_audit: Whether the GET only checks a page. Its failure has no effect.
        group: The bucket or the scan that a page is read for.
        covered: The entries that are queued again if the page does not show them.
        offset: The offset of the page.
        begun_at: The rank below which a page of a scan lies.
        must_be: The id that the answer to a GET by another name must have.
        is_here: Whether the answer has arrived, but is not decoded yet.
        is_overdue: Whether the read took so long that its entries were queued again meanwhile.
        overdue_at: When that happens or ``least_timeout`` is over, by the loop's clock.
        late_after: Seconds after which such a read is late.
        is_queued: Whether it waits for the lane once more, because the client that was to send it has not.
        is_heard: Whether another client on the account has sent it.
    """

    began: float
    timeout: float
    least_timeout: float = NEVER
    entry: Entry[J] | None = None
    id: str = ""
    is_audit: bool = False
    group: Bucket[J] | ListScan[J] | None = None
    covered: list[Entry[J]] = attrs.field(factory=list)
    offset: int = 0
    begun_at: int | None = None
    must_be: str | None = None
    is_here: bool = False
    is_overdue: bool = False
    overdue_at: float = NEVER
    late_after: float = 0.0
    is_queued: bool = False
    is_heard: bool = False

    @property
    def is_page(self) -> bool:
        """Whether this is a page of the list."""
        return self.entry is None

    def owed(self) -> Iterator[Entry[J]]:
        """Yield the entries whose poll this read still has to answer."""
        for entry in [self.entry] if self.entry is not None else self.covered:
            if entry.read is self:
                yield entry
