"""The rate of a lane, as pure arithmetic over times."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chamelaion_async._rate import AdaptiveRate


def throttled(*times: float, limit: float = math.inf, answered: float = 0) -> AdaptiveRate:
    """Return a rate that was told of a 429 at each time, each closing the lane for a second."""
    rate = AdaptiveRate(limit)
    for time in times:
        rate.throttled(time, time + 1.0, answered)
    return rate


def test_before_the_first_429_only_the_users_bound_holds() -> None:
    assert (AdaptiveRate().at(0.0), AdaptiveRate(7.0).at(0.0)) == (math.inf, 7.0)


def test_a_rate_without_any_bound_is_free() -> None:
    assert (AdaptiveRate().is_free, AdaptiveRate(7.0).is_free, throttled(0.0).is_free) == (True, False, False)


def test_what_was_answered_before_the_first_429_tells_the_rate_at_once() -> None:
    rate = throttled(0.0, answered=20)
    assert rate.at(1.0) == pytest.approx(19.0)
    assert rate.at(3.0) < 20.0


def test_the_search_begins_low_and_doubles_every_two_seconds() -> None:
    rate = throttled(0.0)
    assert [rate.at(1.0 + seconds) for seconds in (0.0, 2.0, 4.0, 6.0)] == pytest.approx([4.0, 8.0, 16.0, 32.0])


def test_the_second_429_cuts_the_rate_that_was_reached() -> None:
    rate = throttled(0.0, 5.0)
    assert rate.at(6.0) == pytest.approx(16.0 * 0.5)


@pytest.mark.parametrize(("answered", "kept"), [(0, 8.0), (12, 11.4), (15, 14.25), (16, 14.4), (99, 14.4)])
def test_a_later_429_cuts_to_what_was_answered_within_bounds(answered: int, kept: float) -> None:
    rate = throttled(0.0)
    rate.throttled(5.0, 6.0, answered)
    assert rate.at(6.0) == pytest.approx(kept)


def test_after_the_search_the_rate_grows_by_as_much_each_second() -> None:
    rate = throttled(0.0, 5.0)
    steps = [rate.at(6.0 + n + 1) - rate.at(6.0 + n) for n in range(5)]
    assert steps == pytest.approx([steps[0]] * 5)
    assert steps[0] > 0


def test_many_429s_never_bring_a_lane_to_a_standstill() -> None:
    assert throttled(*range(100)).at(100.0) >= 0.2


def test_a_service_that_stays_content_makes_the_bound_forgotten() -> None:
    rate = throttled(0.0)
    assert rate.at(60.0) == math.inf
    assert rate.is_free


@given(st.lists(st.floats(0, 1000)).map(sorted), st.floats(0, 2000), st.floats(0.5, 100))
def test_the_users_bound_is_never_exceeded(times: list[float], now: float, limit: float) -> None:
    rate = throttled(*times, limit=limit)
    assert 0 < rate.at(now) <= limit


@given(st.lists(st.floats(0, 1000), min_size=1).map(sorted))
def test_a_429_never_makes_a_lane_faster(times: list[float]) -> None:
    rate = throttled(*times)
    before = rate.at(2000.0)
    rate.throttled(2000.0, 2001.0, 10_000)
    assert rate.at(2001.0) <= before
