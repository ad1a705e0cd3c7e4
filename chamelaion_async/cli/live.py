"""Showing several jobs while they run, as a table that is drawn again and again."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import attrs
from rich import box
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ..errors import ChamelaionError
from ..models import Job
from .output import complain, say
from .streams import OutputError
from .text import clean, column_width, result, seconds
from .words import about, label

__all__ = ["LiveBoard"]

_REDRAWS = 10  # a second


@attrs.frozen(kw_only=True)
class _Row:
    """What the table shows of one job."""

    status: str = "no answer"
    job: Job | None = None
    error: ChamelaionError | None = None

    @property
    def is_open(self) -> bool:
        return self.error is None and not (self.job is not None and self.job.is_finished)

    @property
    def style(self) -> str:
        if self.is_open:
            return "cyan" if self.job is not None and self.job.started_at is not None else "dim"
        return "green" if self.error is None and self.job is not None and self.job.is_completed else "red"


class _Live(Live):
    def refresh(self) -> None:
        """Draw the table, if the terminal is still there.

        A thread of Rich calls this, where an error would end as a traceback; what is printed last raises it again.
        """
        with contextlib.suppress(OutputError):
            super().refresh()


class LiveBoard:
    """A table on a terminal, and below it, once it stands still, what came of each job.

    URLs stand below the table and not in it: a column would break them into pieces that can neither be clicked nor
    copied.

    Args:
        names: What the jobs go by, in the order of the rows.
        console: Where to draw; default the terminal on stdout.
    """

    def __init__(self, names: Sequence[str], *, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._spinner = Spinner("line" if self._console.options.ascii_only else "dots")
        # The rows are replaced but never added or taken away: the thread that draws goes over them meanwhile.
        self._rows = dict.fromkeys(names, _Row())
        self._live = _Live(console=self._console, get_renderable=self.table, refresh_per_second=_REDRAWS)

    def changed(self, name: str, job: Job, /) -> None:
        """Show the state of the job; what comes of it follows below the table."""
        self._rows[name] = attrs.evolve(self._rows[name], status=job.status, job=job)

    def gave_up(self, name: str, error: ChamelaionError, /) -> None:
        """Show in a word how the wait ended; the error follows below the table."""
        self._rows[name] = attrs.evolve(self._rows[name], status=label(error), error=error)

    def table(self) -> Table:
        """Return the table as things stand."""
        ended = sum(not row.is_open for row in self._rows.values())
        caption = f"{ended} of {len(self._rows)} done"
        # A UUID and the longest of times just fit into 80 columns.
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=caption, caption_justify="left")
        table.add_column(width=1)
        table.add_column("Job", overflow="fold")
        table.add_column("Status", no_wrap=True, min_width=11)
        table.add_column("Queued", justify="right", no_wrap=True, min_width=7)
        table.add_column("Took", justify="right", no_wrap=True, min_width=7)
        spinner = self._spinner.render(self._console.get_time())
        for name, row in self._rows.items():
            table.add_row(
                spinner if row.is_open else "",
                Text(clean(name)),
                Text(clean(row.status), row.style),
                seconds(row.job.queue_time if row.job is not None else None),
                seconds(row.job.duration if row.job is not None else None),
            )
        return table

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()
        say()
        width = column_width(self._rows)
        for name, row in self._rows.items():
            if row.job is not None and row.job.is_finished:
                say(f"{clean(name):<{width}}  {clean(row.status):<9}  {result(row.job)}")
        for name, row in self._rows.items():
            if row.error is not None:
                complain(about(name, row.error))
