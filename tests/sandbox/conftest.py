from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chamelaion_async.sandbox import ManualClock, Sandbox

from .calling import Caller, Serve, Until


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def serve(clock: ManualClock) -> AsyncIterator[Serve]:
    """Start a sandbox with the given settings, and a caller that sends it a key."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> tuple[Sandbox, Caller]:
            sandbox = Sandbox(**{"clock": clock, "job_seconds": 100.0, **settings})
            await stack.enter_async_context(sandbox)
            session = aiohttp.ClientSession(f"{sandbox.base_url}/", headers={"x-api-key": "any-key"})
            return sandbox, Caller(await stack.enter_async_context(session))

        yield start


@pytest.fixture
async def served(serve: Serve) -> tuple[Sandbox, Caller]:
    return await serve()


@pytest.fixture
def sandbox(served: tuple[Sandbox, Caller]) -> Sandbox:
    """Jobs are queued for 10 seconds and end after 100; translations are uploading until 20."""
    return served[0]


@pytest.fixture
def call(served: tuple[Sandbox, Caller]) -> Caller:
    return served[1]


@pytest.fixture
def spooled(sandbox: Sandbox) -> Callable[[], list[Path]]:
    """The uploads that the sandbox keeps."""

    def files() -> list[Path]:
        folder = sandbox._world.spool._folder
        return list(Path(folder.name).iterdir()) if folder else []

    return files


@pytest.fixture
def until() -> Until:
    """Let the loop turn until a condition holds that sets no event."""

    async def turn(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0)

    return turn
