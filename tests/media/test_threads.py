"""Threads: what waits for one keeps to its time limit, and what was cancelled is neither lost nor done late."""

from __future__ import annotations

import asyncio
import io
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chamelaion_async import APITimeoutError, AsyncClient, DownloadError, RetryPolicy
from chamelaion_async._media import chunks
from chamelaion_async._media.partial_file import Part
from chamelaion_async._media.threads import NoThreadError, in_thread
from chamelaion_async._media.uploads import Upload
from chamelaion_async.sandbox import Sandbox

from .disks import SlowDisk
from .files import is_there, names_in
from .media import Submit, written
from .origin import Download, whole

TIMEOUT = 0.2  # seconds
LATE = 2.0
ONCE = RetryPolicy(attempts=1)


class Pool:
    """The thread pool of the loop, whose only thread can be kept busy."""

    def __init__(self) -> None:
        self._gate = threading.Event()

    def use_up(self) -> None:
        asyncio.get_running_loop().run_in_executor(None, self._gate.wait)

    def give_back(self) -> None:
        self._gate.set()


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=1))
    made = Pool()
    yield made
    made.give_back()


@pytest.fixture
async def used_up(pool: Pool) -> Pool:
    pool.use_up()
    return pool


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    async with AsyncClient("sk-key", base_url=sandbox.base_url, timeout=TIMEOUT, retry=ONCE) as made:
        yield made


async def test_the_result_of_a_thread_comes_back() -> None:
    assert await in_thread(threading.get_ident, timeout=TIMEOUT) != threading.get_ident()


async def test_what_is_raised_in_a_thread_comes_back() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(partial(int, "x"), timeout=TIMEOUT)


async def test_work_that_has_begun_may_take_longer_than_the_time_limit() -> None:
    slow = Slow(lambda: "done")
    threading.Timer(0.1, slow.gate.set).start()

    assert await in_thread(slow, timeout=0.02) == "done"


async def test_work_that_no_thread_begins_in_time_is_never_done(used_up: Pool) -> None:
    done: list[int] = []

    with pytest.raises(NoThreadError, match=r"free within 0\.2 seconds"):
        await in_thread(partial(done.append, 1), timeout=TIMEOUT)
    used_up.give_back()
    await in_thread(partial(done.append, 2), timeout=LATE)

    assert done == [2]


async def test_work_that_was_cancelled_before_it_began_is_never_done(used_up: Pool) -> None:
    done: list[int] = []
    waiting = asyncio.create_task(in_thread(partial(done.append, 1), timeout=None, linger=None))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(LATE):
            await waiting
    used_up.give_back()
    await in_thread(partial(done.append, 2), timeout=LATE)

    assert done == [2]


class Slow:
    """Work that has begun, and goes on when it is let."""

    def __init__(self, outcome: Callable[[], str]) -> None:
        self._outcome = outcome
        self.has_begun = threading.Event()
        self.gate = threading.Event()

    def __call__(self) -> str:
        self.has_begun.set()
        self.gate.wait(5)
        return self._outcome()


async def cancelled_when_begun(slow: Slow, call: Coroutine[Any, Any, str]) -> asyncio.Task[str]:
    waiting = asyncio.create_task(call)
    await asyncio.to_thread(slow.has_begun.wait, 5)
    waiting.cancel()
    await asyncio.wait([waiting], timeout=0.02)
    return waiting


async def test_what_a_cancelled_caller_would_have_got_is_discarded() -> None:
    slow, discarded = Slow(lambda: "opened"), asyncio.get_running_loop().create_future()
    waiting = await cancelled_when_begun(slow, in_thread(slow, timeout=TIMEOUT, discard=discarded.set_result))
    assert waiting.cancelled()
    slow.gate.set()

    assert await discarded == "opened"


def _fail() -> str:
    raise ValueError("too late")


async def test_what_fails_after_its_caller_was_cancelled_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    slow, discarded = Slow(_fail), list[str]()
    await cancelled_when_begun(slow, in_thread(slow, timeout=TIMEOUT, discard=discarded.append))
    slow.gate.set()
    await asyncio.to_thread(slow.gate.wait)
    await asyncio.sleep(0.02)

    assert (discarded, caplog.records) == ([], [])


@pytest.mark.parametrize(("linger", "is_over"), [(0.0, True), (0.01, True), (None, False), (5.0, False)])
async def test_a_cancellation_waits_for_work_that_has_begun_as_long_as_it_is_told(
    linger: float | None, is_over: bool
) -> None:
    slow = Slow(lambda: "read")
    waiting = await cancelled_when_begun(slow, in_thread(slow, timeout=TIMEOUT, linger=linger))
    seen = waiting.done()
    slow.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert seen == is_over


