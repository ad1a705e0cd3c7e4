"""The deadline of many requests: every id that is open comes out, in time, and says what is known of it."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import pytest

from chamelaion_async import (
    APITimeoutError,
    ConfigurationError,
    InternalServerError,
    NotFoundError,
    PollPolicy,
    RateLimitError,
    WaitTimeoutError,
)
from chamelaion_async._http.paging import PAGE_SIZE
from tests.support.api import MemoryApi, Requests, refusal, uuid

pytestmark = pytest.mark.virtual_time

EVERY_7_SECONDS = PollPolicy(min_interval=7.0, max_interval=7.0)
RARELY = PollPolicy(wait=lambda _: 100.0)


async def test_at_the_deadline_every_open_id_comes_with_its_error(service: MemoryApi, requests: Requests) -> None:
    done, *open_ = service.add("done", finishes=5), service.add("b"), service.add("c")

    came = [(outcome, service.elapsed) async for outcome in requests.as_finished([done, *open_], timeout=10.5)]

    assert [(outcome.id, elapsed) for outcome, elapsed in came[:1]] == [(done, 5)]
    assert {outcome.id for outcome, _ in came[1:]} == set(open_)
    for outcome, elapsed in came[1:]:
        error = outcome.error
        assert isinstance(error, WaitTimeoutError)
        assert (elapsed, error.id, error.elapsed, error.polls) == (10.5, outcome.id, 10.5, 12)
        assert error.last is not None
        assert (error.last.id, error.last.status) == (outcome.id, "processing")


async def test_the_last_polls_are_gets_at_the_deadline(service: MemoryApi, requests: Requests) -> None:
    a, b = service.add("a", finishes=9.9), service.add("b")

    outcomes = await requests.wait_all([a, b], timeout=10, polling=EVERY_7_SECONDS)

    assert (service.pages, service.gets) == ([0, 7], [7, 10, 10])
    assert outcomes[a].unwrap().is_completed
    assert isinstance(outcomes[b].error, WaitTimeoutError)


async def test_the_last_poll_begins_early_by_what_a_poll_takes(service: MemoryApi, requests: Requests) -> None:
    service.latency = 0.25
    ids = [service.add("a"), service.add("b")]

    await requests.wait_all(ids, timeout=10, polling=EVERY_7_SECONDS)

    assert service.pages == [0, 7]
    assert service.gets[-2:] == [9.75, 9.75]
    assert service.elapsed == 10


async def test_the_last_polls_of_three_pages_of_jobs_are_three_pages(service: MemoryApi, requests: Requests) -> None:
    service.latency = 0.25

    outcomes = await requests.wait_all(service.add_many(3 * PAGE_SIZE), timeout=10, polling=EVERY_7_SECONDS)

    assert all(isinstance(outcome.error, WaitTimeoutError) for outcome in outcomes.values())
    assert [at for at in service.polls if at > 8] == [9.75] * 3
    assert service.elapsed == 10


async def test_the_deadline_holds_if_the_last_poll_is_not_answered(service: MemoryApi, requests: Requests) -> None:
    """A poll at the deadline may outlast it by a second, and not by more."""
    waiting = service.meanwhile(requests.wait_all([service.add("a"), service.add("b")], timeout=10))
    await service.until(9.5)
    service.latency = 3600.0

    outcomes = await waiting

    assert all(isinstance(outcome.error, WaitTimeoutError) for outcome in outcomes.values())
    assert 10 <= service.elapsed <= 11
    assert service.under_way == 0


async def test_the_deadline_holds_if_nothing_is_ever_answered(service: MemoryApi, requests: Requests) -> None:
    service.latency = 3600.0
    ids = service.add_many(250)

    outcomes = await requests.wait_all(ids, timeout=8)

    for outcome in outcomes.values():
        error = outcome.error
        assert isinstance(error, WaitTimeoutError)
        assert isinstance(error.last_error, APITimeoutError)
        assert error.last is None
    assert service.elapsed == 8


async def test_the_deadline_comes_before_a_longer_outage_budget(service: MemoryApi, requests: Requests) -> None:
    service.trouble = lambda _: refusal(503)

    outcomes = await requests.wait_all(service.add_many(3), timeout=30)

    for outcome in outcomes.values():
        assert isinstance(outcome.error, WaitTimeoutError)
        assert isinstance(outcome.error.__cause__, InternalServerError)
    assert 30 <= service.elapsed <= 31


async def test_a_retry_after_beyond_the_deadline_does_not_move_it(service: MemoryApi, requests: Requests) -> None:
    service.trouble = lambda _: refusal(429, Retry_After="30")

    outcomes = await requests.wait_all(service.add_many(3), timeout=10)

    assert all(isinstance(outcome.error, WaitTimeoutError) for outcome in outcomes.values())
    assert service.elapsed == 10
    assert (service.pages, service.gets) == ([0], [0])  # one GET tells that the limit is not the list's alone
    assert any(isinstance(outcome.error.__cause__, RateLimitError) for outcome in outcomes.values() if outcome.error)


async def test_the_deadline_holds_while_a_429_to_another_call_delays_the_last_poll(
    service: MemoryApi, requests: Requests
) -> None:
    waiting = service.meanwhile(requests.wait_all([service.add("a")], timeout=10))
    await service.until(9.5)
    service.trouble = lambda _: refusal(429, Retry_After="60")
    elsewhere = service.meanwhile(requests.get_many([service.add("b")]))

    outcomes = await waiting

    assert all(isinstance(outcome.error, WaitTimeoutError) for outcome in outcomes.values())
    assert 10 <= service.elapsed <= 11
    elsewhere.cancel()
    await asyncio.wait([elsewhere])


async def test_a_missing_id_is_not_found_if_the_deadline_comes_within_the_grace(
    service: MemoryApi, requests: Requests
) -> None:
    missing = uuid("missing")

    outcomes = await requests.wait_all([missing], timeout=2)

    assert isinstance(outcomes[missing].error, NotFoundError)
    assert service.elapsed == 2


async def test_without_a_deadline_a_job_of_a_day_is_waited_for(service: MemoryApi, requests: Requests) -> None:
    day = 86400.0
    id = service.add("a", finishes=day)

    outcomes = await requests.wait_all([id], polling=PollPolicy(min_interval=3600.0, max_interval=3600.0))

    assert outcomes[id].unwrap().is_completed
    assert service.elapsed == day


class TestZero:
    async def test_a_timeout_of_zero_polls_once(self, service: MemoryApi, requests: Requests) -> None:
        done, open_ = service.add("done", finishes=-1), service.add("open")

        outcomes = await requests.wait_all([done, open_], timeout=0)

        assert outcomes[done].unwrap().is_completed
        error = outcomes[open_].error
        assert isinstance(error, WaitTimeoutError)
        assert (error.polls, error.elapsed) == (1, 0)
        assert (service.gets, service.pages, service.elapsed) == ([0, 0], [], 0)

    async def test_a_timeout_of_zero_leaves_the_poll_the_time_to_be_answered(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        service.latency = 5.0
        id = service.add("a", finishes=-1)

        outcomes = await requests.wait_all([id], timeout=0)

        assert outcomes[id].unwrap().is_completed

    async def test_a_timeout_of_zero_polls_although_others_have_just_polled(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        id = service.add("a")
        async for _ in requests.watch(id):
            before = len(service.asked)
            await requests.wait_all([id], timeout=0)
            break

        assert len(service.asked) == before + 1

    async def test_a_timeout_of_zero_ends_with_a_failed_poll(self, service: MemoryApi, requests: Requests) -> None:
        service.trouble = lambda _: refusal(503)
        id = service.add("a")

        outcomes = await requests.wait_all([id], timeout=0)

        assert isinstance(outcomes[id].error, WaitTimeoutError)
        assert len(service.asked) == 1


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), True, "5"])
async def test_an_invalid_timeout_is_refused_before_anything_is_sent(
    service: MemoryApi, requests: Requests, timeout: Any
) -> None:
    with pytest.raises(ConfigurationError, match="timeout"):
        requests.as_finished([uuid("a")], timeout=timeout)
    with pytest.raises(ConfigurationError, match="timeout"):
        await requests.wait_all([uuid("a")], timeout=timeout)

    assert service.asked == []


class TestEarlierNews:
    """News shortly before the last poll leave time for further polls."""

    async def test_a_nudge_before_the_deadline_does_not_end_a_batch(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        id = service.add("a", finishes=9.5)
        pauses = iter([100.0, 2.0] + [100.0] * 9)
        policy = PollPolicy(wait=lambda _: next(pauses))

        waiting = service.meanwhile(requests.wait_all([id], timeout=10, polling=policy))
        await service.until(3)
        requests.nudge(id)

        assert (await waiting)[id].unwrap().is_completed
        assert service.polls == [0, 3, 5, 10]

    async def test_a_change_before_the_deadline_does_not_end_a_wait(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        id = service.add("a", statuses={float("-inf"): "queued", 2: "processing"}, finishes=9.5)

        waiting = service.meanwhile(requests.wait_until_finished(id, timeout=10, polling=RARELY))
        await service.until(3)
        requests.nudge(id)

        assert (await waiting).is_completed
        assert service.elapsed == 10


async def test_a_deadline_does_not_fill_the_schedule(service: MemoryApi, requests: Requests) -> None:
    """Each poll puts the deadline down once more in the schedule: it must not pile up there."""
    waiting = service.meanwhile(requests.wait_all(service.add_many(100), timeout=1500))
    tracemalloc.start()
    try:
        sizes = []
        for elapsed in (20.5, 120.5):
            await service.until(elapsed)
            service.asked.clear()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert sizes[1] - sizes[0] < 40_000
