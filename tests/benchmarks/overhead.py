"""What a `get` costs above aiohttp by hand: CPU time of this process, rounds of both taken in turn."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from loopback import REQUEST_ID, running

from chamelaion_async import AsyncClient

ROUNDS = 21
CALLS = 2000


async def _cpu(call: Callable[[], Awaitable[Any]], at_once: int) -> float:
    async def worker() -> None:
        for _ in range(CALLS // at_once):
            await call()

    began = time.process_time()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return (time.process_time() - began) / CALLS


async def _measure(base_url: str) -> list[dict[str, float]]:
    url = f"{base_url}/v1/lipsync/requests/{REQUEST_ID}"
    rows = []
    async with aiohttp.ClientSession() as session, AsyncClient("key", base_url=base_url) as client:

        async def by_hand() -> Any:
            async with session.get(url, headers={"x-api-key": "key"}) as response:
                response.raise_for_status()
                return json.loads(await response.read())

        async def ours() -> Any:
            return await client.lipsync.requests.get(REQUEST_ID)

        for at_once in (1, 32):
            await _cpu(by_hand, at_once), await _cpu(ours, at_once)
            pairs = [(await _cpu(by_hand, at_once), await _cpu(ours, at_once)) for _ in range(ROUNDS)]
            hand, mine = (statistics.median(column) for column in zip(*pairs, strict=True))
            ratio = statistics.median(ours / hand for hand, ours in pairs)
            rows.append(
                {
                    "at_once": at_once,
                    "by_hand_us": round(hand * 1e6, 1),
                    "get_us": round(mine * 1e6, 1),
                    "ratio": round(ratio, 3),
                }
            )
    return rows


def measure() -> list[dict[str, float]]:
    """Return CPU microseconds per call by hand and through `get`, and the median ratio of paired rounds."""
    with running() as base_url:
        return asyncio.run(_measure(base_url))
