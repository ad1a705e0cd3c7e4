"""The reads under way, each with its task: which are overdue, and which nothing waits for any more."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Generic, TypeVar

import attrs

from .._http.clock import loop_time
from ..errors import APITimeoutError
from ..models import Job
from .entries import Entry, Read
from .read_queue import ReadQueue
from .registry import Registry
from .times import NEVER

__all__ = ["ReadsUnderWay"]

J = TypeVar("J", bound=Job)

_HELD_UP: Final = 0.01  # seconds by which a timer is late when the loop was busy
_QUEUED: Final = 0.25  # least seconds after which a read that waits for the lane once more is examined again


class ReadsUnderWay(Generic[J]):
    """Knows each reader's task, and its read once that is chosen.

    Args:
        queue: Receives what overdue reads owe.
        registry: The requests with subscribers; without any, no timer is set.
    """

    def __init__(self, queue: ReadQueue[J], registry: Registry[J]) -> None:
        self._queue = queue
        self._registry = registry
        self._reads: dict[asyncio.Task[Any], Read[J] | None] = {}
        self._gets = 0  # while there is none, very many subscribers may leave at no cost
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, task: asyncio.Task[Any]) -> None:
        """Count a task that waits for the lane."""
        self._reads[task] = None

    def chosen(self, task: asyncio.Task[Any], read: Read[J]) -> None:
        """Record which read a task is about to send."""
        self._reads[task] = read
        self._gets += not read.is_page
        if read.overdue_at < NEVER:
            self.check()

    def end(self, task: asyncio.Task[Any]) -> None:
        """Forget a task, if it is known; it is not cancelled from now on."""
        read = self._reads.pop(task, None)
        self._gets -= read is not None and not read.is_page

    def count_brisk(self) -> int:
        """Count the reads that are not slower than reads usually are."""
        since = loop_time() - self._queue.health.get_overdue_after
        return sum(read is not None and read.began > since for read in self._reads.values())

    def cancel(self, entry: Entry[J] | None) -> None:
        """Cancel the GET of an entry, or everything; not the task that calls this."""
        if entry is None:
            self._stop_timer()
        elif not self._gets:
            return
        current = asyncio.current_task()
        for task, read in self._reads.items():
            is_unwanted = entry is None or (read is not None and read.entry is entry)
            if is_unwanted and task is not current:
                task.cancel()

    async def settled(self) -> None:
        """Return once every task that ``cancel`` has cancelled has ended."""
        ending = [task for task in self._reads if task.cancelling()]
        if ending:
            await asyncio.wait(ending)

    def pages_are_overdue(self) -> None:
        """Treat all pages as overdue from now on."""
        for read in self._reads.values():
            if read is not None and read.is_page:
                read.overdue_at = loop_time()
        self.check()

    def check(self) -> None:
        """Queue the entries of overdue reads again, and set the timer for the next read that may be overdue."""
        since = loop_time()
        for task, read in list(self._reads.items()):
            if read is not None and not read.is_here and since >= read.overdue_at:
                self._is_overdue(task, read, since)
        self._stop_timer()  # only now: a wait that ends by this, or polls again, has set it or has stopped it
        under_way = (read.overdue_at for read in self._reads.values() if read is not None and not read.is_here)
        next_at = min(under_way, default=NEVER)
        if next_at < NEVER and self._registry:
            self._timer = asyncio.get_running_loop().call_at(next_at, self.check)

    def _is_overdue(self, task: asyncio.Task[Any], read: Read[J], since: float) -> None:
        if since >= read.overdue_at + _HELD_UP:
            read.overdue_at = since + _HELD_UP  # the loop was busy: the answer may be in the socket already
        elif read.is_queued and since < read.began + read.least_timeout:
            read.overdue_at = since + max(read.late_after, _QUEUED)  # a GET would wait for the lane as well
        elif put_off := self._queue.pages_keep_coming(read, since):
            read.overdue_at = put_off
        elif since >= read.began + read.least_timeout:
            _fail_for_some(read)
        elif not read.is_page:
            self._queue.get_is_overdue(read)
        elif self._queue.page_is_overdue(read, since):
            task.cancel()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _fail_for_some(read: Read[Any]) -> None:
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


def _too_late(id: str, seconds: float) -> APITimeoutError:
    return APITimeoutError(
        f"no complete answer to the poll of {id} came within {seconds:.3g} s. "
        "Try again, or allow more time with PollPolicy(request_timeout=…)",
        sent="maybe",
        method="GET",
        path=id,
    )
