"""How fast a lane may go, learned from 429 answers: additive increase, multiplicative decrease.

Pure: time comes in as an argument. What the service allows is documented for generation calls only, and may change,
so nothing is assumed. Until the first 429 there is no bound but the user's own. That 429 tells much by itself: what
was answered in the second before it is about what the service allows in one. Where too little was answered to tell,
the rate is searched for by doubling from a low start. From then on it swings just below what the service allows: cut
at each 429, growing by a little each second between them.
"""

from __future__ import annotations

import math
from typing import Final

__all__ = ["AdaptiveRate"]

_FIRST: Final = 4.0  # requests a second with which a search begins, and answers a second that make it needless
_DOUBLES_IN: Final = 2.0  # seconds in which the search doubles the rate
_BELOW: Final = 0.95  # part of what was answered that is asked for again
_CUT: Final = (0.5, 0.9)  # part of the rate that is kept at a 429: least, most
_LEAST: Final = 0.2  # requests a second below which no number of 429s brings a lane
_GROWS_BY: Final = 0.01  # part of the rate after the last cut by which it grows each second
_FREE: Final = 1000.0  # requests a second beyond which the bound is forgotten


class AdaptiveRate:
    """The rate of one lane in requests a second.

    Attributes:
        limit: The user's own bound, or infinity.
    """

    def __init__(self, limit: float = math.inf) -> None:
        self.limit = limit
        self._base = math.inf
        self._since = 0.0
        self._is_searching = False

    @property
    def is_free(self) -> bool:
        """Whether there is no bound at all."""
        return self._base == math.inf and self.limit == math.inf

    def at(self, now: float) -> float:
        """Return the rate at a time."""
        if self._base == math.inf:
            return self.limit
        elapsed = max(now - self._since, 0.0)
        if self._is_searching:
            rate = self._base * math.exp2(min(elapsed / _DOUBLES_IN, 60.0))
        else:
            rate = self._base * (1.0 + _GROWS_BY * elapsed)
        if rate > _FREE:
            self._base, self._is_searching = math.inf, False
            return self.limit
        return min(rate, self.limit)

    def throttled(self, now: float, reopens_at: float, answered: float) -> None:
        """Take note of a 429.

        Args:
            now: When it came.
            reopens_at: Until when it closes the lane.
            answered: Requests that were answered well in the second before.
        """
        if self._base == math.inf:
            self._is_searching = answered < _FIRST
            self._base = min(max(answered * _BELOW, _FIRST), self.limit)
        else:
            rate = self.at(now)
            least, most = (part * rate for part in _CUT)
            self._base = max(min(max(answered * _BELOW, least), most), _LEAST)
            self._is_searching = False
        self._since = reopens_at
