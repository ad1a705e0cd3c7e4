"""Lists: every filter is sent as documented, and a walk yields each record once although the list changes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import datetime, tzinfo
from typing import Any, TypeVar

import pytest
from aioresponses import CallbackResult, aioresponses
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from chamelaion_async import (
    APIStatusError,
    AsyncClient,
    BadRequestError,
    ConfigurationError,
    InvalidResponseError,
    Page,
    Pagination,
    RequestStatus,
)
from chamelaion_async._http.paging import PAGE_SIZE
from chamelaion_async.resources.listing import walk
from chamelaion_async.sandbox import Fault, Sandbox
from tests.conftest import RefusePages

T = TypeVar("T")

BASE_URL = "https://api.example.com/api"
LIPSYNC = "GET /v1/lipsync/requests"
TRANSLATIONS = "GET /v1/video-translate/requests"
VOICES = "GET /v1/video-translate/voices"

Listed = Callable[[AsyncClient], Any]


class NoOffset(tzinfo):
    """A zone that does not know its offset: a datetime with it is naive, although ``tzinfo`` is set."""

    def utcoffset(self, dt: datetime | None) -> None:
        return None

    dst = tzname = utcoffset


def lipsync(client: AsyncClient) -> Any:
    return client.lipsync.requests


def translations(client: AsyncClient) -> Any:
    return client.video_translate.requests


def voices(client: AsyncClient) -> Any:
    return client.video_translate.voices


RESOURCES = [(lipsync, LIPSYNC), (translations, TRANSLATIONS), (voices, VOICES)]
resources = pytest.mark.parametrize("resource", [resource for resource, _ in RESOURCES])
routes = pytest.mark.parametrize(("resource", "route"), RESOURCES)

ODD_TEXTS = ["dub 42", "a&b=c", "a+b", "100%", "%2e", "日本語 🎬", "a/b?c#d", "'\"", "\r\nx: 1"]
PAGED: list[dict[str, int]] = [
    {"limit": 1},
    {"limit": 250},
    {"offset": 0},
    {"offset": 40},
    {"limit": 5, "offset": 10},
]
REFERENCES = [({"reference_id": text}, {"reference_id": text}) for text in ["dub-42", *ODD_TEXTS]]
PLAIN: list[dict[str, Any]] = [
    {"status": "queued"},
    {"source_language": "en"},
    {"target_language": "pt-BR"},
    {"language": "de"},
    {"gender": "Female"},
    {"application": "narration"},
]
TIMES = [
    ("2026-04-07T10:00:00+00:00", "2026-04-07T10:00:00Z"),
    ("2026-04-07T10:00:00.250000+00:00", "2026-04-07T10:00:00.250000Z"),
    ("2026-04-07T03:30:00+09:00", "2026-04-06T18:30:00Z"),
    ("2026-04-07T23:00:00-05:30", "2026-04-08T04:30:00Z"),
]
FILTERS: list[tuple[Listed, dict[str, Any], dict[str, str]]] = [
    *((lipsync, asked, sent) for asked, sent in REFERENCES),
    *((translations, asked, sent) for asked, sent in REFERENCES[:3]),
    *((translations, {"status": status}, {"status": status.value}) for status in RequestStatus),
    *((translations, each, each) for each in PLAIN[:3]),
    *(
        (translations, {name: datetime.fromisoformat(asked)}, {name: sent})
        for name in ("created_after", "created_before")
        for asked, sent in TIMES
    ),
    *((voices, each, each) for each in PLAIN[3:]),
    (voices, {"favorite": True}, {"favorite": "true"}),
    (voices, {"favorite": False}, {"favorite": "false"}),
    *((voices, {"search": text}, {"search": text}) for text in ["ada", *ODD_TEXTS]),
]


async def everything(walked: AsyncIterator[T]) -> list[T]:
    return [record async for record in walked]


async def ids(walked: AsyncIterator[Any]) -> list[str]:
    return [record.id async for record in walked]


def queries(sandbox: Sandbox) -> list[dict[str, str]]:
    return [received.query for received in sandbox.received]


@pytest.mark.parametrize(("resource", "asked", "sent"), FILTERS)
async def test_a_filter_is_sent_as_documented(
    sandbox: Sandbox, sandbox_client: AsyncClient, resource: Listed, asked: dict[str, Any], sent: dict[str, str]
) -> None:
    await resource(sandbox_client).list(**asked)
    await everything(resource(sandbox_client).iterate(**asked))

    assert queries(sandbox) == [sent, {**sent, "limit": str(PAGE_SIZE), "offset": "0"}]


@resources
@pytest.mark.parametrize("asked", PAGED, ids=str)
async def test_a_page_is_asked_for_as_documented(
    sandbox: Sandbox, sandbox_client: AsyncClient, resource: Listed, asked: dict[str, int]
) -> None:
    await resource(sandbox_client).list(**asked)

    assert queries(sandbox) == [{name: str(value) for name, value in asked.items()}]


@routes
async def test_a_list_goes_to_its_own_endpoint(
    sandbox: Sandbox, sandbox_client: AsyncClient, resource: Listed, route: str
) -> None:
    await resource(sandbox_client).list()

    assert [(r.route, r.query_string) for r in sandbox.received] == [(route, "")]


async def test_a_page_holds_the_newest_requests_in_the_order_of_the_service(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    jobs = [sandbox.add_job() for _ in range(5)]

    page = await sandbox_client.lipsync.requests.list(limit=3)

    assert ([request.id for request in page.data], page.pagination) == (
        [job.id for job in jobs[:1:-1]],
        Pagination(limit=3, offset=0, total=5),
    )


@resources
async def test_a_page_that_the_service_makes_smaller_says_so(sandbox_client: AsyncClient, resource: Listed) -> None:
    page = await resource(sandbox_client).list(limit=5000, offset=1000)

    assert (page.data, page.pagination.limit, page.pagination.offset) == ([], 100, 1000)


async def test_only_requests_with_the_reference_are_listed(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    jobs = [sandbox.add_job(reference_id=name) for name in ("a", "b", "a", "A", "ab")]

    page = await sandbox_client.lipsync.requests.list(reference_id="a")

    assert [request.id for request in page.data] == [jobs[2].id, jobs[0].id]


@pytest.mark.parametrize(
    ("path", "resource", "key"), [("voices", voices, "data"), ("requests", translations, "voices")]
)
async def test_records_under_the_key_of_another_list_are_not_taken_for_none(
    client: AsyncClient, mock: aioresponses, path: str, resource: Listed, key: str
) -> None:
    mock.get(
        f"{BASE_URL}/v1/video-translate/{path}",
        payload={key: [], "pagination": {"limit": 20, "offset": 0, "total": 0}},
    )

    with pytest.raises(InvalidResponseError):
        await resource(client).list()


BAD_LIMITS: list[Any] = [0, -1, True, False, 2.5, "20", float("nan")]
BAD_OFFSETS: list[Any] = [-1, -100, True, False, 0.0, "0", float("nan")]


@resources
@pytest.mark.parametrize(
    ("name", "value"), [*(("limit", each) for each in BAD_LIMITS), *(("offset", each) for each in BAD_OFFSETS)]
)
async def test_an_impossible_page_is_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, resource: Listed, name: str, value: Any
) -> None:
    with pytest.raises(ConfigurationError, match=name):
        await resource(sandbox_client).list(**{name: value})

    assert sandbox.received == ()


@resources
@pytest.mark.parametrize("page_size", BAD_LIMITS)
async def test_an_impossible_page_size_is_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, resource: Listed, page_size: Any
) -> None:
    with pytest.raises(ConfigurationError, match="page_size"):
        await everything(resource(sandbox_client).iterate(page_size=page_size))

    assert sandbox.received == ()


@pytest.mark.parametrize("name", ["created_after", "created_before"])
@pytest.mark.parametrize(
    "time",
    [datetime.fromisoformat("2026-04-07T10:00:00"), datetime(2026, 4, 7, 10, tzinfo=NoOffset())],
    ids=["no zone", "no offset"],
)
async def test_a_time_without_a_zone_is_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, name: str, time: datetime
) -> None:
    filters: dict[str, Any] = {name: time}
    with pytest.raises(ConfigurationError, match=name):
        await sandbox_client.video_translate.requests.list(**filters)
    with pytest.raises(ConfigurationError, match=name):
        await everything(sandbox_client.video_translate.requests.iterate(**filters))

    assert sandbox.received == ()


@resources
async def test_a_filter_that_no_url_can_carry_is_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, resource: Listed
) -> None:
    name = "search" if resource is voices else "reference_id"
    with pytest.raises(ConfigurationError, match="UTF-8"):
        await resource(sandbox_client).list(**{name: "dub-\ud800"})

    assert sandbox.received == ()


@pytest.mark.parametrize("page_size", [1, 2, 7, 24, 25, 26, 100, None])
async def test_a_walk_yields_every_request_in_the_order_of_the_service(
    sandbox: Sandbox, sandbox_client: AsyncClient, page_size: int | None
) -> None:
    jobs = [sandbox.add_job().id for _ in range(25)]

    assert await ids(sandbox_client.lipsync.requests.iterate(page_size=page_size)) == jobs[::-1]


@pytest.mark.parametrize(
    ("page_size", "requests"),
    [(1, 24), (5, 5), (8, 3), (12, 2), (23, 2), (24, 1), (25, 1), (100, 1), (None, 1)],
)
async def test_a_walk_makes_no_more_requests_than_there_are_pages(
    sandbox: Sandbox, sandbox_client: AsyncClient, page_size: int | None, requests: int
) -> None:
    assert len(await everything(sandbox_client.video_translate.voices.iterate(page_size=page_size))) == 24
    assert sandbox.count(VOICES) == requests


async def test_a_walk_asks_for_a_hundred_records_at_a_time(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    await everything(sandbox_client.lipsync.requests.iterate())

    assert queries(sandbox) == [{"limit": "100", "offset": "0"}]


async def test_a_walk_over_nothing_asks_once(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    assert (await everything(sandbox_client.lipsync.requests.iterate()), len(sandbox.received)) == ([], 1)


async def test_pages_smaller_than_asked_for_leave_nothing_out() -> None:
    async with Sandbox(page_cap=7) as sandbox, AsyncClient("sk-key", base_url=sandbox.base_url) as client:
        jobs = [sandbox.add_job().id for _ in range(25)]

        found = await ids(client.lipsync.requests.iterate(page_size=50))

        assert (found, [query["offset"] for query in queries(sandbox)]) == (jobs[::-1], ["0", "7", "14", "21"])


async def test_a_walk_with_a_filter_yields_what_matches(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    jobs = [sandbox.add_job(reference_id=name).id for name in ("a", "b") * 3]

    assert await ids(sandbox_client.lipsync.requests.iterate(reference_id="b", page_size=2)) == jobs[5::-2]
    assert [query["reference_id"] for query in queries(sandbox)] == ["b", "b"]


async def test_a_walk_reads_a_page_only_when_it_is_needed(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    for _ in range(10):
        sandbox.add_job()
    walked = sandbox_client.lipsync.requests.iterate(page_size=4)
    await sandbox_client.health.check()
    assert sandbox.count(LIPSYNC) == 0
    for _ in range(4):
        await anext(walked)

    assert sandbox.count(LIPSYNC) == 1
    await walked.aclose()


async def test_a_page_that_fails_for_a_moment_is_read_again(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    jobs = [sandbox.add_job().id for _ in range(6)]
    sandbox.inject(Fault.reset(), route=LIPSYNC, after=1, times=1)

    assert await ids(sandbox_client.lipsync.requests.iterate(page_size=2)) == jobs[::-1]


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(
    ("largest", "page_size", "asked"),
    [
        (50, None, [str(PAGE_SIZE), "20", "20"]),
        (99, 100, ["100", "20", "20"]),
        (99, 250, ["250", "20", "20"]),
        (20, 21, ["21", "20", "20"]),
        (19, 100, ["100", "20", None, None]),
        (20, 20, ["20", "20"]),
        (99, 50, ["50"]),
    ],
)
async def test_a_walk_goes_on_with_smaller_pages_where_large_ones_are_refused(
    sandbox: Sandbox,
    sandbox_client: AsyncClient,
    refuse_pages: RefusePages,
    largest: int,
    page_size: int | None,
    asked: list[str | None],
    status: int,
) -> None:
    jobs = [sandbox.add_job().id for _ in range(25)]
    limits = refuse_pages(largest, status)

    found = await ids(sandbox_client.lipsync.requests.iterate(page_size=page_size))

    assert (found, limits) == (jobs[::-1], asked)


@resources
async def test_every_list_is_walked_with_smaller_pages(
    sandbox: Sandbox, sandbox_client: AsyncClient, refuse_pages: RefusePages, resource: Listed
) -> None:
    for _ in range(24):
        sandbox.add_job()
        sandbox.add_job(family="video_translate")
    limits = refuse_pages(50, 400)

    assert len(await everything(resource(sandbox_client).iterate())) == 24
    assert limits == [str(PAGE_SIZE), "20", "20"]


@pytest.mark.parametrize("largest", [1, 3, 7])
async def test_a_walk_asks_for_no_size_where_even_the_documented_one_is_refused(
    sandbox: Sandbox, sandbox_client: AsyncClient, refuse_pages: RefusePages, largest: int
) -> None:
    jobs = [sandbox.add_job().id for _ in range(25)]
    refuse_pages(largest, 422)

    assert await ids(sandbox_client.lipsync.requests.iterate()) == jobs[::-1]


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(("page_size", "requests"), [(None, 3), (100, 3), (21, 3), (20, 1), (2, 1)])
async def test_a_walk_that_is_refused_with_pages_of_any_size_ends_with_that_error(
    sandbox: Sandbox, sandbox_client: AsyncClient, page_size: int | None, requests: int, status: int
) -> None:
    sandbox.inject(Fault.status(status, "no such filter"), route=LIPSYNC)

    with pytest.raises(APIStatusError, match="no such filter"):
        await everything(sandbox_client.lipsync.requests.iterate(page_size=page_size))

    assert sandbox.count(LIPSYNC) == requests


@pytest.mark.parametrize("status", [401, 403, 404, 409])
async def test_other_refusals_are_no_reason_for_smaller_pages(
    sandbox: Sandbox, sandbox_client: AsyncClient, status: int
) -> None:
    sandbox.inject(Fault.status(status), route=LIPSYNC)

    with pytest.raises(APIStatusError):
        await everything(sandbox_client.lipsync.requests.iterate())

    assert sandbox.count(LIPSYNC) == 1


async def test_a_later_page_that_is_refused_ends_the_walk_with_its_error(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    for _ in range(60):
        sandbox.add_job()
    sandbox.inject(Fault.status(400), route=LIPSYNC, after=1)

    with pytest.raises(BadRequestError):
        await everything(sandbox_client.lipsync.requests.iterate(page_size=50))

    assert sandbox.count(LIPSYNC) == 2


async def test_list_does_not_ask_for_a_smaller_page_than_it_is_told(
    sandbox_client: AsyncClient, refuse_pages: RefusePages
) -> None:
    limits = refuse_pages(50, 400)

    with pytest.raises(BadRequestError):
        await sandbox_client.lipsync.requests.list(limit=100)

    assert limits == ["100"]


async def test_two_walks_at_once_do_not_disturb_each_other(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    jobs = [sandbox.add_job().id for _ in range(10)]

    found = await asyncio.gather(*(ids(sandbox_client.lipsync.requests.iterate(page_size=3)) for _ in range(2)))

    assert found == [jobs[::-1], jobs[::-1]]


@pytest.mark.parametrize(
    ("page_size", "new"),
    [(4, 1), (4, 3), (4, 4), (4, 5), (4, 8), (4, 9), (4, 40), (1, 1), (1, 2), (1, 40), (100, 40)],
)
@pytest.mark.parametrize("after", [1, 4, 6, 9])
async def test_a_walk_yields_every_older_job_although_new_ones_are_added(
    sandbox: Sandbox, sandbox_client: AsyncClient, page_size: int, new: int, after: int
) -> None:
    jobs = [sandbox.add_job().id for _ in range(10)]

    found = []
    async for request in sandbox_client.lipsync.requests.iterate(page_size=page_size):
        found.append(request.id)
        if len(found) == after:
            for _ in range(new):
                sandbox.add_job()

    assert (sorted(set(found) & set(jobs)), len(found)) == (sorted(jobs), len(set(found)))


async def test_a_walk_over_a_list_that_grows_all_the_time_ends(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    """The list grows by a third of a page for each page that is read."""
    jobs = [sandbox.add_job().id for _ in range(30)]

    found = []
    async with asyncio.timeout(10):
        async for request in sandbox_client.lipsync.requests.iterate(page_size=9):
            found.append(request.id)
            if len(found) % 3 == 0:
                sandbox.add_job()

    assert set(jobs) <= set(found)


def page(numbers: Sequence[int], total: int) -> CallbackResult:
    job = {"status": "queued", "created_at": "2026-04-07T10:00:00Z"}
    data = [{**job, "id": f"r-{n}"} for n in numbers]
    return CallbackResult(payload={"data": data, "pagination": {"limit": 20, "offset": 0, "total": total}})


async def walked_offsets(
    client: AsyncClient, mock: aioresponses, answer: Callable[[int], CallbackResult]
) -> list[int]:
    """Walk over what ``answer`` gives for the number of the request, and return the offsets asked for."""
    offsets: list[int] = []

    def respond(url: URL, **_: Any) -> CallbackResult:
        assert len(offsets) < 50, "the walk does not end"
        offsets.append(int(url.query["offset"]))
        return answer(len(offsets))

    for offset in range(0, 2000, 5):
        mock.get(f"{BASE_URL}/v1/lipsync/requests?limit=20&offset={offset}", callback=respond, repeat=True)
    found = await ids(client.lipsync.requests.iterate(page_size=20))
    assert len(found) == len(set(found))
    return offsets


@pytest.mark.parametrize(
    ("pages", "offsets"),
    [
        ([(range(20), 1000)] * 2, [0, 20]),
        ([(range(20), 1000), (range(20, 30), 1000), (range(0), 1000)], [0, 20, 30]),
        ([(range(20), 40), (range(20, 40), 40)], [0, 20]),
        ([([0, 1, 0], 3)], [0]),
        ([(range(20), 40), (range(19, 39), 41), (range(39, 40), 41)], [0, 20, 40]),
    ],
    ids=[
        "the offset is ignored",
        "a page is empty",
        "the total is reached",
        "a record is on a page twice",
        "the total has grown at the end",
    ],
)
async def test_a_walk_ends_where_the_list_ends(
    client: AsyncClient, mock: aioresponses, pages: list[tuple[Sequence[int], int]], offsets: list[int]
) -> None:
    assert await walked_offsets(client, mock, lambda number: page(*pages[number - 1])) == offsets


async def test_a_walk_over_a_list_that_ignores_the_offset_and_always_grows_ends(
    client: AsyncClient, mock: aioresponses
) -> None:
    asked = await walked_offsets(client, mock, lambda number: page(range(20), 10_000 + number))

    assert len(asked) < 10


async def test_a_walk_that_is_left_early_leaves_no_task_and_reads_no_more(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    for _ in range(10):
        sandbox.add_job()
    await sandbox_client.health.check()
    before = asyncio.all_tasks()

    async for _ in sandbox_client.lipsync.requests.iterate(page_size=2):
        break
    gc.collect()
    await sandbox_client.health.check()

    assert (asyncio.all_tasks(), sandbox.count(LIPSYNC)) == (before, 1)


async def test_a_client_closes_although_a_walk_is_left_open(sandbox: Sandbox) -> None:
    for _ in range(10):
        sandbox.add_job()
    async with AsyncClient("sk-key", base_url=sandbox.base_url) as client:
        walked = client.lipsync.requests.iterate(page_size=2)
        await anext(walked)
        async with asyncio.timeout(5):
            await client.aclose()
        await walked.aclose()


async def test_a_cancelled_walk_is_cancelled(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    hanging = sandbox.inject(Fault.hang(), route=LIPSYNC)
    task = asyncio.create_task(everything(sandbox_client.lipsync.requests.iterate()))
    async with asyncio.timeout(5):
        while not hanging.hits:
            await sandbox_client.health.check()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    raise AssertionError("it waits")


growth = st.lists(st.integers(0, 12), max_size=12)


@given(st.integers(0, 30), growth, st.integers(1, 9), st.integers(1, 9))
@example(3, [2], 1, 9)
@example(4, [4], 2, 9)
@example(4, [0, 2], 2, 9)
@example(10, [1] * 12, 1, 1)
def test_a_walk_over_any_growing_list_loses_nothing_and_yields_nothing_twice(
    size: int, growth: list[int], page_size: int, cap: int
) -> None:
    records = [f"first-{n}" for n in range(size)]
    first = set(records)
    requests = 0

    async def fetch(limit: int | None, offset: int) -> Page[str]:
        nonlocal requests
        if 0 < requests <= len(growth):
            records[:0] = [f"new-{requests}-{n}" for n in range(growth[requests - 1])]
        requests += 1
        limit = min(limit or cap, cap)
        return Page(
            data=records[offset : offset + limit],
            pagination=Pagination(limit=limit, offset=offset, total=len(records)),
        )

    found = at_once(everything(walk(fetch, page_size=page_size, identity=str)))

    assert len(found) == len(set(found))
    assert first <= set(found)


@given(st.integers(0, 50), growth, st.integers(1, 9), st.integers(0, 60))
def test_a_walk_ends_whatever_the_service_answers(size: int, growth: list[int], page_size: int, total: int) -> None:
    """A service that ignores the offset, with a total that has nothing to do with it."""
    requests = 0

    async def fetch(limit: int | None, offset: int) -> Page[int]:
        nonlocal requests
        requests += 1
        assert requests < 250, "more requests than records"
        grown = sum(growth[:requests])
        return Page(
            data=list(range(size))[:limit],
            pagination=Pagination(limit=limit or 20, offset=offset, total=total + grown),
        )

    found = at_once(everything(walk(fetch, page_size=page_size, identity=str)))

    assert len(found) == len(set(found))
