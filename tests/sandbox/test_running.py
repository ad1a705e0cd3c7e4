import ast
import asyncio
import contextlib
import gc
import socket
import sys
from collections import deque
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

import chamelaion_async.sandbox
from chamelaion_async.sandbox import Fault, ManualClock, Sandbox, WallClock


async def test_it_listens_on_loopback_under_its_base_url() -> None:
    async with Sandbox() as sandbox:
        host, port = sandbox.base_url.removeprefix("http://").removesuffix("/api").split(":")
        assert host == "127.0.0.1"
        assert int(port) > 0
        async with aiohttp.ClientSession() as session, session.get(f"{sandbox.base_url}/health") as response:
            assert await response.json() == {"status": "ok"}


async def test_an_ipv6_address_stands_in_brackets() -> None:
    async with Sandbox(host="::1") as sandbox:
        assert sandbox.base_url.startswith("http://[::1]:")
        async with aiohttp.ClientSession() as session, session.get(f"{sandbox.base_url}/health") as response:
            assert response.status == 200


async def test_a_port_in_use_is_a_clear_error(sandbox: Sandbox) -> None:
    port = int(sandbox.base_url.rsplit(":", 1)[1].removesuffix("/api"))

    with pytest.raises(OSError, match=f"{port}.*in use"):
        await Sandbox(port=port).start()


def test_there_is_no_base_url_before_the_start() -> None:
    with pytest.raises(RuntimeError, match="before it is started"):
        _ = Sandbox().base_url


async def test_starting_twice_is_a_mistake(sandbox: Sandbox) -> None:
    with pytest.raises(RuntimeError, match="started already"):
        await sandbox.start()


async def test_stopping_twice_or_without_a_start_is_none() -> None:
    sandbox = Sandbox()
    await sandbox.stop()
    await sandbox.start()
    await sandbox.stop()
    await sandbox.stop()


async def test_a_stopped_sandbox_comes_back_where_it_was_with_its_jobs(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    base_url, job = sandbox.base_url, sandbox.add_job()
    await sandbox.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await session.get("health")

    await sandbox.start()

    assert sandbox.base_url == base_url
    async with session.get(f"v1/lipsync/requests/{job.id}") as response:
        assert response.status == 200


@pytest.mark.parametrize("fault", [Fault.hang(), Fault.hang(when="after"), Fault.latency(60), Fault.drip(60)])
async def test_a_stop_is_quick_and_leaves_nothing_whatever_is_in_flight(
    fault: Fault, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chamelaion_async.sandbox.front.listener._GRACE", 30.0)
    before = asyncio.all_tasks()
    sandbox = Sandbox()
    await sandbox.start()
    async with aiohttp.ClientSession(headers={"x-api-key": "key"}) as session:

        async def ask() -> None:
            async with session.get(f"{sandbox.base_url}/v1/users/me") as response:
                await response.read()

        await asyncio.gather(*(ask() for _ in range(5)))  # kept-alive connections
        sandbox.inject(fault)
        asking = [asyncio.create_task(ask()) for _ in range(10)]
        await until(lambda: len(sandbox.received) == 15)
        start = asyncio.get_running_loop().time()

        await sandbox.stop()

        assert asyncio.get_running_loop().time() - start < 0.5
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
        assert all(isinstance(outcome, aiohttp.ClientError) for outcome in outcomes)
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("turns", range(6))
async def test_a_connection_that_comes_about_while_it_stops_is_dropped(
    turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the accepted socket and the connection lie some turns of the loop."""
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    async with asyncio.timeout(10):
        sandbox = Sandbox()
        await sandbox.start()
        with socket.create_connection((sandbox.host, URL(sandbox.base_url).port or 0)) as client:
            for _ in range(turns):
                await asyncio.sleep(0)
            await sandbox.stop()
            gc.collect()
            client.settimeout(1)
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""
    assert unraisable == []


async def test_a_stop_does_not_wait_for_idle_connections(
    sandbox: Sandbox, session: aiohttp.ClientSession, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chamelaion_async.sandbox.front.listener._GRACE", 30.0)
    async with session.get("health") as response:
        assert response.status == 200
    port = int(sandbox.base_url.rsplit(":", 1)[1].removesuffix("/api"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)  # has never sent a request
    http = sandbox._listener._http
    assert http is not None
    await until(lambda: len(http.connections) == 2)
    start = asyncio.get_running_loop().time()

    await sandbox.stop()

    assert asyncio.get_running_loop().time() - start < 0.5
    assert await reader.read() == b""
    writer.close()


async def test_a_stop_does_not_wait_for_a_client_that_has_stopped_reading(tmp_path: Path, until: Any) -> None:
    before = asyncio.all_tasks()
    film = tmp_path / "film.mp4"
    with film.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    async with Sandbox() as sandbox:
        job = sandbox.add_job(job_seconds=0, output=film)
        port = int(sandbox.base_url.rsplit(":", 1)[1].removesuffix("/api"))
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
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
        start = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - start < 0.5
    assert transport.get_extra_info("socket").fileno() == -1
    writer.close()
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    "settings",
    [
        {"job_seconds": -1},
        {"queue_seconds": -1},
        {"job_seconds": 1, "queue_seconds": 2},
        {"port": -1},
        {"rate_limit": 0},
        {"generate_limit": -5},
        {"page_cap": 0},
        {"token_limit": -1},
        {"list_lag": -1},
        {"list_stale": -1},
        {"list_stale": float("nan")},
        {"remember": -1},
    ],
)
def test_a_setting_out_of_range_is_a_mistake(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=list(settings)[-1]):
        Sandbox(**settings)


@pytest.mark.parametrize("settings", [{"host": None}, {"port": "8787"}, {"page_cap": 1.5}])
def test_a_mistyped_setting_is_a_mistake(settings: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Sandbox(**settings)


def test_a_manual_clock_moves_only_forward() -> None:
    clock = ManualClock(1000.0)
    clock.advance(2.5)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)
    assert clock.time() == 1002.5


def test_a_listener_hears_of_every_advance_until_it_unsubscribes() -> None:
    clock, heard = ManualClock(), []
    unsubscribe = clock.subscribe(lambda: heard.append(clock.time()))
    clock.advance(1)
    unsubscribe()
    clock.advance(1)
    assert heard == [clock.start + 1]


def test_the_wall_clock_is_the_machines() -> None:
    import time

    assert abs(WallClock().time() - time.time()) < 5


def test_it_imports_nothing_from_the_rest_of_the_package() -> None:
    allowed = {"aiohttp", "attrs"}
    import sys

    folder = Path(chamelaion_async.sandbox.__file__).parent
    for module in folder.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level <= 1, f"{module.name} reaches out of the sandbox"
                names = [node.module or ""] if node.level == 0 else []
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            for name in names:
                top = name.partition(".")[0]
                assert top in allowed or top in sys.stdlib_module_names, f"{module.name} imports {name}"
