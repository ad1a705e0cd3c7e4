"""Threads whose pace is known, so that a cancellation meets them at a known point of their work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_TURNS = 8


class SingleThread(ThreadPoolExecutor):
    """One thread: what it is given last is done when all is done."""

    def __init__(self) -> None:
        super().__init__(max_workers=1)


class InLoop(ThreadPoolExecutor):
    """Instead of threads, a few turns of the loop: what a busy thread does to a caller who leaves.

    Args:
        is_free: Whether work counts as under way as soon as it is handed in, so that it is done even if its caller
            no longer waits for it. Otherwise it queues, and a cancellation takes it back.
    """

    def __init__(self, *, is_free: bool) -> None:
        super().__init__(max_workers=1)
        self._is_free = is_free

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Do it in a few turns of the loop."""
        future: Future[T] = Future()
        if self._is_free:
            future.set_running_or_notify_cancel()
        loop = asyncio.get_running_loop()

        def work(turns: int) -> None:
            if turns:
                loop.call_soon(work, turns - 1)
                return
            if not self._is_free and not future.set_running_or_notify_cancel():
                return
            try:
                result = function(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it is raised where the work is awaited
                future.set_exception(error)
            else:
                future.set_result(result)

        work(_TURNS)
        return future


def free_threads() -> ThreadPoolExecutor:
    """Return threads that take up at once what they are given."""
    return InLoop(is_free=True)


def busy_threads() -> ThreadPoolExecutor:
    """Return threads that have something else to do first."""
    return InLoop(is_free=False)


async def all_done() -> None:
    """Return once the threads have done what they were given."""

    def nothing(*_: Any) -> None:
        """It only comes after the rest."""

    await asyncio.get_running_loop().run_in_executor(None, nothing)
