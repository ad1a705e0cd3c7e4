"""Ranks, offsets and buckets: what pages tell of a list, and where an entry is found in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chamelaion_async import LipsyncRequest
from chamelaion_async._http.paging import PAGE_SIZE
from chamelaion_async.loading.entries import Entry
from chamelaion_async.loading.list_index import ListIndex
from chamelaion_async.models import Pagination

Index = ListIndex[LipsyncRequest]


def put(index: Index, rank: int) -> Entry[LipsyncRequest]:
    """Return an entry that stands at a rank."""
    entry: Entry[LipsyncRequest] = Entry(str(rank))
    entry.group = index.bucket_at(rank)
    entry.group.members.add(entry)
    return entry


def said(*, limit: int = PAGE_SIZE, offset: int = 0, total: int = 1000) -> Pagination:
    return Pagination(limit=limit, offset=offset, total=total)


class TestRanks:
    @given(
        size=st.integers(1, PAGE_SIZE),
        total=st.integers(1, 3000),
        is_newest_first=st.booleans(),
        data=st.data(),
    )
    def test_every_rank_of_a_bucket_lies_on_the_page_below_its_top(
        self, size: int, total: int, is_newest_first: bool, data: st.DataObject
    ) -> None:
        index = Index(size=size, total=total, is_newest_first=is_newest_first)
        rank = data.draw(st.integers(0, total - 1))
        offset = index.offset_below(index.top_of(index.bucket_at(rank)))
        assert rank in index.ranks(offset, min(size, total - offset))

    @given(total=st.integers(1, 3000), growth=st.integers(0, 3000), offset=st.integers(0, 2999), new=st.booleans())
    def test_a_rank_stays_the_same_while_the_list_grows(
        self, total: int, growth: int, offset: int, new: bool
    ) -> None:
        offset %= total
        index = Index(total=total, is_newest_first=new)
        (rank,) = index.ranks(offset, 1)
        index.total += growth
        assert list(index.ranks(offset + growth if new else offset, 1)) == [rank]

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
        assert Index(size=100, total=1000, is_newest_first=is_newest_first).offset_below(top) == offset

    def test_an_empty_page_has_no_ranks(self) -> None:
        assert list(Index(total=10).ranks(0, 0)) == []


class TestLearning:
    @pytest.mark.parametrize(
        ("limit", "count", "offset", "size"),
        [
            (PAGE_SIZE, PAGE_SIZE, 0, PAGE_SIZE),
            (20, 20, 0, 20),
            (PAGE_SIZE, 20, 0, 20),
            (0, 50, 0, 50),
            (5000, PAGE_SIZE, 0, PAGE_SIZE),
            (PAGE_SIZE, 30, 970, PAGE_SIZE),
            (PAGE_SIZE, 0, 0, PAGE_SIZE),
            (-1, PAGE_SIZE, 0, PAGE_SIZE),
        ],
        ids=["as asked", "said", "lied", "none said", "more", "last page", "empty", "nonsense"],
    )
    def test_the_size_of_a_page_is_what_the_service_puts_on_it(
        self, limit: int, count: int, offset: int, size: int
    ) -> None:
        index = Index()
        index.learn(said(limit=limit, offset=offset), count, None)
        assert index.size == size

    def test_the_total_is_at_least_what_was_seen(self) -> None:
        index = Index()
        index.learn(said(offset=100, total=0), 50, None)
        assert index.total == 150

    @pytest.mark.parametrize(
        ("is_newest_first", "limit", "is_void"),
        [
            (True, PAGE_SIZE, False),
            (None, PAGE_SIZE, False),
            (False, PAGE_SIZE, True),
            (True, 20, True),
            (False, 20, True),
        ],
    )
    def test_places_are_void_once_order_or_size_turn_out_to_be_others(
        self, is_newest_first: bool | None, limit: int, is_void: bool
    ) -> None:
        index = Index()
        put(index, 7)
        assert index.learn(said(limit=limit), limit, is_newest_first) is is_void

    @pytest.mark.parametrize(("is_newest_first", "limit"), [(False, PAGE_SIZE), (True, 20)])
    def test_nothing_is_void_without_places(self, is_newest_first: bool, limit: int) -> None:
        assert not Index().learn(said(limit=limit), limit, is_newest_first)

    @pytest.mark.parametrize("order", [True, False])
    def test_the_order_is_that_of_the_page(self, order: bool) -> None:
        index = Index(is_newest_first=not order)
        index.learn(said(), PAGE_SIZE, order)
        assert index.is_newest_first is order


class TestBuckets:
    def test_neighbours_share_a_bucket(self) -> None:
        index = Index(size=100)
        first, second, third = (put(index, rank) for rank in (100, 199, 200))
        assert first.group is second.group
        assert first.group is not third.group
        assert set(index.entries()) == {first, second, third}

    def test_removing_a_bucket_does_not_remove_a_later_one(self) -> None:
        index = Index()
        old = index.bucket_at(7)
        index.remove(old)
        entry = put(index, 8)
        index.remove(old)
        assert index.entries() == [entry]
