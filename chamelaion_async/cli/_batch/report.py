"""What a batch shows of its rows where there is no terminal: a line for each change, or JSON."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Self

from .._ui.json_records import record
from .._ui.printing import print_error, print_line, print_note
from .._ui.text import clean, column_width
from .progress import RowProgress

__all__ = ["JsonReport", "LineReport", "Report"]


class Report(ABC):
    """Shows rows. A context manager: entered before the first row, left after the last one."""

    @abstractmethod
    def changed(self, row: RowProgress, /) -> None:
        """Show that a row has come further, and goes on."""

    def loaded(self, row: RowProgress, count: int, total: int | None, /) -> None:  # noqa: B027 - for a terminal only
        """Show how many bytes of an output are on disk, of so many if that is known."""

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
            print_error(row.explained)
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
            print_error(row.explained)
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
