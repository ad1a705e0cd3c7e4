"""What visitors of the applications see, in a real browser."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

import chamelaion_async
from chamelaion_async.sandbox import Job, Sandbox

from .browsing import CLOSED, OPEN, has_streams, open_page
from .running import App, visitor

CLIPS = Path(chamelaion_async.__file__).parent / "sandbox" / "clips"
pytestmark = pytest.mark.asyncio(loop_scope="package")

VIDEO, AUDIO = CLIPS / "nothing_was_lip_synced.mp4", CLIPS / "silence.wav"


async def submit(page: Page, video: str, audio: str) -> None:
    await page.fill("#video-url", video)
    await page.fill("#audio-url", audio)
    await page.click("button")


def shown(page: Page, service: Sandbox) -> Job:
    """Return the job that a page is about."""
    return service.jobs[page.url.rpartition("/jobs/")[2]]


async def show_a_job(app: App, service: Sandbox, browser: Browser) -> None:
    page = await open_page(browser, app.url)
    await submit(page, "https://cdn.example.com/42.mp4", "https://cdn.example.com/42-ja.wav")
    await expect(page.get_by_role("status")).to_have_text("processing")
    await expect(page.locator("#elapsed")).to_have_text(re.compile(r"^[1-9]\d* s$"))
    job = shown(page, service)
    service.finish(job.id)
    await expect(page.get_by_role("status")).to_have_text("completed")
    await expect(page.locator("video")).to_have_js_property("readyState", 4)
    await has_streams(page, CLOSED)


async def test_a_job_is_shown_from_its_submission_to_its_video(
    apps: dict[str, App], service: Sandbox, browser: Browser
) -> None:
    await asyncio.gather(*(show_a_job(app, service, browser) for app in apps.values()))


async def test_files_are_uploaded(app: App, service: Sandbox, browser: Browser) -> None:
    page = await open_page(browser, app.url)
    await page.set_input_files("#video-file", VIDEO)
    await page.set_input_files("#audio-file", AUDIO)
    await page.click("button")
    await page.wait_for_url("**/jobs/*")
    job = shown(page, service)
    assert job.uploads["video"].path.read_bytes() == VIDEO.read_bytes()
    assert job.uploads["audio"].path.read_bytes() == AUDIO.read_bytes()


@pytest.mark.parametrize("video", [None, VIDEO], ids=["nothing", "a file and an address"])
async def test_what_cannot_be_submitted_is_said_on_the_page(
    app: App, service: Sandbox, browser: Browser, video: Path | None
) -> None:
    service.forget()
    page = await open_page(browser, app.url)
    if video:
        await page.set_input_files("#video-file", video)
    await page.fill("#audio-url", "https://cdn.example.com/42-ja.wav")
    await page.click("button")
    await expect(page.get_by_role("alert")).to_contain_text("a job needs two web addresses or two files")
    await expect(page.locator("button")).to_be_enabled()
    assert service.count(lane="generate") == 0


async def fail_a_job(app: App, service: Sandbox, browser: Browser) -> None:
    job = service.add_job()
    page = await open_page(browser, f"{app.url}/jobs/{job.id}")
    await expect(page.get_by_role("status")).to_have_text("processing")
    service.fail(job.id, "no face found")
    await expect(page.get_by_role("status")).to_have_text("failed: no face found")
    await has_streams(page, CLOSED)


async def test_a_failed_job_says_why(apps: dict[str, App], service: Sandbox, browser: Browser) -> None:
    await asyncio.gather(*(fail_a_job(app, service, browser) for app in apps.values()))


async def refuse(app: App, browser: Browser, id: str, status: int, words: str) -> None:
    page = await open_page(browser, f"{app.url}/jobs/{id}")
    async with visitor() as session, session.get(f"{app.url}/api/jobs/{id}/events") as answer:
        assert answer.status == status
        assert words in (await answer.json())["error"]
    await expect(page.get_by_role("alert")).to_contain_text(words)
    await expect(page.locator("dl")).to_be_hidden()
    await has_streams(page, CLOSED)


@pytest.mark.parametrize(
    ("id", "status", "words"),
    [("no-such-job", 404, "There is no job with this id"), ("x" * 600, 400, "no id is so long")],
    ids=["unknown", "too long"],
)
async def test_a_stream_of_a_wrong_id_is_refused_before_it_begins_and_the_page_says_so(
    apps: dict[str, App], browser: Browser, id: str, status: int, words: str
) -> None:
    await asyncio.gather(*(refuse(app, browser, id, status, words) for app in apps.values()))


async def test_many_jobs_are_followed_in_one_stream(app: App, service: Sandbox, browser: Browser) -> None:
    for job in service.jobs.values():
        if service.status(job.id) == "processing":
            service.finish(job.id)  # another test has left it
    jobs = [service.add_job(reference_id=f"episode-{number}") for number in range(42, 46)]
    service.finish(jobs[0].id)
    page = await open_page(browser, f"{app.url}/jobs")
    rows = [page.get_by_role("row").filter(has=page.locator(f"a[href='/jobs/{job.id}']")) for job in jobs]
    await expect(rows[0]).to_contain_text("completed")
    for row in rows[1:]:
        await expect(row).to_contain_text("processing")
    service.finish(jobs[1].id)
    service.fail(jobs[2].id)
    await expect(rows[1]).to_contain_text("completed")
    await expect(rows[2]).to_contain_text("failed")
    await expect(rows[3]).to_contain_text("processing")
    await has_streams(page, OPEN)
    service.finish(jobs[3].id)
    await expect(rows[3]).to_contain_text("completed")
    await has_streams(page, CLOSED)


@pytest.mark.parametrize("path", ["/", "/jobs", "/jobs/dub-episode-42"])
async def test_a_page_fits_a_telephone(app: App, service: Sandbox, browser: Browser, path: str) -> None:
    if path == "/jobs":
        service.add_job(reference_id="episode-42-with-a-name-that-is-longer-than-a-row", job_seconds=0)
    page = await open_page(browser, f"{app.url}{path}", width=390)
    await page.wait_for_load_state()
    if path == "/jobs":
        await expect(page.locator("tbody")).to_contain_text("longer-than")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
