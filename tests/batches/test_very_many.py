"""Very many requests at once: no turn of the loop is for all of them, and each costs little memory."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any

import attrs
import pytest

from chamelaion_async import (
    AsyncClient,
    ChamelaionError,
    ClientClosedError,
    NotFoundError,
    PollPolicy,
    WaitTimeoutError,
)
from chamelaion_async._http.transport import Transport
from chamelaion_async.loading.loader import Loader
from chamelaion_async.loading.read_queue import ReadQueue
from chamelaion_async.polling.batch import Batch
from chamelaion_async.polling.state import PollState
from tests.support.api import MemoryApi, Requests, refusal, uuid

pytestmark = [pytest.mark.virtual_time, pytest.mark.parametrize("family", ["lipsync"], indirect=True)]

MANY = 5_000
SLICE = 1_000
"""Ids that one turn may handle, counted for each kind of call: a poll, an answer, a leave."""
RARELY = PollPolicy(min_interval=30.0, max_interval=30.0, outage_budget=20.0)


@attrs.define
class Turns:
    """Counts, for each callback of the loop, how many ids it handles in each way.

    Attributes:
        most: The most that one callback has handled.
    """

    most: int = 0
    _now: dict[str, int] = attrs.field(init=False, factory=dict)

    def counting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._now[name] = self._now.get(name, 0) + 1
            return function(*args, **kwargs)

        return counted

    def run(self, run: Callable[[asyncio.Handle], None], handle: asyncio.Handle) -> None:
        self._now.clear()
        run(handle)
        self.most = max(self.most, *self._now.values(), 0)


@pytest.fixture
def loop_turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    counted = Turns()
    ways: dict[type[Any], list[str]] = {
        Batch: ["on_snapshot", "on_error"],
        Loader: ["ask", "join", "leave"],
        PollState: ["begin_poll", "failed", "saw", "verdict"],
        ReadQueue: ["move"],
    }
    for owner, names in ways.items():
        for name in names:
            monkeypatch.setattr(owner, name, counted.counting(name, getattr(owner, name)))
    run = asyncio.Handle._run
    monkeypatch.setattr(asyncio.Handle, "_run", lambda handle: counted.run(run, handle))
    return counted


@pytest.fixture(autouse=True)
def without_collections() -> Iterator[None]:
    """The collector would go over all of them again and again."""
    gc.disable()
    yield
    gc.enable()


async def consume(outcomes: Any) -> list[ChamelaionError | None]:
    async with aclosing(outcomes):
        return [outcome.error async for outcome in outcomes]


class TestTurns:
    async def test_slices_at_the_beginning_and_the_end(
        self, service: MemoryApi, requests: Requests, loop_turns: Turns
    ) -> None:
        ids = service.add_many(20_000, finishes=20)

        errors = await consume(requests.as_finished(ids, polling=RARELY))

        assert errors == [None] * 20_000
        assert 0 < loop_turns.most <= SLICE

    async def test_slices_at_a_deadline(self, service: MemoryApi, requests: Requests, loop_turns: Turns) -> None:
        errors = await consume(requests.as_finished(service.add_many(MANY), timeout=20, polling=RARELY))

        assert {type(error) for error in errors} == {WaitTimeoutError}
        assert len(errors) == MANY
        assert loop_turns.most <= SLICE

    async def test_slices_at_a_deadline_without_any_answer(
        self, service: MemoryApi, requests: Requests, loop_turns: Turns
    ) -> None:
        service.latency = 3600.0

        errors = await consume(requests.as_finished(service.add_many(MANY), timeout=20))

        assert len(errors) == MANY
        assert service.elapsed == 20
        assert loop_turns.most <= SLICE

    async def test_slices_in_an_outage(self, service: MemoryApi, requests: Requests, loop_turns: Turns) -> None:
        service.trouble = lambda _: refusal(503)

        errors = await consume(requests.as_finished(service.add_many(MANY), polling=RARELY))

        assert len(errors) == MANY
        assert loop_turns.most <= SLICE

    async def test_slices_of_ids_that_the_list_does_not_show(
        self, service: MemoryApi, requests: Requests, loop_turns: Turns
    ) -> None:
        service.add_many(10)
        service.latency = 0.1

        errors = await consume(requests.as_finished([uuid(f"stranger {n}") for n in range(MANY)], polling=RARELY))

        assert {type(error) for error in errors} == {NotFoundError}
        assert len(errors) == MANY
        assert loop_turns.most <= SLICE

    async def test_slices_in_a_cancellation(self, service: MemoryApi, requests: Requests, loop_turns: Turns) -> None:
        waiting = service.meanwhile(consume(requests.as_finished(service.add_many(MANY), polling=RARELY)))
        await service.until(10)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        assert loop_turns.most <= SLICE

    async def test_slices_when_the_client_is_closed(
        self, service: MemoryApi, client: AsyncClient, requests: Requests, loop_turns: Turns
    ) -> None:
        waiting = service.meanwhile(consume(requests.as_finished(service.add_many(MANY), polling=RARELY)))
        await service.until(10)
        await client.aclose()
        with pytest.raises(ClientClosedError):
            await waiting

        assert loop_turns.most <= SLICE

    async def test_pages_that_come_together_are_decoded_one_after_the_other(
        self, service: MemoryApi, requests: Requests, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Decoding a page and handing its snapshots out takes time, so other callbacks run after each page."""
        service.latency = 1.0
        rounds, arrived = 0, 0
        decoded: dict[int, int] = {}
        told: set[int] = set()
        run_once = asyncio.BaseEventLoop._run_once  # type: ignore[attr-defined] # one round, which typeshed leaves out
        decode, on_snapshot = Transport.decode, Batch.on_snapshot

        def count_round(loop: asyncio.BaseEventLoop) -> None:
            nonlocal rounds
            rounds += 1
            run_once(loop)

        def count_page(*args: Any) -> Any:
            nonlocal arrived
            arrived = max(arrived, len(service.asked) - service.under_way - len(decoded))
            decoded[rounds] = decoded.get(rounds, 0) + 1
            return decode(*args)

        def note(*args: Any) -> None:
            told.add(rounds)
            on_snapshot(*args)

        monkeypatch.setattr(asyncio.BaseEventLoop, "_run_once", count_round)
        monkeypatch.setattr(Transport, "decode", count_page)
        monkeypatch.setattr(Batch, "on_snapshot", note)
        await requests.get_many(service.add_many(MANY))

        assert arrived > 5
        assert set(decoded.values()) == {1}
        assert told == decoded.keys()

    async def test_results_are_handed_over_with_breaks(self, service: MemoryApi, requests: Requests) -> None:
        """Each costs its consumer a millisecond, and others wait no longer than for a few of them."""
        ids = service.add_many(1000, finishes=-1)
        loop: Any = asyncio.get_running_loop()
        begun = loop.time()
        gaps = []

        async def beat() -> None:
            while True:
                began = loop.time()
                await asyncio.sleep(0)
                gaps.append(loop.time() - began)

        beating = service.meanwhile(beat())
        async for _ in requests.as_finished(ids):
            loop._advance(0.001)
        beating.cancel()
        await asyncio.wait([beating])

        assert loop.time() - begun == pytest.approx(1.0)
        assert max(gaps) <= 0.015


