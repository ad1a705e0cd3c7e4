"""The loop on virtual time: timers take none, and what works outside of the loop is waited for."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest

from chamelaion_async import AsyncClient, WaitTimeoutError
from chamelaion_async.sandbox import Fault, Sandbox
from chamelaion_async.testing import VirtualTimeLoop, sandbox_in_thread
from chamelaion_async.testing.workers import Workers

T = TypeVar("T")
WORK = 0.1  # real seconds of work outside of the loop, which is far more than the loop's patience where that is 0
SOON = 5.0  # virtual seconds, in which far more real work has its place


def run(main: Coroutine[Any, Any, T], *, patience: float = 0.0) -> tuple[T, float, float]:
    """Run in virtual time, and return the result, the virtual and the real seconds that it took."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(patience=patience)) as runner:
        loop = runner.get_loop()
        began, really_began = loop.time(), time.monotonic()
        return runner.run(main), loop.time() - began, time.monotonic() - really_began


def test_an_hour_passes_at_once() -> None:
    _, virtual, real = run(asyncio.sleep(3600.0))
    assert virtual == pytest.approx(3600.0)
    assert real < 1.0


def test_timers_go_off_in_their_order_and_at_their_times() -> None:
    async def main() -> list[tuple[float, str]]:
        loop = asyncio.get_running_loop()
        gone: list[tuple[float, str]] = []
        began = loop.time()

        def note(name: str) -> None:
            gone.append((round(loop.time() - began, 6), name))

        for delay, name in ((60.0, "c"), (1.0, "a"), (2.0, "b")):
            loop.call_later(delay, note, name)
        await asyncio.sleep(61.0)
        return gone

    assert run(main())[0] == [(1.0, "a"), (2.0, "b"), (60.0, "c")]


@pytest.mark.usefixtures("chamelaion_virtual_time")
@pytest.mark.parametrize("timeout", [None, 600.0])
def test_client_and_sandbox_move_together(timeout: float | None) -> None:
    async def main() -> tuple[float, int]:
        async with (
            Sandbox(job_seconds=3600.0) as sandbox,
            AsyncClient("sk-test", base_url=sandbox.base_url) as client,
        ):
            job = sandbox.add_job()
            try:
                request = await client.wait_until_finished(job.id, timeout=timeout)
            except WaitTimeoutError as error:
                return error.elapsed, sandbox.count()
            assert request.duration is not None
            return request.duration.total_seconds(), sandbox.count()

    (seconds, polls), virtual, real = run(main())
    assert seconds == pytest.approx(timeout or 3240.0)  # a tenth of the hour is spent in the queue
    assert virtual == pytest.approx(timeout or 3600.0, abs=15.0)
    assert polls > (timeout or 3600.0) / 15
    assert real < 10.0


async def _child() -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", f"import time; time.sleep({WORK})")
    assert await child.wait() == 0


async def _shell() -> None:
    child = await asyncio.create_subprocess_shell(
        f"sleep {WORK} && echo done", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert (await child.communicate())[0] == b"done\n"


async def _process_pool() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        await asyncio.get_running_loop().run_in_executor(pool, time.sleep, WORK)


def _slow_name(*_: Any, **__: Any) -> list[Any]:
    time.sleep(WORK)
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))]


async def _name() -> None:
    await asyncio.get_running_loop().getaddrinfo("localhost", 1)


WORKERS: dict[str, Callable[[], Awaitable[Any]]] = {
    "asyncio.to_thread": lambda: asyncio.to_thread(time.sleep, WORK),
    "getaddrinfo": _name,
    "child process": _child,
    "shell": _shell,
    "process pool": _process_pool,
}


@pytest.mark.parametrize("name", WORKERS)
def test_work_in_threads_and_processes_takes_no_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chamelaion_async.testing.workers._STANDS_STILL", 60.0)
    monkeypatch.setattr(socket, "getaddrinfo", _slow_name)

    async def main() -> None:
        async with asyncio.timeout(SOON):
            await WORKERS[name]()

    _, virtual, real = run(main())
    assert virtual == 0.0
    assert real > WORK * 0.9


def test_a_thread_that_waits_for_a_timer_does_not_stop_time_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chamelaion_async.testing.workers._STANDS_STILL", 0.05)

    async def main() -> None:
        event = threading.Event()
        waiting = asyncio.create_task(asyncio.to_thread(event.wait))
        await asyncio.sleep(WORK)
        event.set()
        assert await waiting

    _, virtual, real = run(main())
    assert virtual == pytest.approx(real, abs=0.1)
    assert real > WORK + 0.05


def test_time_jumps_again_once_the_work_is_done() -> None:
    async def main() -> None:
        await asyncio.to_thread(time.sleep, 0.0)
        await _child()
        await asyncio.sleep(3600.0)

    _, virtual, real = run(main(), patience=30.0)
    assert virtual == pytest.approx(3600.0)
    assert real < 20.0


def test_threads_that_were_there_before_are_not_listened_to() -> None:
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    try:
        _, _, real = run(asyncio.sleep(3600.0), patience=30.0)
    finally:
        ended.set()
        thread.join()
    assert real < 20.0


async def _other_thread() -> None:
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def work() -> None:
        time.sleep(WORK)
        loop.call_soon_threadsafe(done.set)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        async with asyncio.timeout(SOON):
            await done.wait()
    finally:
        thread.join()


async def _server_elsewhere() -> None:
    with sandbox_in_thread() as sandbox:
        sandbox.inject(Fault.latency(WORK))
        async with (
            asyncio.timeout(SOON),
            aiohttp.ClientSession() as session,
            session.get(f"{sandbox.base_url}/health") as response,
        ):
            assert response.status == 200


OUTSIDE = {"a thread of ones own": _other_thread, "a server in another thread": _server_elsewhere}


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_the_loop_knows_nothing_of_is_listened_to(name: str) -> None:
    run(OUTSIDE[name](), patience=30.0)


def test_what_a_thread_brings_right_before_its_end_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread brings it after the loop has last listened, and has ended when the loop asks for threads."""

    async def main() -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        answers = iter([True, True])

        def has_strangers(_: Workers) -> bool:
            if next(answers, False):
                return True
            loop.call_soon_threadsafe(done.set)
            return False

        monkeypatch.setattr(Workers, "has_strangers", has_strangers)
        async with asyncio.timeout(SOON):
            await done.wait()

    run(main(), patience=30.0)


@pytest.mark.parametrize("name", OUTSIDE)
def test_without_patience_time_jumps_over_it(name: str) -> None:
    with pytest.raises(TimeoutError):
        run(OUTSIDE[name](), patience=0.0)


def test_a_loop_that_only_a_thread_can_wake_waits_for_it() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[str] = loop.create_future()
        timer = threading.Timer(0.01, loop.call_soon_threadsafe, [woken.set_result, "woken"])
        timer.start()
        try:
            return await woken
        finally:
            timer.join()

    assert run(main())[:2] == ("woken", 0.0)


def open_files() -> list[str]:
    folder = Path("/proc/self/fd")
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []


def test_no_file_descriptor_is_closed_or_left_open() -> None:
    before = open_files()

    async def main() -> None:
        async with Sandbox() as sandbox, AsyncClient("sk-test", base_url=sandbox.base_url) as client:
            for _ in range(3):
                await client.health.check()
                await asyncio.sleep(100.0)  # longer than connections are kept

    run(main())
    assert open_files() == before
