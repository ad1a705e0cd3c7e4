"""Entries, and the groups of them that one page may answer for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import chamelaion_async
from chamelaion_async import LipsyncRequest
from chamelaion_async.loading.entries import Entry, EntryGroup, ListScan, RareFields, Read
from chamelaion_async.loading.snapshot import ReadStamp
from chamelaion_async.loading.times import NEVER

from .subscriber import Listener


def group_of(asking: int, others: int = 0, *, prefers_page: bool = False) -> EntryGroup[LipsyncRequest]:
    group: EntryGroup[LipsyncRequest] = EntryGroup()
    for number in range(asking + others):
        entry: Entry[LipsyncRequest] = Entry(str(number))
        group.members.add(entry)
        entry.note(prefers_page_until=10.0 if prefers_page else 0.0)
        if number < asking:
            entry.state, group.asking[entry] = "asking", 0.0
    return group


def scan_of(asking: int, *, top: int | None = None) -> ListScan[LipsyncRequest]:
    scan: ListScan[LipsyncRequest] = ListScan(top=top)
    for number in range(asking):
        entry: Entry[LipsyncRequest] = Entry(str(number))
        scan.members.add(entry)
        scan.asking[entry] = 0.0
    return scan


# The variables that stand for something else with fields of the same names: a queue, a read, a member of a batch.
NO_ENTRIES = {"self", "read", "page", "member", "subscriber", "streak", "plan"}
READ_QUEUE, REGISTRY, LOADER, DELIVERY = (
    f"loading.{module}" for module in ("read_queue", "registry", "loader", "delivery")
)


def writers_in(tree: ast.AST, fields: set[str], rare: set[str]) -> Iterator[str]:
    """Yield each field of an entry that a module sets: by assignment, with ``note``, or when it makes an entry."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in fields:
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else ast.unparse(node.value)
            if owner not in NO_ENTRIES:
                yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".note"):
            yield from (keyword.arg for keyword in node.keywords if keyword.arg in rare)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "Entry":
            yield from ("id", *(keyword.arg for keyword in node.keywords if keyword.arg))


def test_one_module_writes_each_field_of_an_entry() -> None:
    fields, rare = set(attrs.fields_dict(Entry)), set(attrs.fields_dict(RareFields))
    writers: dict[str, set[str]] = {}
    for room in ("loading", "polling"):
        for file in sorted((Path(chamelaion_async.__file__).parent / room).glob("*.py")):
            for field in writers_in(ast.parse(file.read_text("utf-8")), fields, rare):
                if (file.stem, field) != ("entries", "rare"):  # ``Entry.note`` itself
                    writers.setdefault(field, set()).add(f"{room}.{file.stem}")
    assert writers == {
        **{key: {READ_QUEUE} for key in ("state", "read", "timeout", "due", "group")},
        **{key: {READ_QUEUE} for key in ("misses", "scan_at", "scans", "least_timeout")},
        **{key: {REGISTRY} for key in ("id", "subscriber", "others", "aliases", "packed", "stamp")},
        **{key: {LOADER} for key in ("failures_alone", "prefers_page_until")},
        **{key: {DELIVERY} for key in ("nudged_at", "audited_at", "is_end_checked")},
    }


class TestEntry:
    @pytest.mark.parametrize(
        ("state", "read_at", "due", "wants"),
        [
            ("asking", 0.0, NEVER, True),
            ("reading", None, 0.0, False),
            ("idle", None, NEVER, True),
            ("idle", 0.0, 20.0, True),
            ("idle", 0.0, 20.1, False),
            ("idle", 0.0, NEVER, False),
        ],
    )
    def test_it_wants_a_poll_when_half_of_its_pause_is_over(
        self, state: Any, read_at: float | None, due: float, wants: bool
    ) -> None:
        entry: Entry[LipsyncRequest] = Entry("job", state=state, due=due)
        if read_at is not None:
            entry.stamp = ReadStamp(began=read_at, at=read_at, server_time=None, jitter_draw=0.5)
        assert entry.wants_poll(10.0) is wants

    def test_rare_fields_are_shared_until_one_is_set(self) -> None:
        one, other = Entry[LipsyncRequest]("a"), Entry[LipsyncRequest]("b")
        assert one.rare is other.rare
        one.note(misses=1)
        assert (one.rare.misses, other.rare.misses) == (1, 0)

    @pytest.mark.parametrize("others", [0, 1, 3])
    def test_its_subscribers_come_in_order_of_arrival(self, others: int) -> None:
        first, *rest = (Listener() for _ in range(others + 1))
        entry: Entry[LipsyncRequest] = Entry("a", subscriber=first)
        if rest:
            entry.note(others=dict.fromkeys(rest))
        assert entry.subscribers == (first, *rest)


