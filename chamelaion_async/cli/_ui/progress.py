"""The progress of an upload or a download, on stderr, since stdout is for results."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

from .printing import can_redraw, print_note
from .text import seconds, size

__all__ = ["show_progress"]

OnProgress = Callable[[int, "int | None"], None]


@contextmanager
def show_progress(done: str, name: str) -> Iterator[OnProgress]:
    """Show a transfer inside the block: as a bar on a terminal, elsewhere as one line at its end.

    Nothing is shown before the first bytes are reported, so that an error before the transfer leaves no empty bar.

    Args:
        done: The verb for the line, such as ``"uploaded"``.
        name: What is transferred.
    """
    with _bar(name) if can_redraw(sys.stderr) else _line(done, name) as report:
        yield report


def _bar(name: str) -> AbstractContextManager[OnProgress]:
    from .progress_bar import progress_bar  # noqa: PLC0415 - imports Rich, which takes long

    return progress_bar(name)


@contextmanager
def _line(done: str, name: str) -> Iterator[OnProgress]:
    start = time.monotonic()
    transferred = 0

    def report(count: int, _: int | None) -> None:
        nonlocal transferred
        transferred = count

    yield report
    print_note(f"{done} {name}: {size(transferred)} in {seconds(timedelta(seconds=time.monotonic() - start))}")
