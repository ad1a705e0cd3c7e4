"""URLs of outputs: parsed and quoted as browsers do."""

from __future__ import annotations

import re

from yarl import URL

from .._http.addresses import is_host, shown
from ..errors import ConfigurationError, DownloadError

__all__ = ["identity", "is_web", "parse_output_url", "quoted_url"]

# What a URL cannot hold (RFC 3986, section 2) and browsers quote (https://url.spec.whatwg.org, percent-encode sets).
_UNQUOTED_IN_PATH = re.compile(rb'[\x00-\x20"<>^`{}\x7f-\xff]')
_UNQUOTED_IN_QUERY = re.compile(rb'[\x00-\x20"<>\x7f-\xff]')
_AUTHORITY = re.compile(rb"(?:[a-z][a-z0-9+.-]*:)?//[^/\\]*", re.IGNORECASE)


def parse_output_url(url: str) -> URL:
    """Parse the URL of an output; an error does not show the query, which may be signed.

    Raises:
        ConfigurationError: It is no ``str``.
        DownloadError: It is no http(s) URL.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"a URL must be a str, not {type(url).__name__}")
    try:
        parsed = quoted_url(url.encode())
        is_valid = is_web(parsed)
    except (ValueError, IndexError):  # yarl 1.25 reads the first letter of an empty host
        raise DownloadError(f"{shown(url)!r} is not a URL") from None
    if not is_valid:
        raise DownloadError(f"{shown(url)!r} is not an http(s) URL")
    return parsed


def quoted_url(raw: bytes) -> URL:
    """Parse a URL as browsers do: characters that no URL can hold are quoted, all other bytes stay as they are.

    Bytes beyond ASCII are quoted one by one, whatever their encoding is. The host and the credentials before it are
    encoded instead (RFC 3490).
    """
    raw = re.sub(rb"[\t\r\n]", b"", raw.strip(bytes(range(0x21))))
    path, *rest = re.split(rb"(?=[?#])", raw, maxsplit=1)
    authority = _AUTHORITY.match(path)
    start = authority[0] if authority else b""
    path = _UNQUOTED_IN_PATH.sub(_percent, path[len(start) :].replace(b"\\", b"/"))
    query = _UNQUOTED_IN_QUERY.sub(_percent, b"".join(rest))  # and fragment
    begin = start.decode() if start.isascii() else str(URL(start.decode("utf-8", "replace")))
    return URL(begin + (path + query).decode("ascii"), encoded=True)


def is_web(url: URL) -> bool:
    """Whether a URL leads to an http(s) host that can be looked up."""
    return url.scheme in ("http", "https") and is_host(url.raw_host or "") and url.port is not None


def identity(url: URL) -> str:
    """Return what two downloads of one output have in common: the query is signed for each of them."""
    return str(url.with_query(None).with_fragment(None).with_user(None))


def _percent(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]
