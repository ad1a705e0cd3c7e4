"""Whole downloads from a server of raw bytes: the file, or ``DownloadError`` and nothing under its name."""

from __future__ import annotations

import asyncio
import json
import socket
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
import attrs
from aiohttp.abc import AbstractResolver, ResolveResult

from chamelaion_async import AsyncClient, DownloadError, RetryPolicy
from tests.support.raw_server import serve

from .target import Target

_MAX_REQUESTS = 60  # two attempts without progress, each of ten redirects; and a few that bring a byte
_MAX_TEXT = 1300
_SECONDS = 20.0
_SEPARATOR = b"\n====\n"


class _NoNames(AbstractResolver):
    """Refuses names as a resolver without a network does: after the system's own check of the name."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        host.encode("idna")  # socket.getaddrinfo does this first, and raises UnicodeError
        raise OSError("no name is looked up here")

    async def close(self) -> None:
        """Hold nothing."""


@attrs.define
class _Server:
    """Answers each request with the next of its answers, and then with the last one, and closes the connection."""

    answers: list[bytes]
    requests: int = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        writer.write(self.answers[min(self.requests, len(self.answers)) - 1])
        await writer.drain()
        writer.write_eof()
        await reader.read()  # closing first would be a reset, in which the answer may be lost


def _check(data: bytes) -> None:
    """Download from a server that gives these answers, in which ``PORT`` stands for its port."""
    asyncio.run(_download(data.split(_SEPARATOR)))


async def _download(answers: list[bytes]) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    served = _Server(answers)
    async with serve(served) as port:
        served.answers = [answer.replace(b"PORT", b"%d" % port) for answer in answers]
        await _download_from(port)
    assert served.requests <= _MAX_REQUESTS
    assert complaints == []


async def _download_from(port: int) -> None:
    def only_here(info: Any) -> socket.socket:
        if info[-1][:2] != ("127.0.0.1", port):
            raise OSError("nothing else is connected to")
        return socket.socket(*info[:3])

    connector = aiohttp.TCPConnector(resolver=_NoNames(), socket_factory=only_here, force_close=True)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "film.mp4")
        async with aiohttp.ClientSession(connector=connector) as session:
            retry = RetryPolicy(attempts=2, initial=0, max=0)
            client = AsyncClient("sk-key", session=session, retry=retry, timeout=_SECONDS)
            async with client, asyncio.timeout(_SECONDS):
                failure: DownloadError | None = None
                try:
                    await client.download(f"http://127.0.0.1:{port}/film.mp4", target)
                except DownloadError as error:
                    failure = error
        if failure is None:
            assert _names_in(folder) == ["film.mp4"]
        else:
            assert len(str(failure)) <= _MAX_TEXT
            _assert_suspended(folder)


def _names_in(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def _assert_suspended(folder: str) -> None:
    """Hold that what is left can be resumed, and that nothing is left otherwise."""
    left = _names_in(folder)
    assert left in ([], ["film.mp4.part", "film.mp4.part.json"])
    if left:
        assert Path(folder, "film.mp4.part").stat().st_size > 0
        assert json.loads(Path(folder, "film.mp4.part.json").read_bytes())["validator"]


def _answer(status: int, *lines: str, body: str = "") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} Some Words", *lines, "", body]).encode("latin-1")


_V1, _FIVE = 'ETag: "v1"', "Content-Length: 5"
_DATES = "Last-Modified: Tue, 07 Apr 2026 10:00:00 GMT\r\nDate: Tue, 07 Apr 2026 12:00:00 GMT"
_REST = _answer(206, "Content-Length: 3", "Content-Range: bytes 2-4/5", _V1, body="lms")
_PLACES = [
    *(
        "http://127.0.0.1:PORT/b?sig=a%2Fb",
        "http://user:pw@cdn.example.com:8080/a",
        "http://a..b/",
        "http://[::1]:@/",
    ),
    *("http://cdn.example.com:99999/", "http://\xff/"),
]
_SEEDS = [
    _SEPARATOR.join(answers)
    for answers in (
        [_answer(200, _FIVE, _V1, body="films")],
        [_answer(200, _FIVE, _V1, body="fi"), _REST],
        [_answer(200, _FIVE, _DATES, body="fi"), _REST],
        [_answer(200, _FIVE, _DATES.replace("GMT", "GMT\x01(x)"), body="fi"), _REST],
        [_answer(200, "Transfer-Encoding: chunked", body="5\r\nfilms\r\n0\r\n\r\n")],
        [_answer(206, _FIVE, "Content-Range: bytes 0-4/5", body="films")],
        [_answer(206, _FIVE, f"Content-Range: bytes {'0' * 4301}-4/5", body="films")],
        [_answer(416, "Content-Length: 0", "Content-Range: bytes */5")],
        [_answer(503, "Content-Length: 0"), _answer(404, "Content-Length: 0")],
        [_answer(200, _FIVE, "Content-Encoding: gzip", body="films")],
        *([_answer(302, "Content-Length: 0", f"Location: {place}"), _REST] for place in _PLACES),
        [b"HTTP/1.1 " + b"2" * 8000],
    )
]
_WORDS = [
    *(
        b"Location: //h/|Location: https://[::1/|Location: http://a..b/|Location: //[::1]:@/|http://|https://|ftp://|//|/|"
        b":|@|?|#|..|%|%00|%ff|:0|:65535|:99999|:-1|:x|[::1]|[::1%25x]|127.0.0.1|0|1|2|5|-1|+5|"
        b'"v1"|W/"v1"|"|*|-|bytes|chunked|gzip|deflate|identity|200|204|206|302|304|308|416|500|HTTP/1.0|HTTP/2|xn--a|xn--'
    ).split(b"|"),
    *b"\r\n|\r\n\r\n|\r\nContent-Length: 5|\r\nContent-Range: bytes 2-4/5".split(b"|"),
    b'\r\nETag: "v2"',
    b"\r\nTransfer-Encoding: chunked",
    "\uff0e".encode(),
    b"a" * 64,
    b"a." * 130,
    b"0" * 4301,
    b"9" * 4301,
    b"9" * 8200,
    _SEPARATOR,
]

DOWNLOADS = Target(name="downloads", check=_check, seeds=_SEEDS, words=_WORDS)
