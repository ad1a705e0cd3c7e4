"""Uploads: whatever is handed in arrives whole, once, or nothing is submitted and the reason is said."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import json
import mmap
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import aiohttp
import pytest

from chamelaion_async import (
    APIConnectionError,
    APITimeoutError,
    AsyncClient,
    AuthenticationError,
    ChamelaionError,
    ClientClosedError,
    ConfigurationError,
    InternalServerError,
    QuotaExceededError,
    RetryPolicy,
    SubmissionUncertainError,
)
from chamelaion_async._media.uploads import MediaSource, Upload
from chamelaion_async.sandbox import Fault, Job, Sandbox

KiB = 1024
MiB = 1024 * KiB
ROUTE = "POST /v1/lipsync/generate-with-media"
QUICK = RetryPolicy(initial=0.001, max=0.01)
ONCE = RetryPolicy(attempts=1)
VIDEO = bytes(range(256)) * 2500  # 640,000 bytes: three chunks, the last one not full
AUDIO = bytes(reversed(range(256))) * 1200
MEDIA_BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "media.py"
UNAUTHORIZED = (
    b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n"
    b'{"error":"unauthorized"}'
)

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Peer = Callable[[Talk], Awaitable[str]]
Make = Callable[[Path], MediaSource]


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    async with AsyncClient("sk-test-key", base_url=sandbox.base_url, retry=QUICK, timeout=10.0) as made:
        yield made


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    """``await peer(talk)`` lets ``talk(reader, writer)`` do as it likes with each connection, and gives the base URL.

    What arrives waits in small buffers, so that a client soon feels that nobody reads.
    """
    servers: list[asyncio.Server] = []
    tasks: set[asyncio.Task[Any]] = set()

    async def start(talk: Talk) -> str:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await talk(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                pass  # the client left, or the test is over
            finally:
                tasks.discard(task)
                writer.close()

        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * KiB)
        listener.bind(("127.0.0.1", 0))
        servers.append(await asyncio.start_server(connected, sock=listener, limit=64 * KiB))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/api"

    yield start
    for server in servers:
        server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks)
    for server in servers:
        await server.wait_closed()


def reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def pass_on(sandbox: Sandbox, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry one connection to the sandbox."""
    host, port = sandbox.base_url.removeprefix("http://").removesuffix("/api").split(":")
    near, far = await asyncio.open_connection(host, int(port))

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(64 * KiB):
            sink.write(data)
            await sink.drain()
        sink.close()

    try:
        await asyncio.gather(carry(reader, far), carry(near, writer))
    finally:
        far.close()


async def submit(client: AsyncClient, video: Any, audio: Any = AUDIO, **options: Any) -> str:
    return (await client.lipsync.generate_with_media(video=video, audio=audio, **options)).request_id


def only_job(sandbox: Sandbox) -> Job:
    (job,) = sandbox.jobs.values()
    return job


def arrived(sandbox: Sandbox, field: str = "video") -> bytes:
    return only_job(sandbox).uploads[field].path.read_bytes()


def written(folder: Path, data: bytes = VIDEO, name: str = "film.mp4") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def sparse(folder: Path, size: int = 32 * MiB) -> Path:
    """Make a file that no socket buffer can swallow, and that takes no room on disk."""
    path = folder / "large.mp4"
    with path.open("wb") as file:
        file.truncate(size)
    return path


def in_pieces(data: bytes, size: int = 100_000) -> Callable[[], AsyncIterator[bytes]]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), size):
            yield data[start : start + size]

    return chunks


def is_open_here(path: Path) -> bool:
    """Whether this process holds the file open."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if descriptor.readlink() == path:
                return True
    return False


async def is_closed_soon(path: Path) -> bool:
    """Whether the file is closed, at the latest when a read that is under way has ended."""
    for _ in range(100):
        if not is_open_here(path):
            return True
        await asyncio.sleep(0.01)
    return False


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        yield file


class FromForm:
    """A file that came in with a form, as FastAPI and Starlette hand it on: they read it with ``await``."""

    def __init__(self, file: Any, filename: str | None = "film.mov", content_type: str | None = None) -> None:
        self.file, self.filename, self.content_type = file, filename, content_type

    async def read(self, size: int = -1) -> bytes:
        return cast("bytes", self.file.read(size))

    async def seek(self, offset: int) -> None:
        self.file.seek(offset)


class FromWerkzeug(io.BytesIO):
    """A file that came in with a form, as Flask hands it on: its ``name`` is that of the field."""

    name, filename, content_type = "attachment", "film.mov", "video/x-own"


class Awaited:
    """A file of aiofiles or anyio."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    async def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    async def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    async def tell(self) -> int:
        return self._file.tell()


class Delegated:
    """A file that does not show in its methods that they are to be awaited."""

    def __init__(self, data: bytes) -> None:
        self._file = Awaited(data)

    def read(self, size: int = -1) -> Awaitable[bytes]:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> Awaitable[int]:
        return self._file.seek(offset, whence)

    def tell(self) -> Awaitable[int]:
        return self._file.tell()


class Address:
    """A URL that is no str, as those of pydantic, yarl and httpx are."""

    scheme, host = "https", "example.com"

    def __str__(self) -> str:
        return "https://example.com/film.mp4"


SOURCES: dict[str, Make] = {
    "str": lambda folder: str(written(folder)),
    "Path": written,
    "bytes": lambda _: VIDEO,
    "bytearray": lambda _: cast("bytes", bytearray(VIDEO)),
    "memoryview": lambda _: cast("bytes", memoryview(VIDEO)),
    "memoryview of numbers": lambda _: cast("bytes", memoryview(VIDEO).cast("I")),
    "BytesIO": lambda _: io.BytesIO(VIDEO),
    "Upload of a path": lambda folder: Upload(written(folder)),
    "factory": lambda _: Upload(in_pieces(VIDEO), size=len(VIDEO)),
    "factory of one chunk": lambda _: Upload(in_pieces(VIDEO, len(VIDEO)), size=len(VIDEO)),
}


