"""A server on a real socket whose connections a test serves by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]
Exchange = Callable[[bytes, asyncio.StreamWriter], Awaitable[object]]


@asynccontextmanager
async def serve(handle: Connected) -> AsyncIterator[int]:
    """Serve connections on 127.0.0.1 and give the port.

    ``handle`` is awaited with each connection, which is closed when it returns, when either side closes it, or at
    the end of the block.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
                await handle(reader, writer)
        finally:
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            tasks.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)
        await server.wait_closed()


def one_by_one(exchange: Exchange) -> Connected:
    """Await ``exchange`` with each whole HTTP request of a connection, and with the writer to answer through."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
            body = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
            await exchange(head + body, writer)
            await writer.drain()

    return connected
