"""Whatever the call, and however it fails: the key is in no error, traceback, log record or warning.

A third of all pairs is part of the tests; ``CHAMELAION_ALL_LEAKS=1`` plays all.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from chamelaion_async import AsyncClient, ChamelaionError, PollPolicy, RetryPolicy

from .answers_with_key import FAILURES, honest
from .connections import Respond, connecting
from .key import KEY, TOKEN, everything, leaks, watching
from .operations import OPERATIONS, Operation

pytestmark = pytest.mark.virtual_time

OFFLINE = (".nudge", ".forecast")
SILENT = {"with_options", "aclose", "drain", "requests.nudge"}
"""What is public and sends nothing."""


def made() -> AsyncClient:
    return AsyncClient(
        KEY,
        bearer_token=TOKEN,
        base_url="https://api.test/api",
        retry=RetryPolicy(attempts=2, initial=0.0, max=0.0),
        timeout=1.0,
        polling=PollPolicy(outage_budget=2.0, request_timeout=1.0, not_found_grace=0.0, max_interval=1.0),
    )


@pytest.fixture(autouse=True)
def _debugging(event_loop_debug: None) -> None:
    """Run asyncio in debug mode, in which it logs the most."""


@pytest.fixture
async def event_loop_debug() -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0


PAIRS = [
    pytest.param(operation, respond, id=f"{title}-{way}")
    for row, (title, operation) in enumerate(OPERATIONS.items())
    for column, (way, respond) in enumerate(FAILURES.items())
    if (row + column) % 3 == 0 or "CHAMELAION_ALL_LEAKS" in os.environ
]


@pytest.mark.parametrize(("operation", "respond"), PAIRS)
async def test_no_error_log_or_warning_shows_the_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, operation: Operation, respond: Respond
) -> None:
    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", connecting(honest(respond)))
    caught: list[ChamelaionError] = []
    with watching() as seen:
        async with made() as client:
            try:
                await operation(client, tmp_path)
            except ChamelaionError as error:
                caught.append(error)

    assert seen.lines
    assert leaks("\n".join(seen.lines)) == []
    assert leaks("\n".join(map(everything, caught))) == []


def calls(part: object, prefix: str = "") -> Iterator[str]:
    """Yield the names of all public methods below a client."""
    for name in dir(part):
        if name.startswith("_"):
            continue
        value = inspect.getattr_static(part, name)
        if inspect.isfunction(value):
            yield prefix + name
        elif type(value).__module__.startswith("chamelaion_async.resources"):
            yield from calls(value, f"{prefix}{name}.")


def test_every_call_of_the_client_is_among_the_operations() -> None:
    known = {name.partition(" ")[0] for name in OPERATIONS}

    assert {name for name in calls(made()) if name not in SILENT and not name.endswith(OFFLINE)} == known
