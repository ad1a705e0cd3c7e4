"""A batch: what goes over very many requests runs in slices, and each outcome says what became of its id."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import pytest

from chamelaion_async import (
    LipsyncRequest,
    PollPolicy,
    RateLimitError,
    WaitTimeoutError,
)
from chamelaion_async.loading.entries import Entry
from chamelaion_async.loading.loader import Loader
from chamelaion_async.loading.slices import SLICE
from chamelaion_async.loading.snapshot import ReadStamp, Snapshot
from chamelaion_async.polling.batch import Batch
from chamelaion_async.polling.failed_polls import MOST_REFUSALS
from tests.support.errors import status_error
from tests.support.source import MemorySource, Received, outcomes_of

pytestmark = pytest.mark.virtual_time

MANY = 2 * SLICE + 100


@pytest.fixture
def calls_a_turn(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[int]]:
    """Count how often each turn of the loop calls a method of a batch, if it does."""

    def count(name: str) -> list[int]:
        counts = [0]
        method, run = getattr(Batch, name), asyncio.Handle._run

        def counted(*args: Any) -> None:
            counts[-1] += 1
            method(*args)

        def turn(handle: asyncio.Handle) -> None:
            if counts[-1]:
                counts.append(0)
            run(handle)

        monkeypatch.setattr(Batch, name, counted)
        monkeypatch.setattr(asyncio.Handle, "_run", turn)
        return counts

    return count


async def test_polls_that_fall_due_at_the_same_time_run_in_slices(calls_a_turn: Any) -> None:
    counts = calls_a_turn("_come_due")
    service = MemorySource(cap=MANY)
    await service.follow(service.add(MANY, lasts=1.5))
    assert counts[:3] == [SLICE, SLICE, 100]


async def test_polls_that_end_with_the_deadline_end_in_slices(calls_a_turn: Any) -> None:
    counts = calls_a_turn("_give_up")
    service = MemorySource(latency=1000.0)
    ids = service.add(MANY)
    outcomes = await service.follow(ids, timeout=5.0)
    assert counts[:3] == [SLICE, SLICE, 100]
    assert {type(outcome.error) for outcome in outcomes.values()} == {WaitTimeoutError}
    assert (list(outcomes), service.elapsed) == (ids, 5.0)


@pytest.mark.parametrize(
    ("retry_after", "holds_for_all"), [(None, False), (0.0, False), (0.5, False), (0.6, True), (60.0, True)]
)
async def test_a_429_ends_the_other_requests_only_if_its_pause_is_too_long(
    retry_after: float | None, holds_for_all: bool
) -> None:
    service = MemorySource()
    service.refuse = lambda _: status_error(429, retry_after=retry_after) if len(service.gets) == 1 else None
    ids = service.add(5, is_listed=False)
    outcomes = await service.follow(ids, policy=PollPolicy(max_retry_after=0.5, jitter=0.0), attempts=1)
    errors = [type(outcome.error) for outcome in outcomes.values() if outcome.error is not None]
    assert errors == [RateLimitError] * (5 if holds_for_all else 0)


@pytest.fixture
def refusing() -> Callable[..., Any]:
    """Make a service without pages that answers GETs with 429, except the one with a certain number."""

    def make(lets_through: int = 0) -> Any:
        service = MemorySource(latency=0.1)

        def refuse(received: Received) -> Exception | None:
            if not received.is_page and len(service.gets) == lets_through:
                return None
            error: Exception = status_error(503 if received.is_page else 429)
            return error

        service.refuse = refuse
        return service

    return make


def rounds_of(gets: list[Received]) -> int:
    """Count GETs, those that were under way together as one."""
    times = sorted(get.at for get in gets)
    return sum(at - before > 0.1 for before, at in pairwise([-1.0, *times]))


@pytest.mark.parametrize(("count", "most"), [(1, 10), (8, 17), (30, 17)])
async def test_ten_429_in_a_row_end_all_that_are_to_be_read_once(refusing: Any, count: int, most: int) -> None:
    """Those of reads that were under way together count once: eight are sent at first."""
    service = refusing()
    outcomes = await service.follow(service.add(count, is_listed=False), attempts=1)
    assert [type(outcome.error) for outcome in outcomes.values()] == [RateLimitError] * count
    assert (rounds_of(service.gets), len(service.gets)) == (MOST_REFUSALS, most)


async def test_a_good_answer_resets_the_count_of_429s(refusing: Any) -> None:
    service = refusing(lets_through=10)
    outcomes = await service.follow(service.add(30, is_listed=False), attempts=1)
    assert [outcome.id for outcome in outcomes.values() if outcome.error is None] == [service.gets[9].id]
    assert (rounds_of(service.gets[:10]), rounds_of(service.gets[10:])) == (3, MOST_REFUSALS)


async def test_waits_go_on_after_any_number_of_429s() -> None:
    service = MemorySource()
    service.refuse = lambda _: status_error(429) if len(service.received) <= 2 * MOST_REFUSALS else None
    outcomes = await service.follow(service.add(5, lasts=1.0), policy=PollPolicy(outage_budget=3600.0))
    assert [outcome.error for outcome in outcomes.values()] == [None] * 5


async def test_polls_that_may_last_until_the_deadline_have_no_timer_of_their_own() -> None:
    service = MemorySource(latency=50.0)
    batch = service.batch(timeout=15.0, policy=PollPolicy())
    async with aclosing(outcomes_of(batch, service.add(10))) as outcomes:
        polling = asyncio.ensure_future(anext(outcomes))
        await asyncio.sleep(1.0)
        assert (batch._schedule._items, batch._schedule._timer) == ({}, None)
        await polling


async def test_every_change_is_told_with_its_id() -> None:
    service = MemorySource()
    ids = service.add(3, lasts=2.5)
    batch = service.batch(every_change=True)
    told = []
    async with aclosing(outcomes_of(batch, ids)) as outcomes:
        async for outcome in outcomes:
            assert outcome.request is not None
            told.append((outcome.id, outcome.request.id, outcome.request.status))
    assert sorted(told) == sorted((id, id, status) for id in ids for status in ("processing", "completed"))


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note when a loader is joined, asked and left, and when a task gives up its turn."""
    noted: list[str] = []
    sleep = asyncio.sleep

    async def note_sleep(seconds: float) -> None:
        noted.append("sleep")
        await sleep(seconds)

    def watch(name: str) -> None:
        method = getattr(Loader, name)

        def note(*args: Any, **options: Any) -> Any:
            noted.append(name)
            return method(*args, **options)

        monkeypatch.setattr(Loader, name, note)

    for name in ("join", "ask", "leave"):
        watch(name)
    monkeypatch.setattr(asyncio, "sleep", note_sleep)
    return noted


