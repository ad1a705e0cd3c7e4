"""What the pages say when something is wrong: an outage, a revoked key, a site that is being deployed."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser, expect

from chamelaion_async.sandbox import Sandbox

from .browsing import CLOSED, has_streams, open_page
from .running import APPS, KEY, App, never_ending, running

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_an_outage_is_said_and_the_page_goes_on_after_it(browser: Browser) -> None:
    """For pages that are open when it begins, and for those that are opened meanwhile. Both applications at once."""
    async with never_ending() as service, running("fastapi", service) as first, running("aiohttp", service) as second:
        job = service.add_job()
        old = [await open_page(browser, f"{app.url}/jobs/{job.id}") for app in (first, second)]
        many = [await open_page(browser, f"{app.url}/jobs") for app in (first, second)]
        for page in old:
            await expect(page.get_by_role("status")).to_have_text("processing")
        for page in many:
            await expect(page.locator("tbody")).to_contain_text("processing")
        unread = service.add_job()
        await service.stop()
        new = [await open_page(browser, f"{app.url}/jobs/{unread.id}") for app in (first, second)]
        for page in new:  # before the eight seconds after which a wait ends
            await expect(page.get_by_role("alert")).to_contain_text("service does not answer", timeout=7500)
        for page in old:
            await expect(page.get_by_role("alert")).to_contain_text("service does not answer")
        for page in many:
            await expect(page.locator("tbody")).to_contain_text("service does not answer")
        await service.start()
        for page in (*new, *old):
            await expect(page.get_by_role("status")).to_have_text("processing")
            await expect(page.get_by_role("alert")).to_be_empty()
        for page in many:
            await expect(page.locator("tbody")).to_contain_text("processing")
        service.finish(job.id)
        service.finish(unread.id)
        for page in (*new, *old):
            await expect(page.get_by_role("status")).to_have_text("completed")
            await has_streams(page, CLOSED)


async def say_a_revoked_key(name: str, browser: Browser) -> None:
    async with never_ending() as service, running(name, service) as app:
        job = service.add_job()
        old = [await open_page(browser, f"{app.url}{path}") for path in (f"/jobs/{job.id}", "/jobs")]
        for page in old:
            await expect(page.get_by_text("processing")).to_have_count(1)
        service.revoke(KEY)
        new = [await open_page(browser, f"{app.url}{path}") for path in (f"/jobs/{job.id}", "/jobs")]
        await has_streams(old[0], CLOSED)
        await has_streams(old[1], CLOSED)
        for page in (*old, *new):
            await expect(page.get_by_role("alert")).to_contain_text("does not accept this site's key")
            assert KEY not in await page.content()


async def test_a_revoked_key_is_said_on_pages_that_are_open_and_on_new_ones(browser: Browser) -> None:
    await asyncio.gather(*(say_a_revoked_key(name, browser) for name in APPS))


async def deploy(name: str, browser: Browser, service: Sandbox) -> None:
    job = service.add_job()
    async with running(name, service) as app:
        page = await open_page(browser, f"{app.url}/jobs/{job.id}")
        await expect(page.get_by_role("status")).to_have_text("processing")
    await expect(page.get_by_role("alert")).to_contain_text("Trying again")
    async with running(name, service, port=app.port):
        await expect(page.get_by_role("alert")).to_be_empty()
        service.finish(job.id)
        await expect(page.get_by_role("status")).to_have_text("completed")
        await has_streams(page, CLOSED)


async def test_a_page_comes_back_after_the_site_was_deployed(browser: Browser, service: Sandbox) -> None:
    await asyncio.gather(*(deploy(name, browser, service) for name in APPS))


async def test_a_page_comes_back_after_a_proxy_has_refused_its_stream(
    browser: Browser, apps: dict[str, App], service: Sandbox
) -> None:
    job = service.add_job()
    page = await open_page(browser, f"{apps['fastapi'].url}/jobs")
    await page.clock.install()
    await page.route("**/api/jobs/**", lambda route: route.fulfill(status=503, body="<h1>Unavailable</h1>"))
    await page.goto(f"{apps['fastapi'].url}/jobs/{job.id}")
    await expect(page.get_by_role("alert")).to_contain_text("answered with 503")
    await page.unroute("**/api/jobs/**")
    await page.clock.run_for(3000)
    await expect(page.get_by_role("status")).to_have_text("processing")
    await expect(page.get_by_role("alert")).to_be_empty()
