"""Pure functions between our values and HTTP: addresses, credentials, times, bodies, errors.

Nothing here does I/O or reads a clock; what depends on "now" takes it as an argument.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import Any, Final, NoReturn
from urllib.parse import quote, unquote, urlencode

from multidict import CIMultiDict
from yarl import URL

from .errors import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    UnprocessableEntityError,
)

__all__ = [
    "MAX_BODY",
    "Secret",
    "api_path",
    "api_url",
    "check_base_url",
    "check_json",
    "credential_headers",
    "decode_json",
    "id_segment",
    "is_host",
    "is_url_object",
    "parse_http_date",
    "parse_retry_after",
    "plain_headers",
    "public_url",
    "redact",
    "redact_body",
    "redact_headers",
    "server_time",
    "stable_query",
    "status_error",
]

MAX_BODY: Final = 8 * 1024 * 1024
"""Largest body of an API answer in bytes, after decompression."""

_MAX_ID: Final = 512
_MAX_MESSAGE: Final = 300
_MAX_DEPTH: Final = 100  # lists and objects within each other, in a body that an error holds
_MAX_DATE: Final = 64
_MASK: Final = "***"
_CREDENTIAL_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
_PLAIN_ID = re.compile(r"[0-9A-Za-z_-]{1,512}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_DELAY_SECONDS = re.compile(r"-?\d+(\.\d+)?", re.ASCII)

Query = Mapping[str, "str | float | bool | Iterable[str] | None"]


class Secret(str):
    """A string that goes over the wire as it is and shows a mask wherever its repr is taken.

    aiohttp keeps the very object as header value, so the repr of headers, of its exceptions and of the local
    variables that error trackers collect show the mask too.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(_MASK)

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


def check_base_url(url: str, *, allow_http: bool) -> str:
    """Return ``url`` without a trailing slash, or say why nothing should be sent there."""
    if not isinstance(url, str):
        raise ConfigurationError(f"base_url must be a str, not {type(url).__name__}")
    try:
        parsed = URL(url)
        host, port = parsed.host, parsed.port
    except (ValueError, IndexError):  # yarl 1.25 looks for the first letter of an empty host
        # The reason would show a part of the URL that may be a password.
        raise ConfigurationError(f"base_url {_shown(url)} is not a URL") from None
    if parsed.scheme not in ("http", "https") or not host or not is_host(parsed.raw_host or ""):
        raise ConfigurationError(f"base_url {_shown(url)} must begin with https:// (or http://) and a host")
    if parsed.user is not None or parsed.password is not None:
        raise ConfigurationError("base_url must not hold credentials; pass api_key or bearer_token")
    if "?" in url or "#" in url or port == 0:
        raise ConfigurationError(f"base_url {_shown(url)} must be scheme, host, port and path only")
    if parsed.scheme == "http" and not is_loopback(host) and not allow_http:
        raise ConfigurationError(
            f"base_url {_shown(url)} is plain http to another machine, so the key would travel in the clear; "
            "use https, or pass allow_http=True if that network is trusted"
        )
    return str(parsed).rstrip("/")


def _shown(url: object) -> str:
    """Return a URL for a message, without what may be a secret: credentials, query and fragment."""
    text = re.split(r"[?#]", str(url), maxsplit=1)[0]
    credentials, at, rest = text.rpartition("@")
    scheme = re.match(r"https?:/*", credentials)
    return repr(f"{scheme[0] if scheme else ''}{_MASK}@{rest}" if at else text)[:200]


def is_host(host: str) -> bool:
    """Whether a name can be looked up (RFC 1123, section 2.1); brackets of IPv6 are gone already."""
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
    """Return ``id`` as one path segment that no URL parser can turn into something else.

    Raises:
        ConfigurationError: The id is empty, ``.``, ``..``, not text, not encodable or too long.
    """
    if type(id) is str and _PLAIN_ID.fullmatch(id):
        return id
    if not isinstance(id, str):
        raise ConfigurationError(f"an id must be a str, not {type(id).__name__}")
    id = str.__str__(id)  # an enum's str() would be its name
    if id in ("", ".", ".."):
        raise ConfigurationError(f"{id!r} is not an id; pass the request_id or the reference_id of a job")
    if len(id) > _MAX_ID:
        raise ConfigurationError(f"an id of {len(id)} characters is too long ({_MAX_ID} at most): {id[:40]!r}…")
    try:
        return quote(id, safe="")
    except UnicodeEncodeError:
        raise ConfigurationError(f"the id {id!r} cannot be encoded as UTF-8") from None


def api_path(path: str) -> str:
    """Return a caller's path, quoted, or refuse what could leave the API below the base URL."""
    if not isinstance(path, str) or not path.startswith("/") or path.startswith("//"):
        raise ConfigurationError(
            f"path must begin with a single slash, such as '/v1/users/me', not {path!r}; the host comes from base_url"
        )
    if "?" in path or "#" in path or "\\" in path:
        raise ConfigurationError(f"path {path!r} must not hold '?', '#' or '\\'; pass a query as params")
    if any(unquote(segment) in (".", "..") for segment in path.split("/")):
        raise ConfigurationError(f"path {path!r} must not hold '.' or '..' segments")
    try:
        # Percent signs stay: a caller who quoted an id must not have it quoted twice.
        return quote(path, safe="/%:@!$&'()*+,;=~")
    except UnicodeEncodeError:
        raise ConfigurationError(f"path {path!r} cannot be encoded as UTF-8") from None


