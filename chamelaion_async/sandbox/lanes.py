"""Rate limits: one lane for reading, one for starting jobs, each a sliding window.

The documented limit is 60 generation requests a minute; what holds for reading is not documented. Assumed:
the limit is the account's, a refused request does not count against it, and a request without a valid key
counts nowhere.
"""

import math
from collections import deque
from typing import Literal

from attrs import define, field

from .answers import ApiError

Lane = Literal["status", "generate"]


@define(eq=False)
class SlidingWindow:
    """Lets at most count requests pass in any stretch of period seconds.

    Args:
        count: how many.
        period: length of the window in seconds.
    """

    count: int
    period: float
    _passed: deque[float] = field(init=False, factory=deque)

    def take(self, now: float) -> float | None:
        """Let one request pass, or say how long it would have to wait.

        Args:
            now: seconds since the epoch.

        Returns:
            None if it passes, else the seconds until the next one would.
        """
        passed = self._passed
        while passed and passed[0] <= now - self.period:
            passed.popleft()
        if len(passed) < self.count:
            passed.append(now)
            return None
        return passed[0] + self.period - now


def window(rate: float, *, seconds: float) -> SlidingWindow:
    """Return a window that lets rate requests pass every so many seconds.

    Args:
        rate: may be a fraction; 0.5 a second is one every two seconds.
        seconds: what the rate refers to.
    """
    count = max(1, int(rate))
    return SlidingWindow(count, count / rate * seconds)


@define(kw_only=True, eq=False)
class Lanes:
    """Both lanes and what a 429 says.

    Args:
        status: window of the reading lane, None for no limit.
        generate: window of the generation lane, None for no limit.
        retry_after: "auto" sends the wait in whole seconds, as RFC 9110 has it; None sends no header;
            anything else is sent as it is.
    """

    status: SlidingWindow | None
    generate: SlidingWindow | None
    retry_after: float | str | None = "auto"

    def enter(self, lane: Lane, now: float) -> None:
        """Let one request into a lane.

        Raises:
            ApiError: 429, if the lane is full.
        """
        limit = self.status if lane == "status" else self.generate
        wait = limit.take(now) if limit is not None else None
        if wait is not None:
            raise ApiError(429, "rate limit exceeded", headers=self._headers(wait))

    def _headers(self, wait: float) -> dict[str, str]:
        if self.retry_after is None:
            return {}
        if self.retry_after == "auto":
            return {"Retry-After": str(max(1, math.ceil(wait)))}
        return {"Retry-After": str(self.retry_after)}
