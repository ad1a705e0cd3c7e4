"""A client that reads single requests as fast as it can, so many at once.

Told at start: which ``client``, the ``base_url`` and the ``ids``. Sent ``at_once``, ``warm_up`` and ``seconds``, it
answers with the reads a second over the seconds that follow the warm-up.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import by_hand
import vendor
from child import arguments, messages, tell

from chamelaion_async import AsyncClient

Get = Callable[[str], Awaitable[Any]]


@contextlib.asynccontextmanager
async def ours(base_url: str) -> AsyncIterator[Get]:
    async with AsyncClient("key", base_url=base_url) as client:
        yield client.lipsync.requests.get


CLIENTS: dict[str, Callable[[str], AbstractAsyncContextManager[Get]]] = {
    "chamelaion_async": ours,
    "aiohttp by hand": by_hand.getting,
    "vendor on aiohttp": partial(vendor.getting, on_aiohttp=True),
    "vendor on httpx": partial(vendor.getting, on_aiohttp=False),
}


async def reads_a_second(get: Get, ids: Iterator[str], *, at_once: int, warm_up: float, seconds: float) -> float:
    """Keep so many reads under way, and count those that end within the time after the warm-up."""
    done = 0

    async def work() -> None:
        nonlocal done
        for id in ids:
            await get(id)
            done += 1

    workers = [asyncio.create_task(work()) for _ in range(at_once)]
    await asyncio.sleep(warm_up)
    before, began = done, time.perf_counter()
    await asyncio.sleep(seconds)
    rate = (done - before) / (time.perf_counter() - began)
    for worker in workers:
        worker.cancel()
    await asyncio.wait(workers)
    for worker in workers:
        if not worker.cancelled():
            worker.result()
    return rate


async def main(*, client: str, base_url: str, ids: list[str]) -> None:
    async with CLIENTS[client](base_url) as get:
        tell("ready")
        endless = itertools.cycle(ids)
        async for message in messages():
            tell(await reads_a_second(get, endless, **message))


if __name__ == "__main__":
    asyncio.run(main(**arguments()))
