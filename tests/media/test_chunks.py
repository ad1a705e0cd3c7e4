"""Chunks: a file is read from where it stands and given back there; one that changes meanwhile is not submitted."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from chamelaion_async import (
    AsyncClient,
    ChamelaionError,
    ConfigurationError,
    QuotaExceededError,
    SubmissionUncertainError,
)
from chamelaion_async._media.chunks import _File
from chamelaion_async._media.uploads import Upload
from chamelaion_async.sandbox import Fault

from .disks import SlowDisk
from .files import is_closed_soon
from .media import AUDIO, ROUTE, VIDEO, Submit, at_first_chunk, forever, in_pieces, sparse, submit, written
from .origin import ONCE

Peer = Callable[[Any], Awaitable[str]]


class Unhurried(io.FileIO):
    """A file on a disk where another thread gets its turn between a seek and a read."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        position = super().seek(offset, whence)
        time.sleep(0.001)
        return position


async def test_one_open_file_can_be_in_several_uploads_at_once(upload: Submit, tmp_path: Path) -> None:
    """As when many videos get the same sound."""
    with Unhurried(written(tmp_path, VIDEO * 2)) as file:
        await asyncio.gather(*(upload(file) for _ in range(4)))

    assert [job.uploads["video"].path.read_bytes() == VIDEO * 2 for job in upload.sandbox.jobs.values()] == [True] * 4


FATES: dict[str, tuple[Fault | None, type[Exception] | None]] = {
    "success": (None, None),
    "refused": (Fault.status(412, when="after"), QuotaExceededError),
    "refused early": (Fault.status(412), QuotaExceededError),
    "reset at once": (Fault.reset(), ChamelaionError),
    "lost": (Fault.reset(when="after"), SubmissionUncertainError),
}


@pytest.mark.parametrize("start", [0, 300_000], ids=["from the beginning", "from the middle"])
@pytest.mark.parametrize(("fault", "error"), FATES.values(), ids=FATES.keys())
async def test_an_open_file_stays_open_and_where_it_was_after_an_upload(
    upload: Submit, tmp_path: Path, fault: Fault | None, error: type[Exception] | None, start: int
) -> None:
    if fault is not None:
        upload.sandbox.inject(fault, route=ROUTE)
    with written(tmp_path).open("rb") as file:
        file.seek(start)
        with pytest.raises(error) if error else contextlib.nullcontext():
            await upload(file)

        assert (file.closed, file.tell()) == (False, start)


@pytest.mark.parametrize("how", ["cancelled", "closed", "timed out", "reset"])
async def test_an_open_file_is_back_where_it_was_as_soon_as_an_upload_is_interrupted(
    stuck: Any, tmp_path: Path, how: str
) -> None:
    stuck.resets = how == "reset"
    limit = 0.1 if how == "timed out" else 10.0
    async with AsyncClient("key", base_url=stuck.base_url, retry=ONCE, timeout=limit) as client:
        with sparse(tmp_path).open("rb") as file:
            file.seek(5)
            task = asyncio.create_task(submit(client, file))
            await stuck.has_begun.wait()
            if how == "cancelled":
                task.cancel()
            elif how == "closed":
                await client.aclose()
            with contextlib.suppress(ChamelaionError, asyncio.CancelledError):
                await task

            assert (file.closed, file.tell()) == (False, 5)


async def test_a_cancelled_upload_ends_after_the_read_in_progress_has_put_the_file_back(
    upload: Submit, tmp_path: Path
) -> None:
    with SlowDisk(written(tmp_path), "r") as file:
        task = asyncio.create_task(upload(file))
        await asyncio.to_thread(file.is_at_work.wait)
        task.cancel()
        threading.Timer(0.02, file.gate.set).start()
        with contextlib.suppress(asyncio.CancelledError):
            await task

        assert (file.is_done.is_set(), file.tell()) == (True, 0)


async def test_a_read_in_progress_when_an_attempt_breaks_does_not_take_bytes_from_the_next_attempt(
    upload: Submit, tmp_path: Path
) -> None:
    upload.sandbox.inject(Fault.reset(), route=ROUTE, times=1)
    with SlowDisk(written(tmp_path), "r") as file:

        def finish_the_first_read() -> None:
            file.gate.set()
            file.is_done.wait(5)

        threading.Timer(0.3, file.gate.set).start()  # in case the attempt waits for the read
        await upload(file, on_progress=at_first_chunk(finish_the_first_read))

    assert upload.arrived() == VIDEO


@pytest.mark.parametrize("is_ours", [True, False], ids=["ours", "a caller's"])
def test_a_file_that_is_released_before_its_thread_begins_is_not_read(is_ours: bool) -> None:
    origin = io.BytesIO(VIDEO)
    file = _File(origin, 0, is_ours=is_ours)
    file.release()

    assert file.read(0, 10) == b""
    assert origin.closed == is_ours


def append_to(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"one more scene")


CHANGES: dict[str, Callable[[Path], object]] = {
    "shrinks": lambda path: os.truncate(path, 300_000),
    "is emptied": lambda path: os.truncate(path, 0),
    "grows": append_to,
}


