"""The exit codes of the commands."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from ...models import Job

__all__ = ["ExitCode", "of_job", "worst"]


class ExitCode(IntEnum):
    """How a command ended; docs/reference/commands.md has the same table."""

    OK = 0
    FAILED = 1  # a job failed, or no job has this id
    USAGE = 2  # the arguments, the settings or the credentials must be corrected first
    UNAVAILABLE = 3  # no answer, or not in time: the same command may succeed later
    UNWRITABLE = 4  # stdout is closed, or does not accept the output
    INTERRUPTED = 130  # 128 + SIGINT, the convention of shells
    BROKEN_PIPE = 141  # 128 + SIGPIPE
    TERMINATED = 143  # 128 + SIGTERM


_SEVERITY: Final = (ExitCode.OK, ExitCode.FAILED, ExitCode.UNAVAILABLE, ExitCode.USAGE)


def of_job(job: Job) -> ExitCode:
    """Return the exit code for a job as it was read; a job in progress is not a failure."""
    return ExitCode.FAILED if job.is_finished and not job.is_completed else ExitCode.OK


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """Return one code for several ids: 2 before 3 before 1 before 0.

    With wrong settings (2) or without an answer (3), the state of the jobs is not known, so both go before 1.
    """
    return max(codes, key=_SEVERITY.index, default=ExitCode.OK)
