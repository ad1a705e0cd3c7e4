"""However many requests the client sends, it holds no more than before.

A short run is part of the tests; ``CHAMELAION_POLLS=100000`` sends so many for each kind of work.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import os
import tracemalloc
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from chamelaion_async import AsyncClient
from chamelaion_async.resources.expiring_set import CAPACITY

from .api import StatelessApi, uuid
from .work import WORK, Bench, Step, Work

pytestmark = pytest.mark.virtual_time

POLLS: Final = int(os.environ.get("CHAMELAION_POLLS", "300"))
_WARM_UP: Final = 400  # until the tables of the interpreter and of the read queue have their size
_REMEMBERED: Final = 1000  # answers whose times a lane keeps for its rate, and paths that were refused
_KEPT_URLS: Final = 128
_KEPT_OBJECTS: Final = 255
_PARTS: Final = 4
_TURNS: Final = 30
# In bytes, without the part that grew most: an enlarged table of the interpreter shows in one part, a leak in all.
_ALLOWED: Final = 32 * 1024  # in the other parts, however many requests are sent: caches of libraries fill up
_ALLOWED_LATER: Final = 4 * 1024  # in the better part of the second half


async def repeat(api: StatelessApi, step: Step, times: int) -> None:
    until = api.asked + times
    while api.asked < until:
        await step()


async def held() -> int:
    """Return the bytes that are held by anything but garbage, once what has ended has been cleared away."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    loop: Any = asyncio.get_running_loop()  # cancelled timers stay in it for a while
    loop._scheduled[:] = [handle for handle in loop._scheduled if not handle.cancelled()]
    heapq.heapify(loop._scheduled)
    loop._timer_cancelled_count = 0
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def fill(client: AsyncClient) -> None:
    """Fill what has bounds.

    Lanes remember some answers and refused paths, submissions some jobs, yarl keeps some URLs, and CPython keeps
    objects to use again.
    """
    loop = asyncio.get_running_loop()
    _ = [(copy_context(), iter(loop.create_future())) for _ in range(_KEPT_OBJECTS)]
    for lane in client._transport.lanes.values():
        for _ in range(_REMEMBERED):
            loop._advance(1e-3)  # type: ignore[attr-defined] # the loop of these tests
            lane.answered()
    refused = (f"/v1/lipsync/requests/{uuid(-number)}" for number in range(1, _REMEMBERED + 1))
    client._transport.lanes["status"]._answers._refused.update(dict.fromkeys(refused, False))
    submissions = client._common.lipsync.submissions
    for number in range(CAPACITY):
        for recent in (submissions._returned, submissions._uncertain):
            recent.add(uuid(number))
    for number in range(_KEPT_URLS):
        # yarl keeps the URLs that are parsed and those that are put together, each in a table of their own.
        await client.lipsync.requests.list(limit=1, offset=number)
        await client.lipsync.requests.get(uuid(-number - 1))


async def growth(client: AsyncClient, api: StatelessApi, begin: Callable[[], Awaitable[Step]]) -> list[int]:
    """Return by how many bytes more is held after each part of the polls."""
    tracemalloc.start()
    try:
        await fill(client)
        step = await begin()
        await repeat(api, step, _WARM_UP)
        sizes = [await held()]
        for _ in range(_PARTS):
            await repeat(api, step, POLLS // _PARTS)
            sizes.append(await held())
    finally:
        tracemalloc.stop()
    return [after - before for before, after in pairwise(sizes)]


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
async def test_repeated_work_does_not_grow_the_client(
    client: AsyncClient, api: StatelessApi, tmp_path: Path, work: Work
) -> None:
    grown = await growth(client, api, partial(work, Bench(client, api, tmp_path)))
    assert sum(grown) - max(grown) <= _ALLOWED, grown
    assert min(grown[_PARTS // 2 :]) <= _ALLOWED_LATER, grown


async def test_work_that_keeps_its_answers_is_noticed(client: AsyncClient, api: StatelessApi, tmp_path: Path) -> None:
    kept = []
    bench = Bench(client, api, tmp_path)

    async def careless() -> Step:
        async def step() -> None:
            kept.append(await bench.requests.get(*bench.new(1, finished=0)))

        return step

    grown = await growth(client, api, careless)
    assert min(grown[_PARTS // 2 :]) > _ALLOWED_LATER, grown
