"""What the document shows as answers, our client returns as models and raises as errors."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

import pytest

from chamelaion_async import (
    APIStatusError,
    Artifacts,
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    GenerateAccepted,
    Health,
    InternalServerError,
    LipsyncRequest,
    NotFoundError,
    Page,
    Pagination,
    QuotaExceededError,
    RateLimitError,
    SubmissionUncertainError,
    User,
    VideoTranslateRequest,
    Voice,
)

from .document import Document, load
from .recording import RecordingServer

Ask = Callable[[AsyncClient], Awaitable[object]]

ASK: dict[str, Ask] = {
    "health.check": lambda client: client.health.check(),
    "users.me": lambda client: client.users.me(),
    "lipsync.generate": lambda client: client.lipsync.generate(video="https://x.y/v.mp4", audio="https://x.y/a.wav"),
    "lipsync.generate_with_media": lambda client: client.lipsync.generate_with_media(video=b"v", audio=b"a"),
    "lipsync.requests.get": lambda client: client.lipsync.requests.get("dub-42"),
    "lipsync.requests.list": lambda client: client.lipsync.requests.list(),
    "video_translate.generate": lambda client: client.video_translate.generate(
        video="https://x.y/v.mp4", target_languages=["de"]
    ),
    "video_translate.generate_with_media": lambda client: client.video_translate.generate_with_media(
        video=b"v", target_languages=["de"]
    ),
    "video_translate.requests.get": lambda client: client.video_translate.requests.get("dub-42"),
    "video_translate.requests.list": lambda client: client.video_translate.requests.list(),
    "video_translate.voices.list": lambda client: client.video_translate.voices.list(),
}


def _fields(example: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an object of the document as Python has them."""
    read: dict[str, Callable[[Any], Any]] = {
        **dict.fromkeys(("created_at", "started_at", "finished_at"), datetime.fromisoformat),
        "outputs": lambda outputs: {language: Artifacts(**each) for language, each in outputs.items()},
    }
    return {name: read[name](value) if name in read and value else value for name, value in example.items()}


def _page(kind: type[Any], example: dict[str, Any]) -> Page[Any]:
    rows = example.get("data", example.get("voices", ()))
    return Page(data=[kind(**_fields(row)) for row in rows], pagination=Pagination(**example["pagination"]))


KINDS: dict[str, type[Any]] = {
    "health.check": Health,
    "users.me": User,
    "lipsync.generate": GenerateAccepted,
    "lipsync.generate_with_media": GenerateAccepted,
    "lipsync.requests.get": LipsyncRequest,
    "lipsync.requests.list": LipsyncRequest,
    "video_translate.generate": GenerateAccepted,
    "video_translate.generate_with_media": GenerateAccepted,
    "video_translate.requests.get": VideoTranslateRequest,
    "video_translate.requests.list": VideoTranslateRequest,
    "video_translate.voices.list": Voice,
}


def _model(document: Document, operation: str, name: str | None = None) -> Any:
    """Return the model that the documented example of an answer is to become."""
    kind, example = KINDS[operation], document.example(operation, name=name)
    return _page(kind, example) if operation.endswith(".list") else kind(**_fields(example))


ERRORS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    404: NotFoundError,
    412: QuotaExceededError,
    429: RateLimitError,
    500: InternalServerError,
}


def _documented_errors() -> list[tuple[str, int]]:
    return [(each.id, status) for each in load().operations.values() for status in each.statuses if status >= 400]


def test_every_operation_has_its_model() -> None:
    assert set(KINDS) == set(ASK) == set(load().operations)


@pytest.mark.parametrize("operation", sorted(ASK))
async def test_the_documented_example_becomes_its_model(
    client: AsyncClient, document: Document, operation: str
) -> None:
    assert await ASK[operation](client) == _model(document, operation)


