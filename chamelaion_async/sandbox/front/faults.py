"""Faults: what can go wrong with one answer.

A fault is applied before the endpoint, so that nothing has happened on the server yet, or after it, so that the
job exists although the answer does not say so.

A new fault is one static method of `Fault` that returns one of the classes below it, and a row of the table in
docs/howto/sandbox.md; tests/sandbox/test_faults.py fails until the table there names it, too.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http.client import responses
from typing import Any, Literal

from aiohttp import web
from attrs import field, frozen
from attrs.validators import ge, gt, in_, optional

from ..endpoints.answers import JSON, Answer, error_answer, json_answer
from .responses import PIECE, Severed, Streamed

When = Literal["before", "after"]
Struck = Answer | web.StreamResponse | None

_TEXTS = {
    400: "invalid request body",
    401: "unauthorized",
    404: "not found",
    412: "token limit reached",
    429: "rate limit exceeded",
    500: "internal error",
}
_GARBAGE = b"\x16\x03\x01 this is not HTTP\r\n\r\n"


@frozen(kw_only=True)
class Fault(ABC):
    """Something that goes wrong. The static methods make one, and `Sandbox.inject` applies it.

    Args:
        kind: name of the static method that made it.
        when: "before" the endpoint or "after" it.
    """

    kind: str
    when: When = field(default="before", validator=in_(["before", "after"]))

    @abstractmethod
    async def strike(self, answer: Answer, now: float, /) -> Struck:
        """Return what is sent instead of the answer, None to let it pass.

        Args:
            answer: the true one; before the endpoint an empty one.
            now: seconds since the epoch.
        """

    @staticmethod
    def latency(seconds: float, *, when: When = "after") -> "Fault":
        """Answer later.

        Args:
            seconds: how much later, by the event loop's clock.
            when: "after" does the work at once, so that a client that gives up waiting has started a job;
                "before" holds the request back, and a client that gives up has started none.
        """
        return Latency(kind="latency", when=when, seconds=seconds)

    @staticmethod
    def rate_limited(retry_after: float | str | None = None) -> "Fault":
        """Answer 429.

        Args:
            retry_after: value of the Retry-After header, sent as it is; None sends none.
        """
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return _Replaced(kind="rate_limited", answer=error_answer(429, _TEXTS[429], headers=headers))

    @staticmethod
    def status(
        code: int,
        body: bytes | str | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        when: When = "before",
    ) -> "Fault":
        """Answer with a status.

        Args:
            code: HTTP status.
            body: None for the documented error of that status, a str for the text of one, a mapping for other
                JSON, bytes as they are.
            headers: further headers.
            when: "after" starts the job and answers with the status all the same.
        """
        if isinstance(body, bytes):
            answer = Answer(status=code, body=body, headers={"Content-Type": JSON, **(headers or {})})
        elif isinstance(body, Mapping):
            answer = json_answer(dict(body), status=code, headers=headers)
        else:
            text = body or _TEXTS.get(code) or responses.get(code, "error").lower()
            answer = error_answer(code, text, headers=headers)
        return _Replaced(kind="status", when=when, answer=answer)

    @staticmethod
    def body(
        data: bytes,
        *,
        content_type: str | None = JSON,
        headers: Mapping[str, str] | None = None,
        status: int = 200,
        when: When = "before",
    ) -> "Fault":
        """Answer 200 with this body: HTML, broken JSON, a wrong encoding.

        Args:
            data: the body.
            content_type: None for aiohttp's default, application/octet-stream.
            headers: further headers, such as a Content-Encoding that is or is not true.
            status: another one than 200.
            when: "after" starts the job all the same.
        """
        typed = {} if content_type is None else {"Content-Type": content_type}
        answer = Answer(status=status, body=data, headers={**typed, **(headers or {})})
        return _Replaced(kind="body", when=when, answer=answer)

    @staticmethod
    def redirect(location: str, status: int = 307) -> "Fault":
        """Redirect.

        Args:
            location: the target.
            status: which 3xx.
        """
        return _Replaced(kind="redirect", answer=Answer(status=status, headers={"Location": location}))

    @staticmethod
    def reset(when: When = "before") -> "Fault":
        """End the connection with RST.

        Args:
            when: "after" starts the job first.
        """
        return _Severed(kind="reset", when=when, is_reset=True)

    @staticmethod
    def close(when: Literal["before", "after", "answered"] = "before") -> "Fault":
        """End the connection with FIN.

        Args:
            when: "after" starts the job first; "answered" sends the whole answer and then closes the
                kept-alive connection, which the answer did not announce.
        """
        if when == "answered":
            return _Streamed(kind="close", when="after", hang_up=True)
        return _Severed(kind="close", when=when)

    @staticmethod
    def garbage(data: bytes = _GARBAGE, *, when: When = "before") -> "Fault":
        """Answer with bytes that are no HTTP, then end the connection.

        Args:
            data: the bytes.
            when: "after" starts the job first.
        """
        return _Severed(kind="garbage", when=when, data=data)

    @staticmethod
    def truncate(size: int) -> "Fault":
        """Send this much of the true answer's body under a Content-Length that promises more.

        Args:
            size: bytes of the body that arrive.
        """
        return _Streamed(kind="truncate", when="after", cut=size)

    @staticmethod
    def drip(interval: float, *, step: int = 1) -> "Fault":
        """Send the true answer's body slowly, in small pieces.

        Args:
            interval: seconds between the pieces.
            step: bytes in a piece.
        """
        return _Streamed(kind="drip", when="after", interval=interval, step=step)

    @staticmethod
    def hang(*, when: When = "before") -> "Fault":
        """Never answer, until the client leaves or the sandbox stops.

        Args:
            when: "after" starts the job first.
        """
        return _Hang(kind="hang", when=when)


@frozen(kw_only=True)
class Latency(Fault):
    """A pause; the answer is the true one."""

    seconds: float = field(validator=ge(0))

    async def strike(self, _answer: Answer, _now: float, /) -> Struck:
        """Sleep."""
        await asyncio.sleep(self.seconds)
        return None


@frozen(kw_only=True)
class _Replaced(Fault):
    answer: Answer

    async def strike(self, _answer: Answer, _now: float, /) -> Struck:
        return self.answer


@frozen(kw_only=True)
class _Severed(Fault):
    data: bytes = b""
    is_reset: bool = False

    async def strike(self, _answer: Answer, _now: float, /) -> Struck:
        return Severed(data=self.data, reset=self.is_reset)


@frozen(kw_only=True)
class _Streamed(Fault):
    cut: int | None = field(default=None, validator=optional(ge(0)))
    interval: float = field(default=0.0, validator=ge(0))
    step: int = field(default=PIECE, validator=gt(0))
    hang_up: bool = False

    async def strike(self, answer: Answer, now: float, /) -> Struck:
        return Streamed(answer, now=now, cut=self.cut, interval=self.interval, step=self.step, hang_up=self.hang_up)


@frozen(kw_only=True)
class _Hang(Fault):
    async def strike(self, _answer: Answer, _now: float, /) -> Struck:
        # This future is never set: a cancellation of the handler ends it.
        forever: asyncio.Future[Struck] = asyncio.get_running_loop().create_future()
        return await forever
