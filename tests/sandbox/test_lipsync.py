import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from chamelaion_async.sandbox import ManualClock, Sandbox

VIDEO = {"type": "video", "url": "https://cdn.example.com/42.mp4"}
AUDIO = {"type": "audio", "url": "https://cdn.example.com/42.wav"}
GENERATE = "v1/lipsync/generate"


async def get(session: aiohttp.ClientSession, id: str) -> tuple[int, Any]:
    async with session.get(f"v1/lipsync/requests/{id}") as response:
        return response.status, await response.json()


async def generate(session: aiohttp.ClientSession, body: dict[str, Any]) -> str:
    async with session.post(GENERATE, json=body) as response:
        accepted = await response.json()
        assert response.status == 200, accepted
        return str(accepted["request_id"])


async def test_a_generation_call_is_answered_with_the_id_of_its_job(
    sandbox: Sandbox, session: aiohttp.ClientSession, lipsync_body: dict[str, Any]
) -> None:
    async with session.post(GENERATE, json=lipsync_body) as response:
        accepted = await response.json()

    assert accepted["status"] == "success"
    assert str(UUID(accepted["request_id"])) == accepted["request_id"]
    assert list(sandbox.jobs) == [accepted["request_id"]]


async def test_a_job_is_queued_then_processing_then_completed(
    session: aiohttp.ClientSession, clock: ManualClock, lipsync_body: dict[str, Any]
) -> None:
    id = await generate(session, {**lipsync_body, "reference_id": "dub-1"})
    queued = {
        "id": id,
        "reference_id": "dub-1",
        "status": "queued",
        "created_at": "2026-04-07T12:00:00Z",
    }
    assert await get(session, id) == (200, queued)
    clock.advance(9.999)
    assert await get(session, id) == (200, queued)

    clock.advance(0.001)
    processing = {**queued, "status": "processing", "started_at": "2026-04-07T12:00:10Z"}
    assert await get(session, id) == (200, processing)
    clock.advance(89.999)
    assert await get(session, id) == (200, processing)

    clock.advance(0.001)
    _, completed = await get(session, id)
    output_url = completed.pop("output_url")
    assert completed == {**processing, "status": "completed", "finished_at": "2026-04-07T12:01:40Z"}
    assert output_url.endswith(f"/output/{id}.mp4")


@pytest.mark.parametrize("url", ["https://cdn.example.com/missing.mp4", "https://cdn.example.com/a/%6dissing/b"])
async def test_a_video_url_that_holds_missing_fails(
    session: aiohttp.ClientSession, clock: ManualClock, url: str
) -> None:
    id = await generate(session, {"inputs": [AUDIO, {"type": "video", "url": url}]})
    clock.advance(100)

    _, failed = await get(session, id)

    assert failed["status"] == "failed"
    assert failed["error_message"] == "video URL is not accessible"
    assert "output_url" not in failed


async def test_missing_in_the_host_of_a_video_url_is_no_failure(
    session: aiohttp.ClientSession, clock: ManualClock
) -> None:
    id = await generate(session, {"inputs": [{**VIDEO, "url": "https://missing.example.com/a.mp4"}, AUDIO]})
    clock.advance(100)

    assert (await get(session, id))[1]["status"] == "completed"


async def test_the_date_of_an_answer_is_the_clock_of_the_sandbox(
    session: aiohttp.ClientSession, clock: ManualClock
) -> None:
    clock.advance(3600)
    async with session.get("health") as response:
        assert response.headers["Date"] == "Tue, 07 Apr 2026 13:00:00 GMT"


async def test_a_fraction_of_a_second_shows_in_timestamps(
    session: aiohttp.ClientSession, clock: ManualClock, lipsync_body: dict[str, Any]
) -> None:
    clock.advance(0.25)
    id = await generate(session, lipsync_body)

    assert (await get(session, id))[1]["created_at"] == "2026-04-07T12:00:00.25Z"


