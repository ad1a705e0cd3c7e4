"""What the loader's reads become on the wire, and what their answers become here."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from aioresponses import aioresponses

from chamelaion_async import AsyncClient, InvalidResponseError, LipsyncRequest, NotFoundError, RateLimitError
from chamelaion_async._http.paging import PAGE_SIZE
from chamelaion_async.loading.entries import Entry, Read
from chamelaion_async.loading.reads import Answer
from chamelaion_async.loading.source import HttpSource
from chamelaion_async.models import Pagination

PATH = "/v1/lipsync/requests"
REQUESTS = f"https://api.example.com/api{PATH}"
FIRST_PAGE = f"{REQUESTS}?limit={PAGE_SIZE}&offset=0"
DATE = {"Date": "Tue, 07 Apr 2026 12:00:00 GMT"}
UPPER = "0A1B2C3D-0000-4000-8000-00000000ABCD"
NOON = datetime(2026, 4, 7, 12, tzinfo=UTC)


def record(number: int = 1, *, hour: int = 10) -> dict[str, Any]:
    return {"id": str(UUID(int=number)), "status": "processing", "created_at": f"2026-04-07T{hour}:00:00Z"}


def page(*records: Any) -> dict[str, Any]:
    return {"data": list(records), "pagination": {"limit": 100, "offset": 0, "total": 7}}


def get(id: str, *, must_be: str | None = None) -> Read[LipsyncRequest]:
    return Read(began=0.0, timeout=5.0, entry=Entry(id), id=id, must_be=must_be)


def page_at(offset: int = 0) -> Read[LipsyncRequest]:
    return Read(began=0.0, timeout=5.0, offset=offset)


async def answer_to(client: AsyncClient, read: Read[LipsyncRequest]) -> Answer[LipsyncRequest]:
    source = HttpSource(transport=client._transport, path=PATH, model=LipsyncRequest)
    async with source.turn() as send:
        return await send(read)


async def page_of(client: AsyncClient, mock: aioresponses, payload: Any) -> Answer[LipsyncRequest]:
    """Read the first page of the list, which shows this."""
    mock.get(FIRST_PAGE, payload=payload, headers=DATE)
    return await answer_to(client, page_at())


async def test_a_turn_that_is_not_used_sends_nothing_and_hands_its_slot_on(
    client: AsyncClient, mock: aioresponses
) -> None:
    source = HttpSource(transport=client._transport, path=PATH, model=LipsyncRequest)
    async with source.turn():
        assert client._transport.lanes["status"]._under_way == 1
    assert client._transport.lanes["status"]._under_way == 0
    assert not mock.requests


async def test_a_request_is_read_under_its_id_quoted(client: AsyncClient, mock: aioresponses) -> None:
    mock.get(f"{REQUESTS}/dub%2042", payload=record() | {"reference_id": "dub 42"}, headers=DATE)
    read = get("dub 42")
    answer = await answer_to(client, read)
    assert read.is_here
    ((id, made),) = answer.records
    assert (id, answer.make(made).status) == (str(UUID(int=1)), "processing")
    assert (answer.pagination, answer.is_newest_first, answer.server_time) == (None, None, NOON)


async def test_a_page_is_read_where_it_lies(client: AsyncClient, mock: aioresponses) -> None:
    mock.get(f"{REQUESTS}?limit={PAGE_SIZE}&offset=300", payload=page())
    answer = await answer_to(client, page_at(300))
    assert list(answer.records) == []


async def test_a_page_tells_where_and_when_it_was_read(client: AsyncClient, mock: aioresponses) -> None:
    answer = await page_of(client, mock, page(record()))
    assert (answer.pagination, answer.server_time) == (Pagination(limit=100, offset=0, total=7), NOON)


@pytest.mark.parametrize(
    ("hours", "is_newest_first"),
    [([], None), ([10], None), ([10, 10], None), ([12, 10], True), ([12, 10, 11], True), ([10, 12], False)],
)
async def test_the_ends_of_a_page_tell_its_order(
    client: AsyncClient, mock: aioresponses, hours: list[int], is_newest_first: bool | None
) -> None:
    answer = await page_of(client, mock, page(*(record(number, hour=hour) for number, hour in enumerate(hours))))
    assert answer.is_newest_first is is_newest_first


async def test_a_page_with_a_bad_end_tells_no_order(client: AsyncClient, mock: aioresponses) -> None:
    answer = await page_of(client, mock, page(record(hour=12), record(hour=11), {"id": "bad"}))
    assert answer.is_newest_first is None


async def test_one_bad_record_spoils_no_other(client: AsyncClient, mock: aioresponses) -> None:
    answer = await page_of(client, mock, page({"id": "bad"}, record(2), {"id": 5}, "nothing"))
    assert [id for id, _ in answer.records] == ["bad", str(UUID(int=2)), "", ""]
    made = answer.make(answer.records[1][1])
    assert (type(made), made.id) == (LipsyncRequest, str(UUID(int=2)))
    with pytest.raises(ValueError, match="status"):
        answer.make(answer.records[0][1])


async def test_answers_that_come_together_are_taken_apart_one_a_turn(client: AsyncClient, mock: aioresponses) -> None:
    mock.get(FIRST_PAGE, payload=page(record()), repeat=True)
    source = HttpSource(transport=client._transport, path=PATH, model=LipsyncRequest)
    turn = 0
    read_in: list[int] = []

    async def count() -> None:
        nonlocal turn
        while len(read_in) < 3:
            turn += 1
            await asyncio.sleep(0)

    async def read() -> None:
        async with source.turn() as send:
            await send(page_at())
        read_in.append(turn)

    async with asyncio.timeout(5):
        await asyncio.gather(count(), read(), read(), read())

    assert len(set(read_in)) == 3


@pytest.mark.parametrize(
    "payload",
    [5, [], {}, {"data": []}, {"data": 5, "pagination": {}}, {"data": [], "pagination": {"limit": "many"}}],
    ids=str,
)
async def test_what_is_no_page_says_so(client: AsyncClient, mock: aioresponses, payload: Any) -> None:
    with pytest.raises(InvalidResponseError, match="not a page of requests: ") as caught:
        await page_of(client, mock, payload)
    error = caught.value
    assert (error.method, error.path, error.status) == ("GET", PATH, 200)


@pytest.mark.parametrize(("read", "path"), [(get("job"), f"{PATH}/job"), (page_at(), PATH)], ids=["request", "page"])
async def test_what_is_no_json_names_the_call(
    client: AsyncClient, mock: aioresponses, read: Read[LipsyncRequest], path: str
) -> None:
    mock.get(f"{REQUESTS}/job", body="<html>")
    mock.get(FIRST_PAGE, body="<html>")
    with pytest.raises(InvalidResponseError, match="not JSON") as caught:
        await answer_to(client, read)
    assert (caught.value.method, caught.value.path) == ("GET", path)


@pytest.mark.parametrize(
    ("asked", "must_be", "shown", "reference"),
    [
        (UPPER, None, UPPER.lower(), None),
        (UPPER.lower(), None, UPPER, None),
        ("dub-42", None, UPPER, "dub-42"),
        ("dub-42", None, UPPER, "another"),  # a service may find a reference in ways of its own
        ("dub-42", UPPER.lower(), UPPER, "dub-42"),
        (str(UUID(int=1)), None, UPPER, str(UUID(int=1))),
    ],
)
async def test_a_request_that_may_be_the_one_asked_for_is_taken(
    client: AsyncClient, mock: aioresponses, asked: str, must_be: str | None, shown: str, reference: str | None
) -> None:
    mock.get(f"{REQUESTS}/{asked}", payload=record() | {"id": shown, "reference_id": reference})
    answer = await answer_to(client, get(asked, must_be=must_be))
    assert [id for id, _ in answer.records] == [shown]


@pytest.mark.parametrize(
    ("asked", "must_be"),
    [(str(UUID(int=1)), None), ("dub-42", str(UUID(int=1)))],
    ids=["by its UUID", "by reference"],
)
async def test_another_request_is_no_answer(
    client: AsyncClient, mock: aioresponses, asked: str, must_be: str | None
) -> None:
    mock.get(f"{REQUESTS}/{asked}", payload=record(2))
    with pytest.raises(InvalidResponseError, match=f"another request, {UUID(int=2)}"):
        await answer_to(client, get(asked, must_be=must_be))


async def test_a_request_whose_id_cannot_be_one_is_no_answer(client: AsyncClient, mock: aioresponses) -> None:
    mock.get(f"{REQUESTS}/dub-42", payload=record() | {"id": ".."})
    with pytest.raises(InvalidResponseError, match="whose id cannot be one"):
        await answer_to(client, get("dub-42"))


@pytest.mark.parametrize("status", [401, 403, 404, 405, 410])
@pytest.mark.parametrize("is_page", [False, True])
async def test_a_refusal_that_the_api_did_not_word_says_nothing_of_the_request(
    client: AsyncClient, mock: aioresponses, status: int, is_page: bool
) -> None:
    mock.get(f"{REQUESTS}/job", status=status, body="no such backend")
    mock.get(FIRST_PAGE, status=status, body="no such backend")
    with pytest.raises(InvalidResponseError, match="but not by the API") as caught:
        await answer_to(client, page_at() if is_page else get("job"))
    assert caught.value.status == status


async def test_a_refusal_of_the_apis_stays_what_it_is(client: AsyncClient, mock: aioresponses) -> None:
    mock.get(f"{REQUESTS}/job", status=404, payload={"error": "not found"})
    with pytest.raises(NotFoundError):
        await answer_to(client, get("job"))


@pytest.mark.parametrize("is_page", [False, True])
async def test_a_429_closes_the_lane_and_for_a_page_for_a_second_at_most(
    client: AsyncClient, mock: aioresponses, is_page: bool
) -> None:
    for url in (f"{REQUESTS}/job", FIRST_PAGE):
        mock.get(url, status=429, payload={"error": "slow down"}, headers={"Retry-After": "30"})
    with pytest.raises(RateLimitError):
        await answer_to(client, page_at() if is_page else get("job"))
    assert client._transport.lanes["status"].is_throttled is not is_page


async def test_as_many_reads_as_the_lane_has_slots_may_be_under_way(client: AsyncClient) -> None:
    source = HttpSource(transport=client._transport, path=PATH, model=LipsyncRequest)
    assert source.most_at_once == client._transport.lanes["status"].max_concurrency
