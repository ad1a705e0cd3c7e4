"""Hands answers to the waits for the requests that they show, and learns from them where requests are in the list.

An answer that shows an older state than the last one is dropped. A page is checked: every few seconds one request of
it is read with GET as well, and a list that turns out to lag is not read for a while.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final, Generic, TypeVar

import attrs

from .._http.clock import loop_time
from ..models import Job, Pagination
from .entries import Entry, Read
from .packing import started_at_of, unpack
from .read_queue import ReadQueue
from .reads import Answer, FinishedRequests, Source
from .registry import Registry
from .slices import SLICE
from .snapshot import ReadStamp, Snapshot
from .times import ALWAYS, NEVER

__all__ = ["Delivery"]

J = TypeVar("J", bound=Job)

_FEW: Final = 8  # reads in the queue up to which a nudge is worth a GET of its own
_AUDIT_PAUSE: Final = 5.0  # least seconds between two GETs that only check a page
_CLOCK_TICK: Final = timedelta(seconds=1)  # ``Date`` has no fractions of a second
_NOT_YET: Final = datetime.max.replace(tzinfo=UTC)


class Delivery(Generic[J]):
    """Hands answers to subscribers.

    Args:
        queue: The polls that are asked for.
        registry: The requests with subscribers.
        source: Tells how many clients share the answers.
        random: Draws the jitter of answers.
        read_timeout: Seconds for the answer to a GET that no wait asked for.
        finished: Learns from the finished requests that reads show, if any.
    """

    def __init__(
        self,
        queue: ReadQueue[J],
        registry: Registry[J],
        source: Source[J],
        *,
        random: Callable[[], float],
        read_timeout: float,
        finished: FinishedRequests | None,
    ) -> None:
        self._queue = queue
        self._registry = registry
        self._source = source
        self._random = random
        self._read_timeout = read_timeout
        self._finished = finished
        self._audit_at = ALWAYS
        self._ended_by_audit: str | None = None

    def nudge(self, id: str) -> None:
        """Poll the requests with this id or reference now, with a read that begins after this call."""
        for entry in self._registry.named(id):
            entry.note(nudged_at=loop_time())
            # A GET answers first; while the lane is busy, one page may serve many nudges.
            self._queue.ask(entry, self._read_timeout, alone=len(self._queue) <= _FEW)
            self._queue.to_front(entry)

    def stamp(self, read: Read[J], answer: Answer[J]) -> ReadStamp:
        """Return when an answer came, and of what."""
        return ReadStamp(
            began=read.began,
            at=loop_time(),
            server_time=answer.server_time,
            jitter_draw=self._random(),
            is_page=answer.pagination is not None,
            is_heard=read.is_heard,
        )

    def show_request(self, read: Read[J], entry: Entry[J], answer: Answer[J], stamp: ReadStamp) -> None:
        """Hand on the answer of a GET."""
        ((_, record),) = answer.records
        snapshot = Snapshot(answer.make(record), stamp)
        if self._finished is not None:
            self._finished.add(snapshot.request, stamp.server_time)
        if read.is_audit and snapshot.request.is_finished:
            self._ended_by_audit = snapshot.request.id
        if entry.subscriber is None:
            return
        entry = self._identify(entry, snapshot.request.id)
        if _page_was_late(entry.stamp, snapshot):
            self._list_lags()
        if not self._is_outdated(entry, snapshot):
            self._deliver(entry, snapshot, read)
        elif entry.read is read and entry.packed is not None and entry.stamp is not None:
            # A page that was sent later was answered first, and shows no less. This GET confirms it. Otherwise a poll
            # that only a GET can answer would ask for GETs without end while the loop's clock stands still.
            confirmed = attrs.evolve(entry.stamp, began=stamp.began, is_page=False)
            self._deliver(entry, Snapshot(unpack(entry.packed), confirmed), read)

    def show_page(self, read: Read[J], answer: Answer[J], pagination: Pagination, stamp: ReadStamp) -> None:
        """Hand on what a page shows, and tell the queue what it does not show."""
        queue, index = self._queue, self._queue.index
        queue.health.page_answered(stamp.at, stamp.at - read.began)
        total = index.total
        ranks, found = self.show_records(read, answer, pagination, stamp)
        missed = list(read.owed())
        # As many of the others on the page are likely to be waited for by other clients.
        queue.page_answered(read, ranks, found * self._source.clients)
        for entry in missed:
            if entry.rare.misses > 1 or index.total <= total:
                queue.lose_place(entry)

    def show_records(
        self, read: Read[J], answer: Answer[J], pagination: Pagination, stamp: ReadStamp
    ) -> tuple[range, int]:
        """Hand on what a page shows; return the ranks of its records, and how many are of the read's own group."""
        queue = self._queue
        self._learn_list(answer, pagination)
        ranks = queue.index.ranks(pagination.offset, len(answer.records))
        shown, found = self._shown_by(read, answer, stamp, ranks)
        if read.is_heard:
            queue.page_was_heard(ranks)
        for entry, snapshot, rank in sorted(shown, key=_end_of):
            if entry.stamp is not None and self._is_outdated(entry, snapshot):
                continue
            if _lacks_end(snapshot.request) and not entry.rare.is_end_checked:
                entry.note(is_end_checked=True)
                queue.ask(entry, entry.timeout or self._read_timeout, alone=True)
                continue
            self._deliver(entry, snapshot, read)
            if entry.subscriber is not None:
                queue.place(entry, rank)
        return ranks, found

    def _learn_list(self, answer: Answer[J], pagination: Pagination) -> None:
        """Learn order, size and ids of the list from a page, and remove places that are wrong by that."""
        index, records = self._queue.index, answer.records
        if index.learn(pagination, len(records), answer.is_newest_first):
            for displaced in index.entries():
                self._queue.move(displaced, None)
        if records:
            for reference in self._registry.learn_ids(id for id, _ in records):
                self._queue.scan_from(reference, NEVER)
                self._queue.move(reference, None)

    def _shown_by(
        self, read: Read[J], answer: Answer[J], stamp: ReadStamp, ranks: range
    ) -> tuple[list[tuple[Entry[J], Snapshot[J], int]], int]:
        """Decode the records with subscribers, and count those of the group that the page was read for."""
        shown, found, room = [], 0, 0
        if self._finished is not None:
            self._finished.set_clock(stamp.server_time)
            room = self._finished.room
        for rank, (id, record) in zip(ranks, answer.records, strict=True):
            entry = self._registry.find(id)
            if entry is None and id != self._ended_by_audit and not self._is_of_use(id, record):
                continue
            try:
                snapshot = Snapshot(answer.make(record), stamp)
            except ValueError:
                continue  # a GET follows, and its error names the fault
            if room and self._finished is not None and snapshot.request.finished_at is not None:
                room -= 1
                self._finished.add(snapshot.request, stamp.server_time)
            if id == self._ended_by_audit:
                self._ended_by_audit = None
                if not snapshot.request.is_finished:
                    self._list_lags()
            if entry is not None:
                found += entry.group is read.group
                if entry.id != id or not snapshot.request.is_finished:
                    entry = self._identify(entry, id)
                shown.append((entry, snapshot, rank))
        return shown, found

    def _is_of_use(self, id: str, record: Any) -> bool:
        """Whether a record without a wait is worth decoding, to learn from it."""
        is_finished = isinstance(record, dict) and record.get("finished_at")
        return bool(is_finished) and self._finished is not None and self._finished.wants(id)

    def audit(self, page: Read[J]) -> None:
        """Every few seconds, read one request of a page with GET as well: the one whose last GET is the longest ago.

        Not only of those that ask: a page may answer others so early that they never do.
        """
        if loop_time() >= self._audit_at and page.group is not None:
            # Each client receives the GETs of the others, and all together send as many as one.
            self._audit_at = loop_time() + _AUDIT_PAUSE * self._source.clients
            entry = min([*page.covered, *islice(page.group.members, SLICE)], key=_last_get)
            entry.note(audited_at=loop_time())
            self._queue.audit(entry)

    def _list_lags(self) -> None:
        """Read no pages for a while, since the list shows an older state; audit the first page after that."""
        self._audit_at = loop_time()
        self._queue.health.list_lags(self._audit_at)

    def _is_outdated(self, entry: Entry[J], snapshot: Snapshot[J]) -> bool:
        """Whether an answer shows an older state than the last one: read earlier, or from a list that lags."""
        stamp, request = entry.stamp, snapshot.request
        if stamp is None or entry.packed is None or request.is_finished:
            return False
        if snapshot.stamp.is_page and request.started_at is None and started_at_of(entry.packed):
            self._list_lags()
            return True
        return snapshot.stamp.began <= stamp.began

    def _identify(self, entry: Entry[J], id: str) -> Entry[J]:
        """Set the id of a request. If another entry has it already, that one takes over subscribers and poll."""
        aliases = entry.rare.aliases
        known = self._registry.identify(entry, id)
        if known is not entry:
            is_idle, timeout = entry.state == "idle", entry.timeout
            if entry.rare.nudged_at > known.rare.nudged_at:
                known.note(nudged_at=entry.rare.nudged_at)
            self._queue.remove(entry)
            if not is_idle and known.state == "idle":
                self._queue.ask(known, timeout)
        elif entry.rare.aliases is not aliases:
            self._queue.scan_from(entry, ALWAYS)  # it was a reference, and has an id from now on
        return known

    def _deliver(self, entry: Entry[J], snapshot: Snapshot[J], read: Read[J]) -> None:
        own = entry.read
        if own is None or own is read or own.is_page or snapshot.request.is_finished:
            self._queue.dequeue(entry)  # otherwise its own GET is still under way, and may show more than this page
        for subscriber in entry.subscribers:
            subscriber.on_snapshot(snapshot)
        if entry.subscriber is None:
            return  # a finished request has usually lost its subscribers by now
        self._registry.keep(entry, snapshot)
        self.nudge_again(entry, entry.rare.nudged_at, snapshot.stamp.began)

    def nudge_again(self, entry: Entry[J], nudged_at: float, began: float) -> None:
        """Poll once more after a nudge that came while a read was under way, since that read may show no end yet."""
        if nudged_at != ALWAYS:
            entry.note(nudged_at=ALWAYS)
            if nudged_at > began:
                self.nudge(entry.id)