def mapped(folder: Path) -> Any:
    with written(folder).open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


SOURCES["mmap"] = mapped
SOURCES["file of a form"] = lambda _: FromForm(io.BytesIO(VIDEO))
SOURCES["Upload of a file of a form"] = lambda _: Upload(FromForm(io.BytesIO(VIDEO)))
every_source = pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES.keys())


@every_source
async def test_every_kind_of_source_arrives_byte_for_byte(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, make: Make
) -> None:
    await submit(client, make(tmp_path))

    assert arrived(sandbox) == VIDEO


async def test_an_open_file_arrives_from_where_it_stands(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path
) -> None:
    with opened(written(tmp_path)) as file:
        file.seek(1000)
        await submit(client, file)

    assert arrived(sandbox) == VIDEO[1000:]


async def test_a_memory_map_arrives_from_where_it_stands_and_stands_there_again(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path
) -> None:
    with mapped(tmp_path) as memory:
        memory.seek(1000)
        await submit(client, memory)

        assert (arrived(sandbox), memory.tell()) == (VIDEO[1000:], 1000)


@pytest.mark.parametrize(
    ("source", "name", "content_type"),
    [
        (FromForm(io.BytesIO(VIDEO), "für.mov", "video/x-own"), "für.mov", "video/x-own"),
        (FromForm(io.BytesIO(VIDEO), "film.mov"), "film.mov", "video/quicktime"),
        (FromForm(io.BytesIO(VIDEO), None, "video/x-own"), "video", "video/x-own"),
        (FromForm(io.BytesIO(VIDEO), "film.mov", "nonsense\n"), "film.mov", "video/quicktime"),
        (Upload(FromForm(io.BytesIO(VIDEO), "film.mov", "video/x-own"), file_name="a.mp4"), "a.mp4", "video/x-own"),
        (Upload(FromForm(io.BytesIO(VIDEO), "film.mov"), content_type="video/mp4"), "film.mov", "video/mp4"),
        (FromWerkzeug(VIDEO), "film.mov", "video/x-own"),
    ],
)
async def test_a_file_of_a_form_keeps_its_name_and_type(
    sandbox: Sandbox, client: AsyncClient, source: Any, name: str, content_type: str
) -> None:
    await submit(client, source)

    upload = only_job(sandbox).uploads["video"]
    assert (upload.filename, upload.content_type) == (name, content_type)


async def test_an_unbuffered_file_arrives(sandbox: Sandbox, client: AsyncClient, tmp_path: Path) -> None:
    with written(tmp_path).open("rb", buffering=0) as file:
        await submit(client, file)

    assert arrived(sandbox) == VIDEO


class Bare:
    """A file in its behaviour only, as those of storage libraries are."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self.read, self.seek, self.tell = self._file.read, self._file.seek, self._file.tell


async def test_an_object_that_reads_and_seeks_is_file_enough(sandbox: Sandbox, client: AsyncClient) -> None:
    await submit(client, Bare(VIDEO))

    assert arrived(sandbox) == VIDEO


async def test_one_open_file_can_be_video_and_audio(sandbox: Sandbox, client: AsyncClient, tmp_path: Path) -> None:
    with opened(written(tmp_path)) as file:
        await submit(client, file, file)

    assert (arrived(sandbox), arrived(sandbox, "audio")) == (VIDEO, VIDEO)


class Unhurried(io.FileIO):
    """A file on a disk where another thread gets its turn between a seek and a read."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        position = super().seek(offset, whence)
        time.sleep(0.001)
        return position


async def test_one_open_file_can_be_in_several_uploads_at_once(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path
) -> None:
    """As when many videos get the same sound."""
    with Unhurried(written(tmp_path, VIDEO * 2)) as file:
        await asyncio.gather(*(submit(client, file) for _ in range(4)))

    assert [job.uploads["video"].path.read_bytes() == VIDEO * 2 for job in sandbox.jobs.values()] == [True] * 4


async def test_both_media_and_the_fields_arrive_each_under_its_name(sandbox: Sandbox, client: AsyncClient) -> None:
    await submit(client, VIDEO, AUDIO, reference_id="dub-7", disable_active_speaker_detection=True)

    job = only_job(sandbox)
    assert (arrived(sandbox), arrived(sandbox, "audio")) == (VIDEO, AUDIO)
    assert (job.reference_id, job.payload["disable_active_speaker_detection"]) == ("dub-7", True)


async def test_a_translation_is_uploaded_in_the_same_way(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path
) -> None:
    await client.video_translate.generate_with_media(video=written(tmp_path), target_languages=["de"])

    assert arrived(sandbox) == VIDEO


async def test_the_length_is_announced_and_nothing_is_chunked(sandbox: Sandbox, client: AsyncClient) -> None:
    await submit(client, Upload(in_pieces(VIDEO), size=len(VIDEO)))

    headers = sandbox.received[-1].headers
    assert int(headers["Content-Length"]) > len(VIDEO) + len(AUDIO)
    assert "Transfer-Encoding" not in headers


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("film.mp4", "video/mp4"),
        ("film.mov", "video/quicktime"),
        ("film", "application/octet-stream"),
    ],
)
async def test_a_path_says_its_name_and_type(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, name: str, content_type: str
) -> None:
    await submit(client, written(tmp_path, name=name))

    upload = only_job(sandbox).uploads["video"]
    assert (upload.filename, upload.content_type) == (name, content_type)