async def test_a_request_is_found_by_its_uuid_in_any_case(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    job = sandbox.add_job()

    assert (await get(session, job.id.upper()))[1]["id"] == job.id


async def test_a_reference_id_finds_its_newest_request(
    sandbox: Sandbox, session: aiohttp.ClientSession, clock: ManualClock
) -> None:
    sandbox.add_job(reference_id="dub")
    clock.advance(1)
    newest = sandbox.add_job(reference_id="dub")
    sandbox.add_job(reference_id="dub", created_at=clock.time() - 60)

    assert (await get(session, "dub"))[1]["id"] == newest.id
    assert (await get(session, "DUB"))[0] == 404


@pytest.mark.parametrize(
    "id", ["nobody", "00000000-0000-4000-8000-000000000000", "%2e%2e", "a%2Fb", "6f82a2d8.mp4", "%ff"]
)
async def test_an_id_that_nobody_has_is_not_found(sandbox: Sandbox, id: str) -> None:
    from yarl import URL

    url = URL(f"{sandbox.base_url}/v1/lipsync/requests/{id}", encoded=True)
    async with (
        aiohttp.ClientSession(headers={"x-api-key": "key"}) as session,
        session.get(url) as response,
    ):
        assert response.status == 404
        assert await response.json() == {"error": "lipsync request not found"}


async def test_an_encoded_slash_belongs_to_the_reference_id(sandbox: Sandbox) -> None:
    from yarl import URL

    job = sandbox.add_job(reference_id="season 1/episode 2")
    url = URL(f"{sandbox.base_url}/v1/lipsync/requests/season%201%2Fepisode%202", encoded=True)
    async with (
        aiohttp.ClientSession(headers={"x-api-key": "key"}) as session,
        session.get(url) as response,
    ):
        assert (await response.json())["id"] == job.id


@pytest.mark.parametrize("name", ["6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8", "dub-episode-42"])
async def test_the_documented_completed_example_always_answers(
    sandbox: Sandbox, session: aiohttp.ClientSession, name: str
) -> None:
    assert await get(session, name) == (
        200,
        {
            "id": "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8",
            "reference_id": "dub-episode-42",
            "status": "completed",
            "created_at": "2026-04-07T10:00:00Z",
            "started_at": "2026-04-07T10:00:05Z",
            "finished_at": "2026-04-07T10:01:30Z",
            "output_url": f"{sandbox.base_url.removesuffix('/api')}/output/6f82a2d8.mp4",
        },
    )


@pytest.mark.parametrize("name", ["A1B2C3D4-E5F6-7890-ABCD-EF1234567890", "dub-episode-43"])
async def test_the_documented_failed_example_always_answers(session: aiohttp.ClientSession, name: str) -> None:
    assert await get(session, name) == (
        200,
        {
            "id": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
            "reference_id": "dub-episode-43",
            "status": "failed",
            "created_at": "2026-04-07T11:00:00Z",
            "started_at": "2026-04-07T11:00:04Z",
            "finished_at": "2026-04-07T11:00:12Z",
            "error_message": "video URL is not accessible",
        },
    )


async def test_a_job_of_ones_own_goes_before_the_example_with_its_reference_id(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    job = sandbox.add_job(reference_id="dub-episode-42")

    assert (await get(session, "dub-episode-42"))[1]["id"] == job.id


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], "invalid request body"),
        ("inputs", "invalid request body"),
        ({}, "invalid request body"),
        ({"inputs": "video"}, "invalid request body"),
        ({"inputs": {}}, "invalid request body"),
        ({"inputs": ["video", "audio"]}, "invalid request body"),
        ({"inputs": [{"url": VIDEO["url"]}, AUDIO]}, "invalid request body"),
        ({"inputs": [{"type": "video"}, AUDIO]}, "invalid request body"),
        ({"inputs": [{"type": "video", "url": 5}, AUDIO]}, "invalid request body"),
        ({"inputs": [{"type": "video", "url": "episode.mp4"}, AUDIO]}, "invalid request body"),
        ({"inputs": [{"type": "video", "url": "ftp://a/b.mp4"}, AUDIO]}, "invalid request body"),
        ({"inputs": [{"type": "video", "url": "http://[broken"}, AUDIO]}, "invalid request body"),
        ({"inputs": [VIDEO, AUDIO], "reference_id": 42}, "invalid request body"),
        ({"inputs": [VIDEO, AUDIO], "disable_active_speaker_detection": "true"}, "invalid request body"),
        ({"inputs": [{**VIDEO, "type": "text"}, AUDIO]}, 'input type must be "video" or "audio"'),
        ({"inputs": []}, "expected exactly one video input"),
        ({"inputs": [AUDIO]}, "expected exactly one video input"),
        ({"inputs": [VIDEO, VIDEO, AUDIO]}, "expected exactly one video input"),
        ({"inputs": [VIDEO]}, "expected exactly one audio input"),
        ({"inputs": [VIDEO, AUDIO, AUDIO]}, "expected exactly one audio input"),
    ],
)
async def test_a_body_that_lacks_something_is_refused_in_the_documented_words(
    sandbox: Sandbox, session: aiohttp.ClientSession, body: object, text: str
) -> None:
    async with session.post(GENERATE, json=body) as response:
        assert (response.status, await response.json()) == (400, {"error": text})
    assert not sandbox.jobs


