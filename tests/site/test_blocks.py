"""What readers copy from a page is what they would have typed."""

from __future__ import annotations

import pytest

from .reading import Site

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_what_is_printed_is_told_from_what_is_typed_and_has_no_button(site: Site) -> None:
    page = await site.open("tutorial.html")
    typed, printed = page.locator("div.highlight-python, div.highlight-shell"), page.locator("div.output")
    assert await printed.count() > 5
    assert await printed.locator("button").count() == 0
    assert await typed.locator("button.copybtn").count() == await typed.count()
    names = await printed.evaluate_all("all => all.map(each => getComputedStyle(each, '::before').content)")
    assert set(names) == {'"Output"'}


async def test_a_button_copies_the_block_beside_it(site: Site) -> None:
    page = await site.open("tutorial.html")
    await page.locator("div.highlight-python").first.hover()
    await page.locator("div.highlight-python button.copybtn").first.click()
    assert await page.evaluate("navigator.clipboard.readText()") == (
        "from chamelaion_async.sandbox import Sandbox\n\nsandbox = Sandbox(job_seconds=10)\nawait sandbox.start()"
    )
