"""Leaving a batch before its end, in every way there is: nothing is left of it, and the client stays usable.

That no task, no timer and no unheard error is left is checked after every test of this folder.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

import pytest

from chamelaion_async import AsyncClient, ClientClosedError
from tests.support.api import MemoryApi, Requests, refusal, unfinished_timers
from tests.support.loops import turns

pytestmark = pytest.mark.virtual_time

MANY = 1200
"""More than one slice of ids."""

Outcomes = AsyncGenerator[Any, None]


async def closing(outcomes: Outcomes) -> None:
    async with aclosing(outcomes):
        async for _ in outcomes:
            break


async def asking_it_to_close(outcomes: Outcomes) -> None:
    async for _ in outcomes:
        break
    await outcomes.aclose()


async def breaking(outcomes: Outcomes) -> None:
    async for _ in outcomes:
        break


async def failing(outcomes: Outcomes) -> None:
    with suppress(LookupError):
        async with aclosing(outcomes):
            async for _ in outcomes:
                raise LookupError


async def running_out_of_time(outcomes: Outcomes) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(3.5):
            async for _ in outcomes:
                pass


async def running_out_of_time_in_the_body(outcomes: Outcomes) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(3.5), aclosing(outcomes):
            async for _ in outcomes:
                await asyncio.sleep(1000)


async def being_cancelled(outcomes: Outcomes) -> None:
    async def consume() -> None:
        async for _ in outcomes:
            pass

    await cancel_after(3.5, asyncio.create_task(consume()))


async def cancel_after(seconds: float, task: asyncio.Task[Any]) -> None:
    await asyncio.sleep(seconds)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


LEAVING = pytest.mark.parametrize(
    "leave",
    [
        closing,
        asking_it_to_close,
        breaking,
        failing,
        running_out_of_time,
        running_out_of_time_in_the_body,
        being_cancelled,
    ],
    ids=lambda function: function.__name__,
)
Leave = Callable[[Outcomes], Awaitable[None]]


@LEAVING
async def test_after_leaving_nothing_is_polled(service: MemoryApi, requests: Requests, leave: Leave) -> None:
    ids = [service.add("first", finishes=2), *service.add_many(150)]

    await leave(requests.as_finished(ids))
    gc.collect()
    await turns(3)  # the loop lets go of a cancelled future, makes the task that ends the polls, and runs it
    left_behind = (asyncio.all_tasks() - {asyncio.current_task()}, unfinished_timers())
    asked = len(service.asked)
    await asyncio.sleep(3600)

    assert left_behind == (set(), [])
    assert len(service.asked) == asked


@LEAVING
async def test_leaving_cancels_the_reads_under_way(service: MemoryApi, requests: Requests, leave: Leave) -> None:
    ids = [service.add("first", finishes=-1), service.add("second")]
    service.trouble = lambda asked: setattr(service, "latency", 3600.0)

    await leave(requests.as_finished(ids))
    gc.collect()
    await turns(4)

    assert service.under_way == 0


@LEAVING
async def test_after_leaving_the_client_stays_usable(service: MemoryApi, requests: Requests, leave: Leave) -> None:
    ids = [service.add("first", finishes=2), service.add("second", finishes=30)]

    await leave(requests.as_finished(ids))
    outcomes = await requests.wait_all(ids)

    assert all(outcome.unwrap().is_completed for outcome in outcomes.values())


@LEAVING
async def test_leaving_does_not_affect_another_batch(service: MemoryApi, requests: Requests, leave: Leave) -> None:
    ids = [service.add("first", finishes=2), service.add("second", finishes=30)]
    neighbour = service.meanwhile(requests.wait_all(ids))

    await leave(requests.as_finished(ids))

    assert all(outcome.unwrap().is_completed for outcome in (await neighbour).values())
    assert service.elapsed == 30


async def test_a_batch_that_is_never_iterated_polls_nothing(service: MemoryApi, requests: Requests) -> None:
    requests.as_finished([service.add("a")])
    gc.collect()
    await turns(2)

    assert service.asked == []


@pytest.mark.parametrize("turn", range(8))
async def test_a_batch_may_be_cancelled_while_it_begins(service: MemoryApi, requests: Requests, turn: int) -> None:
    waiting = service.meanwhile(requests.wait_all(service.add_many(MANY)))
    await turns(turn)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    asked = len(service.asked)
    await asyncio.sleep(60)

    assert len(service.asked) == asked


@pytest.mark.parametrize("turn", range(1, 4))
async def test_a_batch_may_be_cancelled_again_while_it_ends(
    service: MemoryApi, requests: Requests, turn: int
) -> None:
    ids = service.add_many(MANY)
    waiting = service.meanwhile(requests.wait_all(ids))
    await service.until(5)
    waiting.cancel()
    await turns(turn)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    asked = len(service.asked)
    for id in ids:
        requests.nudge(id)
    await asyncio.sleep(60)

    assert len(service.asked) == asked


@LEAVING
async def test_a_batch_may_be_left_during_a_retry_after(service: MemoryApi, requests: Requests, leave: Leave) -> None:
    ids = [service.add("first", finishes=-1), *service.add_many(150)]
    service.trouble = lambda asked: refusal(429, Retry_After="60") if len(service.asked) == 2 else None

    await leave(requests.as_finished(ids))
    gc.collect()
    await turns(3)

    assert unfinished_timers() == []


async def test_wait_all_and_get_many_may_be_cancelled(service: MemoryApi, requests: Requests) -> None:
    service.latency = 3600.0
    ids = service.add_many(150)

    for waiting in (requests.wait_all(ids), requests.get_many(ids)):
        await cancel_after(1, asyncio.create_task(waiting))
        assert service.under_way == 0


async def test_a_watch_may_be_left(service: MemoryApi, requests: Requests) -> None:
    id = service.add("a")

    async for request in requests.watch(id):
        assert request.status == "processing"
        break
    gc.collect()
    await turns(3)
    await asyncio.sleep(60)

    assert len(service.asked) == 1


class TestClosingTheClient:
    async def test_closing_the_client_ends_a_batch_at_once(
        self, service: MemoryApi, client: AsyncClient, requests: Requests
    ) -> None:
        waiting = [
            service.meanwhile(requests.wait_all(service.add_many(MANY))),
            service.meanwhile(anext(requests.watch(service.add("a")))),
        ]
        await service.until(5)
        await client.aclose()

        results = await asyncio.gather(*waiting, return_exceptions=True)

        assert isinstance(results[0], ClientClosedError)
        assert service.elapsed == 5

    async def test_closing_the_client_ends_a_batch_during_a_poll(
        self, service: MemoryApi, client: AsyncClient, requests: Requests
    ) -> None:
        service.latency = 3600.0
        waiting = service.meanwhile(requests.get_many(service.add_many(MANY)))
        await service.until(5)
        await client.aclose()

        with pytest.raises(ClientClosedError):
            await waiting
        assert (service.elapsed, service.under_way) == (5, 0)

    async def test_a_busy_consumer_receives_earlier_outcomes_after_the_close(
        self, service: MemoryApi, client: AsyncClient, requests: Requests
    ) -> None:
        ids = [service.add(name, finishes=end) for name, end in {"a": 1, "b": 2, "c": 60}.items()]
        came = []

        async def consume() -> None:
            async for outcome in requests.as_finished(ids):
                came.append(outcome.id)
                await service.until(10)

        consuming = service.meanwhile(consume())
        await service.until(5)
        await client.aclose()

        with pytest.raises(ClientClosedError):
            await consuming
        assert came == ids[:2]
