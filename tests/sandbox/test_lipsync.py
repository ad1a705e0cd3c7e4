from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from yarl import URL

from chamelaion_async.sandbox import ManualClock, Sandbox

from .calling import AUDIO, INVALID_BODY, LIPSYNC, VIDEO, Caller, Serve, Until, port_of

GENERATE = "v1/lipsync/generate"
JSON = {"Content-Type": "application/json"}


async def get(call: Caller, id: str) -> Any:
    reply = await call(f"v1/lipsync/requests/{id}")
    assert reply.status == 200
    return reply.json


async def test_a_generation_call_is_answered_with_the_id_of_its_job(sandbox: Sandbox, call: Caller) -> None:
    id = await call.id_of(GENERATE, json=LIPSYNC)

    assert str(UUID(id)) == id
    assert list(sandbox.jobs) == [id]


async def test_a_job_is_queued_then_processing_then_completed(call: Caller, clock: ManualClock) -> None:
    id = await call.id_of(GENERATE, json={**LIPSYNC, "reference_id": "dub-1"})
    queued = {"id": id, "reference_id": "dub-1", "status": "queued", "created_at": "2026-04-07T12:00:00Z"}
    assert await get(call, id) == queued
    clock.advance(9.999)
    assert await get(call, id) == queued

    clock.advance(0.001)
    processing = {**queued, "status": "processing", "started_at": "2026-04-07T12:00:10Z"}
    assert await get(call, id) == processing
    clock.advance(89.999)
    assert await get(call, id) == processing

    clock.advance(0.001)
    completed = await get(call, id)
    assert completed.pop("output_url").endswith(f"/output/{id}.mp4")
    assert completed == {**processing, "status": "completed", "finished_at": "2026-04-07T12:01:40Z"}


@pytest.mark.parametrize(
    ("url", "status", "error"),
    [
        ("https://cdn.example.com/missing.mp4", "failed", "video URL is not accessible"),
        ("https://cdn.example.com/a/%6dissing/b", "failed", "video URL is not accessible"),
        ("https://missing.example.com/a.mp4", "completed", None),
    ],
)
async def test_a_job_fails_if_the_path_of_its_video_holds_missing(
    call: Caller, clock: ManualClock, url: str, status: str, error: str | None
) -> None:
    id = await call.id_of(GENERATE, json={"inputs": [AUDIO, {"type": "video", "url": url}]})
    clock.advance(100)

    ended = await get(call, id)

    assert (ended["status"], ended.get("error_message")) == (status, error)
    assert ("output_url" in ended) == (status == "completed")


async def test_the_date_of_an_answer_is_the_time_of_the_sandbox(call: Caller, clock: ManualClock) -> None:
    clock.advance(3600)
    assert (await call("health")).headers["Date"] == "Tue, 07 Apr 2026 13:00:00 GMT"


async def test_a_fraction_of_a_second_shows_in_timestamps(call: Caller, clock: ManualClock) -> None:
    clock.advance(0.25)
    id = await call.id_of(GENERATE, json=LIPSYNC)

    assert (await get(call, id))["created_at"] == "2026-04-07T12:00:00.25Z"


async def test_a_request_is_found_by_its_uuid_in_any_case(sandbox: Sandbox, call: Caller) -> None:
    job = sandbox.add_job()

    assert (await get(call, job.id.upper()))["id"] == job.id


async def test_a_reference_id_finds_its_newest_request(sandbox: Sandbox, call: Caller, clock: ManualClock) -> None:
    sandbox.add_job(reference_id="dub")
    clock.advance(1)
    newest = sandbox.add_job(reference_id="dub")
    sandbox.add_job(reference_id="dub", created_at=clock.time() - 60)

    assert (await get(call, "dub"))["id"] == newest.id
    assert (await call("v1/lipsync/requests/DUB")).status == 404


@pytest.mark.parametrize(
    "id", ["nobody", "00000000-0000-4000-8000-000000000000", "%2e%2e", "a%2Fb", "6f82a2d8.mp4", "%ff"]
)
async def test_an_unknown_id_is_not_found(sandbox: Sandbox, call: Caller, id: str) -> None:
    url = URL(f"{sandbox.base_url}/v1/lipsync/requests/{id}", encoded=True)

    assert (await call(url)).answer == (404, {"error": "lipsync request not found"})


async def test_an_encoded_slash_belongs_to_the_reference_id(sandbox: Sandbox, call: Caller) -> None:
    job = sandbox.add_job(reference_id="season 1/episode 2")
    url = URL(f"{sandbox.base_url}/v1/lipsync/requests/season%201%2Fepisode%202", encoded=True)

    assert (await call(url)).json["id"] == job.id