async def test_an_open_file_says_the_name_of_its_path_without_folders(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path
) -> None:
    with opened(written(tmp_path)) as file:
        await submit(client, file)

    assert only_job(sandbox).uploads["video"].filename == "film.mp4"


async def test_a_file_opened_by_number_is_named_after_its_field(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path
) -> None:
    with open(os.open(written(tmp_path), os.O_RDONLY), "rb") as file:  # noqa: ASYNC230, PTH123
        await submit(client, file)

    assert only_job(sandbox).uploads["video"].filename == "video"


async def test_bytes_are_named_after_their_field(sandbox: Sandbox, client: AsyncClient) -> None:
    await submit(client, VIDEO, AUDIO)

    assert {name: upload.filename for name, upload in only_job(sandbox).uploads.items()} == {
        "video": "video",
        "audio": "audio",
    }


async def test_upload_says_another_name_and_type(sandbox: Sandbox, client: AsyncClient) -> None:
    await submit(client, Upload(VIDEO, file_name="take-2.mp4", content_type="video/x-test"))

    upload = only_job(sandbox).uploads["video"]
    assert (upload.filename, upload.content_type) == ("take-2.mp4", "video/x-test")


NAMES = ["für Élise.mp4", "映画 🎬.mp4", 'a "quoted".mp4', "back\\slash.mp4", "semi; name=audio.mp4", "100%25.mp4"]


@pytest.mark.parametrize("name", [name for name in NAMES if "\\" not in name])  # which the sandbox's parser drops
async def test_any_name_arrives_as_browsers_send_it(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, name: str
) -> None:
    await submit(client, written(tmp_path, name=name))

    assert only_job(sandbox).uploads["video"].filename == name.replace('"', "%22")


@pytest.mark.parametrize("name", NAMES)
async def test_no_name_keeps_the_media_from_arriving(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, name: str
) -> None:
    await submit(client, written(tmp_path, name=name))

    assert (arrived(sandbox), arrived(sandbox, "audio")) == (VIDEO, AUDIO)


UNHEADERLY = ['x"\r\nX-Evil: 1\r\n\r\n.mp4', "two\nlines.mp4", "bell\a.mp4", os.fsdecode(b"caf\xe9.mp4")]
"""Linux allows them as file names. The last one is in Latin-1, of which Python makes a lone surrogate."""


@pytest.mark.parametrize("name", UNHEADERLY)
async def test_a_path_whose_name_no_header_can_hold_arrives(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, name: str
) -> None:
    await submit(client, written(tmp_path, name=name))

    assert (arrived(sandbox), arrived(sandbox, "audio")) == (VIDEO, AUDIO)


@pytest.mark.parametrize("name", [*UNHEADERLY, "nul\0.mp4"])
async def test_a_given_name_that_no_header_can_hold_is_mended_or_a_configuration_error(
    sandbox: Sandbox, client: AsyncClient, name: str
) -> None:
    try:
        await submit(client, Upload(VIDEO, file_name=name))
    except ConfigurationError:
        assert sandbox.received == ()
    else:
        assert arrived(sandbox) == VIDEO


FATES: dict[str, tuple[Fault | None, type[Exception] | None]] = {
    "success": (None, None),
    "refused": (Fault.status(412, when="after"), QuotaExceededError),
    "refused early": (Fault.status(412), QuotaExceededError),
    "reset at once": (Fault.reset(), ChamelaionError),
    "lost": (Fault.reset(when="after"), SubmissionUncertainError),
}


@pytest.mark.parametrize("start", [0, 300_000], ids=["from the beginning", "from the middle"])
@pytest.mark.parametrize(("fault", "error"), FATES.values(), ids=FATES.keys())
async def test_an_open_file_stays_open_and_where_it_was(
    sandbox: Sandbox,
    client: AsyncClient,
    tmp_path: Path,
    fault: Fault | None,
    error: type[Exception] | None,
    start: int,
) -> None:
    if fault is not None:
        sandbox.inject(fault, route=ROUTE)
    with opened(written(tmp_path)) as file:
        file.seek(start)
        with pytest.raises(error) if error else contextlib.nullcontext():
            await submit(client, file)

        assert (file.closed, file.tell()) == (False, start)


async def interrupted(client: AsyncClient, file: BinaryIO, how: str, is_stuck: asyncio.Event) -> None:
    upload = asyncio.create_task(submit(client, file))
    await asyncio.wait([upload, asyncio.create_task(is_stuck.wait())], return_when=asyncio.FIRST_COMPLETED)
    if how == "cancelled":
        upload.cancel()
    elif how == "closed":
        await client.aclose()
    with contextlib.suppress(ChamelaionError, asyncio.CancelledError):
        await upload


@pytest.mark.parametrize("how", ["cancelled", "closed", "timed out", "reset"])
async def test_an_open_file_is_back_where_it_was_as_soon_as_an_upload_is_interrupted(
    peer: Peer, tmp_path: Path, how: str
) -> None:
    is_stuck = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100 * KiB)
        is_stuck.set()
        if how == "reset":
            reset(writer)
        await for_ever()

    limit = 0.1 if how == "timed out" else 10.0
    async with AsyncClient("key", base_url=await peer(talk), retry=ONCE, timeout=limit) as client:
        with opened(sparse(tmp_path)) as file:
            file.seek(5)
            await interrupted(client, file, how, is_stuck)

            assert (file.closed, file.tell()) == (False, 5)


