"""The progress of an upload or a download on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

from .text import clean

__all__ = ["progress_bar"]

_NAME_WIDTH: Final = 28


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a transfer inside the block, from the first bytes on.

    Args:
        name: What is transferred.
    """
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
