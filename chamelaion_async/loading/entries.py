"""A request that is polled for, its subscribers, and the groups of requests that one page of the list may answer for.

Each field of an entry has one writer: the read queue writes ``state``, ``read``, ``timeout``, ``due`` and ``group``;
the registry ``id``, the subscribers and what was last read; the loader the failures. There may be 100,000 entries,
so each holds as little as possible: what only few of them need is in ``RareFields``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

import attrs

from ..models import Job
from .packing import Packed, Packer

__all__ = [
    "ALWAYS",
    "NEVER",
    "SLICE",
    "Bucket",
    "Entry",
    "EntryGroup",
    "ListScan",
    "RareFields",
    "Read",
    "ReadStamp",
    "Snapshot",
    "Subscriber",
]

J = TypeVar("J", bound=Job)

ALWAYS: Final = float("-inf")
"""A time of the loop that has always passed."""

NEVER: Final = float("inf")
"""A time of the loop that will not come."""

SLICE: Final = 250
"""How many requests one callback handles before other callbacks of the loop run."""

_SAMPLE: Final = 200  # how many members are asked whether they want a poll; a scan may have very many
_GETS_PER_PAGE: Final = 16  # a scan that finds nothing may read one more page for each so many GETs


@attrs.frozen(kw_only=True)
class ReadStamp:
    """When an answer came. One answer may show many requests.

    Attributes:
        began: When the read was sent, by the loop's clock. What happened after that, the answer may not show.
        at: When the answer was here, by the loop's clock.
        server_time: When the service answered, by its own clock (``Date``), or None where it does not say.
        jitter_draw: A number between 0 and 1, drawn once for this answer: all waits for the request jitter their next
            poll by the same number, fall due together, and so share it.
        is_page: Whether it was a page of the list, which may lag behind the request itself.
    """

    began: float
    at: float
    server_time: datetime | None
    jitter_draw: float
    is_page: bool = False


@attrs.define
class Snapshot(Generic[J]):
    """A request as one answer showed it.

    Attributes:
        request: The request.
        stamp: The answer.
    """

    request: J
    stamp: ReadStamp
    _packed: Packed | None = attrs.field(init=False, default=None, eq=False, repr=False)

    def packed(self, packer: Packer[J]) -> Packed:
        """Return the request packed. All who keep it share one tuple."""
        if self._packed is None:
            self._packed = packer.pack(self.request)
        return self._packed


class Subscriber(Protocol[J]):
    """Something that waits for a request.

    Attributes:
        id: The id or reference under which it asked.
        entry: The request. Changes when two ids turn out to mean the same request.
    """

    id: str
    entry: Entry[J]

    def on_snapshot(self, snapshot: Snapshot[J]) -> None:
        """Receive the request as it was read, for this subscriber or for another one."""

    def on_error(self, error: Exception, read: Read[J] | None) -> None:
        """Receive the error of a read, or with None an error that concerns the client as a whole."""


@attrs.frozen(kw_only=True)
class RareFields(Generic[J]):
    """The fields of an entry that few entries need; all others share one instance with the defaults.

    Attributes:
        others: Further subscribers, in order of arrival.
        aliases: How many subscribers asked under each other name.
        misses: How many pages in a row should have shown the request and did not.
        scan_at: When the list may be scanned for it again, after a scan that did not find it.
        scans: How many scans did not find it.
        failures_alone: How many GETs of it failed in a row.
        prefers_page_until: Until when a page may be read for it alone, because its GET keeps failing.
        nudged_at: When it was nudged, until a read that was sent later has been answered.
        least_timeout: The shortest timeout among those who ask, where they differ.
        is_end_checked: Whether the end that a page showed was compared with a GET.
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
    is_end_checked: bool = False


_NONE_RARE: Final[RareFields[Any]] = RareFields()


