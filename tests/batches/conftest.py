from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from chamelaion_async import AsyncClient, PollPolicy
from tests.support.api import FamilyName, MemoryApi, Requests, end_what_hangs, requests_of, unfinished_timers
from tests.support.loops import turns

TWO_DAYS = 2 * 86400.0
"""Longer than any wait here, on the loop's time."""


@pytest.fixture(autouse=True)
async def nothing_is_left_behind() -> AsyncIterator[None]:
    """After each test no task and no timer is left, and nothing has failed unheard."""
    loop = asyncio.get_running_loop()
    unheard: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unheard.append(context))
    watchdog = loop.call_later(TWO_DAYS, end_what_hangs)
    yield
    watchdog.cancel()
    gc.collect(1)
    await turns(3)
    assert unheard == []
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert unfinished_timers() == []


@pytest.fixture(params=["lipsync", "video_translate"])
def family(request: pytest.FixtureRequest) -> FamilyName:
    chosen: FamilyName = request.param
    return chosen


@pytest.fixture
async def service(family: FamilyName, monkeypatch: pytest.MonkeyPatch) -> MemoryApi:
    """The API in memory, in place of all that aiohttp would send."""
    made = MemoryApi(family)

    async def request(_: aiohttp.ClientSession, method: str, url: Any, **options: Any) -> Any:
        return await made.request(method, url, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", request)
    return made


@pytest.fixture
async def client(service: MemoryApi) -> AsyncIterator[AsyncClient]:
    """A client of the service in memory that polls every second."""
    polling = PollPolicy(max_interval=1.0)
    async with AsyncClient("sk-test-key", base_url="https://api.example.com/api", polling=polling) as made:
        yield made


@pytest.fixture
def requests(client: AsyncClient, family: FamilyName) -> Requests:
    """The requests of one family."""
    return requests_of(client, family)
