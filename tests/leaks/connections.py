"""The other end of aiohttp's connections, in memory and on the loop's own time.

Nothing of the client is replaced: session, pool, HTTP parser and timers are aiohttp's own, and only sockets are
missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler

HANG: Final = b""
"""The answer of a service that never answers."""

Respond = Callable[[bytes], "bytes | Exception"]
"""Returns the bytes that answer a whole request, or what breaks its connection."""


def connecting(respond: Respond) -> Callable[..., Awaitable[ResponseHandler]]:
    """Return what is to stand in for ``aiohttp.TCPConnector._create_connection``."""

    async def create(_: aiohttp.BaseConnector, *__: object) -> ResponseHandler:
        protocol = ResponseHandler(asyncio.get_running_loop())
        protocol.connection_made(_Connection(respond, protocol))
        return protocol

    return create


class _Connection(asyncio.Transport):
    """One connection, as the client sees it."""

    def __init__(self, respond: Respond, protocol: ResponseHandler) -> None:
        super().__init__()
        self._respond = respond
        self._protocol: ResponseHandler | None = protocol
        self._arrived = bytearray()
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self._arrived += data
        while (end := self._arrived.find(b"\r\n\r\n")) >= 0:
            head = self._arrived[:end].decode("latin-1")
            _, _, rest = head.lower().partition("\r\ncontent-length:")
            size = end + 4 + int(rest.partition("\r\n")[0] or 0)
            if len(self._arrived) < size:
                return
            request = bytes(self._arrived[:size])
            del self._arrived[:size]
            # An answer never comes within the same turn of the loop.
            asyncio.get_running_loop().call_soon(self._reply, self._respond(request))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        self.write(b"".join(list_of_data))

    def _reply(self, reply: bytes | Exception) -> None:
        if self._protocol is None or reply == HANG:
            return
        if isinstance(reply, bytes):
            self._protocol.data_received(reply)
        else:
            self._lose(reply)

    def _lose(self, error: Exception | None) -> None:
        self._is_closing = True
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(error)

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            asyncio.get_running_loop().call_soon(self._lose, None)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._is_closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None:
        """All of an answer is there already."""

    def resume_reading(self) -> None:
        """Nothing was held back."""
