"""The read queue: picks the next read to send, a GET of one request or a page of the list that may show several.

The poll that has been queued longest comes first. A request with a known place in the list is queued in a bucket with
its neighbours; a request with an unknown place takes part in a scan of the list; every other request is queued alone.
The queue reads a page for a bucket or a scan if the page may answer for more than one request and pages can be read,
and GETs otherwise. A page delays no request for longer than ``ListHealth.overdue_after``.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count, islice
from typing import Final, Generic, TypeVar

from ..models import Job
from .entries import Bucket, Entry, ListScan, Read
from .list_health import PATIENCE, ListHealth, doubled
from .list_index import ListIndex
from .slices import SLICE
from .times import ALWAYS, NEVER

__all__ = ["ReadQueue"]

J = TypeVar("J", bound=Job)

_SCAN_PAUSE: Final = (15.0, 480.0)  # seconds until the list is scanned again for a request: first, longest
_FIRST_GETS: Final = 16  # how many requests of an overdue page are read with GET at first; then all of them
_NEXT_FIRST_GET: Final = 0.4  # seconds between the GETs that show whether a service answers that has not yet
_PROBE_TIME: Final = 1.0  # seconds that other reads wait for the GET that follows a page answered 429
_STALE: Final = 256  # places that may stay in the heap after they left the queue
_HEARD_FOR: Final = 15.0  # seconds for which a page that another client has read is likely to be read by it again
_FEW: Final = 8  # members of a bucket up to which last polls are GETs without a page


class ReadQueue(Generic[J]):
    """Holds the polls that were asked for, and decides what to read.

    Args:
        clock: The loop's time.
        wake: Called when there is something to read.
        page_timeout: Seconds for the answer to a page.
    """

    def __init__(self, clock: Callable[[], float], wake: Callable[[], None], page_timeout: float) -> None:
        self._clock = clock
        self._wake = wake
        self._page_timeout = page_timeout
        self.index: ListIndex[J] = ListIndex()
        self.health: ListHealth = ListHealth()
        self._newcomers: ListScan[J] = ListScan()
        self._pages_under_way = 0
        self._probe: Read[J] | None = None
        # A heap by the time of asking. A place that leaves the queue stays in the heap until it comes to the top.
        self._heap: list[tuple[float, int, Entry[J] | Bucket[J] | ListScan[J]]] = []
        self._queued: dict[Entry[J] | Bucket[J] | ListScan[J], int] = {}
        self._numbers = count()
        self._audits: dict[Entry[J], None] = {}

    def __len__(self) -> int:
        """The largest number of reads that are wanted."""
        if self.health.awaits_get:
            # A single GET shows whether a 429 limits the list alone; otherwise other reads would be refused too.
            return 0 if self._probe is not None else min(len(self._queued), 1)
        return len(self._queued) + len(self._audits)

    def start_scan(self, entry: Entry[J]) -> None:
        """Add an entry without a place to the scan of the list that begins next, if it may be scanned for."""
        scan_at = entry.rare.scan_at
        if scan_at == ALWAYS or scan_at <= self._clock():
            if self._newcomers.top is not None:
                self._newcomers = ListScan()
            entry.group = self._newcomers
            entry.group.members.add(entry)

    def scan_from(self, entry: Entry[J], when: float) -> None:
        """Set from when on the list may be scanned for an entry."""
        entry.note(scan_at=when)

    def ask(
        self,
        entry: Entry[J],
        timeout: float,
        *,
        now: float | None = None,
        alone: bool = False,
        with_page: bool = False,
    ) -> None:
        """Ask for a poll of an entry.

        Args:
            entry: What to read.
            timeout: Seconds that a GET may take.
            now: The loop's time, if it is known: very many entries may be asked for in one turn.
            alone: Whether only a GET can answer.
            with_page: Whether to read the bucket's page as well, if many entries are in it: the page may show an end
                whose GET comes too late.
        """
        group = entry.group
        if now is None:
            now = self._clock()
        if with_page and isinstance(group, Bucket) and len(group.members) > _FEW and not group.wants_page:
            group.wants_page = True
            self._push(group, now)
        if entry.timeout == 0.0:
            entry.timeout = timeout
        elif entry.timeout != timeout:
            entry.note(least_timeout=min(entry.rare.least_timeout, entry.timeout, timeout))
            entry.timeout = max(entry.timeout, timeout)
        if entry.state == "reading":
            read = entry.read
            if read is not None and read.entry is entry:
                # It was sent for an earlier poll; a GET that is sent once it is late may be answered before it.
                read.overdue_at = min(read.overdue_at, max(now, read.began + self.health.get_overdue_after))
            elif alone:
                self.dequeue(entry, keep_timeout=True)
        if entry.state == "idle":
            self._enqueue(entry, now, alone=alone)
        elif entry.state == "asking" and alone:
            self._unqueue(entry)
            self._enqueue(entry, now, alone=True)

    def ask_again(self, read: Read[J], *, alone: bool = False) -> None:
        """Queue the entries of a read again, each with the time since when its poll waits."""
        for entry in list(read.owed()):
            entry.read = None
            if entry.subscriber is None:
                entry.state = "idle"
            else:
                self._enqueue(entry, read.began, alone=alone)

    def expect(self, entry: Entry[J], due: float) -> None:
        """Set when the next poll of an entry is wanted; the earliest time counts."""
        entry.due = min(entry.due, due)

    def dequeue(self, entry: Entry[J], *, keep_timeout: bool = False) -> None:
        """Remove an entry from the queue, or from the read that is under way."""
        if entry.state == "asking":
            self._unqueue(entry)
        entry.state, entry.read = "idle", None
        if not keep_timeout:
            entry.timeout, entry.due = 0.0, NEVER
            if entry.rare.least_timeout != NEVER:
                entry.note(least_timeout=NEVER)

    def to_front(self, entry: Entry[J]) -> None:
        """Move a queued entry to the head of the queue."""
        if entry.state != "asking":
            return
        group = entry.group
        if isinstance(group, Bucket) and entry in group.asking:
            group.asking = {entry: ALWAYS, **group.asking}
            if group.page is None or group.gets_allowed:
                self._push(group, ALWAYS)
        else:
            self._unqueue(entry)
            self._push(entry, ALWAYS)

    def move(self, entry: Entry[J], group: Bucket[J] | ListScan[J] | None) -> None:
        """Change the group of an entry; a queued poll moves along."""
        since = self._unqueue(entry) if entry.state == "asking" else None
        if entry.group is not None:
            self._leave_group(entry, entry.group)
        if group is not None:
            entry.group = group
            group.members.add(entry)
        if since is not None:
            self._enqueue(entry, since)

    def remove(self, entry: Entry[J]) -> None:
        """Remove an entry that has lost its subscribers."""
        if entry.state != "idle":
            self.dequeue(entry)
        if self._audits:
            self._audits.pop(entry, None)
        if entry.group is not None:
            self._leave_group(entry, entry.group)

    def clear(self) -> None:
        """Empty the queue. The caller ends the waits whose polls were in it."""
        self._heap.clear()
        self._queued.clear()
        self._audits.clear()

    def _leave_group(self, entry: Entry[J], group: Bucket[J] | ListScan[J]) -> None:
        entry.group = None
        group.members.discard(entry)
        if not group.members and isinstance(group, Bucket):
            self.index.remove(group)

    def _enqueue(self, entry: Entry[J], since: float, *, alone: bool = False) -> None:
        entry.state = "asking"
        if entry.group is None and not alone:
            self.start_scan(entry)
        group = entry.group
        if group is None or alone:
            self._push(entry, since)
            return
        group.asking[entry] = since
        if group not in self._queued and self._may_read(group):
            self._push(group, since)

    def _may_read(self, group: Bucket[J] | ListScan[J]) -> bool:
        """Whether a read may be sent for a group, besides those under way."""
        if group.gets_allowed:
            return True
        return group.page is None if isinstance(group, Bucket) else not group.covers_all(self.index.size)

    def _push(self, place: Entry[J] | Bucket[J] | ListScan[J], since: float) -> None:
        number = next(self._numbers)
        self._queued[place] = number
        heapq.heappush(self._heap, (since, number, place))
        if len(self._heap) > _STALE + 2 * len(self._queued):
            self._heap = [item for item in self._heap if self._queued.get(item[2]) == item[1]]
            heapq.heapify(self._heap)
        self._wake()

    def _unqueue(self, entry: Entry[J]) -> float:
        """Remove a queued entry from the queue, and return since when its poll waits."""
        group = entry.group
        if group is None or entry not in group.asking:
            self._queued.pop(entry, None)
            return self._clock()
        since = group.asking.pop(entry)
        if not group.asking and not group.wants_page:
            self._queued.pop(group, None)
        return since

    def _push_again(self, group: Bucket[J] | ListScan[J]) -> None:
        """Queue a group again after one of its reads was sent or has ended."""
        if group.asking and group not in self._queued and self._may_read(group):
            self._push(group, next(iter(group.asking.values())))

    def choose(self) -> Read[J] | None:
        """Return the read to send now, and remove it from the queue."""
        now = self._clock()
        if not len(self):
            return None
        if self._audits and not self.health.awaits_get:
            entry, _ = self._audits.popitem()
            late_after = self.health.get_overdue_after
            return Read(
                began=now,
                timeout=self._page_timeout,
                entry=entry,
                id=entry.id,
                is_audit=True,
                late_after=late_after,
            )
        while self._heap:
            _, number, place = heapq.heappop(self._heap)
            if self._queued.get(place) != number:
                continue
            del self._queued[place]
            read: Read[J] | None
            if isinstance(place, Entry):
                read = self._get(place, now)
            elif isinstance(place, Bucket):
                read = self._read_of_bucket(place, now)
            else:
                read = self._read_of_scan(place, now)
            if read is not None:
                return read
        return None

    def _get(self, entry: Entry[J], now: float) -> Read[J]:
        rare = entry.rare
        read = Read(
            began=now,
            timeout=entry.timeout,
            least_timeout=rare.least_timeout,
            entry=entry,
            id=entry.id,
            overdue_at=now + rare.least_timeout,
            late_after=self.health.get_overdue_after,
        )
        if rare.aliases and rare.failures_alone % 2:
            # The service may know the request by the name that the subscriber gave, and by that name alone.
            read.id, read.must_be = next(iter(rare.aliases)), entry.id
        entry.state, entry.read = "reading", read
        if self.health.awaits_get and self._probe is None:
            self._probe, read.overdue_at = read, min(read.overdue_at, now + _PROBE_TIME)
        if isinstance(entry.group, ListScan):
            entry.group.gets += 1
        return read

    def _get_one_of(self, group: Bucket[J] | ListScan[J], now: float) -> Read[J] | None:
        entry = next(iter(group.asking), None)
        if entry is None or not self._may_read(group):
            return None
        del group.asking[entry]
        group.gets_allowed = max(group.gets_allowed - 1, 0)
        read = self._get(entry, now)
        self._push_again(group)
        return read

    def _read_of_bucket(self, bucket: Bucket[J], now: float) -> Read[J] | None:
        is_wanted, bucket.wants_page = bucket.wants_page and bool(bucket.members), False
        if bucket.page is not None or not self.health.allows_page(now, self._pages_under_way):
            return self._get_one_of(bucket, now)
        if not is_wanted and not bucket.is_worth_page(now) and now > bucket.heard_at + _HEARD_FOR:
            return self._get_one_of(bucket, now)
        read = self._page(now, bucket, self.index.top_of(bucket))
        read.covered = list(bucket.asking)
        bucket.asking.clear()
        for entry in read.covered:
            entry.state, entry.read = "reading", read
        bucket.page = read
        return read

    def _read_of_scan(self, scan: ListScan[J], now: float) -> Read[J] | None:
        if scan.top == 0 and not scan.under_way:
            self._end_scan(scan)
            return None
        if not scan.asking and (not scan.wants_page or self.health.page_came_at != ALWAYS):
            return None
        allowed = scan.may_go_on() and not scan.covers_all(self.index.size)
        if not allowed or not self.health.allows_page(now, self._pages_under_way):
            return self._get_one_of(scan, now)
        if not scan.wants_page and not scan.is_worth_page(now):
            return self._get_one_of(scan, now)
        begun_at = scan.advance(self.index.size)
        read = self._page(now, scan, begun_at)
        read.begun_at = begun_at
        self._push_again(scan)
        return read

    def _page(self, now: float, group: Bucket[J] | ListScan[J], top: int | None) -> Read[J]:
        self._pages_under_way += 1
        return Read(
            began=now,
            timeout=self._page_timeout,
            group=group,
            offset=self.index.offset_below(top),
            overdue_at=now + self.health.overdue_after,
            late_after=self.health.late_after,
        )

    def page_ended(self, read: Read[J]) -> None:
        """Record that a page is not under way any more."""
        self._pages_under_way -= 1
        group = read.group
        if isinstance(group, Bucket) and group.page is read:
            group.page, group.gets_allowed = None, 0

    def put_back(self, read: Read[J]) -> None:
        """Queue the entries of a read that brought no answer again."""
        if not read.is_page:
            self.get_ended(read)
        else:
            self.page_ended(read)
            if isinstance(read.group, ListScan):
                read.group.failed(read.begun_at)
        self.ask_again(read)
        if read.group is not None:
            self._push_again(read.group)

    def pages_keep_coming(self, read: Read[J], now: float) -> float:
        """Return until when a late page is put off because other pages keep coming, or 0.

        While the loop is busy with the records of other pages, it sees later answers late.
        """
        until = min(self.health.page_came_at + self.health.overdue_after, read.began + PATIENCE)
        if read.is_page and not read.is_overdue and self.health.is_trusted and now < until:
            return until
        return 0.0

    def page_is_overdue(self, page: Read[J], now: float) -> bool:
        """Let entries of an overdue page be read with GET as well: some the first time, all the second time.

        Returns:
            Whether to cancel the page.
        """
        if self.health.knows_nothing and page.overdue_at < page.began + PATIENCE:
            # One more GET at a time, so that its answer shows soon after an outage that the service answers again.
            self._allow_gets(page, 1)
            page.overdue_at = min(now + _NEXT_FIRST_GET, page.began + PATIENCE)
            return False
        is_first = not page.is_overdue
        self._allow_gets(page, _FIRST_GETS if is_first else None)
        page.is_overdue = True
        page.overdue_at = now + self.health.get_overdue_after / 2 if is_first else NEVER
        self.health.page_is_overdue()
        # A single page is enough to notice when the list answers again.
        return not is_first and self._pages_under_way > 1

    def _allow_gets(self, page: Read[J], most: int | None) -> None:
        group = page.group
        if group is not None:
            for entry in [*islice(page.owed(), most)]:
                entry.state, entry.read = "asking", None
                group.asking[entry] = page.began
            group.gets_allowed += NEVER if most is None else most
            self._push_again(group)

    def get_ended(self, read: Read[J], *, is_refused: bool = False) -> None:
        """Record that a GET is not under way any more.

        Args:
            read: The GET.
            is_refused: Whether it was answered 429.
        """
        if is_refused:
            self.health.get_refused()
        if self._probe is read:
            self._probe = None
            if not is_refused:
                self.health.get_was_admitted(self._clock())
            self._wake()

    def get_is_overdue(self, read: Read[J]) -> None:
        """Queue an entry again whose GET takes longer than GETs do, since a later poll may be answered sooner."""
        read.overdue_at = read.began + read.least_timeout
        if self._probe is read:
            self.get_ended(read)
            return
        read.is_overdue = True
        self.ask_again(read)

    def page_answered(self, read: Read[J], ranks: range, found: int) -> None:
        """Record an answered page, and queue its bucket or scan again.

        Args:
            read: The page.
            ranks: The ranks that it showed.
            found: How many members of its group it showed, with those that other clients are likely to wait for.
        """
        self.page_ended(read)
        missed = list(read.owed())
        for entry in missed:
            entry.note(misses=entry.rare.misses + 1)
        self.ask_again(read, alone=True)
        group = read.group
        if isinstance(group, ListScan):
            group.answered(read.begun_at, ranks, self.index.total, found)
            if group.top == 0 and not group.under_way:
                self._end_scan(group)
        if group is not None:
            self._push_again(group)

    def page_was_heard(self, ranks: range) -> None:
        """Record that another client on the account has read the page with these ranks."""
        self.index.page_was_heard(ranks, self._clock())
        self._newcomers.skip(ranks, self.index.total)
        self.health.page_was_heard(self._clock())

    def lose_place(self, entry: Entry[J]) -> None:
        """Remove the place of an entry that a page did not show; a later page or a scan may find a new one."""
        self.scan_from(entry, self._clock() + _SCAN_PAUSE[0])
        self.move(entry, None)

    def place(self, entry: Entry[J], rank: int) -> None:
        """Set the place of an entry in the list."""
        if entry.rare.misses:
            entry.note(misses=0)
        bucket = self.index.bucket_at(rank)
        if entry.group is not bucket:
            self.move(entry, bucket)

    def prime(self) -> None:
        """Read the first page of the list once nothing else is to be read, for the finished requests on it.

        No page is read for that if another one has come by then: it shows finished requests as well.
        """
        scan: ListScan[J] = ListScan()
        scan.wants_page = True
        self._push(scan, NEVER)

    def audit(self, entry: Entry[J]) -> None:
        """Read an entry with GET besides the page that covers it, to compare the two."""
        self._audits[entry] = None
        self._wake()

    def _end_scan(self, scan: ListScan[J]) -> None:
        """Let queued entries that a scan did not find be read with GET for a while.

        They may be very many, so the next turn handles the rest. Entries without a queued poll stay in the scan.
        """
        now = self._clock()
        for entry in [*islice(scan.asking, SLICE)]:
            rare = entry.rare
            again_at = max(rare.scan_at, now + doubled(_SCAN_PAUSE, rare.scans))
            entry.note(scan_at=again_at, scans=rare.scans + 1)
            self.move(entry, None)
        if scan.asking and scan not in self._queued:
            self._push(scan, now)
