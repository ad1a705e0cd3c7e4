"""Byte ranges of an output: Range and If-Range (RFC 9110, sections 13.1.5 and 14)."""

import re
from collections.abc import Mapping

from attrs import frozen

from .answers import Answer, FileSlice, error_answer

_ONE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@frozen(kw_only=True)
class Content:
    """Something that can be downloaded.

    Args:
        data: the bytes, or the whole file.
        content_type: media type.
        etag: strong entity tag, with its quotes.
        last_modified: HTTP date.
    """

    data: bytes | FileSlice
    content_type: str
    etag: str
    last_modified: str

    def part(self, start: int, length: int) -> bytes | FileSlice:
        """Return some of it."""
        if isinstance(self.data, bytes):
            return self.data[start : start + length]
        return FileSlice(path=self.data.path, start=start, length=length)


def download(content: Content, headers: Mapping[str, str], *, method: str) -> Answer:
    """Return the answer to a GET or HEAD: all of the content, one range of it, or 416.

    A Range that is none, or more than one, is ignored, as RFC 9110 allows.

    Args:
        content: what to serve.
        headers: of the request.
        method: GET or HEAD, for which ranges do not apply.
    """
    known = {
        "Content-Type": content.content_type,
        "ETag": content.etag,
        "Last-Modified": content.last_modified,
        "Accept-Ranges": "bytes",
    }
    size = len(content.data)
    bounds = None if method == "HEAD" else _bounds(headers.get("Range", ""), size)
    condition = headers.get("If-Range")
    is_same = condition is None or condition in {content.etag, content.last_modified}
    if bounds is None or not is_same:
        return Answer(body=content.data, headers=known)
    first, last = bounds
    if first > last:
        return error_answer(416, "range not satisfiable", headers={"Content-Range": f"bytes */{size}"})
    return Answer(
        status=206,
        body=content.part(first, last - first + 1),
        headers={**known, "Content-Range": f"bytes {first}-{last}/{size}"},
    )


def _bounds(text: str, size: int) -> tuple[int, int] | None:
    asked = _ONE_RANGE.fullmatch(text)
    if asked is None or asked.group() == "bytes=-":
        return None
    first, last = asked.groups()
    if not first:
        return max(0, size - int(last)), size - 1
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last), size - 1) if last else size - 1
