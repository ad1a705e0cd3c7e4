"""Engines of the tests, and what has to be gone after each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from chamelaion_async.redis.engine import Engine
from tests.redis.processes import Processes
from tests.support.engines import ENGINES, EngineServer


@pytest.fixture(scope="session", params=ENGINES)
def server(request: pytest.FixtureRequest) -> Iterator[EngineServer]:
    """Each engine in turn, for all tests: none of them may end it, or change its settings."""
    made = EngineServer(request.param)
    yield made
    made.end()


@pytest.fixture
def own_server() -> Iterator[EngineServer]:
    """An engine that a test may kill, stop and change."""
    made = EngineServer("redis")
    yield made
    made.resume()
    made.end()


@pytest.fixture
async def engine(server: EngineServer) -> AsyncIterator[Engine]:
    """A connection to each engine."""
    made = Engine(server.url)
    await made.open()
    yield made
    await made.aclose()


@pytest.fixture
async def processes(server: EngineServer) -> AsyncIterator[Processes]:
    """Processes that share through each engine."""
    made = Processes(server.url)
    yield made
    await made.end()


@pytest.fixture
async def own_processes(own_server: EngineServer) -> AsyncIterator[Processes]:
    """Processes that share through an engine of the test's own."""
    made = Processes(own_server.url)
    yield made
    await made.end()
