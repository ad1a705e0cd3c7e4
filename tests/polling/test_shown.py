"""What the loader makes of a page: whom it shows, whom it was to show, and what follows for the lists."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

pytestmark = pytest.mark.virtual_time


@attrs.define
class Spy:
    """Notes what the agenda is told."""

    found: list[int] = attrs.Factory(list)
    has_grown: list[bool] = attrs.Factory(list)
    tried: list[int] = attrs.Factory(list)

    def watch(self, service: Any) -> Any:
        agenda = service.loader._agenda
        searched, missed, try_reference = agenda.searched, agenda.missed, agenda.try_reference

        def note_searched(reading: Any, ranks: range, found: int) -> None:
            self.found.append(found)
            searched(reading, ranks, found)

        def note_missed(entries: Any, *, has_grown: bool) -> None:
            self.has_grown.append(has_grown)
            missed(entries, has_grown=has_grown)

        def note_tried(shown: Any, search: Any, group: Any) -> None:
            self.tried.append(len(shown))
            try_reference(shown, search, group)

        agenda.searched, agenda.missed, agenda.try_reference = note_searched, note_missed, note_tried
        return service


@pytest.fixture
def spy() -> Spy:
    return Spy()


async def test_a_search_hears_how_many_of_its_own_each_page_has_shown(serve: Any, spy: Spy) -> None:
    service = spy.watch(serve(cap=10, rate=100.0))
    old = service.add(20, lasts=0.0)
    young = service.add(10, lasts=0.0)
    await service.follow([*young[:7], *old[:3], *old[10:11]])
    assert spy.found[0] == 7
    assert sum(spy.found) == 7 + 3 + 1 - len(service.gets)


async def test_a_list_has_grown_only_where_more_are_in_it_than_before(serve: Any, spy: Spy) -> None:
    service = spy.watch(serve())
    ids = service.add(30, lasts=4.5)
    service.heed = lambda _: service.add(5) if service.elapsed in (2.0, 3.0) else None
    await service.follow(ids)
    assert [service.looks, spy.has_grown] == [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [True, False, True, True, False, False]]


@pytest.mark.parametrize(("waited_for", "tried"), [(4, [4]), (5, [])])
async def test_a_shorter_list_is_thought_of_where_a_page_shows_few(
    serve: Any, spy: Spy, waited_for: int, tried: list[int]
) -> None:
    service = spy.watch(serve(cap=10))
    service.add(10, lasts=0.0)
    ids = service.add(10, lasts=0.0)
    await service.follow(ids[:waited_for])
    assert (len(service.pages), len(service.gets)) == (1, 0)
    assert spy.tried == tried


async def test_and_never_where_it_is_the_short_one_already(serve: Any, spy: Spy) -> None:
    service = spy.watch(serve(cap=10))
    ids = service.add(6, reference="mine", lasts=2.5)
    service.add(100, lasts=0.0)
    await service.follow(ids)
    filtered = [page for page in service.pages if page.filters]
    assert filtered
    assert len(spy.tried) == len(service.received) - len(filtered)
