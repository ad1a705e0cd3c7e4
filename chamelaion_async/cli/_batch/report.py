"""What a batch shows of its rows: a board on a terminal, a line for each change, or JSON."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Self

import attrs
from rich.console import Console

from ...polling.durations import Durations
from .._ui.board import LiveRows, Row, Stage
from .._ui.json_records import record
from .._ui.printing import can_redraw, print_error, print_line, print_note
from .._ui.text import clean, column_width, one_line
from .entries import Step
from .progress import RowProgress

__all__ = ["BoardReport", "JsonReport", "LineReport", "Report", "make_report"]


# The names of the stages are the counts on the board; a row of it shows the state of its own.
_TO_SUBMIT: Final = Stage(name="to submit", mark="\u00b7", plain_mark=".", style="dim", kind="idle")
_QUEUED: Final = Stage(name="queued", mark="\u25cb", plain_mark="o", style="dim", kind="idle")
_PROCESSING: Final = Stage(name="processing", mark="\u25b8", plain_mark=">", style="cyan", kind="active")
_SAVING: Final = Stage(name="saving", mark="\u2193", plain_mark="v", style="cyan", kind="active")
_SAVED: Final = Stage(name="saved", mark="\u2713", plain_mark="+", style="green", kind="done", has_ended=True)
_FAILED: Final = Stage(name="failed", mark="\u2717", plain_mark="x", style="red", kind="problem", has_ended=True)
_OPEN: Final = Stage(name="not finished", mark="!", plain_mark="!", style="yellow", kind="problem")
_STAGES: Final = (_TO_SUBMIT, _QUEUED, _PROCESSING, _SAVING, _SAVED, _FAILED, _OPEN)


class Report(ABC):
    """Shows rows. A context manager: entered before the first row, left after the last one."""

    @abstractmethod
    def changed(self, row: RowProgress, /) -> None:
        """Show that a row has come further, and goes on."""

    @abstractmethod
    def ended(self, row: RowProgress, /) -> None:
        """Show how far a row has come in this run."""

    def note(self, text: str) -> None:
        """Show a text for the user on stderr."""
        print_note(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:  # noqa: B027 - most reports have nothing to close
        pass


def make_report(
    rows: Sequence[RowProgress], *, json: bool, durations: Durations, footer: Callable[[], str]
) -> Report:
    """Return the report for stdout: JSON if it is asked for, a board on a terminal, else lines.

    Args:
        rows: All rows.
        json: Whether the output is JSON.
        durations: How long jobs took, for forecasts on the board.
        footer: Returns the line below the counts of the board.
    """
    if json:
        return JsonReport()
    return BoardReport(rows, durations=durations, footer=footer) if can_redraw() else LineReport(rows)


class BoardReport(Report):
    """Rows on a terminal, named by their outputs; errors follow when it is left.

    Args:
        rows: All rows.
        durations: How long jobs took.
        footer: Returns the line below the counts.
        console: Where to draw; by default the terminal on stdout.
    """

    def __init__(
        self,
        rows: Sequence[RowProgress],
        *,
        durations: Durations,
        footer: Callable[[], str],
        console: Console | None = None,
    ) -> None:
        self._rows = {row.row.out: row for row in rows}
        self._durations = durations
        self._ended: list[RowProgress] = []
        self._live = LiveRows(self._rows, _STAGES, footer=footer, refresh=self._forecast, console=console)

    def changed(self, row: RowProgress, /) -> None:
        """Show the state in the row."""
        self._live.put(row.row.out, Row(stage=_stage(row, has_ended=False), status=row.state))
        self._forecast([row.row.out])

    def ended(self, row: RowProgress, /) -> None:
        """Show the state in the row, and why it is no better."""
        self._ended.append(row)
        self._live.put(
            row.row.out, Row(stage=_stage(row, has_ended=True), status=row.state, detail=one_line(row.reason))
        )

    def lines(self, width: int, height: int) -> list[str]:
        """Return the text of the lines as they are now, for a terminal of this size."""
        return ["".join(part.text for part in line) for line in self._live.lines(width, height)]

    def _forecast(self, names: Iterable[str]) -> None:
        for name in names:
            row, shown = self._rows[name], self._live.rows[name]
            if shown.stage not in (_QUEUED, _PROCESSING) or row.job is None:
                continue
            remaining = self._durations.forecast(row.job).remaining
            if remaining is not None:
                age = self._durations.age(row.job)
                self._live.put(name, attrs.evolve(shown, elapsed=age, remaining=remaining))

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__()
        for row in self._ended:
            if row.reason:
                print_error(_explained(row))


def _stage(row: RowProgress, *, has_ended: bool) -> Stage:
    """Return the stage of a row; ``has_ended`` tells whether this run goes on with it."""
    if row.is_ended:
        return _SAVED if row.step is Step.SAVED else _FAILED
    if has_ended:
        return _OPEN if row.error is not None or row.step not in (None, Step.REFUSED) else _TO_SUBMIT
    match row.step:
        case Step.COMPLETED | Step.SAVED:
            return _SAVING
        case Step.ACCEPTED:
            return _QUEUED if row.job is None or row.job.started_at is None else _PROCESSING
    return _TO_SUBMIT


def _explained(row: RowProgress) -> str:
    return f"line {row.row.line}, {row.row.out}: {row.reason}"


class LineReport(Report):
    """One line for each change, for logs and pipes. Rows are named by their outputs.

    Args:
        rows: All rows.
        clock: Returns seconds; each line begins with the time since this was made.
    """

    def __init__(self, rows: Iterable[RowProgress], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._width = column_width(row.row.out for row in rows)
        self._clock = clock
        self._start = clock()

    def changed(self, row: RowProgress, /) -> None:
        """Print the state of the row."""
        self._print(row, row.request_id)

    def ended(self, row: RowProgress, /) -> None:
        """Print the state of the row, and an error on stderr; nothing for a row that an earlier run has saved."""
        if row.error is not None:
            print_error(_explained(row))
        elif not row.planned.is_saved and (row.is_submitted or row.reason):
            self._print(row, row.reason or "  ".join(str(path) for path in row.paths))

    def _print(self, row: RowProgress, text: str) -> None:
        elapsed = self._clock() - self._start
        print_line(f"{elapsed:6.1f} s  {clean(row.row.out):<{self._width}}  {clean(row.state):<10}  {clean(text)}")


class JsonReport(Report):
    """One JSON object for each row at its end, and errors on stderr too."""

    def changed(self, row: RowProgress, /) -> None:
        """Print nothing."""

    def ended(self, row: RowProgress, /) -> None:
        """Print the row."""
        if row.error is not None:
            print_error(_explained(row))
        print_line(
            record(
                line=row.row.line,
                reference_id=row.reference_id,
                request_id=row.request_id or None,
                state=row.state,
                paths=[str(path) for path in row.files]
                or ([str(row.planned.target)] if row.planned.is_saved else []),
                error=type(row.error).__name__ if row.error is not None else None,
                message=row.reason or None,
            )
        )
