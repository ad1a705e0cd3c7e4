"""Downloads: the whole output has the final name or nothing has, and no byte is fetched twice without need."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
import traceback
from collections.abc import Sequence
from typing import Any

import aiohttp
import pytest

from chamelaion_async import AsyncClient, ClientClosedError, RetryPolicy
from chamelaion_async._media.partial_file import Part
from chamelaion_async.sandbox import Fault, Sandbox

from .files import is_closed_soon, is_open_here
from .origin import (
    CHUNKED,
    CREDENTIALS,
    ETAG,
    ONCE,
    OUTPUT,
    OUTPUT_ROUTE,
    Answer,
    Asked,
    Download,
    Origin,
    Reply,
    Then,
    cut,
    finished,
    redirect,
    reply,
    rest,
    whole,
)

SECRET = "s3cr3t-signature"
Paused = tuple[Origin, asyncio.Event]
Seen = list[tuple[int, int | None]]


async def test_a_request_brings_its_output_and_leaves_nothing_else(download: Download, sandbox: Sandbox) -> None:
    path = await download.client.download(await finished(sandbox), str(download.target))

    assert (path, download.content, download.names) == (download.target, OUTPUT, ["film.mp4"])


@pytest.mark.parametrize(
    ("answer", "body", "total"),
    [
        (whole(), OUTPUT, len(OUTPUT)),
        (reply(b""), b"", 0),
        (Reply(CHUNKED + b"6\r\n world\r\n0\r\n\r\n"), b"hello world", None),
    ],
    ids=["known length", "empty", "unknown length"],
)
async def test_a_url_brings_what_it_leads_to(
    download: Download, answer: Reply, body: bytes, total: int | None
) -> None:
    seen: Seen = [(0, total)]

    await download(answer, on_progress=lambda *each: seen.append(each))

    assert (download.content, seen[-1]) == (body, (len(body), total))


@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_refused_connection_is_a_download_error(download: Download, overwrite: bool) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/film.mp4"
        await download.fails_for(url, match=r"film\.mp4", overwrite=overwrite)

    assert download.names == []


async def test_progress_counts_up_to_the_total(download: Download, sandbox: Sandbox) -> None:
    seen: Seen = []

    def on_progress(size: int, total: int | None) -> None:
        assert download.content is None
        seen.append((size, total))

    await download.client.download(await finished(sandbox), download.target, on_progress=on_progress)

    assert len(seen) > 1
    assert seen == sorted(seen, key=lambda each: each[0])
    assert {total for _, total in seen} == {len(OUTPUT)}
    assert seen[-1] == (len(OUTPUT), len(OUTPUT))


async def test_what_on_progress_raises_ends_the_download_which_can_be_resumed(
    download: Download, sandbox: Sandbox, mine: Exception
) -> None:
    request, calls = await finished(sandbox), 0

    def on_progress(_: int, __: int | None) -> None:
        nonlocal calls
        calls += 1
        raise mine

    with pytest.raises(Exception, match="mine") as caught:
        await download.client.download(request, download.target, on_progress=on_progress)
    assert (caught.value, calls) == (mine, 1)

    await download.client.download(request, download.target)
    assert "Range" in sandbox.received[-1].headers
    assert download.content == OUTPUT


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_a_download_that_breaks_again_and_again_continues_as_long_as_it_moves(
    download: Download, then: Then
) -> None:
    def answer(asked: Asked) -> Reply:
        start = asked.resumes_at
        full = rest(OUTPUT, start) if start else whole()
        return Reply(full.data[: 100_000 + len(full.data) - len(OUTPUT[start:])], then)

    origin = await download(answer)

    assert download.content == OUTPUT
    assert len(origin.asked) >= 7


@pytest.mark.parametrize("answer", [cut(OUTPUT, 699_999), Reply(CHUNKED, "close")], ids=["length", "chunked"])
async def test_an_answer_without_its_end_is_never_taken_for_whole(download: Download, answer: Reply) -> None:
    await download.fails(answer)

    assert download.content is None


async def test_attempts_that_always_start_over_are_bounded(download: Download) -> None:
    """Without a validator nothing is gained by an attempt that gets a little further than the one before."""
    sizes = [100_000, 50_000] * 20

    origin = await download.fails(*(cut(OUTPUT, size) for size in sizes), whole())

    assert len(origin.asked) < 10


async def test_an_origin_sees_no_credentials(download: Download) -> None:
    download.client = download.client.with_options(default_headers={"X-Tenant": "acme"})

    origin = await download(whole())

    assert CREDENTIALS.isdisjoint(origin.asked[0].headers)


async def test_a_session_that_was_passed_in_adds_no_credentials(download: Download) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        aiohttp.ClientSession(headers={"x-api-key": "k"}, cookies={"a": "b"}, cookie_jar=jar) as session,
        AsyncClient("sk-key", session=session) as download.client,
    ):
        origin = await download(whole())

    assert CREDENTIALS.isdisjoint(origin.asked[0].headers)


async def test_a_proxy_is_told_its_own_credentials_only(download: Download) -> None:
    proxy = await download.serve(whole())
    async with AsyncClient("sk-key", proxy=f"http://me:secret@{proxy.host}") as download.client:
        await download.client.download("http://cdn.example.com/film.mp4", download.target)

    asked = proxy.asked[0]
    assert (asked.target, download.content) == ("http://cdn.example.com/film.mp4", OUTPUT)
    assert (CREDENTIALS - {"proxy-authorization"}).isdisjoint(asked.headers)


FAILURES: dict[str, Sequence[Answer]] = {
    "expired": [reply(b"", "403 Forbidden")],
    "lasting 500": [reply(b"", "500 Oops")],
    "cut off": [cut(OUTPUT, 1000)],
    "reset": [Reply(b"", "reset")],
    "garbage": [Reply(b"this is not HTTP\r\n\r\n", "close")],
    "garbled header": [Reply(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "close")],
    "compressed": [reply(b"x", headers={"Content-Encoding": "br"})],
    "redirect to ftp": [redirect(f"ftp://127.0.0.1/film.mp4?sig={SECRET}")],
    "redirect to a bad URL": [redirect(f"http://[::1/film.mp4?sig={SECRET}")],
    "redirect to bad credentials": [redirect(f"http://a%3Ab:{SECRET}@127.0.0.1/film.mp4?sig={SECRET}")],
    "redirect without end": [redirect(f"/film.mp4?sig={SECRET}")],
    "redirect to an error": [redirect(f"/film.mp4?sig={SECRET}"), reply(b"", "404 Not Found")],
    "stall": [Reply(b"", "hang")],
}


@pytest.mark.parametrize("answers", [[whole()], *FAILURES.values()], ids=["success", *FAILURES.keys()])
async def test_the_query_and_the_password_of_a_url_are_in_no_message_traceback_or_log(
    download: Download, answers: Sequence[Answer], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    origin = await download.serve(*answers)
    url = origin.url(f"/film.mp4?sig={SECRET}").replace("//", f"//me:{SECRET}@")
    download.client = download.client.with_options(timeout=0.1)

    if answers in FAILURES.values():
        await download.fails_for(url)
        assert SECRET not in "".join(traceback.format_exception(download.error))
    else:
        await download.client.download(url, download.target)
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        Reply(b"", "hang"),
        reply(OUTPUT[:1000], length=len(OUTPUT), then="hang"),
        cut(OUTPUT, 0, ETAG),
        reply(b"", "500 Oops"),
        reply(b"", "503 Unavailable"),
    ],
    ids=["stall before the answer", "stall in the middle", "nothing", "500", "503"],
)
async def test_attempts_that_bring_nothing_new_are_bounded_in_number_and_time(
    download: Download, answer: Reply
) -> None:
    download.client = download.client.with_options(timeout=0.1)
    began = time.monotonic()

    origin = await download.fails(answer)

    assert time.monotonic() - began < 2
    assert len(origin.asked) == 3


async def test_interim_answers_do_not_extend_the_time_for_an_answer(download: Download, raw_server: Any) -> None:
    async def exchange(_: bytes, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)

    download.client = download.client.with_options(timeout=0.1, retry=ONCE)

    await download.fails_for(f"{await raw_server(exchange)}/film.mp4")


async def test_a_slow_download_may_take_longer_than_the_timeout(download: Download, sandbox: Sandbox) -> None:
    sandbox.inject(Fault.drip(0.05, step=64 * 1024), route=OUTPUT_ROUTE)
    request = await finished(sandbox)
    began = time.monotonic()

    await download.client.with_options(timeout=0.3, retry=ONCE).download(request, download.target)

    assert time.monotonic() - began > 0.4
    assert download.content == OUTPUT


async def test_a_cancelled_download_closes_its_file_and_can_be_resumed(download: Download, paused: Paused) -> None:
    before = asyncio.all_tasks()
    task = await download.started(paused[0].url())
    was_open = is_open_here(download.part)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert {each for each in asyncio.all_tasks() - before if "connected" not in repr(each)} == set()
    assert was_open
    assert await is_closed_soon(download.part)
    kept = len(download.part_content)
    assert kept > 0
    assert download.part_content == OUTPUT[:kept]
    assert json.loads(download.notes.read_bytes())["validator"] == '"v1"'


async def test_closing_the_client_ends_a_download(download: Download, paused: Paused) -> None:
    task = await download.started(paused[0].url())
    await download.client.aclose()

    with pytest.raises(ClientClosedError):
        await task
    assert await is_closed_soon(download.part)


async def test_closing_a_session_that_was_passed_in_ends_a_download(download: Download, paused: Paused) -> None:
    async with aiohttp.ClientSession() as session, AsyncClient("sk-key", session=session) as download.client:
        task = await download.started(paused[0].url())
        await session.close()

        with pytest.raises(ClientClosedError, match="the aiohttp session passed to AsyncClient is closed"):
            async with asyncio.timeout(5):
                await task


async def test_an_error_of_the_threads_reaches_the_caller_as_it_is(
    download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at the end of an interpreter, whose pool takes no more work."""

    def refuse(*_: object) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr(Part, "write", refuse)

    with pytest.raises(RuntimeError, match="after shutdown"):
        await download(whole())


async def test_closing_the_client_ends_the_pause_before_the_next_attempt(download: Download) -> None:
    origin = await download.serve(reply(b"", "503 Unavailable"))
    client = download.client.with_options(retry=RetryPolicy(initial=60, max=60))
    task = asyncio.create_task(client.download(origin.url(), download.target))
    await asyncio.wait([task], timeout=0.1)
    await client.aclose()

    with pytest.raises(ClientClosedError):
        async with asyncio.timeout(2):
            await task


async def test_a_closed_client_downloads_nothing(download: Download) -> None:
    origin = await download.serve(whole())
    await download.client.aclose()

    with pytest.raises(ClientClosedError):
        await download.client.download(origin.url(), download.target)

    assert origin.asked == []