class TestMemory:
    """Bytes for each, once all have been seen; ids and jobs were there before."""

    @staticmethod
    async def grown(service: MemoryApi, wait: Callable[[list[str]], Any], count: int) -> float:
        ids = service.add_many(count)
        few = service.meanwhile(wait(ids[:200]))
        await service.until(1)
        few.cancel()
        await asyncio.wait([few])
        service.asked.clear()
        gc.collect()
        tracemalloc.start()
        try:
            waiting = service.meanwhile(wait(ids))
            await service.until(20)
            asked = len(service.asked)
            service.asked.clear()
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert asked >= count / 100
        waiting.cancel()
        await asyncio.wait([waiting])
        return grown / count

    async def test_memory_of_a_batch(self, service: MemoryApi, requests: Requests) -> None:
        wait = partial(requests.wait_all, timeout=3600, polling=RARELY)

        assert 100 < await self.grown(service, wait, MANY) <= 2_048

    async def test_memory_of_separate_waits(self, service: MemoryApi, requests: Requests) -> None:
        async def wait(ids: list[str]) -> None:
            async with asyncio.TaskGroup() as group:
                for id in ids:
                    group.create_task(requests.wait_until_finished(id, polling=RARELY))

        assert 1_000 < await self.grown(service, wait, 2_000) <= 12 * 1024


class TestObjects:
    async def test_a_request_of_a_batch_is_two_objects_to_the_garbage_collector(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        ids = service.add_many(2_000)
        following = asyncio.create_task(consume(requests.as_finished(ids, timeout=7200, polling=RARELY)))
        await asyncio.sleep(600)
        gc.collect()
        with_them = len(gc.get_objects())
        following.cancel()
        await asyncio.wait([following])
        gc.collect()

        assert with_them - len(gc.get_objects()) < 2.3 * 2_000
