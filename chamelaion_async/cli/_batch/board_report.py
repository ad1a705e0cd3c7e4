"""What a batch shows of its rows on a terminal: a board, and the errors when it is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Self

import attrs
from rich.console import Console

from ...polling.durations import Durations
from .._ui.board import Row, Stage
from .._ui.board.live import LiveRows
from .._ui.printing import print_error
from .._ui.text import one_line, part
from .entries import Step
from .progress import RowProgress
from .report import Report

__all__ = ["BoardReport"]

# The names of the stages are the counts on the board; a row of it shows the state of its own.
_TO_SUBMIT: Final = Stage(name="to submit", mark="\u00b7", plain_mark=".", style="dim", kind="idle")
_QUEUED: Final = Stage(name="queued", mark="\u25cb", plain_mark="o", style="dim", kind="idle")
_PROCESSING: Final = Stage(name="processing", mark="\u25b8", plain_mark=">", style="cyan", kind="active")
_SAVING: Final = Stage(name="saving", mark="\u2193", plain_mark="v", style="cyan", kind="active")
_SAVED: Final = Stage(name="saved", mark="\u2713", plain_mark="+", style="green", kind="done", has_ended=True)
_FAILED: Final = Stage(name="failed", mark="\u2717", plain_mark="x", style="red", kind="problem", has_ended=True)
_OPEN: Final = Stage(name="not finished", mark="!", plain_mark="!", style="yellow", kind="problem")
_STAGES: Final = (_TO_SUBMIT, _QUEUED, _PROCESSING, _SAVING, _SAVED, _FAILED, _OPEN)


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

    def loaded(self, row: RowProgress, count: int, total: int | None, /) -> None:
        """Show the bytes in the row."""
        self._live.put(row.row.out, Row(stage=_SAVING, detail=part(count, total)))

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
                print_error(row.explained)


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
