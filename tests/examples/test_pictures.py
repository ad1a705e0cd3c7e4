"""The pictures of docs/howto/web.md show what the pages show: CHAMELAION_SCREENSHOTS=1 writes them."""

from __future__ import annotations

import re
import time

import pytest
from playwright.async_api import Browser, expect

from chamelaion_async.sandbox import Sandbox

from .browsing import CLOSED, has_streams, open_page, picture
from .running import running

pytestmark = pytest.mark.asyncio(loop_scope="package")

ABOUT = re.compile(r"about \d+ (s|min)")


async def test_the_documentation_shows_four_jobs_and_a_video(browser: Browser) -> None:
    async with Sandbox(job_seconds=85) as service, running("fastapi", service) as app:
        began = time.time()
        service.add_job(reference_id="episode-42", created_at=began - 200)
        service.add_job(reference_id="episode-43", created_at=began - 150, fails="no face found")
        service.add_job(reference_id="episode-44", created_at=began - 40)
        service.add_job(reference_id="episode-45", created_at=began - 3)
        page = await open_page(browser, f"{app.url}/jobs")
        for name, state in [("42", "completed"), ("43", "failed"), ("44", "processing"), ("45", "queued")]:
            await expect(page.get_by_role("row").filter(has_text=f"episode-{name}")).to_contain_text(state)
        await expect(page.get_by_text(ABOUT)).to_have_count(2)
        await picture(page, "web-jobs", height=370)
        await page.get_by_text("episode-42").click()
        await has_streams(page, CLOSED)
        await expect(page.locator("#elapsed")).to_have_text("1 min 25 s")
        await expect(page.locator("video")).to_have_js_property("readyState", 4)
        await picture(page, "web-job", height=690)
