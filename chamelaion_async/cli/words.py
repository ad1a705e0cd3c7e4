"""Errors in the words of the shell: the library's own texts advise in Python."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from ..errors import (
    APIConnectionError,
    AuthenticationError,
    ChamelaionError,
    ConfigurationError,
    DownloadError,
    InternalServerError,
    InvalidResponseError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    SubmissionUncertainError,
    WaitError,
    WaitTimeoutError,
    WaitUnreachableError,
)
from .text import seconds

__all__ = ["about", "explain", "label"]

_OPTIONS: Final = {
    "allow_http=True": "--allow-http",
    "api_key": "--api-key",
    "base_url": "--base-url",
    "bearer_token": "--bearer-token",
    "overwrite=True": "--overwrite",
    "timeout=…": "--timeout",
}
_OPTION: Final = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in _OPTIONS))

_CALLS: Final = re.compile(
    "; (a file is uploaded with generate_with_media|a str is taken as a path|pass Upload with chunks instead"
    "|install aiohttp-socks and pass session=.*)"
)
"""Advice on calls, which the shell does not make."""


def explain(error: ChamelaionError) -> str:
    """Return what went wrong and what to do about it on the command line."""
    match error:
        case WaitTimeoutError():
            state = "nothing was read" if error.last is None else f"still {error.last.status}"
            fate = "" if error.last is None else "the job goes on, "
            trouble = f" (the last poll failed: {explain(error.last_error)})" if error.last_error is not None else ""
            return f"{state} after {_elapsed(error)}{trouble}; {fate}wait again or raise --timeout"
        case WaitUnreachableError():
            reason = explain(error.last_error) if error.last_error is not None else "the service does not answer"
            return f"given up after {_elapsed(error)} without an answer: {reason}; the job goes on, wait again"
        case AuthenticationError():
            return f"{_answer(error)}; check CHAMELAION_API_KEY or --api-key, and that it belongs to this environment"
        case PermissionDeniedError():
            return f"{_answer(error)}; the credentials are known but may not do this"
        case NotFoundError():
            return f"{_answer(error)}; check the id, and that it belongs to this account and environment"
        case RateLimitError():
            when = "later" if error.retry_after is None else f"in {error.retry_after:g} s"
            return f"{_answer(error)}; try again {when}"
        case InternalServerError():
            return f"{_answer(error)}; the service failed, try again later"
        case SubmissionUncertainError():
            return _uncertain(error)
        case ConfigurationError() | APIConnectionError() | InvalidResponseError() | DownloadError():
            return _OPTION.sub(lambda found: _OPTIONS[found.group()], _CALLS.sub("", str(error)))
        case _:
            return str(error)


def about(id: str, error: ChamelaionError) -> str:
    """Return the same for one id among several."""
    # A configuration error that came up with an id is about that id, and quotes it.
    return explain(error) if isinstance(error, ConfigurationError) else f"{id}: {explain(error)}"


def label(error: ChamelaionError) -> str:
    """Return two words for a column of statuses."""
    match error:
        case WaitTimeoutError():
            return "timed out"
        case WaitUnreachableError():
            return "unreachable"
        case NotFoundError():
            return "not found"
        case _:
            return "error"


def _uncertain(error: SubmissionUncertainError) -> str:
    cause = error.__cause__
    match cause:
        case InternalServerError():
            reason = _answer(cause)
        case ChamelaionError():
            reason = explain(cause)
        case _:
            reason = "its answer was lost"
    # Where to search is told by the command, which knows the family and the service.
    steps = list(getattr(error, "__notes__", ()))
    if error.reference_id is None:
        steps.append("Give the next one a --reference-id, by which it can be found")
    return ". ".join([f"the submission may or may not have been accepted: {reason}", *steps])


def _elapsed(error: WaitError) -> str:
    return seconds(timedelta(seconds=error.elapsed))


def _answer(
    error: AuthenticationError | PermissionDeniedError | NotFoundError | RateLimitError | InternalServerError,
) -> str:
    return f"the service answered {error.status}, {error.message}"
