"""What to read next, decided by hand: after lists that fail, and after pages that do not show whom they were to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import attrs
import pytest

from chamelaion_async import LipsyncRequest
from chamelaion_async.polling.agenda import Agenda
from chamelaion_async.polling.entry import SLICE, Entry
from chamelaion_async.polling.places import Bucket, Search

CREATED = datetime(2026, 4, 7, 10, tzinfo=UTC)


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

    def test_once_shown_they_may_be_missed_once_more(self, room: Room) -> None:
        entry = room.placed(50)
        for _ in range(3):
            entry.state = "reading"
            room.agenda.missed([entry], has_grown=True)
            assert entry.special.misses == 1
            room.agenda.place(entry, room.agenda._whole, 50)
            assert entry.special.misses == 0

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


class TestTheLine:
    def test_who_is_preferred_comes_first_with_all_who_stand_in_the_same_place(self, room: Room) -> None:
        first, second, third = room.placed(50), room.placed(150), room.placed(151)
        for entry in (first, second, third):
            room.agenda.ask(entry)
        room.agenda.prefer(third)
        reading = room.agenda.choose()
        assert reading is not None
        assert reading.entries == [second, third]

    def test_so_does_who_is_to_be_read_alone(self, room: Room) -> None:
        entries = [Entry[LipsyncRequest](str(number)) for number in range(3)]
        for entry in entries:
            entry.note(search_at=float("inf"))
            room.agenda.ask(entry)
        room.agenda.prefer(entries[2])
        reading = room.agenda.choose()
        assert reading is not None
        assert reading.entries == [entries[2]]

    def test_who_does_not_ask_cannot_be_preferred(self, room: Room) -> None:
        asking, resting = room.placed(50), room.placed(150)
        room.agenda.ask(asking)
        room.agenda.rest(resting)
        room.agenda.prefer(resting)
        reading = room.agenda.choose()
        assert reading is not None
        assert reading.entries == [asking]

    @pytest.mark.parametrize("state", ["idle", "asking"])
    def test_who_is_moved_stands_in_the_new_place(self, room: Room, state: str) -> None:
        entry, there = room.placed(50), room.placed(150)
        room.agenda.rest(entry)
        if state == "asking":
            room.agenda.ask(entry)
        place = there.place
        assert isinstance(place, Bucket)
        room.agenda.relocate(entry, place)
        assert (entry.place, entry in place.asking, len(room.agenda)) == (place, state == "asking", state == "asking")

    def test_those_of_a_place_without_pages_come_one_after_the_other(self, room: Room) -> None:
        for rank in (50, 51, 52, 150):
            room.agenda.ask(room.placed(rank))
        room.agenda.list_failed()
        readings = [room.agenda.choose() for _ in range(4)]
        assert [[entry.id for entry in reading.entries] for reading in readings if reading] == [
            ["50"], ["51"], ["52"], ["150"],
        ]  # fmt: skip

    def test_a_place_stands_in_it_until_nobody_there_asks(self, room: Room) -> None:
        one, other = room.placed(50), room.placed(51)
        for entry in (one, other):
            room.agenda.ask(entry)
        room.agenda.rest(one)
        assert len(room.agenda) == 1
        room.agenda.rest(other)
        assert len(room.agenda) == 0
        assert room.agenda.choose() is None

    def searching(self, room: Room, count: int) -> Search[LipsyncRequest]:
        """Return a search that so many ask for, the last of whom has the most time."""
        search = Search(room.agenda._whole)
        for number in range(count):
            entry = Entry[LipsyncRequest](str(number), patience=10.0 + number)
            entry.move_to(search)
            room.agenda.ask(entry)
        return search

    def test_a_page_of_a_search_has_the_time_of_those_whom_it_may_show(self, room: Room) -> None:
        self.searching(room, 120)
        reading = room.agenda.choose()
        assert reading is not None
        assert reading.timeout == 109.0

    def test_a_search_leaves_it_while_enough_is_under_way(self, room: Room) -> None:
        search = self.searching(room, 150)
        search.top = 1000
        assert room.agenda.choose() is not None
        assert len(room.agenda) == 1
        assert room.agenda.choose() is not None
        assert len(room.agenda) == 0
        assert search.under_way == 2

    def test_a_search_that_has_come_to_its_end_waits_for_its_last_page(self, room: Room) -> None:
        search = self.searching(room, 150)
        search.top, search.under_way = 0, 1
        assert room.agenda.choose() is None
        assert (search.under_way, len(search.asking)) == (1, 150)

    def test_who_got_no_answer_comes_first_again(self, room: Room) -> None:
        other, unanswered = room.placed(150), room.placed(50)
        room.agenda.ask(other)
        room.agenda.ask_again([unanswered])
        reading = room.agenda.choose()
        assert reading is not None
        assert reading.entries == [unanswered]

    def test_so_does_who_is_to_be_read_alone_and_got_none(self, room: Room) -> None:
        entries = [Entry[LipsyncRequest](str(number), subscriber=cast("Any", object())) for number in range(2)]
        for entry in entries:
            entry.note(search_at=float("inf"))
        room.agenda.ask(entries[0])
        entries[1].state = "reading"
        room.agenda.ask_again(entries)
        assert [*room.agenda._line] == [entries[1], entries[0]]

    def test_a_place_that_stands_in_it_already_is_brought_forward_by_one_who_comes_first(self, room: Room) -> None:
        one, two, other = room.placed(50), room.placed(150), room.placed(151)
        for entry in (one, two):
            room.agenda.ask(entry)
        assert [*room.agenda._line] == [one.place, two.place]
        room.agenda.ask(other)
        assert [*room.agenda._line] == [one.place, two.place]
        room.agenda.rest(other)
        other.state = "reading"
        room.agenda.ask_again([other])
        assert [*room.agenda._line] == [two.place, one.place]

    def test_who_is_moved_comes_after_those_who_stand_there(self, room: Room) -> None:
        first, moved, there = room.placed(50), room.placed(150), room.placed(250)
        for entry in (first, moved):
            room.agenda.ask(entry)
        place = there.place
        assert isinstance(place, Bucket)
        room.agenda.relocate(moved, place)
        assert [*room.agenda._line] == [first.place, place]

    def test_who_asked_while_their_page_was_read_come_first(self, room: Room) -> None:
        one, late, other = room.placed(50), room.placed(51), room.placed(150)
        room.agenda.rest(late)
        room.agenda.ask(one)
        reading = room.agenda.choose()
        assert reading is not None
        bucket = late.place
        assert isinstance(bucket, Bucket)
        bucket.is_under_way, reading.bucket = True, bucket
        room.agenda.ask(other)
        room.agenda.ask(late)
        assert len(room.agenda) == 1
        room.agenda.searched(reading, range(0), 0)
        assert [*room.agenda._line] == [bucket, other.place]

    def test_a_search_goes_on_before_others(self, room: Room) -> None:
        search = self.searching(room, 150)
        search.top = 1000
        room.agenda.ask(room.placed(50))
        first = room.agenda.choose()
        assert first is not None
        assert first.search is search
        assert next(iter(room.agenda._line)) is search
        second = room.agenda.choose()
        assert second is not None
        assert [*room.agenda._line] != [search]
        room.agenda._whole.total = 1000
        room.agenda.searched(first, range(900, 1000), 100)
        assert next(iter(room.agenda._line)) is search

    def test_whom_a_search_does_not_find_are_seen_to_in_turns_behind_all_others(self, room: Room) -> None:
        search = Search(room.agenda._whole)
        search.top = 0
        for number in range(SLICE + 2):
            entry = Entry[LipsyncRequest](str(number))
            entry.move_to(search)
            room.agenda.ask(entry)
        room.agenda.ask(room.placed(50))
        assert next(iter(room.agenda._line)) is search
        room.agenda._line.pop(search)
        room.agenda._end(search)
        assert [entry.id for entry in search.asking] == [str(SLICE), str(SLICE + 1)]
        assert [*room.agenda._line][-1] is search


@attrs.define
class Groups:
    """Requests that share a reference, in a list that shows them."""

    room: Room
    by_reference: dict[str, set[Entry[LipsyncRequest]]] = attrs.Factory(dict)

    def share(self, reference: str, count: int) -> list[LipsyncRequest]:
        entries = [self.room.placed(100 * len(self.by_reference) + number) for number in range(count)]
        for entry in entries:
            self.room.agenda.rest(entry)
        self.by_reference[reference] = set(entries)
        return [
            LipsyncRequest(id=entry.id, status="processing", created_at=CREATED, reference_id=reference)
            for entry in entries
        ]

    def show(self, shown: list[LipsyncRequest], search: Search[LipsyncRequest] | None = None) -> list[str]:
        """Let some be shown, and return the references whose lists are turned to."""
        self.room.agenda.try_reference(shown, search, lambda reference: self.by_reference.get(reference, set()))
        return [*self.room.agenda._by_reference]


@pytest.fixture
def groups(room: Room) -> Groups:
    return Groups(room)


class TestTheListOfAReference:
    @pytest.mark.parametrize(("sharing", "read"), [(5, []), (6, ["a"])])
    def test_is_read_where_it_may_answer_for_twice_as_many(
        self, groups: Groups, sharing: int, read: list[str]
    ) -> None:
        assert groups.show(groups.share("a", sharing)[:3]) == read

    def test_counts_those_who_are_in_line_and_were_never_read(self, groups: Groups) -> None:
        shown = groups.share("a", 2)[:1]
        assert groups.show(shown) == ["a"]
        shown = groups.share("b", 3)[:2]
        assert groups.show(shown) == ["a"]
        unread = Entry[LipsyncRequest]("unread")
        unread.note(search_at=float("inf"))
        groups.room.agenda.ask(unread)
        assert groups.show(shown) == ["a", "b"]
        assert isinstance(unread.place, Search)
        assert unread.place.view.filters == {"reference_id": "b"}

    def test_is_that_of_the_reference_that_most_of_them_carry(self, groups: Groups) -> None:
        few, many = groups.share("few", 20), groups.share("many", 20)
        assert groups.show([few[0], *many[:2]]) == ["many"]

    def test_is_not_read_for_what_nobody_shares(self, groups: Groups) -> None:
        shown = groups.share("a", 2)
        groups.by_reference.clear()
        assert groups.show(shown[:1]) == []

    def test_is_begun_once(self, groups: Groups) -> None:
        shown = groups.share("a", 4)[:1]
        groups.show(shown)
        (view,) = groups.room.agenda._by_reference.values()
        groups.show(shown)
        assert [*groups.room.agenda._by_reference.values()] == [view]

    def test_sends_those_back_whom_it_does_not_show(self, groups: Groups) -> None:
        room = groups.room
        search = Search(room.agenda._whole)
        lost = Entry[LipsyncRequest]("lost")
        lost.move_to(search)
        room.agenda.ask(lost)
        assert groups.show(groups.share("a", 4)[:1], search) == ["a"]
        narrow = lost.place
        assert isinstance(narrow, Search)
        assert (narrow.origin, [*narrow.asking]) == (search, [lost])
        narrow.top = 0
        room.agenda._end(narrow)
        assert (lost.place, [*search.asking], lost.special.searches) == (search, [lost], 0)

    def test_and_looks_later_for_those_who_came_from_no_search(self, groups: Groups) -> None:
        shown = groups.share("a", 4)
        groups.show(shown[:1])
        entry = next(iter(groups.by_reference["a"]))
        narrow = entry.place
        assert isinstance(narrow, Search)
        room = groups.room
        for again_at in (15.0, 30.0, 60.0):
            entry.move_to(narrow)
            entry.state, narrow.asking[entry] = "asking", None
            room.agenda._end(narrow)
            assert (entry.place, entry.special.search_at) == (None, again_at)

    def test_is_forgotten_with_the_last_who_shares_it(self, groups: Groups) -> None:
        shown = groups.share("a", 4)[:1]
        groups.show(shown)
        groups.room.agenda.forget_reference("a")
        assert groups.show([]) == []
        groups.room.agenda.forget_reference("a")
