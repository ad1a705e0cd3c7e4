"""Following one request from change to change."""

from __future__ import annotations

import asyncio

import pytest

from chamelaion_async import (
    AuthenticationError,
    ConfigurationError,
    NotFoundError,
    PollPolicy,
    WaitTimeoutError,
    WaitUnreachableError,
)
from tests.support.api import MemoryApi, Requests, each, refusal, uuid

pytestmark = pytest.mark.virtual_time

STAGES = {float("-inf"): "queued", 3: "uploading", 6: "processing"}


async def test_a_watch_yields_the_first_read_and_each_change_and_ends_when_finished(
    service: MemoryApi, requests: Requests
) -> None:
    id = service.add("a", statuses=STAGES, finishes=9)

    seen = [(request.status, service.elapsed) async for request in requests.watch(id)]

    assert seen == [("queued", 0), ("uploading", 3), ("processing", 6), ("completed", 9)]
    assert service.polls == [float(second) for second in range(10)]


async def test_a_finished_request_comes_out_once(service: MemoryApi, requests: Requests) -> None:
    id = service.add("a", finishes=-1, as_="failed")

    seen = [request.status async for request in requests.watch(id)]

    assert (seen, service.polls) == (["failed"], [0])


async def test_changes_while_the_consumer_is_busy_are_kept_in_order(service: MemoryApi, requests: Requests) -> None:
    id = service.add("a", statuses=STAGES, finishes=9)
    seen = []

    async for request in requests.watch(id):
        seen.append((request.status, service.elapsed))
        await asyncio.sleep(30)

    assert seen == [("queued", 0), ("uploading", 30), ("processing", 60), ("completed", 90)]


async def test_two_watches_of_one_request_each_yield_all_changes(service: MemoryApi, requests: Requests) -> None:
    id = service.add("a", statuses=STAGES, finishes=9)

    async def follow() -> list[str]:
        return [request.status async for request in requests.watch(id)]

    seen = [*await asyncio.gather(follow(), follow())]

    assert seen == [["queued", "uploading", "processing", "completed"]] * 2
    assert len(service.asked) == 10


async def test_a_later_watch_begins_with_the_present_status(service: MemoryApi, requests: Requests) -> None:
    id = service.add("a", statuses=STAGES, finishes=9)
    first = service.meanwhile(requests.wait_until_finished(id))
    await service.until(4.5)

    seen = [(request.status, service.elapsed) async for request in requests.watch(id)]

    assert seen == [("uploading", 4.5), ("processing", 6), ("completed", 9)]
    await first


async def test_a_watch_raises_at_the_deadline(service: MemoryApi, requests: Requests) -> None:
    id = service.add("a", statuses=STAGES)
    seen: list[str] = []

    with pytest.raises(WaitTimeoutError) as caught:
        await each(requests.watch(id, timeout=4.5), lambda request: seen.append(request.status))

    assert seen == ["queued", "uploading"]
    assert (service.elapsed, service.polls[-1]) == (4.5, 4.5)
    error = caught.value
    assert error.last is not None
    assert (error.id, error.last.status, error.elapsed) == (id, "uploading", 4.5)


async def test_an_unknown_id_is_raised_after_the_grace(service: MemoryApi, requests: Requests) -> None:
    with pytest.raises(NotFoundError):
        await anext(requests.watch(uuid("missing")))

    assert service.elapsed == 5


async def test_an_outage_is_raised_after_the_budget(service: MemoryApi, requests: Requests) -> None:
    id = service.add("a")
    service.trouble = lambda asked: refusal(503) if asked.at > 3 else None
    policy = PollPolicy(max_interval=1.0, outage_budget=20.0)
    seen: list[str] = []

    with pytest.raises(WaitUnreachableError):
        await each(requests.watch(id, polling=policy), lambda request: seen.append(request.status))

    assert seen == ["processing"]
    assert 23 <= service.elapsed <= 24


async def test_refused_credentials_are_raised(service: MemoryApi, requests: Requests) -> None:
    service.trouble = lambda _: refusal(401)

    with pytest.raises(AuthenticationError):
        await anext(requests.watch(uuid("a")))


@pytest.mark.parametrize("bad", ["", "..", "x" * 513], ids=["empty", "dots", "long"])
async def test_an_impossible_id_is_refused_before_the_first_iteration(
    service: MemoryApi, requests: Requests, bad: str
) -> None:
    with pytest.raises(ConfigurationError):
        requests.watch(bad)

    assert service.asked == []
