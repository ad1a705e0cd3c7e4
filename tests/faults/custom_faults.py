"""Faults of an answer that the sandbox does not offer itself."""

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


Writing = Callable[[Answer, float], Iterable[bytes]]
"""Gives the pieces to send, from the true answer and its time in seconds since the epoch."""


def pieces(*all_of_them: bytes) -> Writing:
    """Return what does not depend on the true answer."""
    return lambda _answer, _now: all_of_them


def true_answer(
    *lines: str,
    length: int | None = 0,
    date: str | None = "",
    body: Callable[[bytes], bytes] = bytes,
    before: bytes = b"",
    after: bytes = b"",
    share: float = 1.0,
) -> Writing:
    """Return the true answer, but for what is given.

    Args:
        lines: Further lines of the head.
        length: What is added to the true ``Content-Length``; None leaves it out.
        date: Another date; None leaves it out.
        body: Changes the body, and not the length that the head names.
        before: What precedes the answer.
        after: What follows it.
        share: How much of it is sent.
    """

    def writing(answer: Answer, now: float) -> Iterable[bytes]:
        head = [f"HTTP/1.1 {answer.status} OK", *(f"{name}: {value}" for name, value in answer.headers.items())]
        head += [] if date is None else [f"Date: {date or http_date(now)}"]
        head += [] if length is None else [f"Content-Length: {len(answer.body) + length}"]
        whole = "\r\n".join((*head, *lines, "", "")).encode("latin-1") + body(body_of(answer))
        return filter(None, (before, whole[: int(len(whole) * share)] + after))

    return writing


@attrs.frozen(kw_only=True)
class ByHand(Fault):
    """An answer that is written byte for byte.

    Args:
        writing: what to send.
        ending: what becomes of the connection.
        interval: seconds between the pieces.
    """

    writing: Writing
    ending: Ending
    interval: float

    async def strike(self, answer: Answer, now: float, /) -> Struck:
        """Write."""
        return _WrittenAnswer(self.writing(answer, now), self.ending, self.interval)


def by_hand(
    writing: Writing, ending: Ending = "close", *, interval: float = 0.0, when: Literal["before", "after"] = "after"
) -> Fault:
    """Return the fault that answers byte for byte."""
    return ByHand(kind="by_hand", when=when, writing=writing, ending=ending, interval=interval)


class _WrittenAnswer(web.StreamResponse):
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
        raise ConnectionResetError("fixed all")

    async def write_eof(self, data: bytes = b"") -> None:
        """Everything was written by hand."""


def body_of(answer: Answer) -> bytes:
    """Return the body of an answer that is in memory."""
    assert isinstance(answer.body, bytes)
    return answer.body
