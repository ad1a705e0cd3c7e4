"""The progress of an upload or a download, on stderr, since stdout is for results."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from .printing import can_redraw, print_note
from .text import clean, seconds, size

__all__ = ["show_progress"]

OnProgress = Callable[[int, "int | None"], None]

_NAME_WIDTH: Final = 28


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


@contextmanager
def _line(done: str, name: str) -> Iterator[OnProgress]:
    start = time.monotonic()
    transferred = 0

    def report(count: int, _: int | None) -> None:
        nonlocal transferred
        transferred = count

    yield report
    print_note(f"{done} {name}: {size(transferred)} in {seconds(timedelta(seconds=time.monotonic() - start))}")


@contextmanager
def _bar(name: str) -> Iterator[OnProgress]:
    name = clean(name)
    task: TaskID | None = None
    progress = Progress(
        TextColumn("{task.description}", markup=False),  # a file name may hold [b]
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True, highlight=False),
        expand=True,
    )

    def report(count: int, total: int | None) -> None:
        nonlocal task
        if task is None:
            # The task starts at the first count: bytes from an earlier download must not count for the speed.
            shown = name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 3]}..."
            task = progress.add_task(shown, total=total, completed=count)
            progress.start()
        progress.update(task, completed=count, total=total)

    try:
        yield report
    finally:
        if task is not None:
            progress.stop()
