"""The built site, served, and a browser. `nox -s docs` builds it and says in CHAMELAION_SITE where it is."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from mimetypes import guess_type
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser

from tests.examples.browsing import browsing

from .reading import Site


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def chromium() -> AsyncIterator[Browser]:
    async with browsing() as started:
        yield started


async def _serve(request: web.Request) -> web.Response:
    # aiohttp's own way leaves a file open if the reader goes on to another page while it is being opened.
    return _file(Path(os.environ["CHAMELAION_SITE"], request.match_info["name"]))


def _file(path: Path) -> web.Response:
    if not path.is_file():
        raise web.HTTPNotFound
    return web.Response(body=path.read_bytes(), content_type=guess_type(path)[0] or "application/octet-stream")


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def served() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{name:.+}", _serve)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


@pytest_asyncio.fixture(loop_scope="package")
async def site(chromium: Browser, served: str) -> AsyncIterator[Site]:
    """The site as one reader sees it; what was opened is closed at the end of a test."""
    yield Site(browser=chromium, address=served, folder=Path(os.environ["CHAMELAION_SITE"]))
    for context in chromium.contexts:
        await context.close()


@pytest.fixture(params=[1440, 390])
def width(request: pytest.FixtureRequest) -> int:
    """A desktop's and a phone's width, in pixels."""
    number: int = request.param
    return number


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name
