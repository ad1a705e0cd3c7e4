"""``drain_on_signals``: a signal drains the client, whatever handler there is before ours or comes after it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from chamelaion_async import AsyncClient, ClientClosedError, ConfigurationError, PollPolicy
from chamelaion_async._http.stop_signals import SignalListener, _stop_signals
from tests.support.loops import turns

SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
HOURLY = PollPolicy(min_interval=3600.0, max_interval=3600.0, outage_budget=7200.0)


def make_client(**options: Any) -> AsyncClient:
    """A client whose service cannot be reached, so that it waits for hours."""
    return AsyncClient("sk-test-key", base_url="http://127.0.0.1:9", polling=HOURLY, drain_on_signals=True, **options)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the handler of a server hears; the handlers are those of the test alone."""
    came: list[str] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, server_handler("server", came))
    yield came
    for number, handler in before.items():
        signal.signal(number, handler)
    assert not _stop_signals._handlers
    assert not _stop_signals._listeners


def server_handler(name: str, came: list[str]) -> Any:
    def handle(number: int, _: object) -> None:
        came.append(f"{name}: {signal.Signals(number).name}")

    return handle


async def drained(client: AsyncClient) -> None:
    with pytest.raises(ClientClosedError, match="draining"):
        await asyncio.wait_for(client.wait_until_finished("a", timeout=None), 30)


@SIGNALS
async def test_a_signal_drains_and_reaches_the_handler_of_the_server(
    number: signal.Signals, heard: list[str]
) -> None:
    async with make_client() as client:
        waiting = asyncio.create_task(drained(client))
        await turns(3)
        signal.raise_signal(number)
        await waiting
    assert heard == [f"server: {number.name}"]


@SIGNALS
async def test_a_signal_wakes_a_loop_that_sleeps(number: signal.Signals, heard: list[str]) -> None:
    async with make_client() as client:
        timer = threading.Timer(0.2, os.kill, (os.getpid(), number))
        timer.start()
        await drained(client)
        timer.join()
    assert heard == [f"server: {number.name}"]


async def test_a_handler_of_the_loop_is_called_too(heard: list[str]) -> None:
    loop, came = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, came.set)
    try:
        async with make_client() as client:
            signal.raise_signal(signal.SIGTERM)
            await came.wait()
            assert client.is_draining
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


@pytest.mark.parametrize("kind", ["signal.signal", "add_signal_handler"])
async def test_a_handler_that_is_installed_later_is_called_after_ours(heard: list[str], kind: str) -> None:
    loop, came = asyncio.get_running_loop(), asyncio.Event()
    async with make_client() as client:
        if kind == "signal.signal":
            signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(came.set))
        else:
            loop.add_signal_handler(signal.SIGTERM, came.set)
        waiting = asyncio.create_task(drained(client))
        await turns(3)  # the wait puts our handler in front as it begins, and a timer within a second
        signal.raise_signal(signal.SIGTERM)
        await waiting
        await came.wait()
    if kind == "add_signal_handler":
        loop.remove_signal_handler(signal.SIGTERM)


@pytest.mark.virtual_time
async def test_within_a_second_ours_is_back_in_front(heard: list[str]) -> None:
    async with make_client() as client:
        signal.signal(signal.SIGTERM, server_handler("late", heard))
        await asyncio.sleep(1.01)
        signal.raise_signal(signal.SIGTERM)
        assert client.is_draining
    assert heard == ["late: SIGTERM"]


async def test_a_server_may_call_and_restore_what_was_there_before(heard: list[str]) -> None:
    """As uvicorn does: its handler calls nothing, but it restores ours at its end and raises the signal again."""
    async with make_client() as client:
        ours = signal.getsignal(signal.SIGTERM)

        def chained(number: int, frame: Any) -> None:
            heard.append("chained")
            assert callable(ours)
            ours(number, frame)

        signal.signal(signal.SIGTERM, chained)
        async with make_client(), make_client():
            signal.raise_signal(signal.SIGTERM)
        assert heard == ["chained", "server: SIGTERM"]
        signal.signal(signal.SIGTERM, ours)
        signal.raise_signal(signal.SIGTERM)
        assert heard == ["chained", "server: SIGTERM", "server: SIGTERM"]
        assert client.is_draining


@SIGNALS
async def test_closing_the_last_client_restores_the_handler(number: signal.Signals, heard: list[str]) -> None:
    before = signal.getsignal(number)
    first, second = make_client(), make_client()
    assert signal.getsignal(number) is before
    async with first, second:
        ours = signal.getsignal(number)
        assert ours is not before
        await second.aclose()
        assert signal.getsignal(number) is ours
    assert signal.getsignal(number) is before


async def test_a_handler_that_came_later_is_left_in_place(heard: list[str]) -> None:
    late = server_handler("late", heard)
    async with make_client():
        signal.signal(signal.SIGTERM, late)
    assert signal.getsignal(signal.SIGTERM) is late


