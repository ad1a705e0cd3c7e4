"""What type checkers see of the package, as ``assert_type`` says. Checkers read this file; nothing runs it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path
from typing import Any, assert_type

from aiohttp.web import FileField

from chamelaion_async import (
    AsyncClient,
    ChamelaionError,
    Durations,
    Forecast,
    GenerateAccepted,
    Job,
    LipsyncRequest,
    MediaSource,
    OnUpdate,
    Outcome,
    Page,
    RequestFailedError,
    RequestsResource,
    VideoTranslateRequest,
    Voice,
    WaitError,
    WaitTimeoutError,
)


async def uploads(client: AsyncClient, form_file: FileField) -> None:
    await client.lipsync.generate_with_media(video=form_file, audio=b"RIFF")


async def calls(client: AsyncClient, media: MediaSource) -> None:
    requests = client.lipsync.requests
    job = await client.lipsync.generate_with_media(video=media, audio=b"RIFF")
    assert_type(job, GenerateAccepted)
    assert_type(await requests.get("a"), LipsyncRequest)
    assert_type(await requests.list(), Page[LipsyncRequest])
    assert_type(await client.wait_until_finished("a"), LipsyncRequest)
    assert_type(await client.video_translate.requests.wait_until_finished("a"), VideoTranslateRequest)
    assert_type(await requests.wait_all(["a"]), dict[str, Outcome[LipsyncRequest]])
    assert_type(await requests.get_many(["a"]), dict[str, Outcome[LipsyncRequest]])
    assert_type(requests.forecast(await requests.get("a")), Forecast)
    assert_type(requests.nudge("a"), None)
    assert_type(client.drain(), None)
    assert_type(client.is_draining, bool)
    assert_type(client.durations, Durations)
    assert_type(await client.download("https://cdn.example.com/a.mp4", "a.mp4"), Path)
    assert_type((await client.video_translate.voices.list()).data, list[Voice])


async def iterators(client: AsyncClient) -> None:
    requests = client.lipsync.requests
    assert_type(requests.watch("a", every=15), AsyncGenerator[LipsyncRequest, None])
    assert_type(requests.watch_many(["a"], every=15.0), AsyncGenerator[Outcome[LipsyncRequest], None])
    assert_type(requests.as_finished(["a"]), AsyncGenerator[Outcome[LipsyncRequest], None])
    async for request in requests.watch("a"):
        assert_type(request, LipsyncRequest)
        assert_type(request.output_url, str | None)
        assert_type(request.created_at, datetime)
        assert_type(request.to_dict(), dict[str, Any])
        assert_type(request.to_json(), str)


def an_error_that_is_none_tells_of_the_request(outcome: Outcome[LipsyncRequest]) -> str:
    assert_type(outcome.id, str)
    assert_type(outcome.unwrap(), LipsyncRequest)
    if outcome.error is None:
        assert_type(outcome.request, LipsyncRequest)
        return outcome.request.status
    assert_type(outcome.request, None)
    assert_type(outcome.error, ChamelaionError)
    return str(outcome.error)


def a_request_that_is_there_tells_of_the_error(outcome: Outcome[VideoTranslateRequest]) -> str:
    if outcome.request is not None:
        assert_type(outcome.error, None)
        return outcome.request.model
    return str(outcome.error)


async def outcomes_of_an_iterator_narrow(client: AsyncClient) -> None:
    async for outcome in client.video_translate.requests.watch_many(["a"]):
        if outcome.error is None:
            assert_type(outcome.request, VideoTranslateRequest)


def errors_know_their_job(error: WaitError, late: WaitTimeoutError, failed: RequestFailedError) -> None:
    assert_type(error.last, Job | None)
    assert_type(late.last, Job | None)
    assert_type(late.last_error, ChamelaionError | None)
    assert_type(failed.request, Job)
    if isinstance(failed.request, LipsyncRequest):
        assert_type(failed.request.output_url, str | None)


async def any_family(requests: RequestsResource[LipsyncRequest], on_update: OnUpdate[LipsyncRequest]) -> Job:
    return await requests.wait_until_finished("a", on_update=on_update)


async def on_update_may_be_of_either_kind(client: AsyncClient) -> None:
    async def store(request: LipsyncRequest) -> None: ...

    await any_family(client.lipsync.requests, store)
    await any_family(client.lipsync.requests, lambda request: None)