async def test_an_example_has_ended_on_a_clock_that_starts_before_it(serve: Serve) -> None:
    _, call = await serve(clock=ManualClock(0))

    assert (await get(call, "dub-episode-42"))["status"] == "completed"


async def test_an_own_job_goes_before_the_example_with_its_reference_id(sandbox: Sandbox, call: Caller) -> None:
    job = sandbox.add_job(reference_id="dub-episode-42")

    assert (await get(call, "dub-episode-42"))["id"] == job.id


@pytest.mark.parametrize(
    "body",
    [
        [],
        "inputs",
        {},
        {"inputs": "video"},
        {"inputs": {}},
        {"inputs": ["video", "audio"]},
        {"inputs": [{"url": VIDEO["url"]}, AUDIO]},
        {"inputs": [{"type": "video"}, AUDIO]},
        {"inputs": [{"type": "video", "url": 5}, AUDIO]},
        {"inputs": [{"type": "video", "url": "episode.mp4"}, AUDIO]},
        {"inputs": [{"type": "video", "url": "ftp://a/b.mp4"}, AUDIO]},
        {"inputs": [{"type": "video", "url": "http://[broken"}, AUDIO]},
        {**LIPSYNC, "reference_id": 42},
        {**LIPSYNC, "reference_id": None},
        {**LIPSYNC, "disable_active_speaker_detection": None},
        {**LIPSYNC, "disable_active_speaker_detection": "true"},
    ],
)
async def test_a_body_of_another_shape_is_refused(sandbox: Sandbox, call: Caller, body: object) -> None:
    assert (await call(f"POST {GENERATE}", json=body)).answer == INVALID_BODY
    assert not sandbox.jobs


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ([{**VIDEO, "type": "text"}, AUDIO], 'input type must be "video" or "audio"'),
        ([], "expected exactly one video input"),
        ([AUDIO], "expected exactly one video input"),
        ([VIDEO, VIDEO, AUDIO], "expected exactly one video input"),
        ([VIDEO], "expected exactly one audio input"),
        ([VIDEO, AUDIO, AUDIO], "expected exactly one audio input"),
    ],
)
async def test_a_wrong_choice_of_inputs_is_refused_with_its_documented_text(
    call: Caller, inputs: list[object], text: str
) -> None:
    assert (await call(f"POST {GENERATE}", json={"inputs": inputs})).answer == (400, {"error": text})


async def too_large() -> AsyncIterator[bytes]:
    for _ in range(17):
        yield b" " * 1024 * 1024
    yield json.dumps(LIPSYNC).encode()


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (b"", {}),
        (b"{", {}),
        (b'{"inputs": \xff}', {}),
        (b"[" * 100_000, {}),
        (b"not gzip", {"Content-Encoding": "gzip"}),
        (too_large, {}),
    ],
)
async def test_a_body_that_is_no_json_or_too_large_is_refused(call: Caller, data: Any, headers: Any) -> None:
    sent = data() if data is too_large else data

    assert (await call(f"POST {GENERATE}", data=sent, headers={**JSON, **headers})).answer == INVALID_BODY


@pytest.mark.parametrize("path", [GENERATE, "v1/video-translate/generate"])
async def test_json_under_another_content_type_is_refused(call: Caller, path: str) -> None:
    reply = await call(f"POST {path}", data=json.dumps(LIPSYNC), headers={"Content-Type": "text/plain"})

    assert reply.answer == (400, {"error": "content-type must be application/json"})


async def test_a_charset_and_unknown_fields_are_accepted(call: Caller) -> None:
    body = {**LIPSYNC, "mood": "calm", "webhook_url": 5, "disable_active_speaker_detection": True}

    await call.id_of(GENERATE, data=json.dumps(body), headers={"Content-Type": "application/json; charset=utf-8"})


async def test_a_client_that_waits_for_100_continue_is_served(call: Caller) -> None:
    await call.id_of(GENERATE, json=LIPSYNC, expect100=True)


async def test_the_quota_counts_generation_calls(serve: Serve) -> None:
    sandbox, call = await serve(token_limit=1)
    sandbox.add_job()
    await call.id_of(GENERATE, json=LIPSYNC)

    assert (await call(f"POST {GENERATE}", json=LIPSYNC)).answer == (412, {"error": "token limit reached"})
    assert len(sandbox.jobs) == 2


async def test_a_client_that_leaves_in_the_middle_of_its_body_starts_nothing(
    sandbox: Sandbox, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port_of(sandbox))
    writer.write(b"POST /v1/lipsync/generate HTTP/1.1\r\nHost: x\r\nx-api-key: k\r\n")
    writer.write(b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    await until(lambda: sandbox.received)

    writer.close()
    await until(lambda: not sandbox._pipeline.tasks)

    assert not sandbox.jobs
    assert sandbox.received[0].status is None
    assert not caplog.records
