"""Lists: every filter arrives as documented, and a walk yields each record once although the list changes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta, timezone, tzinfo
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
TOKYO = timezone(timedelta(hours=9))

Listed = Callable[[AsyncClient], Any]


class NoOffset(tzinfo):
    """A zone that does not know its offset: a datetime with it is naive, although ``tzinfo`` is set."""

    def utcoffset(self, dt: datetime | None) -> None:
        return None

    def dst(self, dt: datetime | None) -> None:
        return None

    def tzname(self, dt: datetime | None) -> None:
        return None


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
PAGED = [
    ({"limit": 1}, {"limit": "1"}),
    ({"limit": 250}, {"limit": "250"}),
    ({"offset": 0}, {"offset": "0"}),
    ({"offset": 40}, {"offset": "40"}),
    ({"limit": 5, "offset": 10}, {"limit": "5", "offset": "10"}),
]
REFERENCES = [({"reference_id": text}, {"reference_id": text}) for text in ["dub-42", *ODD_TEXTS]]
FILTERS: list[tuple[Listed, dict[str, Any], dict[str, str]]] = [
    *((lipsync, asked, sent) for asked, sent in REFERENCES),
    *((translations, asked, sent) for asked, sent in REFERENCES[:3]),
    *((translations, {"status": status}, {"status": status.value}) for status in RequestStatus),
    (translations, {"status": "queued"}, {"status": "queued"}),
    (translations, {"source_language": "en"}, {"source_language": "en"}),
    (translations, {"target_language": "pt-BR"}, {"target_language": "pt-BR"}),
    (
        translations,
        {"created_after": datetime(2026, 4, 7, 10, 0, tzinfo=UTC)},
        {"created_after": "2026-04-07T10:00:00Z"},
    ),
    (
        translations,
        {"created_before": datetime(2026, 4, 7, 10, 0, 0, 250_000, tzinfo=UTC)},
        {"created_before": "2026-04-07T10:00:00.250000Z"},
    ),
    (
        translations,
        {"created_after": datetime(2026, 4, 7, 3, 30, tzinfo=TOKYO)},
        {"created_after": "2026-04-06T18:30:00Z"},
    ),
    (
        translations,
        {"created_before": datetime(2026, 4, 7, 23, 0, tzinfo=timezone(-timedelta(hours=5, minutes=30)))},
        {"created_before": "2026-04-08T04:30:00Z"},
    ),
    (voices, {"language": "de"}, {"language": "de"}),
    (voices, {"gender": "Female"}, {"gender": "Female"}),
    (voices, {"application": "narration"}, {"application": "narration"}),
    (voices, {"favorite": True}, {"favorite": "true"}),
    (voices, {"favorite": False}, {"favorite": "false"}),
    *((voices, {"search": text}, {"search": text}) for text in ["ada", *ODD_TEXTS]),
    (
        translations,
        {
            "reference_id": "dub-42",
            "status": "failed",
            "source_language": "en",
            "target_language": "de",
            "created_after": datetime(2026, 4, 1, tzinfo=UTC),
            "created_before": datetime(2026, 4, 2, tzinfo=UTC),
        },
        {
            "reference_id": "dub-42",
            "status": "failed",
            "source_language": "en",
            "target_language": "de",
            "created_after": "2026-04-01T00:00:00Z",
            "created_before": "2026-04-02T00:00:00Z",
        },
    ),
    (
        voices,
        {"language": "de", "gender": "Male", "application": "narration", "favorite": False, "search": "x"},
        {"language": "de", "gender": "Male", "application": "narration", "favorite": "false", "search": "x"},
    ),
]
filters = pytest.mark.parametrize(("resource", "asked", "sent"), FILTERS)


async def everything(walked: AsyncIterator[T]) -> list[T]:
    return [record async for record in walked]


async def ids(walked: AsyncIterator[Any]) -> list[str]:
    return [record.id async for record in walked]


def queries(sandbox: Sandbox) -> list[dict[str, str]]:
    return [received.query for received in sandbox.received]


@filters
async def test_a_filter_of_a_list_arrives_as_documented(
    sandbox: Sandbox, sandbox_client: AsyncClient, resource: Listed, asked: dict[str, Any], sent: dict[str, str]
) -> None:
    await resource(sandbox_client).list(**asked)

    assert queries(sandbox) == [sent]


@filters
async def test_a_filter_of_a_walk_arrives_as_documented(
    sandbox: Sandbox, sandbox_client: AsyncClient, resource: Listed, asked: dict[str, Any], sent: dict[str, str]
) -> None:
    await everything(resource(sandbox_client).iterate(**asked))

    assert queries(sandbox) == [{**sent, "limit": "100", "offset": "0"}]


@resources
@pytest.mark.parametrize(("asked", "sent"), PAGED)
async def test_a_page_is_asked_for_as_documented(
    sandbox: Sandbox, sandbox_client: AsyncClient, resource: Listed, asked: dict[str, int], sent: dict[str, str]
) -> None:
    await resource(sandbox_client).list(**asked)

    assert queries(sandbox) == [sent]


@routes
async def test_a_list_goes_to_its_own_endpoint(
    sandbox: Sandbox, sandbox_client: AsyncClient, resource: Listed, route: str
) -> None:
    await resource(sandbox_client).list()

    assert [(r.route, r.query_string) for r in sandbox.received] == [(route, "")]


@resources
async def test_a_page_says_where_it_lies(sandbox_client: AsyncClient, resource: Listed) -> None:
    page = await resource(sandbox_client).list(limit=3, offset=1000)

    assert (page.data, page.pagination.limit, page.pagination.offset) == ([], 3, 1000)


async def test_a_page_holds_the_newest_requests_in_the_order_of_the_service(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    jobs = [sandbox.add_job() for _ in range(5)]

    page = await sandbox_client.lipsync.requests.list(limit=3)

    assert ([request.id for request in page.data], page.pagination) == (
        [job.id for job in jobs[:1:-1]],
        Pagination(limit=3, offset=0, total=5),
    )


async def test_a_page_lowered_by_the_service_says_so(sandbox_client: AsyncClient) -> None:
    assert (await sandbox_client.lipsync.requests.list(limit=5000)).pagination.limit == 100


async def test_only_requests_with_the_reference_are_listed(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    jobs = [sandbox.add_job(reference_id=name) for name in ("a", "b", "a", "A", "ab")]

    page = await sandbox_client.lipsync.requests.list(reference_id="a")

    assert [request.id for request in page.data] == [jobs[2].id, jobs[0].id]


async def test_voices_come_under_a_key_of_their_own(client: AsyncClient, mock: aioresponses) -> None:
    voice = {
        "voice_id": "v-1",
        "name": "Ada",
        "default_name": "Ada",
        "description": "",
        "language": "en",
        "application": "narration",
        "gender": "Female",
        "is_favorite": True,
    }
    mock.get(
        f"{BASE_URL}/v1/video-translate/voices",
        payload={"voices": [voice], "pagination": {"limit": 20, "offset": 0, "total": 1}},
    )

    page = await client.video_translate.voices.list()

    assert [(each.voice_id, each.is_favorite) for each in page.data] == [("v-1", True)]


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


@resources
@pytest.mark.parametrize("limit", [0, -1, -100, True, False, 1.0, 2.5, "20", float("nan")], ids=repr)
async def test_an_impossible_limit_is_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, resource: Listed, limit: Any
) -> None:
    with pytest.raises(ConfigurationError, match="limit"):
        await resource(sandbox_client).list(limit=limit)

    assert sandbox.received == ()


@resources
@pytest.mark.parametrize("offset", [-1, -100, True, False, 0.0, 2.5, "0", float("nan")], ids=repr)
async def test_an_impossible_offset_is_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, resource: Listed, offset: Any
) -> None:
    with pytest.raises(ConfigurationError, match="offset"):
        await resource(sandbox_client).list(offset=offset)

    assert sandbox.received == ()


@resources
@pytest.mark.parametrize("page_size", [0, -1, True, False, 2.5, "20"], ids=repr)
async def test_an_impossible_page_size_is_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, resource: Listed, page_size: Any
) -> None:
    with pytest.raises(ConfigurationError):
        await everything(resource(sandbox_client).iterate(page_size=page_size))

    assert sandbox.received == ()


TIMES = pytest.mark.parametrize("name", ["created_after", "created_before"])
NAIVE = pytest.mark.parametrize(
    "time",
    [datetime.fromisoformat("2026-04-07T10:00:00"), datetime(2026, 4, 7, 10, tzinfo=NoOffset())],
    ids=["no zone", "no offset"],
)


@TIMES
@NAIVE
async def test_a_time_without_a_zone_is_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, name: str, time: datetime
) -> None:
    times: dict[str, Any] = {name: time}
    with pytest.raises(ConfigurationError, match=name):
        await sandbox_client.video_translate.requests.list(**times)

    assert sandbox.received == ()


@TIMES
@NAIVE
async def test_a_walk_refuses_a_time_without_a_zone_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, name: str, time: datetime
) -> None:
    times: dict[str, Any] = {name: time}
    with pytest.raises(ConfigurationError, match=name):
        await everything(sandbox_client.video_translate.requests.iterate(**times))

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


@resources
async def test_a_walk_asks_for_large_pages_by_default(
    sandbox: Sandbox, sandbox_client: AsyncClient, resource: Listed
) -> None:
    await everything(resource(sandbox_client).iterate())

    assert queries(sandbox)[0]["limit"] == str(PAGE_SIZE)


async def test_a_walk_over_nothing_asks_once(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    assert (await everything(sandbox_client.lipsync.requests.iterate()), len(sandbox.received)) == ([], 1)


async def test_pages_smaller_than_asked_for_leave_nothing_out() -> None:
    async with Sandbox(page_cap=7) as sandbox, AsyncClient("sk-key", base_url=sandbox.base_url) as client:
        jobs = [sandbox.add_job().id for _ in range(25)]

        found = await ids(client.lipsync.requests.iterate(page_size=50))

        assert (found, [query["offset"] for query in queries(sandbox)]) == (jobs[::-1], ["0", "7", "14", "21"])


async def test_every_page_is_asked_for_with_the_filters(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    for name in ("a", "b") * 3:
        sandbox.add_job(reference_id=name)

    await everything(sandbox_client.lipsync.requests.iterate(reference_id="a", page_size=1))

    assert [query["reference_id"] for query in queries(sandbox)] == ["a", "a", "a"]


async def test_a_walk_with_a_filter_yields_what_matches(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    jobs = [sandbox.add_job(reference_id=name).id for name in ("a", "b") * 3]

    assert await ids(sandbox_client.lipsync.requests.iterate(reference_id="b", page_size=2)) == jobs[5::-2]


async def test_a_walk_over_voices_yields_what_matches(sandbox_client: AsyncClient) -> None:
    found = await everything(sandbox_client.video_translate.voices.iterate(gender="Female", page_size=3))

    assert (len({voice.voice_id for voice in found}), {voice.gender for voice in found}) == (8, {"Female"})


async def test_a_walk_asks_for_nothing_before_it_is_begun(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    sandbox_client.lipsync.requests.iterate()
    await sandbox_client.health.check()

    assert sandbox.count(LIPSYNC) == 0


async def test_a_walk_reads_the_next_page_only_when_it_is_needed(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    for _ in range(10):
        sandbox.add_job()
    walked = sandbox_client.lipsync.requests.iterate(page_size=4)
    for _ in range(4):
        await anext(walked)

    assert sandbox.count(LIPSYNC) == 1
    await walked.aclose()


async def test_a_page_that_fails_for_a_moment_is_read_again(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    jobs = [sandbox.add_job().id for _ in range(6)]
    sandbox.inject(Fault.reset(), route=LIPSYNC, after=1, times=1)

    assert await ids(sandbox_client.lipsync.requests.iterate(page_size=2)) == jobs[::-1]


async def test_a_page_that_cannot_be_read_ends_the_walk_with_its_error(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    for _ in range(6):
        sandbox.add_job()
    sandbox.inject(Fault.status(400), route=LIPSYNC, after=1)

    with pytest.raises(BadRequestError):
        await everything(sandbox_client.lipsync.requests.iterate(page_size=2))


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(
    ("largest", "page_size", "asked"),
    [
        (99, None, ["100", "20", "20"]),
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
async def test_every_walk_goes_on_with_smaller_pages(
    sandbox: Sandbox, sandbox_client: AsyncClient, refuse_pages: RefusePages, resource: Listed
) -> None:
    for _ in range(24):
        sandbox.add_job()
        sandbox.add_job(family="video_translate")
    limits = refuse_pages(50, 400)

    assert len(await everything(resource(sandbox_client).iterate())) == 24
    assert limits == ["100", "20", "20"]


@pytest.mark.parametrize("largest", [1, 3, 7])
async def test_a_walk_leaves_the_size_to_a_service_that_refuses_even_the_documented_one(
    sandbox: Sandbox, sandbox_client: AsyncClient, refuse_pages: RefusePages, largest: int
) -> None:
    jobs = [sandbox.add_job().id for _ in range(25)]
    refuse_pages(largest, 422)

    assert await ids(sandbox_client.lipsync.requests.iterate()) == jobs[::-1]


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(("page_size", "requests"), [(None, 3), (100, 3), (21, 3), (20, 1), (2, 1)])
async def test_a_walk_that_is_refused_whatever_its_pages_ends_with_that(
    sandbox: Sandbox, sandbox_client: AsyncClient, page_size: int | None, requests: int, status: int
) -> None:
    sandbox.inject(Fault.status(status, "no such filter"), route=LIPSYNC)

    with pytest.raises(APIStatusError, match="no such filter"):
        await everything(sandbox_client.lipsync.requests.iterate(page_size=page_size))

    assert sandbox.count(LIPSYNC) == requests


@pytest.mark.parametrize("status", [401, 403, 404, 409])
async def test_a_refusal_that_is_not_about_the_request_is_no_reason_for_smaller_pages(
    sandbox: Sandbox, sandbox_client: AsyncClient, status: int
) -> None:
    sandbox.inject(Fault.status(status), route=LIPSYNC)

    with pytest.raises(APIStatusError):
        await everything(sandbox_client.lipsync.requests.iterate())

    assert sandbox.count(LIPSYNC) == 1


async def test_a_later_page_that_is_refused_is_not_about_its_size(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    for _ in range(60):
        sandbox.add_job()
    sandbox.inject(Fault.status(400), route=LIPSYNC, after=1)

    with pytest.raises(BadRequestError):
        await everything(sandbox_client.lipsync.requests.iterate(page_size=50))

    assert sandbox.count(LIPSYNC) == 2


async def test_a_page_that_is_asked_for_by_its_size_is_not_made_smaller(
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
async def test_jobs_that_are_added_during_a_walk_push_none_of_the_others_out_of_it(
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


async def test_a_job_added_after_every_request_does_not_keep_a_walk_from_its_end(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    """The list grows by a third of a page for each page that is read."""
    jobs = [sandbox.add_job().id for _ in range(30)]

    found = []
    async with asyncio.timeout(10):
        async for request in sandbox_client.lipsync.requests.iterate(page_size=9):
            found.append(request.id)
            if len(found) % 3 == 0:
                sandbox.add_job()

    assert set(jobs) <= set(found)


RECORD = {"id": "r-{}", "status": "queued", "created_at": "2026-04-07T10:00:00Z"}


def page(numbers: range, total: int) -> CallbackResult:
    data = [{**RECORD, "id": f"r-{n}"} for n in numbers]
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

    for size in (20, PAGE_SIZE):
        for offset in range(0, 2000, 5):
            url = f"{BASE_URL}/v1/lipsync/requests?limit={size}&offset={offset}"
            mock.get(url, callback=respond, repeat=True)
    found = await ids(client.lipsync.requests.iterate(page_size=20))
    assert len(found) == len(set(found))
    return offsets


async def test_a_service_that_ignores_the_offset_is_asked_twice(client: AsyncClient, mock: aioresponses) -> None:
    assert await walked_offsets(client, mock, lambda _: page(range(20), 1000)) == [0, 20]


async def test_a_walk_ends_with_an_empty_page_whatever_the_total(client: AsyncClient, mock: aioresponses) -> None:
    answers = {1: page(range(20), 1000), 2: page(range(20, 30), 1000), 3: page(range(0), 1000)}

    assert await walked_offsets(client, mock, answers.__getitem__) == [0, 20, 30]


async def test_a_walk_ends_when_the_total_is_reached(client: AsyncClient, mock: aioresponses) -> None:
    answers = {1: page(range(20), 40), 2: page(range(20, 40), 40)}

    assert await walked_offsets(client, mock, answers.__getitem__) == [0, 20]


async def test_a_walk_goes_on_when_the_total_grows_at_its_end(client: AsyncClient, mock: aioresponses) -> None:
    answers = {1: page(range(20), 40), 2: page(range(19, 39), 41), 3: page(range(39, 40), 41)}

    assert await walked_offsets(client, mock, answers.__getitem__) == [0, 20, 40]


async def test_a_service_that_ignores_the_offset_and_always_grows_is_not_asked_for_ever(
    client: AsyncClient, mock: aioresponses
) -> None:
    asked = await walked_offsets(client, mock, lambda number: page(range(20), 10_000 + number))

    assert len(asked) < 10


async def test_a_record_that_stands_twice_on_one_page_is_yielded_once(
    client: AsyncClient, mock: aioresponses
) -> None:
    data = [{**RECORD, "id": id} for id in ("a", "b", "a")]
    mock.get(
        f"{BASE_URL}/v1/lipsync/requests?limit={PAGE_SIZE}&offset=0",
        payload={"data": data, "pagination": {"limit": 20, "offset": 0, "total": 3}},
    )

    assert await ids(client.lipsync.requests.iterate()) == ["a", "b"]


async def test_a_walk_that_is_left_early_asks_for_nothing_more(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    for _ in range(10):
        sandbox.add_job()

    async for _ in sandbox_client.lipsync.requests.iterate(page_size=2):
        break

    assert sandbox.count(LIPSYNC) == 1


async def test_a_walk_that_is_left_early_leaves_no_task_behind(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    for _ in range(10):
        sandbox.add_job()
    await sandbox_client.health.check()
    before = asyncio.all_tasks()

    async for _ in sandbox_client.lipsync.requests.iterate(page_size=2):
        break
    gc.collect()
    await sandbox_client.health.check()

    assert asyncio.all_tasks() == before


async def test_a_walk_that_is_left_open_does_not_keep_the_client_from_closing(sandbox: Sandbox) -> None:
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
    """Run what never has to wait for anything."""
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
