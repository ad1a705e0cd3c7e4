"""Which requests are waited for, and under which names."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import attrs
import pytest

from chamelaion_async import LipsyncRequest
from chamelaion_async.loading.entries import Entry
from chamelaion_async.loading.registry import Registry, is_same_request
from chamelaion_async.loading.snapshot import ReadStamp, Snapshot

from .subscriber import Listener

A, B, C = (str(UUID(int=number)) for number in (1, 2, 3))
MIXED = "0a1B2c3D-0000-4000-8000-00000000aBcD"


def request(id: str, reference: str | None = None) -> LipsyncRequest:
    return LipsyncRequest(
        id=id, status="processing", created_at=datetime(2026, 4, 7, tzinfo=UTC), reference_id=reference
    )


@attrs.define
class Waits:
    """A registry, and those that wait."""

    registry: Registry[LipsyncRequest] = attrs.field(factory=Registry)

    def join(self, id: str) -> tuple[Entry[LipsyncRequest], Listener]:
        listener = Listener(id)
        listener.entry = self.registry.join(listener)
        return listener.entry, listener

    def leave(self, listener: Listener) -> None:
        self.registry.leave(listener.entry, listener)

    def keep(self, entry: Entry[LipsyncRequest], reference: str | None) -> None:
        stamp = ReadStamp(began=0.0, at=0.0, server_time=None, jitter_draw=0.5)
        self.registry.keep(entry, Snapshot(request(entry.id, reference), stamp))


@pytest.fixture
def waits() -> Waits:
    return Waits()


class TestNames:
    @pytest.mark.parametrize("id", ["dub-1", A])
    def test_two_subscribers_of_one_id_share_an_entry(self, waits: Waits, id: str) -> None:
        first, second = waits.join(id), waits.join(id)
        assert first[0] is second[0]
        assert first[0].subscribers == (first[1], second[1])

    def test_a_uuid_is_the_same_in_any_case(self, waits: Waits) -> None:
        entry, _ = waits.join(MIXED)
        assert waits.join(MIXED.upper())[0] is entry
        assert waits.registry.find(MIXED.lower()) is entry
        assert waits.registry.named(MIXED.lower()) == [entry]

    def test_references_differ_by_case(self, waits: Waits) -> None:
        assert waits.join("dub-A")[0] is not waits.join("dub-a")[0]

    def test_a_reference_becomes_its_request(self, waits: Waits) -> None:
        entry, _ = waits.join("dub-1")
        assert waits.registry.identify(entry, A) is entry
        assert (entry.id, entry.rare.aliases) == (A, {"dub-1": 1})
        assert waits.registry.named("dub-1") == waits.registry.named(A) == [entry]
        assert waits.join(A)[0] is entry

    def test_an_entry_is_identified_once(self, waits: Waits) -> None:
        entry, _ = waits.join(A)
        waits.registry.identify(entry, A)
        assert waits.registry.identify(entry, B) is entry
        assert (entry.id, entry.rare.aliases) == (A, None)

    @pytest.mark.parametrize("is_read", [True, False])
    def test_an_entry_hands_over_its_subscribers_to_that_of_its_id(self, waits: Waits, is_read: bool) -> None:
        known, first = waits.join(A)
        if is_read:
            waits.registry.identify(known, A)
        entry, second = waits.join("dub-1")
        _, third = waits.join("dub-1")
        assert waits.registry.identify(entry, A) is known
        assert known.subscribers == (first, second, third)
        assert (second.entry, third.entry, entry.subscribers) == (known, known, ())

    def test_a_reference_is_not_taken_for_what_it_meant_before(self, waits: Waits) -> None:
        entry, _ = waits.join("dub-1")
        waits.registry.identify(entry, A)
        assert waits.join("dub-1")[0] is not entry

    def test_a_page_shows_requests_by_their_id(self, waits: Waits) -> None:
        entry, _ = waits.join(A)
        assert waits.registry.find(A) is entry
        waits.registry.identify(entry, A)
        assert (waits.registry.find(A), waits.registry.find(B)) == (entry, None)


class TestLeaving:
    @pytest.mark.parametrize("leaver", [0, 1, 2])
    def test_the_other_subscribers_stay(self, waits: Waits, leaver: int) -> None:
        listeners = [waits.join(A)[1] for _ in range(3)]
        waits.leave(listeners[leaver])
        assert set(listeners[0].entry.subscribers) == set(listeners) - {listeners[leaver]}

    def test_a_subscriber_that_never_joined_changes_nothing_by_leaving(self, waits: Waits) -> None:
        entry, listener = waits.join(A)
        waits.registry.leave(entry, Listener(A))
        assert entry.subscribers == (listener,)

    def test_the_last_subscriber_removes_the_request(self, waits: Waits) -> None:
        _, listener = waits.join(A)
        assert waits.registry
        waits.leave(listener)
        assert not waits.registry
        assert (waits.registry.entries(), waits.registry.find(A)) == ([], None)

    @pytest.mark.parametrize("first", ["dub-1", A])
    def test_nothing_is_left_of_two_names_once_all_have_left(self, waits: Waits, first: str) -> None:
        """Both are asked for before either is known."""
        listeners = {name: waits.join(name)[1] for name in ("dub-1", A)}
        for name in (first, *(set(listeners) - {first})):
            waits.registry.identify(listeners[name].entry, A)
        for listener in listeners.values():
            waits.leave(listener)
        assert not waits.registry
        assert (waits.registry.named("dub-1"), waits.registry.named(A)) == ([], [])

    def test_a_name_is_dropped_with_the_last_that_asked_under_it(self, waits: Waits) -> None:
        entry, first = waits.join("dub-1")
        _, second = waits.join("dub-1")
        waits.registry.identify(entry, A)
        _, third = waits.join(A)
        aliases = []
        for listener in (first, second):
            aliases.append(dict(entry.rare.aliases or {}))
            waits.leave(listener)
        assert aliases == [{"dub-1": 2}, {"dub-1": 1}]
        assert (waits.registry.named("dub-1"), entry.rare.aliases, entry.subscribers) == ([], {}, (third,))

    def test_the_newer_meaning_of_a_reference_outlasts_the_older(self, waits: Waits) -> None:
        old, first = waits.join("dub-1")
        waits.registry.identify(old, A)
        new, _ = waits.join("dub-1")
        waits.registry.identify(new, B)
        waits.leave(first)
        assert waits.registry.named("dub-1") == [new]


class TestIds:
    @pytest.mark.parametrize("ids", [[B], [B, MIXED]])
    def test_a_page_of_uuids_shows_which_entries_are_references(self, waits: Waits, ids: list[str]) -> None:
        early, id = waits.join("dub-1")[0], waits.join(A)[0]
        assert waits.registry.learn_ids(ids) == [early]
        entries = [early, id, waits.join("dub-2")[0], waits.join(MIXED)[0]]
        assert [waits.registry.is_reference(entry) for entry in entries] == [True, False, True, False]
        assert waits.registry.learn_ids(ids) == []

    def test_a_page_with_other_ids_shows_no_references(self, waits: Waits) -> None:
        entry, _ = waits.join("dub-1")
        assert waits.registry.learn_ids([A, "job-7"]) == []
        assert not waits.registry.is_reference(entry)

    def test_an_identified_entry_is_not_a_reference(self, waits: Waits) -> None:
        entry, _ = waits.join("dub-1")
        waits.registry.learn_ids([B])
        waits.registry.identify(entry, A)
        assert not waits.registry.is_reference(entry)

    @pytest.mark.parametrize(
        ("id", "shown", "reference", "is_same"),
        [
            (A, A, None, True),
            (MIXED, MIXED.upper(), None, True),
            (A, B, None, False),
            (A, B, A, True),
            ("dub-1", B, "dub-1", True),
            ("dub-1", B, None, True),
        ],
    )
    def test_a_uuid_is_answered_by_itself_and_a_reference_by_anything(
        self, id: str, shown: str, reference: str | None, is_same: bool
    ) -> None:
        assert is_same_request(id, request(shown, reference)) is is_same


class TestReferences:
    def test_a_reference_that_was_read_names_its_request(self, waits: Waits) -> None:
        entry, _ = waits.join(A)
        waits.keep(entry, "dub-42")
        waits.keep(entry, "dub-42")
        assert (waits.registry.named("dub-42"), waits.registry.named("dub-43")) == ([entry], [])

    def test_a_reference_that_many_carry_names_all_of_them_until_they_leave(self, waits: Waits) -> None:
        listeners = [waits.join(id)[1] for id in (A, B, C)]
        for listener in listeners:
            waits.keep(listener.entry, "dub-42")
        assert set(waits.registry.named("dub-42")) == {listener.entry for listener in listeners}
        left = []
        for listener in listeners:
            waits.leave(listener)
            left.append(len(waits.registry.named("dub-42")))
        assert (left, waits.registry._by_reference) == ([2, 1, 0], {})

    def test_it_is_forgotten_with_its_request(self, waits: Waits) -> None:
        entry, listener = waits.join(A)
        waits.keep(entry, "own")
        waits.leave(listener)
        assert waits.registry.named("own") == []

    def test_requests_without_one_have_nothing_in_common(self, waits: Waits) -> None:
        for id in (A, B):
            waits.keep(waits.join(id)[0], None)
        assert waits.registry._by_reference == {}

    def test_a_reference_that_came_later_does_not_prevent_leaving(self, waits: Waits) -> None:
        entry, listener = waits.join(A)
        waits.keep(entry, None)
        waits.keep(entry, "dub-42")
        waits.leave(listener)
        assert waits.registry.entries() == []
