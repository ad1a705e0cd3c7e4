"""Every error that this package raises, under one root.

::

    ChamelaionError
    ├── ConfigurationError (also ValueError)
    ├── ClientClosedError
    ├── APIConnectionError
    │   └── APITimeoutError (also TimeoutError)
    ├── APIStatusError
    │   ├── BadRequestError             400
    │   ├── AuthenticationError         401
    │   ├── PermissionDeniedError       403
    │   ├── NotFoundError               404
    │   ├── ConflictError               409
    │   ├── QuotaExceededError          412
    │   ├── UnprocessableEntityError    422
    │   ├── RateLimitError              429
    │   └── InternalServerError         5xx
    ├── InvalidResponseError
    ├── RequestFailedError
    ├── WaitError
    │   ├── WaitTimeoutError (also TimeoutError)
    │   └── WaitUnreachableError
    ├── SubmissionUncertainError
    └── DownloadError

Exceptions of aiohttp, tenacity and cattrs never reach the caller; if one was the reason, it is the ``__cause__``.
``asyncio.CancelledError`` passes through unchanged. All errors can be pickled and copied, and none of them holds the
API key. A new class has to be known in several places, which ``tests/test_errors.py`` names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from ._base.job import Job, RequestFailedError
from ._base.root_error import ChamelaionError

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "ChamelaionError",
    "ClientClosedError",
    "ConfigurationError",
    "ConflictError",
    "DownloadError",
    "InternalServerError",
    "InvalidResponseError",
    "NotFoundError",
    "PermissionDeniedError",
    "QuotaExceededError",
    "RateLimitError",
    "RequestFailedError",
    "SubmissionUncertainError",
    "UnprocessableEntityError",
    "WaitError",
    "WaitTimeoutError",
    "WaitUnreachableError",
]


class ConfigurationError(ChamelaionError, ValueError):
    """An argument or setting cannot work. Nothing was submitted, and in most cases nothing was sent."""


class ClientClosedError(ChamelaionError):
    """The client, or the session that was passed to it, is closed, or the client is draining.

    Calls and waits under way end with this too when the client closes; when it drains, only waits do.
    """


class APIConnectionError(ChamelaionError):
    """No complete answer came.

    Attributes:
        sent: ``"no"`` when the service certainly did not receive the request, else ``"maybe"``.
        method: HTTP method of the call.
        path: Path of the call below the base URL.
        attempts: How many times the call was tried.
        status: HTTP status code of an answer that broke off after its headers, else None.
    """

    def __init__(
        self,
        text: str,
        *,
        sent: Literal["no", "maybe"],
        method: str,
        path: str,
        attempts: int = 1,
        status: int | None = None,
    ) -> None:
        super().__init__(text)
        self.sent = sent
        self.method = method
        self.path = path
        self.attempts = attempts
        self.status = status


class APITimeoutError(APIConnectionError, TimeoutError):
    """No complete answer came within the timeout of one attempt."""


class APIStatusError(ChamelaionError):
    """The service answered with a status that is not a success.

    Attributes:
        status: HTTP status code.
        message: The text of the service, such as ``lipsync request not found``.
        headers: Headers of the answer; names ignore case.
        body: The decoded JSON body, or its text where it is not JSON. "…" replaces what is nested over 100 deep.
        method: HTTP method of the call.
        path: Path of the call below the base URL.
        attempts: How many times the call was tried.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int,
        message: str,
        headers: Mapping[str, str],
        body: Any,
        method: str,
        path: str,
        attempts: int = 1,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.message = message
        self.headers = headers
        self.body = body
        self.method = method
        self.path = path
        self.attempts = attempts


class BadRequestError(APIStatusError):
    """400: the service refuses the request as it is; sending it again does not help."""


class AuthenticationError(APIStatusError):
    """401: the API key or bearer token is missing, malformed or not accepted.

    A wait, or a call for many requests, ends with it at once if the answer is in the API's form, ``{"error": text}``.
    A list page that is answered so is checked by a GET first. A second one in a row ends all waits of the client.
    """


class PermissionDeniedError(APIStatusError):
    """403: the key is known and may not do this.

    A wait ends with it at once if the answer is in the API's form, ``{"error": text}``.
    """


class NotFoundError(APIStatusError):
    """404: nothing is known under this id or path.

    A wait takes it for "not yet" for ``PollPolicy.not_found_grace`` seconds, counted from the first 404 after the
    last good answer. A 404 that is not in the API's form, ``{"error": text}``, comes from something between the
    client and the API, such as a gateway without a backend: waits and ``get_many`` take it for an unreadable answer.
    """


class ConflictError(APIStatusError):
    """409: the request conflicts with the present state."""


