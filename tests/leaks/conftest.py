from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from chamelaion_async import AsyncClient, PollPolicy

from .api import BASE_URL, StatelessApi
from .connections import connecting


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> StatelessApi:
    """The API in memory, at the other end of each connection that aiohttp opens."""
    made = StatelessApi()
    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", connecting(made.answer))
    return made


@pytest.fixture
async def client(api: StatelessApi) -> AsyncIterator[AsyncClient]:
    """A client that polls every second, without end."""
    polling = PollPolicy(max_interval=1.0, outage_budget=1e9)
    async with AsyncClient("sk-test-key", base_url=BASE_URL, polling=polling) as made:
        yield made
