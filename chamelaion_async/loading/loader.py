"""The loader: every status read of a wait goes through here, and one answer serves all who wait for what it shows.

What is asked for gathers in the read queue while the lane is busy. What to read is decided only when the lane lets
the next read through: a GET of one request, or a page of the list where that answers for more. So a client that is
alone with its service polls with the lowest delay, and one under a rate limit turns thousands of waits into few
pages.

Sharing never makes a wait worse off than a loop of GETs of its own:

- a page that fails, is refused or takes too long costs no request its poll: a GET brings it;
- an error reaches the request whose read failed, and no other;
- a page may show that a request has ended, but it is not the only witness that it goes on: now and then one request
  of a page is read with GET as well, and a list that is found to lag is not read for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Any, Final, Generic, TypeVar

import attrs

from .._http.clock import loop_time
from .._http.retry import is_ridden_out, retry_after_of
from .._http.tracebacks import let_go
from ..errors import (
    APIConnectionError,
    AuthenticationError,
    ChamelaionError,
    ClientClosedError,
    ConfigurationError,
    RateLimitError,
)
from ..models import Job, Pagination
from .entries import ALWAYS, NEVER, SLICE, Entry, Read, ReadStamp, Snapshot, Subscriber
from .packing import Packer
from .read_queue import ReadQueue
from .reader_pool import ReaderPool
from .reads import Answer, Source
from .registry import Registry

__all__ = ["Loader"]

J = TypeVar("J", bound=Job)

_FAILURES_ALONE: Final = 3  # failed GETs in a row after which a page may be read for one request alone
_PREFERS_PAGE: Final = 30.0  # seconds for which it may
_FEW: Final = 8  # reads that may wait for the lane while a nudge is still worth a GET of its own
_AUDIT_PAUSE: Final = 5.0  # seconds at least between two GETs that only check what a page says
_HELD_UP: Final = 0.01  # seconds by which a timer is late when the loop was busy
_CLOCK_TICK: Final = timedelta(seconds=1)  # ``Date`` has no fractions of a second
_NOT_YET: Final = datetime.max.replace(tzinfo=UTC)


class Loader(Generic[J]):
    """Reads for all who wait for requests of one family.

    Args:
        source: Sends reads.
        packer: Packs requests, since very many may be kept.
        random: Draws the jitter of answers.
        read_timeout: Seconds for the answer of a page, or of a GET that no wait has asked for.
    """

    def __init__(
        self, source: Source[J], packer: Packer[J], *, random: Callable[[], float], read_timeout: float
    ) -> None:
        self._source = source
        self.packer = packer
        self._random = random
        self._read_timeout = read_timeout
        self._queue: ReadQueue[J] = ReadQueue(loop_time, self._wake, read_timeout)
        self._registry: Registry[J] = Registry(packer)
        self._pool = ReaderPool(self._queue, self._read_once, self._brisk_reads, source.most_at_once)
        self._reads: dict[asyncio.Task[Any], Read[J] | None] = {}
        self._overdue_timer: asyncio.TimerHandle | None = None
        self._audit_at = ALWAYS
        self._ended_by_audit: str | None = None
        self._audits = 0
        self._refusals = 0
        self.answered_at = ALWAYS
        """When the last good answer came, by the loop's clock."""

    # What subscribers call

    def join(self, subscriber: Subscriber[J]) -> Entry[J]:
        """Subscribe to a request."""
        entry = self._registry.join(subscriber)
        if entry.group is None and entry.state == "idle":
            self._queue.start_scan(entry)
        return entry

    def leave(self, entry: Entry[J], subscriber: Subscriber[J]) -> None:
        """Unsubscribe. The last subscriber ends the read that is under way for the request; see ``settled``."""
        self._registry.leave(entry, subscriber)
        if entry.subscriber is not None:
            return
        self._queue.forget(entry)
        was_last = not self._registry
        if was_last:
            self._queue.clear()
            self._pool.stop()
            self._stop_overdue_timer()
        current = asyncio.current_task()
        for task, read in self._reads.items():
            is_unwanted = was_last or (read is not None and read.entry is entry)
            if is_unwanted and task is not current:
                task.cancel()

    async def settled(self) -> None:
        """Return once every read that nothing waits for any more has ended."""
        ending = [task for task in self._reads if task.cancelling()]
        if ending:
            await asyncio.wait(ending)

    def known(self, entry: Entry[J], max_age: float) -> Snapshot[J] | None:
        """Return a request as it was last read, unless that is longer ago than ``max_age`` seconds."""
        if entry.packed is None or entry.stamp is None or loop_time() >= entry.stamp.began + max_age:
            return None
        return Snapshot(self.packer.unpack(entry.packed), entry.stamp)

    def ask(self, entry: Entry[J], timeout: float, *, alone: bool = False, with_page: bool = False) -> None:
        """Ask for a poll. All subscribers receive what comes of it.

        Args:
            entry: What to read.
            timeout: Seconds that a GET may take.
            alone: Whether only a GET will do.
            with_page: Whether to read a page besides, if many wait: it may show an end to those whose GET is late.
        """
        self._queue.ask(entry, timeout, alone=alone, with_page=with_page)
        if entry.read is not None and entry.read.overdue_at < NEVER:
            self._check_overdue()

    def expect(self, entry: Entry[J], due: float) -> None:
        """Say when the next poll will be asked for, so that a page may bring it along before."""
        self._queue.expect(entry, due)

    def nudge(self, id: str) -> None:
        """Poll whatever is waited for under this id or reference now, with a read that begins after this call."""
        for entry in self._registry.named(id):
            entry.note(nudged_at=loop_time())
            # It is about this request, so a GET is best; a page serves many nudges where the lane is busy.
            self._queue.ask(entry, self._read_timeout, alone=len(self._queue) <= _FEW)
            self._queue.to_front(entry)

    def close(self, error: ClientClosedError) -> None:
        """Tell all subscribers that nothing will be read any more."""
        self._fail_all(error)

    # Reading

    def _wake(self) -> None:
        self._pool.wake()

    def _brisk_reads(self) -> int:
        """Count the reads under way that may still be answered as soon as others are."""
        since = loop_time() - self._queue.health.get_overdue_after
        return sum(read is not None and read.began > since for read in self._reads.values())

    async def _read_once(self) -> None:
        """Wait for the lane, and send the read that is the most urgent then."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: this runs as a task
        read: Read[J] | None = None
        self._reads[task] = None
        try:
            async with self._source.turn() as turn:
                self._pool.has_chosen(task)
                read = self._reads[task] = self._queue.choose()
                if read is None:
                    return
                if read.overdue_at < NEVER:
                    self._check_overdue()
                if read.covered:
                    self._audit(read)
                answer = await turn.send(read)
            del self._reads[task]  # whoever leaves now must not stop what others are to be told
            self._answered(read, answer)
        except ChamelaionError as error:
            let_go(error)  # this frame would live as long as the error, which very many may be given
            self._failed(read, error)
        except asyncio.CancelledError:
            if read is not None:
                self._queue.put_back(read)
            raise
        except Exception as error:  # noqa: BLE001 - a defect must end the waits, not leave them waiting
            if read is not None:
                self._queue.put_back(read)
            self._fail_all(error)
        finally:
            self._reads.pop(task, None)
            del task  # it would hold this frame by its error, and this frame it

    def _check_overdue(self) -> None:
        """Ask again for what takes too long, and come back when the next read will be overdue."""
        self._stop_overdue_timer()
        loop = asyncio.get_running_loop()
        now, next_at = loop.time(), NEVER
        for task, read in list(self._reads.items()):
            if read is None or read.is_here:
                continue
            if now >= read.overdue_at + _HELD_UP:
                read.overdue_at = now + _HELD_UP  # the loop was held up: the answer may be here, and not seen yet
            elif now >= read.overdue_at and (put_off := self._queue.pages_keep_coming(read, now)):
                read.overdue_at = put_off
            elif now >= read.overdue_at:
                if not read.is_page:
                    self._queue.get_is_overdue(read)
                elif self._queue.page_is_overdue(read, now):
                    task.cancel()
            next_at = min(next_at, read.overdue_at)
        if next_at < NEVER:
            self._overdue_timer = loop.call_at(next_at, self._check_overdue)

    def _stop_overdue_timer(self) -> None:
        if self._overdue_timer is not None:
            self._overdue_timer.cancel()
            self._overdue_timer = None

    # Answers

    def _answered(self, read: Read[J], answer: Answer[J]) -> None:
        stamp = ReadStamp(
            began=read.began,
            at=loop_time(),
            server_time=answer.server_time,
            jitter_draw=self._random(),
            is_page=read.is_page,
        )
        self._refusals = 0
        self.answered_at = stamp.at
        self._pool.read_was_answered()
        if answer.pagination is not None:
            self._show_page(read, answer, answer.pagination, stamp)
        elif read.entry is not None:
            self._queue.get_ended(read)
            self._get_was_answered(read)
            self._show_request(read, read.entry, answer, stamp)

    def _get_was_answered(self, read: Read[J]) -> None:
        knew_nothing = self._queue.health.knows_nothing
        self._queue.health.get_answered(loop_time() - read.began)
        if knew_nothing:
            for page in self._reads.values():
                if page is not None and page.is_page:
                    page.overdue_at = loop_time()  # it takes longer than this GET, which was sent after it
            self._check_overdue()

    def _show_request(self, read: Read[J], entry: Entry[J], answer: Answer[J], stamp: ReadStamp) -> None:
        ((_, record),) = answer.records
        snapshot = Snapshot(answer.make(record), stamp)
        if read.is_audit and snapshot.request.is_finished:
            self._ended_by_audit = snapshot.request.id
        if entry.subscriber is None:
            return
        entry = self._identify(entry, snapshot.request.id)
        if entry.rare.failures_alone:
            entry.note(failures_alone=0, prefers_page_until=ALWAYS)
        if _page_was_late(entry.stamp, snapshot):
            self._list_lags()
        if not self._is_outdated(entry, snapshot):
            self._deliver(entry, snapshot, read)
        elif entry.read is read and entry.packed is not None and entry.stamp is not None:
            # A page that was sent later has come before, and shows no less. This GET confirms it: a poll that takes
            # no page for an answer would ask for GETs without end else, as long as the loop's clock stands still.
            confirmed = attrs.evolve(entry.stamp, began=stamp.began, is_page=False)
            self._deliver(entry, Snapshot(self.packer.unpack(entry.packed), confirmed), read)

    def _show_page(self, read: Read[J], answer: Answer[J], pagination: Pagination, stamp: ReadStamp) -> None:
        queue, index = self._queue, self._queue.index
        queue.health.page_answered(stamp.at, stamp.at - read.began)
        total = index.total
        self._learn_list(answer, pagination)
        ranks = index.ranks(pagination.offset, len(answer.records))
        shown, found = self._shown_by(read, answer, stamp, ranks)
        for entry, snapshot, rank in sorted(shown, key=_end_of):
            if self._is_outdated(entry, snapshot):
                continue
            if _lacks_end(snapshot.request) and not entry.rare.is_end_checked:
                entry.note(is_end_checked=True)
                queue.ask(entry, entry.timeout or self._read_timeout, alone=True)
                continue
            self._deliver(entry, snapshot, read)
            if entry.subscriber is not None:
                queue.place(entry, rank)
        missed = list(read.owed())
        queue.page_answered(read, ranks, found)
        for entry in missed:
            if entry.rare.misses > 1 or index.total <= total:
                queue.lose_place(entry)

    def _learn_list(self, answer: Answer[J], pagination: Pagination) -> None:
        """Learn what a page tells of the list, and take out of it what it cannot show, or shows elsewhere."""
        index, records = self._queue.index, answer.records
        if index.learn(pagination, len(records), answer.is_newest_first):
            for displaced in index.entries():
                self._queue.move(displaced, None)
        if records:
            for reference in self._registry.learn_ids(id for id, _ in records):
                self._queue.move(reference, None)

    def _shown_by(
        self, read: Read[J], answer: Answer[J], stamp: ReadStamp, ranks: range
    ) -> tuple[list[tuple[Entry[J], Snapshot[J], int]], int]:
        """Decode what a page shows of the requests that are waited for, and count those that it was read for."""
        shown, found = [], 0
        for rank, (id, record) in zip(ranks, answer.records, strict=True):
            entry = self._registry.find(id)
            if entry is None and id != self._ended_by_audit:
                continue
            try:
                snapshot = Snapshot(answer.make(record), stamp)
            except ValueError:
                continue  # a GET will tell what is wrong with it
            if id == self._ended_by_audit:
                self._ended_by_audit = None
                if not snapshot.request.is_finished:
                    self._list_lags()
            if entry is not None:
                found += entry.group is read.group
                shown.append((self._identify(entry, id), snapshot, rank))
        return shown, found

    def _audit(self, page: Read[J]) -> None:
        """Read one of the requests that a page is to show with GET as well, now and then, to compare the two."""
        now = loop_time()
        if now >= self._audit_at:
            self._audit_at = now + _AUDIT_PAUSE
            self._audits += 1
            self._queue.audit(page.covered[self._audits % len(page.covered)])

    def _list_lags(self) -> None:
        """Read with GET for a while, since the list shows an older state; check the first page that is read again."""
        now = loop_time()
        self._queue.health.list_lags(now)
        self._audit_at = now

    def _is_outdated(self, entry: Entry[J], snapshot: Snapshot[J]) -> bool:
        """Whether an answer shows an older state than one that is known: read earlier, or from a list that lags."""
        stamp, request = entry.stamp, snapshot.request
        if stamp is None or entry.packed is None or request.is_finished:
            return False
        if snapshot.stamp.is_page and request.started_at is None and self.packer.started_at_of(entry.packed):
            self._list_lags()
            return True
        return snapshot.stamp.began <= stamp.began

    def _identify(self, entry: Entry[J], id: str) -> Entry[J]:
        """Note the id of a request. A second entry for it hands over its subscribers, and their poll."""
        known = self._registry.identify(entry, id)
        if known is not entry:
            is_idle, timeout = entry.state == "idle", entry.timeout
            self._queue.forget(entry)
            if not is_idle and known.state == "idle":
                self._queue.ask(known, timeout)
        return known

    def _deliver(self, entry: Entry[J], snapshot: Snapshot[J], read: Read[J]) -> None:
        own = entry.read
        if own is None or own is read or own.is_page or snapshot.request.is_finished:
            self._queue.dequeue(entry)  # else its own GET is still under way, and may show more than this page
        for subscriber in entry.subscribers:
            subscriber.on_snapshot(snapshot)
        if entry.subscriber is None:
            return  # most requests that have ended are of no further interest
        self._registry.keep(entry, snapshot)
        nudged_at = entry.rare.nudged_at
        if nudged_at != ALWAYS:
            entry.note(nudged_at=ALWAYS)
            if nudged_at > snapshot.stamp.began:
                self.nudge(entry.id)

    # Failures

    def _failed(self, read: Read[J] | None, error: ChamelaionError) -> None:
        if isinstance(error, RateLimitError):
            self._pool.read_was_refused()
        if read is None or isinstance(error, (ClientClosedError, ConfigurationError)):
            if read is not None:
                self._queue.put_back(read)
            self._fail_all(error)  # no other read would fare better
        elif self._are_credentials_refused(error):
            self._queue.put_back(read)
            self._fail_all(error)
        elif read.is_page:
            if isinstance(error, RateLimitError):
                self._queue.health.page_refused(retry_after_of(error) or 0.0)
            else:
                self._queue.health.page_failed(loop_time(), retry_after_of(error) or 0.0)
            self._queue.put_back(read)
        else:
            self._queue.get_ended(read, is_refused=isinstance(error, RateLimitError))
            if not isinstance(error, APIConnectionError):
                self._get_was_answered(read)
            self._get_failed(read, error)

    def _are_credentials_refused(self, error: ChamelaionError) -> bool:
        """Whether two reads in a row were answered 401 by the API. One may be a mistake, or about the list alone."""
        if not isinstance(error, AuthenticationError):
            return False
        self._refusals += 1
        return self._refusals > 1

    def _get_failed(self, read: Read[J], error: ChamelaionError) -> None:
        entry = read.entry
        if entry is None or entry.read is not read:
            return
        if is_ridden_out(error):
            failures = entry.rare.failures_alone + 1
            entry.note(failures_alone=failures)
            if failures >= _FAILURES_ALONE:
                entry.note(prefers_page_until=loop_time() + _PREFERS_PAGE)
        self._queue.dequeue(entry)
        self._tell([entry], error, read)

    def _fail_all(self, error: Exception) -> None:
        """Tell all subscribers of an error that concerns the client as a whole."""
        self._queue.clear()
        self._tell(self._registry.entries(), error, None)

    def _tell(self, entries: Iterable[Entry[J]], error: Exception, read: Read[J] | None) -> None:
        """Tell subscribers of an error; very many of them in slices."""
        rest = iter(entries)
        for entry in islice(rest, SLICE):
            self._queue.dequeue(entry)
            nudged_at = entry.rare.nudged_at
            for subscriber in entry.subscribers:
                subscriber.on_error(error, read)
            if nudged_at != ALWAYS:
                entry.note(nudged_at=ALWAYS)
                if read is not None and nudged_at > read.began:
                    self.nudge(entry.id)
        if next_one := next(rest, None):
            asyncio.get_running_loop().call_soon(self._tell, chain([next_one], rest), error, read)


def _page_was_late(stamp: ReadStamp | None, snapshot: Snapshot[J]) -> bool:
    """Whether a GET shows that a request had ended, by the service's clock, before a page showed it as unfinished."""
    finished_at = snapshot.request.finished_at
    if stamp is None or not stamp.is_page or not snapshot.request.is_finished:
        return False
    if finished_at is None or finished_at < snapshot.request.created_at or stamp.server_time is None:
        return snapshot.stamp.began <= stamp.at  # the GET was sent before the page was here
    return finished_at + _CLOCK_TICK < stamp.server_time


def _lacks_end(request: Job) -> bool:
    """Whether a request is said to have ended, without the output or the reason."""
    if request.is_failed:
        return request.error_message is None
    return request.is_completed and getattr(request, "output_url", "") is None


def _end_of(shown: tuple[Entry[Any], Snapshot[Any], int]) -> datetime:
    """Order what one page shows by when it finished."""
    return shown[1].request.finished_at or _NOT_YET
