"""Answers to a download: which ones bring an output, which ones may be better next time, and which ones are final."""

from __future__ import annotations

import re
from typing import Final

import aiohttp

from ..errors import PASSING_STATUSES

__all__ = ["CHUNK", "PassingError", "RefusedError", "check_answer", "read_beginning"]

CHUNK: Final = 256 * 1024
"""Bytes of an answer that are read at once."""

_BEGINNING: Final = 4096  # bytes that reveal a web page, or the reason of a refusal
_EXPIRED: Final = "Such URLs may expire: read the request again, perhaps it has a fresh one"
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_PAGE_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
_PAGE_SUFFIXES: Final = frozenset({".html", ".htm", ".xhtml"})
# IANA's registry of HTTP content codings, and compressions that are in use without being in it. Any other value of
# Content-Encoding, such as "aws-chunked" or "UTF-8", says nothing about the bytes.
_CODING = re.compile(
    r"aes128gcm|br|(x-)?(bzip2|compress|gzip)|dcb|dcz|deflate|exi|lz4|lzma|pack200-gzip|sdch|snappy|xz|zstd"
)


class PassingError(Exception):
    """An answer that may be better at the next attempt."""


class RefusedError(Exception):
    """An answer that ends the download, and what the caller can do about it."""

    def __init__(self, reason: str, advice: str = "Try again") -> None:
        super().__init__(reason)
        self.advice = advice


async def read_beginning(response: aiohttp.ClientResponse) -> bytes:
    """Read the first bytes of an output or a refusal; more of them only where they may be markup."""
    beginning = b""
    if response.status in (200, 400):
        try:
            while len(beginning) < _BEGINNING and beginning.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"", b"<"):
                chunk = await response.content.read(CHUNK)
                if not chunk:
                    break
                beginning += chunk
        except (aiohttp.ClientError, OSError):
            if response.status == 200:
                raise
    return beginning


def check_answer(response: aiohttp.ClientResponse, beginning: bytes, suffix: str) -> None:
    """Check that an answer brings an output that may be saved under such a suffix, or says that it is complete (416).

    Raises:
        PassingError: The next answer may bring one.
        RefusedError: None will.
    """
    status = response.status
    if status in PASSING_STATUSES:
        raise PassingError(f"the server answered {status}")
    if status == 400 and b"expired" in beginning.lower():
        # Google's answer to an expired signature: <Code>ExpiredToken</Code>.
        raise RefusedError("the server answered 400, and that something has expired", _EXPIRED)
    if status not in (200, 206, 416):
        advice = _EXPIRED if status in (401, 403, 404, 410) else "Check the URL"
        raise RefusedError(f"the server answered {status}", advice)
    if status == 200 and suffix.lower() not in _PAGE_SUFFIXES and _is_page(response, beginning):
        raise RefusedError("the server answered with a web page in place of the output", _EXPIRED)
    codings = [each.strip().lower() for each in ",".join(response.headers.getall("Content-Encoding", [])).split(",")]
    if status != 416 and (used := [each for each in codings if _CODING.fullmatch(each)]):
        raise RefusedError(f"the server compressed the output ({', '.join(used)}) although it was asked not to")


def _is_page(response: aiohttp.ClientResponse, beginning: bytes) -> bool:
    """Whether the body is a web page; a media type alone does not make one, since servers label files wrongly."""
    is_markup = beginning.lstrip().startswith(b"<")
    return _PAGE.match(beginning) is not None or (is_markup and response.content_type in _PAGE_TYPES)
