"""Answers as aiohttp sends them: whole, piece by piece, or broken as a fault wants it."""

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from ..endpoints.answers import Answer, FileSlice
from ..world.timestamps import http_date

PIECE = 256 * 1024
_LINGER_ZERO = struct.pack("ii", 1, 0)


async def _pieces(body: bytes | FileSlice, size: int) -> AsyncGenerator[bytes, None]:
    if isinstance(body, bytes):
        for start in range(0, len(body), size):
            yield body[start : start + size]
        return
    start, end = body.start, body.start + body.length
    while start < end:
        piece = await asyncio.to_thread(_read, body.path, start, min(size, end - start))
        if not piece:
            return
        start += len(piece)
        yield piece


def _read(path: Path, start: int, size: int) -> bytes:
    # Opened for each piece: a file that stays open between pieces would leak if the send is cancelled.
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size)


class Streamed(web.StreamResponse):
    """An answer that is sent piece by piece, at full speed or slowly, whole or in part.

    Args:
        answer: what to send.
        now: the time of the Date header, in seconds since the epoch.
        cut: number of bytes after which the connection is closed, though Content-Length promises more.
        step: size of a piece in bytes.
        interval: seconds between pieces.
        hang_up: close the connection after the answer, which announced nothing of it.
    """

    def __init__(
        self,
        answer: Answer,
        *,
        now: float,
        cut: int | None = None,
        step: int = PIECE,
        interval: float = 0.0,
        hang_up: bool = False,
    ) -> None:
        super().__init__(status=answer.status, headers={**answer.headers, "Date": http_date(now)})
        self.content_length = len(answer.body) if cut is None else max(len(answer.body), cut + 1)
        self._answer = answer
        self._cut = cut
        self._step = step
        self._interval = interval
        self._hang_up = hang_up
        self._bodiless = False
        self._transport: asyncio.Transport | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the headers."""
        self._transport = request.transport
        self._bodiless = request.method == "HEAD"
        return await super().prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the body, or the part of it that is to arrive."""
        is_whole = self._bodiless or await self._write_body()
        if self._cut is not None or not is_whole:
            self._close()
            raise ConnectionResetError("the answer ends short of its Content-Length")
        await super().write_eof(data)
        if self._hang_up:
            self._close()

    async def _write_body(self) -> bool:
        left = len(self._answer.body) if self._cut is None else self._cut
        async with aclosing(_pieces(self._answer.body, self._step)) as pieces:
            async for piece in pieces:
                if left <= 0:
                    break
                await self.write(piece[:left])
                left -= len(piece)
                if self._interval:
                    await asyncio.sleep(self._interval)
        return left <= 0

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Severed(web.StreamResponse):
    """No HTTP answer: the connection ends, after some other bytes if there are any.

    Args:
        data: what to send first.
        reset: whether it ends with RST instead of FIN.
    """

    def __init__(self, *, data: bytes = b"", reset: bool = False) -> None:
        super().__init__()
        self._data = data
        self._reset = reset

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """End the connection.

        Raises:
            ConnectionResetError: always, which makes aiohttp write no response.
        """
        transport = request.transport
        if transport is not None:
            if self._data:
                transport.write(self._data)
            if self._reset:
                # A socket closed with a linger time of zero sends RST (RFC 9293, 3.9.1: ABORT).
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
                transport.abort()
            else:
                transport.close()
        raise ConnectionResetError("severed on purpose")


def response(answer: Answer, *, now: float) -> web.StreamResponse:
    """Return the response that sends an answer whole.

    Args:
        answer: what to send.
        now: the time of the Date header, in seconds since the epoch.
    """
    if isinstance(answer.body, bytes):
        return web.Response(
            status=answer.status, body=answer.body, headers={**answer.headers, "Date": http_date(now)}
        )
    return Streamed(answer, now=now)
