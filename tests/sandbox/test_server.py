from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chamelaion_async.sandbox import Fault, Sandbox

from .calling import Caller, Until, port_of


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
async def test_it_listens_on_its_host_under_its_base_url(host: str, shown: str) -> None:
    async with Sandbox(host=host) as sandbox:
        assert sandbox.base_url == f"http://{shown}:{port_of(sandbox)}/api"
        async with aiohttp.ClientSession(f"{sandbox.base_url}/") as session:
            assert (await Caller(session)("health")).answer == (200, {"status": "ok"})


async def test_a_port_in_use_is_a_clear_error(sandbox: Sandbox) -> None:
    port = port_of(sandbox)

    with pytest.raises(OSError, match=f"{port}.*in use"):
        await Sandbox(port=port).start()


async def test_a_start_that_is_cancelled_leaves_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    started = asyncio.Event()

    async def never(_: object) -> None:
        started.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.Server, "start_serving", never)
    sandbox = Sandbox()
    starting = asyncio.create_task(sandbox.start())
    await started.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    monkeypatch.undo()

    async with sandbox:
        assert sandbox.base_url


def test_there_is_no_base_url_before_the_start() -> None:
    with pytest.raises(RuntimeError, match="before it is started"):
        _ = Sandbox().base_url


async def test_starting_twice_is_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(RuntimeError, match="started already"):
        await sandbox.start()


async def test_stopping_twice_or_without_a_start_is_no_error() -> None:
    sandbox = Sandbox()
    await sandbox.stop()
    await sandbox.start()
    await sandbox.stop()
    await sandbox.stop()


async def test_a_sandbox_that_starts_again_has_its_port_and_its_jobs(sandbox: Sandbox, call: Caller) -> None:
    base_url, job = sandbox.base_url, sandbox.add_job()
    await sandbox.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await call("health")

    await sandbox.start()

    assert sandbox.base_url == base_url
    assert (await call(f"v1/lipsync/requests/{job.id}")).status == 200


@asynccontextmanager
async def quickly() -> AsyncIterator[None]:
    start = asyncio.get_running_loop().time()
    yield
    assert asyncio.get_running_loop().time() - start < 0.5


@pytest.fixture
def long_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for aiohttp's own shutdown waits too long."""
    monkeypatch.setattr("chamelaion_async.sandbox.front.listener._GRACE", 30.0)


@pytest.mark.usefixtures("long_grace")
@pytest.mark.parametrize("fault", [Fault.hang(), Fault.hang(when="after"), Fault.latency(60), Fault.drip(60)])
async def test_a_stop_is_quick_and_leaves_no_task_with_requests_in_flight(fault: Fault, until: Until) -> None:
    before = asyncio.all_tasks()
    sandbox = Sandbox()
    await sandbox.start()
    async with aiohttp.ClientSession(f"{sandbox.base_url}/", headers={"x-api-key": "key"}) as session:
        call = Caller(session)
        await asyncio.gather(*(call("v1/users/me") for _ in range(5)))  # kept-alive connections
        sandbox.inject(fault)
        calls = [asyncio.create_task(call("v1/users/me")) for _ in range(10)]
        await until(lambda: len(sandbox.received) == 15)

        async with quickly():
            await sandbox.stop()

        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(outcome, aiohttp.ClientError) for outcome in outcomes)
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("turns", range(6))
async def test_a_connection_that_is_made_during_a_stop_is_dropped(
    turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the accepted socket and the connection lie some turns of the loop."""
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    async with asyncio.timeout(10):
        sandbox = Sandbox()
        await sandbox.start()
        with socket.create_connection((sandbox.host, port_of(sandbox))) as client:
            for _ in range(turns):
                await asyncio.sleep(0)
            await sandbox.stop()
            gc.collect()
            client.settimeout(1)
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""
    assert unraisable == []


@pytest.mark.usefixtures("long_grace")
async def test_a_stop_does_not_wait_for_idle_connections(sandbox: Sandbox, call: Caller, until: Until) -> None:
    assert (await call("health")).status == 200
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(sandbox))  # has never sent a request
    http = sandbox._listener._http
    assert http is not None
    await until(lambda: len(http.connections) == 2)

    async with quickly():
        await sandbox.stop()

    assert await reader.read() == b""
    writer.close()


async def test_a_stop_does_not_wait_for_a_client_that_has_stopped_reading(tmp_path: Path, until: Until) -> None:
    before = asyncio.all_tasks()
    film = tmp_path / "film.mp4"
    with film.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    sandbox = Sandbox()
    await sandbox.start()
    job = sandbox.add_job(job_seconds=0, output=film)
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(sandbox), limit=1024)
    writer.write(f"GET /output/{job.id}.mp4 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await reader.readline()
    http = sandbox._listener._http
    assert http is not None
    (connection,) = http.connections
    transport = connection.transport
    assert transport is not None
    sizes: deque[int] = deque(maxlen=200)

    def is_stuck() -> bool:
        sizes.append(transport.get_write_buffer_size())
        return len(sizes) == 200 and len(set(sizes)) == 1 and sizes[0] > 0

    await until(is_stuck)
    async with quickly():
        await sandbox.stop()
    assert transport.get_extra_info("socket").fileno() == -1
    writer.close()
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"job_seconds": -1}, ValueError),
        ({"queue_seconds": -1}, ValueError),
        ({"job_seconds": 1, "queue_seconds": 2}, ValueError),
        ({"port": -1}, ValueError),
        ({"rate_limit": 0}, ValueError),
        ({"generate_limit": -5}, ValueError),
        ({"page_cap": 0}, ValueError),
        ({"token_limit": -1}, ValueError),
        ({"list_lag": -1}, ValueError),
        ({"list_stale": -1}, ValueError),
        ({"list_stale": float("nan")}, ValueError),
        ({"remember": -1}, ValueError),
        ({"host": None}, TypeError),
        ({"port": "8787"}, TypeError),
        ({"page_cap": 1.5}, TypeError),
    ],
)
def test_a_setting_out_of_range_or_of_another_type_is_an_error(
    settings: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error, match=list(settings)[-1]):
        Sandbox(**settings)
