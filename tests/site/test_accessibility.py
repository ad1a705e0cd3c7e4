"""axe-core finds nothing that keeps readers out, in both themes and on a phone.

CI reads one page of each kind. ``CHAMELAION_PAGES=all`` reads those with charts, screens and the widest tables too.
"""

from __future__ import annotations

import os

import pytest
from axe_playwright_python.async_playwright import Axe

from .reading import Site

pytestmark = pytest.mark.asyncio(loop_scope="package")

PAGES = ("index.html", "tutorial.html", "howto/many.html", "reference/client.html", "search.html?q=429")
MORE = ("howto/migrate.html", "reference/commands.html", "reference/faults.html", "why.html")
READERS = ((1440, "light"), (390, "dark"))
IS_LONG = os.environ.get("CHAMELAION_PAGES") == "all"


@pytest.mark.parametrize(("width", "theme"), [*READERS, *([(1440, "dark")] if IS_LONG else [])])
@pytest.mark.parametrize("name", [*PAGES, *(MORE if IS_LONG else [])])
async def test_a_page_keeps_no_reader_out(site: Site, name: str, width: int, theme: str) -> None:
    page = await site.open(name, width=width, theme=theme)
    await page.wait_for_load_state("networkidle")  # a search has found what it finds
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
