"""Opening things in threads without losing them when the caller is cancelled meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

__all__ = ["open_in_thread"]

T = TypeVar("T")


async def open_in_thread(opener: Callable[[], T], discard: Callable[[T], object]) -> T:
    """Return what ``opener`` opens in a thread; where the caller is cancelled first, ``discard`` gets it."""
    opening: asyncio.Future[T] = asyncio.get_running_loop().run_in_executor(None, opener)

    def let_go(done: asyncio.Future[T]) -> None:
        if not done.cancelled() and done.exception() is None:
            discard(done.result())

    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(let_go)
        raise
