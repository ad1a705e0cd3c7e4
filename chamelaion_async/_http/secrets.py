"""Credentials: the headers that carry them, and masking them wherever text may show them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

from multidict import CIMultiDict

from ..errors import ConfigurationError

__all__ = [
    "MASK",
    "Secret",
    "credential_headers",
    "plain_headers",
    "redact",
    "redact_body",
    "redact_headers",
    "redact_json",
]

MASK: Final = "***"
"""Stands where a credential stood."""

_MAX_DEPTH: Final = 100  # lists and objects within each other, in a body that an error holds
_CREDENTIAL_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Secret(str):
    """A string that goes over the wire as it is and shows a mask wherever its repr is taken.

    aiohttp keeps the very object as header value, so the repr of headers, of its exceptions and of the local
    variables that error trackers collect show the mask too.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _: object) -> Secret:
        # Who records or inspects requests copies their headers; a copy within the process is as masked as this one.
        return self

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError(
            "a key is not pickled or written to YAML with what holds it; make an AsyncClient where it is needed, "
            "or filter x-api-key and Authorization from what is recorded"
        )


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


def plain_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return a caller's default headers, checked."""
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
        return not set(value.encode()) & set(b"\r\n\0")
    except UnicodeEncodeError:
        return False


def redact(text: str, secrets: Iterable[str]) -> str:
    """Mask credentials that the service echoed back."""
    for secret in _bare(secrets):
        text = text.replace(secret, MASK)
    return text


def redact_body(body: bytes, secrets: Iterable[str]) -> bytes:
    """Mask credentials in a body that is not decoded yet."""
    for secret in _bare(secrets):
        if (needle := secret.encode()) in body:
            body = body.replace(needle, MASK.encode())
    return body


def redact_headers(headers: Mapping[str, str], secrets: Iterable[str]) -> CIMultiDict[str]:
    """Mask credentials in headers; repeated ones are kept."""
    return CIMultiDict([(redact(name, secrets), redact(value, secrets)) for name, value in headers.items()])


def _bare(secrets: Iterable[str]) -> list[Secret]:
    """Return the credentials without their scheme; the longest first, since one may hold another."""
    return sorted((Secret(secret.removeprefix("Bearer ")) for secret in secrets), key=len, reverse=True)


def redact_json(value: Any, secrets: Iterable[str], depth: int = 0) -> Any:
    """Mask credentials in decoded JSON, where they may have been written with escapes.

    What lies too deep for an error that holds it to be pickled and copied everywhere is left out.
    """
    if isinstance(value, str):
        return redact(value, secrets)
    if depth == _MAX_DEPTH and isinstance(value, (list, dict)):
        return "…"
    if isinstance(value, list):
        return [redact_json(item, secrets, depth + 1) for item in value]
    if isinstance(value, dict):
        return {redact(name, secrets): redact_json(item, secrets, depth + 1) for name, item in value.items()}
    return value
