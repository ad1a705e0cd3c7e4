"""Showing how an upload or a download gets on: on stderr, since stdout is for results."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

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

from .output import is_live, note
from .text import clean, seconds, size

__all__ = ["transfer"]

OnProgress = Callable[[int, "int | None"], None]

_NAME_WIDTH = 28


@contextmanager
def transfer(done: str, name: str) -> Iterator[OnProgress]:
    """Show a transfer: as a bar on a terminal, elsewhere as one line when it is complete.

    Nothing is shown before the first bytes are reported, so that what is refused beforehand leaves no trace.

    Args:
        done: What has happened in the end, such as ``"uploaded"``.
        name: What is transferred.
    """
    shown = _Bar(name) if is_live(sys.stderr) else _Line(done, name)
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
        self._began = time.monotonic()

    def report(self, count: int, _: int | None) -> None:
        self._count = count

    def complete(self) -> None:
        took = seconds(timedelta(seconds=time.monotonic() - self._began))
        note(f"{self._done} {self._name}: {size(self._count)} in {took}")

    def close(self) -> None:
        """There is nothing to put back."""


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
            # What is on disk already has not been transferred now, and must not count for the speed.
            name = self._name if len(self._name) <= _NAME_WIDTH else f"{self._name[: _NAME_WIDTH - 3]}..."
            self._task = self._progress.add_task(name, total=total, completed=count)
            self._progress.start()
        self._progress.update(self._task, completed=count, total=total)

    def complete(self) -> None:
        """The bar says it."""

    def close(self) -> None:
        if self._task is not None:
            self._progress.stop()
