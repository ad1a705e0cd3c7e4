"""A way to the service on which sending has to be waited for."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import aiohttp

from tests.faults.setup import Setup


def send_slowly(setup: Setup) -> None:
    """Let the client wait a turn of the loop with each piece that it sends."""
    tracing = aiohttp.TraceConfig()
    tracing.on_request_chunk_sent.append(_wait)
    session = aiohttp.ClientSession(trace_configs=[tracing])
    setup.stack.push_async_callback(session.close)
    setup.options["session"] = session


async def _wait(_: aiohttp.ClientSession, __: SimpleNamespace, ___: aiohttp.TraceRequestChunkSentParams) -> None:
    await asyncio.sleep(0)
