"""A client that reads requests as fast as it can: all of them at once, or single ones with so many under way.

At the start it is given its ``client``, the ``base_url`` and the ``ids``. For the message ``"all"`` it reads all ids
again and again, for at least a second, so that the processor is at full speed. It answers with the number of times
and the seconds. For ``at_once``, ``warm_up`` and ``seconds`` it answers with the reads a second after the warm-up.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import by_hand
import vendor
from attrs import frozen
from child import arguments, messages, tell

from chamelaion_async import AsyncClient

LEAST = 1.0  # seconds of reading all

Get = Callable[[str], Awaitable[Any]]


@frozen
class Reader:
    """The two ways in which a client reads."""

    get: Get
    get_many: Callable[[list[str]], Awaitable[Iterable[str]]]
    """Reads all, and returns the ids of what was read."""


@contextlib.asynccontextmanager
async def ours(base_url: str) -> AsyncIterator[Reader]:
    async with AsyncClient("key", base_url=base_url) as client:

        async def get_many(ids: list[str]) -> Iterable[str]:
            outcomes = await client.lipsync.requests.get_many(ids)
            return (outcome.unwrap().id for outcome in outcomes.values())

        yield Reader(client.lipsync.requests.get, get_many)


@contextlib.asynccontextmanager
async def theirs(getting: Callable[[str], AbstractAsyncContextManager[Get]], base_url: str) -> AsyncIterator[Reader]:
    async with getting(base_url) as get:

        async def get_many(ids: list[str]) -> Iterable[str]:
            return (record["id"] for record in await asyncio.gather(*map(get, ids)))

        yield Reader(get, get_many)


CLIENTS: dict[str, Callable[[str], AbstractAsyncContextManager[Reader]]] = {
    "chamelaion_async": ours,
    "aiohttp by hand": partial(theirs, by_hand.getting),
    "vendor on aiohttp": partial(theirs, partial(vendor.getting, on_aiohttp=True)),
    "vendor on httpx": partial(theirs, partial(vendor.getting, on_aiohttp=False)),
}


async def read_all(reader: Reader, ids: list[str]) -> tuple[int, float]:
    """Return how many times all were read, and the seconds of it."""
    began, seconds, times = time.perf_counter(), 0.0, 0
    while seconds < LEAST:
        if list(await reader.get_many(ids)) != ids:
            raise RuntimeError("not all that was asked for was read")
        seconds = time.perf_counter() - began
        times += 1
    return times, seconds


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
    async with CLIENTS[client](base_url) as reader:
        tell("ready")
        endless = itertools.cycle(ids)
        async for message in messages():
            if message == "all":
                tell(await read_all(reader, ids))
            else:
                tell(await reads_a_second(reader.get, endless, **message))


if __name__ == "__main__":
    asyncio.run(main(**arguments()))
