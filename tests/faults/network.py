"""The way to the service: a relay that can fail below HTTP, names that do not resolve, and certificates."""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Literal

import aiohttp
import attrs
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.support.raw_server import serve

from .setup import Setup

OnConnection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool]]
_LINGER_ZERO = struct.pack("ii", 1, 0)
_PIECE = 64 * 1024


async def relay(setup: Setup, on_connection: OnConnection, *, scheme: str = "http") -> None:
    """Lead the client through a relay.

    Args:
        setup: Whose client.
        on_connection: Awaited with those connections that the fault hits; returns whether to serve them further.
        scheme: Of the URL that the client is given.
    """
    left = math.inf if setup.times is None else setup.times

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        left -= 1
        if left < 0 or await on_connection(reader, writer):
            await _carry(setup.port, reader, writer)

    port = await setup.stack.enter_async_context(serve(connected))
    setup.options["base_url"] = f"{scheme}://127.0.0.1:{port}/api"


async def _carry(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    there, back = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(reader, back))
            group.create_task(_pump(there, writer))
    except* OSError:
        pass
    finally:
        await _shut(back)


async def _shut(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while piece := await source.read(_PIECE):
        target.write(piece)
        await target.drain()
    target.close()


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """End a connection with RST as soon as it is there."""
    accepted: socket.socket = writer.get_extra_info("socket")
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    writer.transport.abort()
    return False


async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """End a connection with FIN as soon as it is there."""
    return False


async def keep_silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Accept a connection, and neither read nor write."""
    await asyncio.get_running_loop().create_future()
    return False


Certificate = Literal["good", "of a stranger", "expired", "of another host", "and asks for the client's"]


async def secured(setup: Setup, certificate: Certificate, *, trusts: bool = True) -> None:
    """Lead the client through TLS.

    Args:
        setup: Whose client.
        certificate: What the connections that the fault hits are shown; the others get a good one.
        trusts: Whether the client knows the local authority.
    """
    left = math.inf if setup.times is None else setup.times

    async def on_connection(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        nonlocal left
        left -= 1
        await writer.start_tls(_server_context("good" if left < 0 else certificate))
        return True

    times, setup.times = setup.times, None
    await relay(setup, on_connection, scheme="https")
    setup.times = times
    if trusts:
        await share_session(setup, aiohttp.TCPConnector(ssl=_client_context()))


@cache
def _authority() -> trustme.CA:
    return trustme.CA()


@cache
def _client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    _authority().configure_trust(context)
    return context


@cache
def _server_context(certificate: Certificate) -> ssl.SSLContext:
    authority = trustme.CA() if certificate == "of a stranger" else _authority()
    names = ["api.elsewhere.test"] if certificate == "of another host" else ["127.0.0.1"]
    ended = datetime(2020, 1, 1, tzinfo=UTC) if certificate == "expired" else None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_before=ended, not_after=ended).configure_cert(context)
    if certificate == "and asks for the client's":
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
    return context


async def share_session(setup: Setup, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    """Pass the client a session over a connector."""
    session = aiohttp.ClientSession(connector=connector)
    setup.stack.push_async_callback(session.close)
    setup.options["session"] = session
    return session


Resolution = Literal["unknown", "silent", "dead first"]


@attrs.define
class Resolver(AbstractResolver):
    """Resolves every name, after some failures.

    Args:
        failures: How many; infinity for no end.
        how: In what way it fails.
    """

    failures: float
    how: Resolution

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look up one name."""
        self.failures -= 1
        if self.failures >= 0 and self.how == "unknown":
            raise OSError(None, "Name or service not known")
        if self.failures >= 0 and self.how == "silent":
            await asyncio.get_running_loop().create_future()
        hosts = ["127.0.0.9", "127.0.0.1"] if self.failures >= 0 else ["127.0.0.1"]
        return [
            ResolveResult(hostname=host, host=each, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)
            for each in hosts
        ]

    async def close(self) -> None:
        """There is nothing to close."""


async def named(setup: Setup, how: Resolution) -> None:
    """Lead the client to a name instead of an address."""
    resolver = Resolver(math.inf if setup.times is None else setup.times, how)
    await share_session(setup, aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False))
    setup.options |= {"base_url": f"http://api.test:{setup.port}/api", "allow_http": True}
