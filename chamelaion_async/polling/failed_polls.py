"""How many failed polls are too many, and for how long they may go on: pure, with time as an argument."""

from __future__ import annotations

from typing import Final

import attrs

from .._http.retry import is_ridden_out
from ..config import PollPolicy
from ..errors import ChamelaionError, NotFoundError, RateLimitError
from ..loading.times import ALWAYS, NEVER

__all__ = ["MOST_REFUSALS", "FailureStreak", "is_hopeless"]

MOST_REFUSALS: Final = 10
"""429s in a row after which a request that is to be read once is given up."""


def is_hopeless(error: RateLimitError, refusals: int, policy: PollPolicy) -> bool:
    """Whether a 429 ends a poll that is made once: ``Retry-After`` is too long, or it is one too many in a row."""
    return refusals >= MOST_REFUSALS or (error.retry_after or 0.0) > policy.max_retry_after


@attrs.define(kw_only=True, eq=False)
class FailureStreak:
    """The failed polls since the last good one, which ends the streak.

    Attributes:
        error: Why the last poll failed.
        since: When the first poll failed. Time that polls spent in the queue before it does not count.
        failures: How many polls failed.
        refusals: How many of them were answered 429.
        not_found_since: When the first 404 came, or never.
        barred_until: When the last ``Retry-After`` ends.
    """

    error: ChamelaionError
    since: float
    failures: int = 0
    refusals: int = 0
    not_found_since: float = NEVER
    barred_until: float = ALWAYS

    def add(self, error: ChamelaionError, now: float) -> None:
        """Record a failed poll."""
        self.error = error
        self.failures += 1
        self.refusals += isinstance(error, RateLimitError)
        if isinstance(error, NotFoundError):
            # The grace counts from the first 404: other failures in between do not extend it.
            self.not_found_since = min(self.not_found_since, now)

    def outage_ends(self, policy: PollPolicy) -> float:
        """Return when the outage budget is used up."""
        return self.since + policy.outage_budget

    def ends(self, policy: PollPolicy) -> float:
        """Return until when failures like the last one may go on."""
        if isinstance(self.error, NotFoundError):
            return self.not_found_since + policy.not_found_grace
        return self.outage_ends(policy)

    def may_pass(self, policy: PollPolicy, attempts: int | None, now: float) -> bool:
        """Whether another poll may succeed.

        Args:
            policy: For how long failures may go on.
            attempts: How many failures other than 429 are too many, or None for any number.
            now: The loop's time.
        """
        if isinstance(self.error, NotFoundError):
            return now < self.ends(policy)
        if attempts is None:
            return is_ridden_out(self.error)
        if isinstance(self.error, RateLimitError):
            return not is_hopeless(self.error, self.refusals, policy)
        # 429s have a count of their own: a limit says nothing of the request.
        return self.failures - self.refusals < attempts and is_ridden_out(self.error)
