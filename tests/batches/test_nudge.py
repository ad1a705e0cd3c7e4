"""Polling now: a webhook brings the next poll forward, and is not believed."""

from __future__ import annotations

import asyncio

import pytest

from chamelaion_async import AsyncClient, PollPolicy
from tests.support.api import FamilyName, MemoryApi, Requests, each, requests_of, uuid
from tests.support.loops import turns

pytestmark = pytest.mark.virtual_time

LIPSYNC = pytest.mark.parametrize("family", ["lipsync"], indirect=True)
RARELY = PollPolicy(min_interval=60.0, max_interval=60.0)


async def test_a_nudge_polls_at_once(service: MemoryApi, requests: Requests) -> None:
    id = service.add("a", finishes=12)
    waiting = [
        service.meanwhile(requests.wait_all([id, service.add("b", finishes=-1)], polling=RARELY)),
        service.meanwhile(requests.wait_until_finished(id, polling=RARELY)),
    ]
    await service.until(12.5)
    requests.nudge(id)

    await asyncio.gather(*waiting)

    assert service.elapsed == 12.5
    assert len(service.asked) == 2


async def test_a_job_that_goes_on_is_polled_again_after_a_whole_pause(service: MemoryApi, requests: Requests) -> None:
    id = service.add("a", finishes=70)
    waiting = service.meanwhile(requests.wait_all([id], polling=RARELY))
    await service.until(12.5)
    requests.nudge(id)
    await waiting

    assert service.polls == [0, 12.5, 72.5]


async def test_a_nudge_polls_one_id_alone(service: MemoryApi, requests: Requests) -> None:
    a, b = service.add("a", finishes=1), service.add("b", finishes=1)
    came: list[tuple[str, float]] = []
    await requests.get_many([service.add("elsewhere")])

    outcomes = requests.as_finished([a], polling=RARELY)
    waiting = service.meanwhile(each(outcomes, lambda outcome: came.append((outcome.id, service.elapsed))))
    await service.until(5)
    requests.nudge(b)
    await service.until(6)
    assert came == []
    requests.nudge(a)
    await waiting

    assert came == [(a, 6)]


class TestNames:
    @LIPSYNC
    @pytest.mark.parametrize("by", ["reference", "uuid"])
    async def test_a_wait_by_reference_is_nudged_by_either_name(
        self, service: MemoryApi, requests: Requests, by: str
    ) -> None:
        id = service.add("a", finishes=12, reference="dub-42")
        waiting = service.meanwhile(requests.wait_all(["dub-42"], polling=RARELY))
        await service.until(12.5)
        requests.nudge("dub-42" if by == "reference" else id)
        await waiting

        assert service.elapsed == 12.5

    @pytest.mark.parametrize("stranger", [uuid("stranger"), "dub-99", "", "..", "\ud800"])
    async def test_a_nudge_of_an_unknown_id_does_nothing(
        self, service: MemoryApi, requests: Requests, stranger: str
    ) -> None:
        id = service.add("a", finishes=60)
        waiting = service.meanwhile(requests.wait_all([id], polling=RARELY))
        await service.until(12.5)
        requests.nudge(stranger)
        await waiting

        assert service.polls == [0, 60]

    @LIPSYNC
    async def test_a_nudge_after_the_end_does_nothing(self, service: MemoryApi, requests: Requests) -> None:
        id = service.add("a", finishes=-1, reference="dub-42")
        await requests.wait_all([id, "dub-42"])
        asked = len(service.asked)

        for name in (id, "dub-42"):
            requests.nudge(name)
        await asyncio.sleep(60)

        assert len(service.asked) == asked


class TestClients:
    async def test_a_nudge_of_an_unused_client_does_nothing(self, service: MemoryApi, requests: Requests) -> None:
        requests.nudge(uuid("a"))
        await asyncio.sleep(60)

        assert service.asked == []

    async def test_a_nudge_of_a_closed_client_does_nothing(
        self, service: MemoryApi, client: AsyncClient, requests: Requests
    ) -> None:
        await requests.get_many([service.add("a")])
        await client.aclose()

        requests.nudge(uuid("a"))
        await asyncio.sleep(60)

        assert len(service.asked) == 1

    async def test_a_view_nudges_the_waits_of_all_views(
        self, service: MemoryApi, family: FamilyName, client: AsyncClient
    ) -> None:
        id = service.add("a", finishes=12)
        waiting = service.meanwhile(requests_of(client, family).wait_all([id], polling=RARELY))
        await service.until(12.5)
        requests_of(client.with_options(timeout=5.0), family).nudge(id)
        await waiting

        assert service.elapsed == 12.5


def test_a_nudge_without_a_loop_does_nothing() -> None:
    AsyncClient("k").lipsync.requests.nudge("dub-42")


async def test_a_nudge_may_come_from_another_thread(service: MemoryApi, requests: Requests) -> None:
    id = service.add("a", finishes=12)
    waiting = service.meanwhile(requests.wait_all([id], polling=RARELY))
    await service.until(12.5)
    await asyncio.to_thread(requests.nudge, id)
    await waiting

    assert service.elapsed == 12.5


async def test_a_nudge_during_a_poll_polls_once_more(service: MemoryApi, requests: Requests) -> None:
    """What is under way may have been answered before the job ended."""
    service.latency = 2.0
    id = service.add("a", finishes=10)
    waiting = service.meanwhile(requests.wait_all([id], polling=PollPolicy(min_interval=9.0, max_interval=9.0)))
    await service.until(1.5)
    requests.nudge(id)
    await service.until(3.5)
    requests.nudge(id)
    await waiting

    assert service.polls[:3] == [0, 2, 4]


@pytest.mark.parametrize("pauses", [0, 10], ids=["in one turn of the loop", "while a poll is under way"])
async def test_many_nudges_cost_two_polls_at_most(service: MemoryApi, requests: Requests, pauses: int) -> None:
    id = service.add("a", finishes=100)
    waiting = service.meanwhile(requests.wait_all([id], polling=RARELY))
    await service.until(10)
    service.latency = 2.0
    asked = len(service.asked)
    for number in range(1000):
        requests.nudge(id)
        if pauses and not number % 100:
            await turns(pauses)
    await service.until(30)

    assert 1 <= len(service.asked) - asked <= 2
    await waiting


async def test_a_nudge_alone_yields_nothing(service: MemoryApi, requests: Requests) -> None:
    id = service.add("a", finishes=40)
    seen: list[tuple[str, float]] = []

    changes = requests.watch(id, polling=RARELY)
    following = service.meanwhile(each(changes, lambda request: seen.append((request.status, service.elapsed))))
    await service.until(10)
    requests.nudge(id)
    await following

    assert seen == [("processing", 0), ("completed", 70)]
