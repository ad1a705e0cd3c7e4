import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chamelaion_async.sandbox import Fault, Job, ManualClock, Sandbox

Serve = Callable[..., Awaitable[tuple[Sandbox, aiohttp.ClientSession]]]
DATA = bytes(range(100))


@pytest.fixture(params=["bytes", "file"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> bytes | Path:
    if request.param == "bytes":
        return DATA
    path = tmp_path / "output.mp4"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def job(sandbox: Sandbox, output: bytes | Path) -> Job:
    return sandbox.add_job(reference_id="dub", job_seconds=0, output=output)


async def fetch(
    session: aiohttp.ClientSession, job: Job, method: str = "GET", **headers: str
) -> tuple[int, bytes, Any]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with session.request(method, f"/output/{job.id}.mp4", headers=sent) as response:
        return response.status, await response.read(), response.headers


async def test_the_whole_output_needs_no_key(sandbox: Sandbox, job: Job) -> None:
    url = f"{sandbox.base_url.removesuffix('/api')}/output/{job.id}.mp4"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert await response.read() == DATA
        assert response.headers["Content-Length"] == "100"
        assert response.headers["Content-Type"] == "video/mp4"
        assert response.headers["Accept-Ranges"] == "bytes"
        assert response.headers["ETag"] == f'"{job.id}-1-100"'
        assert response.headers["Last-Modified"] == "Tue, 07 Apr 2026 12:00:00 GMT"


async def test_head_tells_the_same_without_the_body(session: aiohttp.ClientSession, job: Job) -> None:
    _, _, of_get = await fetch(session, job)

    status, body, of_head = await fetch(session, job, "HEAD", Range="bytes=0-1")

    assert (status, body) == (200, b"")
    assert dict(of_head) == dict(of_get)


async def test_nothing_follows_the_headers_of_a_head(sandbox: Sandbox, job: Job) -> None:
    port = int(sandbox.base_url.rsplit(":", 1)[1].removesuffix("/api"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"HEAD /output/{job.id}.mp4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())

    assert (await reader.read()).endswith(b"\r\n\r\n")
    writer.close()


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-9", 0, 9),
        ("bytes=90-", 90, 99),
        ("bytes=90-1000", 90, 99),
        ("bytes=99-99", 99, 99),
        ("bytes=-1", 99, 99),
        ("bytes=-1000", 0, 99),
    ],
)
async def test_a_range_is_answered_with_just_that(
    session: aiohttp.ClientSession, job: Job, asked: str, first: int, last: int
) -> None:
    status, body, headers = await fetch(session, job, Range=asked)

    assert (status, body) == (206, DATA[first : last + 1])
    assert headers["Content-Range"] == f"bytes {first}-{last}/100"
    assert headers["ETag"] == f'"{job.id}-1-100"'


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=1000-2000", "bytes=-0"])
async def test_a_range_beyond_the_end_cannot_be_had(session: aiohttp.ClientSession, job: Job, asked: str) -> None:
    status, _, headers = await fetch(session, job, Range=asked)

    assert (status, headers["Content-Range"]) == (416, "bytes */100")


@pytest.mark.parametrize("asked", ["bytes=-", "bytes=5-2", "bytes=a-b", "lines=0-1", "bytes=0-1,5-6", "bytes=0"])
async def test_a_range_that_is_none_is_ignored(session: aiohttp.ClientSession, job: Job, asked: str) -> None:
    status, body, _ = await fetch(session, job, Range=asked)

    assert (status, body) == (200, DATA)


@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
async def test_if_range_continues_what_has_not_changed(
    session: aiohttp.ClientSession, job: Job, validator: str
) -> None:
    _, _, headers = await fetch(session, job)

    status, body, _ = await fetch(session, job, Range="bytes=50-", If_Range=headers[validator])

    assert (status, body) == (206, DATA[50:])


@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
async def test_if_range_starts_over_once_the_output_has_changed(
    sandbox: Sandbox, session: aiohttp.ClientSession, clock: ManualClock, job: Job, validator: str
) -> None:
    _, _, headers = await fetch(session, job)
    clock.advance(1)
    sandbox.change_output("dub", b"something new")

    status, body, _ = await fetch(session, job, Range="bytes=5-", If_Range=headers[validator])

    assert (status, body) == (200, b"something new")


async def test_a_changed_output_may_keep_its_content(
    sandbox: Sandbox, session: aiohttp.ClientSession, job: Job
) -> None:
    _, _, before = await fetch(session, job)
    sandbox.change_output(job.id)

    _, body, after = await fetch(session, job)

    assert body == DATA
    assert before["ETag"] != after["ETag"]


async def test_an_expired_url_is_forbidden(sandbox: Sandbox, session: aiohttp.ClientSession, job: Job) -> None:
    sandbox.expire_output("dub")

    status, _, _ = await fetch(session, job)

    assert status == 403


async def test_there_is_no_output_before_the_job_has_completed(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    job = sandbox.add_job()
    failed = sandbox.add_job(job_seconds=0, fails=True)

    assert (await fetch(session, job))[0] == 404
    assert (await fetch(session, failed))[0] == 404
    sandbox.finish(job.id)
    assert (await fetch(session, job))[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "nobody.mp4",
        "a1b2c3d4.mp4",
        "6f82a2d8",
        "9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55",
        "9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55/video.mp4",
        "9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55/fr/video.mp4",
        "9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55/de/video.avi",
        "nobody/de/video.mp4",
    ],
)
async def test_an_output_that_nobody_made_is_not_found(session: aiohttp.ClientSession, path: str) -> None:
    async with session.get(f"/output/{path}") as response:
        assert (response.status, await response.json()) == (404, {"error": "not found"})


async def test_an_output_can_be_cut_short_and_continued(
    sandbox: Sandbox, session: aiohttp.ClientSession, job: Job
) -> None:
    sandbox.inject(Fault.truncate(40), route="GET /output/{name:path}", times=1)
    async with session.get(f"/output/{job.id}.mp4") as response:
        etag = response.headers["ETag"]
        begun = await response.content.readexactly(40)
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.content.read()

    _, rest, _ = await fetch(session, job, Range=f"bytes={len(begun)}-", If_Range=etag)

    assert begun + rest == DATA


async def test_a_translation_has_a_video_audio_and_subtitles_that_say_so(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    job = sandbox.add_job(family="video_translate", job_seconds=0, target_languages=["zh/Hant"])
    async with session.get(f"v1/video-translate/requests/{job.id}") as response:
        artifacts = (await response.json())["outputs"]["zh/Hant"]
    found = {}
    for name, url in artifacts.items():
        async with session.get(url) as response:
            found[name] = (response.content_type, await response.read())

    assert found["video"][0] == "video/mp4"
    assert b"SANDBOX - nothing was translated" in found["video"][1]
    assert found["audio"][0] == "audio/wav"
    assert found["audio"][1].startswith(b"RIFF")
    assert found["srt"] == (
        "application/x-subrip",
        b"1\n00:00:00,000 --> 00:00:02,000\nSANDBOX - nothing was translated (zh/Hant)\n",
    )


async def test_a_clip_stands_in_for_an_upload_that_a_stop_has_removed(
    sandbox: Sandbox, session: aiohttp.ClientSession, clock: ManualClock
) -> None:
    form = aiohttp.FormData()
    form.add_field("video", b"the video", filename="a.mp4")
    form.add_field("audio", b"the audio", filename="a.wav")
    async with session.post("v1/lipsync/generate-with-media", data=form) as response:
        id = (await response.json())["request_id"]
    clock.advance(100)
    await sandbox.stop()
    await sandbox.start()

    _, body, _ = await fetch(session, sandbox.jobs[id])

    assert b"SANDBOX - nothing was lip-synced" in body


async def test_a_file_that_shrinks_while_it_is_sent_is_not_passed_off_as_whole(
    sandbox: Sandbox, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    path = tmp_path / "output.mp4"
    path.write_bytes(DATA)
    job = sandbox.add_job(job_seconds=0, output=path)
    sandbox.inject(Fault.drip(0.02, step=50))

    async with session.get(f"/output/{job.id}.mp4") as response:
        assert await response.content.readexactly(50) == DATA[:50]
        path.write_bytes(DATA[:50])
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.content.read()
