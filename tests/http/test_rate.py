"""The rate of a lane, as pure arithmetic over times."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chamelaion_async._http.rate import AdaptiveRate, AnswerLog
from tests.support.limiters import Changing, FixedWindow, Limiter, SlidingWindow, TokenBucket, simulate

# Without demand, ten seconds count as one of growth.
IDLE = 10.0


def rate_after(*, answered: int = 20, seconds: float | None = None, limit: float = math.inf) -> AdaptiveRate:
    """Return a rate that was told of its first 429 at time 0."""
    rate = AdaptiveRate(limit)
    rate.throttled(0.0, seconds, answered)
    return rate


def refuse_again(rate: AdaptiveRate, times: int, seconds: float | None = None) -> list[float]:
    """Tell of a 429 at each opening, and return for how long each closed the lane."""
    closures = []
    for _ in range(times):
        now = rate.opens_at
        rate.throttled(now, seconds, 0)
        closures.append(rate.opens_at - now)
    return closures


def use(rate: AdaptiveRate, until: float) -> list[float]:
    """Take every permit before a time, and return when each was due."""
    times = []
    while rate.opens_at < until:
        times.append(rate.opens_at)
        assert rate.take(rate.opens_at)
    return times


def proven_rate(answered: int, seconds: float | None = None) -> AdaptiveRate:
    """Return a rate that came back to its level after its first 429, and was refused there again."""
    rate = rate_after(answered=answered, seconds=seconds)
    opened_at = rate.opens_at
    use(rate, until=opened_at + 14.0)
    rate.throttled(rate.opens_at, None, math.ceil(20 * level(rate)))
    return rate


def level(rate: AdaptiveRate) -> float:
    """Return the level, at nine tenths of which a rate starts."""
    return rate.at(rate.opens_at) / 0.9


class TestBeforeThe429:
    def test_only_the_users_bound_holds(self) -> None:
        assert (AdaptiveRate().at(0.0), AdaptiveRate(7.0).at(0.0)) == (math.inf, 7.0)

    def test_a_rate_without_any_bound_is_free(self) -> None:
        assert (AdaptiveRate().is_free, AdaptiveRate(7.0).is_free, rate_after().is_free) == (True, False, False)

    def test_a_free_rate_gives_permits_at_once(self) -> None:
        rate = AdaptiveRate()
        assert [rate.take(0.0) for _ in range(100)] == [True] * 100

    def test_permits_under_the_users_bound_are_evenly_spaced(self) -> None:
        rate = AdaptiveRate(4.0)
        assert [rate.take(time) for time in (0.0, 0.24, 0.25, 0.25, 0.5)] == [True, False, True, False, True]

    def test_several_permits_at_once_are_paid_for_one_by_one(self) -> None:
        rate = AdaptiveRate(4.0)
        rate.take(0.0, 3)
        assert rate.opens_at == pytest.approx(0.75)


class TestTheFirst429:
    def test_closes_for_a_second_where_it_names_no_time(self) -> None:
        rate = rate_after()
        assert (rate.take(0.999), rate.take(1.0)) == (False, True)

    def test_closes_for_as_long_as_it_says(self) -> None:
        assert rate_after(seconds=0.25).opens_at == pytest.approx(0.25)

    def test_what_was_answered_in_the_second_before_tells_the_level(self) -> None:
        assert level(rate_after(answered=20)) == pytest.approx(20.0)

    def test_a_short_closure_makes_nothing_faster_than_what_was_answered(self) -> None:
        assert level(rate_after(answered=20, seconds=0.1)) == pytest.approx(20.0)

    def test_a_long_closure_tells_of_a_long_window(self) -> None:
        assert level(rate_after(answered=30, seconds=10.0)) == pytest.approx(math.sqrt(30 * 3))

    @pytest.mark.parametrize(("answered", "starts_at"), [(0, 4.0), (3, 4.0), (4, 3.6), (5, 4.5)])
    def test_a_search_begins_only_where_too_little_was_answered_to_tell(
        self, answered: int, starts_at: float
    ) -> None:
        assert rate_after(answered=answered).at(1.0) == pytest.approx(starts_at)

    def test_the_search_doubles_every_two_seconds(self) -> None:
        rate = rate_after(answered=0)
        found = [rate.at(1.0 + IDLE * seconds) for seconds in (0.0, 2.0, 4.0)]
        assert found == pytest.approx([4.0, 8.0, 16.0])

    def test_the_users_bound_is_not_what_the_service_allows(self) -> None:
        assert level(rate_after(answered=20, limit=50.0)) == pytest.approx(20.0)


class TestGrowth:
    def test_the_rate_is_back_at_the_level_after_twelve_seconds_and_then_grows_ever_faster(self) -> None:
        rate = proven_rate(answered=20)
        found = [rate.at(rate.opens_at + IDLE * seconds) / level(rate) for seconds in (0, 6, 12, 18, 24, 36)]
        assert found == pytest.approx([0.9, 0.9875, 1.0, 1.0125, 1.1, 1.8])

    @pytest.mark.parametrize(("answered", "seconds"), [(20, None), (4, 10.0), (4, 400.0)])
    def test_a_level_that_was_not_found_again_is_left_by_doubling_after_twice_that_time(
        self, answered: int, seconds: float | None
    ) -> None:
        rate = rate_after(answered=answered, seconds=seconds)
        found = [rate.at(rate.opens_at + IDLE * time) / level(rate) for time in (0, 6, 12, 18, 24, 27, 30)]
        assert found == pytest.approx([0.9, 0.9875, 1.0, 1.0125, 1.1, 2.2, 4.4])

    def test_a_level_that_fell_far_has_to_be_found_again(self) -> None:
        rate = proven_rate(answered=20)
        use(rate, until=rate.opens_at + 2.0)
        rate.throttled(rate.opens_at, None, 2)
        refuse_again(rate, 2)
        assert rate.at(rate.opens_at + IDLE * 27) == pytest.approx(2.2 * level(rate))

    def test_a_level_that_fell_little_need_not(self) -> None:
        rate = proven_rate(answered=20)
        began = rate.opens_at
        answered = len(use(rate, until=began + 5.0))
        rate.throttled(rate.opens_at, None, answered)
        assert rate.at(rate.opens_at + IDLE * 36) == pytest.approx(1.8 * level(rate))

    def test_a_429_before_the_rate_is_back_says_nothing_of_the_level(self) -> None:
        rate = rate_after(answered=20)
        answered = len(use(rate, until=6.0))
        rate.throttled(rate.opens_at, None, answered)
        assert rate.at(rate.opens_at + IDLE * 27) == pytest.approx(2.2 * level(rate))

    def test_with_demand_all_time_counts(self) -> None:
        rate = rate_after(answered=20)
        use(rate, until=25.0)
        assert rate.at(rate.opens_at) == pytest.approx(22.0, rel=0.01)

    def test_time_without_demand_counts_a_tenth_after_the_next_permit_too(self) -> None:
        rate = rate_after(answered=20)
        rate.take(1.0 + IDLE * 12)
        assert rate.at(rate.opens_at) == pytest.approx(20.0)

    @pytest.mark.parametrize(("answered", "seconds", "found"), [(10, 25.0, 2.0), (4, 10.0, 4 / math.sqrt(10.0))])
    def test_a_slow_rate_takes_eighty_requests_to_be_back(self, answered: int, seconds: float, found: float) -> None:
        rate = proven_rate(answered=answered, seconds=seconds)
        assert level(rate) == pytest.approx(found, rel=0.05)
        assert rate.at(rate.opens_at + IDLE * 80 / level(rate)) == pytest.approx(level(rate))

    def test_the_slowest_takes_a_hundred_seconds(self) -> None:
        rate = proven_rate(answered=4, seconds=400.0)
        assert rate.at(rate.opens_at + IDLE * 200.0) == pytest.approx(1.1 * level(rate))

    def test_repeated_refusals_make_the_climb_take_four_closures(self) -> None:
        rate = proven_rate(answered=100)
        refused_at = rate.opens_at - 1.0
        refuse_again(rate, 2)
        closed = rate.opens_at - refused_at
        assert rate.at(rate.opens_at + IDLE * 4 * closed) == pytest.approx(level(rate))

    def test_a_single_refusal_does_not_make_the_climb_longer(self) -> None:
        rate = rate_after(answered=100, seconds=20.0)
        assert rate.at(20.0 + IDLE * 12) == pytest.approx(level(rate))

    def test_a_service_that_stays_content_makes_the_bound_forgotten(self) -> None:
        rate = rate_after(answered=0)
        assert rate.at(1.0 + IDLE * 15.9) < 1000
        assert rate.at(1.0 + IDLE * 16.0) == math.inf
        rate.take(1.0 + IDLE * 16.0)
        assert rate.is_free

    def test_a_429_after_that_is_a_first_one_again(self) -> None:
        rate = rate_after(answered=0)
        rate.throttled(1000.0, None, 30)
        assert level(rate) == pytest.approx(30.0)


class TestALater429:
    def test_the_level_is_the_mean_of_what_was_answered_and_what_was_refused(self) -> None:
        rate = rate_after(answered=20)
        use(rate, until=11.0)
        refused_at = rate.at(11.0)
        rate.throttled(11.0, None, 150)
        assert level(rate) == pytest.approx(math.sqrt(refused_at * 150 / 11), rel=1e-3)

    def test_the_closed_time_is_a_part_of_the_cycle(self) -> None:
        rate = rate_after(answered=20)
        use(rate, until=11.0)
        refused_at = rate.at(11.0)
        rate.throttled(11.0, 30.0, 150)
        assert level(rate) == pytest.approx(math.sqrt(refused_at * 150 / 40), rel=1e-3)

    def test_time_without_demand_is_no_part_of_the_cycle(self) -> None:
        rate = rate_after(answered=20)
        use(rate, until=6.0)
        rate.take(rate.opens_at + 60.0)
        use(rate, until=71.0)
        refused_at = rate.at(71.0)
        rate.throttled(71.0, None, 150)
        assert level(rate) == pytest.approx(math.sqrt(refused_at * 150 / 11), rel=0.01)

    def test_it_never_raises_the_level_beyond_the_refused_rate(self) -> None:
        rate = rate_after(answered=20)
        use(rate, until=5.0)
        refused_at = rate.at(5.0)
        rate.throttled(5.0, None, 10_000)
        assert level(rate) == pytest.approx(refused_at)

    def test_it_ends_the_search(self) -> None:
        rate = rate_after(answered=0)
        use(rate, until=5.0)
        rate.throttled(5.0, None, 30)
        assert rate.at(rate.opens_at + IDLE * 12) == pytest.approx(level(rate))

    @pytest.mark.parametrize(("refused_at", "is_searching"), [(0.8, True), (1.1, False)])
    def test_a_cycle_of_less_than_a_second_does_not_end_the_search(
        self, refused_at: float, is_searching: bool
    ) -> None:
        rate = rate_after(answered=0, seconds=0.1)
        use(rate, until=refused_at)
        rate.throttled(refused_at, 0.01, 3)
        now = rate.opens_at
        assert (rate.at(now + IDLE * 2) == pytest.approx(2 * rate.at(now))) == is_searching


class TestRefusalsInARow:
    def test_each_closes_for_twice_as_long_up_to_eight_seconds(self) -> None:
        assert refuse_again(rate_after(), 5) == [2.0, 4.0, 8.0, 8.0, 8.0]

    def test_very_many_are_no_overflow(self) -> None:
        rate = rate_after(answered=0)
        assert refuse_again(rate, 3000)[-1] == 8.0
        assert rate.at(rate.opens_at) == pytest.approx(1.0)

    def test_a_time_that_is_named_is_the_least(self) -> None:
        assert refuse_again(rate_after(seconds=3.0), 3, 3.0) == [3.0, 4.0, 8.0]
        assert refuse_again(rate_after(seconds=30.0), 2, 30.0) == [30.0, 30.0]

    def test_a_good_answer_ends_the_row(self) -> None:
        rate = rate_after()
        refuse_again(rate, 3)
        use(rate, until=rate.opens_at + 1.0)
        now = rate.opens_at
        rate.throttled(now, None, 1)
        assert rate.opens_at == now + 1.0

    def test_the_level_falls_by_what_the_closure_says_and_not_by_a_factor_for_each(self) -> None:
        rate = rate_after(answered=30)
        refuse_again(rate, 3)  # at 1, 3 and 7, closed until 15
        assert level(rate) == pytest.approx(math.sqrt(30 / 7 * 30 / 15))

    def test_a_single_one_in_a_later_cycle_does_not_show_that_its_window_is_long(self) -> None:
        rate = rate_after(answered=20)
        use(rate, until=11.0)
        refused_at = rate.at(11.0)
        rate.throttled(11.0, 1.0, 100)
        now = rate.opens_at
        rate.throttled(now, None, 0)
        assert level(rate) == pytest.approx(math.sqrt(refused_at * 100 / (now + 2 - 1)), rel=1e-3)

    def test_two_in_a_later_cycle_show_that_its_window_is_long(self) -> None:
        rate = rate_after(answered=20)
        use(rate, until=11.0)
        rate.throttled(11.0, 1.0, 100)
        refuse_again(rate, 1)
        now = rate.opens_at
        rate.throttled(now, None, 0)
        assert level(rate) == pytest.approx(math.sqrt(100 / (now - 1) * 100 / (now + 4 - 1)), rel=1e-3)

    def test_where_nothing_was_answered_each_makes_the_search_begin_at_half(self) -> None:
        rate = rate_after(answered=0)
        refuse_again(rate, 2)
        assert rate.at(rate.opens_at) == pytest.approx(1.0)

    def test_they_never_bring_a_lane_to_a_standstill(self) -> None:
        rate = rate_after(answered=0)
        refuse_again(rate, 11)
        assert rate.at(rate.opens_at) == pytest.approx(0.1)

    def test_after_more_than_a_minute_of_them_the_rate_is_searched_for_again(self) -> None:
        rate = rate_after(answered=0)
        refuse_again(rate, 12)
        assert rate.at(rate.opens_at) == pytest.approx(1.0)
        use(rate, until=rate.opens_at + 8.0)
        assert rate.at(rate.opens_at) > 4.0

    def test_a_window_of_many_seconds_is_told_by_all_that_was_answered_before(self) -> None:
        """Ten a second were asked for, and fifty in ten seconds are allowed: the last second says too little."""
        rate = AdaptiveRate()
        rate.throttled(5.0, None, 10, (50, 5.0))
        rate.throttled(6.0, None, 0, (50, 5.0))
        rate.throttled(8.0, None, 0, (50, 5.0))
        assert 2.5 < rate.at(rate.opens_at) < 5.0


class TestA429ToWhatWasSentBefore:
    @pytest.mark.parametrize("answered", [None, 0])
    def test_changes_nothing_while_the_lane_is_closed(self, answered: int | None) -> None:
        rate, told = rate_after(), rate_after()
        told.throttled(0.5, None, answered)
        assert (told.opens_at, level(told)) == (rate.opens_at, level(rate))

    def test_its_good_answers_belong_to_the_cycle_that_has_ended(self) -> None:
        rate = rate_after(answered=20)
        rate.throttled(0.5, None, 10)
        assert level(rate) == pytest.approx(30.0)

    @pytest.mark.parametrize(("seconds", "opens_at"), [(0.2, 1.0), (5.0, 5.5)])
    def test_the_longest_time_that_is_named_counts(self, seconds: float, opens_at: float) -> None:
        rate = rate_after()
        rate.throttled(0.5, seconds, None)
        assert rate.opens_at == pytest.approx(opens_at)

    def test_changes_nothing_when_the_lane_has_opened_since(self) -> None:
        rate = rate_after()
        use(rate, until=3.0)
        before = (rate.opens_at, rate.at(rate.opens_at))
        rate.throttled(3.0 - 1e-9, None, None)
        assert (rate.opens_at, rate.at(rate.opens_at)) == before

    def test_its_retry_after_is_obeyed_when_the_lane_has_opened_since(self) -> None:
        rate = rate_after()
        use(rate, until=3.0)
        before = rate.at(rate.opens_at)
        rate.throttled(3.0, 7.0, None)
        assert rate.opens_at == 10.0
        assert rate.at(10.0) == pytest.approx(before)


class TestGivingBack:
    def test_the_next_permit_is_due_when_the_one_given_back_was(self) -> None:
        rate = AdaptiveRate(4.0)
        rate.take(0.0)
        rate.take(0.25)
        rate.give_back()
        assert rate.opens_at == pytest.approx(0.25)

    def test_a_closure_since_then_holds(self) -> None:
        rate = AdaptiveRate(4.0)
        rate.take(0.0)
        rate.throttled(0.1, 10.0, 0)
        rate.give_back()
        assert rate.opens_at == pytest.approx(10.1)

    def test_a_second_time_gives_nothing_back(self) -> None:
        rate = AdaptiveRate(4.0)
        for time in (0.0, 0.25):
            rate.take(time)
        rate.give_back()
        rate.give_back()
        assert rate.opens_at == pytest.approx(0.25)


class TestIsThrottled:
    def test_a_rate_that_was_never_refused_is_not(self) -> None:
        assert not AdaptiveRate().is_throttled(0.0)
        assert not AdaptiveRate(5.0).is_throttled(0.0)

    def test_a_closed_one_is(self) -> None:
        assert rate_after(answered=20, limit=5.0).is_throttled(0.5)

    def test_one_that_was_learned_is_until_it_is_forgotten(self) -> None:
        rate = rate_after(answered=20)
        assert rate.is_throttled(1.0 + IDLE * 40)
        assert not rate.is_throttled(1.0 + IDLE * 41)

    def test_one_that_only_the_users_bound_holds_back_is_not(self) -> None:
        assert not rate_after(answered=20, limit=5.0).is_throttled(1.0)


Refusals = Sequence[tuple[float, float | None, int | None]]
refusals_after_pauses: st.SearchStrategy[Refusals] = st.lists(
    st.tuples(st.floats(0.001, 30), st.none() | st.floats(1e-300, 100), st.none() | st.integers(0, 99))
)


@given(refusals_after_pauses, st.floats(0.5, 100))
def test_the_users_bound_is_never_exceeded(refusals: Refusals, limit: float) -> None:
    rate, now = AdaptiveRate(limit), 0.0
    for pause, seconds, answered in refusals:
        now += pause
        rate.take(now)
        rate.throttled(now, seconds, answered)
        assert 0 < rate.at(now) <= limit
        assert 0 < rate.at(now + 1000.0) <= limit


@given(refusals_after_pauses, st.none() | st.floats(0.01, 100))
def test_a_429_never_makes_a_lane_faster(refusals: Refusals, seconds: float | None) -> None:
    rate, now = rate_after(), 1.0
    for pause, named, answered in refusals:
        now += pause
        rate.take(now)
        rate.throttled(now, named, answered)
    now = rate.opens_at
    before = rate.at(now)
    rate.throttled(now, seconds, 5)
    assert rate.at(rate.opens_at) <= before
    assert rate.opens_at > now


class TestAnswerLog:
    @staticmethod
    def log_of(*answers: float) -> AnswerLog:
        log = AnswerLog()
        for time in answers:
            log.answered(time, time)
        return log

    def test_before_a_lane_is_throttled_the_answers_of_the_last_second_count(self) -> None:
        assert self.log_of(1.0, 8.9, 9.0, 9.5, 10.0).refused(10.0, 9.9, is_throttled=False) == 3

    def test_where_calls_take_longer_those_of_as_many_seconds_count(self) -> None:
        assert self.log_of(1.0, 7.9, 8.0, 9.0).refused(10.0, 8.0, is_throttled=False) == 2

    def test_in_a_throttled_lane_all_since_the_last_429_count(self) -> None:
        log = self.log_of(0.5)
        log.refused(1.0, 0.9, is_throttled=False)
        for time in (3.0, 5.0, 7.0):
            log.answered(time, time)
        assert log.refused(10.0, 9.9, is_throttled=True) == 3

    def test_all_count_at_the_first_429_where_another_process_was_refused_before(self) -> None:
        assert self.log_of(1.0, 5.0).refused(10.0, 9.9, is_throttled=True) == 2
        assert self.log_of().refused(10.0, 9.9, is_throttled=True) == 0

    def test_a_second_429_without_a_good_answer_between_them_says_that_the_service_refuses_still(self) -> None:
        log = self.log_of(0.5)
        log.refused(1.0, 0.9, is_throttled=False)
        assert log.refused(3.0, 2.9, is_throttled=True) == 0

    @pytest.mark.parametrize(("sent", "answered"), [(0.99, 0), (1.0, 0), (1.01, 1)])
    def test_a_good_answer_to_what_was_sent_before_does_not_end_the_refusals(
        self, sent: float, answered: int
    ) -> None:
        log = self.log_of(0.5)
        log.refused(1.0, 0.9, is_throttled=False)
        log.answered(2.0, sent)
        assert log.refused(3.0, 2.9, is_throttled=True) == answered

    def test_it_is_counted_all_the_same_when_they_have_ended(self) -> None:
        log = self.log_of(0.5)
        log.refused(1.0, 0.9, is_throttled=False)
        log.answered(2.0, 0.95)
        log.refused(3.0, 2.9, is_throttled=True)
        log.answered(5.0, 4.9)
        assert log.refused(6.0, 5.9, is_throttled=True) == 2

    @pytest.mark.parametrize(("sent", "answered"), [(0.99, None), (1.0, None), (1.01, 0)])
    def test_a_429_to_what_was_sent_before_the_last_one_is_no_news(self, sent: float, answered: int | None) -> None:
        log = self.log_of(0.5)
        log.refused(1.0, 0.9, is_throttled=False)
        assert log.refused(3.0, sent, is_throttled=True) == answered

    def test_a_repeated_429_makes_those_sent_before_it_no_news_either(self) -> None:
        log = self.log_of(0.5)
        log.refused(1.0, 0.9, is_throttled=False)
        log.refused(3.0, 2.0, is_throttled=True)
        assert log.refused(3.5, 2.5, is_throttled=True) is None

    def own_limits(self, log: AnswerLog, *paths: str, good: str = "good") -> list[bool]:
        """Tell of a 429 to each path, one a second, with a good answer after each, and return which are its own."""
        found = []
        for path in paths:
            self.clock += 1.0
            found.append(log.has_own_limit(self.clock, self.clock - 0.1, path))
            log.answered(self.clock + 0.5, self.clock + 0.4, good)
        return found

    clock = 0.0

    def test_a_path_that_is_refused_again_while_others_are_answered_has_its_own_limit(self) -> None:
        assert self.own_limits(AnswerLog(), "a", "a", "a") == [False, True, True]

    def test_several_paths_may_have_their_own_limit(self) -> None:
        assert self.own_limits(AnswerLog(), "a", "b", "c", "a", "b", "c") == [False] * 3 + [True] * 3

    def test_a_good_answer_to_the_path_ends_that(self) -> None:
        assert self.own_limits(AnswerLog(), "a", "a", "a", good="a") == [False] * 3

    def test_a_path_that_is_refused_again_has_no_own_limit_if_no_other_was_answered_since(self) -> None:
        log = AnswerLog()
        assert [log.has_own_limit(time, time - 0.1, "a") for time in (1.0, 2.0, 3.0)] == [False] * 3
        log.answered(3.5, 2.5, "good")  # was sent before the last 429
        assert not log.has_own_limit(4.0, 3.9, "a")

    def test_two_paths_refused_again_with_no_good_answer_between_them_show_a_limit_of_all(self) -> None:
        log = AnswerLog()
        assert self.own_limits(log, "a", "b") == [False, False]
        assert [log.has_own_limit(time, time - 0.1, path) for time, path in ((9.0, "a"), (9.2, "b"))] == [True, False]

    def test_a_429_to_what_was_sent_before_the_last_429_shows_no_own_limit(self) -> None:
        log = AnswerLog()
        assert self.own_limits(log, "a", "b") == [False, False]
        assert not log.has_own_limit(9.0, 1.9, "a")

    def test_neighbours_that_are_always_refused_one_after_the_other_are_both_found(self) -> None:
        log = AnswerLog()
        assert self.own_limits(log, "a", "b") == [False, False]
        found = []
        for time in (10.0, 20.0, 30.0):
            found += [log.has_own_limit(time, time - 0.1, "a"), log.has_own_limit(time + 0.2, time + 0.1, "b")]
            log.answered(time + 1.0, time + 0.9, "good")
        assert found == [True, False, True, True, True, True]

    def test_paths_that_are_refused_and_never_asked_for_again_are_forgotten(self) -> None:
        log = AnswerLog()
        for number in range(5000):
            log.has_own_limit(number, number, f"path {number}")
        assert len(log._refused) == 1000

    def test_what_is_remembered_is_bounded(self) -> None:
        assert self.log_of(*[9.5] * 5000).refused(10.0, 9.9, is_throttled=False) == 1000


# What a lane gets of what a limiter allows, from the third minute on, when there is always more to send.

LIMITERS: dict[str, Callable[[], Limiter]] = {
    "window of 30 in 10 s": lambda: FixedWindow(30, 10.0),
    "window of 30 in 10 s, begun before": lambda: FixedWindow(30, 10.0, phase=7.3),
    "window of 100 in 60 s": lambda: FixedWindow(100, 60.0, phase=11.0),
    "window of 20 in 1 s": lambda: FixedWindow(20, 1.0, phase=0.3),
    "window of 5 in 1 s": lambda: FixedWindow(5, 1.0, phase=0.3),
    "window of 1 in 1 s": lambda: FixedWindow(1, 1.0, phase=0.3),
    "bucket of 1, 20 a second": lambda: TokenBucket(20.0, 1.0),
    "bucket of 10, 20 a second": lambda: TokenBucket(20.0, 10.0),
    "bucket of 100, 20 a second": lambda: TokenBucket(20.0, 100.0),
    "bucket of 2, one in 5 s": lambda: TokenBucket(0.2, 2.0),
    "sliding window of 20 in 1 s": lambda: SlidingWindow(20, 1.0),
    "sliding window of 30 in 10 s": lambda: SlidingWindow(30, 10.0),
}
RETRY_AFTERS: dict[str, Callable[[float], float | None]] = {
    "no Retry-After": lambda _: None,
    "a tenth of a second": lambda _: 0.1,
    "half of what is needed": lambda needed: needed / 2,
    "exactly what is needed": lambda needed: needed,
}
limited = pytest.mark.parametrize("limiter", LIMITERS.values(), ids=LIMITERS)
told = pytest.mark.parametrize("retry_after", RETRY_AFTERS.values(), ids=RETRY_AFTERS)
distant = pytest.mark.parametrize("latency", [0.05, 0.3, 1.5], ids=lambda latency: f"{latency} s away")


@limited
@told
@distant
def test_from_the_third_minute_on_a_lane_gets_most_of_what_is_allowed_for_few_429s(
    limiter: Callable[[], Limiter], retry_after: Callable[[float], float | None], latency: float
) -> None:
    outcome = simulate(limiter(), latency=latency, until=600.0, retry_after=retry_after)
    assert outcome.good_between(120.0, 600.0) >= 0.83 * limiter().allows(120.0, 600.0)
    assert outcome.refused_share(120.0, 600.0) <= 0.05


@told
@distant
def test_a_limit_that_changes_is_found_out_within_two_minutes(
    retry_after: Callable[[float], float | None], latency: float
) -> None:
    limiter = Changing([(time, SlidingWindow(number, 1.0)) for time, number in ((0.0, 20), (240.0, 5), (480.0, 20))])
    outcome = simulate(limiter, latency=latency, until=720.0, retry_after=retry_after)
    for start in (120.0, 360.0, 600.0):
        assert outcome.good_between(start, start + 120.0) >= 0.83 * limiter.allows(start, start + 120.0)
        assert outcome.refused_share(start, start + 120.0) <= 0.05


@pytest.mark.parametrize("retry_after", [RETRY_AFTERS["no Retry-After"], RETRY_AFTERS["exactly what is needed"]])
@distant
def test_the_usual_limit_is_used_from_the_first_minute_on(
    retry_after: Callable[[float], float | None], latency: float
) -> None:
    """All slots at once are refused but for what one second takes, and then nearly nothing is."""
    outcome = simulate(FixedWindow(20, 1.0, phase=0.3), latency=latency, until=60.0, retry_after=retry_after)
    assert outcome.good_between(0.0, 60.0) >= 0.83 * 1200
    assert len(outcome.refused) <= 110


@limited
@distant
def test_demand_below_the_limit_is_never_slowed(limiter: Callable[[], Limiter], latency: float) -> None:
    apart = 60.0 / (0.9 * limiter().allows(0.0, 60.0))
    demand = [apart * n for n in range(int(300 / apart))]
    outcome = simulate(limiter(), latency=latency, until=400.0, demand=demand)
    assert outcome.refused == []
    assert max(waited for _, waited in outcome.waited) == 0.0


@told
@distant
def test_after_a_burst_beyond_the_limit_demand_below_it_is_not_slowed_for_long(
    retry_after: Callable[[float], float | None], latency: float
) -> None:
    demand = [*[0.0] * 100, *(n / 10 for n in range(3000))]
    outcome = simulate(SlidingWindow(20, 1.0), latency=latency, until=400.0, retry_after=retry_after, demand=demand)
    assert len(outcome.good) == 3100
    assert max(waited for came, waited in outcome.waited if came > 60.0) < 0.1


@told
@distant
def test_bursts_that_need_pacing_are_paced_for_few_429s(
    retry_after: Callable[[float], float | None], latency: float
) -> None:
    demand = [10.0 * burst for burst in range(60) for _ in range(40)]
    outcome = simulate(FixedWindow(20, 1.0), latency=latency, until=620.0, retry_after=retry_after, demand=demand)
    assert len(outcome.good) == 2400
    assert outcome.refused_share(0.0, 620.0) <= 0.03
    assert max(waited for came, waited in outcome.waited if came > 60.0) < 4.0
