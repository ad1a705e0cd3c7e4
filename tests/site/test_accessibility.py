"""axe-core finds nothing that keeps readers out, in both themes and on a phone."""

from __future__ import annotations

import pytest
from axe_playwright_python.async_playwright import Axe

from .reading import Site

pytestmark = pytest.mark.asyncio(loop_scope="package")

# One page of each kind, and those with charts, wide tables, screens and long signatures.
PAGES = (
    "index.html",
    "tutorial.html",
    "howto/many.html",
    "howto/migrate.html",
    "reference/client.html",
    "reference/commands.html",
    "reference/faults.html",
    "search.html?q=429",
    "why.html",
)


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (1440, "dark"), (390, "dark")])
@pytest.mark.parametrize("name", PAGES)
async def test_a_page_keeps_no_reader_out(site: Site, name: str, width: int, theme: str) -> None:
    page = await site.open(name, width=width, theme=theme)
    await page.wait_for_load_state("networkidle")  # a search has found what it finds
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
