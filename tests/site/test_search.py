"""A search for what readers look for leads somewhere true: its first hit answers."""

from __future__ import annotations

import pytest

from .reading import Site

pytestmark = pytest.mark.asyncio(loop_scope="package")

FIRST = {
    "401": "howto/errors",
    "404": "howto/errors",
    "429": "howto/configuration",
    "aioresponses": "howto/compatibility",
    "batch": "reference/commands",
    "celery": "howto/sync",
    "deploy": "howto/deploys",
    "eventsource": "howto/web",
    "fastapi": "howto/web",
    "graceful shutdown": "howto/web",
    "granian": "howto/web",
    "heartbeat": "howto/web",
    "jupyter": "howto/jupyter",
    "migrate": "howto/migrate",
    "opentelemetry": "howto/tracing",
    "proxy": "howto/configuration",
    "redis": "howto/workers",
    "retrieve": "howto/migrate",
    "season": "howto/season",
    "sync": "howto/sync",
    "uvicorn": "howto/web",
    "wait_until_finished": "reference/client",
    "webhook": "howto/webhooks",
    "workers": "howto/workers",
}


@pytest.mark.parametrize("query", FIRST)
async def test_the_first_hit_is_the_page_that_answers(site: Site, query: str) -> None:
    page = await site.open("index.html")
    await page.locator("input.sidebar-search").fill(query)
    await page.keyboard.press("Enter")
    first = page.locator("#search-results ul.search > li > a").first
    target = await first.get_attribute("href")
    assert target is not None
    assert target.partition(".html")[0] == FIRST[query]
