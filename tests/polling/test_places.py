"""Ranks, offsets, buckets and searches: pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chamelaion_async import LipsyncRequest
from chamelaion_async.models import Pagination
from chamelaion_async.polling.entry import Entry
from chamelaion_async.polling.places import Bucket, ListView, Search

View = ListView[LipsyncRequest]


def entry(id: str = "job") -> Entry[LipsyncRequest]:
    return Entry(id)


def searching(count: int, *, total: int = 1000, is_newest_first: bool = True) -> Search[LipsyncRequest]:
    search = Search(View({}, total=total, is_newest_first=is_newest_first))
    for number in range(count):
        someone = entry(str(number))
        someone.move_to(search)
        search.asking[someone] = None
    return search


def said(*, limit: int = 100, offset: int = 0, total: int = 1000) -> Pagination:
    return Pagination(limit=limit, offset=offset, total=total)


class TestRanks:
    @given(
        size=st.integers(1, 100),
        total=st.integers(1, 3000),
        is_newest_first=st.booleans(),
        data=st.data(),
    )
    def test_every_rank_of_a_bucket_lies_on_the_page_below_its_top(
        self, size: int, total: int, is_newest_first: bool, data: st.DataObject
    ) -> None:
        view = View({}, size=size, total=total, is_newest_first=is_newest_first)
        rank = data.draw(st.integers(0, total - 1))
        someone = entry()
        view.put(someone, rank)
        assert isinstance(someone.place, Bucket)
        offset = view.offset_below(someone.place.top)
        assert rank in view.ranks(offset, min(size, total - offset))

    @given(total=st.integers(1, 3000), growth=st.integers(0, 3000), offset=st.integers(0, 2999), new=st.booleans())
    def test_a_rank_stays_the_same_while_the_list_grows(
        self, total: int, growth: int, offset: int, new: bool
    ) -> None:
        offset %= total
        view = View({}, total=total, is_newest_first=new)
        (rank,) = view.ranks(offset, 1)
        view.total += growth
        assert list(view.ranks(offset + growth if new else offset, 1)) == [rank]

    @pytest.mark.parametrize(
        ("is_newest_first", "top", "offset"),
        [
            (True, None, 0),
            (True, 1000, 0),
            (True, 300, 700),
            (True, 2000, 0),
            (False, None, 900),
            (False, 300, 200),
            (False, 50, 0),
        ],
    )
    def test_the_offset_of_a_page_counts_from_the_end_that_is_listed_first(
        self, is_newest_first: bool, top: int | None, offset: int
    ) -> None:
        assert View({}, total=1000, is_newest_first=is_newest_first).offset_below(top) == offset

    def test_an_empty_page_has_no_ranks(self) -> None:
        assert list(View({}, total=10).ranks(0, 0)) == []


class TestLearning:
    @pytest.mark.parametrize(
        ("limit", "count", "offset", "size"),
        [
            (100, 100, 0, 100),
            (20, 20, 0, 20),
            (100, 20, 0, 20),
            (0, 50, 0, 50),
            (5000, 100, 0, 100),
            (100, 30, 970, 100),
            (100, 0, 0, 100),
            (-1, 100, 0, 100),
        ],
        ids=["as asked", "said", "lied", "none said", "more", "last page", "empty", "nonsense"],
    )
    def test_the_size_of_a_page_is_what_the_service_puts_on_it(
        self, limit: int, count: int, offset: int, size: int
    ) -> None:
        view = View({})
        view.learn(said(limit=limit, offset=offset), count, None)
        assert view.size == size

    def test_the_total_is_at_least_what_was_seen(self) -> None:
        view = View({})
        view.learn(said(offset=100, total=0), 50, None)
        assert view.total == 150

    @pytest.mark.parametrize(
        ("is_newest_first", "limit", "is_void"),
        [(True, 100, False), (None, 100, False), (False, 100, True), (True, 20, True), (False, 20, True)],
    )
    def test_places_are_void_once_order_or_size_turn_out_to_be_others(
        self, is_newest_first: bool | None, limit: int, is_void: bool
    ) -> None:
        view = View({})
        view.put(entry(), 7)
        assert view.learn(said(limit=limit), limit, is_newest_first) is is_void

    @pytest.mark.parametrize(("is_newest_first", "limit"), [(False, 100), (True, 20)])
    def test_nothing_is_void_where_nobody_has_a_place(self, is_newest_first: bool, limit: int) -> None:
        assert not View({}).learn(said(limit=limit), limit, is_newest_first)


class TestBuckets:
    def test_neighbours_stand_together(self) -> None:
        view, first, second, third = View({}), entry(), entry(), entry()
        for someone, rank in ((first, 100), (second, 199), (third, 200)):
            view.put(someone, rank)
        assert first.place is second.place
        assert first.place is not third.place
        assert set(view.entries()) == {first, second, third}

    def test_a_bucket_is_forgotten_with_its_last_one(self) -> None:
        view, someone = View({}), entry()
        view.put(someone, 7)
        someone.move_to(None)
        assert view.entries() == []
        assert view._buckets == {}

    def test_one_that_was_forgotten_before_does_not_take_another_with_it(self) -> None:
        view, someone, other = View({}), entry(), entry()
        view.put(someone, 7)
        old = someone.place
        assert isinstance(old, Bucket)
        view.forget(old)
        view.put(other, 8)
        someone.move_to(None)
        assert view.entries() == [other]

    def test_who_stays_in_a_bucket_keeps_standing_in_line(self) -> None:
        view, someone = View({}), entry()
        view.put(someone, 7)
        assert isinstance(someone.place, Bucket)
        someone.place.asking[someone] = None
        view.put(someone, 9)
        assert list(someone.place.asking) == [someone]

    @pytest.mark.parametrize(
        ("asking", "others", "prefers", "is_worth"),
        [(1, 0, False, False), (2, 0, False, True), (1, 1, False, True), (1, 0, True, True), (0, 1, True, False)],
    )
    def test_a_page_is_worth_it_for_two_or_for_one_that_cannot_be_read_alone(
        self, asking: int, others: int, prefers: bool, is_worth: bool
    ) -> None:
        view = View({})
        for number in range(asking + others):
            someone = entry()
            view.put(someone, number)
            someone.note(prefers_page_until=10.0 if prefers else 0.0)
            if number < asking:
                someone.state = "asking"
                assert someone.place is not None
                someone.place.asking[someone] = None
        place = someone.place
        assert place is not None
        assert place.is_worth_a_page(5.0) is is_worth


class TestSearch:
    def test_it_begins_at_the_young_end_and_goes_on_below_each_page(self) -> None:
        search = searching(300)
        assert search.advance() is None
        search.answered(None, range(999, 899, -1), 50)
        assert [search.advance(), search.advance(), search.top] == [900, 800, 700]

    def test_a_list_with_its_oldest_first_was_begun_at_the_wrong_end(self) -> None:
        search = searching(300, is_newest_first=False)
        search.advance()
        search.answered(None, range(100), 0)
        assert search.advance() == 1000

    def test_nothing_more_is_begun_before_the_first_page_is_answered(self) -> None:
        search = searching(300)
        search.advance()
        assert search.is_enough_under_way

    @pytest.mark.parametrize(("under_way", "is_enough"), [(0, False), (2, False), (3, True)])
    def test_as_many_pages_are_under_way_as_may_answer_all(self, under_way: int, is_enough: bool) -> None:
        search = searching(300)
        search.top, search.under_way = 900, under_way
        assert search.is_enough_under_way is is_enough

    @pytest.mark.parametrize(("members", "barren"), [(1, 1), (8, 1), (9, 2), (80, 10)])
    def test_it_gives_up_after_a_page_in_vain_for_each_eight(self, members: int, barren: int) -> None:
        search = searching(members)
        for number in range(barren):
            assert not search.is_exhausted
            begun_at = search.advance()
            top = 1000 if begun_at is None else begun_at
            search.answered(begun_at, range(top - 1, top - 101, -1), number % 2)
        assert search.is_exhausted

    def test_a_page_that_shows_two_is_not_in_vain(self) -> None:
        search = searching(9)
        search.barren = 1
        search.answered(search.advance(), range(999, 899, -1), 2)
        assert search.barren == 0

    @pytest.mark.parametrize(
        ("ranks", "total"), [(range(0), 1000), (range(50), 50)], ids=["empty page", "all on one page"]
    )
    def test_it_ends_with_the_list(self, ranks: range, total: int) -> None:
        search = searching(300, total=total)
        search.answered(search.advance(), ranks, 40)
        assert search.is_exhausted

    def test_a_page_that_could_not_be_read_is_read_again(self) -> None:
        search = searching(300)
        search.top = 900
        first, second = search.advance(), search.advance()
        search.failed(second)
        search.failed(first)
        assert (search.top, search.under_way) == (900, 0)

    def test_so_is_the_first_one(self) -> None:
        search = searching(300)
        search.failed(search.advance())
        assert (search.top, search.under_way) == (None, 0)

    def test_it_does_not_go_below_the_old_end(self) -> None:
        search = searching(300)
        search.top = 30
        search.advance()
        assert search.top == 0
