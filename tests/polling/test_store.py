"""The seam for many processes: of two replicas one reads, and the other hears of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from chamelaion_async import LipsyncRequest, PollPolicy
from chamelaion_async.polling.state import Sighting
from chamelaion_async.polling.store import LocalStore

if TYPE_CHECKING:
    from tests.polling.conftest import Received, Service

pytestmark = pytest.mark.virtual_time

FIXED = PollPolicy(min_interval=1.0, max_interval=1.0, jitter=0.0)
LEASE = 5.0


@attrs.define(eq=False)
class Board:
    """What the stores of all processes share."""

    replicas: list[Replica] = attrs.field(factory=list)
    claims: dict[str, tuple[Replica, float]] = attrs.field(factory=dict)

    def store(self) -> Replica:
        replica = Replica(self)
        self.replicas.append(replica)
        return replica


@attrs.define(eq=False)
class Replica:
    """The store of one process. A claim stands until what it is for is published, and for some seconds at most."""

    board: Board
    is_mute: bool = False
    takes: float = 0.0
    hear: Callable[[Sequence[Sighting[LipsyncRequest]]], None] | None = None
    open: Counter[str] = attrs.field(factory=Counter)
    heard: list[str] = attrs.field(factory=list)
    claimed: list[list[str]] = attrs.field(factory=list)

    def attach(self, hear: Callable[[Sequence[Sighting[LipsyncRequest]]], None]) -> None:
        self.hear = hear

    def subscribe(self, id: str) -> None:
        self.open[id] += 1

    def unsubscribe(self, id: str) -> None:
        self.open[id] -= 1

    async def claim(self, ids: Collection[str]) -> Collection[str]:
        await asyncio.sleep(self.takes)
        self.claimed.append(list(ids))
        now, granted = asyncio.get_running_loop().time(), []
        for id in ids:
            holder, until = self.board.claims.get(id, (self, 0.0))
            if holder is self or until <= now:
                self.board.claims[id] = (self, now + LEASE)
                granted.append(id)
        return granted

    async def publish(self, sightings: Sequence[Sighting[LipsyncRequest]]) -> None:
        await asyncio.sleep(self.takes)
        for sighting in sightings:
            self.board.claims.pop(sighting.request.id, None)
        for other in self.board.replicas:
            news = [sighting for sighting in sightings if other.open[sighting.request.id] > 0]
            if other is not self and news and not self.is_mute:
                assert other.hear is not None
                other.heard += [sighting.request.id for sighting in news]
                other.hear(news)


@attrs.define
class Pair:
    """Two processes that read the same service."""

    first: Service
    second: Service
    stores: list[Replica]

    @property
    def received(self) -> list[Received]:
        return sorted(self.first.received + self.second.received, key=lambda received: received.at)


@pytest.fixture
def pair(serve: type[Service]) -> Callable[..., Pair]:
    def make(**details: Any) -> Pair:
        board = Board()
        stores = [board.store(), board.store()]
        first, second = (serve(store=store, **details) for store in stores)
        second.jobs, second._by_name = first.jobs, first._by_name
        return Pair(first, second, stores)

    return make


async def test_of_two_replicas_one_reads_and_the_other_hears(pair: Callable[..., Pair]) -> None:
    both = pair(latency=0.2)
    (id,) = both.first.add(lasts=10.0)
    results = await asyncio.gather(both.first.start(id, policy=FIXED), both.second.start(id, policy=FIXED))
    assert all(result.is_completed for result in results)
    alone = pair(latency=0.2).first
    (id,) = alone.add(lasts=10.0)
    await alone.wait(id, policy=FIXED)
    assert len(both.received) <= len(alone.received) + 1


async def test_pages_are_shared_likewise(pair: Callable[..., Pair]) -> None:
    both = pair(latency=0.2)
    ids = both.first.add(50, lasts=3.0)
    outcomes = await asyncio.gather(both.first.follow(ids, policy=FIXED), both.second.follow(ids, policy=FIXED))
    assert all(outcome.unwrap().is_completed for each in outcomes for outcome in each.values())
    assert sum(len(store.heard) for store in both.stores) >= 50
    assert len(both.received) < 2 * 5


async def test_a_read_that_another_claimed_and_never_made_is_made_after_the_lease(pair: Callable[..., Pair]) -> None:
    both = pair(latency=0.2)
    (id,) = both.first.add(lasts=0.0)
    await both.stores[0].claim([id])
    assert (await both.second.wait(id)).is_completed
    assert both.second.looks == [pytest.approx(LEASE)]


async def test_so_are_those_of_a_page(pair: Callable[..., Pair]) -> None:
    both = pair(latency=0.2)
    ids = both.first.add(10, lasts=6.5)
    following = asyncio.create_task(both.second.follow(ids, policy=FIXED))
    await asyncio.sleep(1.0)
    await both.stores[0].claim(ids[:5])
    outcomes = await following
    assert all(outcome.unwrap().is_completed for outcome in outcomes.values())
    assert both.second.elapsed < 9.0


async def test_a_page_of_which_nothing_is_left_is_not_read(pair: Callable[..., Pair]) -> None:
    both = pair(latency=0.2)
    ids = both.first.add(10, lasts=60.0)
    following = asyncio.create_task(both.second.follow(ids, policy=FIXED))
    await asyncio.sleep(0.9)
    await both.stores[0].claim(ids)
    asked = len(both.second.received)
    await asyncio.sleep(4.0)
    assert len(both.second.received) == asked
    await asyncio.sleep(2.0)
    assert len(both.second.received) > asked
    following.cancel()
    await asyncio.wait([following])


async def test_one_who_waits_for_anothers_read_may_leave(pair: Callable[..., Pair]) -> None:
    both = pair(latency=0.2)
    (id,) = both.first.add()
    await both.stores[0].claim([id])
    task = both.second.start(id)
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await asyncio.sleep(10)
    assert both.second.received == []


async def test_what_was_heard_is_not_read_again_when_the_lease_ends(pair: Callable[..., Pair]) -> None:
    both = pair(latency=0.2)
    (id,) = both.first.add()
    slow = PollPolicy(min_interval=60, max_interval=60, jitter=0)
    tasks = [both.first.start(id, policy=slow), both.second.start(id, policy=slow)]
    await asyncio.sleep(20)
    assert len(both.received) == 1
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_a_lease_that_ends_during_a_later_read_asks_for_no_other(pair: Callable[..., Pair]) -> None:
    both = pair(latency=0.2)
    (id,) = both.first.add()
    first = both.first.start(id, policy=FIXED, timeout=0)
    second = both.second.start(id, policy=PollPolicy(min_interval=4.7, max_interval=4.7, jitter=0))
    await asyncio.sleep(4.0)
    both.second.latency = 3.0
    await asyncio.wait([first])
    await asyncio.sleep(2.5)
    assert len(both.second.received) == 1
    second.cancel()
    await asyncio.wait([second])


async def test_what_nobody_here_waits_for_is_heard_without_harm(pair: Callable[..., Pair]) -> None:
    both = pair()
    both.first.latency = 0.2
    (id,) = both.first.add(lasts=0.0)
    both.stores[1].subscribe(id)
    assert (await both.first.wait(id)).is_completed
    await asyncio.sleep(1)
    assert both.stores[1].heard == [id]


@pytest.mark.parametrize("apart", [0.0, 0.1])
@pytest.mark.parametrize("leaving", [None, 0, 1])
async def test_subscriptions_are_ended_as_often_as_they_were_begun(
    pair: Callable[..., Pair], leaving: int | None, apart: float
) -> None:
    both = pair(latency=0.2)
    (id,) = both.first.add(lasts=3.0, reference="dub-1")
    others = both.first.add(20, lasts=3.0)
    names = ["dub-1", id, *others]
    tasks = [both.first.start(name, at=min(number, 1) * apart) for number, name in enumerate(names)]
    if leaving is not None:
        await asyncio.sleep(0.15)
        tasks[leaving].cancel()
    await asyncio.wait(tasks)
    assert set(both.stores[0].open) == {*names}
    assert set(both.stores[0].open.values()) == {0}


async def test_a_store_that_takes_its_time_loses_nobody(pair: Callable[..., Pair]) -> None:
    both = pair(latency=0.2)
    for store in both.stores:
        store.takes = 0.3
    ids = both.first.add(50, lasts=5.0)
    outcomes = await asyncio.gather(both.first.follow(ids), both.second.follow(ids))
    assert all(outcome.unwrap().is_completed for each in outcomes for outcome in each.values())


async def test_leaving_while_a_claim_or_a_publication_is_under_way_leaves_nothing_behind(
    pair: Callable[..., Pair],
) -> None:
    for at in (0.1, 0.6):
        both = pair(latency=0.2)
        both.stores[0].takes = 0.3
        tasks = [both.first.start(id) for id in both.first.add(2)]
        await asyncio.sleep(at)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        results = await both.first.wait_for(both.first.add(5, lasts=0.0))
        assert all(result.is_completed for result in results)


async def test_the_store_of_a_process_on_its_own_grants_all() -> None:
    store = LocalStore()
    store.attach(lambda _: None)
    store.subscribe("a")
    store.unsubscribe("a")
    await store.publish([])
    assert await store.claim(["a", "b"]) == ["a", "b"]
