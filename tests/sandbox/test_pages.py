from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chamelaion_async.sandbox import ManualClock, Sandbox

from .calling import Caller, Serve

TRANSLATIONS = "v1/video-translate/requests"
FAMILIES = pytest.mark.parametrize(
    ("family", "path"), [("lipsync", "v1/lipsync/requests"), ("video_translate", TRANSLATIONS)]
)


async def page(call: Caller, path: str, **query: object) -> tuple[list[str], dict[str, int]]:
    reply = await call(path, params={name: str(value) for name, value in query.items()})
    assert reply.status == 200, reply.body
    return [each["id"] for each in reply.json["data"]], reply.json["pagination"]


@FAMILIES
async def test_an_empty_list_is_a_page_without_the_examples(call: Caller, family: str, path: str) -> None:
    assert await page(call, path) == ([], {"limit": 20, "offset": 0, "total": 0})


@FAMILIES
async def test_a_list_is_newest_first_in_any_order_of_arrival(
    sandbox: Sandbox, call: Caller, family: Any, path: str
) -> None:
    second, third = sandbox.add_job(family=family), sandbox.add_job(family=family)
    first = sandbox.add_job(family=family, created_at=datetime(2026, 4, 1, tzinfo=UTC))

    ids = [third.id, second.id, first.id]
    assert await page(call, path) == (ids, {"limit": 20, "offset": 0, "total": 3})


@FAMILIES
async def test_pages_follow_one_another_without_gap_or_overlap(
    sandbox: Sandbox, call: Caller, family: Any, path: str
) -> None:
    ids = [sandbox.add_job(family=family).id for _ in range(7)][::-1]

    for offset, expected in [(0, ids[:3]), (3, ids[3:6]), (6, ids[6:]), (7, []), (10**9, [])]:
        found = await page(call, path, limit=3, offset=offset)
        assert found == (expected, {"limit": 3, "offset": offset, "total": 7})


@FAMILIES
async def test_a_limit_beyond_the_cap_is_lowered_and_the_page_says_so(serve: Serve, family: Any, path: str) -> None:
    sandbox, call = await serve(page_cap=5)
    for _ in range(8):
        sandbox.add_job(family=family)

    ids, pagination = await page(call, path, limit=1000)

    assert len(ids) == 5
    assert pagination == {"limit": 5, "offset": 0, "total": 8}


@pytest.mark.parametrize("path", ["v1/lipsync/requests", TRANSLATIONS, "v1/video-translate/voices"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("limit", value) for value in ("0", "-1", "", "ten", "1.5", "²", "9" * 5000)),
        *(("offset", value) for value in ("-1", "x")),
    ],
)
async def test_a_limit_or_offset_that_is_no_number_is_refused(call: Caller, path: str, name: str, value: str) -> None:
    assert (await call(path, params={name: value})).answer == (400, {"error": f"invalid {name}"})


@FAMILIES
async def test_a_reference_id_filters_exactly(sandbox: Sandbox, call: Caller, family: Any, path: str) -> None:
    names = ["dub-4", "dub-42", None, "dub-42"]
    _, first, _, second = (sandbox.add_job(family=family, reference_id=name).id for name in names)

    assert await page(call, path, reference_id="dub-42") == ([second, first], {"limit": 20, "offset": 0, "total": 2})
    assert (await page(call, path, reference_id="DUB-42"))[0] == []
    assert (await page(call, path, reference_id="dub-42", limit=1, offset=1))[0] == [first]


async def test_the_families_have_lists_of_their_own(sandbox: Sandbox, call: Caller) -> None:
    lipsync, translation = sandbox.add_job(), sandbox.add_job(family="video_translate")

    assert (await page(call, "v1/lipsync/requests"))[0] == [lipsync.id]
    assert (await page(call, TRANSLATIONS))[0] == [translation.id]


@FAMILIES
async def test_a_lagging_list_shows_a_job_later_than_a_get_does(
    serve: Serve, clock: ManualClock, family: Any, path: str
) -> None:
    sandbox, call = await serve(list_lag=3.0)
    old = sandbox.add_job(family=family, created_at=clock.time() - 60)
    job = sandbox.add_job(family=family, reference_id="dub")

    assert (await page(call, path))[0] == [old.id]
    assert (await page(call, path, reference_id="dub"))[1]["total"] == 0
    assert (await call(f"{path}/dub")).json["id"] == job.id
    clock.advance(2.9)
    assert (await page(call, path))[0] == [old.id]
    clock.advance(0.1)
    assert (await page(call, path))[0] == [job.id, old.id]
    assert (await page(call, path, reference_id="dub"))[0] == [job.id]


async def test_a_list_shows_the_status_of_each_job(sandbox: Sandbox, call: Caller, clock: ManualClock) -> None:
    sandbox.add_job(job_seconds=1, fails="no face found")
    sandbox.add_job(job_seconds=1)
    sandbox.add_job(job_seconds=50)
    clock.advance(10)
    sandbox.add_job()

    data = (await call("v1/lipsync/requests")).json["data"]

    assert [each["status"] for each in data] == ["queued", "processing", "completed", "failed"]
    assert data[3]["error_message"] == "no face found"


