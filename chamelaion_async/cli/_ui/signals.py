"""SIGTERM ends a command as Ctrl-C does: the cursor is shown again, and files and connections are closed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import attrs

__all__ = ["Sigterm", "sigterm_as_interrupt"]


@attrs.define
class Sigterm:
    """Whether the signal has been received."""

    is_received: bool = False


@contextmanager
def sigterm_as_interrupt() -> Iterator[Sigterm]:
    """Turn SIGTERM into a KeyboardInterrupt inside the block, and record it."""
    sigterm = Sigterm()
    if threading.current_thread() is not threading.main_thread():
        yield sigterm  # only the main thread may set handlers
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        sigterm.is_received = True
        # asyncio's handler of SIGINT cancels the main task. It is called directly: a shell script starts its
        # background processes with SIGINT ignored, and a signal that is sent would not arrive.
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler):
            handler(number, frame)
        else:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield sigterm
    finally:
        signal.signal(signal.SIGTERM, before)
