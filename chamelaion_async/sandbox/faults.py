"""Faults: what can go wrong with one answer.

A fault strikes before the handler, so that nothing has happened on the server yet, or after it, so that the
job exists although the answer does not tell.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http.client import responses
from typing import Any, Literal

from aiohttp import web
from attrs import field, frozen
from attrs.validators import ge, gt, in_

from .answers import JSON, Answer, error_answer, json_answer
from .sending import Severed, Streamed

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
    """Something that goes wrong. Made by the static methods, put to work by `Sandbox.inject`.

    Args:
        kind: name of the static method that made it.
        when: "before" the handler or "after" it.
    """

    kind: str
    when: When = field(default="before", validator=in_(["before", "after"]))

    @abstractmethod
    async def strike(self, answer: Answer, now: float, /) -> Struck:
        """Return what is sent instead of the answer, None to let it pass.

        Args:
            answer: the true one; before the handler an empty one.
            now: seconds since the epoch.
        """

    @staticmethod
    def latency(seconds: float, *, when: When = "after") -> "Fault":
        """Answer later.

        Args:
            seconds: how much later, by the event loop's clock.
            when: "after" lets the work be done at once, so that a client that gives up waiting has started a
                job; "before" holds the request back, and a client that gives up has started none.
        """
        return Latency(kind="latency", when=when, seconds=seconds)

    @staticmethod
    def rate_limited(retry_after: float | str | None = None) -> "Fault":
        """Answer 429.

        Args:
            retry_after: value of the Retry-After header, sent as it is; None sends none.
        """
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return _Instead(kind="rate_limited", answer=error_answer(429, _TEXTS[429], headers=headers))

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
        if body is None:
            body = _TEXTS.get(code) or responses.get(code, "error").lower()
        if isinstance(body, str):
            answer = error_answer(code, body, headers=headers)
        elif isinstance(body, bytes):
            answer = Answer(status=code, body=body, headers={"Content-Type": JSON, **(headers or {})})
        else:
            answer = json_answer(dict(body), status=code, headers=headers)
        return _Instead(kind="status", when=when, answer=answer)

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
        return _Instead(kind="body", when=when, answer=answer)

    @staticmethod
    def redirect(location: str, status: int = 307) -> "Fault":
        """Redirect.

        Args:
            location: where to.
            status: which 3xx.
        """
        return _Instead(kind="redirect", answer=Answer(status=status, headers={"Location": location}))

    @staticmethod
    def reset(when: When = "before") -> "Fault":
        """End the connection with RST.

        Args:
            when: "after" starts the job first.
        """
        return _Cut(kind="reset", when=when, reset=True)

    @staticmethod
    def close(when: Literal["before", "after", "answered"] = "before") -> "Fault":
        """End the connection with FIN.

        Args:
            when: "after" starts the job first; "answered" sends the whole answer and then closes the
                kept-alive connection without a word.
        """
        if when == "answered":
            return _HangUp(kind="close", when="after")
        return _Cut(kind="close", when=when)

    @staticmethod
    def garbage(data: bytes = _GARBAGE, *, when: When = "before") -> "Fault":
        """Answer with bytes that are no HTTP, then end the connection.

        Args:
            data: the bytes.
            when: "after" starts the job first.
        """
        return _Cut(kind="garbage", when=when, data=data)

    @staticmethod
    def truncate(size: int) -> "Fault":
        """Send this much of the true answer's body under a Content-Length that promises more.

        Args:
            size: bytes of the body that arrive.
        """
        return _Truncate(kind="truncate", when="after", size=size)

    @staticmethod
    def drip(interval: float, *, step: int = 1) -> "Fault":
        """Send the true answer's body bit by bit.

        Args:
            interval: seconds between the bits.
            step: bytes at a time.
        """
        return _Drip(kind="drip", when="after", interval=interval, step=step)

    @staticmethod
    def hang(*, when: When = "before") -> "Fault":
        """Never answer, until the client leaves or the sandbox stops.

        Args:
            when: "after" starts the job first.
        """
        return _Hang(kind="hang", when=when)


@frozen(kw_only=True)
class Latency(Fault):
    """Time passes, and the request goes on its way."""

    seconds: float = field(validator=ge(0))

    async def strike(self, _answer: Answer, _now: float, /) -> Struck:
        """Let the time pass."""
        await asyncio.sleep(self.seconds)
        return None


@frozen(kw_only=True)
class _Instead(Fault):
    answer: Answer

    async def strike(self, _answer: Answer, _now: float, /) -> Struck:
        return self.answer


@frozen(kw_only=True)
class _Cut(Fault):
    data: bytes = b""
    reset_: bool = field(default=False, alias="reset")

    async def strike(self, _answer: Answer, _now: float, /) -> Struck:
        return Severed(data=self.data, reset=self.reset_)


@frozen(kw_only=True)
class _HangUp(Fault):
    async def strike(self, answer: Answer, now: float, /) -> Struck:
        return Streamed(answer, now=now, hang_up=True)


@frozen(kw_only=True)
class _Truncate(Fault):
    size: int = field(validator=ge(0))

    async def strike(self, answer: Answer, now: float, /) -> Struck:
        return Streamed(answer, now=now, cut=self.size)


@frozen(kw_only=True)
class _Drip(Fault):
    interval: float = field(validator=ge(0))
    step: int = field(validator=gt(0))

    async def strike(self, answer: Answer, now: float, /) -> Struck:
        return Streamed(answer, now=now, interval=self.interval, step=self.step)


@frozen(kw_only=True)
class _Hang(Fault):
    async def strike(self, _answer: Answer, _now: float, /) -> Struck:
        # Nobody sets this future: the handler is cancelled.
        for_ever: asyncio.Future[Struck] = asyncio.get_running_loop().create_future()
        return await for_ever
