from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from chamelaion_async.sandbox import ManualClock, Sandbox

Serve = Callable[..., Awaitable[tuple[Sandbox, aiohttp.ClientSession]]]
FAMILIES = pytest.mark.parametrize(
    ("family", "path"),
    [("lipsync", "v1/lipsync/requests"), ("video_translate", "v1/video-translate/requests")],
)


async def page(session: aiohttp.ClientSession, path: str, **query: object) -> tuple[list[str], dict[str, int]]:
    async with session.get(path, params={name: str(value) for name, value in query.items()}) as response:
        body = await response.json()
        assert response.status == 200, body
        return [each["id"] for each in body["data"]], body["pagination"]


@FAMILIES
async def test_an_empty_list_is_a_page_without_the_examples(
    session: aiohttp.ClientSession, family: str, path: str
) -> None:
    assert await page(session, path) == ([], {"limit": 20, "offset": 0, "total": 0})


@FAMILIES
async def test_a_list_is_newest_first_whatever_the_order_of_arrival(
    sandbox: Sandbox, session: aiohttp.ClientSession, clock: ManualClock, family: Any, path: str
) -> None:
    second = sandbox.add_job(family=family)
    third = sandbox.add_job(family=family)
    first = sandbox.add_job(family=family, created_at=datetime(2026, 4, 1, tzinfo=UTC))

    assert await page(session, path) == (
        [third.id, second.id, first.id],
        {"limit": 20, "offset": 0, "total": 3},
    )


@FAMILIES
async def test_pages_follow_one_another_without_gap_or_overlap(
    sandbox: Sandbox, session: aiohttp.ClientSession, family: Any, path: str
) -> None:
    ids = [sandbox.add_job(family=family).id for _ in range(7)][::-1]

    assert await page(session, path, limit=3) == (ids[:3], {"limit": 3, "offset": 0, "total": 7})
    assert await page(session, path, limit=3, offset=3) == (ids[3:6], {"limit": 3, "offset": 3, "total": 7})
    assert await page(session, path, limit=3, offset=6) == (ids[6:], {"limit": 3, "offset": 6, "total": 7})
    assert await page(session, path, limit=3, offset=7) == ([], {"limit": 3, "offset": 7, "total": 7})
    assert await page(session, path, offset=10**9) == ([], {"limit": 20, "offset": 10**9, "total": 7})


@FAMILIES
async def test_a_limit_beyond_the_cap_is_lowered_and_the_page_says_so(serve: Serve, family: Any, path: str) -> None:
    sandbox, session = await serve(page_cap=5)
    for _ in range(8):
        sandbox.add_job(family=family)

    ids, pagination = await page(session, path, limit=1000)

    assert len(ids) == 5
    assert pagination == {"limit": 5, "offset": 0, "total": 8}


async def test_the_cap_is_a_hundred_and_the_default_twenty(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    assert (await page(session, "v1/lipsync/requests"))[1]["limit"] == 20
    assert (await page(session, "v1/lipsync/requests", limit=101))[1]["limit"] == 100


@pytest.mark.parametrize("path", ["v1/lipsync/requests", "v1/video-translate/requests", "v1/video-translate/voices"])
@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"limit": "0"}, "invalid limit"),
        ({"limit": "-1"}, "invalid limit"),
        ({"limit": ""}, "invalid limit"),
        ({"limit": "ten"}, "invalid limit"),
        ({"limit": "1.5"}, "invalid limit"),
        ({"limit": "²"}, "invalid limit"),
        ({"limit": "9" * 5000}, "invalid limit"),
        ({"offset": "-1"}, "invalid offset"),
        ({"offset": "x"}, "invalid offset"),
    ],
)
async def test_nonsense_in_a_page_is_refused(
    session: aiohttp.ClientSession, path: str, query: dict[str, str], text: str
) -> None:
    async with session.get(path, params=query) as response:
        assert (response.status, await response.json()) == (400, {"error": text})


