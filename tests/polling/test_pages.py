"""What one page tells of its list, by example."""

from __future__ import annotations

import pytest

from chamelaion_async import LipsyncRequest
from chamelaion_async.models import Pagination
from chamelaion_async.polling.entry import Entry
from chamelaion_async.polling.places import ListView, Search

View = ListView[LipsyncRequest]


def page(*, limit: int = 100, offset: int = 0, total: int = 1000) -> Pagination:
    return Pagination(limit=limit, offset=offset, total=total)


@pytest.mark.parametrize(
    ("is_newest_first", "offset", "ranks"),
    [(True, 0, [9, 8, 7]), (True, 4, [5, 4, 3]), (False, 0, [0, 1, 2]), (False, 4, [4, 5, 6])],
)
def test_ranks_are_counted_from_the_old_end(is_newest_first: bool, offset: int, ranks: list[int]) -> None:
    assert list(View({}, total=10, is_newest_first=is_newest_first).ranks(offset, 3)) == ranks


@pytest.mark.parametrize(
    ("limit", "count", "size"),
    [
        (100, 100, 100),
        (50, 50, 50),
        (2, 2, 2),
        (1, 1, 1),
        (0, 100, 100),
        (-1, 100, 100),
        (101, 100, 100),
        (50, 20, 20),
        (50, 1, 1),
        (50, 0, 50),
    ],
)
def test_a_page_holds_what_the_service_puts_on_it_whatever_it_says(limit: int, count: int, size: int) -> None:
    view = View({})
    view.learn(page(limit=limit), count, None)
    assert view.size == size


def test_a_short_page_at_the_end_of_a_list_tells_nothing() -> None:
    view = View({})
    view.learn(page(limit=50, offset=980), 20, None)
    assert view.size == 50


@pytest.mark.parametrize("order", [True, False])
def test_the_order_is_that_of_the_page(order: bool) -> None:
    view = View({}, is_newest_first=not order)
    view.learn(page(), 100, order)
    assert view.is_newest_first is order


def test_a_page_without_an_order_changes_none() -> None:
    view = View({}, is_newest_first=False)
    view.learn(page(), 1, None)
    assert view.is_newest_first is False


@pytest.mark.parametrize(
    ("ranks", "top"),
    [
        (range(999, 899, -1), 900),
        (range(998, 898, -1), 1000),
        (range(100), 1000),
        (range(0), 0),
    ],
    ids=["the young end", "all but the youngest", "the old end", "nothing"],
)
def test_a_search_goes_on_below_its_first_page_or_begins_at_the_other_end(ranks: range, top: int) -> None:
    search = Search(View({}, total=1000))
    search.answered(search.advance(), ranks, 0)
    assert search.top == top


@pytest.mark.parametrize(("total", "top"), [(100, 0), (99, 0), (101, 1)])
def test_a_search_ends_with_a_page_that_shows_the_whole_list(total: int, top: int) -> None:
    search = Search(View({}, total=total))
    search.answered(search.advance(), range(total - 1, total - 101, -1), 0)
    assert search.top == top


def test_who_leaves_is_not_asked_for_any_more() -> None:
    search = Search(View({}))
    entry: Entry[LipsyncRequest] = Entry("job")
    entry.move_to(search)
    search.asking[entry] = None
    entry.move_to(None)
    assert (search.members, search.asking) == (set(), {})
