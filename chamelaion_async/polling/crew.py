"""The tasks that read: as many as there is to do, and as the service bears."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sized
from typing import Final

from .entry import ALWAYS

__all__ = ["Crew"]

_AT_FIRST: Final = 4  # reads under way; no fewer, or one that gets no answer would hold up all others
_MOST_AT_ONCE: Final = 32  # reached step by step, one more for each that succeeds


class Crew:
    """Starts tasks while there is something to do, and ends with it.

    Args:
        work: What there is to do, as far as nobody has taken it up yet.
        take_turn: Does one piece of it, and calls its argument as soon as it has been taken up.
    """

    def __init__(self, work: Sized, take_turn: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        self._work = work
        self._take_turn = take_turn
        self._width = _AT_FIRST
        self._size = 0
        self._busy = 0
        self._held_until = ALWAYS
        self._handle: asyncio.Handle | None = None

    def wake(self) -> None:
        """Begin in the next round of the loop, so that what is asked for in this one is gathered."""
        if len(self._work) and self._handle is None:
            loop = asyncio.get_running_loop()
            if self._held_until > loop.time():
                self._handle = loop.call_at(self._held_until, self._start)
            else:
                self._handle = loop.call_soon(self._start)

    def hold(self, seconds: float) -> None:
        """Let nobody begin anything for a while, and then one at first."""
        self._held_until = asyncio.get_running_loop().time() + seconds
        self._width = 1

    def widen(self) -> None:
        """Let one more be at work at once."""
        self._width = min(self._width + 1, _MOST_AT_ONCE)
        self.wake()

    def narrow(self) -> None:
        """Let half as many be at work at once."""
        self._width = max(self._width // 2, _AT_FIRST)

    def rest(self) -> None:
        """Forget what was to begin: there is nothing to do any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _start(self) -> None:
        self._handle = None
        if self._held_until > asyncio.get_running_loop().time():
            self.wake()  # it was held once more meanwhile
            return
        while self._size - self._busy < len(self._work) and self._size < self._width:
            self._size += 1
            task = asyncio.get_running_loop().create_task(self._run())
            task.add_done_callback(self._ended)

    def _ended(self, _: asyncio.Task[None]) -> None:
        self._size -= 1
        self.wake()

    async def _run(self) -> None:
        # Whoever asked may have left before this task could begin, and nobody would know of it to end it.
        loop = asyncio.get_running_loop()
        while len(self._work) and self._size <= self._width and self._held_until <= loop.time():
            await self._one_turn()

    async def _one_turn(self) -> None:
        taken_up = 0

        def take_up() -> None:
            nonlocal taken_up
            taken_up = 1
            self._busy += 1

        try:
            await self._take_turn(take_up)
        finally:
            self._busy -= taken_up
