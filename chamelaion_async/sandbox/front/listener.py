"""The listening socket and its connections, from the start to a stop after which neither is left."""

import asyncio
from contextlib import suppress

from aiohttp import web
from attrs import define, field

from .pipeline import Pipeline

_BACKLOG = 2048
_GRACE = 0.1
_LINE_SIZE = 64 * 1024


class _Connections(web.Server):
    """The connections of a listener. One that is made while it closes is dropped at once."""

    is_closing = False

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if self.is_closing:
            transport.abort()


@define(kw_only=True, eq=False)
class Listener:
    """Serves the API on one address.

    Args:
        pipeline: answers the requests.
        host: to listen on.
        port: to listen on, 0 for any free one; after `open` the one that was taken.
    """

    pipeline: Pipeline
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
        # Without handler_cancellation, a fault that hangs would hang on after its client has left.
        http = _Connections(
            self.pipeline.handle,
            handler_cancellation=True,
            access_log=None,
            max_line_size=_LINE_SIZE,
            max_field_size=_LINE_SIZE,
        )
        loop = asyncio.get_running_loop()
        server = await loop.create_server(http, self.host, self.port, backlog=_BACKLOG, start_serving=False)
        try:
            # Not started by create_server: a cancellation there would lose a server that listens already.
            await server.start_serving()
        except BaseException:
            server.close()
            raise
        self._server, self._http = server, http
        self.port = server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, cancel handlers, drop connections, and wait until all of them are closed."""
        server, self._server = self._server, None
        http, self._http = self._http, None
        if server is None or http is None:
            return
        with suppress(NotImplementedError):  # a proactor loop has no readers
            for listening in server.sockets:
                asyncio.get_running_loop().remove_reader(listening.fileno())
        try:
            # An accepted socket becomes a connection in the next turn of the loop, and only if the server is open.
            await asyncio.sleep(0)
        finally:
            server.close()
            await self._drop(server, http)

    async def _drop(self, server: asyncio.Server, http: _Connections) -> None:
        transports = {connection.transport for connection in http.connections if connection.transport is not None}
        http.is_closing = True
        http.pre_shutdown()
        try:
            running = tuple(self.pipeline.tasks)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await http.shutdown(_GRACE)
        finally:
            for transport in transports:
                # close() would wait for a peer that has stopped reading.
                transport.abort()
        await server.wait_closed()
        # A transport closes its socket one turn of the loop after connection_lost was scheduled.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
