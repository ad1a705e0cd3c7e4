import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chamelaion_async.sandbox import ManualClock, Sandbox

PATH = "v1/lipsync/generate-with-media"
MEDIA = {"video": ("a.mp4", b"the video"), "audio": ("a.wav", b"the audio")}


def form(**parts: Any) -> aiohttp.FormData:
    """Make a form of texts, and of (filename, content) pairs for files."""
    data = aiohttp.FormData(default_to_multipart=True)
    for name, part in parts.items():
        if isinstance(part, tuple):
            data.add_field(name, part[1], filename=part[0], content_type="application/octet-stream")
        else:
            data.add_field(name, part)
    return data


def media(**parts: Any) -> aiohttp.FormData:
    return form(**{**MEDIA, **parts})


def spooled(sandbox: Sandbox) -> list[Path]:
    folder = sandbox._world.spool._folder
    return list(folder.iterdir()) if folder else []


async def test_an_upload_starts_a_job_that_returns_the_video_as_its_output(
    sandbox: Sandbox, session: aiohttp.ClientSession, clock: ManualClock
) -> None:
    async with session.post(PATH, data=media(reference_id="dub-1")) as response:
        accepted = await response.json()
    clock.advance(100)

    async with session.get("v1/lipsync/requests/dub-1") as response:
        request = await response.json()
    async with session.get(request["output_url"]) as response:
        assert await response.read() == b"the video"
        assert response.headers["Content-Type"] == "application/octet-stream"
    assert accepted == {"status": "success", "request_id": request["id"]}
    assert request["status"] == "completed"


async def test_the_journal_tells_what_came_in(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    async with session.post(PATH, data=media(disable_active_speaker_detection="true")) as response:
        id = (await response.json())["request_id"]

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
        ({"audio": ("a.wav", b"audio")}, "video file is required"),
        ({"video": ("a.mp4", b""), "audio": ("a.wav", b"audio")}, "video file is required"),
        ({"video": "/path/of/a.mp4", "audio": ("a.wav", b"audio")}, "video file is required"),
        ({"video": ("a.mp4", b"video")}, "audio file is required"),
        ({"video": ("a.mp4", b"video"), "audio": ("a.wav", b"")}, "audio file is required"),
        ({**MEDIA, "disable_active_speaker_detection": "yes"}, "invalid request body"),
    ],
    ids=["no video", "empty video", "path as text", "no audio", "empty audio", "flag"],
)
async def test_a_form_that_lacks_something_is_refused_and_leaves_no_file(
    sandbox: Sandbox, session: aiohttp.ClientSession, parts: dict[str, Any], text: str
) -> None:
    async with session.post(PATH, data=form(**parts)) as response:
        assert (response.status, await response.json()) == (400, {"error": text})
    assert not sandbox.jobs
    assert spooled(sandbox) == []


async def test_a_text_field_may_not_be_endless(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield bytes(64 * 1024)

    async with session.post(PATH, data=media(reference_id=chunks())) as response:
        assert (response.status, await response.json()) == (400, {"error": "invalid request body"})
    assert spooled(sandbox) == []


async def test_a_name_that_comes_twice_is_refused(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    data = media()
    data.add_field("video", b"again", filename="b.mp4")

    async with session.post(PATH, data=data) as response:
        assert (response.status, await response.json()) == (400, {"error": "invalid request body"})
    assert spooled(sandbox) == []


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("path", [PATH, "v1/video-translate/generate-with-media"])
async def test_an_upload_must_be_a_multipart_form(
    session: aiohttp.ClientSession, path: str, content_type: str
) -> None:
    async with session.post(path, data=b"{}", headers={"Content-Type": content_type}) as response:
        assert response.status == 400
        assert await response.json() == {"error": "content-type must be multipart/form-data"}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"no boundary in here"),
        ("multipart/form-data; boundary=x", b"--x\r\nno headers"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nwithout a name\r\n--x--\r\n"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="video"; filename="a"\r\n\r\ncut',
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="reference_id"\r\n\r\n\xff\r\n--x--\r\n',
        ),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n--x--\r\n",
        ),
    ],
)
async def test_a_broken_form_is_refused(
    sandbox: Sandbox, session: aiohttp.ClientSession, content_type: str, body: bytes
) -> None:
    async with session.post(PATH, data=body, headers={"Content-Type": content_type}) as response:
        assert (response.status, await response.json()) == (400, {"error": "invalid request body"})
    assert spooled(sandbox) == []


async def test_an_upload_called_missing_fails(session: aiohttp.ClientSession, clock: ManualClock) -> None:
    async with session.post(PATH, data=media(video=("missing.mp4", b"video"))) as response:
        id = (await response.json())["request_id"]
    clock.advance(100)

    async with session.get(f"v1/lipsync/requests/{id}") as response:
        assert (await response.json())["error_message"] == "video URL is not accessible"


async def test_memory_does_not_grow_with_the_upload(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    size = 32 * 1024 * 1024

    async def chunks() -> AsyncIterator[bytes]:
        chunk = bytes(64 * 1024)
        for _ in range(size // len(chunk)):
            yield chunk

    tracemalloc.start()
    try:
        async with session.post(PATH, data=media(video=("a.mp4", chunks()))) as response:
            id = (await response.json())["request_id"]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert sandbox.jobs[id].uploads["video"].size == size
    assert peak < size / 4


async def test_a_client_that_leaves_in_the_middle_leaves_no_job_and_no_file(sandbox: Sandbox, until: Any) -> None:
    reached = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(3 * 1024 * 1024)
        reached.set()
        await asyncio.Event().wait()

    async with aiohttp.ClientSession(headers={"x-api-key": "key"}) as session:
        posting = asyncio.create_task(
            session.post(f"{sandbox.base_url}/{PATH}", data=media(video=("a.mp4", chunks())))
        )
        await reached.wait()
        await until(lambda: spooled(sandbox))
        posting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await posting
    await until(lambda: not spooled(sandbox))

    assert not sandbox.jobs


async def test_a_client_that_asks_before_it_uploads_is_told_to_go_on(session: aiohttp.ClientSession) -> None:
    async with session.post(PATH, data=media(), expect100=True) as response:
        assert response.status == 200


async def test_uploads_are_gone_once_the_sandbox_has_stopped(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    async with session.post(PATH, data=media()) as response:
        assert response.status == 200
    (video, audio), folder = spooled(sandbox), sandbox._world.spool.folder

    await sandbox.stop()

    assert folder is not None
    assert not any(path.exists() for path in (video, audio, folder))


async def test_an_upload_beyond_the_quota_leaves_no_file(serve: Any) -> None:
    sandbox, session = await serve(token_limit=0)

    async with session.post(PATH, data=media()) as response:
        assert (response.status, await response.json()) == (412, {"error": "token limit reached"})
    assert spooled(sandbox) == []
