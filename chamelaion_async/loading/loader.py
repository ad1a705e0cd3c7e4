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
from functools import partial
from typing import Final, Generic, TypeVar

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
from ..models import Job
from .delivery import Delivery
from .entries import Bucket, Entry, Read, Subscriber
from .packing import unpack
from .read_queue import ReadQueue
from .reader_pool import ReaderPool
from .reads import Answer, FinishedRequests, Source
from .registry import Registry
from .slices import in_slices
from .snapshot import ReadStamp, Snapshot
from .times import ALWAYS, NEVER
from .under_way import ReadsUnderWay

__all__ = ["Loader"]

J = TypeVar("J", bound=Job)

_FAILURES_ALONE: Final = 3  # failed GETs in a row after which a page may be read for one request alone
_PREFERS_PAGE: Final = 30.0  # seconds for which it may
_MOST_SHARING: Final = 16  # requests that share the price of a page; more of them are polled no more often
_THROTTLED: Final = 4.0  # times the price of a poll while 429s hold reads back: half as many polls


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
        self._queue: ReadQueue[J] = ReadQueue(loop_time, self._wake, read_timeout)
        self.expect: Callable[[Entry[J], float], None] = self._queue.expect
        self._registry: Registry[J] = Registry()
        self._reads: ReadsUnderWay[J] = ReadsUnderWay(self._queue, self._registry)
        self._pool = ReaderPool(self._queue, self._read_once, self._reads.count_brisk, source.most_at_once)
        self._delivery = Delivery(
            self._queue, self._registry, source, random=random, read_timeout=read_timeout, finished=finished
        )
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
        self._reads.cancel(None if was_last else entry)

    async def settled(self) -> None:
        """Return once every read that ``leave`` cancelled has ended."""
        await self._reads.settled()

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
            self._reads.check()

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
        self._delivery.nudge(id)

    def close(self, error: ClientClosedError) -> None:
        """End all waits, since nothing will be read any more."""
        self._fail_all(error)

    def _wake(self) -> None:
        self._pool.wake()

    async def _read_once(self) -> None:
        """Wait for the lane, choose the most urgent read, send it, and hand its answer on."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: this runs as a task
        read: Read[J] | None = None
        self._reads.begin(task)
        try:
            async with self._source.turn() as send:
                self._pool.has_chosen(task)
                read = self._queue.choose()
                if read is None:
                    return
                self._reads.chosen(task, read)
                if read.covered:
                    self._delivery.audit(read)
                answer = await send(read)
            self._reads.end(task)  # a subscriber that leaves from now on must not cancel what others receive
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
            self._reads.end(task)
            del task  # a cycle: the task holds its error, whose traceback holds this frame

    def hear(self, read: Read[J], answer: Answer[J]) -> None:
        """Hand on an answer that another process on the account has read, as if it had been read here."""
        stamp = self._delivery.stamp(read, answer)
        if answer.pagination is not None:
            self._delivery.show_records(read, answer, answer.pagination, stamp)
            return
        entry = self._registry.find(read.id) or self._registry.find(answer.records[0][0])
        if entry is not None:
            self._show_request(read, entry, answer, stamp)

    def _answered(self, read: Read[J], answer: Answer[J]) -> None:
        stamp = self._delivery.stamp(read, answer)
        self._refusals = 0
        self.answered_at = stamp.at
        self._pool.read_was_answered()
        if answer.pagination is not None:
            self._delivery.show_page(read, answer, answer.pagination, stamp)
        elif read.entry is not None:
            self._queue.get_ended(read)
            self._get_was_answered(read)
            self._show_request(read, read.entry, answer, stamp)

    def _show_request(self, read: Read[J], entry: Entry[J], answer: Answer[J], stamp: ReadStamp) -> None:
        if entry.rare.failures_alone:
            entry.note(failures_alone=0, prefers_page_until=ALWAYS)
        self._delivery.show_request(read, entry, answer, stamp)

    def _get_was_answered(self, read: Read[J]) -> None:
        knew_nothing = self._queue.health.knows_nothing
        self._queue.health.get_answered(loop_time() - read.began)
        if knew_nothing:
            self._reads.pages_are_overdue()  # this GET was sent after them and answered before

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
        self._delivery.nudge_again(entry, nudged_at, NEVER if read is None else read.began)
