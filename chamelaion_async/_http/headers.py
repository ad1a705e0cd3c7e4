"""The headers of a call: those of every call, the user's own, and the credentials."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from typing import Final

import aiohttp

from .._version import __version__
from ..errors import ConfigurationError
from .secrets import Secret

__all__ = ["EVERY_CALL", "USER_AGENT", "credential_headers", "merge_headers", "plain_headers"]

USER_AGENT: Final = f"chamelaion-async/{__version__} aiohttp/{aiohttp.__version__} Python/{platform.python_version()}"

EVERY_CALL: Final[Mapping[str, str]] = {"Accept": "application/json", "User-Agent": USER_AGENT}
"""Headers of every call of the API. The user's ``default_headers`` replace those of the same name."""

_CREDENTIAL_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110, section 5.6.2


def credential_headers(api_key: str | None, bearer_token: str | None) -> dict[str, Secret]:
    """Return the headers that carry the credentials: ``x-api-key`` and ``Authorization: Bearer``."""
    headers = {}
    if api_key is not None:
        headers["x-api-key"] = Secret(_credential("api_key", api_key))
    if bearer_token is not None:
        headers["Authorization"] = Secret("Bearer " + _credential("bearer_token", bearer_token))
    return headers


def _credential(name: str, value: str) -> str:
    # The value itself appears in no message.
    text = Secret(value.strip() if isinstance(value, str) else "")
    if not text:
        raise ConfigurationError(f"{name} is empty or not a str; leave it out, or pass the key itself")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigurationError(f"{name} holds a space, a line break or another character no header can carry")
    return text


def merge_headers(headers: Mapping[str, str], extra: Mapping[str, str] | None) -> dict[str, str]:
    """Add a user's headers, checked; a header of the same name, in upper or lower case, is replaced."""
    checked = plain_headers(extra)
    replaced = {name.lower() for name in checked}
    return {name: value for name, value in headers.items() if name.lower() not in replaced} | checked


def plain_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return a user's default headers, checked."""
    checked = {}
    for name, value in (headers or {}).items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"default_headers: {name!r} is not a header name")
        if name.lower() in _CREDENTIAL_HEADERS:
            raise ConfigurationError(f"default_headers must not hold {name!r}; pass api_key or bearer_token")
        if not isinstance(value, str) or not _is_header_value(value):
            raise ConfigurationError(f"default_headers: the value of {name!r} must be a str of one line")
        checked[name] = value
    return checked


def _is_header_value(value: str) -> bool:
    try:
        # What RFC 9110, section 5.5 names invalid and dangerous in a value.
        return not set(value.encode()) & set(b"\r\n\0")
    except UnicodeEncodeError:
        return False
