"""A loop on virtual time, and what a test may not leave on any loop."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

_TURNS = 10


class _JumpingSelector(selectors.DefaultSelector):
    """Polls the sockets without waiting, and lets the clock jump by what the loop meant to wait."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump
        self.busy_threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)  # no timer is left: only a thread can wake this loop
        if self.busy_threads:
            return super().select(min(timeout, 0.001))  # what a thread does takes no time either
        ready = super().select(0)
        if not ready:
            self._jump(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop whose time stands still while anything can run, and jumps to the next timer when nothing can."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._jumping = _JumpingSelector(self._advance)
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override] # typeshed's signature cannot be repeated
        future = super().run_in_executor(executor, func, *args)
        self._jumping.busy_threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def shutdown_default_executor(self, timeout: float | None = None) -> Any:
        # The time that asyncio allows for this would be over at once here.
        return super().shutdown_default_executor()

    def _thread_done(self, _: asyncio.Future[Any]) -> None:
        self._jumping.busy_threads -= 1

    def _advance(self, seconds: float) -> None:
        self._now += max(seconds, 0.0)


async def turns(count: int) -> None:
    """Let the loop turn a few times, in no time."""
    for _ in range(count):
        await asyncio.sleep(0)


async def tasks_left() -> list[str]:
    """Return the tasks that still run on this loop, but for the current one."""
    for _ in range(_TURNS):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if not left:
            break
        await asyncio.sleep(0)
    return sorted(map(repr, left))
