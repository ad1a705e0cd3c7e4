"""Secrets: credentials that show a mask in place of themselves, and masking them in what the service echoes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

from multidict import CIMultiDict

__all__ = ["MASK", "Secret", "redact", "redact_body", "redact_headers", "redact_json"]

MASK: Final = "***"
"""Replaces a credential."""

_MAX_DEPTH: Final = 100  # lists and objects within each other, in a body that an error holds


class Secret(str):
    """A string that is sent as it is, and whose repr is a mask.

    aiohttp keeps this very object as the value of a header, so the repr of headers, of aiohttp's exceptions and of
    the local variables that error trackers collect show the mask too.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _: object) -> Secret:
        # Tools that record or inspect requests copy their headers; the same object is masked in the copy as well.
        return self

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError(
            "a key is not pickled or written to YAML with what holds it; make an AsyncClient where it is needed, "
            "or filter x-api-key and Authorization from what is recorded"
        )


def redact(text: str, secrets: Iterable[str]) -> str:
    """Mask credentials that the service echoed."""
    for secret in _bare(secrets):
        text = text.replace(secret, MASK)
    return text


def redact_body(body: bytes, secrets: Iterable[str]) -> bytes:
    """Mask credentials in a body that is not decoded yet."""
    for secret in _bare(secrets):
        body = body.replace(secret.encode(), MASK.encode())
    return body


def redact_headers(headers: Mapping[str, str], secrets: Iterable[str]) -> CIMultiDict[str]:
    """Mask credentials in headers; repeated ones are kept."""
    return CIMultiDict([(redact(name, secrets), redact(value, secrets)) for name, value in headers.items()])


def _bare(secrets: Iterable[str]) -> list[Secret]:
    """Return the credentials without their scheme; the longest first, since one may be a part of another."""
    return sorted((Secret(secret.removeprefix("Bearer ")) for secret in secrets), key=len, reverse=True)


def redact_json(value: Any, secrets: Iterable[str], depth: int = 0) -> Any:
    """Mask credentials in decoded JSON, where the body may have held them with escapes.

    Values nested deeper than an error can be pickled and copied with are replaced by "…".
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