def _given(value: Any) -> Any:
    """Return an object without what is null or absent, and with six digits for each fraction of a second."""
    if isinstance(value, dict):
        return {name: _given(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_given(each) for each in value]
    if isinstance(value, str):
        return re.sub(r"(?<=T\d\d:\d\d:\d\d)\.\d+", lambda fraction: fraction[0].ljust(7, "0"), value)
    return value


def _examples() -> list[tuple[str, str | None]]:
    document = load()
    return [
        (operation, name)
        for operation in document.operations
        for name in document.response(operation, 200)["content"]["application/json"].get("examples", [None])
    ]


@pytest.mark.parametrize(("operation", "name"), _examples())
async def test_a_model_gives_the_documented_example_back(
    client: AsyncClient, api: RecordingServer, document: Document, operation: str, name: str | None
) -> None:
    example = document.example(operation, name=name)
    api.answer(operation, example)
    model: Any = await ASK[operation](client)
    assert _given(model.to_dict()) == _given(example)
    assert _given(json.loads(model.to_json())) == _given(example)


@pytest.mark.parametrize("name", ["completed", "failed"])
async def test_a_wait_ends_with_the_documented_ends(
    client: AsyncClient, api: RecordingServer, document: Document, name: str
) -> None:
    api.answer("lipsync.requests.get", document.example("lipsync.requests.get", name=name))
    request = await client.wait_until_finished("any", timeout=5)
    assert request == _model(document, "lipsync.requests.get", name)
    assert (request.is_completed, request.is_failed) == (name == "completed", name == "failed")


@pytest.mark.parametrize("area", ["lipsync.requests", "video_translate.requests", "video_translate.voices"])
async def test_iterating_over_a_list_yields_the_documented_rows(
    client: AsyncClient, document: Document, area: str
) -> None:
    rows = [row async for row in attrgetter(area)(client).iterate()]
    assert rows == _model(document, f"{area}.list").data


@pytest.mark.parametrize(
    ("operation", "schema"),
    [("lipsync.requests.get", "LipsyncRequest"), ("video_translate.requests.get", "VideoTranslateRequest")],
)
async def test_fields_that_may_be_absent_or_null_are_none(
    client: AsyncClient, api: RecordingServer, document: Document, operation: str, schema: str
) -> None:
    spec, example = document.content["components"]["schemas"][schema], document.example(operation)
    nullable = {name for name, each in spec["properties"].items() if "null" in each["type"]}
    required = {name: example[name] for name in spec["required"]}
    assert len(nullable) == (0 if "lipsync" in operation else 7)
    for answer in (required, {**example, **dict.fromkeys(nullable)}):
        api.answer(operation, answer)
        request = await ASK[operation](client)
        expected = {name for name in spec["properties"] if answer.get(name) is None}
        assert {name for name in spec["properties"] if getattr(request, name) is None} == expected


@pytest.mark.parametrize(
    "written",
    [
        "2026-04-07T10:00:00Z",
        "2026-04-07T12:00:00+02:00",
        "2026-04-07T10:00:00.000Z",
        "2026-04-07T10:00:00.000000000-00:00",
        "2026-04-07t10:00:00z",
    ],
)
async def test_a_time_is_read_in_any_form_that_rfc_3339_has(
    client: AsyncClient, api: RecordingServer, document: Document, written: str
) -> None:
    answer = {**document.example("lipsync.requests.get"), "created_at": written}
    api.answer("lipsync.requests.get", answer)
    assert document.faults({"type": "string", "format": "date-time"}, written) == []
    assert (await client.lipsync.requests.get("dub-42")).created_at == datetime(2026, 4, 7, 10, tzinfo=UTC)


@pytest.mark.parametrize("operation", [each for each in sorted(ASK) if each.endswith("list")])
async def test_an_empty_page_is_a_page(client: AsyncClient, api: RecordingServer, operation: str) -> None:
    key = "voices" if "voices" in operation else "data"
    api.answer(operation, {key: [], "pagination": {"limit": 20, "offset": 40, "total": 7}})
    assert await ASK[operation](client) == Page(data=[], pagination=Pagination(limit=20, offset=40, total=7))


@pytest.mark.parametrize(("operation", "status"), _documented_errors())
async def test_a_documented_error_becomes_its_class_with_its_text(
    client: AsyncClient, api: RecordingServer, document: Document, operation: str, status: int
) -> None:
    answer = document.example(operation, status)
    api.answer(operation, answer, status=status)
    with pytest.raises((APIStatusError, SubmissionUncertainError)) as caught:
        await ASK[operation](client)
    error: BaseException | None = caught.value
    if status == 500 and "generate" in operation:
        # A generation call that the service failed at may have started a job.
        assert isinstance(error, SubmissionUncertainError)
        error = error.__cause__
    assert type(error) is ERRORS[status]
    assert isinstance(error, APIStatusError)
    assert (error.status, error.message) == (status, answer["error"])


def test_every_documented_error_is_tested() -> None:
    assert {status for _, status in _documented_errors()} == set(ERRORS)
    assert len(_documented_errors()) == 41
