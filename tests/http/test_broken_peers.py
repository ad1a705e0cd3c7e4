"""Peers that break HTTP, JSON or patience: what comes out is an error of ours, soon and at a bounded price."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import socket
import struct
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from chamelaion_async import (
    APIConnectionError,
    APITimeoutError,
    AsyncClient,
    ChamelaionError,
    InvalidResponseError,
    NotFoundError,
    RetryPolicy,
    User,
)
from chamelaion_async.sandbox import Fault, Sandbox

MiB = 1024 * 1024
CAP = 8 * MiB
ONCE = RetryPolicy(attempts=1)
AT_ONCE = RetryPolicy(initial=0, max=0)
GOOD = b'{"name": "k"}'
RawServer = Callable[[Callable[[bytes, asyncio.StreamWriter], Any]], Any]


def answer(body: bytes, headers: bytes = b"", status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s" % (
        status,
        len(body),
        headers,
        body,
    )


def saying(data: bytes, *, then_close: bool = False) -> Callable[[bytes, asyncio.StreamWriter], Any]:
    async def exchange(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        if then_close:
            writer.close()

    return exchange


async def ask(base_url: str, method: str = "GET", *, timeout: float = 5.0) -> Any:
    async with AsyncClient("sk-key", base_url=base_url, retry=ONCE, timeout=timeout) as client:
        return await client.request(method, "/v1/users/me")


async def me(base_url: str) -> User:
    async with AsyncClient("sk-key", base_url=base_url, retry=ONCE, timeout=5.0) as client:
        return await client.users.me()


def refused_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_refused_connection_was_certainly_not_sent(method: str) -> None:
    with pytest.raises(APIConnectionError) as caught:
        await ask(f"http://127.0.0.1:{refused_port()}/api", method)

    assert (caught.value.sent, caught.value.method, caught.value.path) == ("no", method, "/v1/users/me")


class Unknown(AbstractResolver):
    """Knows no name."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise OSError(None, "Name or service not known")

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_unknown_host_was_certainly_not_sent(method: str) -> None:
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Unknown())) as session,
        AsyncClient("sk-key", base_url="https://nowhere.test", session=session, retry=ONCE) as client,
    ):
        with pytest.raises(APIConnectionError, match="Name or service not known") as caught:
            await client.request(method, "/v1/users/me")

    assert caught.value.sent == "no"


async def test_tls_that_fails_was_certainly_not_sent() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(APIConnectionError) as caught:
            await ask(f"https://127.0.0.1:{port}", "POST")

    assert caught.value.sent == "no"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_connection_that_is_accepted_and_reset_may_have_been_sent(method: str) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted: socket.socket = writer.get_extra_info("socket")
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(APIConnectionError) as caught:
            await ask(f"http://127.0.0.1:{port}", method)

    assert caught.value.sent == "maybe"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_close_without_an_answer_may_have_been_received(raw_server: RawServer, method: str) -> None:
    with pytest.raises(APIConnectionError) as caught:
        await ask(await raw_server(saying(b"", then_close=True)), method)

    assert caught.value.sent == "maybe"


@pytest.mark.parametrize("linger", [True, False], ids=["reset", "closed"])
async def test_a_post_on_a_kept_connection_that_was_closed_is_delivered_at_most_once(
    raw_server: RawServer, linger: bool
) -> None:
    posts: list[bytes] = []

    async def exchange(request: bytes, writer: asyncio.StreamWriter) -> None:
        if request.startswith(b"POST"):
            posts.append(request)
        writer.write(answer(GOOD))
        await writer.drain()
        if linger:
            kept: socket.socket = writer.get_extra_info("socket")
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()

    async with AsyncClient("sk-key", base_url=await raw_server(exchange), retry=AT_ONCE) as client:
        await client.request("GET", "/v1/users/me")
        outcome = (await asyncio.gather(client.request("POST", "/v1/things"), return_exceptions=True))[0]

    # Depending on when the close is noticed, it went out on a new connection or on none.
    assert (len(posts), getattr(outcome, "sent", "yes")) in [(1, "yes"), (0, "maybe"), (0, "no")]


async def test_a_post_cut_off_on_a_kept_connection_is_delivered_once(raw_server: RawServer) -> None:
    posts: list[bytes] = []

    async def exchange(request: bytes, writer: asyncio.StreamWriter) -> None:
        if request.startswith(b"POST"):
            posts.append(request)
            writer.close()
        else:
            writer.write(answer(GOOD))

    async with AsyncClient("sk-key", base_url=await raw_server(exchange), retry=AT_ONCE) as client:
        await client.request("GET", "/v1/users/me")
        with pytest.raises(APIConnectionError):
            await client.request("POST", "/v1/things")

    assert len(posts) == 1