async def test_ours_goes_on_to_pass_the_signal_on_after_closing(heard: list[str]) -> None:
    async with make_client():
        ours = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, ours)
    signal.raise_signal(signal.SIGTERM)
    assert heard == ["server: SIGTERM"]


async def test_an_ignored_signal_stays_ignored(heard: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    async with make_client() as client:
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        signal.raise_signal(signal.SIGINT)
        assert not client.is_draining
        signal.raise_signal(signal.SIGTERM)
        assert client.is_draining


@pytest.mark.virtual_time
async def test_a_client_that_is_dropped_listens_no_more(heard: list[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    client = make_client()
    await client.__aenter__()
    del client
    gc.collect()
    await asyncio.sleep(1.1)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.virtual_time
async def test_after_closing_no_timer_puts_ours_back(heard: list[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    client = make_client()
    async with client:
        pass
    await asyncio.sleep(1.1)
    assert signal.getsignal(signal.SIGTERM) is before


async def test_the_last_one_in_use_restores_the_handlers_although_others_were_dropped(heard: list[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with make_client():
        dropped = make_client()
        await dropped.__aenter__()
        del dropped
        gc.collect()
    assert signal.getsignal(signal.SIGTERM) is before


async def test_a_handler_that_was_not_installed_from_python_stays(
    heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not be called from Python, so it would be lost."""
    installed: list[Any] = []
    async with make_client():
        with monkeypatch.context() as patched:
            patched.setattr(signal, "getsignal", lambda _: None)
            patched.setattr(signal, "signal", lambda *arguments: installed.append(arguments))
            _stop_signals.put_in_front()
    assert installed == []


async def test_the_last_client_may_be_closed_in_another_thread(heard: list[str]) -> None:
    """Only the main thread could restore the handlers; ours pass signals on until a client is closed there."""
    ready, go = threading.Event(), threading.Event()

    async def use() -> None:
        async with make_client():
            ready.set()
            await asyncio.to_thread(go.wait)

    async with make_client():
        thread = asyncio.create_task(asyncio.to_thread(asyncio.run, use()))
        await asyncio.to_thread(ready.wait)
    go.set()
    await thread
    signal.raise_signal(signal.SIGTERM)
    assert heard == ["server: SIGTERM"]
    async with make_client():
        pass


async def test_a_listener_may_end_another_one_while_both_are_told(heard: list[str]) -> None:
    class Ending:
        other: SignalListener
        told = False

        def end(self) -> None:
            self.told = True
            self.other.close()

    loop, owners = asyncio.get_running_loop(), [Ending(), Ending()]
    first, second = (SignalListener(owner.end, loop) for owner in owners)
    owners[0].other, owners[1].other = second, first
    signal.raise_signal(signal.SIGTERM)
    assert [owner.told for owner in owners] == [True, True]
    assert heard == ["server: SIGTERM"]


async def test_in_another_thread_it_has_no_effect_but_a_warning(
    heard: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def use() -> bool:
        async with make_client() as client:
            return client.is_draining

    before = signal.getsignal(signal.SIGTERM)
    with caplog.at_level(logging.WARNING, "chamelaion_async"):
        assert await asyncio.to_thread(asyncio.run, use()) is False
    assert signal.getsignal(signal.SIGTERM) is before
    assert ["has no effect" in record.message for record in caplog.records] == [True]


async def test_a_client_of_another_thread_is_drained_with_one_of_the_main_thread(heard: list[str]) -> None:
    ready = threading.Event()

    async def use() -> None:
        async with make_client() as client:
            asyncio.get_running_loop().call_soon(ready.set)
            await drained(client)

    async with make_client():
        thread = asyncio.create_task(asyncio.to_thread(asyncio.run, use()))
        await asyncio.to_thread(ready.wait)
        signal.raise_signal(signal.SIGTERM)
        await thread


async def test_without_the_option_no_handler_is_touched(heard: list[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with AsyncClient("sk-test-key", base_url="http://127.0.0.1:9"):
        assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("value", [None, 1, "yes"])
def test_a_value_that_is_no_bool_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="drain_on_signals"):
        AsyncClient("sk-test-key", drain_on_signals=value)


SCRIPT = """
import asyncio, signal
from chamelaion_async import AsyncClient

async def main():
    async with AsyncClient("sk", base_url="http://127.0.0.1:9", drain_on_signals=True) as client:
        asyncio.get_running_loop().call_later(0.2, signal.raise_signal, signal.{name})
        await client.wait_until_finished("a", timeout=None)

asyncio.run(main())
"""


@SIGNALS
def test_a_signal_without_a_handler_ends_the_process_as_ever(number: signal.Signals) -> None:
    code = (
        f"import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n{SCRIPT.format(name=number.name)}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -number, done.stderr
