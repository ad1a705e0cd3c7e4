"""The subscription of a single wait: what it receives, what ends a pause, and the error of an unanswered poll."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from aioresponses import aioresponses

from chamelaion_async import APITimeoutError, AsyncClient, LipsyncRequest, WaitTimeoutError
from chamelaion_async.loading.snapshot import ReadStamp, Snapshot
from chamelaion_async.polling.plan import make_plan
from chamelaion_async.polling.state import PollState
from chamelaion_async.polling.subscription import WaitSubscription
from tests.support.source import FIXED, STEADY, MemorySource

REQUESTS = "https://api.example.com/api/v1/lipsync/requests"
JOB = str(UUID(int=1))

Subscription = WaitSubscription[LipsyncRequest]


def now() -> float:
    return asyncio.get_running_loop().time()


def snapshot(id: str, status: str, *, is_page: bool = False) -> Snapshot[LipsyncRequest]:
    stamp = ReadStamp(began=now(), at=now(), server_time=None, jitter_draw=0.5, is_page=is_page)
    return Snapshot(LipsyncRequest(id=id, status=status, created_at=datetime(2026, 4, 7, tzinfo=UTC)), stamp)


def subscribe(service: MemorySource, id: str, *, timeout: float | None = None) -> Subscription:
    plan = make_plan(timeout, STEADY, lambda: 0.5, started=now())
    return WaitSubscription(service.loader, PollState(id=id, plan=plan), service.lifecycle.sleep)


@pytest.mark.virtual_time
class TestWaking:
    @pytest.fixture
    async def subscription(self) -> AsyncIterator[Subscription]:
        service = MemorySource()
        made = subscribe(service, *service.add())
        yield made
        await made.aclose()

    async def fell_asleep(self, subscription: Subscription) -> asyncio.Task[None]:
        subscription._state.begin_poll(now())
        await subscription.poll(20.0)
        subscription._state.end_poll(now())
        sleeping = asyncio.create_task(subscription.sleep(100.0))
        await asyncio.sleep(1.0)
        return sleeping

    async def test_a_known_state_does_not_end_a_pause(self, subscription: Subscription) -> None:
        sleeping = await self.fell_asleep(subscription)
        assert subscription._last is not None
        subscription.on_snapshot(subscription._last)
        await asyncio.sleep(1.0)
        assert not sleeping.done()
        await sleeping

    async def test_a_change_ends_the_pause_and_is_taken_once(self, subscription: Subscription) -> None:
        sleeping = await self.fell_asleep(subscription)
        news = snapshot(subscription.id, "completed")
        subscription.on_snapshot(news)
        await asyncio.sleep(0.1)
        assert sleeping.done()
        assert [subscription.take_news(), subscription.take_news()] == [news, None]

    async def test_a_change_in_the_same_turn_as_an_answer_prevents_the_pause(
        self, subscription: Subscription
    ) -> None:
        subscription._state.begin_poll(now())
        polling = asyncio.create_task(subscription.poll(20.0))
        await asyncio.sleep(0)
        for status in ("processing", "completed"):
            subscription.on_snapshot(snapshot(subscription.id, status))
        assert (await polling).request.status == "processing"
        began = now()
        await subscription.sleep(100.0)
        assert now() == began

    async def test_an_error_outside_a_poll_does_not_end_the_pause(self, subscription: Subscription) -> None:
        sleeping = await self.fell_asleep(subscription)
        subscription.on_error(LookupError(), None)
        await asyncio.sleep(1.0)
        assert not sleeping.done()
        await sleeping


@pytest.mark.virtual_time
class TestWhatIsKnown:
    @pytest.mark.parametrize(("after", "is_known"), [(0.5, True), (0.99, True), (1.0, False), (30.0, False)])
    async def test_a_read_of_another_wait_within_the_shortest_interval_is_news_at_once(
        self, after: float, is_known: bool
    ) -> None:
        service = MemorySource()
        (id,) = service.add()
        first = subscribe(service, id)
        first._state.begin_poll(now())
        await first.poll(20.0)
        await asyncio.sleep(after)
        second = subscribe(service, id)
        assert (second.take_news() is not None) is is_known
        for each in (first, second):
            await each.aclose()

    async def test_a_wait_that_polls_once_takes_no_earlier_read(self) -> None:
        service = MemorySource()
        (id,) = service.add()
        first = subscribe(service, id)
        first._state.begin_poll(now())
        await first.poll(20.0)
        second = subscribe(service, id, timeout=0)
        assert second.take_news() is None
        for each in (first, second):
            await each.aclose()

    async def test_a_page_is_news_and_no_answer_to_the_last_poll(self) -> None:
        service = MemorySource(latency=1.0)
        (id,) = service.add()
        subscription = subscribe(service, id, timeout=5.0)
        await asyncio.sleep(5.0)
        subscription._state.begin_poll(now())
        polling = asyncio.create_task(subscription.poll(1.5))
        await asyncio.sleep(0.5)
        subscription.on_snapshot(snapshot(id, "processing", is_page=True))
        assert not polling.done()
        assert not (await polling).stamp.is_page
        await subscription.aclose()


@pytest.mark.virtual_time
class TestWithoutAnAnswer:
    @pytest.mark.parametrize("in_a_batch", [False, True])
    async def test_the_error_of_an_unanswered_poll_names_its_time(self, in_a_batch: bool) -> None:
        service = MemorySource(latency=1000.0)
        (id,) = service.add()
        if in_a_batch:
            verdict: Any = (await service.follow([id], timeout=5.0))[id].error
        else:
            (verdict,) = await service.wait_for([id], timeout=5.0)
        assert isinstance(verdict, WaitTimeoutError)
        error = verdict.last_error
        assert isinstance(error, APITimeoutError)
        assert str(error) == f"the poll of {id} was not answered within the 5 s that were left"
        assert (error.sent, error.method, error.path, service.elapsed) == ("maybe", "GET", id, 5.0)

    @pytest.mark.parametrize("in_a_batch", [False, True])
    async def test_the_error_of_a_poll_that_never_left_the_queue_says_so(self, in_a_batch: bool) -> None:
        service = MemorySource(at_once=1, latency=100.0)
        long, short = service.add(2, is_listed=False)
        waiting = service.start(long)
        await asyncio.sleep(1.0)
        if in_a_batch:
            verdict: Any = (await service.follow([short], timeout=5.0, policy=FIXED))[short].error
        else:
            (verdict,) = await service.wait_for([short], timeout=5.0)
        assert isinstance(verdict.last_error, APITimeoutError)
        assert "could not be sent, for the rate limit or calls before it" in str(verdict.last_error)
        assert verdict.last_error.sent == "no"
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_the_error_of_a_wait_names_the_id_as_it_was_given(client: AsyncClient, mock: aioresponses) -> None:
    record = {"id": JOB, "status": "processing", "created_at": "2026-04-07T10:00:00Z", "reference_id": "dub-42"}
    mock.get(f"{REQUESTS}/dub-42", payload=record)
    with pytest.raises(WaitTimeoutError, match=r"^request dub-42 is still processing after ") as caught:
        await client.lipsync.requests.wait_until_finished("dub-42", timeout=0)
    assert caught.value.id == "dub-42"
    assert caught.value.last is not None
    assert caught.value.last.id == JOB
