"""The errors of waits and polls that ended without an answer: what happened, to which id, and what to do next."""

from __future__ import annotations

from ..errors import APITimeoutError, ChamelaionError, WaitTimeoutError, WaitUnreachableError
from ..models import Job

__all__ = ["unanswered", "unfinished"]


def unanswered(id: str, seconds: float, *, was_sent: bool) -> APITimeoutError:
    """Return the error of a poll that was given up after some seconds, before its answer came."""
    reason = "was not answered" if was_sent else "could not be sent, for the rate limit or calls before it,"
    return APITimeoutError(
        f"the poll of {id} {reason} within the {seconds:.3g} s that were left",
        sent="maybe" if was_sent else "no",
        method="GET",
        path=id,
    )


def unfinished(
    id: str, last: Job | None, error: ChamelaionError | None, *, elapsed: float, polls: int, unread_for: float | None
) -> WaitTimeoutError | WaitUnreachableError:
    """Return the error of a wait that ended without a finished job.

    Args:
        id: The id as the caller gave it.
        last: The job as it was last read.
        error: The error of the last poll, if it failed.
        elapsed: Seconds since the wait began.
        polls: How many polls were begun.
        unread_for: Seconds without a readable answer, if they used up the outage budget.
    """
    state, again = "could not be read", "check the connection, and wait again"
    if last is not None:
        state, again = f"is still {last.status}", "the job goes on, wait again"
    kind: type[WaitTimeoutError | WaitUnreachableError] = WaitTimeoutError
    why = f" (the last poll failed: {error})" if error is not None else ""
    if unread_for is not None:
        kind, why = WaitUnreachableError, f": nothing readable came for {round(unread_for, 1):g} s, last: {error}"
    verdict = kind(
        f"request {id} {state} after {round(elapsed, 1):g} s and {polls} poll{'s' if polls != 1 else ''}{why}; "
        f"{again} with wait_until_finished({id!r})",
        id=id,
        last=last,
        elapsed=elapsed,
        polls=polls,
        last_error=error,
    )
    verdict.__cause__ = error
    return verdict
