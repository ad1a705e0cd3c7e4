"""Faults of answers as HTTP: those that break off, and those that are none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from chamelaion_async.sandbox import Fault

from .custom_faults import Writing, by_hand, pieces, true_answer
from .row import row
from .rules import (
    CONNECTION,
    INVALID,
    NAMED,
    READS,
    RECOVERS,
    TIMEOUT,
    UNCERTAIN,
    all_of,
    but,
    harmless,
    lost_after,
    lost_before,
)

_broken = partial(row, "Answers that break off")
_no_http = partial(row, "Answers that are not HTTP")


def _chunked(size: Callable[[bytes], bytes]) -> Writing:
    """Return the true answer in one chunk without the last one, of the size that is named."""
    lines = "Transfer-Encoding: chunked"
    return true_answer(lines, length=None, body=lambda body: b"%s\r\n%s\r\n" % (size(body), body))


_not_http = but(lost_after(INVALID), {**all_of(INVALID, *READS), "get_many": RECOVERS})
# All bytes of an output are there, and when asked for the rest, the server confirms that there is none.
_all_but_the_end = but(lost_after(CONNECTION), always={"download": RECOVERS})

_BROKEN_ROWS = (
    _broken("half a status line", by_hand(pieces(b"HTTP/1.1 2")), lost_after(CONNECTION)),
    _broken("half of the headers", by_hand(true_answer(share=0.2)), lost_after(CONNECTION)),
    _broken("no body", Fault.truncate(0), lost_after(CONNECTION)),
    _broken("half of the body, then closed", by_hand(true_answer(share=0.9)), lost_after(CONNECTION)),
    _broken("half of the body, then reset", by_hand(true_answer(share=0.9), "reset"), lost_after(CONNECTION)),
    _broken("half of the body, then silence", by_hand(true_answer(share=0.9), "hold"), lost_after(TIMEOUT)),
    _broken("`Content-Length` that is too large", by_hand(true_answer(length=5)), _all_but_the_end),
    _broken("chunks without an end", by_hand(_chunked(lambda body: b"%x" % len(body))), _all_but_the_end),
    _broken(
        "500 that breaks off",
        by_hand(pieces(b"HTTP/1.1 500 Oops\r\nContent-Length: 500\r\n\r\n{"), when="before"),
        but(lost_before(CONNECTION), all_of(UNCERTAIN, *NAMED)),
    ),
)


_NO_HTTP_ROWS = (
    _no_http(
        "garbage before the request is served",
        Fault.garbage(),
        but(_not_http, all_of(UNCERTAIN, *NAMED), all_of(UNCERTAIN, *NAMED)),
    ),
    _no_http("garbage after the request was served", Fault.garbage(when="after"), _not_http),
    _no_http("another protocol", by_hand(pieces(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")), _not_http),
    _no_http("header of 100 KB", by_hand(true_answer("X-Big: " + "x" * 100_000)), _not_http),
    _no_http("20,000 headers", by_hand(true_answer(*[f"X-H{n}: v" for n in range(20_000)])), _not_http),
    _no_http("header with a NUL", by_hand(true_answer("X-A: a\0b")), _not_http),
    _no_http("two lengths", by_hand(true_answer("Content-Length: 7")), _not_http),
    _no_http("negative length", by_hand(true_answer("Content-Length: -5", length=None)), _not_http),
    _no_http("chunk of no readable size", by_hand(_chunked(lambda _: b"zz")), _not_http),
    _no_http("bytes after the answer", by_hand(true_answer(after=b"and more that was not asked for")), _not_http),
    _no_http(
        "headers without an end, one a second",
        by_hand(pieces(b"HTTP/1.1 200 OK\r\n", *[b"X-A: b\r\n"] * 700), interval=1.0),
        lost_after(TIMEOUT),
    ),
    _no_http(
        "early hints without an end, one a second",
        by_hand(pieces(*[b"HTTP/1.1 103 Early Hints\r\n\r\n"] * 700), interval=1.0),
        lost_after(TIMEOUT),
    ),
    _no_http(
        "an early hint, then the answer",
        by_hand(true_answer(before=b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), "go on"),
        harmless(),
    ),
    _no_http(
        "answer that ends with the connection", by_hand(true_answer("Connection: close", length=None)), harmless()
    ),
)

ROWS: Final = (*_BROKEN_ROWS, *_NO_HTTP_ROWS)
