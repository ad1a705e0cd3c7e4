from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from chamelaion_async import AsyncClient, PollPolicy

from .service import BASE_URL, Service
from .wire import connecting


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    """The API in memory, at the other end of whatever connection aiohttp opens."""
    made = Service()
    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", connecting(made.answer))
    return made


@pytest.fixture
async def client(service: Service) -> AsyncIterator[AsyncClient]:
    """A client that looks every second, and would do so for ever."""
    polling = PollPolicy(max_interval=1.0, outage_budget=1e9)
    async with AsyncClient("sk-test-key", base_url=BASE_URL, polling=polling) as made:
        yield made
