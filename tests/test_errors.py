"""The tree of errors: its shape, every place that has to know of a class or status, pickling and copying."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

import chamelaion_async
from chamelaion_async import errors
from chamelaion_async._http.retry import is_passing
from chamelaion_async.cli._ui.errors import ERROR_CLASSES, exit_code
from chamelaion_async.cli._ui.exits import ExitCode
from chamelaion_async.errors import (
    PASSING_STATUSES,
    STATUS_ERRORS,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ChamelaionError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    DownloadError,
    InternalServerError,
    InvalidResponseError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    RequestFailedError,
    SubmissionUncertainError,
    UnprocessableEntityError,
    WaitError,
    WaitTimeoutError,
    WaitUnreachableError,
    status_class,
)
from chamelaion_async.models import LipsyncRequest

TEXT = "what went wrong, in words: 6f82a2d8 · ü"

TREE: dict[type[BaseException], tuple[type[BaseException], ...]] = {
    ChamelaionError: (Exception,),
    ConfigurationError: (ChamelaionError, ValueError),
    ClientClosedError: (ChamelaionError,),
    APIConnectionError: (ChamelaionError,),
    APITimeoutError: (APIConnectionError, TimeoutError),
    APIStatusError: (ChamelaionError,),
    BadRequestError: (APIStatusError,),
    AuthenticationError: (APIStatusError,),
    PermissionDeniedError: (APIStatusError,),
    NotFoundError: (APIStatusError,),
    ConflictError: (APIStatusError,),
    QuotaExceededError: (APIStatusError,),
    UnprocessableEntityError: (APIStatusError,),
    RateLimitError: (APIStatusError,),
    InternalServerError: (APIStatusError,),
    InvalidResponseError: (ChamelaionError,),
    RequestFailedError: (ChamelaionError,),
    WaitError: (ChamelaionError,),
    WaitTimeoutError: (WaitError, TimeoutError),
    WaitUnreachableError: (WaitError,),
    SubmissionUncertainError: (ChamelaionError,),
    DownloadError: (ChamelaionError,),
}

REQUEST = LipsyncRequest(
    id="6f82a2d8", status="failed", created_at=datetime(2026, 4, 7, 10, tzinfo=UTC), error_message="no face"
)


def status_details() -> dict[str, Any]:
    return {
        "status": 404,
        "message": "lipsync request not found",
        "headers": CIMultiDict([("Set-Cookie", "a"), ("Set-Cookie", "b"), ("X-Trace", "t-1")]),
        "body": {"error": "lipsync request not found", "more": [1, {"deep": None}]},
        "method": "GET",
        "path": "/v1/lipsync/requests/x",
        "attempts": 3,
    }


def connection_details() -> dict[str, Any]:
    return {"sent": "maybe", "method": "POST", "path": "/v1/lipsync/generate", "attempts": 2, "status": 200}


def wait_details() -> dict[str, Any]:
    return {
        "id": "dub-42",
        "last": REQUEST,
        "elapsed": 12.5,
        "polls": 7,
        "last_error": RateLimitError("slow down", retry_after=1.5, **{**status_details(), "status": 429}),
    }


DETAILS: dict[type[ChamelaionError], Callable[[], dict[str, Any]]] = {
    ChamelaionError: dict,
    ConfigurationError: dict,
    ClientClosedError: dict,
    APIConnectionError: connection_details,
    APITimeoutError: connection_details,
    APIStatusError: status_details,
    BadRequestError: status_details,
    AuthenticationError: status_details,
    PermissionDeniedError: status_details,
    NotFoundError: status_details,
    ConflictError: status_details,
    QuotaExceededError: status_details,
    UnprocessableEntityError: status_details,
    RateLimitError: lambda: {"retry_after": 2.5, **status_details()},
    InternalServerError: lambda: {"retry_after": 2.5, **status_details()},
    InvalidResponseError: lambda: {
        "status": 200,
        "method": "GET",
        "path": "/v1/users/me",
        "attempts": 2,
        "excerpt": b"<html>\xff",
    },
    RequestFailedError: lambda: {"request": REQUEST},
    WaitError: wait_details,
    WaitTimeoutError: wait_details,
    WaitUnreachableError: wait_details,
    SubmissionUncertainError: lambda: {"reference_id": "dub-42"},
    DownloadError: dict,
}

KINDS = [pytest.param(kind, id=kind.__name__) for kind in DETAILS]


def make(kind: type[ChamelaionError]) -> ChamelaionError:
    return kind(TEXT, **DETAILS[kind]())


def contents(value: object) -> object:
    """Everything that an error holds, comparable, with the errors inside it taken apart as well."""
    if isinstance(value, BaseException):
        return type(value), value.args, {name: contents(inner) for name, inner in vars(value).items()}
    return value


def pickled(protocol: int) -> Callable[[ChamelaionError], ChamelaionError]:
    def through(error: ChamelaionError) -> ChamelaionError:
        restored = pickle.loads(pickle.dumps(error, protocol))
        assert isinstance(restored, ChamelaionError)
        return restored

    return through


DUPLICATIONS = [
    *(pytest.param(pickled(n), id=f"pickle-{n}") for n in range(pickle.HIGHEST_PROTOCOL + 1)),
    pytest.param(copy.copy, id="copy"),
    pytest.param(copy.deepcopy, id="deepcopy"),
]


def below(kind: type[ChamelaionError]) -> set[type[ChamelaionError]]:
    """Return the classes of the package that derive from one, and itself."""
    ours = {child for child in kind.__subclasses__() if child.__module__.startswith("chamelaion_async.")}
    return {kind}.union(*map(below, ours))


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_each_error_has_exactly_the_parents_that_the_design_draws(kind: type[BaseException]) -> None:
    assert kind.__bases__ == TREE[kind]


REFERENCE = Path(__file__).parents[1].joinpath("docs", "reference", "errors.md").read_text("utf-8")
NAMES = sorted(kind.__name__ for kind in below(ChamelaionError))
CLASSES_KNOWN_IN: dict[str, Iterable[str]] = {
    "__all__ of errors.py": errors.__all__,
    "the tree in the docstring of errors.py": re.findall(
        r"^ +[│├└─ ]*(\w+Error)\b", errors.__doc__ or "", re.MULTILINE
    ),
    "__all__ of the package": [name for name in chamelaion_async.__all__ if name.endswith("Error")],
    "docs/reference/errors.md": re.findall(r"^\.\. autoexception:: (\w+)$", REFERENCE, re.MULTILINE),
    "TREE in this file": [kind.__name__ for kind in TREE],
    "DETAILS in this file, for pickling and copying": [kind.__name__ for kind in DETAILS],
    "the table of the command line, with exit codes and texts": [kind.__name__ for kind in ERROR_CLASSES],
}


@pytest.mark.parametrize("place", CLASSES_KNOWN_IN)
def test_every_error_class_is_known_in(place: str) -> None:
    """A new class has to be added in each of these places."""
    assert sorted({*CLASSES_KNOWN_IN[place]}) == NAMES


STATUSES = {status: kind for status, (kind, _) in STATUS_ERRORS.items()}
STATUSES_KNOWN_IN: dict[str, Mapping[int, str]] = {
    "the tree in the docstring of errors.py": {
        int(status): name for name, status in re.findall(r"── (\w+) +(\d{3})$", errors.__doc__ or "", re.MULTILINE)
    },
    "the docstring of its class": {
        int((kind.__doc__ or "")[:3]): kind.__name__
        for kind in below(APIStatusError) - {APIStatusError, InternalServerError}
    },
}


@pytest.mark.parametrize("place", STATUSES_KNOWN_IN)
def test_every_status_of_the_table_is_known_in(place: str) -> None:
    """A new status has to be added in each of these places."""
    assert STATUSES_KNOWN_IN[place] == {status: kind.__name__ for status, kind in STATUSES.items()}


def test_every_other_status_has_a_class() -> None:
    expected = {status: InternalServerError if 500 <= status < 600 else APIStatusError for status in range(100, 1000)}
    assert {status: status_class(status)[0] for status in expected} == expected | STATUSES


def test_the_same_statuses_pass_for_retries_and_exit_codes() -> None:
    answers = [status_class(n)[0]("text", **{**status_details(), "status": n}) for n in range(400, 600)]
    passing = [n for n in range(400, 600) if n in PASSING_STATUSES or n >= 500]
    assert [error.status for error in answers if is_passing(error)] == passing
    assert [error.status for error in answers if exit_code(error) == ExitCode.UNAVAILABLE] == passing


@pytest.mark.parametrize("kind", KINDS)
def test_the_str_of_an_error_is_its_text(kind: type[ChamelaionError]) -> None:
    assert str(make(kind)) == TEXT


@pytest.mark.parametrize("kind", KINDS)
def test_every_detail_is_an_attribute_of_the_same_name(kind: type[ChamelaionError]) -> None:
    assert contents(make(kind)) == (
        kind,
        (TEXT,),
        {name: contents(value) for name, value in DETAILS[kind]().items()},
    )


@pytest.mark.parametrize("duplicate", DUPLICATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_duplicate_holds_all_that_the_original_holds(
    kind: type[ChamelaionError], duplicate: Callable[[ChamelaionError], ChamelaionError]
) -> None:
    assert contents(duplicate(make(kind))) == contents(make(kind))


@pytest.mark.parametrize("duplicate", DUPLICATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_duplicate_says_the_same(
    kind: type[ChamelaionError], duplicate: Callable[[ChamelaionError], ChamelaionError]
) -> None:
    assert str(duplicate(make(kind))) == TEXT


@pytest.mark.parametrize("duplicate", DUPLICATIONS)
def test_a_duplicate_keeps_notes(duplicate: Callable[[ChamelaionError], ChamelaionError]) -> None:
    error = make(RateLimitError)
    error.add_note("while dubbing episode 42")
    assert duplicate(error).__notes__ == ["while dubbing episode 42"]


@pytest.mark.parametrize("duplicate", DUPLICATIONS)
def test_headers_of_a_duplicate_ignore_case(duplicate: Callable[[ChamelaionError], ChamelaionError]) -> None:
    copied = duplicate(make(NotFoundError))
    assert isinstance(copied, NotFoundError)
    assert copied.headers["x-trace"] == "t-1"


def test_a_note_on_a_copy_does_not_reach_the_original() -> None:
    error = make(NotFoundError)
    copy.copy(error).add_note("only on the copy")
    assert not hasattr(error, "__notes__")


def test_a_deep_copy_shares_nothing_that_can_change() -> None:
    error = make(NotFoundError)
    copied = copy.deepcopy(error)
    assert isinstance(copied, NotFoundError)
    copied.body["more"].append("changed")
    assert isinstance(error, NotFoundError)
    assert error.body == status_details()["body"]


def test_an_error_of_a_users_own_subclass_can_be_pickled() -> None:
    assert contents(pickled(5)(_UploadStalledError("text", sent="no", method="GET", path="/x"))) == contents(
        _UploadStalledError("text", sent="no", method="GET", path="/x")
    )


class _UploadStalledError(APIConnectionError):
    """As an application might derive it."""


@pytest.mark.parametrize("kind", [APITimeoutError, WaitTimeoutError])
def test_a_timeout_is_caught_as_the_builtin_timeout(kind: type[ChamelaionError]) -> None:
    with pytest.raises(TimeoutError):
        raise make(kind)


def test_a_bad_setting_is_caught_as_a_value_error() -> None:
    with pytest.raises(ValueError, match="what went wrong"):
        raise make(ConfigurationError)


@pytest.mark.parametrize(
    ("kind", "details", "name", "expected"),
    [
        (APIConnectionError, {"sent": "no", "method": "GET", "path": "/x"}, "attempts", 1),
        (InvalidResponseError, {"method": "GET", "path": "/x"}, "attempts", 1),
        (InvalidResponseError, {"method": "GET", "path": "/x"}, "status", None),
        (InvalidResponseError, {"method": "GET", "path": "/x"}, "excerpt", b""),
        (RateLimitError, status_details(), "retry_after", None),
        (InternalServerError, status_details(), "retry_after", None),
    ],
)
def test_a_detail_that_was_not_given_has_its_default(
    kind: type[ChamelaionError], details: dict[str, Any], name: str, expected: object
) -> None:
    assert getattr(kind("text", **details), name) == expected
