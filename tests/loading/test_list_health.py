"""When pages may be read, and how long one is waited for: time is an argument."""

from __future__ import annotations

import pytest

from chamelaion_async.loading.list_health import PATIENCE, ListHealth, doubled
from chamelaion_async.loading.times import ALWAYS


@pytest.fixture
def health() -> ListHealth:
    return ListHealth()


def trusted(page: float = 0.1) -> ListHealth:
    health = ListHealth()
    health.page_answered(0.0, page)
    return health


def pauses_of(health: ListHealth, now: float = 0.0) -> float:
    """Return for how long no page may be sent."""
    steps = 0
    while not health.allows_page(now + steps, 0):
        steps += 1
    return steps


class TestOtherClients:
    @pytest.mark.parametrize(("heard_at", "paused"), [(ALWAYS, 5), (6.0, 0), (4.0, 5)])
    def test_a_refused_page_says_nothing_of_a_list_that_answers_others(self, heard_at: float, paused: int) -> None:
        health = trusted()
        health.page_was_heard(heard_at)
        health.page_refused(0.0)
        health.get_was_admitted(10.0)
        assert pauses_of(health, 10.0) == paused

    def test_a_page_of_another_is_waited_for_as_long_as_pages_take(self, health: ListHealth) -> None:
        assert health.late_after == PATIENCE
        health.page_answered(0.0, 0.1)
        assert health.late_after == health.overdue_after < PATIENCE


class TestTrust:
    def test_one_page_at_a_time_is_read_until_one_was_answered(self, health: ListHealth) -> None:
        assert [health.allows_page(0.0, under_way) for under_way in (0, 1)] == [True, False]
        health.page_answered(0.0, 0.1)
        assert [health.allows_page(0.0, under_way) for under_way in (0, 1, 50)] == [True, True, True]

    def test_after_an_overdue_page_one_page_at_a_time_is_read(self) -> None:
        health = trusted()
        health.page_is_overdue()
        assert [health.allows_page(0.0, under_way) for under_way in (0, 1)] == [True, False]

    @pytest.mark.parametrize(
        ("get", "page", "is_trusted"),
        [
            (None, 2.0, True),
            (None, 2.1, False),
            (0.1, 2.0, True),
            (0.1, 2.1, False),
            (3.0, 3.0, True),  # GETs are as slow
            (3.0, 3.1, False),
        ],
    )
    def test_a_page_slower_than_two_seconds_and_than_a_get_is_a_failure(
        self, get: float | None, page: float, is_trusted: bool
    ) -> None:
        health = trusted()
        if get is not None:
            health.get_answered(get)
        health.page_answered(0.0, page)
        assert (health.is_trusted, pauses_of(health)) == (is_trusted, 0.0 if is_trusted else 5.0)

    def test_it_keeps_when_the_last_page_came(self, health: ListHealth) -> None:
        assert health.page_came_at == ALWAYS
        for now, seconds in ((3.0, 0.1), (7.0, 5.0)):
            health.page_answered(now, seconds)
            assert health.page_came_at == now
        health.page_failed(9.0)
        assert health.page_came_at == 7.0


class TestFailures:
    def test_the_pauses_double_up_to_five_minutes(self, health: ListHealth) -> None:
        pauses, now = [], 0.0
        for _ in range(9):
            health.page_failed(now)
            pauses.append(pauses_of(health, now))
            now += pauses[-1]
        assert pauses == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0]

    def test_pages_that_fail_together_are_one_failure(self, health: ListHealth) -> None:
        for _ in range(5):
            health.page_failed(0.0)
        assert pauses_of(health) == 5.0

    def test_a_good_page_resets_the_pauses(self, health: ListHealth) -> None:
        health.page_failed(0.0)
        health.page_failed(5.0)
        health.page_answered(20.0, 0.1)
        health.page_failed(20.0)
        assert pauses_of(health, 20.0) == 5.0

    @pytest.mark.parametrize(("retry_after", "pause"), [(0.0, 5.0), (3.0, 5.0), (60.0, 60.0)])
    def test_a_retry_after_makes_the_pause_longer_and_never_shorter(
        self, health: ListHealth, retry_after: float, pause: float
    ) -> None:
        health.page_failed(0.0, retry_after)
        assert pauses_of(health) == pause

    def test_a_list_that_lags_is_not_read_for_a_minute_and_longer_each_time(self, health: ListHealth) -> None:
        pauses, now = [], 0.0
        for _ in range(5):
            health.list_lags(now)
            pauses.append(pauses_of(health, now))
            now += pauses[-1]
        assert pauses == [60.0, 120.0, 240.0, 480.0, 480.0]


