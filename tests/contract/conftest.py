from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from chamelaion_async import AsyncClient, RetryPolicy
from chamelaion_async.sandbox import ManualClock, Sandbox

from .document import Document, load
from .recording import RecordingServer


@pytest.fixture
def document() -> Document:
    return load()


@pytest.fixture
async def api(document: Document) -> AsyncIterator[RecordingServer]:
    """A server that only the document has shaped."""
    async with RecordingServer(document) as served:
        yield served


@pytest.fixture
async def client(api: RecordingServer) -> AsyncIterator[AsyncClient]:
    """Our client, which tries each call once."""
    async with AsyncClient("sk-test-key", base_url=api.base_url, retry=RetryPolicy(attempts=1)) as made:
        yield made


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def sandbox(clock: ManualClock) -> AsyncIterator[Sandbox]:
    """Jobs are queued for 10 seconds and end after 100; translations are uploading until 20."""
    async with Sandbox(clock=clock, job_seconds=100.0) as served:
        yield served


@pytest.fixture
async def session(sandbox: Sandbox) -> AsyncIterator[aiohttp.ClientSession]:
    """Plain HTTP to the sandbox, with a key."""
    async with aiohttp.ClientSession(f"{sandbox.base_url}/", headers={"x-api-key": "any-key"}) as made:
        yield made
