"""Every error class on the command line: its exit code, its text and its label."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from chamelaion_async import ChamelaionError, LipsyncRequest, errors
from chamelaion_async.cli._ui.errors import ERROR_CLASSES, exit_code, explain, label


def answer(kind: type[errors.APIStatusError], status: int, **details: object) -> errors.APIStatusError:
    return kind(
        "GET /x was refused; check base_url",
        status=status,
        message="said the service",
        headers={},
        body=None,
        method="GET",
        path="/x",
        **details,  # type: ignore[arg-type]
    )


def unsent(kind: type[errors.APIConnectionError] = errors.APIConnectionError) -> errors.APIConnectionError:
    return kind("Check the network and base_url", sent="no", method="GET", path="/x")


def ended(
    kind: type[errors.WaitError], last: LipsyncRequest | None = None, error: ChamelaionError | None = None
) -> errors.WaitError:
    return kind("text", id="an-id", last=last, elapsed=2.0, polls=3, last_error=error)


JOB = LipsyncRequest(id="an-id", status="failed", created_at=datetime(2026, 4, 7, 10, tzinfo=UTC))
OWN_TEXT = "GET /x was refused; check --base-url"
ROWS: list[tuple[ChamelaionError, int, str]] = [
    (ChamelaionError("x"), 1, "x"),
    (errors.ConfigurationError("pass allow_http=True if trusted"), 2, "pass --allow-http if trusted"),
    (errors.ConfigurationError("my_api_key is not api_key"), 2, "my_api_key is not --api-key"),
    (errors.ConfigurationError("no file; a str is taken as a path"), 2, "no file"),
    (errors.ClientClosedError("x"), 1, "x"),
    (unsent(), 3, "Check the network and --base-url"),
    (unsent(errors.APITimeoutError), 3, "Check the network and --base-url"),
    (answer(errors.APIStatusError, 307), 2, OWN_TEXT),
    (answer(errors.APIStatusError, 408), 3, OWN_TEXT),
    (answer(errors.APIStatusError, 418), 1, OWN_TEXT),
    (answer(errors.APIStatusError, 425), 3, OWN_TEXT),
    (answer(errors.BadRequestError, 400), 2, OWN_TEXT),
    (
        answer(errors.AuthenticationError, 401),
        2,
        "answered 401, said the service; check CHAMELAION_API_KEY or --api-key",
    ),
    (answer(errors.PermissionDeniedError, 403), 2, "answered 403, said the service; the credentials are known"),
    (answer(errors.NotFoundError, 404), 1, "answered 404, said the service; check the id"),
    (answer(errors.ConflictError, 409), 1, OWN_TEXT),
    (answer(errors.QuotaExceededError, 412), 1, OWN_TEXT),
    (answer(errors.UnprocessableEntityError, 422), 2, OWN_TEXT),
    (answer(errors.RateLimitError, 429), 3, "answered 429, said the service; try again later"),
    (answer(errors.RateLimitError, 429, retry_after=2.0), 3, "try again in 2 s"),
    (
        answer(errors.InternalServerError, 503),
        3,
        "answered 503, said the service; the service failed, try again later",
    ),
    (errors.InvalidResponseError("x", method="GET", path="/x"), 3, "x"),
    (errors.RequestFailedError("x", request=JOB), 1, "x"),
    (ended(errors.WaitError), 3, "text"),
    (ended(errors.WaitTimeoutError), 3, "no answer yet after 2.0 s; wait again or raise --timeout"),
    (ended(errors.WaitTimeoutError, error=unsent()), 3, "(the last poll failed: Check the network and --base-url)"),
    (
        ended(errors.WaitUnreachableError),
        3,
        "after 2.0 s without an answer: the service does not answer; the job continues",
    ),
    (ended(errors.WaitUnreachableError, error=unsent()), 3, "without an answer: Check the network and --base-url"),
    (errors.SubmissionUncertainError("x", reference_id=None), 3, "may or may not have been accepted"),
    (errors.DownloadError("pass overwrite=True"), 3, "pass --overwrite"),
]


@pytest.mark.parametrize(
    ("error", "code", "text"), ROWS, ids=lambda value: type(value).__name__ if isinstance(value, Exception) else ""
)
def test_an_error_has_an_exit_code_and_a_text_for_the_shell(error: ChamelaionError, code: int, text: str) -> None:
    assert exit_code(error) == code
    assert text in explain(error)


def test_every_error_class_has_a_row_in_the_command_line_and_in_this_test() -> None:
    classes = {getattr(errors, name) for name in errors.__all__}
    assert classes == ERROR_CLASSES
    assert classes == {type(error) for error, _, _ in ROWS}


def test_a_timeout_says_that_the_job_continues(job: Callable[..., LipsyncRequest]) -> None:
    text = explain(ended(errors.WaitTimeoutError, last=job("processing")))
    assert text == "still processing after 2.0 s; the job continues, wait again or raise --timeout"


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (answer(errors.InternalServerError, 502), "the service answered 502, said the service"),
        (unsent(), "Check the network and --base-url"),
        (None, "its answer was lost"),
    ],
)
def test_an_uncertain_submission_gives_the_cause_and_the_next_steps(
    cause: ChamelaionError | None, reason: str
) -> None:
    for reference_id in ("mine", None):
        error = errors.SubmissionUncertainError("x", reference_id=reference_id)
        error.__cause__ = cause
        error.add_note("Find it there")
        end = "" if reference_id else ". Pass --reference-id next time, so that the job can be found"
        assert explain(error) == f"the submission may or may not have been accepted: {reason}. Find it there{end}"


def test_an_error_has_a_label_for_the_table() -> None:
    labels = {label(error) for error, _, _ in ROWS}
    assert labels == {"error", "timed out", "unreachable", "not found"}
    assert label(ended(errors.WaitTimeoutError)) == "timed out"
    assert label(ended(errors.WaitUnreachableError)) == "unreachable"
    assert label(answer(errors.NotFoundError, 404)) == "not found"
