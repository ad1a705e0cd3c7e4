"""Uploads: every kind of source arrives byte for byte, and what cannot be uploaded is refused before it is sent."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import mmap
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, cast

import pytest

from chamelaion_async import ConfigurationError
from chamelaion_async._media.uploads import MediaSource, Upload

from .media import AUDIO, TOTAL, VIDEO, FromForm, Submit, in_pieces, written

Make = Callable[[Path], Any]


class FromWerkzeug(io.BytesIO):
    """A file that came in with a form, as Flask passes it on: its ``name`` is that of the field."""

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


class Address:
    """A URL that is no str, as those of pydantic, yarl and httpx are."""

    scheme, host = "https", "example.com"

    def __str__(self) -> str:
        return "https://example.com/film.mp4"


def bare(file: Any, **changed: Any) -> Any:
    """Return a file in its behaviour only, as those of storage libraries are; it cannot be a key."""
    methods = {name: lambda *values, name=name: getattr(file, name)(*values) for name in ("read", "seek", "tell")}
    return SimpleNamespace(**{**methods, **changed})


class Position:
    """An awaitable that is no coroutine."""

    def __await__(self) -> Generator[None, None, int]:
        raise NotImplementedError


def mapped(folder: Path) -> Any:
    with written(folder).open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class Chunks:
    """An async iterable that is no generator."""

    def __init__(self) -> None:
        self._left = [VIDEO[:1000], VIDEO[1000:]]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop(0)


SOURCES: dict[str, Callable[[Path], MediaSource]] = {
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
    "class of chunks": lambda _: Upload(Chunks, size=len(VIDEO)),
    "mmap": mapped,
    "file of a form": lambda _: FromForm(io.BytesIO(VIDEO)),
    "Upload of a file of a form": lambda _: Upload(FromForm(io.BytesIO(VIDEO))),
}


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES.keys())
async def test_every_kind_of_source_arrives_byte_for_byte_and_counts_to_the_total(
    upload: Submit, tmp_path: Path, make: Make
) -> None:
    seen: list[tuple[int, int]] = []

    await upload(make(tmp_path), on_progress=lambda sent, total: seen.append((sent, total)))

    assert upload.arrived() == VIDEO
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {TOTAL}
    assert seen[-1] == (TOTAL, TOTAL)
    assert len(seen) > 2


def unbuffered(folder: Path) -> BinaryIO:
    return cast("BinaryIO", written(folder).open("rb", buffering=0))


def by_number(folder: Path) -> BinaryIO:
    return open(os.open(written(folder), os.O_RDONLY), "rb")  # noqa: PTH123


OPEN_FILES: dict[str, Make] = {
    "file": lambda folder: written(folder).open("rb"),
    "unbuffered file": unbuffered,
    "mmap": mapped,
    "object that reads and seeks": lambda _: bare(io.BytesIO(VIDEO)),
}


@pytest.mark.parametrize("make", OPEN_FILES.values(), ids=OPEN_FILES.keys())
async def test_an_open_file_arrives_from_where_it_stands_and_stands_there_again(
    upload: Submit, tmp_path: Path, make: Make
) -> None:
    file = make(tmp_path)
    file.seek(1000)
    with contextlib.closing(file) if hasattr(file, "close") else contextlib.nullcontext():
        await upload(file)

        assert (upload.arrived(), file.tell()) == (VIDEO[1000:], 1000)


NAMED: dict[str, tuple[Make, str, str]] = {
    "path": (written, "film.mp4", "video/mp4"),
    "path of another type": (lambda folder: written(folder, name="film.mov"), "film.mov", "video/quicktime"),
    "path without a suffix": (lambda folder: written(folder, name="film"), "film", "application/octet-stream"),
    "open file": (lambda folder: written(folder).open("rb"), "film.mp4", "video/mp4"),
    "file opened by its number": (by_number, "video", "application/octet-stream"),
    "bytes": (lambda _: VIDEO, "video", "application/octet-stream"),
    "Upload": (
        lambda _: Upload(VIDEO, file_name="take-2.mp4", content_type="video/x-test"),
        "take-2.mp4",
        "video/x-test",
    ),
    "form": (lambda _: FromForm(io.BytesIO(VIDEO), "für.mov", "video/x-own"), "für.mov", "video/x-own"),
    "form, no type": (lambda _: FromForm(io.BytesIO(VIDEO), "film.mov"), "film.mov", "video/quicktime"),
    "form, no name": (lambda _: FromForm(io.BytesIO(VIDEO), None, "video/x-own"), "video", "video/x-own"),
    "form, bad type": (lambda _: FromForm(io.BytesIO(VIDEO), "a.mov", "nonsense\n"), "a.mov", "video/quicktime"),
    "form, another name": (
        lambda _: Upload(FromForm(io.BytesIO(VIDEO), "film.mov", "video/x-own"), file_name="a.mp4"),
        "a.mp4",
        "video/x-own",
    ),
    "form, another type": (
        lambda _: Upload(FromForm(io.BytesIO(VIDEO), "film.mov"), content_type="video/mp4"),
        "film.mov",
        "video/mp4",
    ),
    "form of Flask": (lambda _: FromWerkzeug(VIDEO), "film.mov", "video/x-own"),
}


@pytest.mark.parametrize(("make", "name", "content_type"), NAMED.values(), ids=NAMED.keys())
async def test_a_source_is_sent_with_its_name_and_type(
    upload: Submit, tmp_path: Path, make: Make, name: str, content_type: str
) -> None:
    source = make(tmp_path)

    await upload(source)

    close(source)
    sent = upload.job.uploads["video"]
    assert (sent.filename, sent.content_type) == (name, content_type)


@pytest.mark.parametrize(
    "name",
    [
        "für Élise.mp4",
        'a "quoted".mp4',
        "back\\slash.mp4",
        "semi; name=audio.mp4",
        'x"\r\nX-Evil: 1\r\n\r\n.mp4',
        "two\nlines.mp4",
        os.fsdecode(b"caf\xe9.mp4"),  # Latin-1, of which Python makes a lone surrogate
    ],
)
async def test_no_name_of_a_path_keeps_the_media_from_arriving(upload: Submit, tmp_path: Path, name: str) -> None:
    await upload(written(tmp_path, name=name))

    assert (upload.arrived(), upload.arrived("audio")) == (VIDEO, AUDIO)


async def test_one_open_file_can_be_video_and_audio(upload: Submit, tmp_path: Path) -> None:
    with written(tmp_path).open("rb") as file:
        await upload(file, file)

    assert (upload.arrived(), upload.arrived("audio")) == (VIDEO, VIDEO)


async def test_both_media_and_the_fields_arrive_each_under_its_name(upload: Submit) -> None:
    await upload(VIDEO, AUDIO, reference_id="dub-7", disable_active_speaker_detection=True)

    job = upload.job
    assert (upload.arrived(), upload.arrived("audio")) == (VIDEO, AUDIO)
    assert (job.reference_id, job.payload["disable_active_speaker_detection"]) == ("dub-7", True)


async def test_the_length_is_announced_and_nothing_is_chunked(upload: Submit) -> None:
    await upload(Upload(in_pieces(VIDEO), size=len(VIDEO)))

    headers = upload.sandbox.received[-1].headers
    assert int(headers["Content-Length"]) > len(VIDEO) + len(AUDIO)
    assert "Transfer-Encoding" not in headers


def text_mode(folder: Path) -> Any:
    return written(folder, b"text").open("r")


def closed(folder: Path) -> Any:
    with written(folder).open("rb") as file:
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


def at_end(path: Path) -> Any:
    file = path.open("rb")
    file.seek(0, os.SEEK_END)
    return file


AWAITED = "can only be read with await"
UNSEEKABLE = "closed or cannot be rewound"
CHUNK_SIZE = "the size of"
USELESS: dict[str, tuple[Make, str]] = {
    "missing": (lambda folder: folder / "missing.mp4", "No such file"),
    "missing str": (lambda folder: str(folder / "missing.mp4"), "No such file.*a str is taken as a path"),
    "text that is no path": (lambda _: "the film itself", "No such file"),
    "URL": (lambda _: "https://example.com/film.mp4", "a URL goes to generate"),
    "NUL in the path": (lambda _: "film\0.mp4", "null byte"),
    "empty str": (lambda _: "", "directory"),
    "empty file": (lambda folder: written(folder, b""), "is empty"),
    "empty bytes": (lambda _: b"", "is empty"),
    "empty BytesIO": (lambda _: io.BytesIO(), "is empty"),
    "at its end": (lambda folder: at_end(written(folder)), "stands at its end"),
    "directory": (lambda folder: folder, "directory"),
    "text mode": (text_mode, "opened as text"),
    "StringIO": (lambda _: io.StringIO("text"), "opened as text"),
    "text mode, temporary": (text_in_a_wrapper, "opened as text"),
    "closed": (closed, UNSEEKABLE),
    "pipe": (pipe, UNSEEKABLE),
    "write only": (write_only, "is empty|" + UNSEEKABLE),
    "stream reader": (lambda _: asyncio.StreamReader(), AWAITED),
    "position that is no number": (lambda _: bare(io.BytesIO(VIDEO), tell=lambda: None), UNSEEKABLE),
    "factory without size": (lambda _: Upload(in_pieces(VIDEO)), "needs its size"),
    "bare factory": (lambda _: in_pieces(VIDEO), "needs its size"),
    "factory of nothing": (lambda _: Upload(in_pieces(b""), size=0), CHUNK_SIZE),
    "negative size": (lambda _: Upload(in_pieces(VIDEO), size=-1), CHUNK_SIZE),
    "size as text": (lambda _: Upload(in_pieces(VIDEO), size=cast("int", "640000")), CHUNK_SIZE),
    "size as fraction": (lambda _: Upload(in_pieces(VIDEO), size=cast("int", 640_000.5)), CHUNK_SIZE),
    "memoryview with gaps": (lambda _: memoryview(VIDEO)[::2], "contiguous"),
    "file to be awaited": (lambda _: Awaited(VIDEO), AWAITED),
    "file to be awaited without showing it": (lambda _: bare(Awaited(VIDEO)), AWAITED),
    "file with a position to be awaited": (lambda _: bare(io.BytesIO(VIDEO), tell=Position), AWAITED),
    "file of a form at its end": (lambda folder: FromForm(at_end(written(folder))), "stands at its end"),
    "file of a form that is to be awaited": (lambda _: FromForm(Awaited(VIDEO)), AWAITED),
    "URL that is no str": (lambda _: Address(), r"str\(url\) to generate"),
    "file name that is no str": (lambda _: Upload(VIDEO, file_name=cast("str", 7)), "the file name must be a str"),
    "None": (lambda _: None, "not NoneType"),
    "number": (lambda _: 7, "not int"),
    "list": (lambda _: [VIDEO], "not list"),
    "content type with newline": (lambda _: Upload(VIDEO, content_type="video/mp4\r\nX-Evil: 1"), "media type"),
}


def close(source: Any) -> None:
    file = getattr(source, "file", source)
    if hasattr(file, "close"):
        file.close()


@pytest.mark.parametrize(("make", "reason"), USELESS.values(), ids=USELESS.keys())
@pytest.mark.parametrize("field", ["video", "audio"])
async def test_what_cannot_be_uploaded_is_a_configuration_error_before_anything_is_sent(
    upload: Submit, tmp_path: Path, field: str, make: Make, reason: str
) -> None:
    source = make(tmp_path)
    try:
        with pytest.raises(ConfigurationError, match=f"{field}.*({reason})|({reason}).*{field}"):
            await upload(**{"video": VIDEO, "audio": AUDIO, field: source}, reference_id="dub-1")
    finally:
        close(source)

    assert upload.sandbox.received == ()


async def test_a_file_that_may_not_be_read_is_a_configuration_error(
    upload: Submit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)

    def refuse(self: Path, *_: Any, **__: Any) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuse)
        with pytest.raises(ConfigurationError, match="Permission denied"):
            await upload(path)

    assert upload.sandbox.received == ()


async def test_a_named_pipe_without_a_writer_does_not_hang_the_upload(upload: Submit, tmp_path: Path) -> None:
    path = tmp_path / "pipe.mp4"
    os.mkfifo(path)
    task = asyncio.create_task(upload(path))
    try:
        done, _ = await asyncio.wait([task], timeout=0.5)
    finally:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))  # ends a thread that waits for a writer
        with contextlib.suppress(ConfigurationError):
            await task

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
    monkeypatch.setattr("chamelaion_async.resources.submission.SEARCH_PAUSES", (0.0,))
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