async def listed(call: Caller, path: str, **query: str) -> dict[str, Any]:
    return {each["id"]: each for each in (await call(path, params=query)).json["data"]}


@FAMILIES
async def test_a_stale_list_shows_each_job_as_it_was_so_many_seconds_ago(
    serve: Serve, clock: ManualClock, family: Any, path: str
) -> None:
    sandbox, call = await serve(list_stale=30, queue_seconds=0)
    job = sandbox.add_job(family=family, job_seconds=100)
    now, stale = [], []
    for _ in range(14):
        now.append((await call(f"{path}/{job.id}")).json["status"])
        stale.append((await listed(call, path))[job.id]["status"])
        clock.advance(10)

    assert now == ["processing"] * 10 + ["completed"] * 4
    assert stale == ["queued"] * 3 + ["processing"] * 10 + ["completed"]


@FAMILIES
@pytest.mark.parametrize("how", ["finish", "fail"])
async def test_a_stale_list_shows_an_end_by_hand_late(
    serve: Serve, clock: ManualClock, family: Any, path: str, how: str
) -> None:
    sandbox, call = await serve(list_stale=30)
    job = sandbox.add_job(family=family, queue_seconds=0)
    clock.advance(40.1)
    getattr(sandbox, how)(job.id)
    clock.advance(29)
    before = (await listed(call, path))[job.id]
    clock.advance(1)
    after = (await listed(call, path))[job.id]

    assert (before["status"], before.get("finished_at"), before.get("error_message")) == ("processing", None, None)
    assert (after["status"], after["finished_at"]) == (job.status(clock.time()), "2026-04-07T12:00:40.1Z")


@FAMILIES
async def test_a_list_may_lag_and_be_stale(serve: Serve, clock: ManualClock, family: Any, path: str) -> None:
    sandbox, call = await serve(list_stale=30, list_lag=5, job_seconds=0)
    job = sandbox.add_job(family=family)
    seen = []
    for _ in range(4):
        shown = (await listed(call, path)).get(job.id, {})
        seen.append((shown.get("status"), shown.get("started_at") is not None))
        clock.advance(10)

    assert seen == [(None, False), ("queued", False), ("queued", False), ("completed", True)]


async def test_a_stale_list_is_filtered_by_what_it_shows(serve: Serve, clock: ManualClock) -> None:
    sandbox, call = await serve(list_stale=30, queue_seconds=0)
    job = sandbox.add_job(family="video_translate", job_seconds=100)
    clock.advance(110)

    assert list(await listed(call, TRANSLATIONS, status="processing")) == [job.id]
    assert list(await listed(call, TRANSLATIONS, status="completed")) == []


@pytest.fixture
def translations(sandbox: Sandbox, clock: ManualClock) -> dict[str, str]:
    """The id of a translation in each status; two are created at once, the others ten seconds apart."""

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
        *(({"status": name}, [name]) for name in ("queued", "uploading", "processing", "completed", "failed")),
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
async def test_a_filter_leaves_the_translations_that_match(
    call: Caller, translations: dict[str, str], query: dict[str, str], names: list[str]
) -> None:
    found, pagination = await page(call, TRANSLATIONS, **query)

    assert found == [translations[name] for name in names]
    assert pagination["total"] == len(names)


async def test_a_filtered_list_has_pages(call: Caller, translations: dict[str, str]) -> None:
    found = await page(call, TRANSLATIONS, target_language="de", limit=1, offset=1)

    assert found == ([translations["completed"]], {"limit": 1, "offset": 1, "total": 3})


@pytest.mark.parametrize(
    ("name", "value"),
    [("status", "done"), ("created_after", "yesterday"), ("created_before", "2026-04-07T12:00:00")],
)
async def test_a_filter_without_a_meaning_is_refused(call: Caller, name: str, value: str) -> None:
    assert (await call(TRANSLATIONS, params={name: value})).answer == (400, {"error": f"invalid {name}"})


@pytest.mark.parametrize("query", [{}, {"reference_id": "batch"}])
async def test_a_page_touches_no_more_jobs_than_it_shows(
    sandbox: Sandbox, call: Caller, clock: ManualClock, query: dict[str, str]
) -> None:
    for number in range(1000):
        sandbox.add_job(reference_id="batch", created_at=clock.time() - number)
    touched = 0

    class Watched(list):  # type: ignore[type-arg]
        def __getitem__(self, key: Any) -> Any:
            nonlocal touched
            found = super().__getitem__(key)
            touched += len(found)
            return found

        def __iter__(self) -> Any:
            raise AssertionError("the page reads the whole list")

    listed = sandbox._world.stores["lipsync"]._listed
    listed.jobs, listed.by_reference["batch"] = Watched(listed.jobs), Watched(listed.jobs)

    assert len((await page(call, "v1/lipsync/requests", offset=500, **query))[0]) == 20
    assert touched == 20
