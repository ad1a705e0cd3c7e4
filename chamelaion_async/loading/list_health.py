"""Whether pages of the list may be read, and how long to wait for one: pure, with time as an argument.

Pages save requests, but no poll may depend on them. After a failure no page is read for a while, longer each time;
then a single page tries the list, beside GETs of the same requests. A page that takes longer than pages or GETs
usually do is overdue: GETs read its requests.
"""

from __future__ import annotations

from typing import Final

from .times import ALWAYS

__all__ = ["PATIENCE", "ListHealth", "doubled"]

PATIENCE: Final = 2.0
"""Seconds after which a page is late even if other pages took longer, unless GETs are as slow."""

_FAILURE_PAUSE: Final = (5.0, 300.0)  # seconds without pages after one that failed: first, longest
_LAG_PAUSE: Final = (60.0, 480.0)  # seconds without pages after one that showed an old state: first, longest
_HEARD_FOR: Final = 5.0  # seconds for which a page that another client has read shows that the list answers
_MARGIN: Final = 0.02  # seconds that a page may be late
_UNKNOWN: Final = 0.05  # seconds after which a GET is sent beside the first page, to measure how long answers take
_UNKNOWN_GET: Final = 0.25  # seconds after which a GET is late while no GET has been answered yet
_DECAY: Final = 8  # a shorter time than expected lowers the expectation by an eighth of the difference


def doubled(bounds: tuple[float, float], times: int) -> float:
    """Return the first bound, doubled ``times`` times, but at most the second bound."""
    first, longest = bounds
    # The exponent is bounded, since a float overflows after 1024 doublings.
    return min(first * 2.0 ** min(times, 60), longest)


class ListHealth:
    """What the answers so far show about the list.

    Attributes:
        is_trusted: Whether the last page was answered well and in time. If not, one page at a time is read.
        page_came_at: When the last page was answered well.
    """

    def __init__(self) -> None:
        self.is_trusted: bool = False
        self.page_came_at: float = ALWAYS
        self._paused_until = ALWAYS
        self._heard_at: float = ALWAYS
        self._refused_for: float | None = None
        self._is_refused_alone = False
        self._failures = 0
        self._lags = 0
        self._page_time: float | None = None
        self._get_time: float | None = None

    def allows_page(self, now: float, under_way: int) -> bool:
        """Whether a page may be sent while ``under_way`` other pages are."""
        return not self.awaits_get and now >= self._paused_until and (self.is_trusted or not under_way)

    @property
    def awaits_get(self) -> bool:
        """Whether a page was answered 429, and the next GET shows if that limits the list alone or all reads."""
        return self._refused_for is not None

    @property
    def knows_nothing(self) -> bool:
        """Whether neither a page nor a GET was answered yet, so no usual time is known."""
        return self._get_time is None and self._page_time is None

    @property
    def overdue_after(self) -> float:
        """Seconds after which a page is overdue."""
        if self.knows_nothing:
            return _UNKNOWN
        if self.is_trusted or self._get_time is None:
            return min(max(1.5 * (self._page_time or 0.0), self._get_time or 0.0) + _MARGIN, self._longest)
        # It tests whether the list answers, and no poll waits for a test. The very first page is no test: with the
        # GET that may follow, it makes two answers, which sharing may cost.
        is_first = self._page_time is None and self._paused_until == ALWAYS
        return self._get_time + _MARGIN if is_first else 0.0

    @property
    def late_after(self) -> float:
        """Seconds after which a page of another client is not waited for any more."""
        return PATIENCE if self._page_time is None else self.overdue_after

    @property
    def _longest(self) -> float:
        return max(PATIENCE, self._get_time or 0.0)

    @property
    def get_overdue_after(self) -> float:
        """Seconds after which a later poll does not wait any more for a GET of an earlier one."""
        return _UNKNOWN_GET if self._get_time is None else 2 * self._get_time + _MARGIN

    def page_answered(self, now: float, seconds: float) -> None:
        """Record a good page that took ``seconds``. A page that took far too long is a failure."""
        self._page_time = _expected(self._page_time, seconds)
        self.page_came_at = now
        if seconds > self._longest:
            self.page_failed(now)
        else:
            self.is_trusted = True
            self._failures = 0

    def get_answered(self, seconds: float) -> None:
        """Record a GET that took ``seconds``, whatever its answer was."""
        self._get_time = _expected(self._get_time, seconds)

    def page_is_overdue(self) -> None:
        """Record a page that is overdue."""
        self.is_trusted = False

    def page_failed(self, now: float, retry_after: float = 0.0) -> None:
        """Pause after a failed page. Other pages that fail during the pause count as the same failure."""
        self.is_trusted = False
        self._is_refused_alone = False
        if now >= self._paused_until:
            self._paused_until = now + doubled(_FAILURE_PAUSE, self._failures)
            self._failures += 1
        self._paused_until = max(self._paused_until, now + retry_after)

    def page_refused(self, retry_after: float) -> None:
        """Record a page that was answered 429. No page is read until a GET shows what the limit covers."""
        self._refused_for = max(self._refused_for or 0.0, retry_after)

    def answers_pages(self, now: float) -> bool:
        """Whether the list answers, this client or another one: then a 429 to a page may concern all reads."""
        return now - max(self.page_came_at, self._heard_at) <= _HEARD_FOR

    def page_was_heard(self, now: float) -> None:
        """Record that another client on the account has read a page."""
        self._heard_at = now

    def get_was_admitted(self, now: float) -> None:
        """Record that a GET right after a 429 to a page was not refused: the limit covers the list alone.

        Unless the list answers others: clients that share a rate are refused in turn.
        """
        if self._refused_for is not None and now - self._heard_at > _HEARD_FOR:
            self.page_failed(now, self._refused_for)
            self._is_refused_alone = True
        self._refused_for = None

    def get_refused(self) -> None:
        """Record that a GET was answered 429: the limit covers all reads, and pages may be read."""
        self._refused_for = None
        if self._is_refused_alone:
            # The pause was for a limit of the list alone, which this 429 shows to be wrong.
            self._is_refused_alone, self._paused_until = False, ALWAYS

    def list_lags(self, now: float) -> None:
        """Pause after a page that showed an older state than a GET."""
        self.is_trusted = False
        self._paused_until = max(self._paused_until, now + doubled(_LAG_PAUSE, self._lags))
        self._lags += 1


def _expected(before: float | None, seconds: float) -> float:
    """Return how long the next answer may take: as long as recent slow ones, whose weight decays with each answer."""
    if before is None or seconds >= before:
        return seconds
    return before - (before - seconds) / _DECAY
