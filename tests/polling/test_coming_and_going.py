"""Who comes to the loader and who leaves it, and what that does to what is under way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chamelaion_async.polling.places import Search

from .follower import Follower

pytestmark = pytest.mark.virtual_time


async def test_who_comes_first_is_searched_for(serve: Any) -> None:
    loader = serve().loader
    assert isinstance(loader.join("a", Follower()).place, Search)


async def test_who_comes_later_leaves_it_where_it_stands(serve: Any) -> None:
    loader = serve().loader
    entry = loader.join("a", Follower())
    loader._agenda.place(entry, loader._agenda._whole, 50)
    place = entry.place
    assert loader.join("a", Follower()).place is place
    assert not isinstance(place, Search)


@pytest.mark.parametrize("state", ["asking", "reading"])
async def test_nor_is_it_searched_for_again_while_it_is_read_on_its_own(serve: Any, state: Any) -> None:
    loader = serve().loader
    entry = loader.join("a", Follower())
    entry.move_to(None)
    entry.state = state
    assert loader.join("a", Follower()).place is None


async def test_who_leaves_ends_its_own_read_and_no_other(serve: Any) -> None:
    service = serve(latency=10.0)
    one, other = service.add(2, is_listed=False, lasts=5.0)
    waits = [service.start(id, at=at) for id, at in ((one, 0.0), (other, 3.0))]
    await asyncio.sleep(4.0)
    assert [read.id for read in service.gets] == [one, other]
    waits[0].cancel()
    request = await waits[1]
    assert (request.id, len(service.gets), service.elapsed) == (other, 2, 13.0)


async def test_who_leaves_lets_a_page_go_on_for_the_others(serve: Any) -> None:
    service = serve(latency=10.0)
    waits = [service.start(id) for id in service.add(3, lasts=5.0)]
    await asyncio.sleep(4.0)
    assert (len(service.pages), len(service.gets)) == (1, 0)
    waits[0].cancel()
    await asyncio.wait(waits)
    assert (len(service.received), service.elapsed) == (1, 10.0)


async def test_who_leaves_with_the_answer_does_not_end_the_task_that_brought_it(serve: Any) -> None:
    service, tasks = serve(), list[asyncio.Task[Any]]()
    service.heed = lambda _: tasks.extend(service.loader._readings)
    await service.follow(service.add(lasts=0.0))
    await asyncio.wait(tasks)
    assert [task.cancelling() for task in tasks] == [0]


async def test_a_read_that_failed_is_forgotten(serve: Any, trouble: Any) -> None:
    service = serve(refuse=lambda _: trouble["403"]())
    await service.follow(service.add(3))
    assert service.loader._readings == {}