class QuotaExceededError(APIStatusError):
    """412: the plan's quota is used up (``token limit reached``); waiting does not help."""


class UnprocessableEntityError(APIStatusError):
    """422: the service understood the request and refuses its values."""


class RateLimitError(APIStatusError):
    """429: too many requests.

    Attributes:
        retry_after: Seconds that the service asked to wait, or None where it did not say.
    """

    def __init__(self, text: str, *, retry_after: float | None = None, **details: Any) -> None:
        super().__init__(text, **details)
        self.retry_after = retry_after


class InternalServerError(APIStatusError):
    """5xx: the service, or a proxy in front of it, failed.

    Attributes:
        retry_after: Seconds that the service asked to wait, or None where it did not say. Waits obey it, up to
            ``PollPolicy.max_retry_after``.
    """

    def __init__(self, text: str, *, retry_after: float | None = None, **details: Any) -> None:
        super().__init__(text, **details)
        self.retry_after = retry_after


class InvalidResponseError(ChamelaionError):
    """An answer arrived that is not what the API promises: not JSON, a field missing or mistyped, too large.

    For waits and ``get_many`` also: a request with another id than was asked for, and a 401, 403, 404, 405 or 410
    that is not ``{"error": text}``.

    Attributes:
        status: HTTP status code, or None where the answer had no readable one.
        method: HTTP method of the call.
        path: Path of the call below the base URL.
        attempts: How many times the call was tried.
        excerpt: The first bytes of the body, at most 512.
    """

    def __init__(
        self,
        text: str,
        *,
        method: str,
        path: str,
        status: int | None = None,
        attempts: int = 1,
        excerpt: bytes = b"",
    ) -> None:
        super().__init__(text)
        self.status = status
        self.method = method
        self.path = path
        self.attempts = attempts
        self.excerpt = excerpt


class WaitError(ChamelaionError):
    """A wait ended before its job did. The job goes on.

    Attributes:
        id: The id that was waited for, as it was given.
        last: The request as it was last read, or None if it was never read.
        elapsed: Seconds that the wait lasted.
        polls: How many times the status was polled.
        last_error: The error of the last poll, or None if it succeeded.
    """

    def __init__(
        self,
        text: str,
        *,
        id: str,
        last: Job | None,
        elapsed: float,
        polls: int,
        last_error: ChamelaionError | None,
    ) -> None:
        super().__init__(text)
        self.id = id
        self.last = last
        self.elapsed = elapsed
        self.polls = polls
        self.last_error = last_error


class WaitTimeoutError(WaitError, TimeoutError):
    """The job had not finished at the end of the wait's timeout."""


class WaitUnreachableError(WaitError):
    """Nothing readable came for the whole outage budget; ``__cause__`` is the last error."""


class SubmissionUncertainError(ChamelaionError):
    """A paid submission may or may not have started a job. ``__cause__`` is the failure of its last attempt.

    Attributes:
        reference_id: The reference under which the job can be found, or None if it carried none.
    """

    def __init__(self, text: str, *, reference_id: str | None) -> None:
        super().__init__(text)
        self.reference_id = reference_id


class DownloadError(ChamelaionError):
    """An output could not be downloaded. There is no incomplete file under the final name."""


STATUS_ERRORS: Final[Mapping[int, tuple[type[APIStatusError], str]]] = {
    400: (BadRequestError, "Sending it again unchanged will not help; check the arguments."),
    401: (AuthenticationError, "Check the API key or bearer token and that it belongs to this environment."),
    403: (PermissionDeniedError, "The credentials are known but may not do this."),
    404: (NotFoundError, "Check the id, and that it belongs to this account and environment."),
    409: (ConflictError, "It conflicts with the present state; read that first."),
    # In RFC 9110 this is a failed precondition; the API's error reference gives it for a used up quota.
    412: (QuotaExceededError, "The plan's quota is used up; waiting does not help, raising the quota does."),
    422: (UnprocessableEntityError, "Sending it again unchanged will not help; check the arguments."),
    429: (RateLimitError, "Try again later, or lower Pace(max_rate=…)."),
}
"""The class of each status, and the advice in its text. Every 5xx is an ``InternalServerError``."""

PASSING_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same read may succeed a little later (RFC 9110, section 15; RFC 8470; RFC 6585)."""


def status_class(status: int) -> tuple[type[APIStatusError], str]:
    """Return the class for a status that is not a success, and what to do about it."""
    if status in STATUS_ERRORS:
        return STATUS_ERRORS[status]
    if 500 <= status < 600:
        return InternalServerError, "The service failed; try again later."
    return APIStatusError, "This status is not documented."
