"""The 429s of a batch that reads each request once: pure, with time as an argument."""

from __future__ import annotations

from ..config import PollPolicy
from ..errors import RateLimitError
from ..loading.times import ALWAYS
from .failed_polls import is_hopeless

__all__ = ["Refusals"]


class Refusals:
    """Counts the 429s in a row, and decides when one ends all requests that were not read yet.

    Args:
        policy: The longest ``Retry-After`` that is waited for; None for a batch that polls until each has finished.

    Attributes:
        last: The 429 that ended all of them, or None.
    """

    def __init__(self, policy: PollPolicy | None) -> None:
        self.last: RateLimitError | None = None
        self._policy = policy
        self._refused_at = ALWAYS
        self._in_a_row = 0

    def add(self, error: RateLimitError, now: float, sent_at: float | None, answered_at: float) -> bool:
        """Record a 429, and return whether it ends all.

        Args:
            error: The 429.
            now: The loop's time.
            sent_at: When its read was sent, if it was.
            answered_at: When the last good answer to any read came.
        """
        if self._policy is None:
            return False
        if answered_at > self._refused_at:
            self._in_a_row = 0
        if sent_at is None or sent_at >= self._refused_at:  # otherwise it was under way when the last one was counted
            self._in_a_row += 1
            self._refused_at = now
        return is_hopeless(error, self._in_a_row, self._policy)

    def error_of(self, id: str, error: RateLimitError) -> RateLimitError:
        """Return the error of a request that was not read because another one was answered 429."""
        return RateLimitError(
            f"{id} was not read, since the service answers 429 to all reads. {error}",
            retry_after=error.retry_after,
            status=error.status,
            message=error.message,
            headers=error.headers,
            body=error.body,
            method=error.method,
            path=f"{error.path.rpartition('/')[0]}/{id}",
            attempts=0,
        )
