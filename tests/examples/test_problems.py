"""The words for visitors: there are some for whatever can go wrong, and they give nothing away."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from chamelaion_async import (
    ChamelaionError,
    ClientClosedError,
    ConfigurationError,
    SubmissionUncertainError,
    WaitUnreachableError,
)
from tests.support.errors import status_error, timed_out, unreachable, unreadable

from .running import EXAMPLES

SECRET = "dub-42-of-a-customer"


@pytest.fixture(autouse=True)
def _examples_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(EXAMPLES)
    yield
    monkeypatch.delitem(sys.modules, "problems", raising=False)


def wait_unreachable() -> WaitUnreachableError:
    return WaitUnreachableError(
        f"{SECRET} was lost", id=SECRET, last=None, elapsed=8, polls=3, last_error=unreadable()
    )


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (status_error(400, path=f"/{SECRET}"), 400, False),
        (status_error(401), 500, False),
        (status_error(403), 500, False),
        (status_error(404, path=f"/{SECRET}"), 404, False),
        (status_error(409), 400, False),
        (status_error(412), 503, False),
        (status_error(422), 400, False),
        (status_error(429), 503, True),
        (status_error(500), 502, True),
        (ConfigurationError(f"id {SECRET!r} is too long"), 400, False),
        (ClientClosedError("the client is closed"), 503, True),
        (SubmissionUncertainError(f"{SECRET} may have been accepted", reference_id=SECRET), 502, False),
        (unreachable(), 502, True),
        (timed_out(), 502, True),
        (unreadable(), 502, True),
        (wait_unreachable(), 502, True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ChamelaionError) else str(value),
)
def test_an_error_has_words_that_name_no_id_and_no_path(error: ChamelaionError, status: int, retry: bool) -> None:
    from problems import explain

    problem = explain(error)
    assert (problem.status, problem.passes) == (status, retry)
    assert SECRET not in problem.text
    assert "/" not in problem.text
    assert "Something went wrong" not in problem.text
