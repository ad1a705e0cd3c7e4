"""Both applications, their service and a browser, which all tests share: starting them takes seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from chamelaion_async.sandbox import Sandbox

from .browsing import PATIENCE, browsing
from .running import APPS, App, never_ending, running

expect.set_options(timeout=PATIENCE)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def service() -> AsyncIterator[Sandbox]:
    async with never_ending() as sandbox:
        yield sandbox


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def apps(service: Sandbox) -> AsyncIterator[dict[str, App]]:
    """Both applications, for what takes long enough to be tried with both at once."""
    async with running("fastapi", service) as first, running("aiohttp", service) as second:
        yield {"fastapi": first, "aiohttp": second}


@pytest.fixture(params=APPS)
def app(request: pytest.FixtureRequest, apps: dict[str, App]) -> App:
    """Each application in turn."""
    return apps[request.param]


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def chromium() -> AsyncIterator[Browser]:
    async with browsing() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="package")
async def browser(chromium: Browser) -> AsyncIterator[Browser]:
    """The browser; its pages are closed at the end of a test."""
    yield chromium
    for context in chromium.contexts:
        await context.close()
