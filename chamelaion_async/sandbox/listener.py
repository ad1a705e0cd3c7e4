"""The listening socket and its connections, from the first byte to a stop that leaves nothing behind."""

import asyncio
from collections.abc import Set as AbstractSet
from contextlib import suppress

from aiohttp import web
from attrs import define, field

from .edge import Edge

_BACKLOG = 2048
_GRACE = 0.1
_LINE_SIZE = 64 * 1024


class _Connections(web.Server):
    """Those of a listener. One that comes about while it closes is dropped at once."""

    is_closing = False

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if self.is_closing:
            transport.abort()


@define(kw_only=True, eq=False)
class Listener:
    """Serves an edge on one address.

    Args:
        edge: answers the requests.
        host: to listen on.
        port: to listen on, 0 for any free one; afterwards the one that was taken.
    """

    edge: Edge
    host: str
    port: int
    _http: _Connections | None = field(init=False, default=None)
    _server: asyncio.Server | None = field(init=False, default=None)

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    async def open(self) -> None:
        """Listen.

        Raises:
            OSError: if the address is taken or not this machine's.
        """
        # Cancelling the handler when its client leaves is what ends a hanging one.
        http = _Connections(
            self.edge.handle,
            handler_cancellation=True,
            access_log=None,
            max_line_size=_LINE_SIZE,
            max_field_size=_LINE_SIZE,
        )
        loop = asyncio.get_running_loop()
        server = await loop.create_server(http, self.host, self.port, backlog=_BACKLOG, start_serving=False)
        try:
            # Not above: the server would be lost with whoever is cancelled after it has begun to listen.
            await server.start_serving()
        except BaseException:
            server.close()
            raise
        self._server, self._http = server, http
        self.port = server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, cancel handlers, drop connections, and wait until all of it is gone."""
        server, self._server = self._server, None
        http, self._http = self._http, None
        if server is None or http is None:
            return
        with suppress(NotImplementedError):  # not all loops have readers
            for listening in server.sockets:
                asyncio.get_running_loop().remove_reader(listening.fileno())
        try:
            # What was accepted before becomes a connection in the next turn, and only of a server that is open.
            await asyncio.sleep(0)
        finally:
            server.close()
            await self._drop(server, http)

    async def _drop(self, server: asyncio.Server, http: _Connections) -> None:
        transports = {connection.transport for connection in http.connections if connection.transport is not None}
        http.is_closing = True
        http.pre_shutdown()
        try:
            await _cancel(self.edge.tasks)
            await http.shutdown(_GRACE)
        finally:
            for transport in transports:
                # A peer that has stopped reading would keep a closed transport open for ever.
                transport.abort()
        await server.wait_closed()
        # A transport closes its socket one turn of the loop after it was closed itself.
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def _cancel(tasks: AbstractSet[asyncio.Task[None]]) -> None:
    running = tuple(tasks)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
