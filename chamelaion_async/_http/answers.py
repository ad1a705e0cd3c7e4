"""Answers of the service as values: their times, their JSON, and the error that a status becomes. Pure functions."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Any, Final, TypeVar

from ..errors import APIStatusError, ConfigurationError, InternalServerError, RateLimitError, status_class
from .addresses import shown
from .secrets import redact, redact_headers, redact_json

__all__ = [
    "MAX_BODY",
    "check_json",
    "decode_json",
    "parse_http_date",
    "parse_retry_after",
    "server_time",
    "status_error",
    "structure_hook",
]

T = TypeVar("T")

MAX_BODY: Final = 8 * 1024 * 1024
"""Largest body of an API answer in bytes, after decompression."""
_MAX_MESSAGE: Final = 300
_MAX_DATE: Final = 64
_BLANKS: Final = " \t\n\r"  # RFC 8259, section 2
_raw_decode = json.JSONDecoder().raw_decode
_DELAY_SECONDS = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


def check_json(name: str, value: object) -> None:
    """Raise ``ConfigurationError`` for a value that JSON cannot hold."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name} cannot be sent as JSON: {error}") from None


@lru_cache(maxsize=4)  # answers of the same second have the same Date, which is slow to parse
def parse_http_date(value: str | None) -> datetime | None:
    """Read an HTTP date (RFC 9110, section 5.6.7) as aware UTC; None for any other text."""
    if not value or len(value) > _MAX_DATE or not (value.isascii() and value.isprintable()):
        return None
    try:
        time = parsedate_to_datetime(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def server_time(headers: Mapping[str, str]) -> datetime | None:
    """Return the ``Date`` of an answer: when the service sent it, by its own clock."""
    return parse_http_date(headers.get("Date"))


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Read ``Retry-After`` (RFC 9110, section 10.2.3) as seconds from ``now``.

    A fraction of a second is accepted too, a time in the past is 0, and any other text is None.
    """
    if value is None:
        return None
    text = value.strip()
    if _DELAY_SECONDS.fullmatch(text):
        seconds = float(text)
        return seconds if 0 <= seconds < math.inf else None
    date = parse_http_date(text)
    return None if date is None else max(0.0, (date - now).total_seconds())


def decode_json(body: bytes) -> Any:
    """Decode a body that must be JSON.

    Raises:
        ValueError: It is no JSON; the text says why.
    """
    try:
        return _fast_loads()(body)
    except (ValueError, RecursionError):
        pass  # json reads more: a byte order mark, UTF-16, lone surrogates, blanks before the value
    if not body.strip():
        raise ValueError("the body is empty")
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("the body is nested too deeply") from None


@cache
def _fast_loads() -> Callable[[bytes], Any]:
    """Return orjson's decoder if the extra ``speed`` is installed."""
    try:
        from orjson import loads  # noqa: PLC0415 - importing the package must import no extra
    except ImportError:
        return _loads_utf8
    decode: Callable[[bytes], Any] = loads
    return decode


def _loads_utf8(body: bytes) -> Any:
    """Decode what most services send. Searching for encodings and blanks takes ``json.loads`` as long as decoding."""
    text = body.decode()
    value, end = _raw_decode(text)
    if text[end:].strip(_BLANKS):
        raise ValueError("something follows the value")
    return value


def structure_hook(model: type[T]) -> Callable[[Any], T]:
    """Return the function that builds ``model`` from decoded JSON."""
    return _structure_hook(model)  # type: ignore[arg-type]  # mypy takes no class for hashable


@cache
def _structure_hook(model: Any) -> Callable[[Any], Any]:
    # cattrs is loaded with the first answer, since it is a good part of what importing the package would cost.
    from . import decoding  # noqa: PLC0415

    return decoding.structure_hook(model)


def status_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    method: str,
    path: str,
    attempts: int,
    now: datetime,
    secrets: Iterable[str] = (),
) -> APIStatusError:
    """Return the error for an answer that is not 2xx.

    A ``Retry-After`` date counts from the answer's own ``Date``, and from ``now``, our clock, if it has none.
    """
    # With or without a byte order mark, which some servers send (RFC 8259, section 8.1, lets us ignore it).
    text = body.decode("utf-8-sig", "replace")
    try:
        content = redact_json(decode_json(text.encode()), secrets)
    except (ValueError, RecursionError):
        content = redact(text, secrets)
    message = _message(content) or _phrase(status)
    headers = redact_headers(headers, secrets)
    kind, advice = status_class(status)
    extra: dict[str, Any] = {}
    if 300 <= status < 400:
        target = shown(headers.get("Location", ""))
        advice = f"It points to {target!r}, which is not followed, since the key would travel along; check base_url."
    elif issubclass(kind, (RateLimitError, InternalServerError)):
        retry_after = parse_retry_after(headers.get("Retry-After"), now=server_time(headers) or now)
        extra["retry_after"] = retry_after
        if retry_after is not None and kind is RateLimitError:
            advice = f"The service asks to wait {retry_after:g} s; lower Pace(max_rate=…) if this recurs."
    tries = f" after {attempts} attempts" if attempts > 1 else ""
    return kind(
        f"{method} {path} was answered {status}{tries}: {message[:_MAX_MESSAGE]}. {advice}",
        status=status,
        message=message,
        headers=headers,
        body=content,
        method=method,
        path=path,
        attempts=attempts,
        **extra,
    )


def _message(content: Any) -> str:
    """Return the service's text. The API documents ``{"error": text}``; proxies use other forms."""
    if isinstance(content, dict):
        for key in ("error", "message", "detail"):
            value = content.get(key)
            if isinstance(value, dict):
                value = value.get("message")
            if isinstance(value, str) and value.strip():
                return value
        return ""
    if isinstance(content, str) and not content.lstrip().startswith("<"):
        return " ".join(content[: 2 * _MAX_MESSAGE].split())[:_MAX_MESSAGE]
    return ""


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no reason given"
