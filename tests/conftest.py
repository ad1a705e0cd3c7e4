"""What all tests share: a loop on virtual time, and aioresponses made to work with the installed aiohttp."""

from __future__ import annotations

import asyncio
import selectors
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import aiohttp
import hypothesis
import pytest
from aioresponses import aioresponses

from chamelaion_async import AsyncClient
from chamelaion_async.sandbox import Sandbox
from chamelaion_async.sandbox.endpoints.answers import ApiError

# A slow machine is no reason to call a property false.
hypothesis.settings.register_profile("steady", deadline=None)
hypothesis.settings.load_profile("steady")

BASE_URL = "https://api.example.com/api"


class _JumpingSelector(selectors.DefaultSelector):
    """Looks at the sockets without waiting, and lets the clock jump by what the loop meant to wait."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump
        self.threads_at_work = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)  # no timer is left: only a thread can wake this loop
        if self.threads_at_work:
            return super().select(min(timeout, 0.001))  # what a thread does takes no time either
        ready = super().select(0)
        if not ready:
            self._jump(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop whose time stands still while anything can run, and jumps to the next timer when nothing can."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._jumping = _JumpingSelector(self._advance)
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override] # typeshed's signature cannot be repeated
        future = super().run_in_executor(executor, func, *args)
        self._jumping.threads_at_work += 1
        future.add_done_callback(self._thread_done)
        return future

    def shutdown_default_executor(self, timeout: float | None = None) -> Any:
        # The time that asyncio allows for this would be over at once here.
        return super().shutdown_default_executor()

    def _thread_done(self, _: asyncio.Future[Any]) -> None:
        self._jumping.threads_at_work -= 1

    def _advance(self, seconds: float) -> None:
        self._now += max(seconds, 0.0)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run what is marked ``virtual_time`` on such a loop, and all else as usual."""
    if item.get_closest_marker("virtual_time"):
        return {"virtual": VirtualTimeLoop}
    return {"real": asyncio.new_event_loop}


@pytest.fixture(autouse=True)
def _no_thread_is_busy_on_virtual_time(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep lanes from comparing the processor's time with that of a loop that jumps."""
    if request.node.get_closest_marker("virtual_time"):
        monkeypatch.setattr("chamelaion_async._http.concurrency.thread_time", lambda: 0.0)


@pytest.fixture(scope="session", autouse=True)
def _sigint_interrupts() -> Iterator[None]:
    """Let SIGINT interrupt, even if this process was started with it ignored.

    A shell without job control does that to what it puts into the background, as ``nox &`` in a script. It is
    inherited: a child that a test interrupts would go on, and the test wait for it.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class _Response(aiohttp.ClientResponse):
    """aioresponses 0.7.9 makes responses without an argument that aiohttp 3.14 requires."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", SimpleNamespace(output_size=0))
        super().__init__(*args, **kwargs)


@pytest.fixture
def mock(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    """aioresponses, answering in place of the network."""
    monkeypatch.setattr("aioresponses.core.ClientResponse", _Response)
    with aioresponses() as mocked:
        yield mocked


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CHAMELAION_API_KEY", "CHAMELAION_BEARER_TOKEN", "CHAMELAION_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for scheme in ("http", "https", "ws", "wss", "all", "no"):  # the command line obeys them
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_proxy".upper(), raising=False)


@pytest.fixture
async def client() -> AsyncIterator[AsyncClient]:
    """A client of an API that only aioresponses answers for."""
    async with AsyncClient("sk-test-key", base_url=BASE_URL) as made:
        yield made


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """The imitated API over real HTTP."""
    async with Sandbox() as served:
        yield served


@pytest.fixture
async def sandbox_client(sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    """A client of the sandbox."""
    async with AsyncClient("sk-test-key", base_url=sandbox.base_url) as made:
        yield made


RefusePages = Callable[[int, int], list[str | None]]


@pytest.fixture
def refuse_pages(monkeypatch: pytest.MonkeyPatch) -> RefusePages:
    """``refuse_pages(largest, status)`` makes sandboxes refuse larger pages, and gives the limits asked for."""

    def begin(largest: int, status: int) -> list[str | None]:
        asked: list[str | None] = []

        def number(query: Mapping[str, str], name: str, *, least: int, default: int) -> int:
            if name != "limit":
                return int(query.get(name, default))
            asked.append(query.get(name))
            limit = int(query.get(name, min(default, largest)))
            if limit > largest:
                raise ApiError(status, "invalid limit")
            return limit

        monkeypatch.setattr("chamelaion_async.sandbox.endpoints.pages._number", number)
        return asked

    return begin


Exchange = Callable[[bytes, asyncio.StreamWriter], Any]


@pytest.fixture
async def raw_server() -> AsyncIterator[Callable[[Exchange], Any]]:
    """``await raw_server(exchange)`` serves by hand, byte for byte, and gives the base URL.

    ``exchange`` is awaited with each whole request and the writer to answer through. A connection lasts until one
    side closes it, and ends with the test at the latest.
    """
    servers: list[asyncio.Server] = []
    tasks: set[asyncio.Task[Any]] = set()

    async def start(exchange: Exchange) -> str:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                while not writer.is_closing():
                    head = await reader.readuntil(b"\r\n\r\n")
                    lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
                    body = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
                    await exchange(head + body, writer)
                    await writer.drain()
            except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                pass  # the client left, or the test is over
            finally:
                tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api"

    yield start
    for server in servers:
        server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks)
    for server in servers:
        await server.wait_closed()