def api_url(base_url: str, path: str, params: Query | None = None) -> URL:
    """Join what is already checked and quoted; a parameter of None is left out, booleans are lower case."""
    if params:
        pairs = [pair for name, value in params.items() for pair in _pairs(name, value)]
        if pairs:
            return URL(f"{base_url}{path}?{urlencode(pairs)}", encoded=True)
    return URL(base_url + path, encoded=True)


def stable_query(params: Query | None) -> Query | None:
    """Return a caller's parameters so that they can be sent more than once, checked."""
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
    """Return a URL that the service is to fetch or call, or refuse what is not http(s)."""
    if is_url_object(url):
        raise ConfigurationError(f"{name} must be a URL as a str, not as {type(url).__name__}; pass str(url)")
    try:
        parsed = URL(url) if isinstance(url, str) and url.isprintable() and " " not in url else URL()
    except (ValueError, IndexError):
        parsed = URL()
    if parsed.scheme not in ("http", "https") or not is_host(parsed.raw_host or ""):
        raise ConfigurationError(f"{name} {_shown(url)} must be an http(s) URL that the service can reach; {advice}")
    return url


def check_json(name: str, value: object) -> None:
    """Refuse what JSON cannot hold."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name} cannot be sent as JSON: {error}") from None


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
        text = text.replace(secret, _MASK)
    return text


def redact_body(body: bytes, secrets: Iterable[str]) -> bytes:
    """Mask credentials in a body that is not decoded yet."""
    for secret in _bare(secrets):
        if (needle := secret.encode()) in body:
            body = body.replace(needle, _MASK.encode())
    return body


def redact_headers(headers: Mapping[str, str], secrets: Iterable[str]) -> CIMultiDict[str]:
    """Mask credentials in headers; repeated ones are kept."""
    return CIMultiDict([(redact(name, secrets), redact(value, secrets)) for name, value in headers.items()])


def _bare(secrets: Iterable[str]) -> list[Secret]:
    """Return the credentials without their scheme; the longest first, since one may hold another."""
    return sorted((Secret(secret.removeprefix("Bearer ")) for secret in secrets), key=len, reverse=True)


def _redact_json(value: Any, secrets: Iterable[str], depth: int = 0) -> Any:
    """Mask credentials in decoded JSON, where they may have been written with escapes.

    What lies too deep for an error that holds it to be pickled and copied everywhere is left out.
    """
    if isinstance(value, str):
        return redact(value, secrets)
    if depth == _MAX_DEPTH and isinstance(value, (list, dict)):
        return "…"
    if isinstance(value, list):
        return [_redact_json(item, secrets, depth + 1) for item in value]
    if isinstance(value, dict):
        return {redact(name, secrets): _redact_json(item, secrets, depth + 1) for name, item in value.items()}
    return value


def parse_http_date(value: str | None) -> datetime | None:
    """Read an HTTP date (RFC 9110, section 5.6.7) as aware UTC, or None where it is not one."""
    if not value or len(value) > _MAX_DATE or not (value.isascii() and value.isprintable()):
        return None
    try:
        time = parsedate_to_datetime(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def server_time(headers: Mapping[str, str]) -> datetime | None:
    """Return when the service answered, by its own clock."""
    return parse_http_date(headers.get("Date"))


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Read ``Retry-After`` (RFC 9110, section 10.2.3) as seconds from ``now``.

    Fractions of a second are taken too, a time in the past is 0, and what is neither is None.
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
        ValueError: It is not; the text says why.
    """
    if not body.strip():
        raise ValueError("the body is empty")
    if (fast := _fast_loads()) is not None:
        try:
            return fast(body)
        except ValueError:
            pass  # json takes more: a byte order mark, UTF-16, lone surrogates
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("the body is nested too deeply") from None


@cache
def _fast_loads() -> Callable[[bytes], Any] | None:
    """Return orjson's decoder where the extra ``speed`` is installed."""
    try:
        from orjson import loads  # noqa: PLC0415 - importing the package must import no extra
    except ImportError:
        return None
    decode: Callable[[bytes], Any] = loads
    return decode


_KINDS: Final[Mapping[int, tuple[type[APIStatusError], str]]] = {
    400: (BadRequestError, "Sending it again unchanged will not help; check the arguments."),
    401: (AuthenticationError, "Check the API key or bearer token and that it belongs to this environment."),
    403: (PermissionDeniedError, "The credentials are known but may not do this."),
    404: (NotFoundError, "Check the id, and that it belongs to this account and environment."),
    409: (ConflictError, "It conflicts with the present state; read that first."),
    412: (QuotaExceededError, "The plan's quota is used up; waiting does not help, raising the quota does."),
    422: (UnprocessableEntityError, "Sending it again unchanged will not help; check the arguments."),
    429: (RateLimitError, "Try again later, or lower Pace(max_rate=…)."),
}
_SERVER_KIND = (InternalServerError, "The service failed; try again later.")
_OTHER_KIND = (APIStatusError, "This status is not documented.")


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
    """Turn an answer that is not a success into the error of its class.

    ``now`` is our clock; the answer's own ``Date`` is preferred for reading a ``Retry-After`` date.
    """
    text = body.decode("utf-8-sig", "replace")
    try:
        content = _redact_json(decode_json(text.encode()), secrets)
    except (ValueError, RecursionError):
        content = redact(text, secrets)
    message = _message(content) or _phrase(status)
    headers = redact_headers(headers, secrets)
    kind, advice = _KINDS.get(status) or (_SERVER_KIND if 500 <= status < 600 else _OTHER_KIND)
    extra: dict[str, Any] = {}
    if 300 <= status < 400:
        target = _shown(headers.get("Location", ""))
        advice = f"It points to {target}, which is not followed, since the key would travel along; check base_url."
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
    """Find the service's words: documented is ``{"error": text}``; proxies answer otherwise."""
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
