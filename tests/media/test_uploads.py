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