CUT_SHORT = {
    "truncated body": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + GOOD,
    "no body": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
    "half a status line": b"HTTP/1.1 2",
    "half of the headers": b"HTTP/1.1 200 OK\r\nContent-Len",
    "chunked without an end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n" + GOOD + b"\r\n",
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n500\r\n" + GOOD,
    "broken chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + GOOD + b"\r\n0\r\n\r\n",
    "truncated error": b"HTTP/1.1 500 Oops\r\nContent-Length: 500\r\n\r\n{}",
    "corrupt gzip": answer(b"\x1f\x8b\x08\x00garbage, not deflate", b"Content-Encoding: gzip\r\n"),
    "gzip that is none": answer(GOOD, b"Content-Encoding: gzip\r\n"),
    "deflate that is none": answer(b"\xff\xff\xff\xff", b"Content-Encoding: deflate\r\n"),
    "gzip with a wrong checksum": answer(gzip.compress(GOOD)[:-8] + b"\0" * 8, b"Content-Encoding: gzip\r\n"),
}


@pytest.mark.parametrize("data", CUT_SHORT.values(), ids=CUT_SHORT)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_answer_that_is_cut_short_is_a_failed_connection(
    raw_server: RawServer, method: str, data: bytes
) -> None:
    with pytest.raises((APIConnectionError, InvalidResponseError)) as caught:
        await ask(await raw_server(saying(data, then_close=True)), method)

    assert getattr(caught.value, "sent", "maybe") == "maybe"


NOT_HTTP = {
    "garbage": b"\x00\x01\x02 what is this\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "html without headers": b"<html><body>hello</body></html>\r\n\r\n",
    "status that is no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "version that is none": b"HTTP/x.y 200 OK\r\n\r\n",
    "huge header": b"HTTP/1.1 200 OK\r\nX-Big: " + b"x" * 100_000 + b"\r\nContent-Length: 0\r\n\r\n",
    "huge status line": b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n",
    "header without a name": b"HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 0\r\n\r\n",
    "header with a NUL": b"HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n" + GOOD,
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n" + GOOD,
    "length that is no number": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n" + GOOD,
}


@pytest.mark.parametrize("data", NOT_HTTP.values(), ids=NOT_HTTP)
async def test_what_is_not_http_is_an_answer_that_makes_no_sense(raw_server: RawServer, data: bytes) -> None:
    with pytest.raises(InvalidResponseError, match="not HTTP") as caught:
        await ask(await raw_server(saying(data, then_close=True)))

    assert (caught.value.status, caught.value.method, caught.value.path) == (None, "GET", "/v1/users/me")


async def test_too_many_headers_are_no_http_that_we_take(raw_server: RawServer) -> None:
    headers = b"".join(b"X-H%d: v\r\n" % n for n in range(20_000))

    with pytest.raises(InvalidResponseError, match="not HTTP"):
        await ask(await raw_server(saying(answer(GOOD, headers), then_close=True)))


UNREADABLE = {
    "empty": b"",
    "spaces": b" \r\n ",
    "html": b"<!doctype html><title>hello</title>",
    "half": b'{"name": "k',
    "two documents": GOOD + GOOD,
    "a trailing comma": b'{"name": "k",}',
    "bad UTF-8": b'{"name": "\xff\xfe"}',
    "cut UTF-8": b'{"name": "\xe6\x97"}',
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "deep arrays that close": b"[" * 100_000 + b"]" * 100_000,
    "a huge integer": b'{"name": ' + b"9" * 5000 + b"}",
    "NUL": b"\x00" * 100,
    "form": b"name=k",
}
MISSHAPEN = {
    "null": b"null",
    "true": b"true",
    "a number": b"5",
    "a string": b'"name"',
    "a list": b"[]",
    "a list of objects": b"[" + GOOD + b"]",
    "an empty object": b"{}",
    "name is null": b'{"name": null}',
    "name is a number": b'{"name": 5}',
    "name is true": b'{"name": true}',
    "name is a list": b'{"name": ["k"]}',
    "name is an object": b'{"name": {"name": "k"}}',
    "name is elsewhere": b'{"Name": "k", "data": {"name": "k"}}',
}


