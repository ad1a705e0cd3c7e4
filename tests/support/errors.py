"""The error class of each status, written down once more: what the package's own table has to agree with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from chamelaion_async import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ChamelaionError,
    ConflictError,
    InternalServerError,
    InvalidResponseError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    UnprocessableEntityError,
)

ERROR_CLASSES: Final[Mapping[int, type[APIStatusError]]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    412: QuotaExceededError,
    422: UnprocessableEntityError,
    429: RateLimitError,
    **dict.fromkeys(range(500, 600), InternalServerError),
}
"""The statuses that have a class of their own; all others are ``APIStatusError`` itself."""


def error_class(status: int) -> type[APIStatusError]:
    return ERROR_CLASSES.get(status, APIStatusError)


def status_error(status: int, *, path: str = "/x", **details: Any) -> APIStatusError:
    """Return the error of an answer with this status."""
    given = {"message": "m", "headers": {}, "body": {"error": "m"}, "method": "GET", "path": path} | details
    return error_class(status)(f"answered {status}", status=status, **given)


def unreachable() -> APIConnectionError:
    return APIConnectionError("no answer", sent="maybe", method="GET", path="/x")


def timed_out() -> APITimeoutError:
    return APITimeoutError("too slow", sent="maybe", method="GET", path="/x")


def unreadable() -> InvalidResponseError:
    return InvalidResponseError("not JSON", method="GET", path="/x")


FAILURES: Final[Mapping[str, Callable[[], ChamelaionError]]] = {
    "503": lambda: status_error(503),
    "403": lambda: status_error(403),
    "404": lambda: status_error(404),
    "garbage": unreadable,
    "unreachable": unreachable,
    "timeout": timed_out,
}
"""Make the error of a call that fails, by the name of the failure."""