def runs(events: list[str], name: str) -> list[int]:
    """Return how often something happened between two turns of others."""
    return [part.count(name) for part in " ".join(events).split("sleep") if name in part]


async def test_a_batch_begins_and_ends_in_slices(events: list[str]) -> None:
    service = MemorySource(latency=1000.0)
    batch = service.batch(policy=PollPolicy())
    outcomes = outcomes_of(batch, service.add(MANY))
    polling = asyncio.ensure_future(anext(outcomes))
    await asyncio.wait([polling], timeout=1.0)
    assert (runs(events, "join"), runs(events, "ask")) == ([SLICE, SLICE, 100], [SLICE, SLICE, 100])
    polling.cancel()
    await asyncio.wait([polling])
    await outcomes.aclose()
    assert runs(events, "leave") == [SLICE, SLICE, 100]


async def test_a_request_that_finishes_while_the_batch_begins_is_not_polled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service, asked = MemorySource(), list[str]()
    loader, ids = service.loader, service.add(MANY, lasts=0.0)
    ask, now = loader.ask, asyncio.get_running_loop().time()
    stamp = ReadStamp(began=now, at=now, server_time=None, jitter_draw=0.5)

    def note(entry: Entry[LipsyncRequest], timeout: float, **options: bool) -> None:
        if not asked:
            (last,) = loader._registry.named(ids[-1])
            assert last.subscriber is not None
            last.subscriber.on_snapshot(Snapshot(service.job(ids[-1]).shown(), stamp))
        asked.append(entry.id)
        ask(entry, timeout, **options)

    monkeypatch.setattr(loader, "ask", note)
    outcomes = await service.follow(ids)
    assert (len(outcomes), asked) == (MANY, ids[:-1])


async def test_the_schedule_is_freed_in_slices_without_delay() -> None:
    service, pauses = MemorySource(), iter(range(100, 100 + MANY))
    policy = PollPolicy(wait=lambda _: next(pauses))
    batch = service.batch(policy=policy)
    outcomes = outcomes_of(batch, service.add(MANY))
    polling = asyncio.ensure_future(anext(outcomes))
    await asyncio.sleep(1.0)
    assert len(batch._schedule._items) == MANY
    polling.cancel()
    await asyncio.wait([polling])
    await outcomes.aclose()
    assert (batch._schedule._items, service.elapsed) == ({}, 1.0)


async def test_outcomes_that_come_together_are_yielded_together(events: list[str]) -> None:
    service = MemorySource()
    outcomes = await service.follow(service.add(100, lasts=0.0))
    assert (len(outcomes), events.count("sleep")) == (100, len(service.received))  # one for the service's answer


@pytest.mark.parametrize("retry_after", [5.0, 60.0])
async def test_a_pause_that_is_too_long_to_wait_for_ends_what_is_queued_in_slices(retry_after: float) -> None:
    service = MemorySource(at_once=1, refuse=lambda _: status_error(429, retry_after=retry_after))
    policy = PollPolicy(max_retry_after=1.0, jitter=0.0)
    outcomes = await service.follow(service.add(MANY, is_listed=False), policy=policy, attempts=3)
    assert {type(outcome.error) for outcome in outcomes.values()} == {RateLimitError}
    assert len(service.received) <= 3


async def test_a_wait_strategy_receives_the_arguments_that_tenacity_would_pass() -> None:
    from tenacity import AsyncRetrying, RetryCallState

    service, given = MemorySource(), []

    def strategy(attempt: RetryCallState) -> float:
        outcome = attempt.outcome
        assert outcome is not None
        assert isinstance(attempt.retry_object, AsyncRetrying)
        given.append((attempt.fn, attempt.args, attempt.kwargs, attempt.attempt_number, outcome.attempt_number))
        return 1.0

    await service.follow(service.add(lasts=1.5), policy=PollPolicy(wait=strategy))
    assert given == [(None, (), {}, 1, 1), (None, (), {}, 2, 2)]
