"""Reads that several clients on one account share: what is sent once, and what each does when another one fails."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from statistics import fmean
from typing import Any, cast

import attrs
import pytest

from chamelaion_async import AsyncClient, ConfigurationError, Outcome, Pace, PollPolicy, WaitTimeoutError
from chamelaion_async._http.paging import PAGE_SIZE
from chamelaion_async.loading.entries import Read
from chamelaion_async.loading.shared_reads import SharedReads
from chamelaion_async.models import RawResponse
from chamelaion_async.sharing import Membership
from tests.support.api import Asked, MemoryApi, answering, refusal
from tests.support.shared import MemoryShared, now

pytestmark = pytest.mark.virtual_time

BASE_URL = "https://api.example.com/api"
LATENCY = 0.3
JOBS = 1000
STEADY = PollPolicy(max_interval=1.0, jitter=0.0, learn=False)


@attrs.define
class Replicas:
    """Clients of one service, as if each were in a process of its own."""

    api: MemoryApi
    shared: MemoryShared
    stack: AsyncExitStack

    async def add(self, *, polling: PollPolicy = STEADY, shared: bool = True, **options: Any) -> AsyncClient:
        engine = self.shared if shared else None
        client = AsyncClient("sk-test-key", base_url=BASE_URL, polling=polling, shared=engine, **options)
        return await self.stack.enter_async_context(client)

    async def learn_how_long_answers_take(self, clients: list[AsyncClient]) -> None:
        """Before its first answer, a client waits for others for a moment only."""
        known = self.ends("known", 0.0)
        for client in clients:
            await client.wait_until_finished(known)
        self.api.asked.clear()
        self.api.began = asyncio.get_running_loop().time()

    def ends(self, name: str, at: float) -> str:
        return self.api.add(name, finishes=at)


@pytest.fixture
async def replicas() -> AsyncIterator[Replicas]:
    api = MemoryApi("lipsync", latency=LATENCY)
    async with AsyncExitStack() as stack:
        stack.enter_context(answering(api.request))
        yield Replicas(api, MemoryShared(latency=0.001), stack)


async def finished(client: AsyncClient, ids: list[str], see: Callable[[Outcome[Any]], object] = id) -> int:
    """Wait for all of these, and count the good outcomes."""
    count = 0
    async for outcome in client.lipsync.requests.as_finished(ids, timeout=600):
        see(outcome)
        count += outcome.unwrap().is_finished
    return count


def fail_gets(replicas: Replicas, how: Callable[[Asked], Any]) -> None:
    replicas.api.trouble = lambda asked: None if asked.id is None else how(asked)


async def test_clients_that_wait_for_one_job_send_each_poll_once(replicas: Replicas) -> None:
    clients = [await replicas.add() for _ in range(4)]
    id = replicas.ends("one", 20.0)
    await asyncio.gather(*(client.wait_until_finished(id) for client in clients))
    shared = len(replicas.api.asked)

    alone = MemoryApi("lipsync", latency=LATENCY)
    with answering(alone.request):
        one = await replicas.add(shared=False)
        await one.wait_until_finished(alone.add("one", finishes=20.0))
    assert shared <= 1.2 * len(alone.asked)


async def test_a_page_that_one_client_reads_ends_the_waits_of_all(replicas: Replicas) -> None:
    clients = [await replicas.add() for _ in range(4)]
    ids = [replicas.ends(f"job-{number}", 5.0) for number in range(PAGE_SIZE)]
    parts = [ids[number::4] for number in range(4)]
    assert await asyncio.gather(*map(finished, clients, parts)) == [len(part) for part in parts]
    assert len(replicas.api.asked) <= 16
    assert replicas.api.elapsed < 5.0 + 1.0 + 2 * LATENCY + 0.1


@pytest.mark.parametrize(("count", "rate"), [(4, None), (4, 20.0), (8, 5.0)])
async def test_replicas_cost_no_more_than_one(replicas: Replicas, count: int, rate: float | None) -> None:
    random.seed(1)  # of the jitter
    replicas.shared.max_rate = rate
    ends = {replicas.ends(f"job-{number}", number * 7.3 % 30): number * 7.3 % 30 for number in range(JOBS)}
    ids, delays = list(ends), list[float]()

    def see(outcome: Outcome[Any]) -> None:
        delays.append(replicas.api.elapsed - ends[outcome.id])

    clients = [await replicas.add(polling=PollPolicy()) for _ in range(count)]
    await asyncio.gather(*(finished(client, ids[number::count], see) for number, client in enumerate(clients)))
    requests, shared = len(replicas.api.asked), fmean(delays)

    replicas.api = api = MemoryApi("lipsync", latency=LATENCY)
    delays.clear()
    for number in range(JOBS):
        api.add(f"job-{number}", finishes=number * 7.3 % 30)
    with answering(api.request):
        one = await replicas.add(polling=PollPolicy(), shared=False, pace=Pace(max_rate=rate))
        await finished(one, ids, see)
    assert requests <= (1.25 if rate is None else 1.1) * len(api.asked)
    assert shared <= 1.25 * fmean(delays)


async def test_a_client_without_peers_claims_and_publishes_nothing(replicas: Replicas) -> None:
    client = await replicas.add()
    await client.wait_until_finished(replicas.ends("one", 3.0))
    assert (replicas.shared.claimed, replicas.shared.sent) == ([], [])


async def test_a_read_that_waits_for_another_client_leaves_its_permit(replicas: Replicas) -> None:
    replicas.shared.max_rate = 1.0
    replicas.api.latency = 0.1
    first, second = await replicas.add(), await replicas.add()
    id, other = replicas.ends("one", 0.0), replicas.ends("other", 0.0)
    await asyncio.gather(*(client.wait_until_finished(id) for client in (first, second)))
    await first.wait_until_finished(other)
    assert len(replicas.api.asked) == 2
    assert replicas.api.elapsed <= 1.5


async def test_a_failed_read_is_read_by_the_next_client(replicas: Replicas) -> None:
    first, second = await replicas.add(), await replicas.add()
    id = replicas.ends("one", 0.0)
    answers = iter([refusal(500)])
    replicas.api.trouble = lambda _: next(answers, None)
    await asyncio.gather(first.wait_until_finished(id), second.wait_until_finished(id))
    assert replicas.api.polls[:2] == pytest.approx([0.0, LATENCY], abs=0.05)


async def test_a_client_that_dies_holds_up_the_others_for_two_seconds_at_most(replicas: Replicas) -> None:
    first, second = await replicas.add(), await replicas.add()
    third = await replicas.add()
    id = replicas.ends("one", 1.5)
    dying = asyncio.create_task(first.wait_until_finished(id))
    await replicas.api.until(0.1)
    replicas.shared.members[0].die()
    await asyncio.gather(second.wait_until_finished(id), third.wait_until_finished(id))
    assert replicas.api.elapsed <= 1.5 + 2.0 + 2 * LATENCY
    dying.cancel()


async def test_a_read_that_hangs_elsewhere_is_sent_here_once_it_is_late(replicas: Replicas) -> None:
    """The first client's connection hangs; the service answers everything else."""
    first, second = await replicas.add(), await replicas.add()
    id = replicas.ends("one", 0.0)
    hanging = replicas.api.request

    async def request(method: str, url: Any, **options: Any) -> Any:
        if not replicas.api.asked:
            replicas.api.asked.append(Asked(at=0.0, id=id, offset=None))
            await asyncio.sleep(15)
        return await hanging(method, url, **options)

    with answering(request):
        waits = [asyncio.create_task(first.wait_until_finished(id))]
        await asyncio.sleep(0.05)
        await second.wait_until_finished(id)
    assert replicas.api.elapsed < 0.05 + 0.3 + 2 * LATENCY
    await asyncio.gather(*waits)


