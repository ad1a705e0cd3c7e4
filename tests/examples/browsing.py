"""A real Chromium for tests, and what it shows."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright

OPEN, CLOSED = 1, 2  # of EventSource.readyState
IMAGES = Path(__file__).parents[2] / "docs" / "images"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 20_000.0  # milliseconds until something that should be shown is given up
SOURCES = """
    window.sources = [];
    window.EventSource = class extends EventSource {
        constructor(...given) { super(...given); window.sources.push(this); }
    };
"""


def chromium() -> str:
    """Return the path of the browser."""
    chosen = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not chosen:
        pytest.fail("Chromium is missing: install it (Debian: apt-get install chromium), or set CHROMIUM to its path")
    return chosen


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """Start the browser. ``--no-sandbox`` is for containers, in which all is done as root."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


async def open_page(browser: Browser, address: str, *, width: int = 1280) -> Page:
    """Open an address in a page of its own that keeps its event sources in ``window.sources``."""
    page = await browser.new_page(viewport={"width": width, "height": 720})
    page.set_default_timeout(PATIENCE)
    await page.add_init_script(SOURCES)
    await page.goto(address)
    return page


async def has_streams(page: Page, state: int) -> None:
    """Wait until each EventSource that the page has made is OPEN, or CLOSED for good."""
    await page.wait_for_function(
        "(state) => sources.length > 0 && sources.every((source) => source.readyState === state)", arg=state
    )


async def picture(page: Page, name: str, *, height: int) -> None:
    """Write a picture for the documentation, if CHAMELAION_SCREENSHOTS is set."""
    if os.environ.get("CHAMELAION_SCREENSHOTS"):
        await page.set_viewport_size({"width": 760, "height": height})
        await page.mouse.move(0, 0)
        await page.wait_for_timeout(2000)  # until the player has hidden its animation of loading
        await page.screenshot(path=IMAGES / f"{name}.png")
