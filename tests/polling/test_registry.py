"""Who follows what, under which name."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import attrs
import pytest

from chamelaion_async import LipsyncRequest
from chamelaion_async.polling.entry import NEVER, Entry
from chamelaion_async.polling.registry import Registry
from chamelaion_async.polling.shape import Shape
from chamelaion_async.polling.state import Look, Sighting
from chamelaion_async.polling.store import LocalStore

from .follower import Follower

A, B = (str(UUID(int=number)) for number in (1, 2))


class Ledger(LocalStore):
    """Counts who listens to what."""

    def __init__(self) -> None:
        self.open: Counter[str] = Counter()

    def subscribe(self, id: str) -> None:
        self.open[id] += 1

    def unsubscribe(self, id: str) -> None:
        self.open[id] -= 1


@attrs.define
class Room:
    """A registry, and what it told others."""

    store: Ledger = attrs.field(factory=Ledger)
    retired: list[Entry[LipsyncRequest]] = attrs.field(factory=list)
    registry: Registry[LipsyncRequest] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.registry = Registry(self.store, Shape(LipsyncRequest), self.retired.append)

    def join(self, id: str) -> tuple[Entry[LipsyncRequest], Follower]:
        follower = Follower()
        follower.entry = self.registry.join(id, follower)
        return follower.entry, follower

    def leave(self, follower: Follower) -> str | None:
        follower.entry.discard(follower)
        return self.registry.drop(follower.entry) if follower.entry.subscriber is None else None

    def saw(self, entry: Entry[LipsyncRequest], reference: str | None) -> None:
        request = LipsyncRequest(
            id=entry.id, status="processing", created_at=datetime(2026, 4, 7, tzinfo=UTC), reference_id=reference
        )
        self.registry.saw(entry, Sighting(request, Look(server_time=None, at=0.0, chance=0.5)))


@pytest.fixture
def room() -> Room:
    return Room()


class TestNames:
    def test_who_asks_for_the_same_follows_the_same(self, room: Room) -> None:
        assert room.join(A)[0] is room.join(A)[0]

    def test_a_reference_becomes_its_request(self, room: Room) -> None:
        entry, _ = room.join("dub-1")
        assert room.registry.identify(entry, A) is entry
        assert (entry.id, entry.special.aliases) == (A, ("dub-1",))
        assert room.registry.named("dub-1") == room.registry.named(A) == [entry]
        assert room.join(A)[0] is entry

    def test_what_is_known_already_stays_as_it_is(self, room: Room) -> None:
        entry, _ = room.join(A)
        room.registry.identify(entry, A)
        assert room.registry.identify(entry, B) is entry
        assert entry.id == A

    def test_a_reference_joins_the_request_that_it_means(self, room: Room) -> None:
        known, first = room.join(A)
        room.registry.identify(known, A)
        entry, second = room.join("dub-1")
        assert room.registry.identify(entry, A) is known
        assert known.subscribers == (first, second)
        assert second.entry is known
        assert room.retired == [entry]

    def test_a_reference_is_not_taken_for_what_it_meant_before(self, room: Room) -> None:
        entry, _ = room.join("dub-1")
        room.registry.identify(entry, A)
        assert room.join("dub-1")[0] is not entry

    def test_an_id_on_a_page_is_a_request_for_certain(self, room: Room) -> None:
        entry, _ = room.join(A)
        assert room.registry.resolve(A) is entry
        assert room.registry.resolve(entry.id) is entry
        assert room.registry.resolve(A) is entry
        assert room.registry.resolve(B) is None

    @pytest.mark.parametrize("first", ["dub-1", A])
    def test_nothing_is_left_of_two_names_when_all_have_gone(self, room: Room, first: str) -> None:
        """Both are asked for before either is known."""
        followers = {name: room.join(name)[1] for name in ("dub-1", A)}
        for name in (first, *(set(followers) - {first})):
            room.registry.identify(followers[name].entry, A)
        for follower in followers.values():
            room.leave(follower)
        assert not room.registry
        assert room.registry.entries() == []
        assert room.registry.named("dub-1") == []
        assert room.registry.named(A) == []

    def test_the_newer_meaning_of_a_reference_outlasts_the_older(self, room: Room) -> None:
        old, first = room.join("dub-1")
        room.registry.identify(old, A)
        new, _ = room.join("dub-1")
        room.registry.identify(new, B)
        room.leave(first)
        assert new in room.registry.named("dub-1")


class TestSubscriptions:
    @pytest.mark.parametrize("order", [("dub-1", A), (A, "dub-1"), ("dub-1",), (A,), (A, A, "dub-1", "dub-1")])
    @pytest.mark.parametrize("resolved", [("dub-1", A), (A, "dub-1"), ()])
    def test_each_is_ended_once(self, room: Room, order: tuple[str, ...], resolved: tuple[str, ...]) -> None:
        followers = [(name, room.join(name)[1]) for name in order]
        for name in resolved:
            for _, follower in [pair for pair in followers if pair[0] == name]:
                room.registry.identify(follower.entry, A)
                assert room.store.open[A] >= 1
        for _, follower in followers:
            room.leave(follower)
        assert set(room.store.open.values()) == {0}

    def test_a_request_is_listened_for_as_long_as_it_is_followed_by_any_name(self, room: Room) -> None:
        by_reference, _ = room.join("dub-1")
        _, leaving = room.join(A)
        room.registry.identify(by_reference, A)
        room.leave(leaving)
        assert room.store.open[A] == 1


class TestShape:
    def test_references_cannot_be_found_in_a_list_of_uuids(self, room: Room) -> None:
        reference, _ = room.join("dub-1")
        id, _ = room.join(A)
        assert room.registry.learn_shape([B]) == [reference]
        assert (reference.special.search_at, id.special.search_at) == (NEVER, -NEVER)

    def test_nor_can_those_that_come_later(self, room: Room) -> None:
        room.registry.learn_shape([B])
        assert (room.join("dub-1")[0].special.search_at, room.join(A)[0].special.search_at) == (NEVER, -NEVER)

    def test_a_list_with_other_ids_tells_nothing(self, room: Room) -> None:
        room.join("dub-1")
        assert room.registry.learn_shape([A, "job-7"]) == []
        assert room.join("dub-2")[0].special.search_at == -NEVER

    def test_a_reference_that_is_known_can_be_found(self, room: Room) -> None:
        entry, _ = room.join("dub-1")
        room.registry.learn_shape([B])
        room.registry.identify(entry, A)
        assert entry.special.search_at == -NEVER


class TestGroups:
    def test_those_who_share_a_reference_are_a_group(self, room: Room) -> None:
        entries = {room.join(id)[0] for id in (A, B, "c")}
        for entry in entries:
            room.saw(entry, "batch-7")
        assert room.registry.group("batch-7") == entries

    @pytest.mark.parametrize("reference", ["own", "nobody's"])
    def test_one_alone_is_none(self, room: Room, reference: str) -> None:
        room.saw(room.join(A)[0], "own")
        assert room.registry.group(reference) == set()

    def test_it_is_forgotten_with_the_last_one(self, room: Room) -> None:
        followers = [room.join(id)[1] for id in (A, B)]
        for follower in followers:
            room.saw(follower.entry, "batch-7")
        assert [room.leave(follower) for follower in followers] == [None, "batch-7"]

    def test_so_is_a_reference_of_ones_own(self, room: Room) -> None:
        entry, follower = room.join(A)
        room.saw(entry, "own")
        assert room.leave(follower) == "own"

    def test_who_has_none_leaves_none(self, room: Room) -> None:
        entry, follower = room.join(A)
        room.saw(entry, None)
        assert room.leave(follower) is None

    def test_seeing_one_again_changes_no_group(self, room: Room) -> None:
        entry, _ = room.join(A)
        room.saw(entry, "own")
        room.saw(entry, "own")
        assert room.registry.group("own") == set()


class TestEntry:
    def test_who_goes_and_was_not_there_is_no_matter(self) -> None:
        entry: Entry[LipsyncRequest] = Entry(A)
        entry.discard(Follower())
        assert entry.subscribers == ()

    @pytest.mark.parametrize("leaver", [0, 1, 2])
    def test_the_others_stay(self, leaver: int) -> None:
        entry: Entry[LipsyncRequest] = Entry(A)
        followers = [Follower() for _ in range(3)]
        for follower in followers:
            entry.add(follower)
        entry.discard(followers[leaver])
        assert set(entry.subscribers) == set(followers) - {followers[leaver]}

    @pytest.mark.parametrize(
        ("state", "looked_at", "due", "wants"),
        [
            ("asking", 0.0, NEVER, True),
            ("reading", None, 0.0, False),
            ("idle", None, NEVER, True),
            ("idle", 0.0, 20.0, True),
            ("idle", 0.0, 20.1, False),
            ("idle", 0.0, NEVER, False),
        ],
    )
    def test_it_wants_a_look_when_half_of_its_pause_is_over(
        self, state: Any, looked_at: float | None, due: float, wants: bool
    ) -> None:
        entry: Entry[LipsyncRequest] = Entry(A)
        entry.state, entry.due = state, due
        entry.look = None if looked_at is None else Look(server_time=None, at=looked_at, chance=0.5)
        assert entry.wants_a_look(10.0) is wants
