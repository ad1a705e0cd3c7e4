"""What the exit code of a command says."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final, TypeVar

from ..errors import (
    PASSING_STATUSES,
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ChamelaionError,
    ConfigurationError,
    DownloadError,
    InternalServerError,
    InvalidResponseError,
    PermissionDeniedError,
    RateLimitError,
    SubmissionUncertainError,
    UnprocessableEntityError,
    WaitError,
)
from ..models import Job, Outcome

__all__ = ["ExitCode", "of_error", "of_job", "of_outcome", "worst"]


J = TypeVar("J", bound=Job)


class ExitCode(IntEnum):
    """How a command ended; docs/reference/commands.md has the same table."""

    OK = 0
    FAILED = 1  # a job failed, or there is none of this id
    USAGE = 2  # the command line, the settings or the credentials must be fixed first
    UNAVAILABLE = 3  # no answer, or not in time: the same command may succeed later
    UNWRITABLE = 4  # stdout is closed, or does not take what is printed
    INTERRUPTED = 130  # 128 + SIGINT, as shells have it
    BROKEN_PIPE = 141  # 128 + SIGPIPE
    TERMINATED = 143  # 128 + SIGTERM


_USAGE: Final = (
    ConfigurationError,
    AuthenticationError,
    PermissionDeniedError,
    BadRequestError,
    UnprocessableEntityError,
)
_UNAVAILABLE: Final = (
    WaitError,
    APIConnectionError,
    InternalServerError,
    RateLimitError,
    InvalidResponseError,
    SubmissionUncertainError,
    DownloadError,  # broken off: the next one goes on where this one stopped
)
_SEVERITY: Final = (ExitCode.OK, ExitCode.FAILED, ExitCode.UNAVAILABLE, ExitCode.USAGE)


def of_error(error: ChamelaionError) -> ExitCode:
    """Return the exit code for an error."""
    if isinstance(error, _USAGE):
        return ExitCode.USAGE
    if isinstance(error, _UNAVAILABLE):
        return ExitCode.UNAVAILABLE
    if isinstance(error, APIStatusError):
        if 300 <= error.status < 400:  # a redirect is never followed: the base URL is wrong
            return ExitCode.USAGE
        if error.status in PASSING_STATUSES:
            return ExitCode.UNAVAILABLE
    return ExitCode.FAILED


def of_job(job: Job) -> ExitCode:
    """Return the exit code for a job as it was read; one that is under way is no failure."""
    return ExitCode.FAILED if job.is_finished and not job.is_completed else ExitCode.OK


def of_outcome(outcome: Outcome[J]) -> ExitCode:
    """Return the exit code for what became of one id."""
    return of_job(outcome.unwrap()) if outcome.error is None else of_error(outcome.error)


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the code that speaks for several: 2 before 3 before 1 before 0.

    What must be fixed comes first, since nothing can be known before; then what is not known yet.
    """
    return max(codes, key=_SEVERITY.index, default=ExitCode.OK)
