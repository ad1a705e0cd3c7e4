"""Ways to spoil an answer that the sandbox does not offer by itself."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Any, Literal

import attrs
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from chamelaion_async.sandbox import Fault
from chamelaion_async.sandbox.endpoints.answers import Answer
from chamelaion_async.sandbox.world.timestamps import http_date

Ending = Literal["close", "reset", "hold", "go on"]
Struck = Answer | web.StreamResponse | None
_LINGER_ZERO = struct.pack("ii", 1, 0)


@attrs.frozen(kw_only=True)
class Rewritten(Fault):
    """The true answer with another body, if it is a success.

    Args:
        change: from the body to the body.
        headers: further headers.
    """

    change: Callable[[bytes], bytes]
    headers: dict[str, str] = attrs.Factory(dict)

    async def strike(self, answer: Answer, _now: float, /) -> Struck:
        """Rewrite the body."""
        if answer.status != 200:
            return None
        return attrs.evolve(answer, body=self.change(body_of(answer)), headers={**answer.headers, **self.headers})


def rewritten(change: Callable[[bytes], bytes], **headers: str) -> Fault:
    """Return the fault that changes a body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Rewritten(kind="rewritten", when="after", change=change, headers=named)


def altered(change: Callable[[dict[str, Any]], object]) -> Fault:
    """Return the fault that changes the JSON of an answer in place."""

    def change_body(body: bytes) -> bytes:
        content = json.loads(body)
        change(content)
        return json.dumps(content).encode()

    return rewritten(change_body)


@attrs.frozen
class Head:
    """The lines before a body, to be written by hand."""

    lines: tuple[str, ...]

    @classmethod
    def of(cls, answer: Answer, now: float, *, length: object = None, date: str | None = "") -> Head:
        """Return what would be true, but for the length and the date that are given; a date of None is left out."""
        lines = [f"HTTP/1.1 {answer.status} OK", *(f"{name}: {value}" for name, value in answer.headers.items())]
        if date is not None:
            lines.append(f"Date: {date or http_date(now)}")
        if length != "":
            lines.append(f"Content-Length: {len(answer.body) if length is None else length}")
        return cls(tuple(lines))

    def with_lines(self, *lines: str) -> Head:
        """Return it with further lines."""
        return Head((*self.lines, *lines))

    def __bytes__(self) -> bytes:
        return "\r\n".join((*self.lines, "", "")).encode("latin-1")


Words = Callable[[Answer, float], Iterable[bytes]]


@attrs.frozen(kw_only=True)
class Spoken(Fault):
    """An answer that is written by hand, byte for byte.

    Args:
        words: gives what to send, from the true answer and its time in seconds since the epoch.
        ending: what becomes of the connection.
        interval: seconds between the pieces.
    """

    words: Words
    ending: Ending
    interval: float

    async def strike(self, answer: Answer, now: float, /) -> Struck:
        """Speak."""
        return _Speech(self.words(answer, now), self.ending, self.interval)


def spoken(
    words: Words, ending: Ending = "close", *, interval: float = 0.0, when: Literal["before", "after"] = "after"
) -> Fault:
    """Return the fault that answers by hand."""
    return Spoken(kind="spoken", when=when, words=words, ending=ending, interval=interval)


def said(*pieces: bytes) -> Words:
    """Return words that do not depend on the true answer."""
    return lambda _answer, _now: pieces


class _Speech(web.StreamResponse):
    def __init__(self, pieces: Iterable[bytes], ending: Ending, interval: float) -> None:
        super().__init__()
        self._pieces = pieces
        self._ending = ending
        self._interval = interval

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        if request.can_read_body:
            await request.read()  # a connection that is closed over unread bytes would be reset
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client has left")
        for piece in self._pieces:
            if transport.is_closing():
                break
            transport.write(piece)
            if self._interval:
                await asyncio.sleep(self._interval)
        if self._ending == "hold":
            await asyncio.get_running_loop().create_future()
        if self._ending == "go on":
            self._keep_alive = True
            return None
        if self._ending == "reset":
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            transport.abort()
        raise ConnectionResetError("said all")

    async def write_eof(self, data: bytes = b"") -> None:
        """Everything was written by hand."""


def body_of(answer: Answer) -> bytes:
    """Return the body of an answer that is in memory."""
    assert isinstance(answer.body, bytes)
    return answer.body