class TestRefusals:
    def test_after_a_429_no_page_is_read_until_a_get_is_answered(self) -> None:
        health = trusted()
        health.page_refused(0.0)
        assert health.awaits_get
        assert not health.allows_page(1000.0, 0)

    @pytest.mark.parametrize(("retry_after", "pause"), [(0.0, 5.0), (60.0, 60.0)])
    def test_a_get_that_is_admitted_shows_that_the_limit_covers_the_list_alone(
        self, health: ListHealth, retry_after: float, pause: float
    ) -> None:
        health.get_was_admitted(0.0)
        assert pauses_of(health) == 0.0  # no page was refused
        health.page_refused(retry_after)
        health.get_was_admitted(0.0)
        assert (health.awaits_get, pauses_of(health)) == (False, pause)

    def test_a_get_that_is_refused_allows_pages_again(self, health: ListHealth) -> None:
        health.page_refused(60.0)
        health.get_refused()
        assert (health.awaits_get, pauses_of(health)) == (False, 0.0)

    def test_a_get_that_is_refused_later_ends_the_pause_that_was_for_the_list_alone(self, health: ListHealth) -> None:
        health.page_refused(60.0)
        health.get_was_admitted(0.0)
        health.get_refused()
        assert pauses_of(health) == 0.0

    def test_a_get_that_is_refused_does_not_end_the_pause_after_a_failure(self, health: ListHealth) -> None:
        health.page_failed(0.0)
        health.get_refused()
        assert pauses_of(health) == 5.0

    def test_the_longest_of_several_retry_afters_counts(self, health: ListHealth) -> None:
        for retry_after in (10.0, 90.0, 0.0):
            health.page_refused(retry_after)
        health.get_was_admitted(0.0)
        assert pauses_of(health) == 90.0


class TestOverdue:
    def test_the_first_page_is_overdue_almost_at_once(self, health: ListHealth) -> None:
        assert (health.knows_nothing, health.overdue_after, health.get_overdue_after) == (True, 0.05, 0.25)

    @pytest.mark.parametrize(
        ("page", "get", "after"),
        [
            (0.1, None, 0.17),  # half longer than pages take
            (0.1, 0.2, 0.22),  # as long as a GET
            (None, 0.2, 0.22),  # no page has come yet: as long as a GET
            (1.9, 0.1, PATIENCE),  # a list that is slow is not waited for
            (2.5, 3.0, 3.0),  # unless GETs are slow as well
        ],
    )
    def test_a_page_is_late_by_what_pages_and_gets_have_taken(
        self, health: ListHealth, page: float | None, get: float | None, after: float
    ) -> None:
        if get is not None:
            health.get_answered(get)
        if page is not None:
            health.page_answered(0.0, page)
        assert health.overdue_after == pytest.approx(after)
        assert not health.knows_nothing

    @pytest.mark.parametrize("came_before", [True, False])
    def test_while_the_list_is_not_trusted_a_page_is_read_beside_gets(self, came_before: bool) -> None:
        health = trusted(1.0) if came_before else ListHealth()
        health.get_answered(0.2)
        health.page_failed(0.0)
        assert health.overdue_after == 0.0

    def test_while_the_list_is_not_trusted_and_no_get_was_answered_pages_set_the_time(self) -> None:
        health = trusted(1.0)
        health.page_is_overdue()
        assert health.overdue_after == pytest.approx(1.52)

    def test_a_get_of_an_earlier_poll_is_waited_for_twice_its_time(self, health: ListHealth) -> None:
        health.get_answered(0.3)
        assert health.get_overdue_after == pytest.approx(0.62)

    def test_a_slow_answer_counts_at_once_and_less_with_each_answer(self, health: ListHealth) -> None:
        for seconds in (0.1, 0.9, 0.1, 0.1):
            health.get_answered(seconds)
        assert health.get_overdue_after == pytest.approx(2 * (0.1 + 0.8 * (7 / 8) ** 2) + 0.02)


@pytest.mark.parametrize(("times", "seconds"), [(0, 5.0), (1, 10.0), (6, 300.0), (5000, 300.0)])
def test_what_is_doubled_stays_within_its_bounds(times: int, seconds: float) -> None:
    assert doubled((5.0, 300.0), times) == seconds
