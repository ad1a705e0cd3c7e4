"""Pages fit a desktop and a phone, and show charts and screens in the theme that the reader has chosen."""

from __future__ import annotations

import pytest

from .reading import Site

pytestmark = pytest.mark.asyncio(loop_scope="package")

# Words in drawings whose contrast with what is behind them is below 4.5 to 1 (WCAG 2.2, 1.4.3), which axe-core does
# not measure in SVG. What is behind them is a rectangle of the drawing's own, or the page.
FAINT = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const parts = colour.slice(0, 3).map((part) => part / 255);
    const [r, g, b] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const page = numbers(getComputedStyle(document.body).backgroundColor);
  const found = [];
  for (const drawing of document.querySelectorAll(".drawing svg")) {
    const box = drawing.querySelector(":scope > rect");
    const behind = box ? numbers(getComputedStyle(box).fill) : page;
    for (const word of drawing.querySelectorAll("text")) {
      const style = getComputedStyle(word);
      const over = (part, index) => style.opacity * part + (1 - style.opacity) * behind[index];
      const ink = numbers(style.fill).slice(0, 3).map(over);
      const [low, high] = [light(ink), light(behind)].sort((a, b) => a - b);
      if ((high + 0.05) / (low + 0.05) < 4.5) found.push(word.textContent);
    }
  }
  return found;
}"""
DRAWINGS = {"reference/commands.html": 3, "spacing.html": 2, "why.html": 4}


@pytest.mark.parametrize("name", DRAWINGS)
async def test_the_words_of_drawings_are_read_in_the_theme_that_was_chosen(site: Site, name: str, theme: str) -> None:
    page = await site.open(name, theme=theme)
    assert await page.locator(".drawing svg text").count() > 20
    assert await page.locator(".drawing svg").count() == DRAWINGS[name]
    assert await page.evaluate(FAINT) == []


async def test_no_drawing_is_left_out_of_its_page(site: Site) -> None:
    for name in site.pages:
        assert '.svg" ' not in (site.folder / name).read_text("utf-8").partition("<body>")[2], name


WIDE = """() => [...document.querySelectorAll(".table-wrapper")]
    .filter((box) => box.scrollWidth > box.clientWidth)
    .map((box) => box.querySelectorAll("tr:first-child > *").length)"""


async def test_pages_and_tables_fit_a_desktop_and_a_phone_and_only_tables_of_many_columns_scroll(
    site: Site, width: int
) -> None:
    page = await site.open("index.html", width=width)
    for name in site.pages:
        await page.goto(site.address + name)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, name
        wide = await page.evaluate(WIDE)
        assert not wide or (width < 1440 and min(wide) > 3), name


async def test_a_phone_shows_the_cells_of_a_fault_below_each_other_and_names_them(site: Site) -> None:
    page = await site.open("reference/faults.html", width=390)
    row = page.locator("table.stackable tbody tr").first
    boxes = [await cell.bounding_box() for cell in await row.locator("td").all()]
    assert len(boxes) == 3
    assert all(box is not None and box["width"] > 300 for box in boxes)
    last = row.locator("td").last
    assert await last.evaluate("cell => getComputedStyle(cell, '::before').content") == '"result: "'
    assert await page.get_by_role("columnheader", name="strikes").count() > 0


async def test_the_site_has_an_icon(site: Site) -> None:
    page = await site.open("index.html")
    link = await page.locator("link[rel~=icon]").get_attribute("href")
    assert link is not None
    assert (site.folder / link).is_file()
