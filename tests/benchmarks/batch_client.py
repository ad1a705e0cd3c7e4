"""A client that looks at many requests, as fast as it can.

Told at start: which ``client``, the ``base_url`` and the ``ids``. Sent anything, it looks at all of them, again and
again until a second is over, and answers with the number of looks and the seconds that they took. So no client is
measured in a burst that ends before the processor has come up to speed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import by_hand
from child import arguments, messages, tell

from chamelaion_async import AsyncClient

Batch = Callable[[list[str]], Awaitable[int]]
"""Looks at all and returns how many were there."""


@contextlib.asynccontextmanager
async def ours(base_url: str) -> AsyncIterator[Batch]:
    async with AsyncClient("key", base_url=base_url) as client:

        async def batch(ids: list[str]) -> int:
            outcomes = await client.lipsync.requests.get_many(ids)
            return sum(outcome.unwrap().id == id for id, outcome in outcomes.items())

        yield batch


@contextlib.asynccontextmanager
async def gathered(base_url: str) -> AsyncIterator[Batch]:
    async with by_hand.getting(base_url) as get:

        async def batch(ids: list[str]) -> int:
            records = await asyncio.gather(*map(get, ids))
            return sum(record["id"] == id for id, record in zip(ids, records, strict=True))

        yield batch


LEAST = 1.0
"""Seconds for which it looks, at least."""

CLIENTS: dict[str, Callable[[str], AbstractAsyncContextManager[Batch]]] = {
    "chamelaion_async": ours,
    "aiohttp by hand": gathered,
}


async def main(*, client: str, base_url: str, ids: list[str]) -> None:
    async with CLIENTS[client](base_url) as batch:
        tell("ready")
        async for _ in messages():
            began, seconds, looks = time.perf_counter(), 0.0, 0
            while seconds < LEAST:
                there = await batch(ids)
                seconds = time.perf_counter() - began
                looks += 1
                if there != len(ids):
                    raise RuntimeError(f"{there} of {len(ids)} were there")
            tell([looks, seconds])


if __name__ == "__main__":
    asyncio.run(main(**arguments()))
