"""Attempts of an upload: repeated while the service cannot have the whole form, and uncertain afterwards."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chamelaion_async import (
    APIConnectionError,
    APITimeoutError,
    AsyncClient,
    AuthenticationError,
    ChamelaionError,
    ClientClosedError,
    InternalServerError,
    SubmissionUncertainError,
)
from chamelaion_async._media.chunks import read_bytes
from chamelaion_async._media.form import Form
from chamelaion_async._media.uploads import Media, Upload
from chamelaion_async.sandbox import Fault

from .files import is_closed_soon, is_open_here
from .media import ROUTE, TOTAL, VIDEO, MiB, Submit, forever, in_pieces, sparse, submit, written
from .origin import ONCE, QUICK

Peer = Callable[[Any], Awaitable[str]]
Make = Callable[[Path], Any]
UNAUTHORIZED = (
    b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n"
    b'{"error":"unauthorized"}'
)


@pytest.mark.parametrize("is_last", [False, True], ids=["at the first chunk", "at the last chunk"])
async def test_what_on_progress_raises_reaches_the_caller_and_submits_nothing(
    upload: Submit, mine: Exception, is_last: bool
) -> None:
    cause = KeyError("why")

    def on_progress(sent: int, total: int) -> None:
        if sent == total or not is_last:
            raise mine from cause

    with pytest.raises(Exception, match="mine") as caught:
        await upload(VIDEO, on_progress=on_progress)

    assert (caught.value, caught.value.__cause__) == (mine, cause)
    assert upload.sandbox.jobs == {}


async def test_a_new_attempt_counts_from_the_beginning(upload: Submit) -> None:
    upload.sandbox.inject(Fault.status(429, when="after", headers={"Retry-After": "0"}), route=ROUTE, times=1)
    seen: list[int] = []

    await upload(VIDEO, on_progress=lambda sent, _: seen.append(sent))

    assert seen.count(TOTAL) == 2
    assert seen[seen.index(TOTAL) + 1] < TOTAL


def opened_within(folder: Path) -> io.BufferedReader:
    file = written(folder, bytes(12345) + VIDEO).open("rb")
    file.seek(12345)
    return file


RETRYABLE: dict[str, Make] = {
    "path": written,
    "open file": opened_within,
    "bytes": lambda _: VIDEO,
    "BytesIO": lambda _: io.BytesIO(VIDEO),
    "factory": lambda _: Upload(in_pieces(VIDEO), size=len(VIDEO)),
}


@pytest.mark.parametrize("make", RETRYABLE.values(), ids=RETRYABLE.keys())
async def test_after_a_429_the_whole_file_is_sent_again(upload: Submit, tmp_path: Path, make: Make) -> None:
    upload.sandbox.inject(Fault.rate_limited(0), route=ROUTE, times=1)
    source = make(tmp_path)

    await upload(source)

    assert upload.arrived() == VIDEO
    assert upload.sandbox.count(ROUTE) == 2
    if isinstance(source, io.BufferedReader):
        source.close()


@pytest.mark.parametrize("kind", ["path", "open file", "factory"])
@pytest.mark.parametrize("ending", ["resets", "closes"])
async def test_a_connection_that_breaks_in_the_middle_is_repeated_and_sends_exactly_one_form(
    stuck: Any, tmp_path: Path, kind: str, ending: str
) -> None:
    path, stuck.times = sparse(tmp_path, 16 * MiB), 1
    setattr(stuck, ending, True)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(16):
            yield bytes(MiB)

    async with AsyncClient("key", base_url=stuck.base_url, retry=QUICK, timeout=10.0) as client:
        with path.open("rb") as file:
            source = {"path": path, "open file": file, "factory": Upload(chunks, size=16 * MiB)}[kind]
            assert await submit(client, source) == "6f82"

    assert [size > 16 * MiB for size in stuck.forms] == [True]


async def test_a_connection_that_keeps_breaking_in_the_middle_was_certainly_not_sent(
    stuck: Any, tmp_path: Path
) -> None:
    stuck.resets = True
    async with AsyncClient("key", base_url=stuck.base_url, retry=QUICK) as client:
        with pytest.raises(APIConnectionError) as caught:
            await submit(client, sparse(tmp_path))

    assert (caught.value.sent, caught.value.attempts) == ("no", 3)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Fault.reset(when="after"), APIConnectionError),
        (Fault.status(500, when="after"), InternalServerError),
        (Fault.hang(when="after"), APITimeoutError),
    ],
    ids=["reset", "500", "no answer"],
)
async def test_what_fails_after_the_last_byte_is_uncertain_and_not_repeated(
    upload: Submit, fault: Fault, cause: type[Exception]
) -> None:
    upload.sandbox.inject(fault, route=ROUTE)
    upload.client = upload.client.with_options(timeout=0.5)

    with pytest.raises(SubmissionUncertainError) as caught:
        await upload(VIDEO)

    assert isinstance(caught.value.__cause__, cause)
    assert upload.sandbox.count(ROUTE) == 1


@pytest.mark.parametrize("afterwards", ["reads on", "reads no further", "closes"])
async def test_an_answer_during_the_upload_is_what_the_caller_gets(
    peer: Peer, tmp_path: Path, afterwards: str
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(UNAUTHORIZED)
        await writer.drain()
        if afterwards == "reads no further":
            await forever()
        while afterwards == "reads on" and await reader.read(MiB):
            pass

    # A close while the client still writes may reset the connection before the answer is read.
    expected = ChamelaionError if afterwards == "closes" else AuthenticationError
    limit = 0.2 if afterwards == "reads no further" else 5.0
    async with AsyncClient("key", base_url=await peer(talk), retry=QUICK, timeout=limit) as client:
        with pytest.raises(expected):
            async with asyncio.timeout(5):
                await submit(client, sparse(tmp_path))


async def test_a_peer_that_stops_reading_is_a_timeout_after_which_nothing_was_sent(
    stuck: Any, tmp_path: Path
) -> None:
    async with AsyncClient("key", base_url=stuck.base_url, retry=ONCE, timeout=0.2) as client:
        began = time.monotonic()
        with pytest.raises(APITimeoutError) as caught:
            await submit(client, sparse(tmp_path))

    assert caught.value.sent == "no"
    assert time.monotonic() - began < 3


async def test_a_source_that_stops_giving_is_a_timeout_after_which_nothing_was_sent(upload: Submit) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield VIDEO[:1000]
        await forever()

    upload.client = upload.client.with_options(timeout=0.1, retry=ONCE)
    with pytest.raises(APITimeoutError) as caught:
        await upload(Upload(chunks, size=len(VIDEO)))

    assert caught.value.sent == "no"


async def test_a_slow_source_may_take_longer_than_the_timeout(upload: Submit) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(VIDEO), 80_000):
            await asyncio.sleep(0.08)
            yield VIDEO[start : start + 80_000]

    upload.client = upload.client.with_options(timeout=0.4)
    began = time.monotonic()
    await upload(Upload(chunks, size=len(VIDEO)))

    assert time.monotonic() - began > 0.6
    assert upload.arrived() == VIDEO


@pytest.mark.parametrize("how", ["cancelled", "closed"])
async def test_an_upload_that_is_ended_in_the_middle_closes_our_file_and_leaves_no_task(
    stuck: Any, tmp_path: Path, how: str
) -> None:
    path, before = sparse(tmp_path), asyncio.all_tasks()
    async with AsyncClient("key", base_url=stuck.base_url, retry=QUICK) as client:
        task = asyncio.create_task(submit(client, path))
        await stuck.has_begun.wait()
        assert is_open_here(path)
        if how == "cancelled":
            task.cancel()
        else:
            await client.aclose()
        with pytest.raises(asyncio.CancelledError if how == "cancelled" else ClientClosedError):
            await task
        left = [repr(each) for each in asyncio.all_tasks() - before]

        assert [each for each in left if "talk" not in each and "connected" not in each] == []
        assert await is_closed_soon(path)


def test_the_media_of_a_form_are_never_held_as_text() -> None:
    video = Media("video", "video (bytes)", 4, partial(read_bytes, memoryview(b"film")), "film.mp4", None)
    form = Form({}, [video], None, lambda: None)

    with pytest.raises(TypeError, match="never held as text"):
        form.data.decode()
