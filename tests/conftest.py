"""What all tests share: loops and what may not be left on them, clients, and the fixtures that users have."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import signal
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import hypothesis
import pytest
from aioresponses import aioresponses

from chamelaion_async import AsyncClient
from chamelaion_async.sandbox import Sandbox
from chamelaion_async.sandbox.endpoints.answers import ApiError
from chamelaion_async.testing import VirtualTimeLoop
from tests.support.loops import tasks_left
from tests.support.raw_server import Exchange, one_by_one, serve

# A slow machine is no reason to call a property false.
hypothesis.settings.register_profile("steady", deadline=None)
hypothesis.settings.load_profile("steady")

BASE_URL = "https://api.example.com/api"
Factories = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]


pytest_plugins = ["chamelaion_async.testing", "pytester"]
# The tests of the site read a build of it: `nox -s docs` makes one, says where it is, and runs them.
collect_ignore = [] if "CHAMELAION_SITE" in os.environ else ["site"]


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of garbage collections, which many tests ask for."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_asyncio_loop_factories(item: pytest.Item) -> Generator[None, Factories, Factories]:
    """Run what is marked ``virtual_time`` on such a loop, and all else as usual."""
    others = yield
    return {"virtual": partial(VirtualTimeLoop, patience=0.0)} if item.get_closest_marker("virtual_time") else others


@pytest.fixture(autouse=True)
def _marked_tests_run_in_virtual_time(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("virtual_time"):
        request.getfixturevalue("chamelaion_virtual_time")


@pytest.fixture(autouse=True)
def _no_task_is_left(request: pytest.FixtureRequest) -> None:
    """Fail an asynchronous test that leaves a task on its loop, once all that it was given is closed."""
    if inspect.iscoroutinefunction(request.function):
        request.getfixturevalue("_no_task_is_left_on_the_loop")


@pytest.fixture
async def _no_task_is_left_on_the_loop() -> AsyncIterator[None]:
    yield
    assert await tasks_left() == []


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


@pytest.fixture
def mock(chamelaion_aioresponses: aioresponses) -> aioresponses:
    """aioresponses, answering in place of the network."""
    return chamelaion_aioresponses


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


@pytest.fixture
async def raw_server() -> AsyncIterator[Callable[[Exchange], Any]]:
    """``await raw_server(exchange)`` serves by hand, byte for byte, and gives the base URL.

    ``exchange`` is awaited with each whole request and the writer to answer through. A connection lasts until one
    side closes it, and ends with the test at the latest.
    """
    async with AsyncExitStack() as stack:

        async def start(exchange: Exchange) -> str:
            port = await stack.enter_async_context(serve(one_by_one(exchange)))
            return f"http://127.0.0.1:{port}/api"

        yield start
