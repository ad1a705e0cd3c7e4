"""Rate limits: one lane for reading, one for starting jobs, each a sliding window.

The documented limit is 60 generation requests a minute; the limit of reading is not documented. Assumed: the limit
is the account's, a refused request does not count against it, and a request without a valid key counts nowhere.
"""

import math
from collections import deque

from attrs import define, field

from ..endpoints.answers import ApiError
from ..world.journal import Lane


@define(eq=False)
class SlidingWindow:
    """Lets at most count requests pass in any period.

    Args:
        count: how many.
        period: length of the window in seconds.
    """

    count: int
    period: float
    _passed: deque[float] = field(init=False, factory=deque)

    def take(self, now: float) -> float | None:
        """Let one request pass, or return how long it would have to wait.

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


def window(rate: float | None, *, seconds: float) -> SlidingWindow | None:
    """Return a window that lets rate requests pass every so many seconds.

    Args:
        rate: may be a fraction; 0.5 a second is one every two seconds. None for no limit.
        seconds: the period of the rate.
    """
    if rate is None:
        return None
    count = max(1, int(rate))
    return SlidingWindow(count, count / rate * seconds)


@define(kw_only=True, eq=False)
class Lanes:
    """Both lanes and the Retry-After of a 429.

    Args:
        status: window of the reading lane, None for no limit.
        generate: window of the generation lane, None for no limit.
        retry_after: "auto" sends the wait in whole seconds, as RFC 9110 (10.2.3) has it; None sends no header;
            anything else is sent as it is.
    """

    status: SlidingWindow | None
    generate: SlidingWindow | None
    retry_after: float | str | None = "auto"

    def enter(self, lane: Lane, now: float) -> None:
        """Count one request in a lane.

        Raises:
            ApiError: 429, if the lane is full.
        """
        limit = self.status if lane == "status" else self.generate
        wait = limit.take(now) if limit is not None else None
        if wait is not None:
            retry_after = max(1, math.ceil(wait)) if self.retry_after == "auto" else self.retry_after
            headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
            raise ApiError(429, "rate limit exceeded", headers=headers)
