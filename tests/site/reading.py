"""Opens pages of the built site."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs
from playwright.async_api import Browser, Page

from tests.examples.browsing import PATIENCE

SYSTEM: dict[str, Literal["light", "dark"]] = {"light": "dark", "dark": "light"}
"""The system's theme by the reader's: the page's own button has to win."""


@attrs.frozen(kw_only=True)
class Site:
    """The built site."""

    browser: Browser
    address: str
    folder: Path

    @property
    def pages(self) -> list[str]:
        """The names of all pages that were written by hand or from docstrings."""
        names = (path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.html"))
        return sorted(name for name in names if name not in {"genindex.html", "py-modindex.html", "search.html"})

    async def open(self, name: str, *, width: int = 1440, theme: str = "light") -> Page:
        """Open a page on a system that prefers the other theme, and choose this one with the page's button."""
        context = await self.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=SYSTEM[theme], permissions=["clipboard-read"]
        )
        page = await context.new_page()
        page.set_default_timeout(PATIENCE)
        await page.goto(self.address + name)
        await page.locator("button.theme-toggle:visible").first.click()
        assert await page.evaluate("document.body.dataset.theme") == theme
        return page
