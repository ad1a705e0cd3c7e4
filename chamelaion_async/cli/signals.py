"""SIGTERM, made to end a command as Ctrl-C does: with the cursor given back and nothing left half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import attrs

__all__ = ["Ending", "ending_on_sigterm"]


@attrs.define
class Ending:
    """Whether SIGTERM has come."""

    is_terminated: bool = False


@contextmanager
def ending_on_sigterm() -> Iterator[Ending]:
    """Turn SIGTERM into a KeyboardInterrupt while the context is open, and take note of it."""
    ending = Ending()
    if threading.current_thread() is not threading.main_thread():
        yield ending  # signals are none of this thread's business, and cannot be
        return

    def end(number: int, frame: FrameType | None) -> None:
        ending.is_terminated = True
        # asyncio's own handler cancels the main task. It is called and not signalled: where SIGINT is ignored, as
        # in what a shell script runs in the background, it would not arrive.
        interrupt = signal.getsignal(signal.SIGINT)
        if callable(interrupt):
            interrupt(number, frame)
        else:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield ending
    finally:
        signal.signal(signal.SIGTERM, before)
