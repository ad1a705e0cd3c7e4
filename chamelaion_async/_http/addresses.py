"""URLs that are safe to send requests to: the base URL, paths, ids and queries, checked and quoted."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote, urlencode

from yarl import URL

from ..errors import ConfigurationError
from .secrets import MASK

__all__ = [
    "Query",
    "api_path",
    "api_url",
    "check_base_url",
    "id_segment",
    "is_host",
    "is_url_object",
    "public_url",
    "shown",
    "stable_query",
]

_MAX_ID: Final = 512
_MAX_SHOWN: Final = 200
_PLAIN_ID = re.compile(r"[0-9A-Za-z_-]{1,512}")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
Query = Mapping[str, "str | float | bool | Iterable[str] | None"]


def check_base_url(url: str, *, allow_http: bool) -> str:
    """Return ``url`` without a trailing slash.

    Raises:
        ConfigurationError: It is no http(s) URL, holds credentials or a query, or is plain http to another machine.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"base_url must be a str, not {type(url).__name__}")
    try:
        parsed = URL(url)
        host, port = parsed.host, parsed.port
    except (ValueError, IndexError):  # yarl 1.25 reads the first letter of an empty host
        # yarl's text would show a part of the URL that may be a password.
        raise ConfigurationError(f"base_url {shown(url)!r} is not a URL") from None
    if parsed.scheme not in ("http", "https") or not host or not is_host(parsed.raw_host or ""):
        raise ConfigurationError(f"base_url {shown(url)!r} must begin with https:// (or http://) and a host")
    if parsed.user is not None or parsed.password is not None:
        raise ConfigurationError("base_url must not hold credentials; pass api_key or bearer_token")
    if "?" in url or "#" in url or port == 0:
        raise ConfigurationError(f"base_url {shown(url)!r} must be scheme, host, port and path only")
    if parsed.scheme == "http" and not is_loopback(host) and not allow_http:
        raise ConfigurationError(
            f"base_url {shown(url)!r} is plain http to another machine, so the key would travel in the clear; "
            "use https, or pass allow_http=True if that network is trusted"
        )
    return str(parsed).rstrip("/")


def shown(url: object) -> str:
    """Return a URL for a message, at most 200 characters of it, without its secrets.

    Credentials are masked; query and fragment are left out, since a signature is as good as a password.
    """
    text = re.split(r"[?#]", str(url), maxsplit=1)[0]
    credentials, at, rest = text.rpartition("@")
    scheme = re.match(r"https?:/*", credentials)
    return (f"{scheme[0] if scheme else ''}{MASK}@{rest}" if at else text)[:_MAX_SHOWN]


def is_host(host: str) -> bool:
    """Whether a name can be resolved (RFC 1123, section 2.1). An IPv6 address comes without its brackets."""
    if ":" not in host:
        return all(_LABEL.fullmatch(label) for label in host.removesuffix(".").split("."))
    try:
        ipaddress.IPv6Address(host)
        host.encode("idna")  # as a resolver does, zone and all
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def id_segment(id: str) -> str:
    """Return ``id`` as one path segment that every URL parser reads as this id.

    Raises:
        ConfigurationError: The id is empty, ``.``, ``..``, not text, not encodable or too long.
    """
    if type(id) is str and _PLAIN_ID.fullmatch(id):
        return id
    if not isinstance(id, str):
        raise ConfigurationError(f"an id must be a str, not {type(id).__name__}")
    id = str.__str__(id)  # str() of an enum is its name, not its value
    if id in ("", ".", ".."):
        raise ConfigurationError(f"{id!r} is not an id; pass the request_id or the reference_id of a job")
    if len(id) > _MAX_ID:
        raise ConfigurationError(f"an id of {len(id)} characters is too long ({_MAX_ID} at most): {id[:40]!r}…")
    try:
        return quote(id, safe="")
    except UnicodeEncodeError:
        raise ConfigurationError(f"the id {id!r} cannot be encoded as UTF-8") from None


def api_path(path: str) -> str:
    """Return a user's path, quoted.

    Raises:
        ConfigurationError: It could lead to something outside of the base URL.
    """
    if not isinstance(path, str) or not path.startswith("/") or path.startswith("//"):
        raise ConfigurationError(
            f"path must begin with a single slash, such as '/v1/users/me', not {path!r}; the host comes from base_url"
        )
    if "?" in path or "#" in path or "\\" in path:
        raise ConfigurationError(f"path {path!r} must not hold '?', '#' or '\\'; pass a query as params")
    if any(unquote(segment) in (".", "..") for segment in path.split("/")):
        raise ConfigurationError(f"path {path!r} must not hold '.' or '..' segments")
    try:
        # Percent signs stay: an id that the user has quoted must not be quoted twice.
        return quote(path, safe="/%:@!$&'()*+,;=~")
    except UnicodeEncodeError:
        raise ConfigurationError(f"path {path!r} cannot be encoded as UTF-8") from None


def api_url(base_url: str, path: str, params: Query | None = None) -> URL:
    """Return the URL of a checked and quoted path. A parameter of None is left out; booleans are lower case."""
    if params:
        pairs = [pair for name, value in params.items() for pair in _pairs(name, value)]
        if pairs:
            return URL(f"{base_url}{path}?{urlencode(pairs)}", encoded=True)
    base = _parsed(base_url)
    # yarl would search a whole URL for its parts, which takes three times as long.
    return base.with_path(base.raw_path.rstrip("/") + path, encoded=True)


@lru_cache(maxsize=16)
def _parsed(base_url: str) -> URL:
    return URL(base_url, encoded=True)


def stable_query(params: Query | None) -> Query | None:
    """Return a user's parameters, checked; an iterator among them becomes a tuple, for the next attempt."""
    if params is None:
        return None
    stable = {
        name: value if value is None or isinstance(value, (str, int, float)) else tuple(value)
        for name, value in params.items()
    }
    for name, value in stable.items():
        _pairs(name, value)
    return stable


def _pairs(name: str, value: str | float | bool | Iterable[str] | None) -> list[tuple[str, str]]:
    if value is None:
        return []
    values = [value] if isinstance(value, (str, int, float)) else value
    return [(_encodable(name), _encodable(_plain(item))) for item in values]


def _plain(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str.__str__(value) if isinstance(value, str) else str(value)


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"the parameter {text!r} cannot be encoded as UTF-8") from None
    return text


def is_url_object(value: object) -> bool:
    """Whether a value is a URL that is no str, such as pydantic's ``HttpUrl``, yarl's or httpx's ``URL``."""
    return not isinstance(value, str) and hasattr(value, "scheme") and hasattr(value, "host")


def public_url(name: str, url: str, advice: str) -> str:
    """Return a URL that the service will fetch or call.

    Raises:
        ConfigurationError: It is no http(s) URL.
    """
    if is_url_object(url):
        raise ConfigurationError(f"{name} must be a URL as a str, not as {type(url).__name__}; pass str(url)")
    try:
        parsed = URL(url) if isinstance(url, str) and url.isprintable() and " " not in url else URL()
    except (ValueError, IndexError):
        parsed = URL()
    if parsed.scheme not in ("http", "https") or not is_host(parsed.raw_host or ""):
        raise ConfigurationError(f"{name} {shown(url)!r} must be an http(s) URL that the service can reach; {advice}")
    return url
