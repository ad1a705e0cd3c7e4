"""Showing several jobs while they run, without drawing: as lines, or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from ..errors import ChamelaionError
from ..models import Job
from .output import complain, say
from .records import error_record, job_record
from .text import clean, column_width, summary
from .words import about

__all__ = ["Board", "ErrorBoard", "LineBoard", "RecordBoard"]


class Board(Protocol):
    """Where the progress of jobs is shown. A context manager, since some boards end with a summary."""

    def changed(self, name: str, job: Job, /) -> None:
        """Take note of a job that was first seen or has changed; its end is such a change."""

    def gave_up(self, name: str, error: ChamelaionError, /) -> None:
        """Take note of a wait that ended before its job did."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class _Printed:
    """A board that prints as it goes and needs no end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return


class LineBoard(_Printed):
    """One line for each change, for logs and pipes.

    Args:
        names: What the jobs go by.
        clock: Tells seconds; each line begins with those since the board was made.
    """

    def __init__(self, names: Sequence[str], *, clock: Callable[[], float]) -> None:
        self._width = column_width(names)
        self._clock = clock
        self._began = clock()

    def changed(self, name: str, job: Job, /) -> None:
        """Print the state of the job."""
        elapsed = self._clock() - self._began
        line = f"{elapsed:6.1f} s  {clean(name):<{self._width}}  {clean(job.status):<10}  {summary(job)}"
        say(line.rstrip())

    def gave_up(self, name: str, error: ChamelaionError, /) -> None:
        """Print the error."""
        complain(about(name, error))


class RecordBoard(_Printed):
    """One JSON object for each id, in the order of finishing, for programs."""

    def changed(self, _: str, job: Job, /) -> None:
        """Print the record of a job that is finished."""
        if job.is_finished:
            say(job_record(job))

    def gave_up(self, name: str, error: ChamelaionError, /) -> None:
        """Print the record of the error, and the error for whoever watches."""
        complain(about(name, error))
        say(error_record(name, error))


class ErrorBoard(RecordBoard):
    """Likewise, but for a command that prints the records of finished jobs itself, with more to them."""

    def changed(self, _: str, __: Job, /) -> None:
        """Leave it to the command."""
