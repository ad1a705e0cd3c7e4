"""The requests of a client, for a line on the board."""

from __future__ import annotations

import pytest

from chamelaion_async import AsyncClient, Pace
from chamelaion_async.cli._ui.traffic import Traffic
from chamelaion_async.sandbox import Sandbox

pytestmark = pytest.mark.virtual_time


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_it_counts_requests_and_their_rate_over_ten_seconds() -> None:
    clock = Clock()
    async with Sandbox() as sandbox, AsyncClient("key", base_url=sandbox.base_url) as client:
        await client.users.me()
        traffic = Traffic(client, clock=clock)
        assert traffic.line() == "0 requests, 0.0/s; no rate limit met"
        await client.users.me()
        clock.now = 1.0
        assert traffic.line() == "1 request, 1.0/s; no rate limit met"
        for second in range(2, 42):
            await client.users.me()
            await client.users.me()
            clock.now = float(second)
            line = traffic.line()
        assert line == "81 requests, 2.0/s; no rate limit met"
        assert traffic.used == 81


async def test_it_says_what_a_429_did() -> None:
    async with AsyncClient("key", base_url="http://127.0.0.1:1") as client:
        traffic, lane = Traffic(client), client._transport.lanes["status"]
        lane.throttled(11.5)
        assert traffic.line().endswith("; paused after a 429 for 12 s")


async def test_it_says_the_rate_after_a_429() -> None:
    async with AsyncClient("key", base_url="http://127.0.0.1:1", pace=Pace(max_rate=5.0)) as client:
        assert Traffic(client).line().endswith("; paced at 5.0/s")
