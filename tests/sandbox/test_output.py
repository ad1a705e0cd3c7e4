from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from chamelaion_async.sandbox import Fault, Job, ManualClock, Sandbox, clips

from .calling import Caller, Reply, form, port_of

DATA = bytes(range(100))
TRANSLATION = "9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55"


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


async def fetch(call: Caller, job: Job, method: str = "GET", **headers: str) -> Reply:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await call(f"{method} /output/{job.id}.mp4", headers=sent)


async def test_the_whole_output_needs_no_key(sandbox: Sandbox, job: Job) -> None:
    async with aiohttp.ClientSession(sandbox.base_url.removesuffix("/api")) as session:
        reply = await fetch(Caller(session), job)

    assert reply.body == DATA
    names = ("Content-Length", "Content-Type", "Accept-Ranges", "ETag", "Last-Modified")
    expected = ["100", "video/mp4", "bytes", f'"{job.id}-1-100"', "Tue, 07 Apr 2026 12:00:00 GMT"]
    assert [reply.headers[name] for name in names] == expected


async def test_head_has_the_headers_of_get_and_no_body(call: Caller, job: Job) -> None:
    of_get, of_head = await fetch(call, job), await fetch(call, job, "HEAD", Range="bytes=0-1")

    assert (of_head.status, of_head.body) == (200, b"")
    assert dict(of_head.headers) == dict(of_get.headers)


async def test_nothing_follows_the_headers_of_a_head(sandbox: Sandbox, job: Job) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(sandbox))
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
async def test_a_range_is_answered_with_that_part(call: Caller, job: Job, asked: str, first: int, last: int) -> None:
    reply = await fetch(call, job, Range=asked)

    assert (reply.status, reply.body) == (206, DATA[first : last + 1])
    assert reply.headers["Content-Range"] == f"bytes {first}-{last}/100"
    assert reply.headers["ETag"] == f'"{job.id}-1-100"'


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=1000-2000", "bytes=-0"])
async def test_a_range_beyond_the_end_is_416(call: Caller, job: Job, asked: str) -> None:
    reply = await fetch(call, job, Range=asked)

    assert (reply.status, reply.headers["Content-Range"]) == (416, "bytes */100")


@pytest.mark.parametrize("asked", ["bytes=-", "bytes=5-2", "bytes=a-b", "lines=0-1", "bytes=0-1,5-6", "bytes=0"])
async def test_a_range_that_is_not_valid_is_ignored(call: Caller, job: Job, asked: str) -> None:
    reply = await fetch(call, job, Range=asked)

    assert (reply.status, reply.body) == (200, DATA)


@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
async def test_if_range_starts_over_once_the_output_has_changed(
    sandbox: Sandbox, call: Caller, clock: ManualClock, job: Job, validator: str
) -> None:
    known = (await fetch(call, job)).headers[validator]
    same = await fetch(call, job, Range="bytes=50-", If_Range=known)
    clock.advance(1)
    sandbox.change_output("dub", b"something new")
    changed = await fetch(call, job, Range="bytes=5-", If_Range=known)

    assert (same.status, same.body) == (206, DATA[50:])
    assert (changed.status, changed.body) == (200, b"something new")


async def test_a_changed_output_may_keep_its_content(sandbox: Sandbox, call: Caller, job: Job) -> None:
    before = await fetch(call, job)
    sandbox.change_output(job.id)
    after = await fetch(call, job)

    assert after.body == DATA
    assert before.headers["ETag"] != after.headers["ETag"]


async def test_an_expired_url_is_forbidden(sandbox: Sandbox, call: Caller, job: Job) -> None:
    sandbox.expire_output("dub")

    assert (await fetch(call, job)).answer == (403, {"error": "url expired"})


async def test_there_is_no_output_before_the_job_has_completed(sandbox: Sandbox, call: Caller) -> None:
    job, failed = sandbox.add_job(), sandbox.add_job(job_seconds=0, fails=True)

    assert [(await fetch(call, each)).status for each in (job, failed)] == [404, 404]
    sandbox.finish(job.id)
    assert (await fetch(call, job)).body == clips.lipsync_video()


@pytest.mark.parametrize(
    "path",
    [
        "nobody.mp4",
        "a1b2c3d4.mp4",
        "6f82a2d8",
        TRANSLATION,
        f"{TRANSLATION}/video.mp4",
        f"{TRANSLATION}/fr/video.mp4",
        f"{TRANSLATION}/de/video.avi",
        "nobody/de/video.mp4",
    ],
)
async def test_an_unknown_output_is_not_found(call: Caller, path: str) -> None:
    assert (await call(f"/output/{path}")).answer == (404, {"error": "not found"})


async def test_an_output_that_was_cut_short_can_be_resumed(sandbox: Sandbox, call: Caller, job: Job) -> None:
    sandbox.inject(Fault.truncate(40), route="GET /output/{name:path}", times=1)
    async with call.session.get(f"/output/{job.id}.mp4") as response:
        etag = response.headers["ETag"]
        begun = await response.content.readexactly(40)
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.content.read()

    rest = await fetch(call, job, Range=f"bytes={len(begun)}-", If_Range=etag)

    assert begun + rest.body == DATA


async def test_a_translation_has_a_video_audio_and_subtitles(sandbox: Sandbox, call: Caller) -> None:
    job = sandbox.add_job(family="video_translate", job_seconds=0, target_languages=["zh/Hant"])
    outputs = (await call(f"v1/video-translate/requests/{job.id}")).json["outputs"]["zh/Hant"]
    replies = {name: await call(url) for name, url in outputs.items()}

    assert {name: (reply.headers["Content-Type"], reply.body) for name, reply in replies.items()} == {
        "video": ("video/mp4", clips.translated_video()),
        "audio": ("audio/wav", clips.silence()),
        "srt": (
            "application/x-subrip",
            b"1\n00:00:00,000 --> 00:00:02,000\nSANDBOX - nothing was translated (zh/Hant)\n",
        ),
    }


async def test_the_clip_replaces_an_upload_that_a_stop_has_removed(
    sandbox: Sandbox, call: Caller, clock: ManualClock
) -> None:
    media = form(video=("a.mp4", b"the video"), audio=("a.wav", b"the audio"))
    id = await call.id_of("v1/lipsync/generate-with-media", data=media)
    clock.advance(100)
    await sandbox.stop()
    await sandbox.start()

    assert (await fetch(call, sandbox.jobs[id])).body == clips.lipsync_video()


async def test_a_file_that_shrinks_while_it_is_sent_is_an_answer_that_ends_early(
    sandbox: Sandbox, call: Caller, tmp_path: Path
) -> None:
    path = tmp_path / "output.mp4"
    path.write_bytes(DATA)
    job = sandbox.add_job(job_seconds=0, output=path)
    sandbox.inject(Fault.drip(0.02, step=50))

    async with call.session.get(f"/output/{job.id}.mp4") as response:
        assert await response.content.readexactly(50) == DATA[:50]
        path.write_bytes(DATA[:50])
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.content.read()
