"""How long a job will still take, given how long others took."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from statistics import median

import pytest

from chamelaion_async.polling.forecast import NO_FORECAST, Forecast, make_forecast

KINDS: dict[str, Callable[[random.Random], float]] = {
    "constant": lambda draw: 85 + draw.uniform(-5, 5),
    "log-normal 90": lambda draw: 90 * math.exp(draw.gauss(0, 0.4)),
    "two kinds": lambda draw: draw.gauss(20, 3) if draw.random() < 0.5 else draw.gauss(300, 30),
    "exponential": lambda draw: draw.expovariate(1 / 60),
    "uniform": lambda draw: draw.uniform(5, 30),
    "log-normal 600": lambda draw: 600 * math.exp(draw.gauss(0, 0.8)),
}


def forecast(durations: list[float], waited: float) -> Forecast:
    remaining = [(duration - waited, 1.0) for duration in durations if duration > waited]
    return make_forecast(remaining, waited, median(durations), len(durations))


def times(made: Forecast) -> tuple[float, float, float]:
    assert made.low is not None
    assert made.remaining is not None
    assert made.high is not None
    return made.low, made.remaining, made.high


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [30, 100])
def test_about_eighty_percent_of_jobs_end_inside_the_band(kind: str, count: int) -> None:
    draw, inside, jobs = random.Random(count), 0, 1500
    for number in range(jobs):
        durations = [KINDS[kind](draw) for _ in range(count)]
        duration, waited = KINDS[kind](draw), KINDS[kind](draw) * (number % 5) / 4
        while duration <= waited:
            duration, waited = KINDS[kind](draw), KINDS[kind](draw) * (number % 5) / 4
        low, _, high = times(forecast(durations, waited))
        inside += low <= duration - waited <= high
    assert 0.75 <= inside / jobs <= 0.85


def test_a_job_that_takes_longer_than_any_before_is_forecast_to_take_longer_the_longer_it_takes() -> None:
    made = [times(forecast([20.0, 22.0, 25.0], waited)) for waited in (30.0, 60.0, 600.0)]
    assert made == sorted(made)
    assert made[0][1] == pytest.approx(30, abs=1)


@pytest.mark.parametrize("waited", [0.0, 19.0, 85.0, 1e6])
def test_no_time_is_negative_and_they_are_in_order(waited: float) -> None:
    low, middle, high = times(forecast([20.0, 80.0, 90.0], waited))
    assert 0 <= low <= middle <= high


def test_a_single_job_gives_a_wide_band_around_its_duration() -> None:
    low, middle, high = times(forecast([60.0], 0))
    assert low < middle < high
    assert 30 < middle < 120


def test_the_band_ends_at_the_longest_job_where_that_weighs_more_than_what_lies_beyond_the_band() -> None:
    assert times(forecast([1.0, 1.0, 1e6], 0.0))[2] == 1e6


def test_without_samples_a_forecast_is_false_and_knows_no_time() -> None:
    assert not NO_FORECAST
    assert (NO_FORECAST.remaining, NO_FORECAST.low, NO_FORECAST.high, NO_FORECAST.samples) == (None, None, None, 0)
