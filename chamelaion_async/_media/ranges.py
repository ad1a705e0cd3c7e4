"""Ranges and validators: whether an answer continues the bytes on disk (RFC 9110, sections 8.8, 13.1.5 and 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping

import aiohttp

from .._http.answers import parse_http_date
from .answers import PassingError
from .partial_file import Part

__all__ = ["begin"]

# Units of ranges ignore case (RFC 9110, section 14.1). More digits than these are no size.
_CONTENT_RANGE = re.compile(r"bytes[ \t]+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII | re.IGNORECASE)
_UNSATISFIED = re.compile(r"bytes[ \t]+\*/(\d{1,18})", re.ASCII | re.IGNORECASE)


def begin(part: Part, response: aiohttp.ClientResponse) -> bool:
    """Prepare a part for the bytes of a 200 or 206 answer; False where a 416 says that it has all of them.

    Raises:
        PassingError: The answer does not fit the part, which starts over.
    """
    content_range = response.headers.get("Content-Range", "").strip()
    validator = _validator(response.headers)
    is_same = validator is None or validator == part.validator
    # A server may ignore Range (RFC 9110, section 14.2), and must where If-Range does not match.
    if response.status == 200:
        part.restart(validator, response.content_length)
        return True
    if response.status == 416:
        # The run before may have ended between the last byte and the renaming.
        unsatisfied = _UNSATISFIED.fullmatch(content_range)
        if part.size > 0 and is_same and unsatisfied is not None and int(unsatisfied[1]) == part.size:
            return False
        part.restart()
        raise PassingError("the part on disk was refused (416)")
    match = _CONTENT_RANGE.fullmatch(content_range)
    if match is None or int(match[1]) != part.size or not is_same:
        part.restart()
        raise PassingError("the server sent other bytes than those that follow the part on disk")
    part.total = part.total if match[3] == "*" else int(match[3])
    return True


def _validator(headers: Mapping[str, str]) -> str | None:
    """Return what If-Range can compare: a strong ETag, or a Last-Modified at least a minute old (section 8.8.2.2)."""
    etag = headers.get("ETag", "").strip()
    if etag.startswith('"') and etag.isascii() and etag.isprintable():
        return etag
    modified, now = parse_http_date(headers.get("Last-Modified")), parse_http_date(headers.get("Date"))
    if not etag and modified is not None and now is not None and (now - modified).total_seconds() >= 60:
        return headers["Last-Modified"]
    return None
