"""Servers by hand, and clients that transfer files."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from chamelaion_async import AsyncClient
from chamelaion_async.sandbox import Sandbox

from .media import Submit, forever
from .origin import QUICK, Download, Origin, Serve, reset, whole

ACCEPTED = b'{"status": "success", "request_id": "6f82"}'
RAISED: dict[str, Exception] = {
    "ValueError": ValueError("mine"),
    "RuntimeError": RuntimeError("mine"),
    "OSError": OSError("mine"),
    "ConnectionError": ConnectionResetError("mine"),
    "TimeoutError": TimeoutError("mine"),
    "aiohttp's": aiohttp.ClientConnectionError("mine"),
}


@pytest.fixture(params=list(RAISED.values()), ids=list(RAISED))
def mine(request: pytest.FixtureRequest) -> Exception:
    """An error of the caller's own function, of a kind that the network or the disk raise as well."""
    error: Exception = request.param
    return error


@pytest.fixture
async def serve(raw_server: Callable[[Any], Awaitable[str]]) -> Serve:
    """``await serve(answers)`` gives an origin with these answers."""

    async def start(*answers: Any) -> Origin:
        origin = Origin(answers)
        origin.host = (await raw_server(origin.exchange)).removeprefix("http://").removesuffix("/api")
        return origin

    return start


@pytest.fixture
async def download(serve: Serve, tmp_path: Path) -> AsyncIterator[Download]:
    """A download by a client whose API is not asked, into an empty folder."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    async with AsyncClient(
        "sk-key", bearer_token="token", base_url="http://127.0.0.1:9/api", retry=QUICK, timeout=10.0
    ) as client:
        yield Download(client, folder, serve)


@pytest.fixture
async def paused(raw_server: Callable[[Any], Awaitable[str]]) -> tuple[Origin, asyncio.Event]:
    """An origin that sends one half of the output, and the other one after the event."""
    gate, origin = asyncio.Event(), Origin()

    async def exchange(request: bytes, writer: asyncio.StreamWriter) -> None:
        origin.noted(request)
        data = whole().data
        writer.write(data[: len(data) // 2])
        await writer.drain()
        await gate.wait()
        writer.write(data[len(data) // 2 :])

    origin.host = (await raw_server(exchange)).removeprefix("http://").removesuffix("/api")
    return origin, gate


@pytest.fixture
async def upload(sandbox: Sandbox) -> AsyncIterator[Submit]:
    """A submission to the sandbox."""
    async with AsyncClient("sk-test-key", base_url=sandbox.base_url, retry=QUICK, timeout=10.0) as client:
        yield Submit(client, sandbox)


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def peer() -> AsyncIterator[Callable[[Talk], Awaitable[str]]]:
    """``await peer(talk)`` runs ``talk(reader, writer)`` for each connection, and gives the base URL.

    What arrives waits in small buffers, so that a client soon notices a peer that does not read.
    """
    servers: list[asyncio.Server] = []
    tasks: list[asyncio.Task[None]] = []

    async def start(talk: Talk) -> str:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.append(cast("asyncio.Task[None]", asyncio.current_task()))
            # The client left, or the test is over.
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                await talk(reader, writer)
            writer.close()

        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        listener.bind(("127.0.0.1", 0))
        servers.append(await asyncio.start_server(connected, sock=listener, limit=64 * 1024))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/api"

    yield start
    for server in servers:
        server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks)
    for server in servers:
        await server.wait_closed()


class Stuck:
    """A service that reads the beginning of an upload, and then nothing more; later connections may be accepted."""

    base_url = ""
    resets = False
    closes = False
    times = 99

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()
        self.forms: list[int] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.times -= 1
        if self.times < 0:
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            self.forms.append(len(await reader.readexactly(length)))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(ACCEPTED), ACCEPTED))
            await writer.drain()
        else:
            await reader.readexactly(1024 * 1024)
            self.has_begun.set()
            if self.resets:
                reset(writer)
            if not self.closes:
                await forever()


@pytest.fixture
async def stuck(peer: Callable[[Talk], Awaitable[str]]) -> Stuck:
    made = Stuck()
    made.base_url = await peer(made.talk)
    return made
