"""What a server says of parts and of versions: no byte goes where it does not belong, whatever the headers hold."""

from __future__ import annotations

import io
import re
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from multidict import CIMultiDictProxy
from yarl import URL

from chamelaion_async._media.answers import PassingError, RefusedError, check_answer
from chamelaion_async._media.partial_file import Part
from chamelaion_async._media.ranges import begin

from .failures import headers_of
from .target import Target

_URL = URL("https://cdn.example.com/out/film.mp4")
_MAX_TEXT = 1000
_FIELD = re.compile(r"[\x20-\x7e]+")
_RANGE = re.compile(r"bytes[ \t]+([0-9]+)-", re.IGNORECASE)  # RFC 9110, section 14.1
_SEPARATOR = b"\n====\n"


def _check(data: bytes) -> None:
    """Read how many bytes are on disk, their validator, and then the heads of the answers that a server gives."""
    first, *answers = data.split(_SEPARATOR)
    size, _, validator = first.partition(b"\n")
    on_disk = int(size) if re.fullmatch(rb"[0-9]{1,9}", size) else 0
    noted = validator.decode("latin-1")
    known = noted if _FIELD.fullmatch(noted) and not noted.startswith("W/") else None
    part = Part(Path("film.mp4"), io.BytesIO(), known, str(_URL), on_disk if known else 0)
    for number, answer in enumerate(answers):
        _answer(part, answer)
        asked = part.resume_headers()
        assert not asked or asked["Range"] == f"bytes={part.size}-"
        assert all(_FIELD.fullmatch(value) for value in asked.values()), asked
        assert part.total is None or 0 <= part.total < 10**20
        part.size += Random(number).randrange(100)  # some bytes come before it breaks


def _answer(part: Part, answer: bytes) -> None:
    first, *lines = answer.split(b"\n")
    status = int(first) if re.fullmatch(rb"[0-9]{3}", first) else 206
    headers = headers_of(lines)
    size, known = part.size, part.validator
    try:
        response = _response(status, headers)
        check_answer(response, b"", ".mp4")
        goes_on = begin(part, response)
    except PassingError:
        assert (part.size, part.validator) in ((size, known), (0, None))
        return
    except RefusedError as error:
        text = str(error)
        assert len(text) <= _MAX_TEXT
        assert (part.size, part.validator) == (size, known)
        return
    span = headers.get("Content-Range", "").strip()
    etag = headers.get("ETag", "").strip()
    if not goes_on:
        assert (status, part.size, span) == (416, size, f"bytes */{size}")
    elif status == 200:
        assert part.size == 0
        assert part.validator is None or not etag.startswith("W/")
    else:
        begins = _RANGE.match(span)
        assert begins is not None
        assert (status, int(begins[1]), part.size) == (206, size, size)
        assert not etag.startswith('"') or not etag.isascii() or not etag.isprintable() or etag == known


def _response(status: int, headers: CIMultiDictProxy[str]) -> Any:
    """Answer as aiohttp would; it refuses a Content-Length that is no number."""
    length = headers.get("Content-Length", "")
    return SimpleNamespace(
        status=status, headers=headers, content_length=int(length) if re.fullmatch("[0-9]{1,18}", length) else None
    )


_SEEDS = [
    _SEPARATOR.join(answers)
    for answers in (
        [b"0\n", b'200\nContent-Length: 500\nETag: "v1"', b'206\nContent-Range: bytes 49-499/500\nETag: "v1"'],
        [b'50\n"v1"', b'206\nContent-Range: bytes 50-499/500\nETag: "v1"'],
        [b'50\n"v1"', b'206\nContent-Range: bytes 50-499/*\nETag: "v2"', b"200\nContent-Length: 9"],
        [b'50\n"v1"', b"416\nContent-Range: bytes */50"],
        [b'50\n"v1"', b'416\nContent-Range: bytes */50\nETag: "v2"'],
        [b'50\n"v1"', b"503\nRetry-After: 5", b"404", b'200\nETag: W/"v1"'],
        [b"0\n", b"200\nLast-Modified: Tue, 07 Apr 2026 10:00:00 GMT\nDate: Tue, 07 Apr 2026 12:00:00 GMT", b"206"],
        [b"7\nTue, 07 Apr 2026 10:00:00 GMT", b"206\nContent-Range: bytes 7-8/9"],
        [b"0\n", b"206\nContent-Range: bytes 0-8/9\nContent-Encoding: gzip"],
        [b"0\n", b"206\nContent-Range: bytes " + b"0" * 4301 + b"-8/9"],
        [b"0\n", b'200\nETag: "v\x01"', b"503"],
    )
]
_WORDS = [
    *(
        b'Content-Range: bytes 0-0/1|Content-Range: bytes */50|*|/|-|"v1"|W/"v1"|"|ETag: "v1"|ETag: "v2"|ETag: |'
        b"GMT|Last-Modified: Tue, 07 Apr 2026 10:00:00 GMT|Last-Modified: Tue, 07 Apr 2026 11:59:30 GMT|+0000|(x)|"
        b"Date: soon|Date: Tue, 07 Apr 2026 12:00:00 GMT|Content-Encoding: gzip|Content-Encoding: identity|"
        b"Content-Length: 5|bytes|0|00|1|49|50|-1|+5|5_0|1e3|9999999999999999999|Transfer-Encoding: chunked"
    ).split(b"|"),
    *(str(status).encode() for status in (200, 204, 206, 301, 304, 401, 404, 408, 410, 416, 429, 500, 503)),
    _SEPARATOR,
    "\u0665\u0660".encode(),
    b"0" * 4301 + b"50",
    b"9" * 4301,
    b"9" * 400,
]

RANGES = Target(name="ranges", check=_check, seeds=_SEEDS, words=_WORDS)
