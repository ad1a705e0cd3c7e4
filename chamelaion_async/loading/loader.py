"""The loader: sends every poll of every wait, and hands each answer to all waits for the requests that it shows.

Polls gather in the read queue while the lane is busy. The queue chooses a read only when the lane admits the next
one: a GET of one request, or a page of the list if that answers for more. So an idle client polls with the lowest
delay, and a client under a rate limit turns thousands of waits into few pages.

A wait that shares reads is never worse off than a loop of its own GETs:

- a page that fails, is refused or takes too long costs no request its poll: a GET follows;
- an error reaches the request whose read failed, and no other;
- a page may end a wait, but is never the only evidence that a job goes on: every few seconds one request of a page is
  read with GET as well, and a list that turns out to lag is not read for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, Final, Generic, TypeVar

import attrs

from .._http.clock import loop_time
from .._http.retry import is_ridden_out, retry_after_of
from .._http.tracebacks import let_go
from ..errors import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    ChamelaionError,
    ClientClosedError,
    ConfigurationError,
    RateLimitError,
)
from ..models import Job, Pagination
from .entries import Bucket, Entry, Read, Subscriber
from .packing import started_at_of, unpack
from .read_queue import ReadQueue
from .reader_pool import ReaderPool
from .reads import Answer, FinishedRequests, Source
from .registry import Registry
from .slices import SLICE, in_slices
from .snapshot import ReadStamp, Snapshot
from .times import ALWAYS, NEVER

__all__ = ["Loader"]

J = TypeVar("J", bound=Job)

_FAILURES_ALONE: Final = 3  # failed GETs in a row after which a page may be read for one request alone
_PREFERS_PAGE: Final = 30.0  # seconds for which it may
_FEW: Final = 8  # reads in the queue up to which a nudge is worth a GET of its own
_AUDIT_PAUSE: Final = 5.0  # least seconds between two GETs that only check a page
_MOST_SHARING: Final = 16  # requests that share the price of a page; more of them are polled no more often
_THROTTLED: Final = 4.0  # times the price of a poll while 429s hold reads back: half as many polls
_HELD_UP: Final = 0.01  # seconds by which a timer is late when the loop was busy
_QUEUED: Final = 0.25  # least seconds after which a read that waits for the lane once more is examined again
_CLOCK_TICK: Final = timedelta(seconds=1)  # ``Date`` has no fractions of a second
_NOT_YET: Final = datetime.max.replace(tzinfo=UTC)


class Loader(Generic[J]):
    """Reads for all waits for requests of one family.

    Args:
        source: Sends reads.
        random: Draws the jitter of answers.
        read_timeout: Seconds for the answer to a page, or to a GET that no wait asked for.
        finished: Learns from the finished requests that reads show, if any.
    """

    def __init__(
        self,
        source: Source[J],
        *,
        random: Callable[[], float],
        read_timeout: float,
        finished: FinishedRequests | None = None,
    ) -> None:
        self._source = source
        self._finished = finished
        self._random = random
        self._read_timeout = read_timeout
        self._queue: ReadQueue[J] = ReadQueue(loop_time, self._wake, read_timeout)
        self.expect: Callable[[Entry[J], float], None] = self._queue.expect
        self._registry: Registry[J] = Registry()
        self._pool = ReaderPool(self._queue, self._read_once, self._brisk_reads, source.most_at_once)
        self._reads: dict[asyncio.Task[Any], Read[J] | None] = {}
        self._gets = 0  # under way; while there is none, very many subscribers may leave at no cost
        self._overdue_timer: asyncio.TimerHandle | None = None
        self._audit_at = ALWAYS
        self._ended_by_audit: str | None = None
        self._refusals = 0
        self.answered_at: float = ALWAYS
        """When the last good answer came, by the loop's clock."""

    @property
    def is_idle(self) -> bool:
        """Whether no subscriber is left."""
        return not self._registry

    def join(self, subscriber: Subscriber[J]) -> Entry[J]:
        """Subscribe to a request."""
        entry = self._registry.join(subscriber)
        if entry.group is None and entry.state == "idle":
            if self._registry.is_reference(entry):
                self._queue.scan_from(entry, NEVER)
            self._queue.start_scan(entry)
        return entry

    def leave(self, entry: Entry[J], subscriber: Subscriber[J]) -> None:
        """Unsubscribe. After the last subscriber, the GET that is under way is cancelled; see ``settled``."""
        self._registry.leave(entry, subscriber)
        if entry.subscriber is not None:
            return
        self._queue.remove(entry)
        was_last = not self._registry
        if was_last:
            self._queue.clear()
            self._pool.stop()
            self._stop_overdue_timer()
        elif not self._gets:
            return
        current = asyncio.current_task()
        for task, read in self._reads.items():
            is_unwanted = was_last or (read is not None and read.entry is entry)
            if is_unwanted and task is not current:
                task.cancel()

    async def settled(self) -> None:
        """Return once every read that ``leave`` cancelled has ended."""
        ending = [task for task in self._reads if task.cancelling()]
        if ending:
            await asyncio.wait(ending)

    def known(self, entry: Entry[J], max_age: float) -> Snapshot[J] | None:
        """Return the request as it was last read, if that read began less than ``max_age`` seconds ago."""
        if entry.packed is None or entry.stamp is None or loop_time() >= entry.stamp.began + max_age:
            return None
        return Snapshot(unpack(entry.packed), entry.stamp)

    def ask(
        self,
        entry: Entry[J],
        timeout: float,
        *,
        now: float | None = None,
        alone: bool = False,
        with_page: bool = False,
    ) -> None:
        """Ask for a poll, whose answer all subscribers of the request receive; see ``ReadQueue.ask``."""
        self._queue.ask(entry, timeout, now=now, alone=alone, with_page=with_page)
        if entry.read is not None and entry.read.overdue_at < NEVER:
            self._check_overdue()

    def prime(self) -> None:
        """Read the first page of the list, as soon as no other read waits."""
        self._queue.prime()

    def price_of(self, entry: Entry[J]) -> float:
        """Return what a poll of an entry costs, as a multiple of a GET while there is no limit.

        A page is shared by all that it answers for, and a read costs more while 429s hold others back.
        """
        sharing = len(entry.group.members) if isinstance(entry.group, Bucket) else 1
        return (_THROTTLED if self._source.is_throttled else 1.0) / min(max(sharing, 1), _MOST_SHARING)

    def nudge(self, id: str) -> None:
        """Poll the requests with this id or reference now, with a read that begins after this call."""
        for entry in self._registry.named(id):
            entry.note(nudged_at=loop_time())
            # A GET answers first; while the lane is busy, one page may serve many nudges.
            self._queue.ask(entry, self._read_timeout, alone=len(self._queue) <= _FEW)
            self._queue.to_front(entry)

    def close(self, error: ClientClosedError) -> None:
        """End all waits, since nothing will be read any more."""
        self._fail_all(error)

    def _wake(self) -> None:
        self._pool.wake()

    def _brisk_reads(self) -> int:
        """Count the reads under way that are not slower than reads usually are."""
        since = loop_time() - self._queue.health.get_overdue_after
        return sum(read is not None and read.began > since for read in self._reads.values())

    async def _read_once(self) -> None:
        """Wait for the lane, choose the most urgent read, send it, and hand its answer on."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: this runs as a task
        read: Read[J] | None = None
        self._reads[task] = None
        try:
            async with self._source.turn() as send:
                self._pool.has_chosen(task)
                read = self._reads[task] = self._queue.choose()
                if read is None:
                    return
                self._gets += not read.is_page
                if read.overdue_at < NEVER:
                    self._check_overdue()
                if read.covered:
                    self._audit(read)
                answer = await send(read)
            del self._reads[task]  # a subscriber that leaves from now on must not cancel what others receive
            self._answered(read, answer)
        except ChamelaionError as error:
            let_go(error)  # its traceback would keep this frame alive, and very many waits may hold the error
            self._failed(read, error)
        except asyncio.CancelledError:
            if read is not None:
                self._queue.put_back(read)
            raise
        except Exception as error:  # noqa: BLE001 - a defect must end the waits, which would hang otherwise
            if read is not None:
                self._queue.put_back(read)
            self._fail_all(error)
        finally:
            self._reads.pop(task, None)
            self._gets -= read is not None and not read.is_page
            del task  # a cycle: the task holds its error, whose traceback holds this frame

    def _check_overdue(self) -> None:
        """Queue the entries of overdue reads again, and set the timer for the next read that may be overdue."""
        since = loop_time()
        for task, read in list(self._reads.items()):
            if read is not None and not read.is_here and since >= read.overdue_at:
                self._read_is_overdue(task, read, since)
        self._stop_overdue_timer()  # only now: a wait that ends by this, or polls again, has set it or has stopped it
        under_way = (read.overdue_at for read in self._reads.values() if read is not None and not read.is_here)
        next_at = min(under_way, default=NEVER)
        if next_at < NEVER and self._registry:
            self._overdue_timer = asyncio.get_running_loop().call_at(next_at, self._check_overdue)

    def _read_is_overdue(self, task: asyncio.Task[Any], read: Read[J], since: float) -> None:
        if since >= read.overdue_at + _HELD_UP:
            read.overdue_at = since + _HELD_UP  # the loop was busy: the answer may be in the socket already
        elif read.is_queued and since < read.began + read.least_timeout:
            read.overdue_at = since + max(read.late_after, _QUEUED)  # a GET would wait for the lane as well
        elif put_off := self._queue.pages_keep_coming(read, since):
            read.overdue_at = put_off
        elif since >= read.began + read.least_timeout:
            self._failed_for_some(read)
        elif not read.is_page:
            self._queue.get_is_overdue(read)
        elif self._queue.page_is_overdue(read, since):
            task.cancel()

    def _failed_for_some(self, read: Read[J]) -> None:
        """End the polls of a GET that allow it no more time, as a GET of their own would; it goes on for others."""
        seconds, entry = read.least_timeout, read.entry
        # A batch and a wait make two kinds of timeouts; for others in between, this may come late.
        read.least_timeout = 2 * seconds if 2 * seconds < read.timeout else NEVER
        read.overdue_at = read.began + read.least_timeout
        if entry is not None:
            error = _too_late(read.id, seconds)
            short = attrs.evolve(read, timeout=seconds, is_overdue=True)
            for subscriber in entry.subscribers:
                subscriber.on_error(error, short)

    def _stop_overdue_timer(self) -> None:
        if self._overdue_timer is not None:
            self._overdue_timer.cancel()
            self._overdue_timer = None

    def hear(self, read: Read[J], answer: Answer[J]) -> None:
        """Hand on an answer that another process on the account has read, as if it had been read here."""
        stamp = self._stamp(read, answer)
        if answer.pagination is not None:
            self._show_records(read, answer, answer.pagination, stamp)
            return
        entry = self._registry.find(read.id) or self._registry.find(answer.records[0][0])
        if entry is not None:
            self._show_request(read, entry, answer, stamp)

    def _stamp(self, read: Read[J], answer: Answer[J]) -> ReadStamp:
        return ReadStamp(
            began=read.began,
            at=loop_time(),
            server_time=answer.server_time,
            jitter_draw=self._random(),
            is_page=answer.pagination is not None,
            is_heard=read.is_heard,
        )

    def _answered(self, read: Read[J], answer: Answer[J]) -> None:
        stamp = self._stamp(read, answer)
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
                    page.overdue_at = loop_time()  # this GET was sent after the page and answered before it
            self._check_overdue()

    def _show_request(self, read: Read[J], entry: Entry[J], answer: Answer[J], stamp: ReadStamp) -> None:
        ((_, record),) = answer.records
        snapshot = Snapshot(answer.make(record), stamp)
        if self._finished is not None:
            self._finished.add(snapshot.request, stamp.server_time)
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
            # A page that was sent later was answered first, and shows no less. This GET confirms it. Otherwise a poll
            # that only a GET can answer would ask for GETs without end while the loop's clock stands still.
            confirmed = attrs.evolve(entry.stamp, began=stamp.began, is_page=False)
            self._deliver(entry, Snapshot(unpack(entry.packed), confirmed), read)

    def _show_page(self, read: Read[J], answer: Answer[J], pagination: Pagination, stamp: ReadStamp) -> None:
        queue, index = self._queue, self._queue.index
        queue.health.page_answered(stamp.at, stamp.at - read.began)
        total = index.total
        ranks, found = self._show_records(read, answer, pagination, stamp)
        missed = list(read.owed())
        # As many of the others on the page are likely to be waited for by other clients.
        queue.page_answered(read, ranks, found * self._source.clients)
        for entry in missed:
            if entry.rare.misses > 1 or index.total <= total:
                queue.lose_place(entry)

    def _show_records(
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

    def _audit(self, page: Read[J]) -> None:
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
        self._nudge_again(entry, entry.rare.nudged_at, snapshot.stamp.began)

    def _nudge_again(self, entry: Entry[J], nudged_at: float, began: float) -> None:
        """Poll once more after a nudge that came while a read was under way, since that read may show no end yet."""
        if nudged_at != ALWAYS:
            entry.note(nudged_at=ALWAYS)
            if nudged_at > began:
                self.nudge(entry.id)

    def _failed(self, read: Read[J] | None, error: ChamelaionError) -> None:
        if isinstance(error, RateLimitError):
            self._pool.read_was_refused()
        if read is None or isinstance(error, (ClientClosedError, ConfigurationError)):
            if read is not None:
                self._queue.put_back(read)
            self._fail_all(error)  # every other read would fail in the same way
        elif self._are_credentials_refused(error):
            self._queue.put_back(read)
            self._fail_all(error)
        elif read.is_page:
            if isinstance(error, RateLimitError):
                self._page_refused(read, error)
            else:
                self._queue.health.page_failed(loop_time(), retry_after_of(error) or 0.0)
            self._queue.put_back(read)
        else:
            self._queue.get_ended(read, is_refused=isinstance(error, RateLimitError))
            if not isinstance(error, APIConnectionError):
                self._get_was_answered(read)
            self._get_failed(read, error)

    def _page_refused(self, page: Read[J], error: RateLimitError) -> None:
        """Find out what a 429 to a page concerns: all reads, or the list alone."""
        if self._source.is_throttled and self._queue.health.answers_pages(loop_time()):
            # All reads have a limit, and the list answers other pages, so this is that limit once more. A GET sent
            # right after a refusal is often admitted, which would show the list as refused and the limit as kept.
            self._source.was_refused(page, error)
        else:
            self._queue.health.page_refused(retry_after_of(error) or 0.0)

    def _are_credentials_refused(self, error: ChamelaionError) -> bool:
        """Whether the API answered 401 to two reads in a row. A single one may be a mistake, or the list's alone."""
        if not isinstance(error, AuthenticationError):
            return False
        self._refusals += 1
        return self._refusals > 1

    def _get_failed(self, read: Read[J], error: ChamelaionError) -> None:
        entry = read.entry
        if entry is None or read.is_audit:
            return
        if read.is_overdue:
            for subscriber in entry.subscribers:
                subscriber.on_error(error, read)  # another read is under way for those whose poll this does not fail
            return
        if entry.read is not read:
            return
        if is_ridden_out(error):
            failures = entry.rare.failures_alone + 1
            entry.note(failures_alone=failures)
            if failures >= _FAILURES_ALONE:
                entry.note(prefers_page_until=loop_time() + _PREFERS_PAGE)
        self._fail(entry, error, read)

    def _fail_all(self, error: Exception) -> None:
        """End all waits with an error that concerns the whole client."""
        self._queue.clear()
        in_slices(self._registry.entries(), partial(self._fail, error=error))

    def _fail(self, entry: Entry[J], error: Exception, read: Read[J] | None = None) -> None:
        self._queue.dequeue(entry)
        nudged_at = entry.rare.nudged_at
        for subscriber in entry.subscribers:
            subscriber.on_error(error, read)
        self._nudge_again(entry, nudged_at, NEVER if read is None else read.began)


def _too_late(id: str, seconds: float) -> APITimeoutError:
    return APITimeoutError(
        f"no complete answer to the poll of {id} came within {seconds:.3g} s. "
        "Try again, or allow more time with PollPolicy(request_timeout=…)",
        sent="maybe",
        method="GET",
        path=id,
    )


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
