"""What to read next, decided by hand: after lists that fail, and after pages that do not show whom they were to."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from chamelaion_async import LipsyncRequest
from chamelaion_async.polling.agenda import Agenda
from chamelaion_async.polling.entry import Entry


@attrs.define(eq=False)
class Room:
    """An agenda, on a clock that is set by hand."""

    now: float = 0.0
    woken: int = 0
    agenda: Agenda[LipsyncRequest] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.agenda = Agenda(lambda: self.now, self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def placed(self, rank: int) -> Entry[LipsyncRequest]:
        """Return an entry that stands in the whole list and is being read."""
        follower: Any = object()
        entry: Entry[LipsyncRequest] = Entry(str(rank), subscriber=follower)
        self.agenda.place(entry, self.agenda._whole, rank)
        entry.state = "reading"
        return entry


@pytest.fixture
def room() -> Room:
    return Room()


class TestListsThatFail:
    def test_they_are_done_without_for_twice_as_long_each_time(self, room: Room) -> None:
        pauses = []
        for _ in range(4):
            room.agenda.list_failed()
            pauses.append(room.agenda._no_lists_until - room.now)
            room.now = room.agenda._no_lists_until
        assert pauses == [5.0, 10.0, 20.0, 40.0]

    def test_but_no_longer_than_five_minutes(self, room: Room) -> None:
        for _ in range(20):
            room.agenda.list_failed()
            pause, room.now = room.agenda._no_lists_until - room.now, room.agenda._no_lists_until
        assert pause == 300.0

    def test_those_that_fail_together_are_one_failure(self, room: Room) -> None:
        for _ in range(5):
            room.agenda.list_failed()
        assert room.agenda._no_lists_until == 5.0

    def test_one_that_is_answered_makes_them_trusted_again(self, room: Room) -> None:
        room.agenda.list_failed()
        room.now = 5.0
        room.agenda.list_answered()
        room.agenda.list_failed()
        assert room.agenda._no_lists_until == 10.0


class TestThoseWhomAPageDidNotShow:
    def test_in_a_list_that_has_grown_they_may_have_shifted(self, room: Room) -> None:
        entry = room.placed(50)
        room.agenda.missed([entry], has_grown=True)
        assert entry.place is not None
        assert entry.special.misses == 1

    def test_missed_twice_they_are_looked_for_later(self, room: Room) -> None:
        entry = room.placed(50)
        for _ in range(2):
            entry.state = "reading"
            room.agenda.missed([entry], has_grown=True)
        assert (entry.place, entry.special.search_at) == (None, 15.0)

    def test_in_one_that_has_not_they_have_no_place_any_more(self, room: Room) -> None:
        entry = room.placed(50)
        room.agenda.missed([entry], has_grown=False)
        assert (entry.place, entry.special.search_at) == (None, 15.0)

    def test_they_ask_again_and_those_who_were_shown_do_not(self, room: Room) -> None:
        shown, missed = room.placed(150), room.placed(151)
        shown.state = "idle"
        room.agenda.missed([shown, missed], has_grown=False)
        assert (shown.state, missed.state) == ("idle", "asking")
        assert shown.place is not None
        assert missed.place is None
        assert room.agenda.choose() is not None
        assert room.agenda.choose() is None


class TestPlaces:
    def test_who_asks_while_it_gets_a_place_is_read_there(self, room: Room) -> None:
        follower: Any = object()
        entries: list[Entry[LipsyncRequest]] = [Entry(str(number), subscriber=follower) for number in range(2)]
        for entry in entries:
            entry.note(search_at=1000.0)  # so that it stands in line on its own
            room.agenda.ask(entry)
        for rank, entry in enumerate(entries):
            room.agenda.place(entry, room.agenda._whole, rank)
        reading = room.agenda.choose()
        assert reading is not None
        assert (reading.view, reading.entries) == (room.agenda._whole, entries)
        assert room.agenda.choose() is None
