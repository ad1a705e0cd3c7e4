"""A storage host whose answers are laid out beforehand, and a download from it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from chamelaion_async import AsyncClient, DownloadError, LipsyncRequest, RetryPolicy
from chamelaion_async.sandbox import Sandbox

from .files import names_in

OUTPUT = random.Random(7).randbytes(700_000)
OTHER = random.Random(8).randbytes(len(OUTPUT))
ETAG = {"ETag": '"v1"'}
OLD, NOW = "Tue, 07 Apr 2026 10:00:00 GMT", "Tue, 07 Apr 2026 12:00:00 GMT"
ONCE = RetryPolicy(attempts=1)
QUICK = RetryPolicy(initial=0.001, max=0.01)


OUTPUT_ROUTE = "GET /output/{name:path}"
CREDENTIALS = {"x-api-key", "authorization", "cookie", "proxy-authorization", "referer", "x-tenant"}
SIGNED = (
    "/b%C3%BCcket/a%2Fb/film%20(1).mp4"
    "?X-Amz-Signature=a%2Fb%2Bc%3D%3d&e=%7E~&p=1+2&q=%e2%82%ac&empty=&flag&x=a:b/c?d@e"
)


class Asked(NamedTuple):
    """What an origin was asked."""

    target: str
    headers: Mapping[str, str]

    @property
    def resumes_at(self) -> int:
        """Where the range begins that is asked for, 0 without one."""
        return int(self.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))


Then = Literal["keep", "close", "reset", "hang"]


class Reply(NamedTuple):
    """What an origin answers: bytes, and what becomes of the connection after them."""

    data: bytes
    then: Then = "keep"


Answer = Reply | Callable[[Asked], Reply]
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


def reply(
    body: bytes,
    status: str = "200 OK",
    headers: Mapping[str, str] | None = None,
    *,
    length: int | None = None,
    then: Then = "keep",
) -> Reply:
    lines = {"Content-Length": str(len(body) if length is None else length), "Date": NOW, **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return Reply(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body, then)


def whole(headers: Mapping[str, str] = ETAG) -> Reply:
    """Answer 200 with the whole output."""
    return reply(OUTPUT, headers=headers)


def cut(body: bytes, size: int, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer 200 with no more than a beginning."""
    return reply(body[:size], headers=headers, length=len(body), then="close")


def partial_content(body: bytes, content_range: str | None, headers: Mapping[str, str] = ETAG) -> Reply:
    bounds = {} if content_range is None else {"Content-Range": content_range}
    return reply(body, "206 Partial Content", {**bounds, **headers})


def rest(body: bytes, start: int, headers: Mapping[str, str] = ETAG) -> Reply:
    """Answer 206 with all from ``start`` on."""
    return partial_content(body[start:], f"bytes {start}-{len(body) - 1}/{len(body)}", headers)


def as_asked(asked: Asked) -> Reply:
    """Answer with the whole output, or with the range that is asked for."""
    return rest(OUTPUT, asked.resumes_at) if asked.resumes_at else whole()


def redirect(location: str, status: str = "302 Found", then: Then = "keep") -> Reply:
    return reply(b"", status, {"Location": location}, then=then)


class Origin:
    """The host; its last answer is repeated."""

    def __init__(self, answers: Sequence[Answer] = ()) -> None:
        self.asked: list[Asked] = []
        self.host = ""
        self._answers = answers

    def url(self, target: str = "/out/film.mp4") -> str:
        return f"http://{self.host}{target}"

    def noted(self, request: bytes) -> Asked:
        first, *lines = request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        self.asked.append(Asked(first.split(" ")[1], {name.lower(): value.strip() for name, _, value in pairs}))
        return self.asked[-1]

    async def exchange(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        asked = self.noted(request)
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
        data, then = answer if isinstance(answer, Reply) else answer(asked)
        writer.write(data)
        await writer.drain()
        if then == "close":
            writer.close()
        elif then == "reset":
            reset(writer)
        elif then == "hang":
            await asyncio.get_running_loop().create_future()


def reset(writer: asyncio.StreamWriter) -> None:
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


Serve = Callable[..., Awaitable[Origin]]


class Download:
    """``await download(answers)`` saves the output of an origin with these answers as ``film.mp4``."""

    def __init__(self, client: AsyncClient, folder: Path, serve: Serve) -> None:
        self.client = client
        self.target = folder / "film.mp4"
        self.serve = serve
        self.url = "/out/film.mp4"

    async def __call__(self, *answers: Answer, **options: Any) -> Origin:
        origin = await self.serve(*answers)
        await self.client.download(origin.url(self.url), self.target, **options)
        return origin

    async def fails(self, *answers: Answer, match: str | None = None, **options: Any) -> Origin:
        """Try a download that must end with ``DownloadError``."""
        origin = await self.serve(*answers)
        await self.fails_for(origin.url(self.url), match=match, **options)
        return origin

    async def breaks_off(self, *answers: Answer) -> Origin:
        """Make a first run that gives up after one attempt."""
        client, self.client = self.client, self.client.with_options(retry=ONCE)
        origin = await self.fails(*answers)
        self.client = client
        return origin

    async def fails_for(self, source: Any, *, match: str | None = None, **options: Any) -> None:
        with pytest.raises(DownloadError, match=match) as caught:
            async with asyncio.timeout(5):
                await self.client.download(source, self.target, **options)
        self.error = caught.value

    async def started(self, url: str) -> asyncio.Task[Path]:
        """Begin a download and return when its first bytes are on disk."""
        has_begun = asyncio.Event()
        call = self.client.download(url, self.target, on_progress=lambda *_: has_begun.set())
        task, beginning = asyncio.create_task(call), asyncio.create_task(has_begun.wait())
        await asyncio.wait([task, beginning], return_when=asyncio.FIRST_COMPLETED, timeout=5)
        beginning.cancel()
        return task

    @property
    def content(self) -> bytes | None:
        """What has the final name."""
        with contextlib.suppress(FileNotFoundError):
            return self.target.read_bytes()
        return None

    @property
    def part(self) -> Path:
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def notes(self) -> Path:
        return self.target.with_name(f"{self.target.name}.part.json")

    @property
    def part_content(self) -> bytes:
        return self.part.read_bytes()

    @property
    def names(self) -> list[str]:
        """What is in the folder."""
        return names_in(self.target.parent)

    def left_behind(self, data: bytes, notes: bytes = b'{"validator": "\\"v1\\""}') -> None:
        """Do as if an earlier run had stopped there."""
        self.part.write_bytes(data)
        self.notes.write_bytes(notes)


async def finished(sandbox: Sandbox) -> LipsyncRequest:
    """Return a request of the sandbox that is completed, with the output."""
    job = sandbox.add_job(job_seconds=0, output=OUTPUT)
    async with AsyncClient("sk-key", base_url=sandbox.base_url) as api:
        return await api.lipsync.requests.get(job.id)
