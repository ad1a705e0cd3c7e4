"""The board for jobs on a terminal: a row for each job, and at the end its result."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice
from typing import Final, Self

import attrs
from rich.console import Console

from ....errors import ChamelaionError, WaitTimeoutError
from ....models import Job
from ....polling.durations import Durations
from ..errors import explain, explain_with_id, label
from ..printing import print_error, print_line
from ..text import clean, clock_time, column_width, one_line, result, short_time
from ..traffic import Traffic
from .jobs import Board
from .live import LiveRows
from .rows import Row, Stage
from .summary import summary_lines

__all__ = ["TableBoard"]

# The count of a stage has its name, and rows of it the status of the service.
_UNREAD: Final = Stage(name="unread", mark="\u00b7", plain_mark=".", style="dim", kind="idle")
_QUEUED: Final = Stage(name="queued", mark="\u25cb", plain_mark="o", style="dim", kind="idle")
_PROCESSING: Final = Stage(name="processing", mark="\u25b8", plain_mark=">", style="cyan", kind="active")
_COMPLETED: Final = Stage(name="completed", mark="\u2713", plain_mark="+", style="green", kind="done", has_ended=True)
_FAILED: Final = Stage(name="failed", mark="\u2717", plain_mark="x", style="red", kind="problem", has_ended=True)
_TIMED_OUT: Final = Stage(name="timed out", mark="!", plain_mark="!", style="yellow", kind="problem")
_UNREADABLE: Final = Stage(name="unreadable", mark="?", plain_mark="?", style="magenta", kind="problem")
_STAGES: Final = (_UNREAD, _QUEUED, _PROCESSING, _COMPLETED, _FAILED, _TIMED_OUT, _UNREADABLE)

_ENOUGH: Final = 20  # forecasts that tell when a great number of jobs will have ended
_ONE_BY_ONE: Final = 5  # errors of one kind
_FORECASTS: Final = (8, 3)  # a second, of jobs that are shown and of others: each costs up to a millisecond


@attrs.frozen(kw_only=True)
class _End:
    """When a job ends, in seconds since the board was made: as half of such jobs do, and as nine of ten do."""

    made_at: float
    probable: float
    late: float


class TableBoard(Board):
    """Rows on a terminal, and at the end the result of each job.

    URLs are not in the rows, which would break them into pieces that cannot be clicked or copied.

    Args:
        names: The names of the jobs, in the order of the rows.
        durations: How long jobs took, to show how long those on the board will still take.
        traffic: The requests of the client, for a line below the counts.
        console: Where to draw; by default the terminal on stdout.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        durations: Durations | None = None,
        traffic: Traffic | None = None,
        console: Console | None = None,
    ) -> None:
        self._durations = durations
        self._traffic = traffic
        self._console = console or Console(highlight=False)  # ids are not to be coloured like numbers
        self._jobs: dict[str, Job] = {}
        self._errors: dict[str, ChamelaionError] = {}
        footer = str if traffic is None else traffic.line
        self._live = LiveRows(names, _STAGES, footer=footer, refresh=self._refresh, console=self._console)
        self._names = [*self._live.rows]
        self._turn = cycle(self._names)
        self._ends: dict[str, _End] = {}  # of open jobs

    def job_changed(self, name: str, job: Job, /) -> None:
        """Show the state of the job in its row."""
        self._jobs[name] = job
        if job.is_finished:
            self._ends.pop(name, None)
            stage = _COMPLETED if job.is_completed else _FAILED
            detail = _times(job) if job.is_completed else result(job)
        else:
            stage = _QUEUED if job.started_at is None and job.status != _PROCESSING.name else _PROCESSING
            detail = _times(job)
        self._live.put(name, Row(stage=stage, status=job.status, detail=detail))
        if len(self._names) <= _FORECASTS[0]:
            self._forecast(name)
        self._show_forecast(name)

    def wait_failed(self, name: str, error: ChamelaionError, /) -> None:
        """Show the label of the error in the row."""
        self._errors[name] = error
        self._ends.pop(name, None)
        stage = _TIMED_OUT if isinstance(error, WaitTimeoutError) else _UNREADABLE
        last = self._jobs.get(name)
        detail = f"{last.status}, {_times(last)}".rstrip(" ,") if last is not None else one_line(explain(error))
        self._live.put(name, Row(stage=stage, status=label(error), detail=detail))

    def lines(self, width: int, height: int) -> list[str]:
        """Return the text of the lines as they are now, for a terminal of this size."""
        return ["".join(part.text for part in line) for line in self._live.lines(width, height)]

    def _refresh(self, shown: Sequence[str]) -> None:
        """Count down the forecasts that are shown, after making the oldest of them and some others again."""
        if not self._durations:
            return
        going = [name for name in shown if not self._live.rows[name].stage.has_ended and name not in self._errors]
        oldest = sorted(going, key=lambda name: self._ends[name].made_at if name in self._ends else -1.0)
        others = islice(self._turn, min(_FORECASTS[1], len(self._names)))
        for name in {**dict.fromkeys(oldest[: _FORECASTS[0]]), **dict.fromkeys(others)}:
            self._forecast(name)
        for name in shown:
            self._show_forecast(name)
        self._live.left = self._left()

    def _forecast(self, name: str) -> None:
        job = self._jobs.get(name)
        if not self._durations or job is None or job.is_finished or name in self._errors:
            return
        forecast = self._durations.forecast(job)
        if forecast.remaining is None or forecast.high is None:
            return
        now = self._live.elapsed
        self._ends[name] = _End(made_at=now, probable=now + forecast.remaining, late=now + forecast.high)

    def _show_forecast(self, name: str) -> None:
        end, job, row = self._ends.get(name), self._jobs.get(name), self._live.rows[name]
        if end is not None and job is not None and self._durations is not None:
            remaining = max(end.probable - self._live.elapsed, 0.0)
            self._live.put(name, attrs.evolve(row, elapsed=self._durations.age(job), remaining=remaining))

    def _left(self) -> float | None:
        """Return in how many seconds all jobs have probably ended; None unless enough open ones have a forecast."""
        open_ = len(self._names) - self._live.rows.ended - len(self._errors)
        if not self._ends or len(self._ends) < min(open_ / 2, _ENOUGH):
            return None
        # With several jobs left, the last of them probably takes longer than half of such jobs do.
        ends = [end.probable if open_ == 1 else end.late for end in self._ends.values()]
        return max(max(ends) - self._live.elapsed, 0.0)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__()
        print_line()
        width = column_width(self._names)
        for name in self._names:
            job = self._jobs.get(name)
            if job is not None and job.is_finished:
                print_line(f"{clean(name):<{width}}  {clean(job.status):<9}  {result(job)}")
        self._print_errors()

    def print_summary(self) -> None:
        """Print what became of the jobs, if there are several."""
        if len(self._names) > 1:
            print_line()
            for line in summary_lines(
                len(self._names),
                self._jobs.values(),
                self._errors.values(),
                elapsed=self._live.elapsed,
                requests=None if self._traffic is None else self._traffic.used,
                ascii_only=self._console.options.ascii_only,
            ):
                print_line(line)

    def _print_errors(self) -> None:
        late = [name for name, error in self._errors.items() if isinstance(error, WaitTimeoutError)]
        for name, error in self._errors.items():
            if len(late) <= _ONE_BY_ONE or not isinstance(error, WaitTimeoutError):
                print_error(explain_with_id(name, error))
        if len(late) > _ONE_BY_ONE:
            print_error(f"{len(late)} jobs were not finished after {clock_time(self._live.elapsed)}; they continue")


def _times(job: Job) -> str:
    """Return how long a job took and was queued, as far as that is known."""
    took = f"took {short_time(job.duration)}" if job.duration is not None else ""
    queued = f"queued {short_time(job.queue_time)}" if job.queue_time is not None else ""
    return ", ".join(filter(None, (took, queued)))
