"""The applications of docs/examples as processes of their own, and visitors without a browser."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import attrs

import chamelaion_async
from chamelaion_async.sandbox import Sandbox

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
KEY = "sk-of-the-site"
PATH = os.pathsep.join([str(EXAMPLES), str(Path(chamelaion_async.__file__).parents[1])])
COMMANDS = {
    "fastapi": ["-m", "uvicorn", "fastapi_app:app", "--port={port}"],
    "aiohttp": ["aiohttp_app.py"],
}
APPS = list(COMMANDS)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def never_ending() -> Sandbox:
    """Return a service whose jobs end only when a test says so."""
    return Sandbox(job_seconds=math.inf, queue_seconds=0)


@attrs.define
class App:
    """A running application."""

    port: int
    process: asyncio.subprocess.Process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def stop(self) -> str:
        """Send SIGTERM, and return what the application has printed."""
        self.process.send_signal(signal.SIGTERM)
        output, _ = await self.process.communicate()
        return output.decode()


@asynccontextmanager
async def running(name: str, sandbox: Sandbox, *, port: int | None = None) -> AsyncIterator[App]:
    """Run an application on the sandbox; that it stops, and prints no traceback, is checked at the end."""
    port = port or free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *[argument.format(port=port) for argument in COMMANDS[name]],
        cwd=EXAMPLES,
        env={
            **os.environ,
            "CHAMELAION_API_KEY": KEY,
            "CHAMELAION_BASE_URL": sandbox.base_url,
            "PORT": str(port),
            "PYTHONPATH": PATH,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    app = App(port=port, process=process)
    try:
        async with asyncio.timeout(30):
            await _listens(app)
        yield app
        if process.returncode is None:
            async with asyncio.timeout(10):
                output = await app.stop()
            assert "Traceback" not in output, output
            assert "never retrieved" not in output, output
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def _listens(app: App) -> None:
    while True:
        assert app.process.returncode is None, "the application did not start"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", app.port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            await writer.wait_closed()
            return


@attrs.frozen
class Received:
    """An event as a visitor received it."""

    name: str
    data: Mapping[str, Any]
    at: float


@asynccontextmanager
async def visitor() -> AsyncIterator[aiohttp.ClientSession]:
    """Any number of visitors: a session without a limit on its connections."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    answers: list[aiohttp.ClientResponse] = []

    async def keep(_: object, __: object, ended: aiohttp.TraceRequestEndParams) -> None:
        answers.append(ended.response)

    tracing = aiohttp.TraceConfig()
    tracing.on_request_end.append(keep)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, trace_configs=[tracing]) as session:
        try:
            yield session
        finally:
            for answer in answers:
                answer.close()  # or a stream that was not read to its end is an unclosed connection


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[Received]:
    """Yield the events of a stream, as a browser without a line of JavaScript would count them."""
    name = ""
    async for line in answer.content:
        field, _, value = line.decode().rstrip("\r\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield Received(name, json.loads(value), time.monotonic())


def reads(sandbox: Sandbox, id: str) -> int:
    """Return how often a job was read alone."""
    return sum(received.method == "GET" and received.path.endswith(id) for received in sandbox.received)