async def test_when_the_engine_goes_what_waits_is_read_at_once(replicas: Replicas) -> None:
    replicas.api.latency = 5.0
    first, second = await replicas.add(), await replicas.add()
    await replicas.learn_how_long_answers_take([first, second])
    id = replicas.ends("one", 0.0)
    waits = [asyncio.create_task(client.wait_until_finished(id)) for client in (first, second)]
    await replicas.api.until(0.1)
    replicas.shared.fail()
    await asyncio.gather(*waits)
    assert len(replicas.api.asked) == 2
    assert replicas.api.elapsed <= 5.3


async def test_clients_go_on_alone_without_an_engine_and_share_again_with_it(replicas: Replicas) -> None:
    clients = [await replicas.add() for _ in range(3)]
    ids = [replicas.ends(f"job-{number}", 20.0) for number in range(30)]
    waits = asyncio.gather(*(finished(client, ids) for client in clients))
    await replicas.api.until(4.0)
    replicas.shared.fail()
    await replicas.api.until(8.0)
    replicas.shared.is_up = True
    before = len(replicas.api.asked)
    await replicas.api.until(18.0)
    assert len(replicas.api.asked) - before <= 16  # ten seconds, as for one client
    assert await waits == [30] * 3


@pytest.mark.parametrize("part", [2, 10])
async def test_messages_that_are_lost_cost_requests_but_no_result(replicas: Replicas, part: int) -> None:
    count = 0

    def drops(_: object) -> bool:
        nonlocal count
        count += 1
        return count % part == 0

    replicas.shared.drops = drops
    clients = [await replicas.add() for _ in range(4)]
    ids = [replicas.ends(f"job-{number}", 8.0) for number in range(80)]
    assert (
        await asyncio.gather(*(finished(client, ids[number::4]) for number, client in enumerate(clients))) == [20] * 4
    )
    assert replicas.api.elapsed <= 8.0 + 1.0 + 2.0 + 3 * LATENCY


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"1",
        b'2\n\n{"id":"%s","status":"failed","created_at":"2026-04-07T10:00:00Z"}',
        b"1\n\nno JSON",
        b"1\n\n{}",
        b'1\n\n{"id":"another","status":"completed"}',
    ],
)
async def test_an_answer_that_cannot_be_used_is_read_here(replicas: Replicas, payload: bytes) -> None:
    first, second = await replicas.add(), await replicas.add()
    id = replicas.ends("one", 0.0)
    replicas.shared.alter = lambda _: payload.replace(b"%s", id.encode())
    done = await asyncio.gather(first.wait_until_finished(id), second.wait_until_finished(id))
    assert [request.is_completed for request in done] == [True, True]
    assert len(replicas.api.asked) == 2


