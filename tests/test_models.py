"""Models: their fields, what a status means, how long a job took, and that they cannot be changed."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from chamelaion_async import models
from chamelaion_async.errors import NotFoundError, RequestFailedError
from chamelaion_async.models import (
    Artifacts,
    ErrorOutcome,
    GenerateAccepted,
    Health,
    LipsyncRequest,
    Outcome,
    Page,
    Pagination,
    RawResponse,
    RequestOutcome,
    RequestStatus,
    Subtitle,
    User,
    VideoTranslateRequest,
    Voice,
)

CREATED = datetime(2026, 4, 7, 10, 0, 0, tzinfo=UTC)
STARTED = datetime(2026, 4, 7, 10, 0, 5, tzinfo=UTC)
FINISHED = datetime(2026, 4, 7, 10, 1, 30, tzinfo=UTC)

PAGINATION = Pagination(limit=20, offset=0, total=0)

# Required fields with a value each, and optional fields, which are None where they are absent.
JOB_OPTIONAL = {"reference_id", "started_at", "finished_at", "error_message"}
ERRORS_OR_REQUESTS: Any = Outcome
"""The class; to type checkers it is a union."""

FIELDS: dict[type[Any], tuple[dict[str, Any], set[str]]] = {
    LipsyncRequest: (
        {"id": "6f82a2d8", "status": "queued", "created_at": CREATED},
        JOB_OPTIONAL | {"output_url"},
    ),
    VideoTranslateRequest: (
        {
            "id": "9d3a0d2e",
            "status": "queued",
            "created_at": CREATED,
            "target_languages": ["de"],
            "model": "expressive",
            "config": {},
            "disable_background_audio": False,
            "disable_lip_sync": False,
            "formality": False,
        },
        JOB_OPTIONAL | {"outputs", "source_language", "webhook_url"},
    ),
    GenerateAccepted: ({"request_id": "6f82a2d8", "status": "success"}, set()),
    Page: ({"data": [], "pagination": PAGINATION}, set()),
    Pagination: ({"limit": 20, "offset": 0, "total": 2}, set()),
    Voice: (
        {
            "voice_id": "v-1",
            "name": "Ada",
            "default_name": "Ada",
            "description": "calm",
            "language": "de",
            "application": "narration",
            "gender": "Female",
            "is_favorite": True,
        },
        set(),
    ),
    User: ({"name": "production-key"}, set()),
    Health: ({"status": "ok"}, set()),
    Artifacts: ({"video": "https://v", "audio": "https://a", "srt": "https://s"}, set()),
    Subtitle: ({"content": "1\n"}, {"file_name", "language"}),
    ERRORS_OR_REQUESTS: ({"id": "6f82a2d8"}, {"request", "error"}),
    RawResponse: ({"status": 200, "headers": {}, "body": b"", "attempts": 1}, set()),
}
MODELS = [pytest.param(model, id=model.__name__) for model in FIELDS]


def request(status: str, **fields: Any) -> LipsyncRequest:
    return LipsyncRequest(id="6f82a2d8", status=status, created_at=CREATED, **fields)


def test_the_table_of_fields_covers_every_model() -> None:
    assert sorted([*(model.__name__ for model in FIELDS), "Job", "OnUpdate", "RequestStatus"]) == sorted(
        models.__all__
    )


@pytest.mark.parametrize("model", MODELS)
def test_a_model_has_exactly_the_documented_fields(model: type[Any]) -> None:
    required, optional = FIELDS[model]
    assert {field.name for field in attrs.fields(model) if field.init} == set(required) | optional


@pytest.mark.parametrize("model", MODELS)
def test_an_absent_optional_field_is_none(model: type[Any]) -> None:
    required, optional = FIELDS[model]
    made = model(**required)
    assert {name: getattr(made, name) for name in optional} == dict.fromkeys(optional)


@pytest.mark.parametrize(
    ("model", "name"), [(model, name) for model, (required, _) in FIELDS.items() for name in required]
)
def test_a_required_field_has_no_default(model: type[Any], name: str) -> None:
    required = {key: value for key, value in FIELDS[model][0].items() if key != name}
    with pytest.raises(TypeError, match=name):
        model(**required)


@pytest.mark.parametrize("model", MODELS)
def test_a_model_takes_keywords_only(model: type[Any]) -> None:
    with pytest.raises(TypeError, match="positional"):
        model(*FIELDS[model][0].values())


@pytest.mark.parametrize(
    ("model", "name"), [(model, name) for model, (required, _) in FIELDS.items() for name in required]
)
def test_a_model_is_frozen(model: type[Any], name: str) -> None:
    made = model(**FIELDS[model][0])
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(made, name, "changed")


@pytest.mark.parametrize("model", MODELS)
def test_a_model_has_slots(model: type[Any]) -> None:
    assert not hasattr(model(**FIELDS[model][0]), "__dict__")


@pytest.mark.parametrize("model", MODELS)
def test_a_model_survives_pickling(model: type[Any]) -> None:
    made = model(**FIELDS[model][0])
    assert pickle.loads(pickle.dumps(made)) == made


@pytest.mark.parametrize("model", MODELS)
def test_a_model_survives_deep_copying(model: type[Any]) -> None:
    made = model(**FIELDS[model][0])
    assert copy.deepcopy(made) == made


@pytest.mark.parametrize(
    ("status", "finished_at", "completed", "failed", "finished"),
    [
        ("queued", None, False, False, False),
        ("uploading", None, False, False, False),
        ("processing", None, False, False, False),
        ("queued", FINISHED, False, False, False),
        ("uploading", FINISHED, False, False, False),
        ("processing", FINISHED, False, False, False),
        ("completed", None, True, False, True),
        ("completed", FINISHED, True, False, True),
        ("failed", None, False, True, True),
        ("failed", FINISHED, False, True, True),
        ("cancelled", None, False, False, False),
        ("cancelled", FINISHED, False, False, True),
        ("cancelled", CREATED, False, False, True),
        ("archiving", CREATED - timedelta(seconds=1), False, False, False),
        ("archiving", datetime(1, 1, 1, tzinfo=UTC), False, False, False),
        ("Completed", None, False, False, False),
        ("", None, False, False, False),
        ("", FINISHED, False, False, True),
    ],
)
def test_a_status_says_whether_the_job_is_over(
    status: str, finished_at: datetime | None, completed: bool, failed: bool, finished: bool
) -> None:
    made = request(status, finished_at=finished_at)
    assert (made.is_completed, made.is_failed, made.is_finished) == (completed, failed, finished)


def test_the_known_statuses_are_the_documented_ones() -> None:
    assert [str(status) for status in RequestStatus] == ["queued", "uploading", "processing", "completed", "failed"]


def test_a_status_from_the_api_compares_equal_to_the_known_one() -> None:
    assert request("processing").status == RequestStatus.PROCESSING


@pytest.mark.parametrize(
    ("started_at", "finished_at", "duration"),
    [
        (None, None, None),
        (STARTED, None, None),
        (None, FINISHED, None),
        (STARTED, FINISHED, timedelta(seconds=85)),
        (STARTED, STARTED, timedelta(0)),
    ],
)
def test_duration_is_from_start_to_end_and_none_while_either_is_unknown(
    started_at: datetime | None, finished_at: datetime | None, duration: timedelta | None
) -> None:
    assert request("completed", started_at=started_at, finished_at=finished_at).duration == duration


@pytest.mark.parametrize(
    ("started_at", "queue_time"), [(None, None), (STARTED, timedelta(seconds=5)), (CREATED, timedelta(0))]
)
def test_queue_time_is_from_acceptance_to_start_and_none_before_it(
    started_at: datetime | None, queue_time: timedelta | None
) -> None:
    assert request("processing", started_at=started_at).queue_time == queue_time


@pytest.mark.parametrize(
    "passing",
    [
        request("queued"),
        request("processing", finished_at=FINISHED),
        request("cancelled"),
        request("completed", output_url="https://storage/6f82a2d8.mp4"),
        request("completed"),
        request("completed", error_message="a warning"),
    ],
    ids=lambda made: f"{made.status}-{made.output_url}",
)
def test_a_request_without_failure_passes(passing: LipsyncRequest) -> None:
    passing.raise_for_failure()


@pytest.mark.parametrize(
    "failing",
    [request("failed"), request("failed", finished_at=FINISHED), request("cancelled", finished_at=FINISHED)],
    ids=["failed", "failed with an end", "unknown with an end"],
)
def test_a_request_that_ended_without_result_is_raised_in_its_error(failing: LipsyncRequest) -> None:
    with pytest.raises(RequestFailedError) as caught:
        failing.raise_for_failure()
    assert caught.value.request is failing


@pytest.mark.parametrize(
    "named", ["6f82a2d8", "dub-42", "failed", "video URL is not accessible"], ids=["id", "reference", "status", "why"]
)
def test_the_text_of_a_failure_names_what_a_reader_needs(named: str) -> None:
    with pytest.raises(RequestFailedError) as caught:
        request("failed", reference_id="dub-42", error_message="video URL is not accessible").raise_for_failure()
    assert named in str(caught.value)


def test_a_failure_without_reason_says_so() -> None:
    with pytest.raises(RequestFailedError, match="gave no reason"):
        request("failed").raise_for_failure()


def test_a_translation_knows_its_end_as_a_lip_sync_does() -> None:
    made = VideoTranslateRequest(**{**FIELDS[VideoTranslateRequest][0], "status": "failed"})
    with pytest.raises(RequestFailedError):
        made.raise_for_failure()


def test_an_outcome_with_a_request_unwraps_to_it() -> None:
    made = request("completed")
    assert RequestOutcome(id="dub-42", request=made).unwrap() is made


def test_an_outcome_with_an_error_raises_it_when_unwrapped() -> None:
    error = NotFoundError("no", status=404, message="no", headers={}, body=None, method="GET", path="/x")
    outcome: Outcome[LipsyncRequest] = ErrorOutcome(id="dub-42", error=error)
    with pytest.raises(NotFoundError) as caught:
        outcome.unwrap()
    assert caught.value is error


def test_an_outcome_with_neither_does_not_unwrap_to_none() -> None:
    make: Any = Outcome  # to type checkers it is a union
    outcome = make(id="dub-42")
    with pytest.raises(ValueError, match="dub-42"):
        outcome.unwrap()
