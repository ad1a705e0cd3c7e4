"""What works for a loop outside of it, and will wake it: threads and child processes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from typing import Any, Final, TypeVar
from weakref import WeakSet

__all__ = ["Workers"]

T = TypeVar("T")

_STANDS_STILL: Final = 1.0  # real seconds for which work takes no time


class Workers:
    """The threads and the child processes that work for one loop."""

    def __init__(self) -> None:
        self._calls = 0
        self._processes: WeakSet[asyncio.SubprocessTransport] = WeakSet()
        # Those that were there before work for others, such as a runner of tests.
        self._known: WeakSet[threading.Thread] = WeakSet(threading.enumerate())
        self._since: float | None = None

    def add_call(self, future: asyncio.Future[Any]) -> None:
        """Count a call in an executor until it has ended."""
        self._calls += 1
        future.add_done_callback(self._call_ended)

    def add_process(self, process: asyncio.SubprocessTransport) -> None:
        """Count a child process until it has exited."""
        self._processes.add(process)

    def known(self, executor: Any, function: Callable[..., T]) -> Callable[..., T]:
        """Return a function that makes the thread it runs in known, so that the loop knows when that one works."""
        if executor is not None and not isinstance(executor, ThreadPoolExecutor):
            return function  # it may go to another process, where no thread of ours is

        def call(*args: Any) -> T:
            self._known.add(threading.current_thread())
            return function(*args)

        return call

    def stand_still(self) -> float | None:
        """Return for how many real seconds time stands still from now on; None if nothing works for the loop."""
        if not self._are_busy():
            self._since = None
            return None
        now = time.monotonic()
        if self._since is None:
            self._since = now
        return max(self._since + _STANDS_STILL - now, 0.0)

    def has_strangers(self) -> bool:
        """Whether there are threads of which it is not known whether they work for the loop."""
        return any(thread not in self._known and _queue_of(thread) is None for thread in threading.enumerate())

    def _are_busy(self) -> bool:
        if self._calls or any(process.get_returncode() is None for process in self._processes):
            return True
        queues = [_queue_of(thread) for thread in threading.enumerate() if thread not in self._known]
        return any(queue is not None and queue.unfinished_tasks for queue in queues)

    def _call_ended(self, _: asyncio.Future[Any]) -> None:
        self._calls -= 1


def _queue_of(thread: threading.Thread) -> Queue[Any] | None:
    """Return the queue of a worker thread of anyio's, which counts a task as unfinished until its loop was woken."""
    queue = getattr(thread, "queue", None)
    return queue if isinstance(queue, Queue) else None