class Gated(io.FileIO):
    """An unbuffered file on a slow disk: its first read waits for the gate."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.is_reading = threading.Event()
        self.gate = threading.Event()
        self.has_read = threading.Event()

    def _wait(self) -> bool:
        is_first = not self.is_reading.is_set()
        if is_first:
            self.is_reading.set()
            self.gate.wait(5)
        return is_first

    def readinto(self, buffer: Any, /) -> int | None:
        is_first = self._wait()
        count = super().readinto(buffer)
        if is_first:
            self.has_read.set()
        return count

    def read(self, size: int | None = -1, /) -> bytes:
        is_first = self._wait()
        data = super().read(-1 if size is None else size)
        if is_first:
            self.has_read.set()
        return data


async def test_a_read_under_way_when_an_upload_is_cancelled_does_not_move_the_file_afterwards(
    client: AsyncClient, tmp_path: Path
) -> None:
    with Gated(written(tmp_path)) as file:
        upload = asyncio.create_task(submit(client, file))
        await asyncio.to_thread(file.is_reading.wait)
        upload.cancel()
        threading.Timer(0.02, file.gate.set).start()
        with contextlib.suppress(asyncio.CancelledError):
            await upload
        await asyncio.to_thread(file.has_read.wait)
        await asyncio.sleep(0.01)

        assert file.tell() == 0


async def test_a_read_under_way_when_an_attempt_breaks_does_not_take_bytes_from_the_next_attempt(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path
) -> None:
    sandbox.inject(Fault.reset(), route=ROUTE, times=1)
    with Gated(written(tmp_path)) as file:

        def finish_the_first_read() -> None:
            file.gate.set()
            file.has_read.wait(5)

        threading.Timer(0.3, file.gate.set).start()  # for those who wait for the read, as they may
        await submit(client, file, on_progress=at_first_chunk(finish_the_first_read))

    assert arrived(sandbox) == VIDEO


def text_mode(folder: Path) -> Any:
    return written(folder, b"text").open("r")


def closed(folder: Path) -> Any:
    with opened(written(folder)) as file:
        return file


def pipe(_: Path) -> Any:
    reading, writing = os.pipe()
    os.close(writing)
    return os.fdopen(reading, "rb")


def write_only(folder: Path) -> Any:
    return written(folder).open("ab")


def text_in_a_wrapper(folder: Path) -> Any:
    file = tempfile.NamedTemporaryFile("w+", dir=folder)  # noqa: SIM115
    file.write("text" * 1000)
    file.seek(0)
    return file


USELESS: dict[str, Callable[[Path], Any]] = {
    "missing": lambda folder: folder / "missing.mp4",
    "missing str": lambda folder: str(folder / "missing.mp4"),
    "text that is no path": lambda _: "the film itself",
    "URL": lambda _: "https://example.com/film.mp4",
    "NUL in the path": lambda _: "film\0.mp4",
    "empty str": lambda _: "",
    "empty file": lambda folder: written(folder, b""),
    "empty bytes": lambda _: b"",
    "empty BytesIO": lambda _: io.BytesIO(),
    "at its end": lambda folder: _at_end(written(folder)),
    "directory": lambda folder: folder,
    "text mode": text_mode,
    "StringIO": lambda _: io.StringIO("text"),
    "text mode, temporary": text_in_a_wrapper,
    "closed": closed,
    "pipe": pipe,
    "write only": write_only,
    "stream reader": lambda _: asyncio.StreamReader(),
    "factory without size": lambda _: Upload(in_pieces(VIDEO)),
    "bare factory": lambda _: in_pieces(VIDEO),
    "factory of nothing": lambda _: Upload(in_pieces(b""), size=0),
    "negative size": lambda _: Upload(in_pieces(VIDEO), size=-1),
    "size as text": lambda _: Upload(in_pieces(VIDEO), size=cast("int", "640000")),
    "size as fraction": lambda _: Upload(in_pieces(VIDEO), size=cast("int", 640_000.5)),
    "memoryview with gaps": lambda _: memoryview(VIDEO)[::2],
    "file to be awaited": lambda _: Awaited(VIDEO),
    "file to be awaited without showing it": lambda _: Delegated(VIDEO),
    "file of a form at its end": lambda folder: FromForm(_at_end(written(folder))),
    "file of a form that is to be awaited": lambda _: FromForm(Awaited(VIDEO)),
    "URL that is no str": lambda _: Address(),
    "file name that is no str": lambda _: Upload(VIDEO, file_name=cast("str", 7)),
    "None": lambda _: None,
    "number": lambda _: 7,
    "list": lambda _: [VIDEO],
    "content type with newline": lambda _: Upload(VIDEO, content_type="video/mp4\r\nX-Evil: 1"),
}


def close(source: Any) -> None:
    file = getattr(source, "file", source)
    if hasattr(file, "close"):
        file.close()


def _at_end(path: Path) -> Any:
    file = path.open("rb")
    file.seek(0, os.SEEK_END)
    return file


@pytest.mark.parametrize("make", USELESS.values(), ids=USELESS.keys())
@pytest.mark.parametrize("field", ["video", "audio"])
async def test_what_cannot_be_uploaded_is_a_configuration_error_before_anything_is_sent(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, field: str, make: Callable[[Path], Any]
) -> None:
    source = make(tmp_path)
    try:
        with pytest.raises(ConfigurationError, match=field):
            await client.lipsync.generate_with_media(**{"video": VIDEO, "audio": AUDIO, field: source})
    finally:
        close(source)

    assert sandbox.jobs == {}


REASONS = {
    "file to be awaited": "can only be read with await",
    "file to be awaited without showing it": "can only be read with await",
    "file of a form that is to be awaited": "can only be read with await",
    "file of a form at its end": "stands at its end",
    "URL that is no str": r"str\(url\) to generate",
    "URL": "a URL goes to generate",
    "at its end": "stands at its end",
}


@pytest.mark.parametrize(("name", "reason"), REASONS.items())
async def test_what_cannot_be_uploaded_is_refused_with_the_true_reason(
    client: AsyncClient, tmp_path: Path, name: str, reason: str
) -> None:
    source = USELESS[name](tmp_path)
    try:
        with pytest.raises(ConfigurationError, match=reason):
            await submit(client, source)
    finally:
        close(source)


@pytest.mark.parametrize(
    "name", ["missing", "directory", "closed", "pipe", "text mode", "bare factory", "empty file"]
)
async def test_nothing_goes_over_the_wire_for_what_cannot_be_uploaded(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, name: str
) -> None:
    source = USELESS[name](tmp_path)
    try:
        with pytest.raises(ConfigurationError):
            await submit(client, source, reference_id="dub-1")
    finally:
        if hasattr(source, "close"):
            source.close()

    assert sandbox.received == ()


async def test_a_file_that_may_not_be_read_is_a_configuration_error(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)

    def refuse(self: Path, *_: Any, **__: Any) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuse)
        with pytest.raises(ConfigurationError, match="Permission denied"):
            await submit(client, path)

    assert sandbox.received == ()


async def test_a_named_pipe_that_nobody_writes_to_does_not_hang_the_upload(
    client: AsyncClient, tmp_path: Path
) -> None:
    path = tmp_path / "pipe.mp4"
    os.mkfifo(path)
    upload = asyncio.create_task(submit(client, path))
    try:
        done, _ = await asyncio.wait([upload], timeout=0.5)
    finally:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))  # lets a thread go that waits for a writer
        with contextlib.suppress(ConfigurationError):
            await upload

    assert done


def at_first_chunk(act: Callable[[], object]) -> Callable[[int, int], None]:
    has_acted = False

    def on_progress(_: int, __: int) -> None:
        nonlocal has_acted
        if not has_acted:
            has_acted = True
            act()

    return on_progress


def append_to(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"one more scene")


CHANGES: dict[str, Callable[[Path], object]] = {
    "shrinks": lambda path: os.truncate(path, 300_000),
    "is emptied": lambda path: os.truncate(path, 0),
    "grows": append_to,
}


@pytest.mark.parametrize("is_open", [False, True], ids=["path", "open file"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_a_file_that_changes_its_size_while_it_is_sent_is_not_submitted(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, change: Callable[[Path], object], is_open: bool
) -> None:
    path = written(tmp_path)
    with opened(path) as file, pytest.raises(ConfigurationError, match="video"):
        async with asyncio.timeout(5):
            await submit(client, file if is_open else path, on_progress=at_first_chunk(lambda: change(path)))

    assert sandbox.jobs == {}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_a_small_file_that_changes_its_size_before_it_is_sent_is_not_submitted(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    path = written(tmp_path, AUDIO, "sound.wav")
    with pytest.raises(ConfigurationError, match="audio"):
        async with asyncio.timeout(5):
            await submit(client, VIDEO, path, on_progress=at_first_chunk(lambda: change(path)))

    assert sandbox.jobs == {}


async def test_a_file_that_vanishes_between_two_attempts_is_a_configuration_error(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path
) -> None:
    path = written(tmp_path)
    sandbox.inject(Fault.status(429, when="after", headers={"Retry-After": "0"}), route=ROUTE, times=1)

    with pytest.raises(ConfigurationError, match=r"film\.mp4"):
        await submit(client, path, on_progress=at_first_chunk(path.unlink))


class BrokenDisk(io.BytesIO):
    """A file whose second chunk cannot be read."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(size)


