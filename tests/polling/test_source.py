"""What the loader's readings become on the wire, and what their answers become here."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from aioresponses import aioresponses

from chamelaion_async import AsyncClient, InvalidResponseError, LipsyncRequest
from chamelaion_async.models import Pagination
from chamelaion_async.polling.entry import Entry
from chamelaion_async.polling.places import ListView
from chamelaion_async.polling.reading import Answer, Reading
from chamelaion_async.polling.source import HttpSource

PATH = "/v1/lipsync/requests"
REQUESTS = f"https://api.example.com/api{PATH}"
DATE = {"Date": "Tue, 07 Apr 2026 12:00:00 GMT"}
NOON = datetime(2026, 4, 7, 12, tzinfo=UTC)


def record(number: int = 1, *, hour: int = 10) -> dict[str, Any]:
    return {"id": str(UUID(int=number)), "status": "processing", "created_at": f"2026-04-07T{hour}:00:00Z"}


def page(*records: Any) -> dict[str, Any]:
    return {"data": list(records), "pagination": {"limit": 100, "offset": 0, "total": 7}}


async def answer_to(client: AsyncClient, reading: Reading[LipsyncRequest] | None) -> Answer[LipsyncRequest] | None:
    async def choose() -> Reading[LipsyncRequest] | None:
        return reading

    source = HttpSource(transport=client._transport, path=PATH, model=LipsyncRequest)
    return await source.read(choose)


async def page_of(client: AsyncClient, mock: aioresponses, payload: Any) -> Answer[LipsyncRequest]:
    """Read the first page of the list, which shows this."""
    mock.get(f"{REQUESTS}?limit=100&offset=0", payload=payload, headers=DATE)
    answer = await answer_to(client, Reading(timeout=5.0, entries=[], view=ListView({})))
    assert answer is not None
    return answer


async def test_where_nothing_is_to_be_read_nothing_is_sent(client: AsyncClient, mock: aioresponses) -> None:
    assert await answer_to(client, None) is None
    assert not mock.requests


async def test_a_request_is_read_under_its_id_quoted(client: AsyncClient, mock: aioresponses) -> None:
    mock.get(f"{REQUESTS}/dub%2042", payload=record(), headers=DATE)
    answer = await answer_to(client, Reading(timeout=5.0, entries=[Entry("dub 42")]))
    assert answer is not None
    ((id, made),) = answer.records
    assert (id, answer.make(made).status) == (str(UUID(int=1)), "processing")
    assert (answer.pagination, answer.is_newest_first, answer.server_time) == (None, None, NOON)


async def test_a_page_is_read_where_it_lies_with_the_filters_of_its_list(
    client: AsyncClient, mock: aioresponses
) -> None:
    mock.get(f"{REQUESTS}?limit=100&offset=300&reference_id=dub-42", payload=page())
    view: ListView[LipsyncRequest] = ListView({"reference_id": "dub-42"})
    answer = await answer_to(client, Reading(timeout=5.0, entries=[], view=view, offset=300))
    assert answer is not None
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
    mock.get(f"{REQUESTS}?limit=100&offset=0", payload=page(record()), repeat=True)
    source = HttpSource(transport=client._transport, path=PATH, model=LipsyncRequest)
    turn = 0
    read_in: list[int] = []

    async def choose() -> Reading[LipsyncRequest]:
        return Reading(timeout=5.0, entries=[], view=ListView({}))

    async def count() -> None:
        nonlocal turn
        while len(read_in) < 3:
            turn += 1
            await asyncio.sleep(0)

    async def read() -> None:
        assert await source.read(choose) is not None
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


@pytest.mark.parametrize("view", [None, ListView[LipsyncRequest]({})], ids=["request", "page"])
async def test_what_is_no_json_names_the_call(client: AsyncClient, mock: aioresponses, view: Any) -> None:
    path = f"{PATH}/job" if view is None else PATH
    mock.get(f"{REQUESTS}/job", body="<html>")
    mock.get(f"{REQUESTS}?limit=100&offset=0", body="<html>")
    with pytest.raises(InvalidResponseError, match="not JSON") as caught:
        await answer_to(client, Reading(timeout=5.0, entries=[Entry("job")], view=view))
    assert (caught.value.method, caught.value.path) == ("GET", path)