@pytest.mark.parametrize("field", ["video", "audio"], ids=["while it is sent", "before it is sent"])
@pytest.mark.parametrize("is_open", [False, True], ids=["path", "open file"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_a_file_that_changes_its_size_is_not_submitted(
    upload: Submit, tmp_path: Path, change: Callable[[Path], object], is_open: bool, field: str
) -> None:
    path = written(tmp_path)
    with path.open("rb") as file:
        media = {"video": VIDEO, "audio": AUDIO, field: file if is_open else path}
        with pytest.raises(ConfigurationError, match=field):
            async with asyncio.timeout(5):
                await upload(**media, on_progress=at_first_chunk(lambda: change(path)))

    assert upload.sandbox.jobs == {}


async def test_a_file_that_vanishes_between_two_attempts_is_a_configuration_error(
    upload: Submit, tmp_path: Path
) -> None:
    path = written(tmp_path)
    upload.sandbox.inject(Fault.status(429, when="after", headers={"Retry-After": "0"}), route=ROUTE, times=1)

    with pytest.raises(ConfigurationError, match=r"film\.mp4"):
        await upload(path, on_progress=at_first_chunk(path.unlink))


class BrokenDisk(io.BytesIO):
    """A file whose second chunk cannot be read."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(size)


async def test_a_file_that_cannot_be_read_to_its_end_is_a_configuration_error(upload: Submit) -> None:
    with pytest.raises(ConfigurationError, match="Input/output error") as caught:
        await upload(BrokenDisk(VIDEO))

    assert getattr(caught.value.__cause__, "errno", None) == errno.EIO
    assert upload.sandbox.jobs == {}


@pytest.mark.parametrize("off", [-1, -300_000, 1, 100_000])
@pytest.mark.parametrize("chunk", [100_000, 1_000_000], ids=["in chunks", "at once"])
async def test_a_factory_that_does_not_keep_to_its_size_submits_nothing(upload: Submit, off: int, chunk: int) -> None:
    data = VIDEO[:off] if off < 0 else VIDEO + bytes(off)

    with pytest.raises(ConfigurationError, match="video.*grew" if off > 0 else "video.*bytes early"):
        async with asyncio.timeout(5):
            await upload(Upload(in_pieces(data, chunk), size=len(VIDEO)))

    assert upload.sandbox.jobs == {}


@pytest.mark.parametrize("field", ["video", "audio"])
async def test_a_last_chunk_too_many_submits_nothing(upload: Submit, field: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield VIDEO
        yield b"more"

    media = {"video": VIDEO, "audio": AUDIO, field: Upload(chunks, size=len(VIDEO))}
    with pytest.raises(ConfigurationError, match=field):
        async with asyncio.timeout(5):
            await upload(**media)

    assert upload.sandbox.jobs == {}


@pytest.mark.parametrize(
    ("outcome", "error"),
    [("text", ConfigurationError), (LookupError("mine"), LookupError), (OSError("mine"), ConfigurationError)],
    ids=["text", "an error", "an OSError"],
)
async def test_what_a_factory_gives_or_raises_instead_of_bytes_submits_nothing(
    upload: Submit, outcome: Any, error: type[Exception]
) -> None:
    async def chunks() -> AsyncIterator[Any]:
        yield VIDEO[:1000]
        if isinstance(outcome, Exception):
            raise outcome
        yield outcome

    with pytest.raises(error, match=r"mine|video: the chunks must be bytes, not str"):
        await upload(Upload(chunks, size=len(VIDEO)))

    assert upload.sandbox.jobs == {}


async def test_a_factory_that_gives_an_exhausted_iterator_again_does_not_upload_an_empty_file(upload: Submit) -> None:
    upload.sandbox.inject(Fault.rate_limited(0), route=ROUTE, times=1)
    only = in_pieces(VIDEO)()

    with pytest.raises(ConfigurationError, match="video"):
        async with asyncio.timeout(5):
            await upload(Upload(lambda: only, size=len(VIDEO)))

    assert upload.sandbox.jobs == {}


async def test_cancelling_in_the_middle_ends_the_callers_generator_and_leaves_no_job(upload: Submit) -> None:
    has_begun, has_ended = asyncio.Event(), asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield VIDEO[:300_000]
            has_begun.set()
            await forever()
        finally:
            has_ended.set()

    task = asyncio.create_task(upload(Upload(chunks, size=len(VIDEO))))
    await has_begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert has_ended.is_set()
    await upload.client.lipsync.requests.list()
    assert upload.sandbox.jobs == {}


async def test_a_generator_is_closed_when_the_upload_fails_between_two_chunks(upload: Submit) -> None:
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
        await upload(Upload(lambda: source, size=10 * len(VIDEO)), on_progress=on_progress)

    assert has_ended.is_set()


@pytest.mark.parametrize("how", ["succeeds", "is refused", "breaks"])
async def test_our_file_is_closed_however_an_upload_ends(upload: Submit, tmp_path: Path, how: str) -> None:
    path = written(tmp_path)
    if how != "succeeds":
        upload.sandbox.inject(Fault.status(400) if how == "is refused" else Fault.reset(), route=ROUTE)
    with contextlib.suppress(ChamelaionError):
        await upload(path)

    assert await is_closed_soon(path)
