"""Work in the threads of the event loop's pool: a time limit for its start, and no result lost by a cancellation.

The pool is the loop's own: it is bounded, the application can choose it (``loop.set_default_executor``), and name
resolution needs it too, so other threads would not help a program whose pool is used up.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["NoThreadError", "in_thread"]

T = TypeVar("T")


class NoThreadError(Exception):
    """No thread of the loop's pool was free in time. The work has not begun, and never will."""


class _Work(Generic[T]):
    """A function that is either run once or taken back, whichever comes first."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._claim = threading.Lock()

    def __call__(self) -> T | None:
        return self._function() if self._claim.acquire(blocking=False) else None

    def take_back(self) -> bool:
        """Keep it from being run; False if it has begun already."""
        return self._claim.acquire(blocking=False)


async def in_thread(
    function: Callable[[], T],
    *,
    timeout: float | None,
    discard: Callable[[T], object] | None = None,
    linger: float | None = 0.0,
) -> T:
    """Return what ``function`` returns in a thread of the loop's pool.

    A cancellation takes back work that has not begun. Work that has begun continues in its thread, since nothing can
    stop it.

    Args:
        function: Called without arguments.
        timeout: Seconds to wait for a thread to begin; None if the caller bounds it. The work itself has no limit: a
            slow disk is no failure.
        discard: Called with the result of work whose caller was cancelled.
        linger: Seconds that a cancellation waits for work that has begun; None for as long as it takes.

    Raises:
        NoThreadError: No thread began it in time.
    """
    work = _Work(function)
    # Only work that was taken back returns None, and its result is not read.
    running: asyncio.Future[T] = asyncio.get_running_loop().run_in_executor(None, work)  # type: ignore[arg-type]
    try:
        await asyncio.wait([running], timeout=timeout)
        if not running.done() and work.take_back():
            running.cancel()
            raise NoThreadError(f"no thread of the event loop's pool was free within {timeout:g} seconds")
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if work.take_back():
            running.cancel()
            raise

        def finish(done: asyncio.Future[T]) -> None:
            # Asking for the exception also keeps asyncio from logging it.
            if not done.cancelled() and done.exception() is None and discard is not None:
                discard(done.result())

        running.add_done_callback(finish)
        if linger is None or linger > 0:
            await asyncio.wait([running], timeout=linger)
        raise
