"""Who hears of what: under which names a request is found, and when a wait is woken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from chamelaion_async import LipsyncRequest
from chamelaion_async.polling.entry import Entry
from chamelaion_async.polling.registry import Registry
from chamelaion_async.polling.shape import Shape
from chamelaion_async.polling.state import Look, Sighting
from chamelaion_async.polling.store import LocalStore
from chamelaion_async.polling.watcher import Watcher

from .follower import Follower

A, B, C = (str(UUID(int=number)) for number in (1, 2, 3))


def sighting_of(id: str, status: str = "processing", *, reference: str | None = None) -> Sighting[LipsyncRequest]:
    created_at = datetime(2026, 4, 7, 10, tzinfo=UTC)
    request = LipsyncRequest(id=id, status=status, created_at=created_at, reference_id=reference)
    return Sighting(request, Look(server_time=None, at=0.0, chance=0.5))


class TestNames:
    @pytest.fixture
    def registry(self) -> Registry[LipsyncRequest]:
        store: LocalStore = LocalStore()
        return Registry(store, Shape(LipsyncRequest), lambda _: None)

    def read(self, registry: Registry[LipsyncRequest], id: str, reference: str | None) -> Entry[LipsyncRequest]:
        entry = registry.join(id, Follower())
        registry.saw(entry, sighting_of(id, reference=reference))
        return entry

    def test_a_reference_that_was_read_names_its_request(self, registry: Registry[LipsyncRequest]) -> None:
        entry = self.read(registry, A, "dub-42")
        assert (registry.named("dub-42"), registry.named("dub-43")) == ([entry], [])

    def test_a_reference_that_many_carry_names_all_of_them(self, registry: Registry[LipsyncRequest]) -> None:
        entries = {self.read(registry, id, "dub-42") for id in (A, B, C)}
        assert set(registry.named("dub-42")) == entries

    def test_what_turned_out_to_be_another_is_followed_by_nobody(self, registry: Registry[LipsyncRequest]) -> None:
        known = registry.join(A, Follower())
        registry.identify(known, A)
        other = registry.join("dub-42", Follower())
        assert registry.identify(other, A) is known
        assert (other.subscribers, len(known.subscribers)) == ((), 2)

    def test_a_reference_that_came_later_is_no_hindrance_to_leaving(self, registry: Registry[LipsyncRequest]) -> None:
        entry = self.read(registry, A, None)
        registry.saw(entry, sighting_of(A, reference="dub-42"))
        registry.drop(entry)
        assert registry.entries() == []

    def test_who_never_followed_may_leave_all_the_same(self, registry: Registry[LipsyncRequest]) -> None:
        first, second = Follower(), Follower()
        entry = registry.join(A, first)
        registry.join(A, second)
        entry.discard(Follower())
        assert entry.subscribers == (first, second)

    def test_those_without_a_reference_have_nothing_in_common(self, registry: Registry[LipsyncRequest]) -> None:
        for id in (A, B):
            self.read(registry, id, None)
        assert registry._groups == {}


@pytest.mark.virtual_time
class TestWaking:
    @pytest.fixture
    async def watcher(self, serve: Any) -> AsyncIterator[Watcher[LipsyncRequest]]:
        """One that has read its request and sleeps."""
        service = serve()
        (id,) = service.add()
        made: Watcher[LipsyncRequest] = Watcher(service.loader, id, service.connection.sleep)
        yield made
        await made.aclose()

    async def fell_asleep(self, watcher: Watcher[LipsyncRequest]) -> asyncio.Task[None]:
        await watcher.read("", timeout=20.0, fresh=False)
        sleeping = asyncio.create_task(watcher.sleep(100.0))
        await asyncio.sleep(1.0)
        return sleeping

    async def test_what_is_known_already_wakes_nobody(self, watcher: Watcher[LipsyncRequest]) -> None:
        sleeping = await self.fell_asleep(watcher)
        watcher.news(await watcher.read("", timeout=20.0, fresh=True))
        await asyncio.sleep(1.0)
        assert not sleeping.done()
        await sleeping

    async def test_what_was_heard_before_the_first_look_is_its_answer(self, watcher: Watcher[LipsyncRequest]) -> None:
        heard = sighting_of(watcher.entry.id, "completed")
        watcher.news(heard)
        assert await watcher.read("", timeout=20.0, fresh=False) is heard

    async def test_a_change_wakes_the_wait(self, watcher: Watcher[LipsyncRequest]) -> None:
        sleeping = await self.fell_asleep(watcher)
        watcher.news(sighting_of(watcher.entry.id, "completed"))
        await asyncio.sleep(0.1)
        assert sleeping.done()
