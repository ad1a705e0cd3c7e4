"""The rate of a lane, learned from 429 answers. Pure: time comes in as an argument.

What the service allows is documented for generation calls only, and may change, so nothing is assumed. Until the
first 429 the only bound is the user's own. From then on the rate follows additive increase, multiplicative
decrease (Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance in Computer
Networks", 1989), with the growth curve of CUBIC (RFC 9438): each 429 sets a *level*; the rate starts a little below
it, is flat around it, and grows faster the longer no 429 comes. So a raised limit is found soon, and an unchanged one
costs few 429s.

A level is *proven* when the rate has come back to it and was refused there again. A slow lane with a proven level
grows by the number of its requests, so that a 429 stays rare among them. A level that is not proven may come from a
service that refused for another reason. It grows by the time alone, and after two climbs it doubles every three
seconds, so that a lane which fell far is back within a minute.

The level is estimated from a whole *cycle*, from one opening of the lane to the next. Whether a limiter counts in
windows or fills a bucket, it allows at least the good answers of a cycle divided by its length (with the closed
time), and less than the rate at which it refused. The level is the geometric mean of the two. Refusals without a
good answer between them are one event: each makes the closure longer, and with it the cycle, so the level falls
with the length of the cycle and not by a factor for each.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

__all__ = ["AdaptiveRate", "AnswerLog"]

_PAUSE: Final = 1.0  # seconds that a lane closes after a 429 that names no time; doubled while the refusals go on
_LONGEST_PAUSE: Final = 8.0  # seconds to which that is doubled
_LATELY: Final = 1.0  # seconds before the first 429 whose answers show the rate
_FIRST: Final = 4.0  # fewer answers in that time show nothing; requests a second that the search starts from
_DOUBLES_IN: Final = 2.0  # seconds in which the search doubles the rate
_LONG_WINDOW: Final = 10.0  # seconds whose answers count if the service refuses for longer than a second
_BACK: Final = 0.8  # part of the climb after which the rate is as good as back at the level
_SAME: Final = 0.5  # a level that is at least this part of another one agrees with it
_DOUBT: Final = 2.0  # climbs after which a rate whose level is not proven begins to double
_REGAINS_IN: Final = 3.0  # seconds in which it does; a faster rate is refused very often before it knows
_DIP: Final = 0.1  # part of the level by which the rate starts below it
_CLIMB: Final = (12.0, 100.0)  # seconds until the rate is back at the level: least, most
_CLIMB_REQUESTS: Final = 80.0  # requests that this takes at least: one 429 in a hundred requests is cheap
_CLIMB_CLOSURES: Final = 4.0  # closures that it takes at least, since a long closure shows a long window
_IDLE: Final = 0.1  # part of the time without demand that counts as growth
_LEAST: Final = 0.1  # requests a second below which no number of 429s brings a lane
_FREE: Final = 1000.0  # requests a second from which on the learned bound is dropped
_MANY: Final = 60  # doublings that are as good as infinitely many, and no overflow
_REMEMBERED: Final = 1000  # answers kept for the first 429, and refused paths; with more, a lane needs no bound
_OUTAGE: Final = 12  # refusals in a row that are an outage and no limit: 79 s at least
_AFTER_OUTAGE: Final = 1.0  # requests a second to search from after it
_ALWAYS: Final = -math.inf


class AdaptiveRate:
    """Evenly spaced permits of one lane, slower after a 429.

    Attributes:
        limit: The user's own bound in requests a second, or infinity.
        opens_at: When the next permit is due.
    """

    def __init__(self, limit: float = math.inf) -> None:
        self.limit = limit
        self.opens_at = _ALWAYS
        self._before_last = self._after_last = _ALWAYS  # ``opens_at`` around the last permit
        self._closed_until = _ALWAYS
        self._level = math.inf
        self._climb = 0.0
        self._proven = 0.0  # the level that was found again, or 0
        self._is_searching = False
        # When the rate began to grow, and when the cycle began. Time without demand moves both.
        self._grows_since = self._opened_at = 0.0
        # The cycle that the last 429 ended:
        self._began_at = self._first_refused_at = self._refused_at = 0.0
        self._repeats = 0
        self._answered = 0
        self._refused_rate = math.inf
        self._tried = math.inf  # its level if the rate came back to it, else infinity
        self._proven_before = 0.0

    @property
    def is_free(self) -> bool:
        """Whether there is no bound at all."""
        return self._level == math.inf and self.limit == math.inf

    def is_throttled(self, now: float) -> bool:
        """Whether 429s hold the lane below the user's bound: it is closed, or its rate is learned."""
        return now < self._closed_until or self._learned(now) < self.limit

    def at(self, now: float) -> float:
        """Return the rate at a time in requests a second."""
        return min(self._learned(now), self.limit)

    def closed_for(self, now: float) -> float:
        """Return the seconds for which a 429 still closes the lane."""
        return max(self._closed_until - now, 0.0)

    def take(self, now: float, n: int = 1) -> bool:
        """Take ``n`` permits if they are due."""
        if self.is_free:
            return True
        if now < self.opens_at:
            return False
        rate = self._learned(now)
        if rate == math.inf:
            self._level = rate
        else:
            # Time without demand shows nothing of what the service allows, so the rate grows by a part of it only.
            idle = now - self.opens_at
            self._opened_at += idle
            self._grows_since += idle * (1 - _IDLE)
        self._before_last = self.opens_at
        self.opens_at = self._after_last = now + n / min(rate, self.limit)
        return True

    def give_back(self) -> None:
        """Undo the last ``take``, unless another or a closure has followed."""
        if self.opens_at == self._after_last:
            self.opens_at = self._before_last

    def throttled(
        self, now: float, seconds: float | None, answered: int | None, lately: tuple[int, float] = (0, 0.0)
    ) -> None:
        """Record a 429; see ``Budget.throttled``.

        Args:
            now: When it came.
            seconds: What ``Retry-After`` asks for, or None if it names no time.
            answered: Good answers since the last 429, or in the last second if the lane was not throttled; 0 if the
                service still refuses; None if the call was sent before the last 429 came.
            lately: Good answers in the ten seconds before the first 429, and seconds from the first of them to it.
        """
        if now < self._closed_until:
            # Sent before the lane closed: no second reason to slow down, but its Retry-After counts.
            self._answered += answered or 0
            self._close(max(self._closed_until, now + (seconds or 0.0)))
            return
        if answered is None:
            # Sent before the last 429 as well, but the lane has opened since.
            # Its Retry-After still counts, as a pause and not as a reason for a lower rate.
            until = max(self.opens_at, now + (seconds or 0.0))
            # While nothing may be sent, nothing is learned either.
            self._grows_since += until - self.opens_at
            self.opens_at = until
            return
        rate = self._learned(now)
        if rate == math.inf:
            self._begin(now, now, answered, rate)
            self._is_searching = answered < _FIRST
            self._proven_before, self._tried = 0.0, math.inf
        elif answered:
            self._begin(now, self._opened_at, answered, self.at(now))
        else:
            self._repeats += 1
            if self._refused_rate == math.inf and self._repeats == 1:
                # The service counts over more than a second, so its answers before the last second count as well.
                count, span = lately
                self._answered, self._began_at = max(self._answered, count), self._began_at - span
        self._refused_at = now
        pause = min(_PAUSE * 2.0 ** min(self._repeats, _MANY), _LONGEST_PAUSE)
        if seconds is not None:
            # A service that refuses again after the time it named gets a longer pause than it names.
            pause = max(seconds, pause) if self._repeats else seconds
        self._close(now + pause)

    def _learned(self, now: float) -> float:
        if self._level == math.inf:
            return math.inf
        grown = self._grown(now)
        if self._is_searching:
            rate, doubled = self._level, grown / _DOUBLES_IN
        else:
            steady = grown if self._proven else min(grown, _DOUBT * self._climb)
            # The window function of CUBIC (RFC 9438, section 4.2), with its origin ``_DIP`` below the level.
            rate = self._level * (1.0 + _DIP * (steady / self._climb - 1.0) ** 3)
            doubled = (grown - steady) / _REGAINS_IN
        rate *= math.exp2(min(doubled, _MANY))
        return rate if rate <= _FREE else math.inf

    def _grown(self, now: float) -> float:
        idle = max(now - self.opens_at, 0.0)
        return max(now - self._grows_since - idle * (1 - _IDLE), 0.0)

    def _begin(self, now: float, began_at: float, answered: int, refused_rate: float) -> None:
        is_back = not self._is_searching and self._grown(now) >= _BACK * self._climb
        self._tried, self._proven_before = self._level if is_back else math.inf, self._proven
        self._began_at, self._first_refused_at = began_at, now
        self._repeats, self._answered, self._refused_rate = 0, answered, refused_rate

    def _close(self, until: float) -> None:
        """Close the lane, and set the level for the time after."""
        self._closed_until = until
        self.opens_at = self._opened_at = self._grows_since = max(self.opens_at, until)
        cycle = until - self._began_at
        if self._refused_rate < math.inf and cycle >= _LATELY:
            self._is_searching = False
        most = self._refused_rate
        if not self._is_searching and (most == math.inf or self._repeats > 1):
            # The answers before the first refusal are all that the service allows until its last refusal. Nothing
            # else is known of the first cycle, whose rate had no bound. In a later cycle this holds for long
            # windows, which show in more than one refusal in a row.
            most = min(most, self._answered / max(self._refused_at - self._began_at, _LATELY))
        if most == math.inf:
            level = _FIRST * 0.5 ** min(self._repeats, _MANY)
        elif self._answered < most * cycle:
            level = math.sqrt(most * self._answered / cycle)
        else:
            level = most
        self._level = max(level, _LEAST)
        if self._repeats >= _OUTAGE:
            # After so long an outage, what was learned before says nothing of what the service allows.
            self._level, self._is_searching = max(level, _AFTER_OUTAGE), True
        self._set_climb(until)

    def _set_climb(self, until: float) -> None:
        # From the state before the cycle's first 429, since each further one sets level and climb again.
        if self._level >= _SAME * self._tried:
            self._proven = self._level
        else:
            self._proven = self._proven_before if self._level >= _SAME * self._proven_before else 0.0
        least, most = _CLIMB
        if self._proven:
            closures = _CLIMB_CLOSURES * (until - self._first_refused_at) if self._repeats else 0.0
            self._climb = min(max(least, _CLIMB_REQUESTS / self._level, closures), most)
        else:
            self._climb = least


