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
    shown = _Bar(name) if can_redraw(sys.stderr) else _Line(done, name)
    try:
        yield shown.report
        shown.complete()
    finally:
        shown.close()


class _Line:
    def __init__(self, done: str, name: str) -> None:
        self._done = done
        self._name = name
        self._count = 0
        self._start = time.monotonic()

    def report(self, count: int, _: int | None) -> None:
        self._count = count

    def complete(self) -> None:
        took = seconds(timedelta(seconds=time.monotonic() - self._start))
        print_note(f"{self._done} {self._name}: {size(self._count)} in {took}")

    def close(self) -> None:
        """Nothing to close."""


class _Bar:
    def __init__(self, name: str) -> None:
        self._name = clean(name)
        self._task: TaskID | None = None
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True, highlight=False),
            expand=True,
        )

    def report(self, count: int, total: int | None) -> None:
        if self._task is None:
            # The task starts at the first count: bytes from an earlier download must not count for the speed.
            name = self._name if len(self._name) <= _NAME_WIDTH else f"{self._name[: _NAME_WIDTH - 3]}..."
            self._task = self._progress.add_task(name, total=total, completed=count)
            self._progress.start()
        self._progress.update(self._task, completed=count, total=total)

    def complete(self) -> None:
        """The full bar shows it."""

    def close(self) -> None:
        if self._task is not None:
            self._progress.stop()
