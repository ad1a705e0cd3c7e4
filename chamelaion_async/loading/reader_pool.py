"""The tasks that read: as many as there are reads to send, bounded by what the service has answered well."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sized
from typing import Final

__all__ = ["ReaderPool"]

_AT_FIRST: Final = 8  # reads at once before the first answer; each good answer allows one more
_RECHECK: Final = 0.25  # seconds until a full pool checks again how many of its reads are slow


class ReaderPool:
    """Starts tasks while reads are wanted. A task ends when no read is wanted any more.

    A task waits for the lane, which bounds rate and concurrency, and decides what to read only then. The slow start
    (RFC 5681, section 3.1) keeps the service from refusing the first of very many reads all at once.

    Args:
        wanted: The reads to send; its length counts those that no task has taken yet.
        read_once: Waits for the lane and sends one read; calls ``has_chosen`` once it has taken it.
        brisk: Counts the reads under way that are not slow, since a read that hangs must not delay others.
        most: The most tasks at once.
    """

    def __init__(
        self, wanted: Sized, read_once: Callable[[], Awaitable[None]], brisk: Callable[[], int], most: int
    ) -> None:
        self._wanted = wanted
        self._read_once = read_once
        self._brisk = brisk
        self._most = most
        self._allowed = min(_AT_FIRST, most)
        self._size = 0
        self._choosing: set[asyncio.Task[None]] = set()
        self._handle: asyncio.Handle | None = None
        self._is_waiting = False

    def wake(self) -> None:
        """Start tasks in the next round of the loop, so that the polls of this round gather first."""
        if not len(self._wanted):
            return
        # The timer of a full pool is set: new polls must not wait for it.
        if self._is_waiting and self._handle is not None:
            self.stop()
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_soon(self._start)

    def has_chosen(self, task: asyncio.Task[None]) -> None:
        """Record that a task has taken its read, so that another task may be started for the next read."""
        self._choosing.discard(task)

    def read_was_answered(self) -> None:
        """Allow one more read at once."""
        if self._allowed < self._most:
            self._allowed += 1
            self.wake()

    def read_was_refused(self) -> None:
        """Allow half as many reads at once, after a 429."""
        self._allowed = max(self._allowed // 2, min(_AT_FIRST, self._most))

    def stop(self) -> None:
        """Start no task until the next ``wake``, since no read is wanted."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
            self._is_waiting = False

    def _has_room(self) -> bool:
        return len(self._choosing) + self._brisk() < self._allowed

    def _start(self) -> None:
        self._handle, self._is_waiting = None, False
        loop = asyncio.get_running_loop()
        while len(self._choosing) < len(self._wanted) and self._size < self._most:
            if not self._has_room():
                self._handle, self._is_waiting = loop.call_later(_RECHECK, self._start), True
                return
            self._size += 1
            task = loop.create_task(self._run())
            self._choosing.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._size -= 1
        self._choosing.discard(task)
        self.wake()

    async def _run(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: this runs as a task
        # Nothing may be wanted any more by the time this task begins.
        try:
            while len(self._wanted):
                self._choosing.add(task)
                await self._read_once()
                if not self._has_room():
                    return
        finally:
            del task  # a cycle: the task holds its error, whose traceback holds this frame
