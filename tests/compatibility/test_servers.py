"""Servers that are told to stop while streams are open: with ``drain_on_signals`` they end within a second."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

import attrs
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


async def open_stream(port: int, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            break
        except OSError:
            await asyncio.sleep(0.05)  # the server is starting
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    await reader.readuntil(b"data: ")
    return reader, writer


@attrs.frozen(kw_only=True)
class Stopped:
    """How a server ended: its code, what it printed, what its streams held since the signal, and the time it took."""

    code: int | None
    output: str
    rest: list[str]
    took: float


async def stop(
    arguments: list[str],
    number: signal.Signals,
    made: str,
    *,
    path: str = "/",
    workers: int = 0,
    all_processes: bool = False,
) -> Stopped:
    """Start a server, open three streams, and send a signal to it, or to all once its workers have started."""
    port = free_port()
    async with Sandbox(job_seconds=3600) as sandbox, asyncio.timeout(60):
        sandbox.add_job(reference_id="job")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *[argument.format(port=port) for argument in arguments],
            cwd=HERE,
            env={**os.environ, "SANDBOX": sandbox.base_url, "PORT": str(port), "MADE": made, "PYTHONPATH": PATH},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        streams = []
        try:
            streams = [await open_stream(port, path) for _ in range(3)]
            assert process.stdout is not None
            for _ in range(workers):
                await process.stdout.readuntil(b"started\n")
            since = time.monotonic()
            if all_processes:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
            rest = [(await reader.read()).decode() for reader, _ in streams]
            output, _ = await process.communicate()
            took = time.monotonic() - since
        finally:
            for _, writer in streams:
                writer.close()
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
    return Stopped(code=process.returncode, output=output.decode(), rest=rest, took=took)


@pytest.mark.parametrize(
    ("number", "made"),
    [(signal.SIGTERM, "in the lifespan"), (signal.SIGTERM, "on import"), (signal.SIGINT, "in the lifespan")],
)
@pytest.mark.parametrize("server", SERVERS)
async def test_a_server_stops_while_three_streams_are_open(server: str, number: signal.Signals, made: str) -> None:
    stopped = await stop(SERVERS[server], number, made)
    assert ["event: end" in text for text in stopped.rest] == [True] * 3
    assert "closed" in stopped.output
    assert "Traceback" not in stopped.output
    assert stopped.code in ENDS[number]
    assert stopped.took < AT_MOST


ROUTES = ["streaming-response", "sse-starlette", "fastapi-sse"]
FASTAPI_SERVERS = {
    name: [argument.replace("stream_app", "fastapi_stream_app") for argument in SERVERS[name]]
    for name in ("uvicorn", "granian", "hypercorn")
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("server", FASTAPI_SERVERS)
async def test_each_kind_of_stream_of_fastapi_ends_when_its_server_stops(server: str, route: str) -> None:
    stopped = await stop(FASTAPI_SERVERS[server], signal.SIGTERM, "in the lifespan", path=f"/{route}")
    assert ["event: end" in text for text in stopped.rest] == [True] * 3
    assert "closed" in stopped.output
    assert "Traceback" not in stopped.output
    assert stopped.took < AT_MOST


WORKERS = ["-m", "hypercorn", "--workers=2", "--bind=127.0.0.1:{port}", "stream_app:app"]


async def test_workers_of_hypercorn_stop_at_a_signal_to_all_processes() -> None:
    stopped = await stop(WORKERS, signal.SIGTERM, "in the lifespan of a worker", workers=2, all_processes=True)
    assert ["event: end" in text for text in stopped.rest] == [True] * 3
    assert stopped.output.count("closed") == 2
    assert "Traceback" not in stopped.output
    assert (stopped.code, stopped.took < AT_MOST) == (0, True)


async def test_workers_of_hypercorn_hear_nothing_of_a_signal_to_its_main_process() -> None:
    """Once they do, docs/howto/web.md can say less of them."""
    stopped = await stop([*WORKERS, "--graceful-timeout=0"], signal.SIGTERM, "in the lifespan", workers=2)
    assert ["event: end" in text for text in stopped.rest] == [False] * 3
    assert stopped.output.count("closed") == 2
    assert stopped.took < AT_MOST
