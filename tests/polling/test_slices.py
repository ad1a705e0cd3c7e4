"""What goes over more requests than one turn of the loop sees to goes on in the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from chamelaion_async import (
    APITimeoutError,
    ClientClosedError,
    LipsyncRequest,
    PollPolicy,
    RateLimitError,
    WaitTimeoutError,
    WaitUnreachableError,
)
from chamelaion_async.polling.batch import Batch
from chamelaion_async.polling.entry import SLICE, Entry
from chamelaion_async.polling.loader import Loader
from chamelaion_async.polling.state import Look, Sighting, make_terms

pytestmark = pytest.mark.virtual_time

MANY = 2 * SLICE + 100


async def test_all_looks_that_are_under_way_end_with_the_deadline(serve: Any) -> None:
    service = serve(latency=1000.0)
    ids = service.add(MANY)
    outcomes = await service.follow(ids, timeout=5.0)
    assert {type(outcome.error) for outcome in outcomes.values()} == {WaitTimeoutError}
    assert (list(outcomes), service.elapsed) == (ids, 5.0)


@pytest.fixture
def calls_a_turn(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], list[int]]:
    """Count how often each call of one method of a batch calls another."""

    def count(outer: str, inner: str) -> list[int]:
        counts: list[int] = []
        whole, part = getattr(Batch, outer), getattr(Batch, inner)

        def turn(batch: Any, *args: Any) -> None:
            counts.append(0)
            whole(batch, *args)

        def one(batch: Any, *args: Any) -> None:
            counts[-1] += 1
            part(batch, *args)

        monkeypatch.setattr(Batch, outer, turn)
        monkeypatch.setattr(Batch, inner, one)
        return counts

    return count


async def test_those_who_fall_due_in_the_same_moment_take_turns(serve: Any, calls_a_turn: Any) -> None:
    counts = calls_a_turn("_come_due", "_see_to")
    service = serve(cap=MANY)
    await service.follow(service.add(MANY, lasts=1.5))
    assert counts[:3] == [SLICE, SLICE, 100]


async def test_those_whose_time_is_up_take_turns(serve: Any, calls_a_turn: Any) -> None:
    counts = calls_a_turn("_time_is_up", "_ran_out")
    service = serve(latency=1000.0)
    await service.follow(service.add(MANY), timeout=5.0)
    assert counts == [SLICE, SLICE, 100]


@pytest.mark.parametrize(
    ("retry_after", "holds_for_all"), [(None, False), (0.0, False), (0.5, False), (0.6, True), (60.0, True)]
)
async def test_a_429_is_everybodys_only_where_its_pause_is_too_long(
    serve: Any, refused: Any, retry_after: float | None, holds_for_all: bool
) -> None:
    """What one id of a get_many was told is not asked again for the others, unless they may just try."""
    service = serve(refuse=lambda _: refused(429, retry_after=retry_after))
    terms = make_terms(None, PollPolicy(max_retry_after=0.5, jitter=0.0), lambda: 0.5, attempts=1)
    batch: Batch[LipsyncRequest] = Batch(service.loader, terms, check=str)
    async with aclosing(batch.follow(service.add())) as outcomes:
        async for outcome in outcomes:
            assert isinstance(outcome.error, RateLimitError)
    assert (batch._refusal is not None) is holds_for_all


async def test_looks_that_may_last_until_the_deadline_have_no_timer_of_their_own(serve: Any) -> None:
    service = serve(latency=50.0)
    terms = make_terms(15.0, PollPolicy(), lambda: 0.5)
    batch: Batch[LipsyncRequest] = Batch(service.loader, terms, check=str)
    async with aclosing(batch.follow(service.add(10))) as outcomes:
        looking = asyncio.ensure_future(anext(outcomes))
        await asyncio.sleep(1.0)
        assert (batch._schedule, batch._times, batch._timer) == ({}, [], None)
        await looking


async def test_every_change_is_told_with_its_id(serve: Any) -> None:
    service = serve()
    ids = service.add(3, lasts=2.5)
    terms = make_terms(None, PollPolicy(jitter=0.0), lambda: 0.5)
    batch: Batch[LipsyncRequest] = Batch(service.loader, terms, check=str, every_change=True)
    told = []
    async with aclosing(batch.follow(ids)) as outcomes:
        async for outcome in outcomes:
            assert outcome.request is not None
            told.append((outcome.id, outcome.request.id, outcome.request.status))
    assert sorted(told) == sorted((id, id, status) for id in ids for status in ("processing", "completed"))


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note when a loader is joined, asked and left, and when somebody lets others have their turn."""
    noted: list[str] = []
    sleep = asyncio.sleep

    async def note_sleep(seconds: float) -> None:
        noted.append("sleep")
        await sleep(seconds)

    def watch(name: str) -> None:
        method = getattr(Loader, name)

        def note(*args: Any) -> Any:
            noted.append(name)
            return method(*args)

        monkeypatch.setattr(Loader, name, note)

    for name in ("join", "ask", "leave"):
        watch(name)
    monkeypatch.setattr(asyncio, "sleep", note_sleep)
    return noted


def runs(events: list[str], name: str) -> list[int]:
    """Return how often something happened between two turns of others."""
    return [part.count(name) for part in " ".join(events).split("sleep") if name in part]


async def test_a_batch_begins_and_ends_in_turns(serve: Any, events: list[str]) -> None:
    service = serve(latency=1000.0)
    terms = make_terms(None, PollPolicy(), lambda: 0.5)
    batch: Batch[LipsyncRequest] = Batch(service.loader, terms, check=str)
    outcomes = batch.follow(service.add(MANY))
    looking = asyncio.ensure_future(anext(outcomes))
    await asyncio.wait([looking], timeout=1.0)
    assert (runs(events, "join"), runs(events, "ask")) == ([SLICE, SLICE, 100], [SLICE, SLICE, 100])
    looking.cancel()
    await asyncio.wait([looking])
    assert runs(events, "leave") == [SLICE, SLICE, 100]


