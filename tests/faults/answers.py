"""Faults of answers as HTTP: those that break off, and those that are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Final

from chamelaion_async.sandbox import Fault
from chamelaion_async.sandbox.endpoints.answers import Answer

from . import rules
from .row import row
from .rules import CONNECTION, INVALID, NAMED, READS, RECOVERS, TIMEOUT, UNCERTAIN, all_of, but
from .ways import Head, Words, body_of, said, spoken

_BROKEN: Final = "Answers that break off"
_NO_HTTP: Final = "Answers that are not HTTP"


def _cut(share: float) -> Words:
    """Say a part of the true answer."""

    def words(answer: Answer, now: float) -> Iterator[bytes]:
        whole = bytes(Head.of(answer, now)) + body_of(answer)
        yield whole[: int(len(whole) * share)]

    return words


def _too_long(answer: Answer, now: float) -> Iterator[bytes]:
    yield bytes(Head.of(answer, now, length=len(answer.body) + 5)) + body_of(answer)


def _of_no_length(*lines: str, say: Callable[[bytes], bytes] = bytes) -> Words:
    """Say the true answer with other lines than its length."""

    def words(answer: Answer, now: float) -> Iterator[bytes]:
        yield bytes(Head.of(answer, now, length="").with_lines(*lines)) + say(body_of(answer))

    return words


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


_not_http = but(rules.lost_after(INVALID), {**all_of(INVALID, *READS), "get_many": RECOVERS})
# All bytes of an output are there, and when asked for the rest, the server confirms that there is none.
_all_but_the_end = but(rules.lost_after(CONNECTION), always={"download": RECOVERS})

_BROKEN_ROWS = (
    row(_BROKEN, "half a status line", spoken(said(b"HTTP/1.1 2")), rules.lost_after(CONNECTION)),
    row(_BROKEN, "half of the headers", spoken(_cut(0.2)), rules.lost_after(CONNECTION)),
    row(_BROKEN, "no body", Fault.truncate(0), rules.lost_after(CONNECTION)),
    row(_BROKEN, "half of the body, then closed", spoken(_cut(0.9)), rules.lost_after(CONNECTION)),
    row(_BROKEN, "half of the body, then reset", spoken(_cut(0.9), "reset"), rules.lost_after(CONNECTION)),
    row(_BROKEN, "half of the body, then silence", spoken(_cut(0.9), "hold"), rules.lost_after(TIMEOUT)),
    row(_BROKEN, "`Content-Length` that is too large", spoken(_too_long), _all_but_the_end),
    row(
        _BROKEN,
        "chunks without an end",
        spoken(_of_no_length("Transfer-Encoding: chunked", say=_chunk)),
        _all_but_the_end,
    ),
    row(
        _BROKEN,
        "500 that breaks off",
        spoken(said(b"HTTP/1.1 500 Oops\r\nContent-Length: 500\r\n\r\n{"), when="before"),
        but(rules.lost_before(CONNECTION), all_of(UNCERTAIN, *NAMED)),
    ),
)


def _drip_headers(_: Answer, __: float) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    yield from repeat(b"X-A: b\r\n", 700)


def _hint_for_ever(_: Answer, __: float) -> Iterator[bytes]:
    yield from repeat(b"HTTP/1.1 103 Early Hints\r\n\r\n", 700)


def _with_lines(*lines: str) -> Words:
    def words(answer: Answer, now: float) -> Iterator[bytes]:
        yield bytes(Head.of(answer, now).with_lines(*lines)) + body_of(answer)

    return words


def _after_a_hint(answer: Answer, now: float) -> Iterator[bytes]:
    yield b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    yield bytes(Head.of(answer, now)) + body_of(answer)


def _with_junk(answer: Answer, now: float) -> Iterator[bytes]:
    yield bytes(Head.of(answer, now)) + body_of(answer) + b"and more that nobody asked for"


_NO_HTTP_ROWS = (
    row(
        _NO_HTTP,
        "garbage before the request is served",
        Fault.garbage(),
        but(_not_http, all_of(UNCERTAIN, *NAMED), all_of(UNCERTAIN, *NAMED)),
    ),
    row(_NO_HTTP, "garbage after the request was served", Fault.garbage(when="after"), _not_http),
    row(_NO_HTTP, "another protocol", spoken(said(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")), _not_http),
    row(_NO_HTTP, "header of 100 KB", spoken(_with_lines("X-Big: " + "x" * 100_000)), _not_http),
    row(_NO_HTTP, "20,000 headers", spoken(_with_lines(*(f"X-H{n}: v" for n in range(20_000)))), _not_http),
    row(_NO_HTTP, "header with a NUL", spoken(_with_lines("X-A: a\0b")), _not_http),
    row(_NO_HTTP, "two lengths", spoken(_with_lines("Content-Length: 7")), _not_http),
    row(_NO_HTTP, "negative length", spoken(_of_no_length("Content-Length: -5")), _not_http),
    row(
        _NO_HTTP,
        "chunk of no readable size",
        spoken(_of_no_length("Transfer-Encoding: chunked", say=lambda body: b"zz\r\n" + body)),
        _not_http,
    ),
    row(_NO_HTTP, "bytes after the answer", spoken(_with_junk), _not_http),
    row(
        _NO_HTTP,
        "headers without an end, one a second",
        spoken(_drip_headers, interval=1.0),
        rules.lost_after(TIMEOUT),
    ),
    row(
        _NO_HTTP,
        "early hints without an end, one a second",
        spoken(_hint_for_ever, interval=1.0),
        rules.lost_after(TIMEOUT),
    ),
    row(_NO_HTTP, "an early hint, then the answer", spoken(_after_a_hint, "go on"), rules.harmless()),
    row(
        _NO_HTTP, "answer that ends with the connection", spoken(_of_no_length("Connection: close")), rules.harmless()
    ),
)

ROWS: Final = (*_BROKEN_ROWS, *_NO_HTTP_ROWS)