class TestRead:
    def test_a_read_is_owed_to_the_entries_that_still_wait_for_it(self) -> None:
        entries = [Entry[LipsyncRequest](str(number)) for number in range(3)]
        page: Read[LipsyncRequest] = Read(began=0.0, timeout=1.0, covered=entries)
        entries[0].read = entries[2].read = page
        assert (page.is_page, list(page.owed())) == (True, [entries[0], entries[2]])
        get: Read[LipsyncRequest] = Read(began=0.0, timeout=1.0, entry=entries[1])
        assert (get.is_page, list(get.owed())) == (False, [])
        entries[1].read = get
        assert list(get.owed()) == [entries[1]]


class TestEntryGroup:
    @pytest.mark.parametrize(
        ("asking", "others", "prefers", "is_worth"),
        [(1, 0, False, False), (2, 0, False, True), (1, 1, False, True), (1, 0, True, True), (0, 1, True, False)],
    )
    def test_a_page_is_worth_it_for_two_or_for_one_that_cannot_be_read_alone(
        self, asking: int, others: int, prefers: bool, is_worth: bool
    ) -> None:
        assert group_of(asking, others, prefers_page=prefers).is_worth_page(5.0) is is_worth


class TestListScan:
    def test_it_begins_at_the_young_end_and_goes_on_below_each_page(self) -> None:
        scan = scan_of(300)
        assert scan.advance(100) is None
        scan.answered(None, range(999, 899, -1), 1000, 50)
        assert [scan.advance(100), scan.advance(100), scan.top] == [900, 800, 700]

    @pytest.mark.parametrize(
        ("ranks", "total", "top"),
        [
            (range(999, 899, -1), 1000, 900),
            (range(998, 898, -1), 1000, 1000),
            (range(100), 1000, 1000),
            (range(0), 1000, 0),
            (range(49, -1, -1), 50, 0),
            (range(99, -1, -1), 101, 101),
        ],
        ids=["the young end", "all but the youngest", "the old end", "nothing", "the whole list", "all but one"],
    )
    def test_its_first_page_tells_where_to_go_on(self, ranks: range, total: int, top: int) -> None:
        scan = scan_of(300)
        scan.answered(scan.advance(100), ranks, total, 0)
        assert scan.top == top

    @pytest.mark.parametrize(
        ("top", "under_way", "covers"),
        [(None, 0, False), (None, 1, True), (900, 0, False), (900, 2, False), (900, 3, True)],
    )
    def test_as_many_pages_are_under_way_as_may_show_all(self, top: int | None, under_way: int, covers: bool) -> None:
        scan = scan_of(300, top=top)
        scan.under_way = under_way
        assert scan.covers_all(100) is covers

    def test_it_ends_at_the_old_end(self) -> None:
        scan = scan_of(300, top=30)
        scan.advance(100)
        assert (scan.top, scan.may_go_on()) == (0, False)

    @pytest.mark.parametrize(("gets", "may"), [(0, False), (15, False), (16, True)])
    def test_after_a_fruitless_page_it_goes_on_once_sixteen_gets_were_made(self, gets: int, may: bool) -> None:
        scan = scan_of(300)
        scan.answered(scan.advance(100), range(999, 899, -1), 1000, 1)
        scan.gets = gets
        assert scan.may_go_on() is may

    def test_a_page_that_shows_two_lets_it_go_on(self) -> None:
        scan = scan_of(300)
        scan.answered(scan.advance(100), range(999, 899, -1), 1000, 0)
        scan.answered(scan.advance(100), range(899, 799, -1), 1000, 2)
        assert (scan.fruitless_pages, scan.may_go_on()) == (0, True)

    @pytest.mark.parametrize(("found", "allowed"), [(49, NEVER), (50, 0)])
    def test_after_a_page_with_few_of_them_the_rest_may_be_read_with_get(self, found: int, allowed: float) -> None:
        scan = scan_of(300)
        scan.answered(scan.advance(100), range(999, 899, -1), 1000, found)
        assert scan.gets_allowed == allowed

    @pytest.mark.parametrize("top", [900, None])
    def test_pages_that_could_not_be_read_are_read_again(self, top: int | None) -> None:
        scan = scan_of(300, top=top)
        first, second = scan.advance(100), scan.advance(100)
        scan.failed(second)
        scan.failed(first)
        assert (scan.top, scan.under_way) == (top, 0)


@pytest.mark.parametrize(
    ("top", "ranks", "then"),
    [
        (None, range(299, 199, -1), 200),  # the young end
        (None, range(199, 99, -1), None),  # not the next page
        (200, range(199, 99, -1), 100),
        (200, range(100), 200),
        (150, range(199, 99, -1), 100),
        (100, range(199, 99, -1), 100),  # it is past that page
        (None, range(200, 300), 200),  # the oldest first
        (None, range(0), None),
    ],
)
def test_a_scan_goes_on_below_a_page_that_another_client_has_read(
    top: int | None, ranks: range, then: int | None
) -> None:
    scan: ListScan[LipsyncRequest] = ListScan(top=top)
    scan.skip(ranks, 300)
    assert scan.top == then
