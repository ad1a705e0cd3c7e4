"""The part of a download: a later run continues it, and another program's file of that name is left alone."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chamelaion_async import AsyncClient
from chamelaion_async._media.partial_file import Part
from chamelaion_async.sandbox import Fault, Sandbox

from .files import is_there, linked, names_in, pipe_at, put
from .origin import (
    ETAG,
    OLD,
    ONCE,
    OTHER,
    OUTPUT,
    OUTPUT_ROUTE,
    Asked,
    Download,
    Reply,
    as_asked,
    cut,
    finished,
    reply,
    rest,
    whole,
)


async def test_a_later_run_resumes(download: Download, sandbox: Sandbox) -> None:
    request = await finished(sandbox)
    sandbox.inject(Fault.truncate(300_000), route=OUTPUT_ROUTE, times=1)
    async with AsyncClient("sk-key", retry=ONCE) as first:
        later, download.client = download.client, first
        await download.fails_for(request, match="will be resumed")
    assert download.names == ["film.mp4.part", "film.mp4.part.json"]
    kept = len(download.part_content)

    await later.download(request, download.target)

    assert sandbox.received[-1].headers["Range"] == f"bytes={kept}-"
    assert (download.content, download.names) == (OUTPUT, ["film.mp4"])


async def test_a_fresh_signature_for_the_same_output_resumes(download: Download) -> None:
    download.url = "/film.mp4?sig=old"
    origin = await download.breaks_off(cut(OUTPUT, 1000, ETAG), rest(OUTPUT, 1000))

    await download.client.download(origin.url("/film.mp4?sig=new"), download.target)

    assert origin.asked[1].headers["range"] == "bytes=1000-"


async def test_another_output_under_the_same_name_starts_over(download: Download) -> None:
    """A validator tells versions of one resource apart, and says nothing of another (RFC 9110, section 8.8.3)."""
    dated = {"Last-Modified": OLD}

    def answer(asked: Asked) -> Reply:
        if asked.target == "/first.mp4":
            return cut(OUTPUT, 1000, dated)
        return rest(OTHER, asked.resumes_at, dated) if asked.resumes_at else reply(OTHER, headers=dated)

    download.url = "/first.mp4"
    origin = await download.breaks_off(answer)

    await download.client.download(origin.url("/second.mp4"), download.target)

    assert download.content == OTHER


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
async def test_a_part_without_readable_notes_starts_over(download: Download, notes: bytes) -> None:
    download.left_behind(OTHER[:1000], notes)

    origin = await download(as_asked)

    assert "range" not in origin.asked[0].headers
    assert download.content == OUTPUT


async def test_notes_without_a_part_start_over(download: Download) -> None:
    download.left_behind(b"")
    download.part.unlink()

    origin = await download(as_asked)

    assert "range" not in origin.asked[0].headers
    assert download.names == ["film.mp4"]


FOREIGN: dict[str, tuple[str, Callable[[Path], object]]] = {
    "part, file": (".part", lambda path: path.write_bytes(b"of another program")),
    "part, empty file": (".part", Path.touch),
    "part, symlink": (".part", lambda path: linked(path, path.with_name("elsewhere"))),
    "part, symlink to a file": (".part", lambda path: linked(path, Path(__file__))),
    "part, pipe": (".part", pipe_at),
    "part, folder": (".part", Path.mkdir),
    "notes, file": (".part.json", lambda path: path.write_bytes(b'{"version": 1}')),
    "notes, symlink": (".part.json", lambda path: linked(path, path.with_name("elsewhere"))),
    "notes, symlink to a file": (".part.json", lambda path: linked(path, Path(__file__))),
    "notes, pipe": (".part.json", pipe_at),
    "notes, folder": (".part.json", Path.mkdir),
}


@pytest.mark.parametrize(("suffix", "make"), FOREIGN.values(), ids=FOREIGN.keys())
async def test_another_programs_file_is_neither_deleted_nor_written_to(
    download: Download, suffix: str, make: Callable[[Path], object]
) -> None:
    foreign = download.target.with_name(download.target.name + suffix)
    make(foreign)
    before, names = os.lstat(foreign), download.names

    origin = await download.fails(whole(), match="stands in the way")

    after = os.lstat(foreign)
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    assert (download.names, origin.asked) == (names, [])


@pytest.mark.parametrize("data", [b"of another program", None], ids=["replaced", "removed"])
async def test_a_file_that_has_replaced_the_part_meanwhile_is_not_taken_for_it(
    download: Download, data: bytes | None
) -> None:
    def replace(_: int, __: int | None) -> None:
        download.part.unlink(missing_ok=True)
        if data is not None:
            put(download.part, data)

    await download.fails(
        whole({}), match="another process wrote to the part as well, or moved it", on_progress=replace
    )

    assert download.content is None
    assert (download.part_content if is_there(download.part) else None) == data


async def test_a_part_that_another_process_writes_to_as_well_never_becomes_the_output(download: Download) -> None:
    download.left_behind(OUTPUT[:1000])

    def write_as_well(_: int, __: int | None) -> None:
        with download.part.open("ab") as file:
            file.write(b"of another process")

    await download.fails(rest(OUTPUT, 1000), match="another process", on_progress=write_as_well)

    assert download.names == []


def test_a_part_of_a_download_that_was_killed_is_known_again(tmp_path: Path) -> None:
    """Even where nothing in it can be resumed."""
    target = tmp_path / "film.mp4"
    code = (
        "import os, sys; from pathlib import Path; from chamelaion_async._media.partial_file import Part;"
        "part = Part.open(Path(sys.argv[1])); part.restart(); part.write(b'x' * 9); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert names_in(tmp_path) == ["film.mp4.part", "film.mp4.part.json"]

    Part.open(target).suspend()

    assert names_in(tmp_path) == []


def test_a_part_that_is_suspended_before_its_thread_begins_is_neither_written_nor_finished(tmp_path: Path) -> None:
    part = Part.open(tmp_path / "film.mp4")
    part.suspend()

    part.write(b"late")
    part.finish(overwrite=False)

    assert (part.size, names_in(tmp_path)) == (0, [])


def no_space(*_: object, **__: object) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("refused", ["notes", "part"])
def test_a_part_that_cannot_be_begun_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    plain_open = Path.open

    def open_or_refuse(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if "r" not in mode and (path.suffix == ".json") == (refused == "notes"):
            plain_open(tmp_path / "film.mp4.part.json", "w").close()
            no_space()
        return plain_open(path, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_or_refuse)
    with pytest.raises(OSError, match="No space left"):
        Part.open(tmp_path / "film.mp4")

    assert names_in(tmp_path) == []


class FullDisk(io.FileIO):
    """A disk with room for some bytes more, which takes what still fits."""

    room = 300_000

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        if not self.room:
            no_space()
        count = min(len(view), self.room)
        self.room -= count
        return super().write(view[:count])


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch, download: Download) -> Iterator[pytest.MonkeyPatch]:
    plain_open = Part.open

    def open_on_full_disk(target: Path) -> Part:
        part = plain_open(target)
        part._file.close()
        part._file = io.BufferedWriter(FullDisk(download.part, "a"))
        return part

    with monkeypatch.context() as patched:
        patched.setattr(Part, "open", open_on_full_disk)
        yield patched


async def test_what_fitted_on_a_full_disk_is_resumed_when_there_is_room_again(
    download: Download, full_disk: pytest.MonkeyPatch
) -> None:
    origin = await download.fails(as_asked, match="No space left on device.*will be resumed")
    assert (download.content, len(origin.asked)) == (None, 1)
    full_disk.undo()

    await download.client.download(origin.url(), download.target)

    assert origin.asked[1].resumes_at > 0
    assert download.content == OUTPUT


@pytest.mark.usefixtures("full_disk")
async def test_what_cannot_be_resumed_is_removed_from_a_full_disk(download: Download) -> None:
    await download.fails(whole({}), match="No space left on device.*Nothing was left")

    assert download.names == []


async def test_a_disk_that_fills_up_at_the_very_end_is_a_download_error(
    download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", no_space)

    await download.fails(whole(), match="No space left on device")

    assert download.names == ["film.mp4.part", "film.mp4.part.json"]


@pytest.mark.parametrize("headers", [{}, ETAG], ids=["without validator", "with validator"])
async def test_the_error_tells_the_truth_of_a_part_that_could_not_be_renamed(
    download: Download, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    monkeypatch.setattr(Path, "replace", no_space)

    await download.fails(whole(headers))

    assert ("will be resumed" in str(download.error)) == is_there(download.notes)
