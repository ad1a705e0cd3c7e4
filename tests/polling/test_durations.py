"""How long jobs take, learned from finished ones."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from chamelaion_async import ConfigurationError, LipsyncRequest, PollPolicy, VideoTranslateRequest
from chamelaion_async.polling.durations import Durations, given_durations, kind_of
from chamelaion_async.polling.intervals import spacing

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
POLICY = PollPolicy()
LIPSYNC = kind_of("LipsyncRequest")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def job(
    number: int, took: float = 85.0, *, queued: float = 5.0, status: str = "completed", **fields: Any
) -> LipsyncRequest:
    values = {"created_at": START, "started_at": at(queued), "finished_at": at(queued + took), **fields}
    return LipsyncRequest(id=f"job-{number}", status=status, **values)


def translation(number: int, took: float, languages: int) -> VideoTranslateRequest:
    return VideoTranslateRequest(
        id=f"translation-{number}",
        status="completed",
        created_at=START,
        started_at=START,
        finished_at=at(took),
        target_languages=[f"l{language}" for language in range(languages)],
        model="classic",
        config={},
        disable_background_audio=False,
        disable_lip_sync=False,
        formality=False,
    )


def learned(count: int = 40, took: float = 85.0) -> Durations:
    durations = Durations()
    for number in range(count):
        durations.add(job(number, took + number % 5))
    return durations


def test_nothing_is_known_without_finished_jobs() -> None:
    durations = Durations()
    durations.add(job(1, status="processing", finished_at=None))
    assert len(durations) == 0
    assert durations.pause(LIPSYNC, POLICY, 10, is_processing=True) is None
    assert not durations.forecast(job(2, status="queued", started_at=None, finished_at=None))


def test_a_job_counts_once_however_often_it_is_shown() -> None:
    durations = Durations()
    for _ in range(3):
        durations.add(job(1))
    assert len(durations) == 1


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(job(1, finished_at=at(-1), started_at=None), id="finished before it was created"),
        pytest.param(job(1, started_at=at(-5)), id="started before it was created"),
        pytest.param(job(1, queued=10, took=-3), id="finished before it was started"),
        pytest.param(job(1, finished_at=at(7200)), id="finished in the future"),
        pytest.param(job(1, finished_at=None), id="without an end"),
        pytest.param(job(1, created_at=datetime(1, 1, 1, tzinfo=UTC)), id="created two thousand years ago"),
    ],
)
def test_impossible_times_are_not_learned(request_: LipsyncRequest) -> None:
    durations = Durations()
    durations.add(request_, server_time=at(3600))
    assert len(durations) == 0


def test_failed_jobs_count_as_well_since_they_have_ended() -> None:
    durations = Durations()
    durations.add(job(1, status="failed"))
    assert len(durations) == 1


def test_a_queued_job_is_polled_by_the_whole_time_and_a_started_one_by_the_rest() -> None:
    durations = Durations()
    for number in range(40):
        durations.add(job(number, took=30 + number % 3, queued=100 + number % 3))
    queued = durations.pause(LIPSYNC, POLICY, 100, is_processing=False)
    started = durations.pause(LIPSYNC, POLICY, 30, is_processing=True)
    assert queued is not None
    assert started is not None
    assert queued > 10
    assert started < 2


def test_the_languages_of_a_translation_tell_how_long_it_takes_once_enough_have_as_many() -> None:
    durations = Durations()
    for number in range(20):
        durations.add(translation(number, 60.0 + number % 3, 1))
    for number in range(20, 29):
        durations.add(translation(number, 600.0 + number % 3, 5))
    fifth = kind_of("VideoTranslateRequest", 5)
    with_all = durations.pause(fifth, POLICY, 60, is_processing=True)
    durations.add(translation(30, 600, 5))
    with_own = durations.pause(fifth, POLICY, 60, is_processing=True)
    assert with_all is not None
    assert with_own is not None
    assert with_all < 2 < 10 < with_own


def test_lip_syncs_tell_nothing_of_translations() -> None:
    assert learned().pause(kind_of("VideoTranslateRequest", 2), POLICY, 10, is_processing=True) is None


def test_jobs_that_suddenly_take_twice_as_long_are_polled_by_age_at_once_and_closely_soon() -> None:
    durations = learned(100)
    first = durations.pause(LIPSYNC, POLICY, 170, is_processing=True)
    for number in range(100, 130):
        durations.add(job(number, 170.0 + number % 5))
    then = durations.pause(LIPSYNC, POLICY, 170, is_processing=True)
    assert first is not None
    assert then is not None
    assert first <= 1.1 * spacing(170, POLICY, 1.0)
    assert then < 3


def test_a_job_that_ends_where_no_poll_was_due_renews_the_intervals_at_once() -> None:
    durations = learned()
    before = durations.pause(LIPSYNC, POLICY, 30.0, is_processing=True)
    durations.add(job(1000, took=40.0))
    after = durations.pause(LIPSYNC, POLICY, 30.0, is_processing=True)
    assert before is not None
    assert after is not None
    assert after < before


def test_two_hundred_jobs_take_less_than_eight_kilobytes() -> None:
    durations = learned(200)
    durations.pause(LIPSYNC, POLICY, 50, is_processing=True)
    durations.pause(LIPSYNC, POLICY, 50, is_processing=False)
    kind = durations._kinds[LIPSYNC]
    tables = [table for made in kind._made.values() for table in (made.edges, made.polls)]
    assert sum(map(sys.getsizeof, [kind.queued, kind.processing, *tables])) < 8192


def test_what_is_kept_is_bounded() -> None:
    durations = Durations()
    for number in range(5000):
        durations.add(job(number))
    assert len(durations) == 200
    assert len(durations._counted) <= 1024


def test_a_page_teaches_all_that_it_shows_until_enough_is_known_and_then_a_few() -> None:
    assert [learned(count).room for count in (0, 99, 100)] == [200, 200, 16]
    assert [learned(count).wants("another") for count in (99, 100)] == [True, False]
    assert not learned(50).wants("job-1")


def test_any_number_of_policies_leaves_a_few_tables() -> None:
    durations = learned()
    for number in range(100):
        durations.pause(LIPSYNC, PollPolicy(max_interval=12.0 + number), 50, is_processing=True)
    assert len(durations._kinds[LIPSYNC]._made) <= 8


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_age_of_a_forecast_goes_by_the_clock_of_the_service() -> None:
    clock = Clock()
    durations = Durations(clock=clock)
    for number in range(40):
        durations.add(job(number, took=85.0), server_time=at(3600))
    running = job(99, status="processing", created_at=at(3500), started_at=at(3540), finished_at=None)
    clock.now += 5
    forecast = durations.forecast(running)
    assert forecast.samples == 40
    assert forecast.remaining == pytest.approx(85 - 65, abs=1)


def test_a_queued_job_still_has_its_whole_processing_before_it() -> None:
    clock = Clock()
    durations = Durations(clock=clock)
    for number in range(40):
        durations.add(job(number, took=85.0, queued=5.0), server_time=at(3600))
    queued = job(99, status="queued", created_at=at(3540), started_at=None, finished_at=None)
    forecast = durations.forecast(queued)
    assert forecast.low is not None
    assert forecast.low >= 80


def test_the_age_of_a_job_goes_by_the_clock_of_the_service() -> None:
    seconds = iter([10.0, 12.5, 0.0])
    durations = Durations(clock=lambda: next(seconds))
    queued = job(1, status="queued", started_at=None, finished_at=None)
    durations.add(queued, at(40.0))
    assert durations.age(queued) == 42.5
    assert durations.age(attrs.evolve(queued, created_at=at(100.0))) == 0.0


def test_the_first_answer_of_a_second_sets_the_clock() -> None:
    clock = Clock()
    durations = Durations(clock=clock)
    queued = job(1, status="queued", started_at=None, finished_at=None)
    durations.add(queued, at(40.0))
    clock.now += 0.9
    durations.add(queued, at(40.0))
    assert durations.age(queued) == pytest.approx(40.9)
    durations.add(queued, at(41.0))
    assert durations.age(queued) == pytest.approx(41.0)


def test_a_finished_job_takes_no_more_time() -> None:
    forecast = learned().forecast(job(1))
    assert (forecast.remaining, forecast.low, forecast.high) == (0, 0, 0)


def test_durations_that_are_saved_and_loaded_give_the_same_pauses_and_forecasts() -> None:
    durations = learned()
    loaded = Durations.load(durations.dump())
    assert len(loaded) == len(durations)
    assert loaded.dump() == durations.dump()
    assert loaded.pause(LIPSYNC, POLICY, 80, is_processing=True) == pytest.approx(
        durations.pause(LIPSYNC, POLICY, 80, is_processing=True), rel=0.05
    )
    assert len(durations.dump()) < 2000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"version": 2, "kinds": {}}',
        '{"version": 1, "kinds": []}',
        '{"version": 1, "kinds": {"LipsyncRequest": {"queued": [1.0], "processing": []}}}',
        '{"version": 1, "kinds": {"LipsyncRequest": {"queued": [-1.0], "processing": [1.0]}}}',
        '{"version": 1, "kinds": {"LipsyncRequest": {"queued": [NaN], "processing": [1.0]}}}',
        '{"version": 1, "kinds": {"LipsyncRequest": {"queued": [true], "processing": [1.0]}}}',
        '{"version": 1, "kinds": {"LipsyncRequest": {"queued": ["1"], "processing": [1.0]}}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_state_is_left_out_with_a_warning(text: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "chamelaion_async"):
        durations = Durations.load(text)
    assert len(durations) == 0
    assert "saved durations cannot be read" in caplog.text


def test_a_client_takes_durations_or_their_text_and_nothing_else() -> None:
    durations = learned()
    assert given_durations(durations) is durations
    assert len(given_durations(durations.dump())) == len(durations)
    assert len(given_durations(None)) == 0
    with pytest.raises(ConfigurationError, match="durations must be a Durations or the str"):
        given_durations(json.loads(durations.dump()))


def test_a_job_without_a_start_counts_by_its_whole_time() -> None:
    durations = Durations()
    for number in range(40):
        durations.add(attrs.evolve(job(number, took=85.0, queued=5.0), started_at=None))
    pause = durations.pause(LIPSYNC, POLICY, 88, is_processing=False)
    assert pause is not None
    assert pause < 2
