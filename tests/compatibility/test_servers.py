"""Servers that are told to stop while streams are open: with ``drain_on_signals`` they end within a second."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

import chamelaion_async
from chamelaion_async.sandbox import Sandbox

HERE = Path(__file__).parent
PATH = os.pathsep.join([str(HERE), str(Path(chamelaion_async.__file__).parents[1])])
AT_MOST = 1.0 + 2.0
"""Seconds for the exit: one, and the same again twice for a machine that does much else meanwhile."""

SERVERS = {
    "uvicorn": ["-m", "uvicorn", "stream_app:app", "--port={port}", "--log-level=warning"],
    "granian": ["-m", "granian", "--interface=asgi", "--port={port}", "--log-level=warning", "stream_app:app"],
    # With workers, hypercorn sends them no signal, and cancels what still runs after its graceful timeout.
    "hypercorn": ["-m", "hypercorn", "--workers=0", "--bind=127.0.0.1:{port}", "stream_app:app"],
    "aiohttp.web": ["stream_app.py"],
}
ENDS = {signal.SIGTERM: {0, -signal.SIGTERM}, signal.SIGINT: {0}}
"""uvicorn ends as the signal would have ended it."""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


async def open_stream(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            break
        except OSError:
            await asyncio.sleep(0.05)  # the server is starting
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    await reader.readuntil(b"data: ")
    return reader, writer


@pytest.mark.parametrize(
    ("number", "made"),
    [(signal.SIGTERM, "in the lifespan"), (signal.SIGTERM, "on import"), (signal.SIGINT, "in the lifespan")],
)
@pytest.mark.parametrize("server", SERVERS)
async def test_a_server_stops_while_three_streams_are_open(server: str, number: signal.Signals, made: str) -> None:
    port = free_port()
    async with Sandbox(job_seconds=3600) as sandbox, asyncio.timeout(60):
        sandbox.add_job(reference_id="job")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *[argument.format(port=port) for argument in SERVERS[server]],
            cwd=HERE,
            env={**os.environ, "SANDBOX": sandbox.base_url, "PORT": str(port), "MADE": made, "PYTHONPATH": PATH},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        streams = []
        try:
            streams = [await open_stream(port) for _ in range(3)]
            since = time.monotonic()
            process.send_signal(number)
            rest = [await reader.read() for reader, _ in streams]
            output, _ = await process.communicate()
            took = time.monotonic() - since
        finally:
            for _, writer in streams:
                writer.close()
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert ["event: end" in text.decode() for text in rest] == [True] * 3
    assert "closed" in output.decode()
    assert "Traceback" not in output.decode()
    assert process.returncode in ENDS[number]
    assert took < AT_MOST
