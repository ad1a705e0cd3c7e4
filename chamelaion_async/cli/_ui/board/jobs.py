"""Boards for jobs that need no terminal: a line for each change, or JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Self

from ....errors import ChamelaionError
from ....models import Job
from ..errors import explain_with_id
from ..json_records import api_record, error_record
from ..printing import print_error, print_line
from ..text import clean, column_width, summary

__all__ = ["Board", "JsonBoard", "LineBoard", "QuietBoard"]


class Board(ABC):
    """Shows jobs by their names. A context manager: entered before the first job, left after the last one."""

    @abstractmethod
    def job_changed(self, name: str, job: Job, /) -> None:
        """Show a job when it is first read and after every change, its end included."""

    @abstractmethod
    def wait_failed(self, name: str, error: ChamelaionError, /) -> None:
        """Show an error that ended the wait for a job."""

    def print_summary(self) -> None:  # noqa: B027 - for a terminal only
        """Print what became of the jobs. Called after the board was left."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:  # noqa: B027 - most boards have nothing to close
        pass


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


class QuietBoard(Board):
    """Errors only."""

    def job_changed(self, _: str, job: Job, /) -> None:
        """Print nothing."""

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
