"""What you would write on aiohttp without a client: one GET, a loop of GETs, and a sweep over the list."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from datetime import datetime
from typing import Any

import aiohttp

Read = Callable[[str], Awaitable[datetime | None]]
"""Reads one job and returns when it finished, or None if it has not, or if no answer came."""
Known = Callable[[str, datetime], None]
"""Called once a job is known to have finished, with the time at which it did."""

HEADERS = {"x-api-key": "key"}
FIRST_PAUSE, GROWTH, LONGEST_PAUSE = 2.0, 1.5, 30.0
PAGE = 100


def finished_at(record: dict[str, Any]) -> datetime | None:
    """Return when a record says that it finished."""
    return datetime.fromisoformat(record["finished_at"]) if "finished_at" in record else None


@contextlib.asynccontextmanager
async def getting(base_url: str) -> AsyncIterator[Callable[[str], Awaitable[Any]]]:
    """Give a function that reads one record, with the defaults of aiohttp: 100 connections, and the json module."""
    async with aiohttp.ClientSession(headers=HEADERS) as session:

        async def get(id: str) -> Any:
            async with session.get(f"{base_url}/v1/lipsync/requests/{id}") as response:
                response.raise_for_status()
                return json.loads(await response.read())

        yield get


@contextlib.asynccontextmanager
async def reading(base_url: str) -> AsyncIterator[Read]:
    """Give a function that reads when a job finished; a 429 is no answer."""
    async with getting(base_url) as get:

        async def read(id: str) -> datetime | None:
            try:
                return finished_at(await get(id))
            except aiohttp.ClientResponseError as error:
                if error.status != 429:
                    raise
                return None

        yield read


async def poll(read: Read, id: str, known: Known, *, growth: float = GROWTH, first: float = FIRST_PAUSE) -> None:
    """Poll one job, with pauses that grow, until it has finished."""
    pause = first
    while (moment := await read(id)) is None:
        await asyncio.sleep(pause)
        pause = min(pause * growth, LONGEST_PAUSE)
    known(id, moment)


async def sweep(base_url: str, ids: Collection[str], known: Known, *, rate: float) -> None:
    """Read list pages over and over until all have finished, at a rate that is known to be allowed.

    A sweep goes from the newest job to the oldest open one. After a 429 it sleeps and reads the page again.
    """
    missing = set(ids)
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        while missing:
            ahead = set(missing)
            offset = 0
            while ahead:
                params = {"limit": PAGE, "offset": offset}
                async with session.get(f"{base_url}/v1/lipsync/requests", params=params) as response:
                    if response.status == 429:
                        await asyncio.sleep(float(response.headers["Retry-After"]))
                        continue
                    response.raise_for_status()
                    page = json.loads(await response.read())
                for record in page["data"]:
                    id = record["id"]
                    ahead.discard(id)
                    if id in missing and (moment := finished_at(record)):
                        missing.remove(id)
                        known(id, moment)
                offset += page["pagination"]["limit"]
                if offset >= page["pagination"]["total"]:
                    break
                await asyncio.sleep(1 / rate)
            if missing:
                await asyncio.sleep(1 / rate)
