"""A proxy that a given session trusts is asked for a tunnel, and gets nothing that is meant for the API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chamelaion_async import AsyncClient, ChamelaionError, PollPolicy, RetryPolicy

from .key import KEY, TOKEN, leaks
from .operations import OPERATIONS, Operation

HASTY = PollPolicy(outage_budget=0.0, request_timeout=5.0)
RawServer = Callable[[Callable[[bytes, asyncio.StreamWriter], Any]], Any]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_no_call_shows_the_key_to_a_proxy(
    raw_server: RawServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, operation: Operation
) -> None:
    asked: list[bytes] = []

    async def refuse(request: bytes, writer: asyncio.StreamWriter) -> None:
        asked.append(request)
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    address = await raw_server(refuse)
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, address.removesuffix("/api"))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with (
        aiohttp.ClientSession(trust_env=True) as session,
        AsyncClient(
            KEY,
            bearer_token=TOKEN,
            base_url="https://api.test/api",
            session=session,
            retry=RetryPolicy(attempts=1),
            polling=HASTY,
        ) as client,
    ):
        with suppress(ChamelaionError):
            await operation(client, tmp_path)

    assert {request.split(b" ")[0] for request in asked} == {b"CONNECT"}
    assert leaks(b"\n".join(asked).decode("latin-1")) == []