@pytest.mark.parametrize("body", [*UNREADABLE.values(), *MISSHAPEN.values()], ids=[*UNREADABLE, *MISSHAPEN])
async def test_a_200_that_is_not_the_model_is_an_invalid_response(raw_server: RawServer, body: bytes) -> None:
    with pytest.raises(InvalidResponseError, match=r"GET /v1/users/me was answered 200") as caught:
        await me(await raw_server(saying(answer(body))))

    assert (caught.value.status, caught.value.excerpt) == (200, body[:512])


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
async def test_the_text_about_an_unreadable_answer_is_short(raw_server: RawServer, body: bytes) -> None:
    with pytest.raises(InvalidResponseError) as caught:
        await me(await raw_server(saying(answer(body))))

    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", None),
        ("id", 5),
        ("status", None),
        ("status", ["queued"]),
        ("created_at", None),
        ("created_at", 1775563200),
        ("created_at", "yesterday"),
        ("created_at", "2026-04-07"),
        ("created_at", "9999-99-99T00:00:00Z"),
        ("reference_id", 5),
        ("finished_at", "soon"),
        ("output_url", {}),
        ("error_message", 404),
    ],
)
async def test_a_mistyped_field_is_named(raw_server: RawServer, field: str, value: Any) -> None:
    record = {"id": "a", "status": "queued", "created_at": "2026-04-07T10:00:00Z", field: value}
    base_url = await raw_server(saying(answer(json.dumps(record).encode())))
    async with AsyncClient("sk-key", base_url=base_url) as client:
        with pytest.raises(InvalidResponseError, match=rf"\$\.{field}"):
            await client.lipsync.requests.get("a")


@pytest.mark.parametrize("field", ["id", "status", "created_at"])
async def test_a_missing_field_is_named(raw_server: RawServer, field: str) -> None:
    record = {"id": "a", "status": "queued", "created_at": "2026-04-07T10:00:00Z"}
    del record[field]
    base_url = await raw_server(saying(answer(json.dumps(record).encode())))
    async with AsyncClient("sk-key", base_url=base_url) as client:
        with pytest.raises(InvalidResponseError, match=field):
            await client.lipsync.requests.get("a")


def deflated(data: bytes, *, raw: bool = False) -> bytes:
    packer = zlib.compressobj(wbits=-15 if raw else 15)
    return packer.compress(data) + packer.flush()


READABLE = {
    "plain": answer(GOOD),
    "byte order mark": answer(b"\xef\xbb\xbf" + GOOD),
    "without content type": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(GOOD) + GOOD,
    "html by its header": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(GOOD)
    + GOOD,
    "latin-1 by its header": b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=latin-1\r\n"
    b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD,
    "until the end": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + GOOD,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"
    + GOOD[:5]
    + b"\r\n8\r\n"
    + GOOD[5:]
    + b"\r\n0\r\n\r\n",
    "gzip": answer(gzip.compress(GOOD), b"Content-Encoding: gzip\r\n"),
    "gzip in two members": answer(gzip.compress(GOOD[:5]) + gzip.compress(GOOD[5:]), b"Content-Encoding: gzip\r\n"),
    "deflate": answer(deflated(GOOD), b"Content-Encoding: deflate\r\n"),
    "raw deflate": answer(deflated(GOOD, raw=True), b"Content-Encoding: deflate\r\n"),
    "unknown fields": answer(b'{"new": {"a": [1, 2.5e300, null]}, "name": "k"}'),
    "after an early hint": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + answer(GOOD),
    "created": answer(GOOD, status=b"201 Created"),
    "odd reason": answer(GOOD, status=b"200 \xc3\xbc"),
    "no reason": answer(GOOD, status=b"200 "),
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + GOOD,
}


@pytest.mark.parametrize("data", READABLE.values(), ids=READABLE)
async def test_an_unusual_answer_is_read(raw_server: RawServer, data: bytes) -> None:
    assert await me(await raw_server(saying(data, then_close=True))) == User(name="k")


