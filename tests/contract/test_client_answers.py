"""What the document shows as answers, our client returns as models and raises as errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
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

COMPLETED = LipsyncRequest(
    id="6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8",
    reference_id="dub-episode-42",
    status="completed",
    created_at=datetime(2026, 4, 7, 10, 0, 0, tzinfo=UTC),
    started_at=datetime(2026, 4, 7, 10, 0, 5, tzinfo=UTC),
    finished_at=datetime(2026, 4, 7, 10, 1, 30, tzinfo=UTC),
    output_url="https://storage.chamelaion.com/output/6f82a2d8.mp4",
)
FAILED = LipsyncRequest(
    id="a1b2c3d4-e5f6-7890-abcd-ef1234567890",
    reference_id="dub-episode-43",
    status="failed",
    created_at=datetime(2026, 4, 7, 11, 0, 0, tzinfo=UTC),
    started_at=datetime(2026, 4, 7, 11, 0, 4, tzinfo=UTC),
    finished_at=datetime(2026, 4, 7, 11, 0, 12, tzinfo=UTC),
    error_message="video URL is not accessible",
)
LIPSYNC_PAGE = Page(
    data=[
        LipsyncRequest(
            id="6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8",
            reference_id="batch-2026-04",
            status="completed",
            created_at=datetime(2026, 3, 30, 11, 0, 0, tzinfo=UTC),
            started_at=datetime(2026, 3, 30, 11, 0, 4, tzinfo=UTC),
            finished_at=datetime(2026, 3, 30, 11, 1, 9, tzinfo=UTC),
            output_url="https://storage.chamelaion.com/output/6f82a2d8.mp4",
        ),
        LipsyncRequest(
            id="a1b2c3d4-e5f6-7890-abcd-ef1234567890",
            reference_id="batch-2026-04",
            status="queued",
            created_at=datetime(2026, 3, 30, 11, 2, 0, tzinfo=UTC),
        ),
    ],
    pagination=Pagination(limit=20, offset=0, total=2),
)
TRANSLATION = VideoTranslateRequest(
    id="9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55",
    target_languages=["de"],
    disable_background_audio=False,
    disable_lip_sync=True,
    formality=True,
    model="expressive",
    config={"speaker_voices": {"0": "voice-id"}},
    status="completed",
    created_at=datetime(2026, 4, 7, 10, 0, 0, tzinfo=UTC),
    started_at=datetime(2026, 4, 7, 10, 0, 5, tzinfo=UTC),
    finished_at=datetime(2026, 4, 7, 10, 1, 30, 500_000, tzinfo=UTC),
    outputs={
        "de": Artifacts(
            video="https://storage.chamelaion.com/output/de.mp4",
            audio="https://storage.chamelaion.com/output/de.wav",
            srt="https://storage.chamelaion.com/output/de.srt",
        )
    },
    reference_id="dub-44",
    source_language="en",
    webhook_url="https://example.com/webhooks/video-translate",
)
VOICE = Voice(
    voice_id="voice-id",
    name="Ada",
    default_name="Adelaide",
    description="A calm voice",
    language="en",
    application="narration",
    gender="Female",
    is_favorite=True,
)
ONE = Pagination(limit=20, offset=0, total=1)
TRANSLATION_ID = "9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55"

MODELS: dict[str, object] = {
    "health.check": Health(status="ok"),
    "users.me": User(name="production-key"),
    "lipsync.generate": GenerateAccepted(status="success", request_id="6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8"),
    "lipsync.generate_with_media": GenerateAccepted(
        status="success", request_id="3b7df3e8-f578-44de-b4f5-5f58dd6b89e0"
    ),
    "lipsync.requests.get": COMPLETED,
    "lipsync.requests.list": LIPSYNC_PAGE,
    "video_translate.generate": GenerateAccepted(status="success", request_id=TRANSLATION_ID),
    "video_translate.generate_with_media": GenerateAccepted(status="success", request_id=TRANSLATION_ID),
    "video_translate.requests.get": TRANSLATION,
    "video_translate.requests.list": Page(data=[TRANSLATION], pagination=ONE),
    "video_translate.voices.list": Page(data=[VOICE], pagination=ONE),
}

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
    assert set(MODELS) == set(ASK) == set(load().operations)


@pytest.mark.parametrize("operation", sorted(ASK))
async def test_the_documented_example_becomes_its_model(client: AsyncClient, operation: str) -> None:
    assert await ASK[operation](client) == MODELS[operation]


async def test_the_documented_failure_becomes_its_model(
    client: AsyncClient, api: RecordingServer, document: Document
) -> None:
    api.answer("lipsync.requests.get", document.example("lipsync.requests.get", name="failed"))
    assert await client.lipsync.requests.get("dub-episode-43") == FAILED


@pytest.mark.parametrize("name", ["completed", "failed"])
async def test_a_wait_ends_with_the_documented_ends(
    client: AsyncClient, api: RecordingServer, document: Document, name: str
) -> None:
    api.answer("lipsync.requests.get", document.example("lipsync.requests.get", name=name))
    request = await client.wait_until_finished("any", timeout=5)
    assert (request.is_completed, request.is_failed) == (name == "completed", name == "failed")


@pytest.mark.parametrize("family", ["lipsync", "video_translate"])
async def test_walking_through_a_list_yields_the_documented_requests(client: AsyncClient, family: str) -> None:
    requests = [request async for request in getattr(client, family).requests.iterate()]
    page = MODELS[f"{family}.requests.list"]
    assert isinstance(page, Page)
    assert requests == page.data


async def test_walking_through_the_voices_yields_each(client: AsyncClient) -> None:
    assert [voice async for voice in client.video_translate.voices.iterate()] == [VOICE]


def _only_required(document: Document, value: dict[str, Any], schema: str) -> dict[str, Any]:
    required = document.content["components"]["schemas"][schema]["required"]
    return {name: each for name, each in value.items() if name in required}


@pytest.mark.parametrize(
    ("operation", "schema"),
    [("lipsync.requests.get", "LipsyncRequest"), ("video_translate.requests.get", "VideoTranslateRequest")],
)
async def test_fields_that_may_be_absent_are_none(
    client: AsyncClient, api: RecordingServer, document: Document, operation: str, schema: str
) -> None:
    example = document.example(operation)
    required = _only_required(document, example, schema)
    api.answer(operation, required)
    request = await ASK[operation](client)
    for name in document.content["components"]["schemas"][schema]["properties"]:
        assert (getattr(request, name) is None) == (name not in required)


async def test_fields_that_may_be_null_are_none(
    client: AsyncClient, api: RecordingServer, document: Document
) -> None:
    properties = document.content["components"]["schemas"]["VideoTranslateRequest"]["properties"]
    nullable = [name for name, schema in properties.items() if "null" in schema["type"]]
    api.answer(
        "video_translate.requests.get",
        {**document.example("video_translate.requests.get"), **dict.fromkeys(nullable)},
    )
    request = await client.video_translate.requests.get("dub-42")
    assert {name: getattr(request, name) for name in nullable} == dict.fromkeys(nullable)
    assert len(nullable) == 7


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
async def test_a_documented_error_becomes_its_class_with_the_services_words(
    client: AsyncClient, api: RecordingServer, document: Document, operation: str, status: int
) -> None:
    answer = document.example(operation, status)
    api.answer(operation, answer, status=status)
    with pytest.raises((APIStatusError, SubmissionUncertainError)) as caught:
        await ASK[operation](client)
    error: BaseException | None = caught.value
    if status == 500 and "generate" in operation:
        # A paid call that the service choked on may have been accepted.
        assert isinstance(error, SubmissionUncertainError)
        error = error.__cause__
    assert type(error) is ERRORS[status]
    assert isinstance(error, APIStatusError)
    assert (error.status, error.message) == (status, answer["error"])


def test_all_documented_errors_are_looked_at() -> None:
    assert {status for _, status in _documented_errors()} == set(ERRORS)
    assert len(_documented_errors()) == 41