@attrs.define(eq=False, weakref_slot=False)
class Entry(Generic[J]):
    """A request that is polled for.

    Attributes:
        id: The id as it was asked for, and the service's own id once that is known.
        subscriber: The first subscriber.
        state: ``idle``; ``asking`` while it waits in the read queue; ``reading`` while ``read`` is under way for it.
        read: The read that is to answer for it.
        packed: The request as it was last read.
        stamp: When that was.
        timeout: Seconds that the next GET may take: the longest that a subscriber allows.
        due: When the next poll is wanted, by the loop's clock.
        group: The entries that the same page may answer for, or None if it has to be read with GET.
        rare: Everything else.
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
        """Whether a poll would be of use: it was asked for, or half of the pause since the last one is over."""
        if self.state != "idle":
            return self.state == "asking"
        return self.stamp is None or now - self.stamp.at >= self.due - now


@attrs.define(eq=False)
class EntryGroup(Generic[J]):
    """Entries that one page may answer for.

    Attributes:
        members: All of them.
        asking: Those that ask for a poll and wait for a page or a GET, each with the time since when, oldest first.
        gets_allowed: How many of them may be read with GET although a page is under way that may show them.
    """

    members: set[Entry[J]] = attrs.field(init=False, factory=set)
    asking: dict[Entry[J], float] = attrs.field(init=False, factory=dict)
    gets_allowed: float = attrs.field(init=False, default=0)

    def is_worth_page(self, now: float) -> bool:
        """Whether a page is likely to answer for more than one."""
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
        number: Which page's worth, counted from the old end of the list.
        page: The read of their page that is under way.
        wants_page: Whether their page is to be read although its entries are being read with GET.
    """

    number: int
    page: Read[J] | None = None
    wants_page: bool = False


@attrs.define(eq=False)
class ListScan(EntryGroup[J]):
    """Entries whose place in the list is unknown, and the scan of the list, from its young end, that looks for them.

    Attributes:
        top: The rank below which the scan goes on; None before its first page is answered.
        under_way: How many of its pages are under way.
        fruitless_pages: How many pages in a row showed no more than a GET would have.
        gets: How many of its entries were read with GET since the last page was sent.
    """

    top: int | None = None
    under_way: int = 0
    fruitless_pages: int = 0
    gets: int = 0

    def covers_all(self, size: int) -> bool:
        """Whether the pages that are under way may show all who ask."""
        if not self.under_way:
            return False
        return self.top is None or self.under_way * size >= len(self.asking)

    def may_go_on(self) -> bool:
        """Whether the next page is likely to pay. Pages that find nothing are at most a sixteenth of the GETs."""
        return self.top != 0 and (not self.fruitless_pages or self.gets >= _GETS_PER_PAGE)

    def advance(self, size: int) -> int | None:
        """Begin the next page, and return the rank below which it lies."""
        top = self.top
        self.under_way += 1
        self.gets = 0
        if top is not None:
            self.top = max(top - size, 0)
        return top

    def answered(self, begun_at: int | None, ranks: range, total: int, found: int) -> None:
        """Record an answered page.

        Args:
            begun_at: What ``advance`` returned for it.
            ranks: The ranks that it shows.
            total: How many records the list holds.
            found: How many of the members it shows.
        """
        self.under_way -= 1
        self.fruitless_pages = 0 if found > 1 else self.fruitless_pages + 1
        # After a page with few of the members, the rest would wait for many pages: they may be read with GET besides.
        self.gets_allowed = 0 if found * 2 >= len(ranks) else NEVER
        if not ranks or len(ranks) >= total:
            self.top = 0
        elif begun_at is None:
            # While the order is unknown, a list with its oldest first is begun at the wrong end.
            self.top = min(ranks) if max(ranks) + 1 >= total else total

    def failed(self, begun_at: int | None) -> None:
        """Record a page that could not be read: the scan goes on where it was before."""
        self.under_way -= 1
        if begun_at is not None and self.top is not None:
            self.top = max(self.top, begun_at)


@attrs.define(kw_only=True, eq=False)
class Read(Generic[J]):
    """A read that was decided upon: a GET of one request, or a page of the list.

    Attributes:
        began: When it was sent, by the loop's clock.
        timeout: Seconds for the answer.
        entry: The request of a GET; None for a page.
        id: The id that a GET asks for.
        is_audit: Whether the GET only checks what a page says. Its failure counts for nothing.
        group: The bucket or the scan that a page is read for.
        covered: The entries that have to be asked for again if the page does not show them.
        offset: Where the page begins.
        begun_at: Where in the scan it lies.
        must_be: The id that the request of a GET must have, where it is asked for by another name.
        is_here: Whether its answer has come, and waits only to be decoded.
        is_overdue: Whether it took so long that the entries were asked for again meanwhile.
        overdue_at: When it will be, by the loop's clock.
    """

    began: float
    timeout: float
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

    @property
    def is_page(self) -> bool:
        """Whether this is a page of the list."""
        return self.entry is None

    def owed(self) -> Iterator[Entry[J]]:
        """Yield the entries that still wait for this read."""
        for entry in [self.entry] if self.entry is not None else self.covered:
            if entry.read is self:
                yield entry
