"""A look that gets no answer, who asked for it, and whom it concerns."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from aioresponses import aioresponses

from chamelaion_async import APITimeoutError, AsyncClient, LipsyncRequest, PollPolicy, WaitTimeoutError
from chamelaion_async.polling.entry import Entry
from chamelaion_async.polling.places import ListView
from chamelaion_async.polling.reading import Reading
from chamelaion_async.polling.state import Sighting
from chamelaion_async.polling.wait import wait_until_finished

REQUESTS = "https://api.example.com/api/v1/lipsync/requests"
JOB = str(UUID(int=1))


@pytest.mark.virtual_time
async def test_a_look_without_an_answer_says_for_how_long_there_was_none() -> None:
    asked = []

    async def read(id: str, /, *, timeout: float, fresh: bool) -> Sighting[LipsyncRequest]:
        asked.append(id)
        await asyncio.sleep(1000)
        raise AssertionError("nobody waits so long")

    with pytest.raises(WaitTimeoutError) as caught:
        await wait_until_finished(
            read, "dub-42", timeout=5.0, policy=PollPolicy(), sleep=asyncio.sleep, random=lambda: 0.5
        )
    error = caught.value.last_error
    assert isinstance(error, APITimeoutError)
    assert str(error) == "the look at dub-42 had no answer within the 5 s that were left"
    assert (error.sent, error.method, error.path, set(asked)) == ("maybe", "GET", "dub-42", {"dub-42"})


@pytest.mark.virtual_time
async def test_a_look_of_a_batch_without_an_answer_says_so_too(serve: Any) -> None:
    service = serve(latency=1000.0)
    (id,) = service.add()
    outcomes = await service.follow([id], timeout=5.0)
    verdict = outcomes[id].error
    assert isinstance(verdict, WaitTimeoutError)
    error = verdict.last_error
    assert isinstance(error, APITimeoutError)
    assert str(error) == f"the look at {id} had no answer within the time that was left"
    assert (error.sent, error.method, error.path) == ("maybe", "GET", id)


async def test_a_wait_that_ran_out_names_the_id_as_it_was_given(client: AsyncClient, mock: aioresponses) -> None:
    record = {"id": JOB, "status": "processing", "created_at": "2026-04-07T10:00:00Z", "reference_id": "dub-42"}
    mock.get(f"{REQUESTS}/dub-42", payload=record)
    with pytest.raises(WaitTimeoutError, match=r"^request dub-42 is still processing after ") as caught:
        await client.lipsync.requests.wait_until_finished("dub-42", timeout=0)
    assert (caught.value.id, caught.value.last) == (
        "dub-42",
        LipsyncRequest(
            id=JOB, status="processing", created_at=datetime(2026, 4, 7, 10, tzinfo=UTC), reference_id="dub-42"
        ),
    )


def test_a_read_of_one_request_is_only_for_that() -> None:
    mine: Entry[LipsyncRequest] = Entry("mine")
    other: Entry[LipsyncRequest] = Entry("other")
    reading = Reading(timeout=1.0, entries=[mine])
    assert (reading.is_only_for(mine), reading.is_only_for(other)) == (True, False)


def test_a_page_is_never_for_one_only() -> None:
    mine: Entry[LipsyncRequest] = Entry("mine")
    assert not Reading(timeout=1.0, entries=[mine], view=ListView({})).is_only_for(mine)
