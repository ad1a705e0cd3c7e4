"""The way to the service: a relay for bytes that can fail below HTTP, names that lead nowhere, and certificates."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal

import aiohttp
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult

from .stage import Stage

Greet = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool]]
_LINGER_ZERO = struct.pack("ii", 1, 0)
_PIECE = 64 * 1024


async def relay(stage: Stage, greet: Greet, *, scheme: str = "http") -> None:
    """Lead the client through a relay.

    Args:
        stage: Whose client.
        greet: Awaited with those connections that are to be struck; tells whether to go on with them.
        scheme: Of the URL that the client is given.
    """
    tasks: set[asyncio.Task[Any]] = set()
    left = stage.times

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        is_struck = left is None or left > 0
        left = left - 1 if left else left
        try:
            if not is_struck or await greet(reader, writer):
                await _carry(stage.port, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            await _shut(writer)
            tasks.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)

    async def end() -> None:
        server.close()
        for task in [*tasks]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()

    stage.stack.push_async_callback(end)
    stage.options["base_url"] = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/api"


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


async def secured(stage: Stage, certificate: Certificate, *, trusts: bool = True) -> None:
    """Lead the client through TLS.

    Args:
        stage: Whose client.
        certificate: What the connections that are struck are shown; the others see a good one.
        trusts: Whether the client knows the local authority.
    """
    contexts = [_server_context(certificate), _server_context("good")]
    left = stage.times

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        nonlocal left
        is_struck = left is None or left > 0
        left = left - 1 if left else left
        await writer.start_tls(contexts[not is_struck])
        return True

    times, stage.times = stage.times, None
    await relay(stage, greet, scheme="https")
    stage.times = times
    if trusts:
        await share_session(stage, aiohttp.TCPConnector(ssl=_client_context()))


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


async def share_session(stage: Stage, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    """Pass the client a session over a connector."""
    session = aiohttp.ClientSession(connector=connector)
    stage.stack.push_async_callback(session.close)
    stage.options["session"] = session
    return session


class Names(AbstractResolver):
    """Looks names up.

    Args:
        fails: How often in vain; None for ever.
        how: In what way.
    """

    def __init__(self, fails: int | None, how: Literal["unknown", "silent", "dead first"]) -> None:
        self._fails = fails
        self._how = how

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look up one name."""
        hosts = ["127.0.0.1"]
        if self._fails is None or self._fails > 0:
            self._fails = self._fails - 1 if self._fails else self._fails
            if self._how == "unknown":
                raise OSError(None, "Name or service not known")
            if self._how == "silent":
                await asyncio.get_running_loop().create_future()
            hosts = ["127.0.0.9", "127.0.0.1"]
        return [
            ResolveResult(hostname=host, host=each, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)
            for each in hosts
        ]

    async def close(self) -> None:
        """There is nothing to close."""


async def named(stage: Stage, how: Literal["unknown", "silent", "dead first"]) -> None:
    """Lead the client to a name instead of an address."""
    await share_session(stage, aiohttp.TCPConnector(resolver=Names(stage.times, how), use_dns_cache=False))
    stage.options |= {"base_url": f"http://api.test:{stage.port}/api", "allow_http": True}
