from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chamelaion_async.sandbox import ManualClock, Sandbox

from .calling import INVALID_BODY, Caller, Until, form

PATH = "v1/lipsync/generate-with-media"
MEDIA = {"video": ("a.mp4", b"the video"), "audio": ("a.wav", b"the audio")}
MULTIPART = "multipart/form-data; boundary=x"

Spooled = Callable[[], list[Path]]


def media(**parts: Any) -> aiohttp.FormData:
    return form(**{**MEDIA, **parts})


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65536):
        yield bytes(65536)


async def test_an_upload_starts_a_job_with_the_video_as_its_output(call: Caller, clock: ManualClock) -> None:
    id = await call.id_of(PATH, data=media(reference_id="dub-1"))
    clock.advance(100)

    request = (await call("v1/lipsync/requests/dub-1")).json
    output = await call(request["output_url"])

    assert (request["id"], request["status"]) == (id, "completed")
    assert (output.body, output.headers["Content-Type"]) == (b"the video", "application/octet-stream")


async def test_the_journal_shows_the_fields_and_the_files(sandbox: Sandbox, call: Caller) -> None:
    id = await call.id_of(PATH, data=media(disable_active_speaker_detection="true"))

    assert sandbox.received[0].body == {
        "video": {"filename": "a.mp4", "content_type": "application/octet-stream", "size": 9},
        "audio": {"filename": "a.wav", "content_type": "application/octet-stream", "size": 9},
        "disable_active_speaker_detection": "true",
    }
    assert sandbox.received[0].job_id == id
    assert sandbox.jobs[id].payload["disable_active_speaker_detection"] is True


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"audio": MEDIA["audio"]}, "video file is required"),
        ({**MEDIA, "video": ("a.mp4", b"")}, "video file is required"),
        ({**MEDIA, "video": "/path/of/a.mp4"}, "video file is required"),
        ({"video": MEDIA["video"]}, "audio file is required"),
        ({**MEDIA, "audio": ("a.wav", b"")}, "audio file is required"),
        ({**MEDIA, "disable_active_speaker_detection": "yes"}, "invalid request body"),
    ],
    ids=["no video", "empty video", "path as text", "no audio", "empty audio", "flag"],
)
async def test_a_form_without_its_files_is_refused_and_leaves_no_file(
    sandbox: Sandbox, call: Caller, spooled: Spooled, parts: dict[str, Any], text: str
) -> None:
    assert (await call(f"POST {PATH}", data=form(**parts))).answer == (400, {"error": text})
    assert not sandbox.jobs
    assert spooled() == []


async def test_a_text_field_is_limited_to_four_mebibytes(call: Caller, spooled: Spooled) -> None:
    data = media(reference_id=chunks(5 * 1024 * 1024))

    assert (await call(f"POST {PATH}", data=data)).answer == INVALID_BODY
    assert spooled() == []


async def test_a_name_that_comes_twice_is_refused(call: Caller, spooled: Spooled) -> None:
    data = media()
    data.add_field("video", b"again", filename="b.mp4")

    assert (await call(f"POST {PATH}", data=data)).answer == INVALID_BODY
    assert spooled() == []


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("path", [PATH, "v1/video-translate/generate-with-media"])
async def test_an_upload_must_be_a_multipart_form(call: Caller, path: str, content_type: str) -> None:
    reply = await call(f"POST {path}", data=b"{}", headers={"Content-Type": content_type})

    assert reply.answer == (400, {"error": "content-type must be multipart/form-data"})


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b""),
        (MULTIPART, b""),
        (MULTIPART, b"no boundary in here"),
        (MULTIPART, b"--x\r\nno headers"),
        (MULTIPART, b"--x\r\n\r\nwithout a name\r\n--x--\r\n"),
        (MULTIPART, b'--x\r\nContent-Disposition: form-data; name="video"; filename="a"\r\n\r\ncut'),
        (MULTIPART, b'--x\r\nContent-Disposition: form-data; name="reference_id"\r\n\r\n\xff\r\n--x--\r\n'),
        (MULTIPART, b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n--x--\r\n"),
    ],
)
async def test_a_broken_form_is_refused(call: Caller, spooled: Spooled, content_type: str, body: bytes) -> None:
    reply = await call(f"POST {PATH}", data=body, headers={"Content-Type": content_type})

    assert reply.answer == INVALID_BODY
    assert spooled() == []


async def test_an_upload_called_missing_fails(call: Caller, clock: ManualClock) -> None:
    id = await call.id_of(PATH, data=media(video=("missing.mp4", b"video")))
    clock.advance(100)

    assert (await call(f"v1/lipsync/requests/{id}")).json["error_message"] == "video URL is not accessible"


async def test_memory_does_not_grow_with_the_upload(sandbox: Sandbox, call: Caller) -> None:
    size = 32 * 1024 * 1024
    tracemalloc.start()
    try:
        id = await call.id_of(PATH, data=media(video=("a.mp4", chunks(size))))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert sandbox.jobs[id].uploads["video"].size == size
    assert peak < size / 4


async def test_a_client_that_leaves_in_the_middle_leaves_no_job_and_no_file(
    sandbox: Sandbox, call: Caller, spooled: Spooled, until: Until
) -> None:
    reached = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield bytes(3 * 1024 * 1024)
        reached.set()
        await asyncio.Event().wait()

    posting = asyncio.create_task(call(f"POST {PATH}", data=media(video=("a.mp4", endless()))))
    await reached.wait()
    await until(spooled)
    posting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await posting
    await until(lambda: not spooled())

    assert not sandbox.jobs


async def test_a_client_that_waits_for_100_continue_can_upload(call: Caller) -> None:
    await call.id_of(PATH, data=media(), expect100=True)


async def test_a_stop_removes_the_uploads(sandbox: Sandbox, call: Caller, spooled: Spooled) -> None:
    await call.id_of(PATH, data=media())
    video, audio = spooled()

    await sandbox.stop()

    assert not any(path.exists() for path in (video, audio, video.parent))


async def test_an_upload_beyond_the_quota_leaves_no_file(sandbox: Sandbox, call: Caller, spooled: Spooled) -> None:
    sandbox.token_limit = 0

    assert (await call(f"POST {PATH}", data=media())).answer == (412, {"error": "token limit reached"})
    assert spooled() == []
