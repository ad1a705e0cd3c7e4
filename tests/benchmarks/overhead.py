"""CPU time of a ``get`` in this process, beside aiohttp by hand, in alternating rounds."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import by_hand
from child import Child
from goals import Goal

from chamelaion_async import AsyncClient

ROUNDS = 21
CALLS = 2000


async def _cpu(get: Callable[[str], Awaitable[Any]], id: str, at_once: int) -> float:
    async def worker() -> None:
        for _ in range(CALLS // at_once):
            await get(id)

    began = time.process_time()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return (time.process_time() - began) / CALLS


async def _measure(base_url: str, id: str) -> list[dict[str, float]]:
    rows = []
    async with by_hand.getting(base_url) as by_aiohttp, AsyncClient("key", base_url=base_url) as client:
        for at_once in (1, 32):
            pairs = [
                (await _cpu(by_aiohttp, id, at_once), await _cpu(client.lipsync.requests.get, id, at_once))
                for _ in range(1 + ROUNDS)
            ][1:]  # the first round loads what is loaded on first use
            hand, mine = (statistics.median(column) for column in zip(*pairs, strict=True))
            rows.append(
                {
                    "at_once": at_once,
                    "by_hand_us": round(hand * 1e6, 1),
                    "get_us": round(mine * 1e6, 1),
                    "ratio": round(statistics.median(ours / hand for hand, ours in pairs), 3),
                }
            )
    return rows


def measure(_short: bool = False) -> list[dict[str, float]]:
    """Return CPU microseconds of a call by hand and of a ``get``, and the median ratio of paired rounds."""
    with Child("record_server.py", {"records": 1, "finished": True}) as server:
        served = server.receive()
        return asyncio.run(_measure(served["base_url"], served["ids"][0]))


def goals(rows: list[dict[str, float]]) -> list[Goal]:
    """Return the bound for the ratio."""
    what = "CPU of a get over aiohttp by hand, {} at once"
    return [Goal(what=what.format(row["at_once"]), measured=row["ratio"], at_most=1.18) for row in rows]
