"""Downloads: under the final name stands the whole output or nothing, and no byte is fetched twice without need."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gzip
import io
import json
import logging
import os
import random
import re
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import aiohttp
import pytest

from chamelaion_async import (
    Artifacts,
    AsyncClient,
    ChamelaionError,
    ClientClosedError,
    ConfigurationError,
    DownloadError,
    LipsyncRequest,
    RequestFailedError,
    RetryPolicy,
    VideoTranslateRequest,
)
from chamelaion_async._media.partial_file import Part
from chamelaion_async._media.redirects import MAX_REDIRECTS
from chamelaion_async.sandbox import Fault, Sandbox

KiB = 1024
MiB = 1024 * KiB
OUTPUT_ROUTE = "GET /output/{name:path}"
QUICK = RetryPolicy(initial=0.001, max=0.01)
ONCE = RetryPolicy(attempts=1)
OUTPUT = random.Random(7).randbytes(700_000)
OTHER = random.Random(8).randbytes(len(OUTPUT))
MEDIA_BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "media.py"
CREATED = datetime(2026, 4, 7, 10, tzinfo=UTC)
OLD, NOW = "Tue, 07 Apr 2026 10:00:00 GMT", "Tue, 07 Apr 2026 12:00:00 GMT"
SECRET = "s3cr3t-signature"


class Asked(NamedTuple):
    """What an origin was asked."""

    target: str
    headers: Mapping[str, str]

    @property
    def resumes_at(self) -> int:
        """Where the range begins that is asked for, 0 without one."""
        return int(self.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))


class Reply(NamedTuple):
    """What an origin answers: bytes, and what becomes of the connection then."""

    data: bytes
    then: Literal["keep", "close", "reset", "hang"] = "keep"


def reply(
    body: bytes,
    status: str = "200 OK",
    headers: Mapping[str, str] | None = None,
    *,
    length: int | None = None,
    then: Literal["keep", "close", "reset", "hang"] = "keep",
) -> Reply:
    lines = {"Content-Length": str(len(body) if length is None else length), "Date": NOW, **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return Reply(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body, then)


def cut(body: bytes, size: int, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer 200 with no more than a beginning."""
    return reply(body[:size], headers=headers, length=len(body), then="close")


