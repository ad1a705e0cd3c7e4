"""When to poll a job, given how long jobs like it took: densely where the end is likely. Pure.

The theory of inspection says how: with the hazard rate ``h(age)`` of the end and the price ``c`` of a poll in seconds
of delay, polls are best spaced by ``sqrt(2 c / h(age))`` (Keller, "Optimum checking schedules for systems subject to
random failure", Management Science 21, 1974, after Barlow, Hunter and Proschan, 1963). So the polls up to an age are
the integral of ``sqrt(h / 2c)``, and each next poll comes where that integral has grown by one.

The price is not a setting: it is the one at which a job costs as many polls as the spacing by age would have made.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Final

import attrs

from ..config import PollPolicy
from .intervals import interval_by_age

__all__ = ["ENOUGH", "LearnedIntervals", "learn_intervals"]

ENOUGH: Final = 30
"""Durations from which on a pause may be longer than ``max_interval``, while the end is very unlikely."""

_LONGEST: Final = 5.0  # such a pause, as a multiple of max_interval
_DOUBT: Final = 4.0  # jobs still running, by the durations known, at which half of the polls go by age
_BIN: Final = 0.03  # width of a bin, in the logarithm of the age
_NARROWEST: Final = 0.03  # half the width of a kernel, at least: durations vary by some percent from day to day
_WIDEST: Final = 0.7  # and that of a single duration: half to twice as long
_SHORTEST: Final = 0.05  # seconds; the logarithm of a shorter duration would fill the table with its decimals
_OUTLIER: Final = 50.0  # times the median
_FEW_OUTLIERS: Final = 0.05  # part of the durations that may be outliers; more of them are a second kind of job
_LOWEST_PRICE: Final = 0.01  # seconds of delay that a poll has to save, although more polls would be allowed
_HALVINGS: Final = 12  # of the interval in which the price is searched


@attrs.frozen(eq=False)
class _Bins:
    """Durations as a histogram over the logarithm of the age, smoothed.

    Attributes:
        edges: Ages between the bins, in seconds.
        weights: Weight of the durations in each bin.
    """

    edges: array[float]
    weights: list[float]

    @property
    def surviving(self) -> list[float]:
        """Weight of the durations that are longer than the age at the middle of each bin."""
        longer = list(accumulate(reversed(self.weights)))[::-1]
        return [after - weight / 2 for after, weight in zip(longer, self.weights, strict=True)]


@attrs.frozen(eq=False)
class LearnedIntervals:
    """The polls of a job as a function of its age.

    Attributes:
        policy: The bounds, and the spacing by age to fall back to.
        samples: How many durations it was made from.
        edges: Ages in seconds, ascending.
        polls: The polls up to each of them.
        early: What part of the polls by age is made before the first of them.
    """

    policy: PollPolicy
    samples: int
    edges: array[float]
    polls: array[float]
    early: float

    def pause(self, age: float, price: float = 1.0) -> float:
        """Return the seconds until the next poll of a job that is ``age`` seconds old.

        Args:
            age: Seconds.
            price: What a poll costs, as a multiple of what it usually does.
        """
        policy = self.policy
        pause = self._age_at(self._polls_at(age) + math.sqrt(price)) - age
        longest = policy.max_interval * (_LONGEST if self.samples >= ENOUGH else 1.0)
        return min(max(pause, policy.min_interval), longest)

    def _polls_at(self, age: float) -> float:
        edges, polls = self.edges, self.polls
        if age <= edges[0]:
            return self.early * polls_by_age(age, self.policy)
        # Longer than all durations known: only the age is left to go by.
        if age >= edges[-1]:
            return polls[-1] + polls_by_age(age, self.policy) - polls_by_age(edges[-1], self.policy)
        place = bisect_right(edges, age) - 1
        part = (age - edges[place]) / (edges[place + 1] - edges[place])
        return polls[place] + part * (polls[place + 1] - polls[place])

    def _age_at(self, count: float) -> float:
        edges, polls = self.edges, self.polls
        # ``_DOUBT`` keeps ``early`` above 0.
        if count <= polls[0]:
            return age_by_polls(count / self.early, self.policy)
        if count >= polls[-1]:
            return age_by_polls(polls_by_age(edges[-1], self.policy) + count - polls[-1], self.policy)
        place = bisect_right(polls, count) - 1
        part = (count - polls[place]) / (polls[place + 1] - polls[place])
        return edges[place] + part * (edges[place + 1] - edges[place])


def learn_intervals(durations: Sequence[float], weights: Sequence[float], policy: PollPolicy) -> LearnedIntervals:
    """Return the intervals for jobs that take as long as others did.

    Args:
        durations: Seconds, at least one.
        weights: How much each counts; the newest 1.
        policy: The bounds, and the spacing by age to fall back to.
    """
    bins = _smoothed(_without_outliers(sorted(zip(durations, weights, strict=True))))
    edges, surviving, total = bins.edges, bins.surviving, sum(bins.weights)
    widths = [after - before for before, after in pairwise(edges)]
    by_age = [1 / max(interval_by_age(edge, policy), _SHORTEST) for edge in edges[:-1]]
    # As long as many of the durations known are longer than the age, they are trusted; after the last, the age is.
    trust = [running / (running + _DOUBT) for running in surviving]
    # The root of each bin's hazard rate: the part of the jobs still running that end in it, by second. The search for
    # the scale below finds the constant, 1 / sqrt(2 c).
    hazard = [
        math.sqrt(weight / width / running) if weight else 0.0
        for weight, width, running in zip(bins.weights, widths, surviving, strict=True)
    ]
    most = 1 / policy.min_interval if policy.min_interval else math.inf

    def rates(scale: float) -> list[float]:
        return [
            min(most, part * scale * root + (1 - part) * rate)
            for part, root, rate in zip(trust, hazard, by_age, strict=True)
        ]

    # All jobs still run before the first bin, so the trust there is that in their whole weight.
    early = _DOUBT / (total + _DOUBT)
    at_first = early * polls_by_age(edges[0], policy)
    # What spacing by age would cost these jobs is what the learned spacing may cost them.
    allowed = sum(
        weight * polls_by_age(math.sqrt(before * after), policy)
        for weight, (before, after) in zip(bins.weights, pairwise(edges), strict=True)
    )
    # A poll costs only the jobs that still run at its age, so each bin counts by the seconds that they spend in it.
    exposure = [running * width for running, width in zip(surviving, widths, strict=True)]

    def costs(scale: float) -> float:
        return total * at_first + sum(map(float.__mul__, exposure, rates(scale)))

    scale = _largest(lambda scale: costs(scale) <= allowed)
    polls = accumulate(map(float.__mul__, rates(scale), widths), initial=at_first)
    return LearnedIntervals(policy, len(durations), edges, array("d", polls), early)


def polls_by_age(age: float, policy: PollPolicy) -> float:
    """Return how many polls the spacing by age makes of a job up to an age, in seconds."""
    shortest, longest, grows_at, ends_at = _bounds(policy)
    polls = min(age, grows_at) / shortest
    if age > grows_at:
        polls += math.log(min(age, ends_at) / grows_at) / math.log1p(policy.age_factor)
    return polls + max(age - ends_at, 0.0) / longest


def age_by_polls(polls: float, policy: PollPolicy) -> float:
    """Return the age at which the spacing by age makes its poll of this number; the reverse of ``polls_by_age``."""
    shortest, longest, grows_at, ends_at = _bounds(policy)
    if polls * shortest <= grows_at:
        return polls * shortest
    polls_at_end = polls_by_age(ends_at, policy)
    if polls <= polls_at_end:
        return grows_at * math.exp((polls - grows_at / shortest) * math.log1p(policy.age_factor))
    return ends_at + (polls - polls_at_end) * longest


def _bounds(policy: PollPolicy) -> tuple[float, float, float, float]:
    """Return the shortest and the longest pause, and the ages at which the pause begins and ends to grow."""
    shortest, longest = max(policy.min_interval, _SHORTEST), max(policy.max_interval, _SHORTEST)
    # The pause never grows, and the logarithms of ``polls_by_age`` are not used.
    if not policy.age_factor:
        return shortest, longest, math.inf, math.inf
    return shortest, longest, shortest / policy.age_factor, longest / policy.age_factor


def _without_outliers(pairs: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Leave out the few durations that are far longer than all others: each would be paid for with polls."""
    bound = _OUTLIER * max(pairs[len(pairs) // 2][0], _SHORTEST)
    usual = [pair for pair in pairs if pair[0] <= bound]
    return usual if len(pairs) - len(usual) <= max(_FEW_OUTLIERS * len(pairs), 1) else pairs


def _smoothed(pairs: list[tuple[float, float]]) -> _Bins:
    """Spread each duration over its neighbourhood: as far as the nearest others, some more the fewer there are."""
    places = [math.log(max(duration, _SHORTEST)) for duration, _ in pairs]
    reaches = _reaches(places)
    first = min(place - reach for place, reach in zip(places, reaches, strict=True))
    last = max(place + reach for place, reach in zip(places, reaches, strict=True))
    size = math.ceil((last - first) / _BIN) or 1
    weights = [0.0] * size
    for place, reach, (_, weight) in zip(places, reaches, pairs, strict=True):
        begin = int((place - reach - first) / _BIN)
        before = 0.0
        for number in range(begin, size):
            below = _triangle((first + (number + 1) * _BIN - place) / reach)
            weights[number] += weight * (below - before)
            # The kernel ends here. Differences of its integral lose no weight, however coarse the bins are.
            if below == 1.0:
                break
            before = below
    return _Bins(array("d", (math.exp(first + number * _BIN) for number in range(size + 1))), weights)


def _reaches(places: list[float]) -> list[float]:
    """Return how far each is spread: to the k-th nearest other one, where k is the root of their number."""
    count = len(places)
    # The usual number of neighbours (Loftsgaarden and Quesenberry, "A Nonparametric Estimate of a Multivariate
    # Density Function", Annals of Mathematical Statistics 36, 1965).
    nearest = round(math.sqrt(count))
    # A single duration, which has no neighbour.
    if count <= nearest:
        return [_WIDEST / count] * count
    reaches, first = [], 0
    for place in places:
        # The window of the k + 1 nearest, itself included, only ever moves up.
        while first + nearest + 1 < count and places[first + nearest + 1] - place < place - places[first]:
            first += 1
        reaches.append(max(place - places[first], places[first + nearest] - place, _NARROWEST))
    return reaches


def _triangle(x: float) -> float:
    """Return the part of a triangle over -1 to 1 that lies below ``x``."""
    if x <= 0:
        return max(1 + x, 0.0) ** 2 / 2
    return 1 - max(1 - x, 0.0) ** 2 / 2


def _largest(is_allowed: Callable[[float], bool]) -> float:
    """Return about the largest number that is allowed, where smaller ones are as well, and the price not too low."""
    low, high = 0.0, 1 / math.sqrt(2 * _LOWEST_PRICE)
    if is_allowed(high):
        return high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_allowed(middle) else (low, middle)
    return low
