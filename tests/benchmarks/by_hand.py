"""What one would write on aiohttp without any client: one GET, a loop of GETs, and a sweep over the list."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from datetime import datetime
from typing import Any

import aiohttp

Look = Callable[[str], Awaitable[datetime | None]]
"""Reads one job and gives the time at which it finished, or None if it has not or no answer was to be had."""
Known = Callable[[str, datetime], None]
"""Is told that a job is known to have finished, and when it did."""

HEADERS = {"x-api-key": "key"}
FIRST_PAUSE, GROWTH, LONGEST_PAUSE = 2.0, 1.5, 30.0
PAGE = 100


def finished_at(record: dict[str, Any]) -> datetime | None:
    """Return when a record says that it finished."""
    return datetime.fromisoformat(record["finished_at"]) if "finished_at" in record else None


@contextlib.asynccontextmanager
async def getting(base_url: str) -> AsyncIterator[Callable[[str], Awaitable[Any]]]:
    """Give a function that reads one record, as aiohttp comes: 100 connections, JSON decoded by json."""
    async with aiohttp.ClientSession(headers=HEADERS) as session:

        async def get(id: str) -> Any:
            async with session.get(f"{base_url}/v1/lipsync/requests/{id}") as response:
                response.raise_for_status()
                return json.loads(await response.read())

        yield get


@contextlib.asynccontextmanager
async def looking(base_url: str) -> AsyncIterator[Look]:
    """Give a function that looks at one job; a 429 is no answer."""
    async with getting(base_url) as get:

        async def look(id: str) -> datetime | None:
            try:
                return finished_at(await get(id))
            except aiohttp.ClientResponseError as error:
                if error.status != 429:
                    raise
                return None

        yield look


async def poll(look: Look, id: str, known: Known, *, growth: float = GROWTH, first: float = FIRST_PAUSE) -> None:
    """Look at one job, with pauses that grow, until it has finished."""
    pause = first
    while (moment := await look(id)) is None:
        await asyncio.sleep(pause)
        pause = min(pause * growth, LONGEST_PAUSE)
    known(id, moment)


async def sweep(base_url: str, ids: Collection[str], known: Known, *, rate: float) -> None:
    """Read list pages over and over until all have finished, at a rate that is known to be allowed.

    A sweep goes from the newest job until all that are open have been seen; a 429 is slept out and the page read
    again.
    """
    missing = set(ids)
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        while missing:
            unseen = set(missing)
            offset = 0
            while unseen:
                params = {"limit": PAGE, "offset": offset}
                async with session.get(f"{base_url}/v1/lipsync/requests", params=params) as response:
                    if response.status == 429:
                        await asyncio.sleep(float(response.headers["Retry-After"]))
                        continue
                    response.raise_for_status()
                    page = json.loads(await response.read())
                for record in page["data"]:
                    id = record["id"]
                    unseen.discard(id)
                    if id in missing and (moment := finished_at(record)):
                        missing.remove(id)
                        known(id, moment)
                offset += page["pagination"]["limit"]
                if offset >= page["pagination"]["total"]:
                    break
                await asyncio.sleep(1 / rate)
            if missing:
                await asyncio.sleep(1 / rate)