class AnswerLog:
    """The answers to the calls of one process, counted for ``Budget.throttled``.

    Attributes:
        lately: Good answers in the ten seconds before the first 429, and the seconds from the first of them to it.
    """

    def __init__(self) -> None:
        self.lately = (0, 0.0)
        # The paths that were answered 429 and not well since, each with whether that is known to be its own limit.
        self._refused: dict[str, bool] = {}
        self._doubted_at = _ALWAYS
        self._is_beyond_doubt = False
        self._times: deque[float] = deque(maxlen=_REMEMBERED)
        self._count = 0
        self._refused_at = _ALWAYS
        self._is_let_in = False

    def answered(self, now: float, sent: float, path: str | None = None) -> None:
        """Record a good answer to a call that was sent at a time."""
        # The first test spares the lookup: after most answers, no path is refused.
        if self._refused and path is not None:
            self._refused.pop(path, None)
        if sent > self._doubted_at:
            self._is_beyond_doubt = True
        self._times.append(now)
        self._count += 1
        if sent > self._refused_at:
            self._is_let_in = True

    def has_own_limit(self, now: float, sent: float, path: str) -> bool:
        """Record a 429, and return whether it concerns its path alone.

        A limit of the lane refuses whatever comes next, and not always the same path. So a path that is refused again
        has a limit of its own if other calls, sent after the last 429 of any other path, were answered well.
        """
        is_own = self._refused.pop(path, None)
        if is_own:
            self._refused[path] = True
            return True
        if is_own is None and len(self._refused) >= _REMEMBERED:
            del self._refused[next(iter(self._refused))]
        found = is_own is not None and self._is_beyond_doubt and sent > self._doubted_at
        self._refused[path] = found
        # If it was the lane's limit after all, the next call is refused as well, and that counts.
        self._doubted_at, self._is_beyond_doubt = now, False
        return found

    def refused(self, now: float, sent: float, *, is_throttled: bool) -> int | None:
        """Record a 429, and return the ``answered`` of ``AdaptiveRate.throttled``."""
        if sent <= self._refused_at:
            return None  # also at the same time, since a 429 closes the lane at once
        self._refused_at = now
        if not is_throttled:
            # If the call took longer than that, the answers since it was sent are the burst that it belongs to.
            since = now - max(_LATELY, now - sent)
            count = sum(time >= since for time in self._times)
            times = [time for time in self._times if time >= now - _LONG_WINDOW]
            self.lately = len(times), now - times[0] if times else 0.0
        elif self._is_let_in:
            count = self._count
        else:
            return 0
        self._count = 0
        self._is_let_in = False
        return count
