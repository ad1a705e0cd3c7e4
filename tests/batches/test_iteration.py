"""What the iterators promise beyond their items: an ``anext`` may be cancelled, and silence is broken on demand."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing
from typing import Any

import pytest

from chamelaion_async import AuthenticationError, ConfigurationError, NotFoundError, WaitTimeoutError
from tests.support.api import MemoryApi, Requests, refusal, uuid
from tests.support.loops import turns

pytestmark = pytest.mark.virtual_time

STAGES = {float("-inf"): "queued", 3: "uploading", 6: "processing"}
CHANGES = [("queued", 0), ("uploading", 3), ("processing", 6), ("completed", 9)]
OVER = object()


async def impatiently(items: Any, seconds: float) -> list[Any]:
    """Collect all items, with an ``anext`` that is cancelled after some seconds and called again."""
    came = []
    while True:
        try:
            came.append(await asyncio.wait_for(anext(items), seconds))
        except TimeoutError:
            continue
        except StopAsyncIteration:
            return came


class TestCancellingAnext:
    @pytest.mark.parametrize("seconds", [0.001, 0.5, 1.0, 2.9, 3.0, 20.0])
    async def test_a_watch_goes_on_after_a_cancelled_anext(
        self, service: MemoryApi, requests: Requests, seconds: float
    ) -> None:
        id = service.add("a", statuses=STAGES, finishes=9)
        came = await impatiently(requests.watch(id), seconds)
        assert [request.status for request in came] == [status for status, _ in CHANGES]
        assert service.polls == [float(second) for second in range(10)]

    @pytest.mark.parametrize("seconds", [0.001, 0.5, 1.0, 2.0, 20.0])
    async def test_a_batch_goes_on_after_a_cancelled_anext(
        self, service: MemoryApi, requests: Requests, seconds: float
    ) -> None:
        ids = [service.add(str(number), finishes=number % 7) for number in range(600)]
        came = await impatiently(requests.as_finished(ids), seconds)
        assert sorted(outcome.id for outcome in came) == sorted(ids)
        assert all(outcome.unwrap().is_completed for outcome in came)

    @pytest.mark.parametrize("turn", range(12))
    async def test_an_anext_may_be_cancelled_in_any_turn_of_the_loop(
        self, service: MemoryApi, requests: Requests, turn: int
    ) -> None:
        ids = [service.add(str(number), finishes=-1) for number in range(600)]
        outcomes, came = requests.watch_many(ids), []
        while True:
            task = asyncio.ensure_future(anext(outcomes, OVER))
            await turns(turn)
            task.cancel()
            try:
                outcome: Any = await task
            except asyncio.CancelledError:
                turn += 1  # each time a little later, so that it comes to an end
                continue
            if outcome is OVER:
                break
            came.append(outcome.id)
        assert sorted(came) == sorted(ids)

    @pytest.mark.parametrize("turn", range(1, 8))
    async def test_an_error_survives_a_cancelled_anext(
        self, service: MemoryApi, requests: Requests, turn: int
    ) -> None:
        service.trouble = lambda _: refusal(401)
        service.latency = 1.0
        changes = requests.watch(service.add("a"))
        task = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(1.0)
        await turns(turn)
        task.cancel()
        with pytest.raises((asyncio.CancelledError, AuthenticationError)) as caught:
            await task
        expected = StopAsyncIteration if caught.errisinstance(AuthenticationError) else AuthenticationError
        with pytest.raises(expected):
            await anext(changes)

    async def test_the_timeout_of_a_watch_counts_cancelled_anexts(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        changes = requests.watch(service.add("a"), timeout=10)
        await anext(changes)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(changes), 3)
        with pytest.raises(WaitTimeoutError):
            await anext(changes)
        assert service.elapsed == 10

    async def test_a_cancelled_task_that_is_kept_does_not_keep_the_polls_going(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        async def follow() -> None:
            async for _ in requests.watch(service.add("a")):
                pass

        task = asyncio.create_task(follow())
        await service.until(3.5)
        task.cancel()
        await asyncio.wait([task])
        await turns(3)
        polls = len(service.asked)
        await asyncio.sleep(60)
        assert (task.cancelled(), len(service.asked)) == (True, polls)


class TestEvery:
    async def test_an_unchanged_request_comes_again_after_so_many_seconds(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        id = service.add("a", statuses={float("-inf"): "queued", 35: "processing"}, finishes=60)
        came = [(request.status, service.elapsed) async for request in requests.watch(id, every=15.0)]
        assert came == [
            ("queued", 0),
            ("queued", 15),
            ("queued", 30),
            ("processing", 35),
            ("processing", 50),
            ("completed", 60),
        ]

    async def test_silence_costs_no_poll(self, service: MemoryApi, requests: Requests) -> None:
        id = service.add("a", finishes=10)
        came = [request async for request in requests.watch(id, every=0.3)]
        assert (len(came), len(service.asked)) == (35, 11)

    async def test_silence_lasts_through_cancelled_anexts(self, service: MemoryApi, requests: Requests) -> None:
        changes = requests.watch(service.add("a"), every=15)
        async with aclosing(changes):
            first = await anext(changes)
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(changes), 7)
            assert (await anext(changes), service.elapsed) == (first, 15)

    async def test_a_busy_caller_gets_a_request_once_again_at_most(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        came = []
        async for request in requests.watch(service.add("a", finishes=100), every=1):
            came.append((request.status, service.elapsed))
            await asyncio.sleep(60)
        assert came == [("processing", 0), ("processing", 60), ("completed", 120)]

    async def test_nothing_comes_before_the_first_poll_is_answered(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        service.latency = 19.0
        changes = requests.watch(service.add("a"), every=1)
        async with aclosing(changes):
            await anext(changes)
        assert service.elapsed == 19

    async def test_each_of_many_has_a_silence_of_its_own(self, service: MemoryApi, requests: Requests) -> None:
        ids = [service.add("a", statuses={float("-inf"): "queued", 4: "processing"}, finishes=25), service.add("b")]
        came = [
            (ids.index(outcome.id), outcome.request.status, service.elapsed)
            async for outcome in requests.watch_many(ids, every=10, timeout=30)
            if outcome.request is not None
        ]
        a = [("queued", 0), ("processing", 4), ("processing", 14), ("processing", 24), ("completed", 25)]
        assert [event[1:] for event in came if event[0] == 0] == a
        assert [event[2] for event in came if event[0] == 1][:3] == [0, 10, 20]

    @pytest.mark.parametrize("every", [0, -1, math.nan, math.inf, True, "15"])
    async def test_seconds_that_cannot_work_are_refused_before_anything_is_sent(
        self, service: MemoryApi, requests: Requests, every: Any
    ) -> None:
        with pytest.raises(ConfigurationError, match="every must be"):
            requests.watch(service.add("a"), every=every)
        with pytest.raises(ConfigurationError, match="every must be"):
            requests.watch_many([service.add("b")], every=every)
        assert service.asked == []


class TestWatchMany:
    async def test_each_id_comes_at_first_sight_at_each_change_and_at_its_end(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        ids = [service.add("a", statuses=STAGES, finishes=9), service.add("b", statuses=STAGES, finishes=9)]
        came: dict[str, list[Any]] = {id: [] for id in ids}
        async for outcome in requests.watch_many(ids):
            came[outcome.id].append((outcome.unwrap().status, service.elapsed))
        assert came == dict.fromkeys(ids, CHANGES)

    async def test_an_error_of_one_id_is_its_outcome(self, service: MemoryApi, requests: Requests) -> None:
        ids = [uuid("missing"), "..", service.add("a", finishes=20), service.add("b")]
        ends = {}
        async for outcome in requests.watch_many([*ids, *ids], timeout=30):
            ends[outcome.id] = type(outcome.error or outcome.request)
        errors = [ends[ids[0]], ends[ids[1]], ends[ids[3]]]
        assert errors == [NotFoundError, ConfigurationError, WaitTimeoutError]
        assert len(ends) == 4

    async def test_no_ids_are_no_outcomes(self, service: MemoryApi, requests: Requests) -> None:
        assert [outcome async for outcome in requests.watch_many([])] == []

    async def test_refused_credentials_are_raised(self, service: MemoryApi, requests: Requests) -> None:
        service.trouble = lambda _: refusal(401)
        with pytest.raises(AuthenticationError):
            await anext(requests.watch_many([service.add("a")]))

    async def test_a_single_string_is_refused(self, requests: Requests) -> None:
        with pytest.raises(ConfigurationError, match="ids must be several ids"):
            requests.watch_many("dub-42")


class TestAsAGenerator:
    async def test_two_tasks_cannot_await_the_same_iterator(self, service: MemoryApi, requests: Requests) -> None:
        async with aclosing(requests.watch(service.add("a"))) as changes:
            await anext(changes)
            first = service.meanwhile(anext(changes))
            await turns(1)
            with pytest.raises(RuntimeError, match="another task awaits"):
                await anext(changes)
            await changes.aclose()
            with pytest.raises(StopAsyncIteration):
                await first

    async def test_closing_ends_an_anext_that_is_awaited(self, service: MemoryApi, requests: Requests) -> None:
        changes = requests.watch(service.add("a"))
        await changes.asend(None)
        waiting = service.meanwhile(anext(changes, OVER))
        await turns(1)
        await changes.aclose()
        assert await waiting is OVER
        assert service.elapsed == 0

    async def test_a_closed_iterator_stays_closed(self, service: MemoryApi, requests: Requests) -> None:
        changes = requests.watch(service.add("a"))
        await changes.aclose()
        assert await anext(changes, OVER) is OVER
        await changes.aclose()
        assert service.asked == []

    @pytest.mark.parametrize("thrown", [(LookupError("left"),), (LookupError, LookupError("left")), (LookupError,)])
    async def test_an_exception_thrown_in_closes_it(
        self, service: MemoryApi, requests: Requests, thrown: Any
    ) -> None:
        changes = requests.watch(service.add("a"))
        await anext(changes)
        with pytest.raises(LookupError):
            await changes.athrow(*thrown)
        assert await anext(changes, OVER) is OVER
