"""One wait's side of the loader: asks for polls, sleeps between them, and wakes when the request has changed."""

from __future__ import annotations

import asyncio
from typing import Generic, Protocol, TypeVar

from .._http.clock import loop_time
from ..loading.entries import Entry, Read, Snapshot
from ..loading.loader import Loader
from ..models import Job
from .state import PollState

__all__ = ["Sleep", "WaitSubscription"]

J = TypeVar("J", bound=Job)


class Sleep(Protocol):
    """Pauses, as ``Lifecycle.sleep`` does."""

    async def __call__(self, seconds: float, pause: asyncio.Future[bool]) -> None:
        """Return after some seconds, or when the future is resolved with True."""


class WaitSubscription(Generic[J]):
    """Polls and sleeps for one wait. To be closed when the wait ends, in whichever way."""

    __slots__ = ("_answer", "_last", "_loader", "_pause", "_sleep", "_state", "_unread", "entry", "id", "sent_at")

    def __init__(self, loader: Loader[J], state: PollState[J], sleep: Sleep) -> None:
        self.id = state.id
        self._state = state
        self._loader = loader
        self._sleep = sleep
        self._pause: asyncio.Future[bool] | None = None
        self._answer: asyncio.Future[Snapshot[J]] | None = None
        self._last: Snapshot[J] | None = None
        self.sent_at: float | None = None
        """When the read of the last poll that failed was sent, if it was."""
        self.entry: Entry[J] = loader.join(self)
        # What others have read is told at once, if a wait alone would not poll more often.
        plan = state.plan
        self._unread = None if plan.reads_once else loader.known(self.entry, plan.policy.min_interval)

    @property
    def is_under_way(self) -> bool:
        """Whether a read was sent for the poll, which is not only queued."""
        return self.entry.state == "reading"

    @property
    def answered_at(self) -> float:
        """When the last good answer to any read came."""
        return self._loader.answered_at

    def take_news(self) -> Snapshot[J] | None:
        """Return what was read since the last poll, once."""
        snapshot, self._unread = self._unread, None
        if snapshot is not None:
            self._last = snapshot
        return snapshot

    async def poll(self, timeout: float) -> Snapshot[J]:
        """Return the request as a read shows it that was sent for this, or for another wait at the same time.

        Args:
            timeout: Seconds that a GET may take.

        Raises:
            ChamelaionError: The read failed.
        """
        self._answer = asyncio.get_running_loop().create_future()
        self._ask(timeout)
        try:
            snapshot = await self._answer
        finally:
            self._answer = None
        self._last = snapshot
        return snapshot

    def _ask(self, timeout: float) -> None:
        state = self._state
        self._loader.ask(self.entry, timeout, alone=state.is_last_poll and not state.plan.reads_once)

    async def sleep(self, seconds: float) -> None:
        """Pause until the next poll is due, or the request has changed."""
        if self._has_news():
            return  # it came at the same moment as the last answer
        self._loader.expect(self.entry, loop_time() + seconds)
        self._pause = asyncio.get_running_loop().create_future()
        await self._sleep(seconds, self._pause)

    def on_snapshot(self, snapshot: Snapshot[J]) -> None:
        """Receive the request as it was read."""
        if self._answer is not None and not self._answer.done():
            if self._state.is_answered_by(snapshot):
                self._answer.set_result(snapshot)
                return
            self._ask(self._state.read_timeout(self._state.began))
        self._unread = snapshot
        if self._has_news() and self._pause is not None and not self._pause.done():
            self._pause.set_result(True)

    def _has_news(self) -> bool:
        """Whether something was read that the wait does not know yet."""
        unread, last = self._unread, self._last
        return unread is not None and (last is None or unread.request != last.request)

    def on_error(self, error: Exception, read: Read[J] | None) -> None:
        """Receive the error of a read."""
        if self._answer is None or self._answer.done():
            return
        if self._state.is_failed_by(error, read):
            self.sent_at = read.began if read is not None else None
            self._answer.set_exception(error)
        else:
            self._ask(self._state.read_timeout(self._state.began))

    async def aclose(self) -> None:
        """Unsubscribe, and return once nothing is under way that only this wait wanted."""
        self._loader.leave(self.entry, self)
        await self._loader.settled()
