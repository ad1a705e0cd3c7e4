"""An event loop on virtual time: its clock jumps from timer to timer; sockets, threads and processes are real."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Any, Final

from .connections import Connections
from .workers import Workers

__all__ = ["VirtualTimeLoop"]

_BEGINS: Final = 1000.0
_SLICE: Final = 0.005  # real seconds


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop whose time stands still while anything can run, and jumps to the next timer when nothing can.

    Pass it as ``loop_factory``, to ``asyncio.Runner`` or to anyio's plugin. With pytest-asyncio, the fixture
    ``chamelaion_virtual_time`` does so.

    Sockets are real. Time does not jump while bytes are under way between a client and a server of this loop. What is
    outside of the loop takes real time, and the loop allows for it:

    - While a call runs in an executor (``asyncio.to_thread``, name resolution), in a worker thread of anyio's, or
      while a child process that asyncio started runs, time stands still; after one real second of that, it goes on at
      the pace of real time.
    - A connection to another loop or process, or a thread that was started in any other way meanwhile, may answer at
      any moment. Before each jump, the loop listens for ``patience``.

    Args:
        patience: Real seconds to listen before each jump, where something outside may answer.
    """

    def __init__(self, *, patience: float = 0.02) -> None:
        self._now = _BEGINS
        self._workers = Workers()
        self._patience = patience
        selector = _JumpingSelector(self._workers, patience, self._advance)
        super().__init__(selector)
        selector.connections.leave_out(key.fd for key in selector.get_map().values())

    def time(self) -> float:
        """Return the time of the loop in seconds."""
        return self._now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override] # typeshed's signature cannot be repeated
        """Call a function in an executor, while time stands still."""
        future = super().run_in_executor(executor, self._workers.known(executor, func), *args)
        self._workers.add_call(future)
        return future

    async def subprocess_exec(self, *args: Any, **options: Any) -> Any:
        """Start a program; time stands still while it runs."""
        started = await super().subprocess_exec(*args, **options)
        self._workers.add_process(started[0])
        return started

    async def subprocess_shell(self, *args: Any, **options: Any) -> Any:
        """Start a shell; time stands still while it runs."""
        started = await super().subprocess_shell(*args, **options)
        self._workers.add_process(started[0])
        return started

    def shutdown_default_executor(self, timeout: float | None = None) -> Any:  # noqa: ARG002
        """Wait for the threads. The time that asyncio allows for this would be over at once here."""
        return super().shutdown_default_executor()

    def _advance(self, seconds: float) -> None:
        self._now += max(seconds, 0.0)


class _JumpingSelector(selectors.DefaultSelector):
    """Asks the sockets without waiting for them, and lets the clock jump by what the loop meant to wait."""

    def __init__(self, workers: Workers, patience: float, advance: Callable[[float], None]) -> None:
        super().__init__()
        self.connections = Connections(patience)
        self._workers = workers
        self._patience = patience
        self._advance = advance

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = super().unregister(fileobj)
        self.connections.forget(key.fd)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)  # None: there is no timer, so only what is outside can wake this loop
        still = self._workers.stand_still()
        if still is not None:
            # Not for long: a thread wakes this loop with its result, and only then is no longer busy.
            seconds = min(timeout, _SLICE)
            return super().select(min(seconds, still)) if still else self._select_in_real_time(seconds)
        began = time.monotonic()
        while True:
            left = min(self._patience_now(), timeout) - (time.monotonic() - began)
            # After the questions, so that it sees what a worker, or a thread that has ended, had brought by then.
            ready = super().select(max(min(left, _SLICE), 0.0))
            if ready:
                return ready
            if left <= 0:
                self._advance(timeout)
                return []

    def _patience_now(self) -> float:
        """Return for how many real seconds something from outside may still come."""
        patience = self._patience if self._workers.has_strangers() else 0.0
        return max(patience, self.connections.patience(self.get_map()))

    def _select_in_real_time(self, seconds: float) -> list[tuple[selectors.SelectorKey, int]]:
        began = time.monotonic()
        try:
            return super().select(seconds)
        finally:
            self._advance(time.monotonic() - began)