async def test_a_whole_answer_is_read_that_arrives_byte_by_byte(raw_server: RawServer) -> None:
    async def exchange(_: bytes, writer: asyncio.StreamWriter) -> None:
        for byte in answer(GOOD):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    assert await me(await raw_server(exchange)) == User(name="k")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_silence_is_a_timeout(raw_server: RawServer, method: str) -> None:
    async def exchange(_: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(APITimeoutError) as caught:
        await ask(await raw_server(exchange), method, timeout=0.05)

    assert caught.value.sent == "maybe"


async def test_a_slow_drip_is_a_timeout(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.drip(0.01))

    with pytest.raises(APITimeoutError):
        await ask(sandbox.base_url, timeout=0.08)


async def test_a_slow_drip_of_headers_is_a_timeout(raw_server: RawServer) -> None:
    async def exchange(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-A: b\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    with pytest.raises(APITimeoutError):
        await ask(await raw_server(exchange), timeout=0.08)


def padded(size: int) -> bytes:
    """A good answer of exactly ``size`` bytes."""
    return b'{"name": "k", "pad": "%s"}' % (b"x" * (size - len(b'{"name": "k", "pad": ""}')))


@pytest.mark.parametrize("size", [CAP - 1, CAP])
async def test_an_answer_up_to_the_cap_is_read(raw_server: RawServer, size: int) -> None:
    assert await me(await raw_server(saying(answer(padded(size))))) == User(name="k")


@pytest.mark.parametrize(
    "encode",
    [
        answer,
        lambda body: (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        ),
        lambda body: answer(gzip.compress(body, 1), b"Content-Encoding: gzip\r\n"),
        lambda body: answer(deflated(body), b"Content-Encoding: deflate\r\n"),
        lambda body: answer(body, status=b"500 Oops"),
    ],
    ids=["length", "chunked", "gzip", "deflate", "error"],
)
async def test_an_answer_beyond_the_cap_is_refused(raw_server: RawServer, encode: Callable[[bytes], bytes]) -> None:
    with pytest.raises(InvalidResponseError, match=f"more than {CAP} bytes"):
        await ask(await raw_server(saying(encode(padded(CAP + 1)))))


async def test_an_answer_far_beyond_the_cap_is_not_read_whole(raw_server: RawServer) -> None:
    sent = 0

    async def exchange(_: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (256 * MiB))
        while sent < 256 * MiB:
            writer.write(b"x" * MiB)
            await writer.drain()
            sent += MiB

    with pytest.raises(InvalidResponseError):
        await ask(await raw_server(exchange))

    assert sent < 32 * MiB  # the cap, and what the sockets buffer


async def test_an_answer_beyond_the_cap_leaves_the_client_in_order(raw_server: RawServer) -> None:
    answers = iter([answer(padded(CAP + 1)), answer(GOOD)])

    async def exchange(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(next(answers))

    async with AsyncClient("sk-key", base_url=await raw_server(exchange)) as client:
        with pytest.raises(InvalidResponseError):
            await client.users.me()

        assert await client.users.me() == User(name="k")


async def test_an_answer_beyond_the_cap_is_released_and_not_left_to_the_garbage_collector(
    raw_server: RawServer,
) -> None:
    asyncio.get_running_loop().set_debug(True)  # in which aiohttp warns of a response that was left
    async with AsyncClient("sk-key", base_url=await raw_server(saying(answer(padded(CAP + 1))))) as client:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with pytest.raises(InvalidResponseError):
                await client.users.me()
            gc.collect()

    assert [str(warning.message) for warning in warned if warning.category is ResourceWarning] == []


def bomb(encoding: str) -> bytes:
    """About half a megabyte that inflates to 512 MiB: one compressed block of zeros, over and over."""
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(b"0" * MiB) + packer.flush(zlib.Z_FULL_FLUSH)
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" if encoding == "gzip" else b"\x78\xda"
    return head + block * 512 + b"\x03\x00" + b"\0" * 8


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("status", [b"200 OK", b"500 Oops"], ids=["200", "500"])
async def test_a_compression_bomb_is_refused_at_little_cost(
    raw_server: RawServer, encoding: str, status: bytes
) -> None:
    data = answer(bomb(encoding), b"Content-Encoding: %s\r\n" % encoding.encode(), status)
    base_url = await raw_server(saying(data))
    assert 400_000 < len(data) < 1_200_000
    tracemalloc.start()
    try:
        with pytest.raises(InvalidResponseError):
            await ask(base_url)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 64 * MiB


ANYTHING = {**CUT_SHORT, **NOT_HTTP} | {name: answer(body) for name, body in {**UNREADABLE, **MISSHAPEN}.items()}


@pytest.mark.parametrize("data", ANYTHING.values(), ids=ANYTHING)
async def test_only_our_own_errors_come_out(raw_server: RawServer, data: bytes) -> None:
    base_url = await raw_server(saying(data, then_close=True))
    async with AsyncClient("sk-key", base_url=base_url, retry=AT_ONCE) as client:
        with pytest.raises(ChamelaionError):
            await client.lipsync.requests.get("dub-42")


@pytest.mark.parametrize("data", ANYTHING.values(), ids=ANYTHING)
async def test_a_client_goes_on_after_a_broken_answer(raw_server: RawServer, data: bytes) -> None:
    async def exchange(request: bytes, writer: asyncio.StreamWriter) -> None:
        about_me = b"/v1/users/me" in request
        writer.write(data if about_me else answer(b'{"error": "lipsync request not found"}', status=b"404 Not Found"))
        writer.close()

    async with AsyncClient("sk-key", base_url=await raw_server(exchange), retry=AT_ONCE) as client:
        with pytest.raises(ChamelaionError):
            await client.users.me()
        with pytest.raises(NotFoundError):
            await client.lipsync.requests.get("dub-42")
