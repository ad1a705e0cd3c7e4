"""``client.drain()``: waits end, no new ones begin, and calls go on."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from chamelaion_async import AsyncClient, ClientClosedError, PollPolicy, WaitTimeoutError
from chamelaion_async.loading.slices import SLICE
from tests.support.api import MemoryApi, Requests, refusal, requests_of
from tests.support.loops import turns

pytestmark = pytest.mark.virtual_time

FOLLOW = pytest.mark.parametrize(
    "follow",
    [
        lambda requests, name: requests.watch(name),
        lambda requests, name: requests.watch(name, every=100),
        lambda requests, name: requests.watch_many([name]),
        lambda requests, name: requests.as_finished([name]),
    ],
    ids=["watch", "watch every 100 s", "watch_many", "as_finished"],
)
AWAIT = pytest.mark.parametrize(
    "call",
    [
        lambda requests, name: requests.wait_until_finished(name, timeout=None),
        lambda requests, name: requests.wait_all([name]),
    ],
    ids=["wait_until_finished", "wait_all"],
)

Follow = Callable[[Requests, str], AsyncGenerator[Any, None]]


async def statuses(items: AsyncGenerator[Any, None]) -> list[str]:
    return [getattr(item, "request", item).status async for item in items]


@pytest.mark.parametrize("latency", [0.0, 1.0], ids=["in a pause", "in a poll"])
@FOLLOW
async def test_draining_ends_an_iterator_quietly(
    service: MemoryApi, client: AsyncClient, requests: Requests, follow: Follow, latency: float
) -> None:
    following = service.meanwhile(statuses(follow(requests, service.add("a"))))
    await service.until(5.5)
    service.latency = 1000 * latency
    await service.until(7.5)
    client.drain()
    came = await following
    assert came in ([], ["processing"])
    assert (service.elapsed, service.under_way) == (7.5, 0)


@pytest.mark.parametrize("latency", [0.0, 1.0], ids=["in a pause", "in a poll"])
@AWAIT
async def test_draining_ends_a_wait_with_an_error(
    service: MemoryApi, client: AsyncClient, requests: Requests, call: Any, latency: float
) -> None:
    waiting = service.meanwhile(call(requests, service.add("a")))
    await service.until(5.5)
    service.latency = 1000 * latency
    await service.until(7.5)
    client.drain()
    with pytest.raises(ClientClosedError, match="draining"):
        await waiting
    assert (service.elapsed, service.under_way) == (7.5, 0)


async def test_draining_ends_a_wait_during_an_outage(
    service: MemoryApi, client: AsyncClient, requests: Requests
) -> None:
    service.trouble = lambda _: refusal(503)
    waiting = service.meanwhile(requests.wait_until_finished(service.add("a")))
    await service.until(5.5)
    client.drain()
    with pytest.raises(ClientClosedError, match="draining"):
        await waiting
    assert service.elapsed == 5.5


async def test_draining_ends_a_wait_before_its_first_poll(
    service: MemoryApi, client: AsyncClient, requests: Requests
) -> None:
    waiting = service.meanwhile(requests.wait_until_finished(service.add("a")))
    client.drain()
    with pytest.raises(ClientClosedError, match="draining"):
        await waiting
    assert service.asked == []


@pytest.mark.parametrize("seconds", [0.5, 10])
async def test_draining_ends_a_wait_once_on_update_returns(
    service: MemoryApi, client: AsyncClient, requests: Requests, seconds: float
) -> None:
    seen = []

    async def store(request: Any) -> None:
        await asyncio.sleep(seconds)
        seen.append(request.status)

    waiting = service.meanwhile(requests.wait_until_finished(service.add("a"), on_update=store))
    await service.until(seconds / 2)
    client.drain()
    with pytest.raises(ClientClosedError, match="draining"):
        await waiting
    assert (seen, service.elapsed) == (["processing"], seconds)


async def test_what_was_read_before_comes_out_first(
    service: MemoryApi, client: AsyncClient, requests: Requests
) -> None:
    ids = [service.add(name, finishes=end) for name, end in {"a": 1, "b": 2, "c": 60}.items()]
    came = []

    async def consume() -> None:
        async for outcome in requests.as_finished(ids):
            came.append(outcome.id)
            await service.until(10)

    consuming = service.meanwhile(consume())
    await service.until(5)
    client.drain()
    await consuming
    assert (came, service.elapsed) == (ids[:2], 10)


async def test_no_wait_that_has_ended_is_kept_to_be_drained(
    service: MemoryApi, client: AsyncClient, requests: Requests
) -> None:
    id, other = service.add("a", finishes=3), service.add("b")
    await requests.wait_until_finished(id)
    await requests.wait_all([id, other], timeout=5)
    assert await statuses(requests.watch(id)) == ["completed"]
    left, failed = requests.watch(other), requests.watch(other, timeout=5)
    await anext(left)
    await left.aclose()
    with pytest.raises(WaitTimeoutError):
        await statuses(failed)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(requests.wait_until_finished(other), 5)
    polls = [family.polls for family in client._common.families if family.has_polls]
    assert [each._waits._waits for each in polls] == [set()]


async def test_very_many_waits_end_in_slices(service: MemoryApi, client: AsyncClient, requests: Requests) -> None:
    count = 3 * SLICE
    waiting = [service.meanwhile(requests.wait_until_finished(id)) for id in service.add_many(count)]
    await service.until(5.5)
    client.drain()
    await turns(3)
    assert 0 < sum(task.done() for task in waiting) <= 2 * SLICE
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(result) for result in results} == {ClientClosedError}
    assert len({id(result) for result in results}) == count
    assert service.elapsed == 5.5


@FOLLOW
async def test_a_draining_client_refuses_a_new_iterator(
    service: MemoryApi, client: AsyncClient, requests: Requests, follow: Follow
) -> None:
    made_before = follow(requests, service.add("a"))
    client.drain()
    for items in (made_before, follow(requests, service.add("b"))):
        with pytest.raises(ClientClosedError, match="begins no new ones"):
            await anext(items)
    assert service.asked == []


@AWAIT
async def test_a_draining_client_refuses_a_new_wait(
    service: MemoryApi, client: AsyncClient, requests: Requests, call: Any
) -> None:
    client.drain()
    with pytest.raises(ClientClosedError, match="begins no new ones"):
        await call(requests, service.add("a"))
    assert service.asked == []


async def test_calls_under_way_and_new_ones_go_on(
    service: MemoryApi, client: AsyncClient, requests: Requests
) -> None:
    service.latency = 1.0
    ids = service.add_many(5)
    calls = [service.meanwhile(requests.get(ids[0])), service.meanwhile(requests.get_many(ids))]
    await service.until(0.5)
    client.drain()
    request, outcomes = await asyncio.gather(*calls)
    assert (request.status, len(outcomes)) == ("processing", 5)
    assert len(await requests.get_many(ids)) == 5


async def test_a_retry_of_a_call_goes_on(service: MemoryApi, client: AsyncClient, requests: Requests) -> None:
    id = service.add("a")
    service.trouble = lambda _: refusal(503) if len(service.asked) == 1 else None
    call = service.meanwhile(requests.get(id))
    await turns(5)
    client.drain()
    assert (await call).id == id


async def test_all_views_and_families_drain_together(client: AsyncClient, service: MemoryApi) -> None:
    view = client.with_options(timeout=5)
    id = service.add("a")
    waiting = service.meanwhile(requests_of(view, service.family).wait_until_finished(id))
    await service.until(1.5)
    client.drain()
    with pytest.raises(ClientClosedError):
        await waiting
    assert view.is_draining
    for family in (client.lipsync, client.video_translate):
        with pytest.raises(ClientClosedError, match="begins no new ones"):
            await family.requests.wait_until_finished(id)


async def test_a_client_that_was_never_used_may_drain(client: AsyncClient) -> None:
    client.drain()
    client.drain()
    assert (client.is_draining, client.is_closed) == (True, False)


async def test_a_closed_client_is_draining_too(client: AsyncClient) -> None:
    assert not client.is_draining
    await client.aclose()
    assert client.is_draining


async def test_a_closed_client_says_that_it_is_closed(client: AsyncClient, requests: Requests) -> None:
    client.drain()
    await client.aclose()
    client.drain()
    assert client.is_draining
    with pytest.raises(ClientClosedError, match="is closed"):
        await requests.wait_until_finished("a")


def test_a_loop_that_has_ended_is_no_error() -> None:
    async def leave() -> AsyncClient:
        client = AsyncClient("sk-test-key", base_url="http://127.0.0.1:9")
        await client.__aenter__()
        return client

    asyncio.run(leave()).drain()


async def wait_and(drain: Callable[[AsyncClient], None]) -> str:
    """Wait on a service that does not answer, let something drain the client, and return how the wait ended."""
    policy = PollPolicy(outage_budget=3600.0, min_interval=3600.0, max_interval=3600.0)
    async with AsyncClient("sk-test-key", base_url="http://127.0.0.1:9", polling=policy) as client:
        drain(client)
        with pytest.raises(ClientClosedError) as caught:
            await client.wait_until_finished("a", timeout=None)
    return str(caught.value)


def test_a_signal_handler_wakes_a_loop_that_sleeps() -> None:
    def drain(client: AsyncClient) -> None:
        signal.signal(signal.SIGALRM, lambda *_: client.drain())
        signal.setitimer(signal.ITIMER_REAL, 0.2)

    before = signal.getsignal(signal.SIGALRM)
    try:
        assert "draining" in asyncio.run(wait_and(drain))
    finally:
        signal.signal(signal.SIGALRM, before)


def test_another_thread_may_drain() -> None:
    threads = []

    def drain(client: AsyncClient) -> None:
        threads.append(threading.Timer(0.2, client.drain))
        threads[0].start()

    assert "draining" in asyncio.run(wait_and(drain))
    threads[0].join()
