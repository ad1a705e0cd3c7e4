"""A client that looks at many requests once, as fast as it can.

Told at start: which ``client``, the ``base_url`` and the ``ids``. Sent anything, it looks at all of them and answers
with the seconds that it took.
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


CLIENTS: dict[str, Callable[[str], AbstractAsyncContextManager[Batch]]] = {
    "chamelaion_async": ours,
    "aiohttp by hand": gathered,
}


async def main(*, client: str, base_url: str, ids: list[str]) -> None:
    async with CLIENTS[client](base_url) as batch:
        tell("ready")
        async for _ in messages():
            began = time.perf_counter()
            there = await batch(ids)
            seconds = time.perf_counter() - began
            if there != len(ids):
                raise RuntimeError(f"{there} of {len(ids)} were there")
            tell(seconds)


if __name__ == "__main__":
    asyncio.run(main(**arguments()))
