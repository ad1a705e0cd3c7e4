"""Answers that are no success: each becomes the error of its class, and the key is in no part of it."""

from __future__ import annotations

import math
import pickle
import re
from datetime import UTC, datetime

from multidict import CIMultiDict, CIMultiDictProxy

from chamelaion_async._http.answers import status_error
from chamelaion_async.errors import RateLimitError
from tests.support.errors import error_class

from .leaks import CREDENTIALS, KEY, assert_nothing_leaks
from .target import Target

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_MAX_TEXT = 1500
_HEADER_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def headers_of(lines: list[bytes]) -> CIMultiDictProxy[str]:
    """Read headers as aiohttp does; what is no header is left out, for aiohttp refuses it."""
    headers: CIMultiDict[str] = CIMultiDict()
    for line in lines:
        name, colon, value = line.partition(b":")
        if colon and _HEADER_NAME.fullmatch(name) and b"\0" not in value and b"\r" not in value:
            headers.add(name.decode(), value.strip(b" \t").decode("utf-8", "surrogateescape"))
    return CIMultiDictProxy(headers)


def _check(data: bytes) -> None:
    """Read a status, lines of headers, an empty line and a body."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    status = int(first) if re.fullmatch(rb"[0-9]{1,3}", first) else 500
    error = status_error(
        status,
        headers_of(lines),
        body,
        method="GET",
        path="/v1/x",
        attempts=1 + len(lines) % 2,
        now=_NOW,
        secrets=CREDENTIALS.values(),
    )
    assert type(error) is error_class(status)
    assert error.status == status
    assert error.message
    assert len(str(error)) <= _MAX_TEXT
    if isinstance(error, RateLimitError):
        assert error.retry_after is None or 0 <= error.retry_after < math.inf
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.headers) == (type(error), str(error), error.headers)
    assert_nothing_leaks(error, head, body)


_TEXTS = [
    b'{"error": "lipsync request not found"}',
    b'{"error": {"message": "nested words", "code": 5}}',
    b'{"message": null, "detail": "other words"}',
    f'{{"error": "invalid token {KEY}", "{KEY}": ["Bearer {KEY}"]}}'.encode(),
    f"<html>who is {KEY}?</html>".encode(),
    f"who is\n  {KEY}?".encode(),
    b"",
    b"upstream  is\ndown",
    b"[" * 900 + b"]" * 900,
]
_HEADS = [
    b"401\nContent-Type: application/json\nX-Echo: " + KEY.encode(),
    b"429\nRetry-After: 7\nDate: Thu, 01 Jan 2026 00:00:00 GMT",
    b"429\nRetry-After: Thu, 01 Jan 2026 00:00:10 GMT",
    b"307\nLocation: https://user:pass@elsewhere.example/" + KEY.encode() + b"?t=" + KEY.encode(),
    b"404\n" + KEY.encode() + b": x",
    b"502\nVia: 1.1 a\nVia: 1.1 b",
]
_SEEDS = [head + b"\n\n" + text for head in _HEADS for text in _TEXTS]
_WORDS = [
    *b"0 99 100 199 204 300 301 304 400 403 408 409 412 418 422 429 499 500 503 504 599 600 999".split(),
    *b"Retry-After: -5|Retry-After: nan|Date: soon|Location: //h|Location: https://h#x|location:|Via:".split(b"|"),
    *b'"error": "message": "detail": {} [] null true 5 1e999 "" "\\ud800" < <! { } [ ] " : , \\ \\/ @ ? #'.split(),
    *(bracket * times for bracket in (b"[", b'{"error":') for times in (10, 600, 2000)),
    b"\n\n",
    "\x85\u2028\u00a0".encode(),
    b"x" * 400,
    b" " * 700,
    KEY.encode(),
    b"Bearer " + KEY.encode(),
    b"\n" + KEY.encode() + b": x",
    "".join(f"\\u{ord(character):04x}" for character in KEY).encode(),
]

FAILURES = Target(name="failures", check=_check, seeds=_SEEDS, words=_WORDS)
