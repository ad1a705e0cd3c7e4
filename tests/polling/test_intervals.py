"""When to poll again: spacing by the age of a job, and how old a job is by the service's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chamelaion_async.config import PollPolicy
from chamelaion_async.polling.intervals import age_of, spacing

CREATED = datetime(2026, 4, 7, 10, tzinfo=UTC)
STEADY = PollPolicy(jitter=0)
A_HAIR = 1 + 1e-12  # a sum of floats may end one bit beyond its exact value

seconds = st.floats(0, 1e6)
draws = st.floats(0, 1, exclude_max=True)


@st.composite
def policies(draw: st.DrawFn) -> PollPolicy:
    shortest = draw(seconds)
    return PollPolicy(
        min_interval=shortest,
        max_interval=shortest + draw(seconds),
        age_factor=draw(st.floats(0, 1e3)),
        jitter=draw(st.floats(0, 1)),
    )


@pytest.mark.parametrize(
    ("age", "pause"),
    [(0, 1.0), (5, 1.0), (10, 1.0), (20, 2.0), (60, 6.0), (119, 11.9), (120, 12.0), (86400, 12.0), (-5, 1.0)],
)
def test_a_pause_is_a_tenth_of_the_age_between_one_and_twelve_seconds(age: float, pause: float) -> None:
    assert spacing(age, STEADY, 0.5) == pytest.approx(pause)


@pytest.mark.parametrize(
    ("age", "jitter_draw", "pause"),
    [
        (60, 0.0, 5.4),
        (60, 0.5, 6.0),
        (60, 1.0, 6.6),
        (0, 0.0, 1.0),
        (0, 1.0, 1.1),
        (600, 0.0, 10.8),
        (600, 1.0, 12.0),
    ],
)
def test_jitter_varies_a_pause_by_its_part_within_the_bounds(age: float, jitter_draw: float, pause: float) -> None:
    assert spacing(age, PollPolicy(), jitter_draw) == pytest.approx(pause)


@given(age=st.floats(-1e9, 1e9), policy=policies(), jitter_draw=draws)
def test_a_pause_stays_within_the_bounds_of_its_policy(age: float, policy: PollPolicy, jitter_draw: float) -> None:
    assert policy.min_interval <= spacing(age, policy, jitter_draw) <= policy.max_interval * A_HAIR


@given(age=seconds, policy=policies(), jitter_draw=draws)
def test_a_pause_stays_within_the_window_of_its_jitter(age: float, policy: PollPolicy, jitter_draw: float) -> None:
    middle = min(max(age * policy.age_factor, policy.min_interval), policy.max_interval)
    pause = spacing(age, policy, jitter_draw)
    assert middle * (1 - policy.jitter) <= pause * A_HAIR
    assert pause <= middle * (1 + policy.jitter) * A_HAIR


@given(ages=st.tuples(seconds, seconds), policy=policies(), jitter_draw=draws)
def test_an_older_job_is_never_polled_sooner(
    ages: tuple[float, float], policy: PollPolicy, jitter_draw: float
) -> None:
    younger, older = sorted(ages)
    assert spacing(younger, policy, jitter_draw) <= spacing(older, policy, jitter_draw) * A_HAIR


@given(age=seconds, policy=policies())
def test_many_waits_are_spread_wherever_the_bounds_leave_room(age: float, policy: PollPolicy) -> None:
    assume(policy.jitter > 0.01 and policy.min_interval > 0.01)
    assume(policy.max_interval > policy.min_interval * 1.01)
    assert spacing(age, policy, 0.0) < spacing(age, policy, 0.999)


@pytest.mark.parametrize("age", [0, 30, 900])
@pytest.mark.parametrize("jitter_draw", [0.0, 0.9])
def test_equal_bounds_leave_no_room_for_jitter_draw(age: float, jitter_draw: float) -> None:
    assert spacing(age, PollPolicy(min_interval=3, max_interval=3, jitter=1), jitter_draw) == 3.0


@pytest.mark.parametrize(
    ("server_time", "watched", "age"),
    [
        (CREATED, 0.0, 0.0),
        (CREATED + timedelta(seconds=90), 0.0, 90.0),
        (CREATED + timedelta(seconds=90), 30.0, 90.0),
        (CREATED + timedelta(days=3), 30.0, 259200.0),
        # A service whose clocks disagree: the job is at least as old as it was watched.
        (CREATED - timedelta(hours=1), 30.0, 30.0),
        (CREATED + timedelta(seconds=10), 30.0, 30.0),
        (None, 30.0, 30.0),
        (None, 0.0, 0.0),
    ],
)
def test_age_is_by_the_services_clock_and_at_least_the_time_since_the_first_read(
    server_time: datetime | None, watched: float, age: float
) -> None:
    assert age_of(CREATED, server_time, watched) == age


@given(
    created=st.datetimes(timezones=st.just(UTC)),
    server_time=st.none() | st.datetimes(timezones=st.just(UTC)),
    watched=seconds,
)
def test_no_pair_of_clocks_makes_an_age_less_than_the_watched_time(
    created: datetime, server_time: datetime | None, watched: float
) -> None:
    assert age_of(created, server_time, watched) >= watched
