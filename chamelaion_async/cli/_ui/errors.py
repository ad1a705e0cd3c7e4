"""Every error class on the command line: its exit code, its text and its label, in one table.

A class that is missing in the table has the row of its base class; ``tests/cli/test_errors.py`` fails for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import attrs

from ... import errors
from ...errors import ChamelaionError
from .exits import ExitCode
from .text import seconds

__all__ = ["ERROR_CLASSES", "exit_code", "explain", "explain_with_id", "label"]

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
"""Advice on Python calls, which a user of the command line does not make."""


def exit_code(error: ChamelaionError) -> ExitCode:
    """Return the exit code for an error."""
    code = _row(error).code
    return _STATUS_CODES.get(error.status, code) if isinstance(error, errors.APIStatusError) else code


def explain(error: ChamelaionError) -> str:
    """Return what went wrong and what to do about it, in options and not in Python arguments."""
    return _row(error).text(error)


def explain_with_id(id: str, error: ChamelaionError) -> str:
    """Return the same for one of several ids."""
    # The text of a ConfigurationError about an id quotes the id.
    return explain(error) if isinstance(error, errors.ConfigurationError) else f"{id}: {explain(error)}"


def label(error: ChamelaionError) -> str:
    """Return one or two words for a column of statuses."""
    return _row(error).label


def _own_text(error: ChamelaionError) -> str:
    return _OPTION.sub(lambda found: _OPTIONS[found.group()], _CALLS.sub("", str(error)))


def _answer(error: errors.APIStatusError) -> str:
    return f"the service answered {error.status}, {error.message}"


def _answer_and(advice: str) -> Callable[[errors.APIStatusError], str]:
    return lambda error: f"{_answer(error)}; {advice}"


def _rate_limit_text(error: errors.RateLimitError) -> str:
    when = "later" if error.retry_after is None else f"in {error.retry_after:g} s"
    return f"{_answer(error)}; try again {when}"


def _wait_timeout_text(error: errors.WaitTimeoutError) -> str:
    state = "no answer yet" if error.last is None else f"still {error.last.status}"
    cause = f" (the last poll failed: {explain(error.last_error)})" if error.last_error is not None else ""
    job = "" if error.last is None else "the job continues, "
    return f"{state} after {_elapsed(error)}{cause}; {job}wait again or raise --timeout"


def _wait_unreachable_text(error: errors.WaitUnreachableError) -> str:
    reason = explain(error.last_error) if error.last_error is not None else "the service does not answer"
    return f"stopped after {_elapsed(error)} without an answer: {reason}; the job continues, wait again"


def _elapsed(error: errors.WaitError) -> str:
    return seconds(timedelta(seconds=error.elapsed))


def _uncertain_text(error: errors.SubmissionUncertainError) -> str:
    cause = error.__cause__
    match cause:
        case errors.InternalServerError():
            reason = _answer(cause)  # without "try again": the job may exist already
        case ChamelaionError():
            reason = explain(cause)
        case _:
            reason = "its answer was lost"
    # The command that submits notes how to find the job, since it knows the family and the service.
    steps = list(getattr(error, "__notes__", ()))
    if error.reference_id is None:
        steps.append("Pass --reference-id next time, so that the job can be found")
    return ". ".join([f"the submission may or may not have been accepted: {reason}", *steps])


@attrs.frozen
class _Row:
    code: ExitCode
    text: Callable[[Any], str] = _own_text
    label: str = attrs.field(default="error", kw_only=True)


# Short names, so that a row is a line.
_FAILED, _USAGE, _UNAVAILABLE = ExitCode.FAILED, ExitCode.USAGE, ExitCode.UNAVAILABLE
_ROWS: Final[Mapping[type, _Row]] = {
    ChamelaionError: _Row(_FAILED),
    errors.ConfigurationError: _Row(_USAGE),
    errors.ClientClosedError: _Row(_FAILED),
    errors.APIConnectionError: _Row(_UNAVAILABLE),
    errors.APITimeoutError: _Row(_UNAVAILABLE),
    errors.APIStatusError: _Row(_FAILED),
    errors.BadRequestError: _Row(_USAGE),
    errors.AuthenticationError: _Row(
        _USAGE,
        _answer_and("check CHAMELAION_API_KEY or --api-key, and that it belongs to this environment"),
    ),
    errors.PermissionDeniedError: _Row(_USAGE, _answer_and("the credentials are known but may not do this")),
    errors.NotFoundError: _Row(
        _FAILED,
        _answer_and("check the id, and that it belongs to this account and environment"),
        label="not found",
    ),
    errors.ConflictError: _Row(_FAILED),
    errors.QuotaExceededError: _Row(_FAILED),
    errors.UnprocessableEntityError: _Row(_USAGE),
    errors.RateLimitError: _Row(_UNAVAILABLE, _rate_limit_text),
    errors.InternalServerError: _Row(_UNAVAILABLE, _answer_and("the service failed, try again later")),
    errors.InvalidResponseError: _Row(_UNAVAILABLE),
    errors.RequestFailedError: _Row(_FAILED),
    errors.WaitError: _Row(_UNAVAILABLE),
    errors.WaitTimeoutError: _Row(_UNAVAILABLE, _wait_timeout_text, label="timed out"),
    errors.WaitUnreachableError: _Row(_UNAVAILABLE, _wait_unreachable_text, label="unreachable"),
    errors.SubmissionUncertainError: _Row(_UNAVAILABLE, _uncertain_text),
    errors.DownloadError: _Row(_UNAVAILABLE),  # the next download resumes where this one stopped
}
ERROR_CLASSES: Final = frozenset(_ROWS)

_STATUS_CODES: Final[Mapping[int, ExitCode]] = {
    **dict.fromkeys(range(300, 400), _USAGE),  # a redirect is not followed: the base URL is wrong
    **dict.fromkeys(errors.PASSING_STATUSES, _UNAVAILABLE),
}
"""Statuses that have no error class of their own."""


def _row(error: ChamelaionError) -> _Row:
    # The nearest base class that has a row: a program may derive from an error of the package.
    return next(_ROWS[kind] for kind in type(error).__mro__ if kind in _ROWS)
