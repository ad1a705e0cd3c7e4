import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from chamelaion_async.sandbox import ManualClock, Sandbox

Serve = Callable[..., Awaitable[tuple[Sandbox, aiohttp.ClientSession]]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def serve(clock: ManualClock) -> AsyncIterator[Serve]:
    """Start a sandbox with the given settings, and a session that sends it a key."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> tuple[Sandbox, aiohttp.ClientSession]:
            sandbox = Sandbox(**{"clock": clock, "job_seconds": 100.0, **settings})
            await stack.enter_async_context(sandbox)
            session = aiohttp.ClientSession(f"{sandbox.base_url}/", headers={"x-api-key": "any-key"})
            await stack.enter_async_context(session)
            return sandbox, session

        yield start


@pytest.fixture
async def served(serve: Serve) -> tuple[Sandbox, aiohttp.ClientSession]:
    return await serve()


@pytest.fixture
def sandbox(served: tuple[Sandbox, aiohttp.ClientSession]) -> Sandbox:
    return served[0]


@pytest.fixture
def session(served: tuple[Sandbox, aiohttp.ClientSession]) -> aiohttp.ClientSession:
    return served[1]


@pytest.fixture
def lipsync_body() -> dict[str, Any]:
    return {
        "inputs": [
            {"type": "video", "url": "https://cdn.example.com/episodes/42.mp4"},
            {"type": "audio", "url": "https://cdn.example.com/dubs/42.wav"},
        ]
    }


@pytest.fixture
def translate_body() -> dict[str, Any]:
    return {
        "inputs": [{"type": "video", "url": "https://cdn.example.com/video.mp4"}],
        "target_languages": ["de", "ja"],
    }


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Let the loop turn until something holds that nothing announces."""

    async def turn(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0)

    return turn
