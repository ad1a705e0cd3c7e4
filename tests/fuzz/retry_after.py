"""``Retry-After`` and ``Date`` of any content: a finite time that is not negative, or none."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

from chamelaion_async._http.answers import parse_http_date, parse_retry_after

from .target import Target

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_WHOLE = re.compile(r"[0-9]{1,300}")
_DIGIT = re.compile(r"[0-9]")


def _check(data: bytes) -> None:
    """Read the first line as ``Retry-After`` and the second as ``Date``."""
    # This is how aiohttp decodes headers.
    value, _, date = data.decode("utf-8", "surrogateescape").partition("\n")
    answered = parse_http_date(date)
    assert answered is None or answered.tzinfo is UTC
    seconds = parse_retry_after(value, now=answered or _NOW)
    assert seconds is None or (type(seconds) is float and 0 <= seconds < math.inf)
    value = value.strip()
    if _WHOLE.fullmatch(value):
        assert seconds == float(int(value))
    if not value.isascii() or not _DIGIT.search(value):
        assert seconds is None  # RFC 9110 knows ASCII digits only, in dates too


_SEEDS = [
    *b"0|7|1.5|86400|-1|Thu, 01 Jan 2026 00:00:10 GMT|Thursday, 01-Jan-26 00:00:10 GMT".split(b"|"),
    *b"Thu Jan  1 00:00:10 2026|Thu, 01 Jan 2026 02:00:10 +0200|120\nFri, 31 Dec 9999 23:59:59 GMT".split(b"|"),
    b"Thu, 01 Jan 2026 00:00:10 GMT\nThu, 01 Jan 2026 00:00:00 GMT",
    b"Fri, 31 Dec 9999 23:59:59 -2359",
    "Thu, 0\u0661 Jan 2\u0660\u0662\u0666 00:00:1\u0660 GMT".encode(),
]
_WORDS = [
    *(
        "Thu, Mon Jan Feb Foo 0 1 01 31 99 00 0001 1969 2026 9999 10000 00:00:10 24:00:00 23:59:60 99:99:99 1:2:3:4 "
        ": :: 12.30.00 GMT UTC Z EST +0000 -0000 +2359 -2359 +9999999999 -9999 + - , . ; ( ) (comment) T am pm "
        "2026-01-01T00:00:10Z inf nan Infinity 1e3 1e400 0x10 1_000 +5 .5 5. 1,5 5s "
        "\xb2 \u0663 \uff17 \xa0 \u2003 \x1c \x85"
    )
    .encode()
    .split(b" "),
    b"9" * 16,
    b"9" * 309,
    b"9" * 5000,
    b"." + b"9" * 5000,
    b" " * 5000,
]

RETRY_AFTER = Target(name="retry-after", check=_check, seeds=_SEEDS, words=_WORDS)
