"""The vendor's own client, over httpx, its default, or over aiohttp. Only its own process imports it."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from by_hand import Read

PACKAGES = ("chamelaion", "httpx", "httpx-aiohttp")


def require() -> None:
    """Exit if it is not installed, without importing it."""
    try:
        for package in PACKAGES:
            version(package)
    except PackageNotFoundError as error:
        raise SystemExit(
            f"{error.name} is not installed, and the comparison needs the vendor's client: "
            "pip install 'chamelaion[aiohttp]==2.0.0'"
        ) from None


@contextlib.asynccontextmanager
async def _opened(base_url: str, *, on_aiohttp: bool) -> AsyncIterator[Any]:
    require()
    chamelaion: Any = importlib.import_module("chamelaion")
    transport = chamelaion.DefaultAioHttpClient() if on_aiohttp else None
    async with chamelaion.AsyncChamelaion(api_key="key", base_url=base_url, http_client=transport) as client:
        yield client


@contextlib.asynccontextmanager
async def getting(base_url: str, *, on_aiohttp: bool) -> AsyncIterator[Callable[[str], Awaitable[Any]]]:
    """Give a function that reads one request, with the client's own settings."""
    async with _opened(base_url, on_aiohttp=on_aiohttp) as client:
        yield client.lipsync.requests.retrieve


@contextlib.asynccontextmanager
async def reading(base_url: str, *, on_aiohttp: bool) -> AsyncIterator[Read]:
    """Give a function that reads when a job finished; a call that failed after all retries is no answer."""
    async with getting(base_url, on_aiohttp=on_aiohttp) as retrieve:
        api_error: type[Exception] = importlib.import_module("chamelaion").APIError

        async def read(id: str) -> datetime | None:
            try:
                moment: datetime | None = (await retrieve(id)).finished_at
            except api_error:
                return None
            return moment

        yield read