@FAMILIES
async def test_a_reference_id_filters_to_the_letter(
    sandbox: Sandbox, session: aiohttp.ClientSession, family: Any, path: str
) -> None:
    sandbox.add_job(family=family, reference_id="dub-4")
    first = sandbox.add_job(family=family, reference_id="dub-42")
    sandbox.add_job(family=family)
    second = sandbox.add_job(family=family, reference_id="dub-42")

    assert await page(session, path, reference_id="dub-42") == (
        [second.id, first.id],
        {"limit": 20, "offset": 0, "total": 2},
    )
    assert (await page(session, path, reference_id="DUB-42"))[0] == []
    assert (await page(session, path, reference_id="dub-42", limit=1, offset=1))[0] == [first.id]


async def test_the_families_have_lists_of_their_own(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    lipsync = sandbox.add_job()
    translation = sandbox.add_job(family="video_translate")

    assert (await page(session, "v1/lipsync/requests"))[0] == [lipsync.id]
    assert (await page(session, "v1/video-translate/requests"))[0] == [translation.id]


@FAMILIES
async def test_a_lagging_list_shows_a_job_later_than_a_get_does(
    serve: Serve, clock: ManualClock, family: Any, path: str
) -> None:
    sandbox, session = await serve(list_lag=3.0)
    old = sandbox.add_job(family=family, created_at=clock.time() - 60)
    job = sandbox.add_job(family=family, reference_id="dub")

    assert (await page(session, path))[0] == [old.id]
    assert (await page(session, path, reference_id="dub"))[1]["total"] == 0
    async with session.get(f"{path}/dub") as response:
        assert (await response.json())["id"] == job.id
    clock.advance(2.9)
    assert (await page(session, path))[0] == [old.id]
    clock.advance(0.1)
    assert (await page(session, path))[0] == [job.id, old.id]
    assert (await page(session, path, reference_id="dub"))[0] == [job.id]


async def test_a_list_shows_where_each_job_stands(
    sandbox: Sandbox, session: aiohttp.ClientSession, clock: ManualClock
) -> None:
    sandbox.add_job(job_seconds=1, fails="no face found")
    sandbox.add_job(job_seconds=1)
    sandbox.add_job(job_seconds=50)
    clock.advance(10)
    sandbox.add_job()

    async with session.get("v1/lipsync/requests") as response:
        data = (await response.json())["data"]

    assert [each["status"] for each in data] == ["queued", "processing", "completed", "failed"]
    assert data[3]["error_message"] == "no face found"


async def listed(session: aiohttp.ClientSession, path: str, **query: str) -> dict[str, Any]:
    async with session.get(path, params=query) as response:
        return {each["id"]: each for each in (await response.json())["data"]}


@FAMILIES
async def test_a_stale_list_shows_each_job_as_it_was_so_many_seconds_ago(
    serve: Serve, clock: ManualClock, family: Any, path: str
) -> None:
    sandbox, session = await serve(list_stale=30, queue_seconds=0)
    job = sandbox.add_job(family=family, job_seconds=100)
    seen = []
    for _ in range(14):
        async with session.get(f"{path}/{job.id}") as response:
            read = (await response.json())["status"]
        seen.append((read, (await listed(session, path))[job.id]["status"]))
        clock.advance(10)

    assert [now for now, _ in seen] == ["processing"] * 10 + ["completed"] * 4
    assert [stale for _, stale in seen] == ["queued"] * 3 + ["processing"] * 10 + ["completed"]


@FAMILIES
@pytest.mark.parametrize("how", ["finish", "fail"])
async def test_a_stale_list_learns_late_of_an_end_by_hand_too(
    serve: Serve, clock: ManualClock, family: Any, path: str, how: str
) -> None:
    sandbox, session = await serve(list_stale=30)
    job = sandbox.add_job(family=family, queue_seconds=0)
    clock.advance(40.1)
    getattr(sandbox, how)(job.id)
    clock.advance(29)
    before = (await listed(session, path))[job.id]
    clock.advance(1)
    after = (await listed(session, path))[job.id]

    assert (before["status"], before.get("finished_at"), before.get("error_message")) == ("processing", None, None)
    assert (after["status"], after["finished_at"]) == (job.status(clock.time()), "2026-04-07T12:00:40.1Z")


@FAMILIES
async def test_a_job_that_is_younger_than_a_stale_list_is_shown_as_new(serve: Serve, family: Any, path: str) -> None:
    sandbox, session = await serve(list_stale=30, job_seconds=0)
    job = sandbox.add_job(family=family)

    shown = (await listed(session, path))[job.id]
    assert (shown["status"], shown.get("started_at"), shown.get("output_url")) == ("queued", None, None)


@FAMILIES
async def test_a_list_may_be_stale_and_lag(serve: Serve, clock: ManualClock, family: Any, path: str) -> None:
    sandbox, session = await serve(list_stale=30, list_lag=5, job_seconds=0)
    job = sandbox.add_job(family=family)
    seen = []
    for _ in range(4):
        seen.append((await listed(session, path)).get(job.id, {}).get("status"))
        clock.advance(10)

    assert seen == [None, "queued", "queued", "completed"]


async def test_a_stale_list_is_filtered_by_what_it_shows(serve: Serve, clock: ManualClock) -> None:
    sandbox, session = await serve(list_stale=30, queue_seconds=0)
    job = sandbox.add_job(family="video_translate", job_seconds=100)
    clock.advance(110)
    path = "v1/video-translate/requests"

    assert list(await listed(session, path, status="processing")) == [job.id]
    assert list(await listed(session, path, status="completed")) == []


class TestTranslationFilters:
    PATH = "v1/video-translate/requests"

    @pytest.fixture
    def ids(self, sandbox: Sandbox, clock: ManualClock) -> dict[str, str]:
        def add(name: str, **settings: Any) -> None:
            jobs[name] = sandbox.add_job(family="video_translate", **settings).id

        jobs: dict[str, str] = {}
        add("failed", job_seconds=1, fails=True, source_language="en", target_languages=["de"])
        clock.advance(10)
        add("completed", job_seconds=1, target_languages=["ja", "de"])
        clock.advance(10)
        add("processing", job_seconds=100, queue_seconds=1, target_languages=["ja"])
        add("uploading", job_seconds=100, queue_seconds=10, source_language="en", target_languages=["fr"])
        clock.advance(10)
        add("queued", source_language="de", target_languages=["fr", "de"])
        return jobs

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ({"status": "queued"}, ["queued"]),
            ({"status": "uploading"}, ["uploading"]),
            ({"status": "processing"}, ["processing"]),
            ({"status": "completed"}, ["completed"]),
            ({"status": "failed"}, ["failed"]),
            ({"source_language": "en"}, ["uploading", "failed"]),
            ({"target_language": "de"}, ["queued", "completed", "failed"]),
            ({"target_language": "de", "source_language": "de"}, ["queued"]),
            ({"created_after": "2026-04-07T12:00:10Z"}, ["queued", "uploading", "processing"]),
            ({"created_before": "2026-04-07T12:00:10Z"}, ["failed"]),
            (
                {"created_after": "2026-04-07T14:00:00+02:00", "created_before": "2026-04-07T12:00:20.5Z"},
                ["uploading", "processing", "completed"],
            ),
            ({"target_language": "xx"}, []),
        ],
    )
    async def test_each_filter_leaves_what_matches(
        self,
        session: aiohttp.ClientSession,
        ids: dict[str, str],
        query: dict[str, str],
        names: list[str],
    ) -> None:
        found, pagination = await page(session, self.PATH, **query)

        assert found == [ids[name] for name in names]
        assert pagination["total"] == len(names)

    async def test_a_filtered_list_has_pages(self, session: aiohttp.ClientSession, ids: dict[str, str]) -> None:
        assert await page(session, self.PATH, target_language="de", limit=1, offset=1) == (
            [ids["completed"]],
            {"limit": 1, "offset": 1, "total": 3},
        )

    @pytest.mark.parametrize(
        ("query", "text"),
        [
            ({"status": "done"}, "invalid status"),
            ({"created_after": "yesterday"}, "invalid created_after"),
            ({"created_before": "2026-04-07T12:00:00"}, "invalid created_before"),
        ],
    )
    async def test_a_filter_that_makes_no_sense_is_refused(
        self, session: aiohttp.ClientSession, query: dict[str, str], text: str
    ) -> None:
        async with session.get(self.PATH, params=query) as response:
            assert (response.status, await response.json()) == (400, {"error": text})