async def test_a_poll_that_has_little_time_is_not_left_to_another_client(replicas: Replicas) -> None:
    replicas.api.latency = 1.2
    first, second = await replicas.add(), await replicas.add()
    id = replicas.ends("one", 99.0)
    slow = asyncio.create_task(first.wait_until_finished(id, timeout=20))
    await asyncio.sleep(0.6)
    with pytest.raises(WaitTimeoutError) as caught:
        await second.wait_until_finished(id, timeout=1.5)
    assert caught.value.last is not None
    slow.cancel()


async def test_a_nudge_reaches_the_client_that_waits(replicas: Replicas) -> None:
    waiting, told = await replicas.add(polling=PollPolicy(min_interval=60, max_interval=60)), await replicas.add()
    id = replicas.ends("one", 5.0)
    wait = asyncio.create_task(waiting.wait_until_finished(id))
    await replicas.api.until(6.0)
    told.lipsync.requests.nudge(id)
    await wait
    assert replicas.api.elapsed <= 6.0 + LATENCY + 0.1


async def test_a_nudge_of_one_family_is_not_for_the_other(replicas: Replicas) -> None:
    waiting, told = await replicas.add(polling=PollPolicy(min_interval=60, max_interval=60)), await replicas.add()
    id = replicas.ends("one", 5.0)
    wait = asyncio.create_task(waiting.wait_until_finished(id))
    await replicas.api.until(6.0)
    told.video_translate.requests.nudge(id)
    await replicas.api.until(20.0)
    assert len(replicas.api.asked) == 1
    wait.cancel()


async def test_after_a_nudge_no_answer_counts_whose_read_had_begun_before(replicas: Replicas) -> None:
    replicas.api.latency = 1.0
    polling = PollPolicy(min_interval=60, max_interval=60)
    first, second = await replicas.add(polling=polling), await replicas.add(polling=polling)
    id = replicas.ends("one", 0.5)
    waits = [asyncio.create_task(first.wait_until_finished(id))]
    await replicas.api.until(0.2)
    waits.append(asyncio.create_task(second.wait_until_finished(id)))
    replicas.api._jobs[id].statuses = {float("-inf"): "processing", 1.6: "completed"}
    await replicas.api.until(1.65)
    second.lipsync.requests.nudge(id)
    await asyncio.gather(*waits)
    assert replicas.api.elapsed <= 1.65 + 2 * 1.0 + 0.1


async def test_get_many_takes_no_answer_whose_read_had_begun_before_the_call(replicas: Replicas) -> None:
    replicas.api.latency = 1.0
    first, second = await replicas.add(), await replicas.add()
    await replicas.learn_how_long_answers_take([first, second])
    id = replicas.ends("one", 9.0)
    early = asyncio.create_task(first.lipsync.requests.get_many([id]))
    await replicas.api.until(0.5)
    replicas.api._jobs[id].statuses = {float("-inf"): "processing", 1.2: "completed"}
    outcomes = await second.lipsync.requests.get_many([id])
    assert outcomes[id].unwrap().is_completed
    await early


