"""A client that waits for many jobs in one of several ways, and reports when it learned of each end.

At the start it is given its ``way``, and the seconds after which it is ``cut_off``. It says when it is ready, is sent
``base_url`` and ``ids``, and answers with the delays from finished to known, in seconds of the clock that it shares
with the server.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import partial
from typing import Any

import by_hand
import vendor
from by_hand import Known, Read
from child import arguments, messages, tell

from chamelaion_async import AsyncClient

ALLOWED_RATE = 20.0
"""Requests a second that the sweep by hand may make."""
FIXED_PAUSE = 5.0

Way = Callable[[str, list[str], Known], Awaitable[None]]


async def as_finished(base_url: str, ids: list[str], known: Known) -> None:
    async with AsyncClient("key", base_url=base_url) as client:
        async for outcome in client.lipsync.requests.as_finished(ids):
            finished_at = outcome.unwrap().finished_at
            assert finished_at is not None
            known(outcome.id, finished_at)


async def separate_waits(base_url: str, ids: list[str], known: Known) -> None:
    async with AsyncClient("key", base_url=base_url) as client:

        async def wait(id: str) -> None:
            request = await client.wait_until_finished(id)
            assert request.finished_at is not None
            known(id, request.finished_at)

        await asyncio.gather(*map(wait, ids))


async def get_loops(
    reading: Callable[[str], AbstractAsyncContextManager[Read]],
    base_url: str,
    ids: list[str],
    known: Known,
    *,
    first: float = by_hand.FIRST_PAUSE,
    growth: float = by_hand.GROWTH,
) -> None:
    async with reading(base_url) as read:
        await asyncio.gather(*(by_hand.poll(read, id, known, first=first, growth=growth) for id in ids))


WAYS: dict[str, Way] = {
    "as_finished": as_finished,
    "separate_waits": separate_waits,
    "sweep_by_hand": partial(by_hand.sweep, rate=ALLOWED_RATE),
    "get_loops_by_hand": partial(get_loops, by_hand.reading),
    "get_loops_vendor_aiohttp": partial(get_loops, partial(vendor.reading, on_aiohttp=True)),
    "get_loops_vendor_httpx": partial(get_loops, partial(vendor.reading, on_aiohttp=False)),
    "fixed_poll_by_hand": partial(get_loops, by_hand.reading, first=FIXED_PAUSE, growth=1.0),
}


class Report:
    """The delays so far, and when the last one was measured."""

    def __init__(self) -> None:
        self.began = self.latest = time.time()
        self.delays: list[float] = []

    def known(self, _id: str, finished_at: datetime) -> None:
        self.latest = time.time()
        self.delays.append(self.latest - finished_at.timestamp())

    def row(self, *, cut_off: bool) -> dict[str, Any]:
        now = time.time() if cut_off else self.latest
        return {"delays": self.delays, "seconds": now - self.began, "cut_off": cut_off}


async def main(*, way: str, cut_off: float) -> None:
    if "vendor" in way:
        # Takes long, so it comes before the jobs are made.
        vendor.require()
        importlib.import_module("chamelaion")
    tell("ready")
    async for message in messages():
        report = Report()
        waiting = asyncio.ensure_future(WAYS[way](message["base_url"], message["ids"], report.known))
        done, _ = await asyncio.wait([waiting], timeout=cut_off)
        if done:
            waiting.result()
        tell(report.row(cut_off=not done))
        if not done:
            return


if __name__ == "__main__":
    asyncio.run(main(**arguments()))