async def test_who_turns_out_to_have_finished_before_its_turn_is_not_looked_at(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, asked = serve(), list[str]()
    loader, ids = service.loader, service.add(MANY, lasts=0.0)
    ask, look = loader.ask, Look(server_time=None, at=asyncio.get_running_loop().time(), chance=0.5)

    def note(entry: Entry[LipsyncRequest], timeout: float) -> None:
        if not asked:
            (last,) = loader._registry.named(ids[-1])
            loader._deliver(last, Sighting(service.job(ids[-1]).shown(), look))
        asked.append(entry.id)
        ask(entry, timeout)

    monkeypatch.setattr(loader, "ask", note)
    outcomes = await service.follow(ids)
    assert (len(outcomes), asked) == (MANY, ids[:-1])


async def test_its_schedule_is_freed_in_turns_and_takes_no_time(serve: Any) -> None:
    service, pauses = serve(), iter(range(100, 100 + MANY))
    policy = PollPolicy(wait=lambda _: next(pauses))
    terms = make_terms(None, policy, lambda: 0.5)
    batch: Batch[LipsyncRequest] = Batch(service.loader, terms, check=str)
    outcomes = batch.follow(service.add(MANY))
    looking = asyncio.ensure_future(anext(outcomes))
    await asyncio.sleep(1.0)
    assert len(batch._schedule) == MANY
    looking.cancel()
    await asyncio.wait([looking])
    assert (batch._schedule, service.elapsed) == ({}, 1.0)


async def test_what_is_known_in_one_moment_is_handed_over_in_one(serve: Any, events: list[str]) -> None:
    service = serve()
    outcomes = await service.follow(service.add(100, lasts=0.0))
    assert (len(outcomes), events.count("sleep")) == (100, len(service.received))  # one for the service's answer


async def test_each_is_told_once_unless_every_change_is_asked_for(serve: Any) -> None:
    service = serve()
    terms = make_terms(None, PollPolicy(jitter=0.0), lambda: 0.5)
    batch: Batch[LipsyncRequest] = Batch(service.loader, terms, check=str)
    async with aclosing(batch.follow(service.add(3, lasts=2.5))) as outcomes:
        told = [outcome async for outcome in outcomes]
    assert [outcome.request.status for outcome in told if outcome.request] == ["completed"] * 3


async def test_all_hear_that_the_client_was_closed(serve: Any) -> None:
    service = serve(latency=1000.0)
    waits = [service.start(id) for id in service.add(MANY)]
    await asyncio.sleep(1.0)
    service.loader.close(ClientClosedError("closed"))
    ended = await asyncio.gather(*waits, return_exceptions=True)
    assert [type(error) for error in ended] == [ClientClosedError] * MANY
    assert service.elapsed == 1.0


async def test_all_hear_that_the_service_is_out_of_reach(serve: Any, trouble: Any) -> None:
    service = serve(refuse=lambda _: trouble["unreachable"]())
    outcomes = await service.follow(service.add(MANY), policy=PollPolicy(jitter=0.0, outage_budget=10.0))
    assert {type(outcome.error) for outcome in outcomes.values()} == {WaitUnreachableError}
    assert len(outcomes) == MANY
    assert service.elapsed == pytest.approx(10.0, abs=1.0)


async def test_all_that_a_list_does_not_show_are_read_on_their_own(serve: Any) -> None:
    service = serve()
    ids = service.add(MANY, is_listed=False, lasts=0.0)
    outcomes = await service.follow(ids)
    assert {outcome.request.id for outcome in outcomes.values()} == set(ids)
    assert sorted(read.id for read in service.gets) == sorted(ids)


class TestALookOfABatch:
    async def test_that_queues_until_its_outage_is_over_counts_as_unanswered(self, serve: Any, trouble: Any) -> None:
        """It has no answer because it was never sent: somebody else's call takes the only slot."""
        service = serve(at_once=1)
        (long,) = service.add()
        service.latency = lambda received: 100.0 if received.id == long else 0.0
        (short,) = service.add(is_listed=False)
        service.refuse = lambda received: trouble["503"]() if received.id == short else None
        following = asyncio.create_task(
            service.follow([short], policy=PollPolicy(jitter=0.0, outage_budget=10.0, min_interval=2.0))
        )
        await asyncio.sleep(1.0)
        waiting = asyncio.create_task(service.wait(long, timeout=200.0))
        error = (await following)[short].error
        assert isinstance(error, WaitUnreachableError)
        assert isinstance(error.last_error, APITimeoutError)
        assert str(error.last_error) == f"the look at {short} had no answer within the time that was left"
        assert service.elapsed == 10.0
        waiting.cancel()


async def test_a_strategy_of_the_callers_gets_what_tenacity_would_give_it(serve: Any) -> None:
    from tenacity import AsyncRetrying, RetryCallState

    service, given = serve(), []

    def strategy(attempt: RetryCallState) -> float:
        outcome = attempt.outcome
        assert outcome is not None
        assert isinstance(attempt.retry_object, AsyncRetrying)
        given.append((attempt.fn, attempt.args, attempt.kwargs, attempt.attempt_number, outcome.attempt_number))
        return 1.0

    await service.follow(service.add(lasts=1.5), policy=PollPolicy(wait=strategy))
    assert given == [(None, (), {}, 1, 1), (None, (), {}, 2, 2)]