async def test_a_download_ends_in_time_where_no_thread_is_free_any_more(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, pool: Pool
) -> None:
    job = sandbox.add_job(job_seconds=0, output=bytes(2_000_000))
    request = await client.lipsync.requests.get(job.id)
    began = time.monotonic()

    with pytest.raises(DownloadError, match=r"no thread .* was free.* will be resumed"):
        await client.download(request, tmp_path / "film.mp4", on_progress=lambda *_: pool.use_up())

    assert TIMEOUT <= time.monotonic() - began < LATE
    assert not is_there(tmp_path / "film.mp4")
    pool.give_back()
    assert is_there(await client.download(request, tmp_path / "film.mp4"))


@pytest.mark.parametrize("end", ["film.mp4", "new/"], ids=["file", "folder"])
async def test_a_download_ends_in_time_where_no_thread_is_free(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, used_up: Pool, end: str
) -> None:
    request = await client.lipsync.requests.get(sandbox.add_job(job_seconds=0).id)
    began = time.monotonic()

    with pytest.raises(DownloadError, match="no thread of the event loop's pool was free"):
        await client.download(request, f"{tmp_path}/{end}")

    assert TIMEOUT <= time.monotonic() - began < LATE
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("kind", ["path", "open file", "Upload"])
async def test_an_upload_ends_in_time_where_no_thread_is_free(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, used_up: Pool, kind: str
) -> None:
    path = written(tmp_path)
    video: Any = {"path": path, "open file": io.BytesIO(b"film"), "Upload": Upload(path)}[kind]
    began = time.monotonic()

    with pytest.raises(APITimeoutError, match=r"no thread .* Nothing was submitted") as caught:
        await client.lipsync.generate_with_media(video=video, audio=b"sound", reference_id="dub-1")

    assert TIMEOUT <= time.monotonic() - began < LATE
    assert (caught.value.sent, sandbox.received) == ("no", ())


@pytest.mark.parametrize("kind", ["path", "open file"])
async def test_an_upload_ends_in_time_where_no_thread_is_free_any_more(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, pool: Pool, kind: str
) -> None:
    with written(tmp_path).open("rb") as file:
        video = file if kind == "open file" else written(tmp_path)
        began = time.monotonic()

        with pytest.raises(APITimeoutError) as caught:
            await client.video_translate.generate_with_media(
                video=b"film",
                target_languages=["de"],
                source_srt=video,
                on_progress=lambda *_: pool.use_up(),
            )

    assert TIMEOUT <= time.monotonic() - began < LATE
    assert (caught.value.sent, sandbox.jobs) == ("no", {})


Begin = Callable[[], Coroutine[Any, Any, object]]


@pytest.fixture(params=["upload", "download"])
async def transfer(
    request: pytest.FixtureRequest, upload: Submit, download: Download, tmp_path: Path
) -> tuple[Any, str, Begin]:
    """What opens the file of a transfer, and the transfer."""
    if request.param == "upload":
        return chunks, "_open", partial(upload, written(tmp_path))
    url = (await download.serve(whole())).url()
    return Part, "open", partial(download.client.download, url, download.target)


async def test_a_file_that_is_opened_after_its_transfer_was_cancelled_is_closed(
    transfer: tuple[Any, str, Begin], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name, begin = transfer
    is_opening, gate, has_opened = threading.Event(), threading.Event(), threading.Event()
    plain_open = getattr(owner, name)

    def slow_open(path: Path) -> Any:
        is_opening.set()
        gate.wait(5)
        try:
            return plain_open(path)
        finally:
            has_opened.set()

    monkeypatch.setattr(owner, name, slow_open)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        task = asyncio.create_task(begin())
        await asyncio.to_thread(is_opening.wait)
        task.cancel()
        threading.Timer(0.02, gate.set).start()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(has_opened.wait)
        await asyncio.sleep(0.05)

    assert [str(each.message) for each in seen if each.category is ResourceWarning] == []


async def test_cancelling_while_a_slow_disk_is_at_work_does_not_block_the_loop(
    transfer: tuple[Any, str, Begin], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name, begin = transfer
    plain_open = getattr(owner, name)
    disk: Any = SlowDisk(tmp_path / "film.mp4", "r") if owner is chunks else SlowDisk(tmp_path / "slow")

    def open_on_slow_disk(path: Path) -> Any:
        opened = plain_open(path)
        (opened if owner is chunks else opened._file).close()
        if owner is chunks:
            return io.BufferedReader(disk)
        opened._file = io.BufferedWriter(disk)
        return opened

    monkeypatch.setattr(owner, name, open_on_slow_disk)
    task = asyncio.create_task(begin())
    await asyncio.to_thread(disk.is_at_work.wait, 5)
    threading.Timer(0.6, disk.gate.set).start()
    began = time.monotonic()
    task.cancel()
    await asyncio.sleep(0.01)
    held = time.monotonic() - began
    with pytest.raises(asyncio.CancelledError):
        await task

    assert held < 0.3
