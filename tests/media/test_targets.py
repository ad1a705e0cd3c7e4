"""Files of downloads: named after what is downloaded, in their folder, and never written over what must stay."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chamelaion_async import (
    Artifacts,
    AsyncClient,
    DownloadError,
    LipsyncRequest,
    RequestFailedError,
    VideoTranslateRequest,
)
from chamelaion_async.sandbox import Sandbox

from .files import content, files_below, is_there, link_of, linked, mode_of, names_in, pipe_at, put, socket_at
from .origin import OUTPUT, Download, Origin, cut, reply, whole

CREATED = datetime(2026, 4, 7, 10, tzinfo=UTC)


def lipsync(status: str, *, output_url: str | None = None, error_message: str | None = None) -> LipsyncRequest:
    return LipsyncRequest(
        id="6f82", status=status, created_at=CREATED, output_url=output_url, error_message=error_message
    )


FLAGS = dict.fromkeys(["disable_background_audio", "disable_lip_sync", "formality"], False)


def translation(outputs: Mapping[str, Artifacts] | None, status: str = "completed") -> VideoTranslateRequest:
    made: Any = {"id": "9d3a", "status": status, "created_at": CREATED, "outputs": outputs, **FLAGS}
    return VideoTranslateRequest(target_languages=[], model="classic", config={}, **made)


def artifacts_of(origin: Origin) -> Artifacts:
    return Artifacts(video=origin.url("/v"), audio=origin.url("/a"), srt=origin.url("/s"))


async def test_artifacts_bring_three_files_into_a_new_folder(download: Download, tmp_path: Path) -> None:
    origin = await download.serve(lambda asked: reply(asked.target.encode()))

    folder = await download.client.download(artifacts_of(origin), tmp_path / "new" / "de")

    assert folder == tmp_path / "new" / "de"
    assert {path.name: content(path) for path in files_below(folder)} == {
        "video.mp4": b"/v",
        "audio.wav": b"/a",
        "subtitles.srt": b"/s",
    }


async def test_a_translation_brings_three_files_for_each_language(
    download: Download, sandbox: Sandbox, tmp_path: Path
) -> None:
    job = sandbox.add_job(family="video_translate", job_seconds=0, target_languages=["de", "pt-BR"])
    async with AsyncClient("sk-key", base_url=sandbox.base_url) as api:
        request = await api.video_translate.requests.get(job.id)

    folder = await download.client.download(request, tmp_path / "films")

    assert names_in(folder) == ["de.mp4", "de.srt", "de.wav", "pt-BR.mp4", "pt-BR.srt", "pt-BR.wav"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (lipsync("queued"), "still queued"),
        (lipsync("processing"), "still processing"),
        (translation(None, "something new"), "still something new"),
        (lipsync("completed"), "no output"),
        (translation(None), "no output"),
        (translation({}), "no output"),
    ],
)
async def test_a_request_without_an_output_is_a_download_error(
    download: Download, source: LipsyncRequest | VideoTranslateRequest, reason: str
) -> None:
    await download.fails_for(source, match=reason)


async def test_a_failed_request_says_why(download: Download) -> None:
    with pytest.raises(RequestFailedError, match="no face"):
        await download.client.download(lipsync("failed", error_message="no face"), download.target)


@pytest.mark.parametrize("path", ["new/", "new/within/", "."])
async def test_a_folder_takes_an_output_under_the_name_in_its_url(
    download: Download, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    origin = await download.serve(whole())

    assert await download.client.download(origin.url("/out/dub%2042.mp4?sig=x"), path) == Path(path, "dub 42.mp4")
    assert content(tmp_path / path / "dub 42.mp4") == OUTPUT


async def test_a_path_that_ends_with_a_slash_is_no_file(download: Download) -> None:
    put(download.target, b"precious")
    origin = await download.serve(whole())

    with pytest.raises(DownloadError, match="cannot be made"):
        await download.client.download(origin.url(), f"{download.target}/", overwrite=True)

    assert (download.content, origin.asked) == (b"precious", [])


@pytest.mark.parametrize(
    "path",
    [
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
        "/" + "x" * 300 + ".mp4",
        "/" + "%C3%A9" * 150,
    ],
)
async def test_a_name_in_a_url_stays_within_the_folder(download: Download, tmp_path: Path, path: str) -> None:
    origin = await download.serve(whole())
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)

    written = await download.client.download(origin.url(path), folder)

    assert written.parent == folder
    assert not written.name.startswith(".")
    assert files_below(tmp_path) == [written]


@pytest.mark.parametrize("language", ["../../evil", "..", "/etc/passwd", "", "a/b", "a\\b", "nul\0", ".hidden", "\n"])
async def test_the_name_of_a_language_stays_within_the_folder(
    download: Download, tmp_path: Path, language: str
) -> None:
    origin = await download.serve(whole())
    folder = tmp_path / "a" / "b"

    await download.client.download(translation({language: artifacts_of(origin)}), folder)

    assert [each.parent for each in files_below(tmp_path)] == [folder] * 3


@pytest.mark.parametrize("languages", [("a/b", "a_b"), ("..", "."), ("zh:TW", "zh/TW")], ids=repr)
async def test_no_language_is_lost_to_one_with_a_similar_name(
    download: Download, tmp_path: Path, languages: tuple[str, str]
) -> None:
    origin = await download.serve(whole())

    await download.client.download(translation(dict.fromkeys(languages, artifacts_of(origin))), tmp_path / "films")

    assert len(names_in(tmp_path / "films")) == 6


async def test_an_existing_file_stays_whole_until_the_new_one_replaces_it(download: Download) -> None:
    put(download.target, b"old")
    seen: set[bytes | None] = set()

    await download(whole(), overwrite=True, on_progress=lambda *_: seen.add(download.content))

    assert (seen, download.content) == ({b"old"}, OUTPUT)


async def test_an_existing_file_survives_a_download_that_fails(download: Download) -> None:
    put(download.target, b"old")

    await download.fails(cut(OUTPUT, 1000), overwrite=True)

    assert download.content == b"old"


async def test_a_file_that_appears_meanwhile_is_not_replaced(download: Download) -> None:
    await download.fails(
        whole(), match="has appeared meanwhile", on_progress=lambda *_: put(download.target, b"precious")
    )

    assert download.content == b"precious"


async def test_a_pipe_that_appears_meanwhile_is_not_replaced(download: Download) -> None:
    def on_progress(_: int, __: int | None) -> None:
        if not is_there(download.target):
            pipe_at(download.target)

    await download.fails(whole(), match="has appeared meanwhile", overwrite=True, on_progress=on_progress)

    assert download.target.is_fifo()


async def test_artifacts_do_not_go_to_where_a_file_stands(download: Download) -> None:
    put(download.target, b"a file")

    await download.fails_for(artifacts_of(await download.serve(whole())), match="cannot be made")


def folder_at(path: Path) -> Path:
    path.mkdir()
    return path


NO_FOLDER, NOT_A_FILE = "no folder to hold it", "it is a device, a pipe or a socket"
EXISTING: dict[str, Callable[[Path], Path]] = {
    "file": lambda folder: put(folder / "film.mp4", b"precious"),
    "symlink to a file": lambda folder: linked(folder / "film.mp4", put(folder / "other.mp4", b"precious")),
}
REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing folder": (lambda folder: folder / "missing" / "film.mp4", NO_FOLDER),
    "file in place of a folder": (lambda folder: put(folder / "file", b"a file") / "film.mp4", NO_FOLDER),
    "folder of the name in the URL": (lambda folder: folder_at(folder / "film.mp4").parent, "it is a folder"),
    "name that is too long": (lambda folder: folder / ("x" * 300), "File name too long"),
    "name that is too long for its notes": (lambda folder: folder / ("x" * 250), "File name too long"),
    "NUL": (lambda folder: folder / "nul\0.mp4", "null byte"),
    "symlink to itself": (lambda folder: linked(folder / "film.mp4", folder / "film.mp4"), "symbolic links"),
    "device": (lambda _: Path(os.devnull), NOT_A_FILE),
    "pipe": (lambda folder: pipe_at(folder / "pipe"), NOT_A_FILE),
    "socket": (lambda folder: socket_at(folder / "socket"), NOT_A_FILE),
    "symlink to a device": (lambda folder: linked(folder / "link", Path(os.devnull)), NOT_A_FILE),
    "symlink to a pipe": (lambda folder: linked(folder / "link", pipe_at(folder / "pipe")), NOT_A_FILE),
}


def state_of(folder: Path) -> dict[Path, tuple[int, ...]]:
    """Return what tells whether any file was replaced or written to."""
    found = {path: path.lstat() for path in [Path(os.devnull), *folder.rglob("*")]}
    return {path: (each.st_ino, each.st_mode, each.st_size) for path, each in found.items()}


@pytest.mark.parametrize(
    ("make", "reason", "overwrite"),
    [
        *(pytest.param(make, "overwrite=True", False, id=f"existing {name}") for name, make in EXISTING.items()),
        *(
            pytest.param(*case, overwrite, id=f"{name}, overwrite={overwrite}")
            for name, case in REFUSED.items()
            for overwrite in (False, True)
        ),
    ],
)
async def test_a_target_that_cannot_or_must_not_be_written_is_refused_before_anything_is_fetched(
    download: Download,
    make: Callable[[Path], Path],
    reason: str,
    overwrite: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(Path, "replace")  # this machine's null device must survive a failure of this test
    folder = download.target.parent
    download.target = make(folder)
    before = state_of(folder)

    origin = await download.fails(whole(), match=reason, overwrite=overwrite)

    assert (state_of(folder), origin.asked) == (before, [])


@pytest.mark.parametrize("data", [b"old", None], ids=["to a file", "to nothing"])
async def test_a_symlink_stays_and_the_file_that_it_leads_to_is_written(
    download: Download, tmp_path: Path, data: bytes | None
) -> None:
    far = tmp_path / "far"
    far.mkdir()
    if data is not None:
        put(far / "film.mp4", data)
    linked(download.target, far / "film.mp4")

    await download(whole(), overwrite=data is not None)

    assert (link_of(download.target), content(far / "film.mp4")) == (far / "film.mp4", OUTPUT)
    assert (names_in(far), download.names) == (["film.mp4"], ["film.mp4"])


async def test_a_descriptor_of_a_deleted_file_is_refused(download: Download) -> None:
    folder = download.target.parent
    descriptor = os.open(download.target, os.O_RDWR | os.O_CREAT)
    try:
        download.target.unlink()
        download.target = Path(f"/proc/self/fd/{descriptor}")
        await download.fails(whole(), match="a file that has no name", overwrite=True)
    finally:
        os.close(descriptor)

    assert names_in(folder) == []


@pytest.mark.parametrize(("mode", "meanwhile"), [(0o600, 0o600), (0o640, 0o640), (0o444, 0o644), (0o755, 0o755)])
async def test_an_overwritten_file_keeps_its_mode_which_the_part_has_already(
    download: Download, mode: int, meanwhile: int
) -> None:
    put(download.target, b"old").chmod(mode)
    seen: set[int] = set()

    await download(whole(), overwrite=True, on_progress=lambda *_: seen.add(mode_of(download.part)))

    assert (download.content, mode_of(download.target), seen) == (OUTPUT, mode, {meanwhile})


async def test_an_overwritten_file_keeps_its_owner_where_that_is_allowed(
    download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, given = put(download.target, b"old").stat(), []
    plain_stat = Path.stat

    def of_another(path: Path, **options: Any) -> os.stat_result:
        found = plain_stat(path, **options)
        return os.stat_result((*found[:4], 4711, 4712, *found[6:])) if path == download.part else found

    def refuse(path: Path, user: int, group: int) -> None:
        given.append((path, user, group))
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "stat", of_another)
    monkeypatch.setattr(os, "chown", refuse)

    await download(whole(), overwrite=True)

    assert given == [(download.part, owner.st_uid, owner.st_gid)]
    assert download.content == OUTPUT


@pytest.mark.parametrize("spelled", ["film.mp4", "../downloads/film.mp4", "link/film.mp4"])
async def test_the_same_file_is_not_downloaded_twice_at_once_by_whatever_client(
    download: Download, paused: tuple[Origin, asyncio.Event], spelled: str
) -> None:
    (origin, gate), folder = paused, download.target.parent
    linked(folder / "link", folder)
    first = await download.started(origin.url())

    async with AsyncClient("key") as second, asyncio.timeout(0.5):
        with pytest.raises(DownloadError, match="already"):
            await second.download(origin.url(), folder / spelled)
    gate.set()

    await first
    assert download.content == OUTPUT


async def test_after_a_failure_the_same_file_can_be_downloaded(download: Download) -> None:
    origin = await download.fails(reply(b"", "404 Not Found"), whole())

    await download.client.download(origin.url(), download.target)

    assert download.content == OUTPUT