@pytest.mark.parametrize("data", [b"", b"{", b'{"inputs": \xff}', b"[" * 100_000])
async def test_a_body_that_is_no_json_is_refused(session: aiohttp.ClientSession, data: bytes) -> None:
    async with session.post(GENERATE, data=data, headers={"Content-Type": "application/json"}) as response:
        assert (response.status, await response.json()) == (400, {"error": "invalid request body"})


async def test_json_under_another_content_type_is_refused(
    session: aiohttp.ClientSession, lipsync_body: dict[str, Any]
) -> None:
    async with session.post(
        GENERATE, data=json.dumps(lipsync_body), headers={"Content-Type": "text/plain"}
    ) as response:
        assert response.status == 400
        assert await response.json() == {"error": "content-type must be application/json"}


async def test_a_charset_and_unknown_fields_do_no_harm(
    session: aiohttp.ClientSession, lipsync_body: dict[str, Any]
) -> None:
    async with session.post(
        GENERATE,
        data=json.dumps({**lipsync_body, "mood": "calm", "disable_active_speaker_detection": True}),
        headers={"Content-Type": "application/json; charset=utf-8"},
    ) as response:
        assert response.status == 200


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on(
    session: aiohttp.ClientSession, lipsync_body: dict[str, Any]
) -> None:
    async with session.post(GENERATE, json=lipsync_body, expect100=True) as response:
        assert response.status == 200


async def test_the_quota_is_used_up_after_as_many_jobs_as_it_holds(serve: Any, lipsync_body: dict[str, Any]) -> None:
    sandbox, session = await serve(token_limit=1)
    sandbox.add_job()
    await generate(session, lipsync_body)

    async with session.post(GENERATE, json=lipsync_body) as response:
        assert (response.status, await response.json()) == (412, {"error": "token limit reached"})
    assert len(sandbox.jobs) == 2


async def test_a_body_beyond_all_measure_is_refused(session: aiohttp.ClientSession) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield bytes(1024 * 1024)

    headers = {"Content-Type": "application/json"}
    async with session.post(GENERATE, data=chunks(), headers=headers) as response:
        assert (response.status, await response.json()) == (400, {"error": "invalid request body"})


async def test_a_body_that_cannot_be_unpacked_is_refused(session: aiohttp.ClientSession) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with session.post(GENERATE, data=b"not gzip", headers=headers) as response:
        assert (response.status, await response.json()) == (400, {"error": "invalid request body"})


async def test_a_client_that_leaves_in_the_middle_of_its_body_starts_nothing(
    sandbox: Sandbox, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    port = int(sandbox.base_url.rsplit(":", 1)[1].removesuffix("/api"))
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/lipsync/generate HTTP/1.1\r\nHost: x\r\nx-api-key: k\r\n")
    writer.write(b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    await until(lambda: sandbox.received)

    writer.close()
    await until(lambda: not sandbox._pipeline.tasks)

    assert not sandbox.jobs
    assert sandbox.received[0].status is None
    assert not caplog.records
