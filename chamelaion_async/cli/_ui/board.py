"""What ``wait`` shows while jobs run: a table that is redrawn, a line for each change, or JSON."""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final, Self

import attrs
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ...errors import ChamelaionError
from ...models import Job
from ...polling.durations import Durations
from .errors import explain_with_id, label
from .json_records import api_record, error_record
from .printing import can_redraw, print_error, print_line
from .streams import OutputError
from .text import clean, column_width, result, seconds, summary, time_left

__all__ = ["Board", "JsonBoard", "LineBoard", "TableBoard", "make_board"]

_REDRAWS: Final = 10  # a second
_BAR: Final = 18  # columns; with the longest words below it as wide as a UUID
_FRAME: Final = 6  # lines of a table besides its rows, and the one of the cursor


class Board(ABC):
    """Shows jobs by their names. A context manager: entered before the first job, left after the last one."""

    @abstractmethod
    def job_changed(self, name: str, job: Job, /) -> None:
        """Show a job when it is first read and after every change, its end included."""

    @abstractmethod
    def wait_failed(self, name: str, error: ChamelaionError, /) -> None:
        """Show an error that ended the wait for a job."""

    def update(self) -> None:  # noqa: B027 - only a table changes while no job does
        """Show how long the jobs will still take. Called about once a second."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:  # noqa: B027 - most boards have nothing to close
        pass


def make_board(names: Sequence[str], *, json: bool = False, durations: Durations | None = None) -> Board:
    """Return the board for stdout: JSON if it is asked for, a table on a terminal, else lines."""
    if json:
        return JsonBoard()
    return TableBoard(names, durations=durations) if can_redraw() else LineBoard(names, clock=time.monotonic)


class LineBoard(Board):
    """One line for each change, for logs and pipes.

    Args:
        names: The names of the jobs.
        clock: Returns seconds; each line begins with the time since the board was made.
    """

    def __init__(self, names: Sequence[str], *, clock: Callable[[], float]) -> None:
        self._width = column_width(names)
        self._clock = clock
        self._start = clock()

    def job_changed(self, name: str, job: Job, /) -> None:
        """Print the state of the job."""
        elapsed = self._clock() - self._start
        line = f"{elapsed:6.1f} s  {clean(name):<{self._width}}  {clean(job.status):<10}  {summary(job)}"
        print_line(line.rstrip())

    def wait_failed(self, name: str, error: ChamelaionError, /) -> None:
        """Print the error on stderr."""
        print_error(explain_with_id(name, error))


class JsonBoard(Board):
    """One JSON object for each job at the end of its wait, and errors on stderr too.

    Args:
        has_jobs: False prints errors only, for a command that adds fields to the finished job.
    """

    def __init__(self, *, has_jobs: bool = True) -> None:
        self._has_jobs = has_jobs

    def job_changed(self, _: str, job: Job, /) -> None:
        """Print the job if it is finished."""
        if self._has_jobs and job.is_finished:
            print_line(api_record(job))

    def wait_failed(self, name: str, error: ChamelaionError, /) -> None:
        """Print the error on stderr, and its record."""
        print_error(explain_with_id(name, error))
        print_line(error_record(name, error))


@attrs.frozen(kw_only=True)
class _Row:
    """One job in the table."""

    status: str = "no answer"
    job: Job | None = None
    error: ChamelaionError | None = None
    elapsed: float = 0.0
    remaining: float | None = None

    @property
    def is_open(self) -> bool:
        return self.error is None and not (self.job is not None and self.job.is_finished)

    @property
    def style(self) -> str:
        if self.is_open:
            return "cyan" if self.job is not None and self.job.started_at is not None else "dim"
        return "green" if self.error is None and self.job is not None and self.job.is_completed else "red"


class _QuietLive(Live):
    def refresh(self) -> None:
        """Draw, and ignore a terminal that is gone.

        A thread of Rich calls this, and would print a traceback. The next line on stdout raises the error again.
        """
        with contextlib.suppress(OutputError):
            super().refresh()


class TableBoard(Board):
    """A table on a terminal, and below it at the end the result of each job.

    URLs are not in the table: a column would break them into pieces that cannot be clicked or copied.

    Args:
        names: The names of the jobs, in the order of the rows.
        durations: How long jobs took, to show how long those in the table will still take.
        console: Where to draw; by default the terminal on stdout.
    """

    def __init__(
        self, names: Sequence[str], *, durations: Durations | None = None, console: Console | None = None
    ) -> None:
        self._durations = durations
        self._console = console or Console(highlight=False)  # ids are not to be coloured like numbers
        self._spinner = Spinner("line" if self._console.options.ascii_only else "dots")
        # Rows are replaced but never added or removed, since the thread that draws iterates over them.
        self._rows = dict.fromkeys(names, _Row())
        self._live = _QuietLive(console=self._console, get_renderable=self.table, refresh_per_second=_REDRAWS)

    def job_changed(self, name: str, job: Job, /) -> None:
        """Show the state of the job in its row."""
        self._rows[name] = attrs.evolve(self._rows[name], status=job.status, job=job)
        self._forecast(name)

    def wait_failed(self, name: str, error: ChamelaionError, /) -> None:
        """Show the label of the error in the row."""
        self._rows[name] = attrs.evolve(self._rows[name], status=label(error), error=error)

    def update(self) -> None:
        """Forecast each open job again."""
        if len(self._rows) <= self._console.height:  # more of them are not shown, and forecasts take time
            for name in self._rows:
                self._forecast(name)

    def _forecast(self, name: str) -> None:
        # Here and not in the thread that draws: what is known of durations is for one thread.
        row = self._rows[name]
        if self._durations is None or row.job is None or not row.is_open:
            return
        remaining = self._durations.forecast(row.job).remaining
        self._rows[name] = attrs.evolve(row, elapsed=self._durations.age(row.job), remaining=remaining)

    def table(self) -> Table:
        """Return the table as it is now."""
        ended = sum(not row.is_open for row in self._rows.values())
        forecasts = sum(row.is_open and row.remaining is not None for row in self._rows.values())
        has_room = len(self._rows) + forecasts + _FRAME <= self._console.height
        caption = f"{ended} of {len(self._rows)} done"
        # A UUID and the longest duration fit exactly into 80 columns.
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=caption, caption_justify="left")
        table.add_column(width=1)
        table.add_column("Job", overflow="fold")
        table.add_column("Status", no_wrap=True, min_width=11)
        table.add_column("Queued", justify="right", no_wrap=True, min_width=7)
        table.add_column("Took", justify="right", no_wrap=True, min_width=7)
        # One spinner for all rows: each would otherwise start at a frame of its own.
        spinner = self._spinner.render(self._console.get_time())
        for name, row in self._rows.items():
            table.add_row(
                spinner if row.is_open else "",
                _job(name, row) if has_room else _name(name),
                Text(clean(row.status), row.style),
                seconds(row.job.queue_time if row.job is not None else None),
                seconds(row.job.duration if row.job is not None else None),
            )
        return table

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        print_line()
        width = column_width(self._rows)
        for name, row in self._rows.items():
            if row.job is not None and row.job.is_finished:
                print_line(f"{clean(name):<{width}}  {clean(row.status):<9}  {result(row.job)}")
        for name, row in self._rows.items():
            if row.error is not None:
                print_error(explain_with_id(name, row.error))


def _name(name: str) -> Text:
    return Text(clean(name))  # a str would be read as markup, and [b] in an id lost


def _job(name: str, row: _Row) -> RenderableType:
    """Return the name of a job, and below it for an open one how long it will still take, if that is known."""
    if not row.is_open or row.remaining is None:
        return _name(name)
    bar = ProgressBar(
        total=row.elapsed + row.remaining or 1, completed=row.elapsed, width=_BAR, complete_style="cyan"
    )
    left = Table.grid(padding=(0, 1))
    left.add_column()
    left.add_column(no_wrap=True)
    left.add_row(bar, Text(time_left(row.remaining), "dim"))
    return Group(_name(name), left)
