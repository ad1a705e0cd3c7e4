"""One wait's side of the loader: it looks when the wait wants to, and wakes the wait when there is news."""

from __future__ import annotations

import asyncio
from typing import Generic, Protocol, TypeVar

from .._connection import Alarm
from ..models import Job
from .entry import Entry
from .loader import Loader
from .state import Sighting

__all__ = ["Sleep", "Watcher"]

J = TypeVar("J", bound=Job)


class Sleep(Protocol):
    """Pauses, as ``Connection.sleep`` does."""

    async def __call__(self, seconds: float, alarm: Alarm) -> None:
        """Return after some seconds, or when the alarm rings."""


class Watcher(Generic[J]):
    """Reads and sleeps for one wait. To be closed when the wait ends, in whichever way."""

    __slots__ = ("_alarm", "_answer", "_last", "_loader", "_sleep", "_unread", "entry")

    def __init__(self, loader: Loader[J], id: str, sleep: Sleep) -> None:
        self._loader = loader
        self._sleep = sleep
        self._alarm = Alarm()
        self._answer: asyncio.Future[Sighting[J]] | None = None
        self._last: Sighting[J] | None = None
        self.entry: Entry[J] = loader.join(id, self)
        self._unread = loader.current(self.entry)

    async def read(self, _: str, *, timeout: float, fresh: bool) -> Sighting[J]:
        """Return how the request stands: what was read while the wait slept, or a look of now."""
        sighting, self._unread = self._unread, None
        if sighting is None or fresh:
            self._answer = asyncio.get_running_loop().create_future()
            self._loader.ask(self.entry, timeout)
            try:
                sighting = await self._answer
            finally:
                self._answer = None
        self._last = sighting
        return sighting

    async def sleep(self, seconds: float) -> None:
        """Pause until the next look is due, or the request has changed."""
        if self._is_news():
            return  # it came in the same moment as the last answer
        entry = self.entry
        entry.due = min(entry.due, asyncio.get_running_loop().time() + seconds)
        await self._sleep(seconds, self._alarm)

    def news(self, sighting: Sighting[J]) -> None:
        """Hear how the request stands."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(sighting)
            return
        self._unread = sighting
        if self._is_news():
            self._alarm.ring()

    def _is_news(self) -> bool:
        """Whether something has been read that the wait does not know yet."""
        unread, last = self._unread, self._last
        return unread is not None and (last is None or unread.request != last.request)

    def missed(self, error: Exception) -> None:
        """Hear why a look failed; of no concern while the wait sleeps."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    async def aclose(self) -> None:
        """Leave, and return once nothing is under way that only this wait wanted."""
        self._loader.leave(self.entry, self)
        await self._loader.settled()