def rest(body: bytes, start: int, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer 206 with all from ``start`` on."""
    bounds = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
    return reply(body[start:], "206 Partial Content", {**bounds, **(headers or {})})


ETAG = {"ETag": '"v1"'}
Answer = Reply | Callable[[Asked], Reply]


class Origin:
    """A storage host whose answers are laid out beforehand; the last one goes on for ever."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.asked: list[Asked] = []
        self.host = ""
        self._answers = answers

    def url(self, target: str = "/out/film.mp4") -> str:
        return f"http://{self.host}{target}"

    async def exchange(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        first, *lines = request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        asked = Asked(first.split(" ")[1], {name.lower(): value.strip() for name, _, value in pairs})
        self.asked.append(asked)
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
        data, then = answer if isinstance(answer, Reply) else answer(asked)
        writer.write(data)
        await writer.drain()
        if then == "close":
            writer.close()
        elif then == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        elif then == "hang":
            await asyncio.get_running_loop().create_future()


Serve = Callable[..., Awaitable[Origin]]


@pytest.fixture
async def serve(raw_server: Callable[[Any], Awaitable[str]]) -> Serve:
    async def start(*answers: Answer) -> Origin:
        origin = Origin(answers)
        origin.host = (await raw_server(origin.exchange)).removeprefix("http://").removesuffix("/api")
        return origin

    return start


@pytest.fixture
async def client() -> AsyncIterator[AsyncClient]:
    """A client whose API nobody asks, since downloads go elsewhere."""
    async with AsyncClient(
        "sk-key", bearer_token="token", base_url="http://127.0.0.1:9/api", retry=QUICK, timeout=10.0
    ) as made:
        yield made


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "downloads"
    folder.mkdir()
    return folder / "film.mp4"


async def finished(sandbox: Sandbox) -> LipsyncRequest:
    job = sandbox.add_job(job_seconds=0, output=OUTPUT)
    async with AsyncClient("sk-key", base_url=sandbox.base_url) as api:
        return await api.lipsync.requests.get(job.id)


def lipsync(status: str, *, output_url: str | None = None, error_message: str | None = None) -> LipsyncRequest:
    return LipsyncRequest(
        id="6f82", status=status, created_at=CREATED, output_url=output_url, error_message=error_message
    )


def translation(outputs: Mapping[str, Artifacts] | None, status: str = "completed") -> VideoTranslateRequest:
    return VideoTranslateRequest(
        id="9d3a",
        status=status,
        created_at=CREATED,
        target_languages=[],
        model="classic",
        config={},
        disable_background_audio=False,
        disable_lip_sync=False,
        formality=False,
        outputs=outputs,
    )


def part_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def notes_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.part.json")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def content(path: Path) -> bytes:
    return path.read_bytes()


def put(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def is_there(path: Path) -> bool:
    return path.exists()


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def left_behind(target: Path, data: bytes, notes: bytes = b'{"validator": "\\"v1\\""}') -> None:
    """Do as if an earlier run had stopped there."""
    part_of(target).write_bytes(data)
    notes_of(target).write_bytes(notes)


async def broken_off(client: AsyncClient, url: str, target: Path, data: bytes) -> None:
    """Let a first run of the client's own leave a part of the output with the ETag "v1"."""
    once = client.with_options(retry=ONCE)
    with pytest.raises(DownloadError):
        await once.download(url, target)
    assert content(part_of(target)) == data


def is_open_here(path: Path) -> bool:
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if descriptor.readlink() == path:
                return True
    return False


async def is_closed_soon(path: Path) -> bool:
    """Whether the file is closed, at the latest when a write that is under way has ended."""
    for _ in range(100):
        if not is_open_here(path):
            return True
        await asyncio.sleep(0.01)
    return False


async def test_a_request_brings_its_output(sandbox: Sandbox, client: AsyncClient, target: Path) -> None:
    path = await client.download(await finished(sandbox), target)

    assert (path, content(target)) == (target, OUTPUT)


async def test_a_url_brings_what_lies_there(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(reply(OUTPUT))

    assert await client.download(origin.url(), str(target)) == target
    assert content(target) == OUTPUT


async def test_artifacts_bring_three_files_into_a_new_folder(
    serve: Serve, client: AsyncClient, tmp_path: Path
) -> None:
    origin = await serve(lambda asked: reply(asked.target.encode()))
    artifacts = Artifacts(video=origin.url("/v"), audio=origin.url("/a"), srt=origin.url("/s"))

    folder = await client.download(artifacts, tmp_path / "new" / "de")

    assert folder == tmp_path / "new" / "de"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "video.mp4": b"/v",
        "audio.wav": b"/a",
        "subtitles.srt": b"/s",
    }


async def test_a_translation_brings_three_files_for_each_language(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path
) -> None:
    job = sandbox.add_job(family="video_translate", job_seconds=0, target_languages=["de", "pt-BR"])

    async with AsyncClient("sk-key", base_url=sandbox.base_url) as api:
        request = await api.video_translate.requests.get(job.id)

    folder = await client.download(request, tmp_path / "films")

    assert names_in(folder) == ["de.mp4", "de.srt", "de.wav", "pt-BR.mp4", "pt-BR.srt", "pt-BR.wav"]


async def test_into_an_existing_folder_the_output_goes_under_the_name_in_its_url(
    serve: Serve, client: AsyncClient, tmp_path: Path
) -> None:
    origin = await serve(reply(OUTPUT))

    path = await client.download(origin.url("/out/dub%2042.mp4?sig=x"), tmp_path)

    assert path == tmp_path / "dub 42.mp4"
    assert path.read_bytes() == OUTPUT


async def test_an_empty_output_makes_an_empty_file(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(reply(b""))

    await client.download(origin.url(), target)

    assert content(target) == b""


async def test_an_output_without_a_length_arrives(serve: Serve, client: AsyncClient, target: Path) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    origin = await serve(Reply(chunked))

    await client.download(origin.url(), target)

    assert content(target) == b"hello world"


async def test_nothing_but_the_file_is_left(sandbox: Sandbox, client: AsyncClient, target: Path) -> None:
    await client.download(await finished(sandbox), target)

    assert names_in(target.parent) == [target.name]


@pytest.mark.parametrize("status", ["queued", "processing", "uploading", "something new"])
async def test_a_request_that_is_not_finished_has_nothing_to_download_yet(
    client: AsyncClient, target: Path, status: str
) -> None:
    with pytest.raises(DownloadError, match=f"still {status}"):
        await client.download(lipsync(status), target)


async def test_a_failed_request_says_why(client: AsyncClient, target: Path) -> None:
    with pytest.raises(RequestFailedError, match="no face"):
        await client.download(lipsync("failed", error_message="no face"), target)


@pytest.mark.parametrize(
    "request_",
    [lipsync("completed"), translation(None), translation({})],
    ids=["lip sync", "translation", "translation into nothing"],
)
async def test_a_completed_request_without_output_has_nothing_to_download(
    client: AsyncClient, target: Path, request_: LipsyncRequest | VideoTranslateRequest
) -> None:
    with pytest.raises(DownloadError, match="no output"):
        await client.download(request_, target)


@pytest.mark.parametrize("source", [None, 7, b"http://127.0.0.1/x", Path("x")], ids=repr)
async def test_anything_else_cannot_be_downloaded(client: AsyncClient, target: Path, source: Any) -> None:
    with pytest.raises(ConfigurationError):
        await client.download(source, target)


URLS = {
    "empty": "",
    "no scheme": "example.com/film.mp4",
    "relative": "/output/film.mp4",
    "file": "file:///etc/passwd",
    "ftp": "ftp://127.0.0.1/film.mp4",
    "no host": "http:///film.mp4",
    "bad bracket": "http://[::1/film.mp4",
    "bad port": "http://127.0.0.1:99999/film.mp4",
    "port that is none": "http://127.0.0.1:port/film.mp4",
}


@pytest.mark.parametrize("into", ["file", "folder"])
@pytest.mark.parametrize("url", URLS.values(), ids=URLS.keys())
async def test_what_is_no_web_address_is_refused(client: AsyncClient, target: Path, url: str, into: str) -> None:
    with pytest.raises(DownloadError):
        await client.download(url, target if into == "file" else target.parent)

    assert names_in(target.parent) == []


@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_refused_connection_is_a_download_error(client: AsyncClient, target: Path, overwrite: bool) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/film.mp4"
        with pytest.raises(DownloadError, match=r"film\.mp4"):
            await client.download(url, target, overwrite=overwrite)

    assert names_in(target.parent) == []


async def test_an_existing_file_is_not_touched(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(reply(OUTPUT))
    put(target, b"precious")

    with pytest.raises(DownloadError, match="overwrite=True"):
        await client.download(origin.url(), target)

    assert content(target) == b"precious"
    assert origin.asked == []


async def test_an_existing_file_is_replaced_if_asked_to(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(reply(OUTPUT))
    put(target, b"old")

    await client.download(origin.url(), target, overwrite=True)

    assert content(target) == OUTPUT


async def test_an_existing_file_stays_whole_until_the_new_one_is_complete(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    origin = await serve(reply(OUTPUT))
    put(target, b"old")
    seen: set[bytes] = set()

    await client.download(origin.url(), target, overwrite=True, on_progress=lambda _, __: seen.add(content(target)))

    assert seen == {b"old"}


async def test_an_existing_file_survives_a_download_that_fails(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    origin = await serve(cut(OUTPUT, 1000))
    put(target, b"old")

    with pytest.raises(DownloadError):
        await client.download(origin.url(), target, overwrite=True)

    assert content(target) == b"old"


async def test_a_file_that_appears_meanwhile_is_not_replaced(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(reply(OUTPUT))

    def on_progress(_: int, __: int | None) -> None:
        put(target, b"precious")

    with contextlib.suppress(DownloadError):
        await client.download(origin.url(), target, on_progress=on_progress)

    assert content(target) == b"precious"


async def test_a_missing_folder_is_a_download_error_before_anything_is_fetched(
    serve: Serve, client: AsyncClient, tmp_path: Path
) -> None:
    origin = await serve(reply(OUTPUT))

    with pytest.raises(DownloadError, match="folder"):
        await client.download(origin.url(), tmp_path / "missing" / "film.mp4")

    assert origin.asked == []


async def test_a_file_in_place_of_the_folder_is_a_download_error(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    origin = await serve(reply(OUTPUT))
    put(target, b"a file")

    with pytest.raises(DownloadError):
        await client.download(origin.url(), target / "film.mp4")


async def test_artifacts_do_not_go_to_where_a_file_stands(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(reply(OUTPUT))
    put(target, b"a file")

    with pytest.raises(DownloadError):
        await client.download(Artifacts(video=origin.url(), audio=origin.url(), srt=origin.url()), target)


@pytest.mark.parametrize("name", ["x" * 300, "nul\0.mp4"], ids=["too long", "NUL"])
async def test_a_name_that_the_disk_does_not_take_is_a_download_error(
    serve: Serve, client: AsyncClient, tmp_path: Path, name: str
) -> None:
    origin = await serve(reply(OUTPUT))

    with pytest.raises(DownloadError):
        await client.download(origin.url(), tmp_path / name)


async def test_a_name_in_the_url_that_the_disk_does_not_take_is_a_download_error_or_shortened(
    serve: Serve, client: AsyncClient, tmp_path: Path
) -> None:
    origin = await serve(reply(OUTPUT))

    with contextlib.suppress(DownloadError):
        await client.download(origin.url("/" + "x" * 300 + ".mp4"), tmp_path)

    assert all(content(path) == OUTPUT for path in files_below(tmp_path))


class Sluggish(NamedTuple):
    """An origin that gives a first half, and the second one when it is let."""

    origin: Origin
    gate: asyncio.Event


@pytest.fixture
async def sluggish(raw_server: Callable[[Any], Awaitable[str]]) -> Sluggish:
    gate = asyncio.Event()
    origin = Origin([])

    async def exchange(request: bytes, writer: asyncio.StreamWriter) -> None:
        origin.asked.append(Asked(request.split(b" ")[1].decode(), {}))
        data = reply(OUTPUT, headers=ETAG).data
        writer.write(data[: len(data) // 2])
        await writer.drain()
        await gate.wait()
        writer.write(data[len(data) // 2 :])

    origin.host = (await raw_server(exchange)).removeprefix("http://").removesuffix("/api")
    return Sluggish(origin, gate)


async def started(client: AsyncClient, url: str, target: Path, **options: Any) -> asyncio.Task[Path]:
    """Begin a download and come back when its first bytes are on disk."""
    has_begun = asyncio.Event()
    task = asyncio.create_task(client.download(url, target, on_progress=lambda *_: has_begun.set(), **options))
    beginning = asyncio.create_task(has_begun.wait())
    await asyncio.wait([task, beginning], return_when=asyncio.FIRST_COMPLETED, timeout=5)
    beginning.cancel()
    return task


@pytest.mark.parametrize("spelled", ["film.mp4", "../downloads/film.mp4", "link/film.mp4"])
async def test_the_same_file_is_not_downloaded_twice_at_once(
    sluggish: Sluggish, client: AsyncClient, target: Path, spelled: str
) -> None:
    (target.parent / "link").symlink_to(target.parent)
    first = await started(client, sluggish.origin.url(), target)

    with pytest.raises(DownloadError, match="already"):
        async with asyncio.timeout(0.5):
            await client.download(sluggish.origin.url(), target.parent / spelled)
    sluggish.gate.set()

    await first
    assert content(target) == OUTPUT


async def test_a_view_of_the_client_knows_of_the_download_too(
    sluggish: Sluggish, client: AsyncClient, target: Path
) -> None:
    first = await started(client, sluggish.origin.url(), target)

    with pytest.raises(DownloadError, match="already"):
        await client.with_options(timeout=1).download(sluggish.origin.url(), target)
    sluggish.gate.set()
    await first


async def test_after_a_failure_the_same_file_can_be_downloaded(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    origin = await serve(reply(b"", "404 Not Found"), reply(OUTPUT))
    with pytest.raises(DownloadError):
        await client.download(origin.url(), target)

    await client.download(origin.url(), target)

    assert content(target) == OUTPUT


async def test_two_clients_at_the_same_file_never_leave_a_garbled_one(
    raw_server: Callable[[Any], Awaitable[str]], client: AsyncClient, target: Path
) -> None:
    """Two workers of one application see the same finished job and the same folder."""
    gate, asked = asyncio.Event(), 0
    left_behind(target, OUTPUT[:1000])

    async def exchange(_: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        data = rest(OUTPUT, 1000, ETAG).data
        writer.write(data[:300_000])
        await writer.drain()
        if asked == 2:
            gate.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await gate.wait()
        writer.write(data[300_000:])

    url = (await raw_server(exchange)).removesuffix("/api") + "/film.mp4"
    async with AsyncClient("key", retry=ONCE) as second:
        await asyncio.gather(client.download(url, target), second.download(url, target), return_exceptions=True)

    assert not is_there(target) or content(target) == OUTPUT


async def test_a_part_that_another_process_writes_to_as_well_never_becomes_the_output(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    left_behind(target, OUTPUT[:1000])
    origin = await serve(rest(OUTPUT, 1000, ETAG), reply(OUTPUT, headers=ETAG))

    def write_as_well(_: int, __: int | None) -> None:
        if part_of(target).exists():
            with part_of(target).open("ab") as file:
                file.write(b"of another process")

    with contextlib.suppress(DownloadError):
        await client.download(origin.url(), target, on_progress=write_as_well)

    assert not is_there(target) or content(target) == OUTPUT


async def test_progress_tells_the_bytes_on_disk_and_in_all(
    sandbox: Sandbox, client: AsyncClient, target: Path
) -> None:
    seen: list[tuple[int, int | None]] = []

    await client.download(await finished(sandbox), target, on_progress=lambda size, total: seen.append((size, total)))

    assert seen == sorted(seen, key=lambda each: each[0])
    assert {total for _, total in seen} == {len(OUTPUT)}
    assert seen[-1] == (len(OUTPUT), len(OUTPUT))
    assert len(seen) > 1


async def test_progress_of_an_unknown_total_says_so(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(Reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"))
    seen: list[tuple[int, int | None]] = []

    await client.download(origin.url(), target, on_progress=lambda *each: seen.append(each))

    assert seen == [(2, None)]


async def test_progress_of_a_resumed_download_counts_what_is_there(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    origin = await serve(rest(OUTPUT, 600_000, ETAG))
    left_behind(target, OUTPUT[:600_000])
    seen: list[tuple[int, int | None]] = []

    await client.download(origin.url(), target, on_progress=lambda *each: seen.append(each))

    assert seen[0][0] > 600_000
    assert seen[-1] == (len(OUTPUT), len(OUTPUT))


async def test_nothing_stands_under_the_final_name_until_it_is_complete(
    sandbox: Sandbox, client: AsyncClient, target: Path
) -> None:
    seen: set[bool] = set()

    await client.download(await finished(sandbox), target, on_progress=lambda _, __: seen.add(is_there(target)))

    assert seen == {False}


RAISED: dict[str, Exception] = {
    "ValueError": ValueError("mine"),
    "RuntimeError": RuntimeError("mine"),
    "OSError": OSError("mine"),
    "ConnectionError": ConnectionResetError("mine"),
    "TimeoutError": TimeoutError("mine"),
    "aiohttp's": aiohttp.ClientConnectionError("mine"),
}


@pytest.mark.parametrize("mine", RAISED.values(), ids=RAISED.keys())
async def test_what_on_progress_raises_ends_the_download_and_reaches_the_caller(
    sandbox: Sandbox, client: AsyncClient, target: Path, mine: Exception
) -> None:
    calls = 0

    def on_progress(_: int, __: int | None) -> None:
        nonlocal calls
        calls += 1
        raise mine

    with pytest.raises(Exception, match="mine") as caught:
        await client.download(await finished(sandbox), target, on_progress=on_progress)

    assert caught.value is mine
    assert calls == 1


async def test_after_on_progress_raised_the_download_can_be_resumed(
    sandbox: Sandbox, client: AsyncClient, target: Path
) -> None:
    request = await finished(sandbox)

    def on_progress(_: int, __: int | None) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError):
        await client.download(request, target, on_progress=on_progress)
    await client.download(request, target)

    assert "Range" in sandbox.received[-1].headers
    assert content(target) == OUTPUT


async def test_a_truncated_download_is_resumed_within_the_call(
    sandbox: Sandbox, client: AsyncClient, target: Path
) -> None:
    sandbox.inject(Fault.truncate(300_000), route=OUTPUT_ROUTE, times=1)

    await client.download(await finished(sandbox), target)

    first, last = (each.headers for each in sandbox.received[-2:])
    assert "Range" not in first
    assert re.fullmatch(r"bytes=[1-9]\d*-", last["Range"])
    assert last["If-Range"].startswith('"')
    assert content(target) == OUTPUT


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_a_download_that_breaks_again_and_again_goes_on_as_long_as_it_moves(
    serve: Serve, client: AsyncClient, target: Path, then: Literal["close", "reset"]
) -> None:
    def answer(asked: Asked) -> Reply:
        start = asked.resumes_at
        whole = rest(OUTPUT, start, ETAG) if start else reply(OUTPUT, headers=ETAG)
        return Reply(whole.data[: 100_000 + len(whole.data) - len(OUTPUT[start:])], then)

    origin = await serve(answer)

    await client.download(origin.url(), target)

    assert content(target) == OUTPUT
    assert len(origin.asked) >= 7


async def test_a_resumed_download_sends_the_validator_it_was_given(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    origin = await serve(cut(OUTPUT, 1000, ETAG), rest(OUTPUT, 1000, ETAG))

    await client.download(origin.url(), target)

    assert (origin.asked[1].headers["range"], origin.asked[1].headers["if-range"]) == ("bytes=1000-", '"v1"')
    assert content(target) == OUTPUT


async def test_a_last_modified_that_is_old_enough_is_a_validator(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    dated = {"Last-Modified": OLD}
    origin = await serve(cut(OUTPUT, 1000, dated), rest(OUTPUT, 1000, dated))

    await client.download(origin.url(), target)

    assert origin.asked[1].headers["if-range"] == OLD


async def test_a_later_call_resumes(sandbox: Sandbox, client: AsyncClient, target: Path) -> None:
    request = await finished(sandbox)
    fault = sandbox.inject(Fault.truncate(300_000), route=OUTPUT_ROUTE)
    with pytest.raises(DownloadError, match="will be resumed"):
        await client.with_options(retry=ONCE).download(request, target)
    fault.remove()

    assert names_in(target.parent) == ["film.mp4.part", "film.mp4.part.json"]
    kept = part_of(target).stat().st_size
    await client.download(request, target)

    assert sandbox.received[-1].headers["Range"] == f"bytes={kept}-"
    assert content(target) == OUTPUT
    assert names_in(target.parent) == ["film.mp4"]


async def test_a_later_client_resumes(sandbox: Sandbox, client: AsyncClient, target: Path) -> None:
    request = await finished(sandbox)
    sandbox.inject(Fault.truncate(300_000), route=OUTPUT_ROUTE, times=1)
    async with AsyncClient("sk-key", retry=ONCE) as first:
        with pytest.raises(DownloadError):
            await first.download(request, target)

    kept = part_of(target).stat().st_size
    await client.download(request, target)

    assert sandbox.received[-1].headers["Range"] == f"bytes={kept}-"
    assert content(target) == OUTPUT


async def test_a_fresh_signature_for_the_same_output_resumes(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(cut(OUTPUT, 1000, ETAG), rest(OUTPUT, 1000, ETAG))
    await broken_off(client, origin.url("/film.mp4?sig=old"), target, OUTPUT[:1000])

    await client.download(origin.url("/film.mp4?sig=new"), target)

    assert origin.asked[1].headers["range"] == "bytes=1000-"


async def test_another_output_under_the_same_name_does_not_go_on_with_the_part_of_the_first(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    """A validator tells versions of one resource apart, and says nothing of another (RFC 9110, section 8.8.3)."""
    dated = {"Last-Modified": OLD}

    def answer(asked: Asked) -> Reply:
        if asked.target == "/first.mp4":
            return cut(OUTPUT, 1000, dated)
        return rest(OTHER, asked.resumes_at, dated) if asked.resumes_at else reply(OTHER, headers=dated)

    origin = await serve(answer)
    await broken_off(client, origin.url("/first.mp4"), target, OUTPUT[:1000])

    await client.download(origin.url("/second.mp4"), target)

    assert content(target) == OTHER


UNTELLING: dict[str, dict[str, str]] = {
    "nothing": {},
    "weak ETag": {"ETag": 'W/"v1"'},
    "weak ETag beside a date": {"ETag": 'W/"v1"', "Last-Modified": NOW},
    "date that may still change": {"Last-Modified": NOW},
    "date that is none": {"Last-Modified": "yesterday"},
    "ETag without quotes": {"ETag": "v1"},
}


@pytest.mark.parametrize("headers", UNTELLING.values(), ids=UNTELLING.keys())
async def test_what_cannot_be_told_from_a_newer_one_starts_over_within_the_call(
    serve: Serve, client: AsyncClient, target: Path, headers: dict[str, str]
) -> None:
    origin = await serve(cut(OTHER, 1000, headers), reply(OUTPUT, headers=headers))

    await client.download(origin.url(), target)

    assert "range" not in origin.asked[1].headers
    assert content(target) == OUTPUT


@pytest.mark.parametrize("headers", UNTELLING.values(), ids=UNTELLING.keys())
async def test_what_cannot_be_told_from_a_newer_one_leaves_no_part(
    serve: Serve, client: AsyncClient, target: Path, headers: dict[str, str]
) -> None:
    origin = await serve(cut(OUTPUT, 1000, headers))

    with pytest.raises(DownloadError, match="Nothing was left"):
        await client.download(origin.url(), target)

    assert names_in(target.parent) == []


async def test_an_output_that_changed_between_two_calls_starts_over(
    sandbox: Sandbox, client: AsyncClient, target: Path
) -> None:
    request = await finished(sandbox)
    fault = sandbox.inject(Fault.truncate(300_000), route=OUTPUT_ROUTE)
    with pytest.raises(DownloadError):
        await client.with_options(retry=ONCE).download(request, target)
    fault.remove()
    sandbox.change_output(request.id, OTHER)

    await client.download(request, target)

    assert content(target) == OTHER


async def test_an_output_that_changes_within_a_call_starts_over(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    origin = await serve(
        cut(OUTPUT, 300_000, ETAG),
        cut(OTHER, 200_000, {"ETag": '"v2"'}),
        lambda asked: rest(OTHER, asked.resumes_at, {"ETag": '"v2"'}),
    )

    await client.download(origin.url(), target)

    assert origin.asked[2].headers["if-range"] == '"v2"'
    assert content(target) == OTHER


async def test_a_server_that_ignores_ranges_starts_over(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(cut(OUTPUT, 300_000, ETAG), reply(OUTPUT, headers=ETAG))

    await client.download(origin.url(), target)

    assert content(target) == OUTPUT


WRONG_PARTS: dict[str, Reply] = {
    "another start": reply(
        OUTPUT[500:], "206 Partial Content", {**ETAG, "Content-Range": f"bytes 500-{len(OUTPUT) - 1}/{len(OUTPUT)}"}
    ),
    "the beginning once more": reply(
        OUTPUT[:-1000],
        "206 Partial Content",
        {**ETAG, "Content-Range": f"bytes 0-{len(OUTPUT) - 1001}/{len(OUTPUT)}"},
    ),
    "no Content-Range": reply(OUTPUT[1000:], "206 Partial Content", ETAG),
    "garbled Content-Range": reply(OUTPUT[1000:], "206 Partial Content", {**ETAG, "Content-Range": "bytes 1000-"}),
    "another unit": reply(OUTPUT[1000:], "206 Partial Content", {**ETAG, "Content-Range": "frames 1000-9999/9999"}),
    "another ETag": rest(OTHER, 1000, {"ETag": '"v2"'}),
    "too many bytes": reply(
        OUTPUT[1000:] + b"more",
        "206 Partial Content",
        {**ETAG, "Content-Range": f"bytes 1000-{len(OUTPUT) - 1}/{len(OUTPUT)}"},
    ),
    "another total": reply(
        OUTPUT[1000:5000], "206 Partial Content", {**ETAG, "Content-Range": "bytes 1000-4999/4000"}
    ),
}


@pytest.mark.parametrize("wrong", WRONG_PARTS.values(), ids=WRONG_PARTS.keys())
async def test_a_part_that_was_not_asked_for_starts_over(
    serve: Serve, client: AsyncClient, target: Path, wrong: Reply
) -> None:
    origin = await serve(cut(OUTPUT, 1000, ETAG), wrong, reply(OUTPUT, headers=ETAG))

    await client.download(origin.url(), target)

    assert "range" not in origin.asked[2].headers
    assert content(target) == OUTPUT


async def test_a_part_that_ends_too_early_is_followed_by_the_rest(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    size = len(OUTPUT)
    middle = reply(OUTPUT[1000:5000], "206 Partial Content", {**ETAG, "Content-Range": f"bytes 1000-4999/{size}"})
    origin = await serve(cut(OUTPUT, 1000, ETAG), middle, rest(OUTPUT, 5000, ETAG))

    await client.download(origin.url(), target)

    assert origin.asked[2].headers["range"] == "bytes=5000-"
    assert content(target) == OUTPUT


async def test_a_part_of_unknown_total_does_not_make_a_known_one_forgotten(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    middle = reply(OUTPUT[1000:5000], "206 Partial Content", {**ETAG, "Content-Range": "bytes 1000-4999/*"})
    origin = await serve(cut(OUTPUT, 1000, ETAG), middle, rest(OUTPUT, 5000, ETAG))

    await client.download(origin.url(), target)

    assert content(target) == OUTPUT


async def test_a_part_nobody_asked_for_is_no_whole_output(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(rest(OUTPUT, 1000, ETAG))

    with pytest.raises(DownloadError):
        await client.download(origin.url(), target)

    assert not is_there(target)


async def test_416_for_a_part_that_is_the_whole_output_completes_it(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    left_behind(target, OUTPUT)
    origin = await serve(reply(b"", "416 Range Not Satisfiable", {"Content-Range": f"bytes */{len(OUTPUT)}"}))

    await client.download(origin.url(), target)

    assert content(target) == OUTPUT
    assert len(origin.asked) == 1


@pytest.mark.parametrize(
    "headers",
    [{}, {"Content-Range": "bytes */999"}, {"Content-Range": "nonsense"}],
    ids=["no length", "another length", "nonsense"],
)
async def test_any_other_416_starts_over(
    serve: Serve, client: AsyncClient, target: Path, headers: dict[str, str]
) -> None:
    left_behind(target, OTHER[:1000])
    origin = await serve(reply(b"", "416 Range Not Satisfiable", headers), reply(OUTPUT, headers=ETAG))

    await client.download(origin.url(), target)

    assert "range" not in origin.asked[1].headers
    assert content(target) == OUTPUT


async def test_416_with_another_validator_does_not_complete_the_part(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    """A server that knows no If-Range refuses the range of an output that has changed and kept its length."""
    left_behind(target, OTHER)
    refused = {"Content-Range": f"bytes */{len(OUTPUT)}", "ETag": '"v2"'}
    origin = await serve(reply(b"", "416 Range Not Satisfiable", refused), reply(OUTPUT, headers={"ETag": '"v2"'}))

    await client.download(origin.url(), target)

    assert content(target) == OUTPUT


async def test_a_part_that_is_longer_than_the_output_starts_over(
    sandbox: Sandbox, client: AsyncClient, target: Path
) -> None:
    request = await finished(sandbox)
    assert request.output_url is not None
    async with aiohttp.ClientSession() as session, session.get(request.output_url) as response:
        etag = response.headers["ETag"]
    left_behind(target, OUTPUT + b"more", json.dumps({"validator": etag}).encode())

    await client.download(request, target)

    assert content(target) == OUTPUT


CORRUPT: dict[str, bytes] = {
    "empty": b"",
    "cut off": b'{"validator": "\\"v',
    "a list": b'["v1"]',
    "a number": b"7",
    "null": b"null",
    "validator of another type": b'{"validator": 5}',
    "validator with a line break": b'{"validator": "\\"v1\\"\\r\\nX-Evil: 1"}',
    "empty validator": b'{"validator": ""}',
    "weak validator": b'{"validator": "W/\\"v1\\""}',
    "not UTF-8": b"\xff\xfe\xfd",
    "binary": bytes(range(256)),
    "deeply nested": b"[" * 100_000,
}


@pytest.mark.parametrize("notes", CORRUPT.values(), ids=CORRUPT.keys())
async def test_a_part_without_readable_notes_starts_over(
    serve: Serve, client: AsyncClient, target: Path, notes: bytes
) -> None:
    left_behind(target, OTHER[:1000], notes)

    def answer(asked: Asked) -> Reply:
        return rest(OUTPUT, asked.resumes_at) if asked.resumes_at else reply(OUTPUT)

    origin = await serve(answer)

    await client.download(origin.url(), target)

    assert "range" not in origin.asked[0].headers
    assert content(target) == OUTPUT


async def test_notes_without_a_part_start_over(serve: Serve, client: AsyncClient, target: Path) -> None:
    notes_of(target).write_bytes(b'{"validator": "\\"v1\\""}')
    origin = await serve(reply(OUTPUT, headers=ETAG))

    await client.download(origin.url(), target)

    assert "range" not in origin.asked[0].headers
    assert names_in(target.parent) == ["film.mp4"]


async def test_a_folder_in_place_of_the_part_is_a_download_error(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    part_of(target).mkdir()
    origin = await serve(reply(OUTPUT))

    with pytest.raises(DownloadError):
        await client.download(origin.url(), target)


async def test_an_answer_short_of_its_length_is_never_taken_for_whole(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    origin = await serve(cut(OUTPUT, 699_999))

    with pytest.raises(DownloadError):
        await client.download(origin.url(), target)

    assert not is_there(target)


async def test_a_chunked_answer_without_its_end_is_never_taken_for_whole(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    origin = await serve(Reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "close"))

    with pytest.raises(DownloadError):
        await client.download(origin.url(), target)

    assert not is_there(target)


async def test_attempts_that_bring_nothing_are_bounded(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(cut(OUTPUT, 0, ETAG))

    with pytest.raises(DownloadError):
        async with asyncio.timeout(5):
            await client.download(origin.url(), target)

    assert len(origin.asked) == 3


async def test_attempts_that_always_start_over_are_bounded(serve: Serve, client: AsyncClient, target: Path) -> None:
    """Without a validator nothing is gained by an attempt that gets a little further than the one before."""
    sizes = [100_000, 50_000] * 20
    origin = await serve(*(cut(OUTPUT, size) for size in sizes), reply(OUTPUT))

    with pytest.raises(DownloadError):
        await client.download(origin.url(), target)

    assert len(origin.asked) < 10


class FullDisk(io.FileIO):
    """A disk with room for some bytes more, which takes what still fits."""

    room = 300_000

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = min(len(view), self.room)
        self.room -= count
        return super().write(view[:count])


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    plain_open = Part.open

    def open_on_full_disk(target: Path) -> Part:
        part = plain_open(target)
        part._file.close()
        part._file = io.BufferedWriter(FullDisk(part_of(target), "a"))
        return part

    with monkeypatch.context() as patched:
        patched.setattr(Part, "open", open_on_full_disk)
        yield patched


@pytest.mark.usefixtures("full_disk")
async def test_a_full_disk_is_a_download_error(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(reply(OUTPUT, headers=ETAG))

    with pytest.raises(DownloadError, match="No space left on device"):
        await client.download(origin.url(), target)

    assert not is_there(target)
    assert len(origin.asked) == 1


async def test_what_fitted_on_a_full_disk_is_resumed_when_there_is_room_again(
    serve: Serve, client: AsyncClient, target: Path, full_disk: pytest.MonkeyPatch
) -> None:
    def answer(asked: Asked) -> Reply:
        return rest(OUTPUT, asked.resumes_at, ETAG) if asked.resumes_at else reply(OUTPUT, headers=ETAG)

    origin = await serve(answer)
    with pytest.raises(DownloadError, match="will be resumed"):
        await client.download(origin.url(), target)
    full_disk.undo()

    await client.download(origin.url(), target)

    assert origin.asked[1].resumes_at > 0
    assert content(target) == OUTPUT


@pytest.mark.usefixtures("full_disk")
async def test_what_cannot_be_resumed_is_removed_from_a_full_disk(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    origin = await serve(reply(OUTPUT))

    with pytest.raises(DownloadError, match="Nothing was left"):
        await client.download(origin.url(), target)

    assert names_in(target.parent) == []


async def test_a_disk_that_fills_up_at_the_very_end_is_a_download_error(
    serve: Serve, client: AsyncClient, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", refuse)
    origin = await serve(reply(OUTPUT, headers=ETAG))

    with pytest.raises(DownloadError, match="No space left on device"):
        await client.download(origin.url(), target)

    assert names_in(target.parent) == ["film.mp4.part", "film.mp4.part.json"]


@pytest.mark.parametrize("headers", [{}, ETAG], ids=["without validator", "with validator"])
async def test_the_error_tells_the_truth_of_a_part_that_could_not_be_renamed(
    serve: Serve, client: AsyncClient, target: Path, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "replace", refuse)
    origin = await serve(reply(OUTPUT, headers=headers))

    with pytest.raises(DownloadError) as caught:
        await client.download(origin.url(), target)

    assert ("will be resumed" in str(caught.value)) == notes_of(target).exists()


async def test_an_expired_url_is_a_download_error_that_advises_to_read_the_request_again(
    sandbox: Sandbox, client: AsyncClient, target: Path
) -> None:
    request = await finished(sandbox)
    sandbox.expire_output(request.id)

    with pytest.raises(DownloadError, match=r"403.*read the request again"):
        await client.download(request, target)

    assert sandbox.count(OUTPUT_ROUTE) == 1


async def test_a_part_survives_the_expiry_of_its_url(serve: Serve, client: AsyncClient, target: Path) -> None:
    left_behind(target, OUTPUT[:1000])
    origin = await serve(reply(b"expired", "403 Forbidden"))

    with pytest.raises(DownloadError, match="will be resumed"):
        await client.download(origin.url(), target)

    assert content(part_of(target)) == OUTPUT[:1000]


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "404 Not Found", "410 Gone", "204 No Content", "501 Not Implemented"]
)
async def test_a_lasting_refusal_is_not_repeated(
    serve: Serve, client: AsyncClient, target: Path, status: str
) -> None:
    origin = await serve(reply(b"", status))

    with pytest.raises(DownloadError, match=status[:3]):
        await client.download(origin.url(), target)

    assert len(origin.asked) == 1
    assert names_in(target.parent) == []


@pytest.mark.parametrize("status", ["500 Oops", "502 Bad Gateway", "503 Unavailable", "429 Too Many", "408 Timeout"])
async def test_a_passing_refusal_is_repeated(serve: Serve, client: AsyncClient, target: Path, status: str) -> None:
    origin = await serve(reply(b"", status), reply(b"", status), reply(OUTPUT))

    await client.download(origin.url(), target)

    assert content(target) == OUTPUT


@pytest.mark.parametrize("status", ["500 Oops", "503 Unavailable"])
async def test_a_passing_refusal_that_lasts_is_a_download_error(
    serve: Serve, client: AsyncClient, target: Path, status: str
) -> None:
    origin = await serve(reply(b"", status))

    with pytest.raises(DownloadError, match=status[:3]):
        await client.download(origin.url(), target)

    assert len(origin.asked) == 3


@pytest.mark.parametrize(
    "encoding",
    ["gzip", "GZIP", "deflate", "br", "zstd", "x-gzip", "gzip, identity", "aws-chunked,gzip", "gzip, aws-chunked"],
)
async def test_a_compressed_output_is_refused(serve: Serve, client: AsyncClient, target: Path, encoding: str) -> None:
    origin = await serve(reply(gzip.compress(OUTPUT), headers={**ETAG, "Content-Encoding": encoding}))

    with pytest.raises(DownloadError, match="compressed the output"):
        await client.download(origin.url(), target)

    assert names_in(target.parent) == []


async def test_a_compression_in_a_second_header_is_refused(serve: Serve, client: AsyncClient, target: Path) -> None:
    both = {"Content-Encoding": "aws-chunked\r\nContent-Encoding: gzip"}
    origin = await serve(reply(gzip.compress(OUTPUT), headers=both))

    with pytest.raises(DownloadError, match=r"compressed the output \(gzip\)"):
        await client.download(origin.url(), target)


@pytest.mark.parametrize(
    "encoding", ["aws-chunked", "AWS-Chunked,", "UTF-8", "utf8", "binary", "none", "identity", "", "mp4", "7bit"]
)
@pytest.mark.parametrize("is_resumed", [False, True], ids=["whole", "resumed"])
async def test_a_coding_that_is_no_compression_leaves_the_bytes_as_they_are(
    serve: Serve, client: AsyncClient, target: Path, encoding: str, is_resumed: bool
) -> None:
    labelled = {**ETAG, "Content-Encoding": encoding}
    first = [cut(OUTPUT, 1000, labelled)] if is_resumed else []
    origin = await serve(*first, rest(OUTPUT, 1000, labelled) if is_resumed else reply(OUTPUT, headers=labelled))

    await client.download(origin.url(), target)

    assert content(target) == OUTPUT


async def test_no_compression_is_asked_for(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(reply(OUTPUT))

    await client.download(origin.url(), target)

    assert origin.asked[0].headers["accept-encoding"] == "identity"


CREDENTIALS = {"x-api-key", "authorization", "cookie", "proxy-authorization", "referer", "x-tenant"}


async def test_an_origin_sees_no_credentials(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(reply(OUTPUT))

    await client.with_options(default_headers={"X-Tenant": "acme"}).download(origin.url(), target)

    assert CREDENTIALS.isdisjoint(origin.asked[0].headers)


async def test_a_session_that_was_passed_in_adds_no_credentials(serve: Serve, target: Path) -> None:
    origin = await serve(reply(OUTPUT))
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        aiohttp.ClientSession(headers={"x-api-key": "k"}, cookies={"a": "b"}, cookie_jar=jar) as session,
        AsyncClient("sk-key", session=session) as client,
    ):
        await client.download(origin.url(), target)

    assert CREDENTIALS.isdisjoint(origin.asked[0].headers)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_to_another_host_is_followed_without_credentials(
    serve: Serve, client: AsyncClient, target: Path, status: str
) -> None:
    storage = await serve(reply(OUTPUT))
    origin = await serve(reply(b"", status, {"Location": storage.url(), "Set-Cookie": "a=b"}))

    await client.download(origin.url(), target)

    assert content(target) == OUTPUT
    assert CREDENTIALS.isdisjoint(storage.asked[0].headers)


async def test_credentials_in_a_url_do_not_follow_a_redirect_to_another_host(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    storage = await serve(reply(OUTPUT))
    origin = await serve(reply(b"", "302 Found", {"Location": storage.url()}))

    await client.download(origin.url().replace("//", "//me:secret@"), target)

    assert "authorization" not in storage.asked[0].headers


async def test_a_redirected_download_is_resumed(serve: Serve, client: AsyncClient, target: Path) -> None:
    storage = await serve(cut(OUTPUT, 1000, ETAG), rest(OUTPUT, 1000, ETAG))
    origin = await serve(reply(b"", "302 Found", {"Location": storage.url()}))

    await client.download(origin.url(), target)

    assert (storage.asked[1].headers["range"], storage.asked[1].headers["if-range"]) == ("bytes=1000-", '"v1"')
    assert content(target) == OUTPUT


@pytest.mark.parametrize(
    "location",
    [
        "ftp://127.0.0.1/film.mp4",
        "file:///etc/passwd",
        "data:text/plain,hi",
        "http://",
        "http://[::1/x",
        "javascript:1",
    ],
)
async def test_a_redirect_to_anything_but_the_web_is_refused(
    serve: Serve, client: AsyncClient, target: Path, location: str
) -> None:
    origin = await serve(reply(b"", "302 Found", {"Location": location}))

    with pytest.raises(DownloadError, match="redirect"):
        await client.download(origin.url(), target)

    assert names_in(target.parent) == []


async def test_a_redirect_without_end_is_a_download_error(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(reply(b"", "302 Found", {"Location": "/out/film.mp4"}))

    with pytest.raises(DownloadError, match="redirect"):
        await client.download(origin.url(), target)


SIGNED = (
    "/b%C3%BCcket/a%2Fb/film%20(1).mp4"
    "?X-Amz-Signature=a%2Fb%2Bc%3D%3d&e=%7E~&p=1+2&q=%e2%82%ac&empty=&flag&x=a:b/c?d@e"
)


def hops(count: int) -> Callable[[Asked], Reply]:
    """Redirect ``count`` times from /0 to /1 and so on, and answer with the output then."""

    def answer(asked: Asked) -> Reply:
        hop = int(asked.target.removeprefix("/"))
        return reply(OUTPUT) if hop == count else reply(b"", "302 Found", {"Location": f"/{hop + 1}"})

    return answer


async def test_ten_redirects_in_a_row_are_followed(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(hops(MAX_REDIRECTS))

    await client.download(origin.url("/0"), target)

    assert MAX_REDIRECTS == 10
    assert content(target) == OUTPUT


async def test_the_eleventh_redirect_in_a_row_is_a_download_error(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    origin = await serve(hops(MAX_REDIRECTS + 1))

    with pytest.raises(DownloadError, match="redirects more than 10 times"):
        await client.download(origin.url("/0"), target)

    assert [asked.target for asked in origin.asked] == [f"/{hop}" for hop in range(11)]


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_a_redirect_whose_connection_is_closed_unannounced_is_followed_on_a_fresh_one(
    serve: Serve, client: AsyncClient, target: Path, then: Literal["close", "reset"]
) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.target == "/film.mp4":
            return reply(OUTPUT)
        return reply(b"", "302 Found", {"Location": "/film.mp4"}, then=then)

    origin = await serve(answer)

    await client.with_options(retry=ONCE).download(origin.url("/first"), target)

    assert content(target) == OUTPUT
    assert [asked.target for asked in origin.asked] == ["/first", "/film.mp4"]


LOCATIONS = {
    "blank": (b"/a film.mp4?n=a b", "/a%20film.mp4?n=a%20b"),
    "UTF-8": ("/für élise.mp4?n=é".encode(), "/f%C3%BCr%20%C3%A9lise.mp4?n=%C3%A9"),
    "Latin-1": ("/für élise.mp4?n=é".encode("latin-1"), "/f%FCr%20%E9lise.mp4?n=%E9"),
    "quoted in part": ("/%C3%BC é%2f.mp4?a=%2B é".encode(), "/%C3%BC%20%C3%A9%2f.mp4?a=%2B%20%C3%A9"),
    "percent that quotes nothing": (b"/100% film.mp4", "/100%%20film.mp4"),
    "other characters": (
        b'/<a>"`{b}^|[c].mp4?q=<a>"`{b}^|[c]\'',
        "/%3Ca%3E%22%60%7Bb%7D%5E|[c].mp4?q=%3Ca%3E%22`{b}^|[c]'",
    ),
    "tab and blanks around": (b"  /fi\tlm.mp4  ", "/film.mp4"),
    "backslashes": (b"\\out\\film.mp4?a=\\", "/out/film.mp4?a=\\"),
    "fragment": ("/film.mp4#é".encode(), "/film.mp4"),
    "relative": (b"other film.mp4", "/out/other%20film.mp4"),
    "one folder up": (b"../other.mp4", "/other.mp4"),
    "query alone": (b"?a=b c", "/out/start.mp4?a=b%20c"),
    "scheme alone": (b"http:film.mp4", "/out/film.mp4"),
    "signed": (SIGNED.encode(), SIGNED),
}


@pytest.mark.parametrize(("location", "asked"), LOCATIONS.values(), ids=LOCATIONS.keys())
@pytest.mark.parametrize("is_absolute", [False, True], ids=["path", "URL"])
async def test_a_redirect_is_requested_as_browsers_do(
    serve: Serve, client: AsyncClient, target: Path, location: bytes, asked: str, is_absolute: bool
) -> None:
    """Bytes beyond ASCII are quoted one by one, whatever their encoding is."""
    storage = await serve(reply(OUTPUT))
    start = b""
    if is_absolute:
        if not location.startswith(b"/"):
            location = asked.encode()
        start = f"http://{storage.host}".encode()
    redirect = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + start + location + b"\r\n\r\n"
    origin = await serve(Reply(redirect), reply(OUTPUT))

    await client.download(origin.url("/out/start.mp4"), target)

    assert (storage if is_absolute else origin).asked[-1].target == asked


async def test_a_redirect_within_an_origin_keeps_the_credentials_in_its_url(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    origin = await serve(reply(b"", "302 Found", {"Location": "/film.mp4"}), reply(OUTPUT))

    await client.download(origin.url().replace("//", "//me:secret@"), target)

    assert [asked.headers.get("authorization") for asked in origin.asked] == ["Basic bWU6c2VjcmV0"] * 2


async def test_a_redirect_to_nowhere_is_a_download_error(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(reply(b"", "302 Found"))

    with pytest.raises(DownloadError, match="302"):
        await client.download(origin.url(), target)


async def test_a_signed_url_arrives_byte_for_byte(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(reply(OUTPUT))

    await client.download(origin.url(SIGNED), target)

    assert origin.asked[0].target == SIGNED


async def test_a_signed_url_behind_a_redirect_arrives_byte_for_byte(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    """An API that answers with a redirect to a signed URL is the usual way to hand out what lies in a store."""
    storage = await serve(reply(OUTPUT))
    origin = await serve(reply(b"", "302 Found", {"Location": storage.url(SIGNED)}))

    await client.download(origin.url(), target)

    assert storage.asked[0].target == SIGNED


async def test_a_fragment_is_not_sent(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(reply(OUTPUT))

    await client.download(origin.url("/film.mp4?a=b#t=10"), target)

    assert origin.asked[0].target == "/film.mp4?a=b"


@pytest.mark.parametrize(
    ("raw", "asked"),
    [
        ("/für élise.mp4", "/f%C3%BCr%20%C3%A9lise.mp4"),
        ("/é.mp4?sig=a%2fb%7E+c", "/%C3%A9.mp4?sig=a%2fb%7E+c"),
    ],
)
async def test_a_url_with_raw_characters_is_quoted_and_nothing_else_in_it(
    serve: Serve, client: AsyncClient, target: Path, raw: str, asked: str
) -> None:
    origin = await serve(reply(OUTPUT))

    await client.download(origin.url(raw), target)

    assert origin.asked[0].target == asked


FAILURES: dict[str, Sequence[Answer]] = {
    "expired": [reply(b"", "403 Forbidden")],
    "lasting 500": [reply(b"", "500 Oops")],
    "cut off": [cut(OUTPUT, 1000)],
    "reset": [Reply(b"", "reset")],
    "garbage": [Reply(b"this is not HTTP\r\n\r\n", "close")],
    "garbled header": [Reply(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "close")],
    "compressed": [reply(b"x", headers={"Content-Encoding": "br"})],
    "redirect to ftp": [reply(b"", "302 Found", {"Location": f"ftp://127.0.0.1/film.mp4?sig={SECRET}"})],
    "redirect to a bad URL": [reply(b"", "302 Found", {"Location": f"http://[::1/film.mp4?sig={SECRET}"})],
    "redirect without end": [reply(b"", "302 Found", {"Location": f"/film.mp4?sig={SECRET}"})],
    "redirect to an error": [
        reply(b"", "302 Found", {"Location": f"/film.mp4?sig={SECRET}"}),
        reply(b"", "404 Not Found"),
    ],
    "stall": [Reply(b"", "hang")],
}


async def failure_of(origin: Origin, client: AsyncClient, target: Path) -> DownloadError:
    with pytest.raises(DownloadError) as caught:
        await client.with_options(timeout=0.1).download(origin.url(f"/film.mp4?sig={SECRET}"), target)
    return caught.value


@pytest.mark.parametrize("answers", FAILURES.values(), ids=FAILURES.keys())
async def test_the_query_of_a_signed_url_is_in_no_message(
    serve: Serve, client: AsyncClient, target: Path, answers: Sequence[Answer]
) -> None:
    error = await failure_of(await serve(*answers), client, target)

    assert SECRET not in str(error)


@pytest.mark.parametrize("answers", FAILURES.values(), ids=FAILURES.keys())
async def test_the_query_of_a_signed_url_is_in_no_traceback(
    serve: Serve, client: AsyncClient, target: Path, answers: Sequence[Answer]
) -> None:
    error = await failure_of(await serve(*answers), client, target)

    assert SECRET not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("answers", [[reply(OUTPUT)], *FAILURES.values()], ids=["success", *FAILURES.keys()])
async def test_the_query_of_a_signed_url_is_in_no_log(
    serve: Serve, client: AsyncClient, target: Path, answers: Sequence[Answer], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    origin = await serve(*answers)

    with contextlib.suppress(DownloadError):
        await client.with_options(timeout=0.1).download(origin.url(f"/film.mp4?sig={SECRET}"), target)

    assert SECRET not in caplog.text


@pytest.mark.parametrize("into", ["file", "folder"])
@pytest.mark.parametrize("start", ["http://[::1", "http://127.0.0.1:99999", "ftp://127.0.0.1", "http://", ""])
async def test_the_query_of_a_url_that_is_none_is_in_no_message(
    client: AsyncClient, target: Path, start: str, into: str
) -> None:
    with pytest.raises(ChamelaionError) as caught:
        await client.download(f"{start}/film.mp4?sig={SECRET}", target if into == "file" else target.parent)

    assert SECRET not in "".join(traceback.format_exception(caught.value))


async def test_the_password_of_a_url_is_in_no_message(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(reply(b"", "403 Forbidden"))

    with pytest.raises(DownloadError) as caught:
        await client.download(origin.url().replace("//", f"//me:{SECRET}@"), target)

    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "answer",
    [Reply(b"", "hang"), reply(OUTPUT[:1000], length=len(OUTPUT), then="hang")],
    ids=["before the answer", "in the middle"],
)
async def test_a_stall_is_a_download_error_in_time(
    serve: Serve, client: AsyncClient, target: Path, answer: Reply
) -> None:
    origin = await serve(answer)
    began = time.monotonic()

    with pytest.raises(DownloadError):
        async with asyncio.timeout(5):
            await client.with_options(timeout=0.1).download(origin.url(), target)

    assert time.monotonic() - began < 2
    assert len(origin.asked) == 3


async def test_a_slow_download_may_take_longer_than_the_timeout(
    sandbox: Sandbox, client: AsyncClient, target: Path
) -> None:
    sandbox.inject(Fault.drip(0.05, step=64 * KiB), route=OUTPUT_ROUTE)
    request = await finished(sandbox)
    began = time.monotonic()

    await client.with_options(timeout=0.3, retry=ONCE).download(request, target)

    assert time.monotonic() - began > 0.4
    assert content(target) == OUTPUT


async def test_a_cancelled_download_closes_its_files(sluggish: Sluggish, client: AsyncClient, target: Path) -> None:
    task = await started(client, sluggish.origin.url(), target)
    was_open = is_open_here(part_of(target))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert was_open
    assert await is_closed_soon(part_of(target))


async def test_a_cancelled_download_can_be_resumed(sluggish: Sluggish, client: AsyncClient, target: Path) -> None:
    task = await started(client, sluggish.origin.url(), target)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    kept = part_of(target).stat().st_size
    assert kept > 0
    assert content(part_of(target)) == OUTPUT[:kept]
    assert json.loads(notes_of(target).read_bytes())["validator"] == '"v1"'


async def test_a_cancelled_download_leaves_no_task(sluggish: Sluggish, client: AsyncClient, target: Path) -> None:
    before = asyncio.all_tasks()
    task = await started(client, sluggish.origin.url(), target)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    left = {each for each in asyncio.all_tasks() - before if "connected" not in repr(each)}

    assert left == set()


async def test_cancelling_while_the_part_is_being_opened_leaks_no_file(
    serve: Serve, client: AsyncClient, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = await serve(reply(OUTPUT))
    is_opening, gate, has_opened = threading.Event(), threading.Event(), threading.Event()
    plain_open = Part.open

    def slow_open(path: Path) -> Part:
        is_opening.set()
        gate.wait(5)
        try:
            return plain_open(path)
        finally:
            has_opened.set()

    monkeypatch.setattr(Part, "open", slow_open)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        task = asyncio.create_task(client.download(origin.url(), target))
        await asyncio.to_thread(is_opening.wait)
        task.cancel()
        threading.Timer(0.02, gate.set).start()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(has_opened.wait)
        await asyncio.sleep(0.05)

    assert [str(each.message) for each in seen if each.category is ResourceWarning] == []


class SlowDisk(io.FileIO):
    """A disk that writes when the gate is open."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "a")
        self.is_writing = threading.Event()
        self.gate = threading.Event()

    def write(self, data: Any, /) -> int:
        self.is_writing.set()
        self.gate.wait(5)
        return super().write(data)


async def test_cancelling_while_a_slow_disk_writes_does_not_hold_the_loop(
    serve: Serve, client: AsyncClient, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = await serve(reply(OUTPUT, headers=ETAG))
    disk = SlowDisk(target.with_name("slow"))
    plain_open = Part.open

    def open_on_slow_disk(path: Path) -> Part:
        part = plain_open(path)
        part._file.close()
        part._file = io.BufferedWriter(disk)
        return part

    monkeypatch.setattr(Part, "open", open_on_slow_disk)
    task = asyncio.create_task(client.download(origin.url(), target))
    await asyncio.to_thread(disk.is_writing.wait, 5)
    threading.Timer(0.6, disk.gate.set).start()
    began = time.monotonic()
    task.cancel()
    await asyncio.sleep(0.01)
    held = time.monotonic() - began
    with contextlib.suppress(asyncio.CancelledError):
        await task

    assert held < 0.3


async def test_closing_the_client_ends_a_download(sluggish: Sluggish, target: Path) -> None:
    client = AsyncClient("sk-key")
    task = await started(client, sluggish.origin.url(), target)
    await client.aclose()

    with pytest.raises(ClientClosedError):
        await task
    assert await is_closed_soon(part_of(target))


async def test_closing_the_client_ends_the_pause_before_the_next_attempt(serve: Serve, target: Path) -> None:
    origin = await serve(reply(b"", "503 Unavailable"))
    client = AsyncClient("sk-key", retry=RetryPolicy(initial=60, max=60))
    task = asyncio.create_task(client.download(origin.url(), target))
    await asyncio.wait([task], timeout=0.1)
    await client.aclose()

    with pytest.raises(ClientClosedError):
        async with asyncio.timeout(2):
            await task


async def test_a_closed_client_downloads_nothing(serve: Serve, target: Path) -> None:
    origin = await serve(reply(OUTPUT))
    client = AsyncClient("sk-key")
    await client.aclose()

    with pytest.raises(ClientClosedError):
        await client.download(origin.url(), target)

    assert origin.asked == []


TRAVERSING = [
    "/..%2f..%2fevil.mp4",
    "/%2e%2e",
    "/%2e%2e%2f%2e%2e",
    "/a/%2e",
    "/..%5c..%5cevil.mp4",
    "/%2fetc%2fpasswd",
    "/.bashrc",
    "/evil%00.mp4",
    "/c:evil.mp4",
    "/",
    "",
    "?name=/../evil.mp4",
    "/evil%0a.mp4",
]


@pytest.mark.parametrize("path", TRAVERSING)
async def test_a_name_in_a_url_stays_within_the_folder(
    serve: Serve, client: AsyncClient, tmp_path: Path, path: str
) -> None:
    origin = await serve(reply(OUTPUT))
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)

    written = await client.download(origin.url(path), folder)

    assert written.parent == folder
    assert not written.name.startswith(".")
    assert files_below(tmp_path) == [written]


@pytest.mark.parametrize("language", ["../../evil", "..", "/etc/passwd", "", "a/b", "a\\b", "nul\0", ".hidden", "\n"])
async def test_the_name_of_a_language_stays_within_the_folder(
    serve: Serve, client: AsyncClient, tmp_path: Path, language: str
) -> None:
    origin = await serve(reply(OUTPUT))
    artifacts = Artifacts(video=origin.url(), audio=origin.url(), srt=origin.url())
    folder = tmp_path / "a" / "b"

    await client.download(translation({language: artifacts}), folder)

    files = files_below(tmp_path)
    assert len(files) == 3
    assert {each.parent for each in files} == {folder}


@pytest.mark.parametrize("languages", [("a/b", "a_b"), ("..", "."), ("zh:TW", "zh/TW")], ids=repr)
async def test_no_language_is_lost_to_one_with_a_similar_name(
    serve: Serve, client: AsyncClient, tmp_path: Path, languages: tuple[str, str]
) -> None:
    origin = await serve(reply(OUTPUT))
    artifacts = Artifacts(video=origin.url(), audio=origin.url(), srt=origin.url())

    try:
        await client.download(translation(dict.fromkeys(languages, artifacts)), tmp_path / "films")
    except ChamelaionError:
        return  # said, not lost
    assert len(names_in(tmp_path / "films")) == 6


@pytest.fixture(scope="module")
def large_download() -> dict[str, float]:
    """What 64 MiB cost in a process of their own."""
    program = [sys.executable, str(MEDIA_BENCHMARK), "--mib", "64", "--only", "download"]
    done = subprocess.run(program, capture_output=True, check=True, text=True, timeout=60)
    row: dict[str, float] = json.loads(done.stdout)[0]
    return row


def test_a_large_download_takes_constant_memory(large_download: dict[str, float]) -> None:
    assert large_download["peak_growth_mib"] < 32


def test_a_large_download_does_not_hold_the_loop(large_download: dict[str, float]) -> None:
    """Machines under load let any process wait, so that the worst gap is bounded generously."""
    assert large_download["gap_p50_ms"] < 50
    assert large_download["gap_max_ms"] < 250


def pipe_at(path: Path) -> Path:
    os.mkfifo(path)
    return path


def socket_at(path: Path) -> Path:
    # The address of a socket holds some hundred bytes; the path of a temporary folder may be longer.
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path.name)
    return path


def linked(path: Path, to: Path) -> Path:
    path.symlink_to(to)
    return path


def link_of(path: Path) -> Path | None:
    return path.readlink() if path.is_symlink() else None


def is_pipe(path: Path) -> bool:
    return path.is_fifo()


def remove(path: Path) -> None:
    path.unlink()


def old_file(path: Path, mode: int = 0o644) -> os.stat_result:
    path.write_bytes(b"old")
    path.chmod(mode)
    return path.stat()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


SPECIAL: dict[str, Callable[[Path], Path]] = {
    "device": lambda _: Path(os.devnull),
    "pipe": lambda folder: pipe_at(folder / "pipe"),
    "socket": lambda folder: socket_at(folder / "socket"),
    "symlink to a device": lambda folder: linked(folder / "link", Path(os.devnull)),
    "symlink to a pipe": lambda folder: linked(folder / "link", pipe_at(folder / "pipe")),
}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("make", SPECIAL.values(), ids=SPECIAL.keys())
async def test_a_device_a_pipe_and_a_socket_are_refused_and_stay(
    serve: Serve,
    client: AsyncClient,
    tmp_path: Path,
    make: Callable[[Path], Path],
    overwrite: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(Path, "replace")  # this machine's null device must survive a failure of this test
    origin = await serve(reply(OUTPUT))
    target = make(tmp_path)
    before, names = target.lstat(), names_in(tmp_path)

    with pytest.raises(DownloadError, match="it is a device, a pipe or a socket"):
        await client.download(origin.url(), target, overwrite=overwrite)

    assert os.path.samestat(before, target.lstat())
    assert (names_in(tmp_path), origin.asked) == (names, [])


async def test_a_pipe_that_appears_meanwhile_is_not_replaced(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(reply(OUTPUT))

    with pytest.raises(DownloadError, match="has appeared meanwhile"):
        await client.download(
            origin.url(), target, overwrite=True, on_progress=lambda *_: None if is_there(target) else pipe_at(target)
        )

    assert is_pipe(target)


@pytest.mark.parametrize("data", [b"old", None], ids=["to a file", "to nothing"])
async def test_a_symlink_stays_and_the_file_that_it_leads_to_is_written(
    serve: Serve, client: AsyncClient, target: Path, tmp_path: Path, data: bytes | None
) -> None:
    far = tmp_path / "far"
    far.mkdir()
    file = far / "film.mp4"
    if data is not None:
        put(file, data)
    linked(target, file)
    origin = await serve(reply(OUTPUT))

    assert await client.download(origin.url(), target, overwrite=data is not None) == target

    assert (link_of(target), content(file)) == (file, OUTPUT)
    assert (names_in(far), names_in(target.parent)) == (["film.mp4"], ["film.mp4"])


async def test_the_file_that_a_symlink_leads_to_is_left_alone_unless_asked_to(
    serve: Serve, client: AsyncClient, target: Path, tmp_path: Path
) -> None:
    put(tmp_path / "other.mp4", b"precious")
    linked(target, tmp_path / "other.mp4")
    origin = await serve(reply(OUTPUT))

    with pytest.raises(DownloadError, match="exists"):
        await client.download(origin.url(), target)

    assert (content(target), link_of(target)) == (b"precious", tmp_path / "other.mp4")


async def test_a_symlink_that_leads_round_in_circles_is_a_download_error(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    origin = await serve(reply(OUTPUT))
    linked(target, target)

    with pytest.raises(DownloadError, match="symbolic links"):
        await client.download(origin.url(), target, overwrite=True)

    assert origin.asked == []


async def test_a_descriptor_of_a_deleted_file_is_refused(serve: Serve, client: AsyncClient, target: Path) -> None:
    origin = await serve(reply(OUTPUT))
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT)
    try:
        remove(target)
        with pytest.raises(DownloadError, match="a file that has no name"):
            await client.download(origin.url(), f"/proc/self/fd/{descriptor}", overwrite=True)
    finally:
        os.close(descriptor)

    assert names_in(target.parent) == []


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o755])
async def test_an_overwritten_file_keeps_its_mode(serve: Serve, client: AsyncClient, target: Path, mode: int) -> None:
    old_file(target, mode)
    origin = await serve(reply(OUTPUT))

    await client.download(origin.url(), target, overwrite=True)

    assert (content(target), mode_of(target)) == (OUTPUT, mode)


async def test_what_replaces_a_private_file_is_private_while_it_grows(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    old_file(target, 0o600)
    origin = await serve(reply(OUTPUT))
    seen: set[int] = set()

    await client.download(
        origin.url(),
        target,
        overwrite=True,
        on_progress=lambda *_: seen.add(mode_of(part_of(target))),
    )

    assert seen == {0o600}


async def test_an_overwritten_file_keeps_its_owner_where_that_is_allowed(
    serve: Serve, client: AsyncClient, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, given = old_file(target), []
    plain_stat = Path.stat

    def of_another(path: Path, **options: Any) -> os.stat_result:
        found = plain_stat(path, **options)
        return os.stat_result((*found[:4], 4711, 4712, *found[6:])) if path == part_of(target) else found

    def refuse(path: Path, user: int, group: int) -> None:
        given.append((path, user, group))
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "stat", of_another)
    monkeypatch.setattr(os, "chown", refuse)
    origin = await serve(reply(OUTPUT))

    await client.download(origin.url(), target, overwrite=True)

    assert given == [(part_of(target), owner.st_uid, owner.st_gid)]
    assert content(target) == OUTPUT


FOREIGN: dict[str, Callable[[Path], object]] = {
    "file": lambda path: path.write_bytes(b"of another program"),
    "empty file": lambda path: path.touch(),
    "symlink": lambda path: linked(path, path.with_name("elsewhere")),
    "symlink to a file": lambda path: linked(path, Path(__file__)),
    "pipe": pipe_at,
    "folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize("suffix", [".part", ".part.json"])
@pytest.mark.parametrize("answer", [reply(OUTPUT), reply(b"", "404 Not Found")], ids=["success", "failure"])
async def test_another_programs_part_is_neither_deleted_nor_written_to(
    serve: Serve, client: AsyncClient, target: Path, make: Callable[[Path], object], suffix: str, answer: Reply
) -> None:
    if suffix == ".part.json" and make is FOREIGN["file"]:
        make = lambda path: path.write_bytes(b'{"version": 1}')  # noqa: E731
    if suffix == ".part.json" and make is FOREIGN["empty file"]:
        make = FOREIGN["folder"]  # empty notes are what is left of ours after a crash
    foreign = target.with_name(target.name + suffix)
    make(foreign)
    before, names = foreign.lstat(), names_in(target.parent)
    origin = await serve(answer)

    with pytest.raises(DownloadError, match="stands in the way"):
        await client.download(origin.url(), target)

    after = foreign.lstat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    assert (names_in(target.parent), origin.asked) == (names, [])


@pytest.mark.parametrize("then", [lambda path: put(path, b"of another program"), lambda path: None])
async def test_a_file_that_has_replaced_the_part_meanwhile_is_not_taken_for_it(
    serve: Serve, client: AsyncClient, target: Path, then: Callable[[Path], None]
) -> None:
    origin = await serve(reply(OUTPUT))

    def replace(_: int, __: int | None) -> None:
        part_of(target).unlink(missing_ok=True)
        then(part_of(target))

    with pytest.raises(DownloadError, match="another process wrote to the part as well, or moved it"):
        await client.download(origin.url(), target, on_progress=replace)

    assert not is_there(target)
    assert not is_there(part_of(target)) or content(part_of(target)) == b"of another program"


def test_a_part_of_a_download_that_was_killed_is_known_again(target: Path) -> None:
    """Even where nothing in it can be resumed."""
    code = (
        "import os, sys; from pathlib import Path; from chamelaion_async._media.partial_file import Part;"
        "part = Part.open(Path(sys.argv[1])); part.restart(None, None); part.write(b'x' * 9); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert names_in(target.parent) == ["film.mp4.part", "film.mp4.part.json"]

    Part.open(target).suspend()

    assert names_in(target.parent) == []


@pytest.mark.parametrize("refused", ["notes", "part"])
def test_a_part_that_cannot_be_begun_leaves_nothing(
    target: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    plain_open = Path.open

    def open_or_refuse(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if "r" not in mode and (path.suffix == ".json") == (refused == "notes"):
            plain_open(notes_of(target), "w").close()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return plain_open(path, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_or_refuse)
    with pytest.raises(OSError, match="No space left"):
        Part.open(target)

    assert names_in(target.parent) == []


@pytest.mark.parametrize("path", ["new/", "new/within/", "."])
async def test_a_path_that_ends_with_a_slash_is_a_folder(
    serve: Serve, client: AsyncClient, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    origin = await serve(reply(OUTPUT))

    assert await client.download(origin.url(), path) == Path(path, "film.mp4")
    assert content(tmp_path / path / "film.mp4") == OUTPUT


async def test_a_path_that_ends_with_a_slash_is_no_file(serve: Serve, client: AsyncClient, target: Path) -> None:
    put(target, b"precious")
    origin = await serve(reply(OUTPUT))

    with pytest.raises(DownloadError, match="cannot be made"):
        await client.download(origin.url(), f"{target}/", overwrite=True)

    assert (content(target), origin.asked) == (b"precious", [])


@pytest.mark.parametrize("unit", ["bytes ", "Bytes ", "BYTES ", "bytes  "])
async def test_a_range_is_one_however_its_unit_is_written(
    serve: Serve, client: AsyncClient, target: Path, unit: str
) -> None:
    """Units are compared without regard to case (RFC 9110, section 14.1)."""
    bounds = {**ETAG, "Content-Range": f"{unit}1000-{len(OUTPUT) - 1}/{len(OUTPUT)}"}
    origin = await serve(cut(OUTPUT, 1000, ETAG), rest(OUTPUT, 1000, bounds))

    await client.download(origin.url(), target)

    assert content(target) == OUTPUT
    assert len(origin.asked) == 2


@pytest.mark.parametrize("unit", ["bytes ", "Bytes "])
async def test_416_completes_a_whole_part_however_its_unit_is_written(
    serve: Serve, client: AsyncClient, target: Path, unit: str
) -> None:
    left_behind(target, OUTPUT)
    headers = {"Content-Range": f"{unit}*/{len(OUTPUT)}"}
    origin = await serve(reply(b"", "416 Range Not Satisfiable", headers), reply(OTHER))

    await client.download(origin.url(), target)

    assert content(target) == OUTPUT


EXPIRED = (
    b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>ExpiredToken</Code><Message>Invalid argument.</Message>"
    b"<Details>The provided token has expired. Request signature expired at: 2026-04-07</Details></Error>"
)


@pytest.mark.parametrize("body", [EXPIRED, b'{"error": "URL EXPIRED"}', b"<" + b" " * 3000 + EXPIRED])
async def test_a_400_that_tells_of_expiry_advises_to_read_the_request_again(
    serve: Serve, client: AsyncClient, target: Path, body: bytes
) -> None:
    left_behind(target, OUTPUT[:1000])
    origin = await serve(reply(body, "400 Bad Request"))

    with pytest.raises(DownloadError, match=r"400.*expired.*read the request again.*will be resumed"):
        await client.download(origin.url(), target)

    assert len(origin.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"<Error><Code>InvalidArgument</Code></Error>", "400 Bad Request"),
        reply(b"<Er", "400 Bad Request", length=100, then="close"),
        reply(b"<Er", "400 Bad Request", length=100, then="hang"),
        reply(b"", "400 Bad Request"),
    ],
    ids=["another reason", "cut off", "stalled", "no reason"],
)
async def test_any_other_400_advises_to_check_the_url(
    serve: Serve, client: AsyncClient, target: Path, answer: Reply
) -> None:
    origin = await serve(answer)

    with pytest.raises(DownloadError, match=r"answered 400\. Check the URL"):
        await client.with_options(timeout=0.2).download(origin.url(), target)

    assert len(origin.asked) == 1


HTML = {**ETAG, "Content-Type": "text/html; charset=utf-8"}
PAGES: dict[str, tuple[bytes, Mapping[str, str]]] = {
    "doctype": (b"<!DOCTYPE html>\n<title>Log in</title>", HTML),
    "no doctype": (b"<title>Log in</title>", HTML),
    "blanks before it": (b" \r\n\t" * 99 + b"<HTML lang=en>", HTML),
    "byte order mark": (b"\xef\xbb\xbf<!doctype  HTML>", ETAG),
    "no type": (b"\n<!doctype html><p>404</p>", ETAG),
    "type of a video": (b"<html><body>404</body></html>", {**ETAG, "Content-Type": "video/mp4"}),
    "XHTML": (b"<?xml version='1.0'?><html/>", {**ETAG, "Content-Type": "application/xhtml+xml"}),
}


@pytest.mark.parametrize(("page", "headers"), PAGES.values(), ids=PAGES.keys())
async def test_a_web_page_in_place_of_an_output_is_a_download_error(
    serve: Serve, client: AsyncClient, target: Path, page: bytes, headers: Mapping[str, str]
) -> None:
    origin = await serve(reply(page, headers=headers))

    with pytest.raises(DownloadError, match=r"a web page in place of the output.*read the request again"):
        await client.download(origin.url(), target)

    assert names_in(target.parent) == []
    assert len(origin.asked) == 1


async def test_a_web_page_does_not_cost_the_part_that_is_on_disk(
    serve: Serve, client: AsyncClient, target: Path
) -> None:
    """As where a hotel's network wants a login in between."""
    left_behind(target, OUTPUT[:1000])
    origin = await serve(reply(b"<!doctype html><p>Log in</p>", headers=HTML), rest(OUTPUT, 1000, ETAG))

    with pytest.raises(DownloadError, match="will be resumed"):
        await client.download(origin.url(), target)
    await client.download(origin.url(), target)

    assert content(target) == OUTPUT


@pytest.mark.parametrize("name", ["page.html", "PAGE.HTM", "page.xhtml"])
async def test_a_web_page_is_saved_under_a_name_of_one(
    serve: Serve, client: AsyncClient, target: Path, name: str
) -> None:
    origin = await serve(reply(b"<!doctype html><p>Hello</p>", headers=HTML))

    path = await client.download(origin.url(), target.with_name(name))

    assert content(path) == b"<!doctype html><p>Hello</p>"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (OUTPUT, HTML),
        (b"1\n00:00:01,000 --> 00:00:02,000\n<html> says hello\n", HTML),
        (b"<header of some format" * 999, ETAG),
        (b" " * 9000 + OUTPUT, ETAG),
        (b"<", ETAG),
    ],
    ids=["labelled only", "subtitles", "another markup", "blanks", "a single byte"],
)
async def test_what_is_no_web_page_is_saved(
    serve: Serve, client: AsyncClient, target: Path, body: bytes, headers: Mapping[str, str]
) -> None:
    origin = await serve(reply(body, headers=headers))

    await client.download(origin.url(), target)

    assert content(target) == body


class Address:
    """A URL that is no str, as those of pydantic, yarl and httpx are."""

    scheme, host = "https", "example.com"


async def test_a_url_that_is_no_str_is_refused_with_the_true_reason(client: AsyncClient, target: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"a URL as a str, not Address; pass str\(url\)"):
        await client.download(Address(), target)  # type: ignore[arg-type]