async def test_a_cancelled_wait_leaves_nothing_with_the_engine(replicas: Replicas) -> None:
    first, second = await replicas.add(), await replicas.add()
    id = replicas.ends("one", 99.0)
    waits = [asyncio.create_task(client.wait_until_finished(id)) for client in (first, second)]
    await asyncio.sleep(0.1)
    for wait in waits:
        wait.cancel()
    await asyncio.wait(waits)
    assert replicas.shared.claims == {}
    assert first._common.lipsync.polls._shared is not None
    assert second._common.lipsync.polls._shared is not None
    assert second._common.lipsync.polls._shared._parked == {}


async def test_a_closed_client_is_a_member_no_more(replicas: Replicas) -> None:
    first, second = await replicas.add(), await replicas.add()
    wait = asyncio.create_task(first.wait_until_finished(replicas.ends("one", 99.0)))
    await asyncio.sleep(0.1)
    await first.aclose()
    assert await asyncio.wait([wait])
    assert len(replicas.shared.members) == 1
    assert replicas.shared.claims == {}
    assert second._transport.lanes["status"]._budget is replicas.shared.members[0].budget


@pytest.mark.parametrize(
    ("key", "shared", "text"),
    [
        ("sk-test-key", "redis://127.0.0.1", "shared must be a RedisShared or the like, not str"),
        (None, MemoryShared(), "shared needs an account: pass api_key, or set CHAMELAION_API_KEY"),
    ],
)
def test_sharing_that_cannot_work_is_refused(
    key: str | None, shared: Any, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHAMELAION_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match=text):
        AsyncClient(key, shared=shared)


@attrs.define
class Crowded:
    """A turn of a lane in which others come first, and the membership of a client whose peers claim each read."""

    free: asyncio.Event = attrs.field(factory=asyncio.Event)
    peers: int = 1
    released: list[str] = attrs.Factory(list)

    def leave(self) -> None:
        pass

    async def enter(self) -> None:
        await self.free.wait()

    def attach(self, listener: object) -> None:
        pass

    async def claim(self, reading: str) -> bool:
        return self.free.is_set()

    def release(self, reading: str) -> None:
        self.released.append(reading)

    def publish(self, reading: str, payload: bytes, began: float) -> None:
        pass


async def read_in_a_crowd(crowd: Crowded, sent: list[str]) -> tuple[SharedReads, Read[Any], asyncio.Task[bytes]]:
    """Begin a read that another client was to send, which has told that it did not."""
    shared = SharedReads(cast("Membership", crowd), "/jobs")
    read = Read[Any](began=now(), timeout=20.0, late_after=0.5)

    async def send() -> RawResponse:
        sent.append("page")
        return RawResponse(status=200, headers={}, body=b"own", attempts=1)

    async def decode(response: RawResponse) -> bytes:
        return response.body

    reading = asyncio.create_task(shared.fetch(read, "page 1", crowd, send, decode))
    await asyncio.sleep(0.1)
    shared.on_published("/jobs page 1", None, now())
    await asyncio.sleep(3.0)
    assert read.is_queued
    return shared, read, reading


async def test_an_answer_that_comes_while_a_read_waits_for_the_lane_once_more_is_taken() -> None:
    sent = list[str]()
    shared, _, reading = await read_in_a_crowd(Crowded(), sent)
    shared.on_published("/jobs page 1", b"1\n\nheard", now())
    async with asyncio.timeout(10):
        assert (await reading, sent) == (b"heard", [])


async def test_a_read_that_waited_for_the_lane_once_more_is_late_by_the_time_it_was_sent() -> None:
    crowd, sent = Crowded(), list[str]()
    _, read, reading = await read_in_a_crowd(crowd, sent)
    read.overdue_at = read.began + 0.5
    crowd.free.set()
    assert (await reading, sent) == (b"own", ["page"])
    assert (read.is_queued, read.began, read.overdue_at) == (False, now(), now() + 0.5)


async def test_a_read_that_is_cancelled_while_it_waits_for_the_lane_once_more_leaves_nothing() -> None:
    shared, _, reading = await read_in_a_crowd(Crowded(), [])
    reading.cancel()
    await asyncio.wait([reading], timeout=10)
    assert (shared._parked, asyncio.all_tasks()) == ({}, {asyncio.current_task()})
