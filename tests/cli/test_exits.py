from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from chamelaion_async import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    ChamelaionError,
    ConfigurationError,
    DownloadError,
    InvalidResponseError,
    LipsyncRequest,
    NotFoundError,
    Outcome,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    RequestFailedError,
    SubmissionUncertainError,
    WaitError,
    WaitTimeoutError,
    WaitUnreachableError,
    errors,
)
from chamelaion_async.cli.exits import ExitCode, of_error, of_job, of_outcome, worst
from chamelaion_async.cli.words import explain, label


def answer(kind: type[APIStatusError], status: int, **details: object) -> APIStatusError:
    return kind(
        "in the words of the library",
        status=status,
        message="said the service",
        headers={},
        body=None,
        method="GET",
        path="/x",
        **details,  # type: ignore[arg-type]
    )


def unsent() -> APIConnectionError:
    return APIConnectionError("Check the network and base_url", sent="no", method="GET", path="/x")


def ended(
    kind: type[WaitError], last: LipsyncRequest | None = None, error: ChamelaionError | None = None
) -> WaitError:
    return kind("text", id="an-id", last=last, elapsed=2.0, polls=3, last_error=error)


COMMANDS = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"


def test_the_documented_codes_are_those_that_there_are() -> None:
    table = COMMANDS.read_text("utf-8").rpartition("## Exit codes")[2]
    assert [int(code) for code in re.findall(r"^\| (\d+) \| \S", table, re.MULTILINE)] == sorted(ExitCode)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), 2),
        (answer(errors.BadRequestError, 400), 2),
        (answer(errors.AuthenticationError, 401), 2),
        (answer(errors.PermissionDeniedError, 403), 2),
        (answer(errors.UnprocessableEntityError, 422), 2),
        (answer(APIStatusError, 307), 2),
        (answer(NotFoundError, 404), 1),
        (answer(errors.ConflictError, 409), 1),
        (answer(QuotaExceededError, 412), 1),
        (answer(APIStatusError, 418), 1),
        (RequestFailedError("x", request=None), 1),
        (answer(APIStatusError, 408), 3),
        (answer(RateLimitError, 429), 3),
        (answer(errors.InternalServerError, 503), 3),
        (InvalidResponseError("x", method="GET", path="/x"), 3),
        (unsent(), 3),
        (APITimeoutError("x", sent="maybe", method="GET", path="/x"), 3),
        (ended(WaitTimeoutError), 3),
        (ended(WaitUnreachableError), 3),
        (SubmissionUncertainError("x", reference_id=None), 3),
        (DownloadError("x"), 3),
    ],
    ids=lambda value: (
        f"{type(value).__name__} {getattr(value, 'status', '')}" if isinstance(value, Exception) else ""
    ),
)
def test_each_error_has_its_code(error: ChamelaionError, code: int) -> None:
    assert of_error(error) == code


@pytest.mark.parametrize(
    ("status", "code"),
    [("queued", 0), ("processing", 0), ("completed", 0), ("failed", 1), ("unheard-of", 0)],
)
def test_only_an_end_without_a_result_is_a_failure(
    job: Callable[..., LipsyncRequest], status: str, code: int
) -> None:
    assert of_job(job(status)) == code
    assert of_outcome(Outcome(id="x", request=job(status))) == code


def test_an_unknown_end_is_a_failure(job: Callable[..., LipsyncRequest]) -> None:
    assert of_job(job("cancelled", finished_at=job("completed").finished_at)) == 1


@pytest.mark.parametrize(
    ("codes", "code"),
    [([], 0), ([0, 0], 0), ([0, 1], 1), ([1, 3, 0], 3), ([3, 2, 1], 2)],
)
def test_the_worst_speaks_for_all(codes: list[int], code: int) -> None:
    assert worst(map(ExitCode, codes)) == code


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (answer(errors.AuthenticationError, 401), "answered 401, said the service; check CHAMELAION_API_KEY"),
        (answer(PermissionDeniedError, 403), "answered 403, said the service"),
        (answer(NotFoundError, 404), "answered 404, said the service; check the id"),
        (answer(RateLimitError, 429), "try again later"),
        (answer(RateLimitError, 429, retry_after=2.0), "try again in 2 s"),
        (answer(errors.InternalServerError, 500), "answered 500, said the service"),
        (answer(QuotaExceededError, 412), "in the words of the library"),
        (unsent(), "Check the network and --base-url"),
        (ConfigurationError("pass allow_http=True if trusted"), "pass --allow-http if trusted"),
        (ConfigurationError("my_api_key is not api_key"), "my_api_key is not --api-key"),
        (DownloadError("pass overwrite=True"), "pass --overwrite"),
        (ConfigurationError("no file; a str is taken as a path"), "no file"),
        (ended(WaitTimeoutError), "nothing was read after 2.0 s; wait again or raise --timeout"),
        (ended(WaitTimeoutError, error=unsent()), "(the last poll failed: Check the network and --base-url)"),
        (ended(WaitUnreachableError, error=unsent()), "without an answer: Check the network and --base-url"),
        (ended(WaitUnreachableError), "without an answer: the service does not answer"),
    ],
)
def test_errors_speak_to_the_shell(error: ChamelaionError, hint: str) -> None:
    assert hint in explain(error)


NEXT = ". Give the next one a --reference-id, by which it can be found"


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (answer(errors.InternalServerError, 502), "the service answered 502, said the service"),
        (unsent(), "Check the network and --base-url"),
        (None, "its answer was lost"),
    ],
)
@pytest.mark.parametrize(("reference_id", "end"), [("mine", ""), (None, NEXT)])
def test_a_lost_submission_is_not_called_a_failure(
    cause: ChamelaionError | None, reason: str, reference_id: str | None, end: str
) -> None:
    error = SubmissionUncertainError("in the words of the library", reference_id=reference_id)
    error.__cause__ = cause
    error.add_note("Look for it there")
    assert explain(error) == f"the submission may or may not have been accepted: {reason}. Look for it there{end}"


def test_a_timeout_tells_how_things_stand(job: Callable[..., LipsyncRequest]) -> None:
    text = explain(ended(WaitTimeoutError, last=job("processing")))
    assert text == "still processing after 2.0 s; the job goes on, wait again or raise --timeout"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ended(WaitTimeoutError), "timed out"),
        (ended(WaitUnreachableError), "unreachable"),
        (answer(NotFoundError, 404), "not found"),
        (answer(errors.AuthenticationError, 401), "error"),
    ],
)
def test_errors_have_a_short_name(error: ChamelaionError, words: str) -> None:
    assert label(error) == words
