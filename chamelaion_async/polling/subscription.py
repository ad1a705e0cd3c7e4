"""A single wait's subscription: asks for polls, pauses between them, and ends a pause when the request changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from .._http.clock import loop_time
from ..errors import ClientClosedError
from ..loading.entries import Entry, Read
from ..loading.loader import Loader
from ..loading.snapshot import Snapshot
from ..models import Job
from .state import PollState

__all__ = ["Sleep", "WaitSubscription"]

J = TypeVar("J", bound=Job)


Sleep = Callable[[float, "asyncio.Future[bool]"], Awaitable[None]]
"""Pauses for some seconds or until the future is resolved with True, as ``Lifecycle.sleep`` does."""


class WaitSubscription(Generic[J]):
    """Polls and pauses for one wait. It must be closed when the wait ends, whatever the reason."""

    __slots__ = (
        "_answer",
        "_drained",
        "_last",
        "_loader",
        "_pause",
        "_sleep",
        "_state",
        "_unread",
        "entry",
        "id",
        "sent_at",
    )

    def __init__(self, loader: Loader[J], state: PollState[J], sleep: Sleep) -> None:
        self.id: str = state.id
        self._state = state
        self._loader = loader
        self._sleep = sleep
        self._pause: asyncio.Future[bool] | None = None
        self._answer: asyncio.Future[Snapshot[J]] | None = None
        self._last: Snapshot[J] | None = None
        self._drained: ClientClosedError | None = None
        self.sent_at: float | None = None
        """When the read of the last failed poll was sent, or None if it was not."""
        self.entry: Entry[J] = loader.join(self)
        # A recent read of another wait counts as the first poll, unless this wait alone would poll by now.
        self._unread = loader.known(self.entry, state.plan.max_age)

    @property
    def is_under_way(self) -> bool:
        """Whether a read for the poll was sent; otherwise the poll is queued."""
        return self.entry.state == "reading"

    @property
    def answered_at(self) -> float:
        """When the last good answer to any read came."""
        return self._loader.answered_at

    def price(self) -> float:
        """Return what a poll costs, as a multiple of a GET of its own."""
        return self._loader.price_of(self.entry)

    def take_news(self) -> Snapshot[J] | None:
        """Return the snapshot that came since the last poll, once.

        Raises:
            ClientClosedError: The client is draining.
        """
        if self._drained is not None:
            raise self._drained
        snapshot, self._unread = self._unread, None
        if snapshot is not None:
            self._last = snapshot
        return snapshot

    async def poll(self, timeout: float) -> Snapshot[J]:
        """Poll the request; another wait's read at the same time may answer as well.

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
        self._loader.ask(self.entry, timeout, alone=self._state.needs_get)

    async def sleep(self, seconds: float) -> None:
        """Pause until the next poll is due or the request has changed."""
        if self._drained is not None or self._has_news():
            return  # it came in the same turn of the loop as the last answer
        self._loader.expect(self.entry, loop_time() + seconds)
        self._pause = asyncio.get_running_loop().create_future()
        await self._sleep(seconds, self._pause)

    def on_snapshot(self, snapshot: Snapshot[J]) -> None:
        """Receive the request as a read showed it."""
        if self._answer is not None and not self._answer.done():
            if self._state.is_answered_by(snapshot):
                self._answer.set_result(snapshot)
                return
            self._ask(self._state.read_timeout(self._state.began))
        self._unread = snapshot
        if self._has_news() and self._pause is not None and not self._pause.done():
            self._pause.set_result(True)

    def _has_news(self) -> bool:
        """Whether the last read showed a change that the wait has not taken yet."""
        unread, last = self._unread, self._last
        return unread is not None and (last is None or unread.request != last.request)

    def on_error(self, error: Exception, read: Read[J] | None) -> None:
        """Receive the error of a read."""
        if self._answer is None or self._answer.done():
            return
        if self._state.is_failed_by(error, read):
            self.sent_at = read.began if read is not None else None
            self._answer.set_exception(error)
        elif read is None or not read.is_overdue:
            self._ask(self._state.read_timeout(self._state.began))

    def drain(self, error: ClientClosedError) -> None:
        """End the wait with an error: its poll or its pause now, else before its next poll."""
        self._drained = error
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        elif self._pause is not None and not self._pause.done():
            self._pause.set_result(True)

    async def aclose(self) -> None:
        """Unsubscribe, and return once the reads that only this wait wanted have ended."""
        self._loader.leave(self.entry, self)
        await self._loader.settled()