def _last_get(entry: Entry[Any]) -> float:
    """Return when a GET last showed an entry, or was asked for to check a page."""
    stamp = entry.stamp
    return entry.rare.audited_at if stamp is None or stamp.is_page else max(entry.rare.audited_at, stamp.at)


def _page_was_late(stamp: ReadStamp | None, snapshot: Snapshot[J]) -> bool:
    """Whether a GET shows that a request had ended before a page showed it unfinished, by the service's clock."""
    finished_at = snapshot.request.finished_at
    if stamp is None or not stamp.is_page or not snapshot.request.is_finished:
        return False
    if finished_at is None or finished_at < snapshot.request.created_at or stamp.server_time is None:
        # The GET was sent before the page was answered, as far as the clock of one machine tells.
        return snapshot.stamp.began <= stamp.at and not (stamp.is_heard or snapshot.stamp.is_heard)
    return finished_at + _CLOCK_TICK < stamp.server_time


def _lacks_end(request: Job) -> bool:
    """Whether a page shows an end without the output or the reason, as a list that lags would."""
    if request.is_completed:
        return getattr(request, "output_url", "") is None
    return request.is_failed and request.error_message is None


def _end_of(shown: tuple[Entry[Any], Snapshot[Any], int]) -> datetime:
    """Return the key that sorts the requests of a page by their end; unfinished ones come last."""
    return shown[1].request.finished_at or _NOT_YET