async def test_a_file_that_cannot_be_read_to_its_end_is_a_configuration_error(
    sandbox: Sandbox, client: AsyncClient
) -> None:
    with pytest.raises(ConfigurationError, match="Input/output error"):
        await submit(client, BrokenDisk(VIDEO))

    assert sandbox.jobs == {}


@pytest.mark.parametrize("off", [-1, -300_000, 1, 100_000])
@pytest.mark.parametrize("chunk", [100_000, 1_000_000], ids=["in chunks", "at once"])
async def test_a_factory_that_does_not_keep_to_its_size_submits_nothing(
    sandbox: Sandbox, client: AsyncClient, off: int, chunk: int
) -> None:
    data = VIDEO[:off] if off < 0 else VIDEO + bytes(off)

    with pytest.raises(ConfigurationError, match="video"):
        async with asyncio.timeout(5):
            await submit(client, Upload(in_pieces(data, chunk), size=len(VIDEO)))

    assert sandbox.jobs == {}


@pytest.mark.parametrize("field", ["video", "audio"])
async def test_a_last_chunk_too_many_submits_nothing(sandbox: Sandbox, client: AsyncClient, field: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield VIDEO
        yield b"more"

    media = {"video": VIDEO, "audio": AUDIO, field: Upload(chunks, size=len(VIDEO))}
    with pytest.raises(ConfigurationError, match=field):
        async with asyncio.timeout(5):
            await client.lipsync.generate_with_media(**media)  # type: ignore[arg-type]

    assert sandbox.jobs == {}


async def test_a_factory_of_text_is_a_configuration_error(sandbox: Sandbox, client: AsyncClient) -> None:
    async def chunks() -> AsyncIterator[Any]:
        yield "text"

    with pytest.raises(ConfigurationError, match="video"):
        await submit(client, Upload(chunks, size=4))

    assert sandbox.jobs == {}


async def test_a_factory_that_gives_an_exhausted_iterator_again_does_not_upload_an_empty_file(
    sandbox: Sandbox, client: AsyncClient
) -> None:
    sandbox.inject(Fault.rate_limited(0), route=ROUTE, times=1)
    only = in_pieces(VIDEO)()

    with pytest.raises(ConfigurationError, match="video"):
        async with asyncio.timeout(5):
            await submit(client, Upload(lambda: only, size=len(VIDEO)))

    assert sandbox.jobs == {}


RAISED: dict[str, Exception] = {
    "ValueError": ValueError("mine"),
    "RuntimeError": RuntimeError("mine"),
    "OSError": OSError("mine"),
    "ConnectionError": ConnectionResetError("mine"),
    "TimeoutError": TimeoutError("mine"),
    "aiohttp's": aiohttp.ClientConnectionError("mine"),
}
every_error = pytest.mark.parametrize("mine", RAISED.values(), ids=RAISED.keys())


@every_error
async def test_what_on_progress_raises_reaches_the_caller_and_submits_nothing(
    sandbox: Sandbox, client: AsyncClient, mine: Exception
) -> None:
    def on_progress(_: int, __: int) -> None:
        raise mine

    with pytest.raises(Exception, match="mine") as caught:
        await submit(client, VIDEO, on_progress=on_progress)

    assert caught.value is mine
    assert sandbox.jobs == {}


async def test_what_on_progress_raises_at_the_very_end_still_submits_nothing(
    sandbox: Sandbox, client: AsyncClient
) -> None:
    def on_progress(sent: int, total: int) -> None:
        if sent == total:
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await submit(client, VIDEO, on_progress=on_progress)

    assert sandbox.jobs == {}


async def test_what_on_progress_raises_keeps_its_own_cause(client: AsyncClient) -> None:
    cause = KeyError("why")

    def on_progress(_: int, __: int) -> None:
        raise LookupError("mine") from cause

    with pytest.raises(LookupError) as caught:
        await submit(client, VIDEO, on_progress=on_progress)

    assert caught.value.__cause__ is cause


async def test_what_a_factory_raises_reaches_the_caller_and_submits_nothing(
    sandbox: Sandbox, client: AsyncClient
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield VIDEO[:1000]
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await submit(client, Upload(chunks, size=len(VIDEO)))

    assert sandbox.jobs == {}


async def test_a_read_error_is_the_cause_of_the_configuration_error(client: AsyncClient) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await submit(client, BrokenDisk(VIDEO))

    assert getattr(caught.value.__cause__, "errno", None) == errno.EIO


@every_source
async def test_progress_never_goes_back_and_ends_with_the_total(
    client: AsyncClient, tmp_path: Path, make: Make
) -> None:
    seen: list[tuple[int, int]] = []

    await submit(client, make(tmp_path), on_progress=lambda sent, total: seen.append((sent, total)))

    total = len(VIDEO) + len(AUDIO)
    assert seen == sorted(seen)
    assert {each[1] for each in seen} == {total}
    assert seen[-1] == (total, total)
    assert len(seen) > 2


async def test_a_new_attempt_counts_from_the_beginning(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Fault.status(429, when="after", headers={"Retry-After": "0"}), route=ROUTE, times=1)
    seen: list[int] = []

    await submit(client, VIDEO, on_progress=lambda sent, _: seen.append(sent))

    total = len(VIDEO) + len(AUDIO)
    assert seen.count(total) == 2
    assert seen[seen.index(total) + 1] < total


RETRYABLE: dict[str, Make] = {
    "path": written,
    "bytes": lambda _: VIDEO,
    "BytesIO": lambda _: io.BytesIO(VIDEO),
    "factory": lambda _: Upload(in_pieces(VIDEO), size=len(VIDEO)),
}


@pytest.mark.parametrize("make", RETRYABLE.values(), ids=RETRYABLE.keys())
async def test_after_a_429_the_whole_file_is_sent_again(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, make: Make
) -> None:
    sandbox.inject(Fault.rate_limited(0), route=ROUTE, times=2)

    await submit(client, make(tmp_path))

    assert arrived(sandbox) == VIDEO
    assert sandbox.count(ROUTE) == 3


async def test_after_a_429_an_open_file_is_sent_again_from_where_it_was(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path
) -> None:
    sandbox.inject(Fault.rate_limited(0), route=ROUTE, times=1)
    with opened(written(tmp_path)) as file:
        file.seek(12345)
        await submit(client, file)

    assert arrived(sandbox) == VIDEO[12345:]


@pytest.mark.parametrize("kind", ["path", "open file", "factory"])
@pytest.mark.parametrize("ending", ["reset", "closed"])
async def test_a_connection_that_breaks_in_the_middle_is_repeated_and_makes_exactly_one_job(
    sandbox: Sandbox, peer: Peer, tmp_path: Path, kind: str, ending: str
) -> None:
    path = sparse(tmp_path, 16 * MiB)
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections > 1:
            await pass_on(sandbox, reader, writer)
            return
        await reader.readexactly(MiB)
        if ending == "reset":
            reset(writer)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(16):
            yield bytes(MiB)

    async with AsyncClient("key", base_url=await peer(talk), retry=QUICK, timeout=10.0) as client:
        with opened(path) as file:
            source = {"path": path, "open file": file, "factory": Upload(chunks, size=16 * MiB)}[kind]
            await submit(client, source)

    assert only_job(sandbox).uploads["video"].size == 16 * MiB
    assert connections == 2


async def test_a_connection_that_keeps_breaking_in_the_middle_was_certainly_not_sent(
    peer: Peer, tmp_path: Path
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(MiB)
        reset(writer)

    async with AsyncClient("key", base_url=await peer(talk), retry=QUICK) as client:
        with pytest.raises(APIConnectionError) as caught:
            await submit(client, sparse(tmp_path))

    assert (caught.value.sent, caught.value.attempts) == ("no", 3)


async def test_a_reset_after_the_last_byte_is_uncertain_and_not_repeated(
    sandbox: Sandbox, client: AsyncClient
) -> None:
    sandbox.inject(Fault.reset(when="after"), route=ROUTE)

    with pytest.raises(SubmissionUncertainError):
        await submit(client, VIDEO)

    assert (sandbox.count(ROUTE), len(sandbox.jobs)) == (1, 1)


async def test_a_500_after_the_last_byte_is_uncertain_and_not_repeated(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Fault.status(500, when="after"), route=ROUTE)

    with pytest.raises(SubmissionUncertainError) as caught:
        await submit(client, VIDEO)

    assert isinstance(caught.value.__cause__, InternalServerError)
    assert (sandbox.count(ROUTE), len(sandbox.jobs)) == (1, 1)


async def test_a_lost_answer_is_made_good_by_the_reference_id(
    sandbox: Sandbox, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chamelaion_async.resources.submission.LOOKS", (0.0,))
    sandbox.inject(Fault.reset(when="after"), route=ROUTE, times=1)

    found = await submit(client, VIDEO, reference_id="dub-9")

    assert found == only_job(sandbox).id


async def test_a_refused_key_is_an_authentication_error(tmp_path: Path) -> None:
    async with Sandbox(keys=["good"]) as sandbox:
        async with AsyncClient("bad", base_url=sandbox.base_url, retry=QUICK, timeout=5.0) as client:
            with pytest.raises(AuthenticationError):
                await submit(client, sparse(tmp_path))

        assert sandbox.jobs == {}


async def test_an_answer_while_the_upload_still_goes_on_is_what_the_caller_gets(peer: Peer, tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(UNAUTHORIZED)
        while await reader.read(MiB):
            pass

    async with AsyncClient("key", base_url=await peer(talk), retry=QUICK, timeout=5.0) as client:
        with pytest.raises(AuthenticationError):
            await submit(client, sparse(tmp_path))


async def test_an_answer_of_a_peer_that_reads_no_further_is_what_the_caller_gets(peer: Peer, tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(UNAUTHORIZED)
        await for_ever()

    async with AsyncClient("key", base_url=await peer(talk), retry=QUICK, timeout=0.2) as client:
        with pytest.raises(AuthenticationError):
            async with asyncio.timeout(5):
                await submit(client, sparse(tmp_path))


async def test_an_early_answer_followed_by_a_close_ends_the_upload_soon(peer: Peer, tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(UNAUTHORIZED)
        await writer.drain()

    async with AsyncClient("key", base_url=await peer(talk), retry=QUICK, timeout=5.0) as client:
        with pytest.raises(ChamelaionError):
            async with asyncio.timeout(5):
                await submit(client, sparse(tmp_path))


async def test_a_peer_that_stops_reading_is_a_timeout_after_which_nothing_was_sent(
    peer: Peer, tmp_path: Path
) -> None:
    async def talk(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readexactly(MiB)
        await for_ever()

    async with AsyncClient("key", base_url=await peer(talk), retry=ONCE, timeout=0.2) as client:
        began = time.monotonic()
        with pytest.raises(APITimeoutError) as caught:
            await submit(client, sparse(tmp_path))

    assert caught.value.sent == "no"
    assert time.monotonic() - began < 3


async def test_a_source_that_stops_giving_is_a_timeout_after_which_nothing_was_sent(client: AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield VIDEO[:1000]
        await for_ever()

    with pytest.raises(APITimeoutError) as caught:
        await submit(client.with_options(timeout=0.1, retry=ONCE), Upload(chunks, size=len(VIDEO)))

    assert caught.value.sent == "no"


async def test_a_peer_that_reads_all_and_never_answers_leaves_the_submission_uncertain(
    sandbox: Sandbox, client: AsyncClient
) -> None:
    sandbox.inject(Fault.hang(when="after"), route=ROUTE)

    with pytest.raises(SubmissionUncertainError) as caught:
        await submit(client.with_options(timeout=0.3), VIDEO)

    assert isinstance(caught.value.__cause__, APITimeoutError)
    assert sandbox.count(ROUTE) == 1


async def test_a_slow_source_may_take_longer_than_the_timeout(sandbox: Sandbox, client: AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(VIDEO), 80_000):
            await asyncio.sleep(0.08)
            yield VIDEO[start : start + 80_000]

    began = time.monotonic()
    await submit(client.with_options(timeout=0.4), Upload(chunks, size=len(VIDEO)))

    assert time.monotonic() - began > 0.6
    assert arrived(sandbox) == VIDEO


async def test_a_slow_peer_may_take_longer_than_the_timeout(sandbox: Sandbox, peer: Peer, tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        for _ in range(12):
            head += await reader.readexactly(512 * KiB)
            await asyncio.sleep(0.05)
        unread = asyncio.StreamReader()
        unread.feed_data(head)

        async def feed() -> None:
            while data := await reader.read(MiB):
                unread.feed_data(data)
            unread.feed_eof()

        await asyncio.gather(pass_on(sandbox, unread, writer), feed())

    async with AsyncClient("key", base_url=await peer(talk), retry=ONCE, timeout=0.4) as client:
        began = time.monotonic()
        await submit(client, sparse(tmp_path, 12 * MiB))

    assert time.monotonic() - began > 0.5
    assert only_job(sandbox).uploads["video"].size == 12 * MiB


@pytest.fixture
async def stuck(peer: Peer) -> tuple[str, asyncio.Event]:
    """A service that reads the beginning of an upload, says so, and then nothing more."""
    is_stuck = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readexactly(MiB)
        is_stuck.set()
        await for_ever()

    return await peer(talk), is_stuck


async def test_cancelling_in_the_middle_closes_our_file(stuck: tuple[str, asyncio.Event], tmp_path: Path) -> None:
    base_url, is_stuck = stuck
    path = sparse(tmp_path)
    async with AsyncClient("key", base_url=base_url, retry=QUICK) as client:
        upload = asyncio.create_task(submit(client, path))
        await is_stuck.wait()
        was_open = is_open_here(path)
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload

        assert was_open
        assert await is_closed_soon(path)


async def test_cancelling_in_the_middle_leaves_no_task_behind(
    stuck: tuple[str, asyncio.Event], tmp_path: Path
) -> None:
    base_url, is_stuck = stuck
    before = asyncio.all_tasks()
    async with AsyncClient("key", base_url=base_url, retry=QUICK) as client:
        upload = asyncio.create_task(submit(client, sparse(tmp_path)))
        await is_stuck.wait()
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload
        left = {
            task
            for task in asyncio.all_tasks() - before
            if "talk" not in repr(task) and "connected" not in repr(task)
        }

        assert left == set()


async def test_cancelling_in_the_middle_leaves_no_job(sandbox: Sandbox, client: AsyncClient) -> None:
    has_begun = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield VIDEO[:300_000]
        has_begun.set()
        await for_ever()

    upload = asyncio.create_task(submit(client, Upload(chunks, size=len(VIDEO))))
    await has_begun.wait()
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    await client.lipsync.requests.list()

    assert sandbox.jobs == {}


async def test_cancelling_in_the_middle_ends_the_callers_generator(client: AsyncClient) -> None:
    has_begun, has_ended = asyncio.Event(), asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield VIDEO[:300_000]
            has_begun.set()
            await for_ever()
        finally:
            has_ended.set()

    upload = asyncio.create_task(submit(client, Upload(chunks, size=len(VIDEO))))
    await has_begun.wait()
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload

    assert has_ended.is_set()


async def test_a_generator_is_closed_when_the_upload_fails_between_two_chunks(client: AsyncClient) -> None:
    """Left to the garbage collector, it would be finalised at some later time and in another task."""
    has_ended = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        try:
            for _ in range(10):
                yield VIDEO
        finally:
            has_ended.set()

    def on_progress(_: int, __: int) -> None:
        raise LookupError("mine")

    source = chunks()
    with pytest.raises(LookupError):
        await submit(client, Upload(lambda: source, size=10 * len(VIDEO)), on_progress=on_progress)

    assert has_ended.is_set()


async def test_cancelling_while_a_file_is_being_opened_does_not_leak_it(
    client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)
    is_opening, gate, has_opened = threading.Event(), threading.Event(), threading.Event()
    plain_open = Path.open
    calls = 0

    def slow_open(self: Path, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += self == path
        if self != path or calls != 2:  # the first one only looks at the size
            return plain_open(self, *args, **kwargs)
        is_opening.set()
        gate.wait(5)
        try:
            return plain_open(self, *args, **kwargs)
        finally:
            has_opened.set()

    monkeypatch.setattr(Path, "open", slow_open)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        upload = asyncio.create_task(submit(client, path))
        await asyncio.to_thread(is_opening.wait)
        upload.cancel()
        threading.Timer(0.02, gate.set).start()
        with pytest.raises(asyncio.CancelledError):
            await upload
        await asyncio.to_thread(has_opened.wait)
        await asyncio.sleep(0.05)

    assert [str(each.message) for each in seen if each.category is ResourceWarning] == []


async def test_cancelling_while_a_slow_disk_is_read_does_not_hold_the_loop(
    client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = Gated(written(tmp_path))
    plain_open = Path.open
    calls = 0

    def slow_open(self: Path, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += self.name == "film.mp4"
        is_slow = self.name == "film.mp4" and calls == 2  # the first one only looks
        return io.BufferedReader(raw) if is_slow else plain_open(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", slow_open)
    upload = asyncio.create_task(submit(client, tmp_path / "film.mp4"))
    await asyncio.to_thread(raw.is_reading.wait)
    threading.Timer(0.6, raw.gate.set).start()
    began = time.monotonic()
    upload.cancel()
    await asyncio.sleep(0.01)
    held = time.monotonic() - began
    with contextlib.suppress(asyncio.CancelledError):
        await upload

    assert held < 0.3


async def test_closing_the_client_in_the_middle_ends_the_upload(
    stuck: tuple[str, asyncio.Event], tmp_path: Path
) -> None:
    base_url, is_stuck = stuck
    path = sparse(tmp_path)
    client = AsyncClient("key", base_url=base_url, retry=QUICK)
    upload = asyncio.create_task(submit(client, path))
    await is_stuck.wait()
    await client.aclose()

    with pytest.raises(ClientClosedError):
        await upload
    assert await is_closed_soon(path)


@pytest.mark.parametrize("how", ["succeeds", "is refused", "breaks"])
async def test_our_file_is_closed_however_an_upload_ends(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, how: str
) -> None:
    path = written(tmp_path)
    if how != "succeeds":
        sandbox.inject(Fault.status(400) if how == "is refused" else Fault.reset(), route=ROUTE)
    with contextlib.suppress(ChamelaionError):
        await submit(client, path)

    assert await is_closed_soon(path)


@pytest.fixture(scope="module")
def large_upload() -> dict[str, float]:
    """What 64 MiB cost in a process of their own."""
    program = [sys.executable, str(MEDIA_BENCHMARK), "--mib", "64", "--only", "upload"]
    done = subprocess.run(program, capture_output=True, check=True, text=True, timeout=60)
    row: dict[str, float] = json.loads(done.stdout)[0]
    return row


def test_a_large_upload_takes_constant_memory(large_upload: dict[str, float]) -> None:
    assert large_upload["peak_growth_mib"] < 32


def test_a_large_upload_does_not_hold_the_loop(large_upload: dict[str, float]) -> None:
    """Machines under load let any process wait, so that the worst gap is bounded generously."""
    assert large_upload["gap_p50_ms"] < 50
    assert large_upload["gap_max_ms"] < 250
