"""When a job is polled, given how long others took."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chamelaion_async import PollPolicy
from chamelaion_async.polling.intervals import spacing
from chamelaion_async.polling.learned_intervals import (
    ENOUGH,
    LearnedIntervals,
    age_by_polls,
    learn_intervals,
    polls_by_age,
)

POLICY = PollPolicy()
CONSTANT = [85.0 + step / 10 for step in range(-50, 50)]


def learned(durations: list[float], policy: PollPolicy = POLICY) -> LearnedIntervals:
    return learn_intervals(durations, [1.0] * len(durations), policy)


def polls_of(made: LearnedIntervals, duration: float, price: float = 1.0) -> list[float]:
    """Return the ages at which a job is polled, the last one after its end."""
    ages = [0.0]
    while ages[-1] < duration:
        ages.append(ages[-1] + made.pause(ages[-1], price))
    return ages


def test_polls_are_dense_where_jobs_end_and_sparse_where_none_did() -> None:
    ages = polls_of(learned(CONSTANT), 95)
    before, around = [age for age in ages if age < 75], [age for age in ages if 79 < age < 91]
    assert len(before) < 8
    assert max(later - sooner for sooner, later in pairwise(around)) < 1.5


def test_between_two_kinds_of_job_hardly_any_poll_is_made() -> None:
    durations = [20 + step / 10 for step in range(-30, 30)] + [300.0 + step for step in range(-30, 30)]
    ages = polls_of(learned(durations), 330)
    assert len([age for age in ages if 40 < age < 200]) < 10
    assert len([age for age in ages if 15 < age < 25]) >= 7


def test_a_job_that_outlasts_all_others_is_polled_by_its_age() -> None:
    made = learned(CONSTANT)
    for age in (120.0, 500.0, 90_000.0):
        assert made.pause(age) == pytest.approx(spacing(age, POLICY, 0.5), rel=0.1)


@pytest.mark.parametrize(("count", "longest"), [(ENOUGH - 1, 12.0), (ENOUGH, 60.0)])
def test_pauses_grow_beyond_the_longest_after_enough_durations_only(count: int, longest: float) -> None:
    made = learned([3600.0] * count)
    assert max(made.pause(age) for age in range(0, 3000, 100)) == longest


def test_no_pause_is_shorter_than_the_shortest() -> None:
    made = learned([0.2, 0.3, 0.25])
    assert min(made.pause(age / 100) for age in range(100)) == POLICY.min_interval


def test_a_job_costs_no_more_polls_than_by_age() -> None:
    draw = random.Random(3)
    durations = [90 * math.exp(draw.gauss(0, 0.4)) for _ in range(100)]
    made = learned(durations)
    polled = mean(len(polls_of(made, duration)) for duration in durations)
    by_age = mean(polls_by_age(duration, POLICY) for duration in durations)
    assert polled == pytest.approx(by_age, rel=0.1)


def test_a_higher_price_makes_fewer_polls_and_a_lower_one_more() -> None:
    draw = random.Random(4)
    durations = [60 * draw.expovariate(1) for _ in range(100)]
    made = learned(durations)
    counts = [mean(len(polls_of(made, duration, price)) for duration in durations) for price in (0.25, 1.0, 4.0)]
    assert counts[0] > 1.3 * counts[1] > 1.3 * 1.5 * counts[2]


def test_newer_durations_count_more() -> None:
    old, new = [30.0] * 50, [90.0] * 50
    made = learn_intervals([*old, *new], [0.001] * 50 + [1.0] * 50, POLICY)
    assert made.pause(27) > 3 * learned([*old, *new]).pause(27)
    assert made.pause(88) < 1.5


def test_a_duration_that_is_far_longer_than_all_others_costs_no_polls() -> None:
    without, with_one = learned(CONSTANT), learned([*CONSTANT, 85_000.0])
    assert len(polls_of(with_one, 85)) <= len(polls_of(without, 85)) + 1


def test_durations_that_are_often_far_longer_count() -> None:
    made = learned([1.0] * 60 + [1000.0] * 40)
    assert made.pause(995) < 1.5


policies = st.builds(
    lambda low, more, factor: PollPolicy(min_interval=low, max_interval=low + more, age_factor=factor),
    st.sampled_from([0.0, 0.01, 1.0, 5.0]),
    st.sampled_from([0.0, 1.0, 100.0]),
    st.sampled_from([0.0, 0.1, 1.0, 3.0]),
)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), policies, st.floats(0, 1e7), st.floats(0.01, 100))
def test_every_pause_is_finite_and_within_its_bounds(
    durations: list[float], policy: PollPolicy, age: float, price: float
) -> None:
    pause = learned(durations, policy).pause(age, price)
    assert policy.min_interval <= pause <= policy.max_interval * (5 if len(durations) >= ENOUGH else 1)


@given(policies, st.floats(0, 1e5))
def test_the_number_of_polls_by_age_gives_the_age_back(policy: PollPolicy, age: float) -> None:
    assert age_by_polls(polls_by_age(age, policy), policy) == pytest.approx(age, rel=1e-6, abs=1e-6)
