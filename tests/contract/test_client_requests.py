"""The client sends what the document describes, in every parameter."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from attrs import field, frozen

from chamelaion_async import AsyncClient, BadRequestError, RequestStatus, Subtitle, Upload

from .document import Document, load
from .recording import Recorded, RecordingServer

VIDEO_URL = "https://cdn.example.com/v.mp4?token=a%20b&c"
AUDIO_URL = "https://cdn.example.com/a.wav"
WEBHOOK_URL = "https://example.com/webhooks/video-translate"
VIDEO = b"\x00\x00\x00\x18ftypmp42\r\n\r\n--\xff"
AUDIO = b"RIFF\xff\xfe\r\n"
SRT = "1\n00:00:00,000 --> 00:00:01,000\nGrüße\n"
LIPSYNC_INPUTS = [{"type": "video", "url": VIDEO_URL}, {"type": "audio", "url": AUDIO_URL}]
TRANSLATE_INPUTS = [{"type": "video", "url": VIDEO_URL}]
REFERENCE = "dub 42/ü&=+%"

# Methods that make no call of their own: they read with the calls of `get` and `list`.
CONVERSATIONS = frozenset(
    {
        *("get_many", "wait_until_finished", "watch", "watch_many", "as_finished", "wait_all"),
        *("forecast", "nudge", "list_by_reference"),
    }
)


@frozen
class Row:
    """One call with one set of options, and what it must send.

    Args:
        method: dotted name of the client's method.
        options: the method's arguments.
        query: expected query.
        json: expected body, where it is JSON.
        form: expected parts, where it is a form; bytes for files.
        leads: operations that are called before.
    """

    method: str
    options: Mapping[str, Any] = field(factory=dict, kw_only=True)
    query: Mapping[str, str] = field(factory=dict, kw_only=True)
    json: Any = field(default=None, kw_only=True)
    form: Mapping[str, str | bytes] | None = field(default=None, kw_only=True)
    leads: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def operation(self) -> str:
        """What it must call: the operation of the same name, or the one that a conversation reads with."""
        return self.method.replace(".iterate", ".list").replace(".wait_until_finished", ".get")


FIRST_PAGE = {"limit": "100", "offset": "0"}
PLAIN = [
    Row("health.check"),
    Row("users.me"),
    Row("lipsync.generate", options={"video": VIDEO_URL, "audio": AUDIO_URL}, json={"inputs": LIPSYNC_INPUTS}),
    Row(
        "lipsync.generate_with_media",
        options={"video": VIDEO, "audio": AUDIO},
        form={"video": VIDEO, "audio": AUDIO},
    ),
    Row("lipsync.requests.get", options={"id": "dub-42"}),
    Row("lipsync.requests.list"),
    Row("lipsync.requests.iterate", query=FIRST_PAGE),
    Row(
        "video_translate.generate",
        options={"video": VIDEO_URL, "target_languages": ["de"]},
        json={"inputs": TRANSLATE_INPUTS, "target_languages": ["de"]},
    ),
    Row(
        "video_translate.generate_with_media",
        options={"video": VIDEO, "target_languages": ("de", "ja")},
        form={"video": VIDEO, "target_languages": '["de", "ja"]'},
    ),
    Row("video_translate.requests.get", options={"id": "dub-42"}),
    Row("video_translate.requests.list"),
    Row("video_translate.requests.iterate", query=FIRST_PAGE),
    Row("video_translate.voices.list"),
    Row("video_translate.voices.iterate", query=FIRST_PAGE),
]

LIST_FILTERS: Mapping[str, Any] = {
    "reference_id": REFERENCE,
    "status": RequestStatus.UPLOADING,
    "source_language": "en",
    "target_language": "pt-BR",
    "created_after": datetime(2026, 4, 7, 12, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=2))),
    "created_before": datetime(2026, 4, 8, tzinfo=UTC),
}
LIST_QUERY = {
    "reference_id": REFERENCE,
    "status": "uploading",
    "source_language": "en",
    "target_language": "pt-BR",
    "created_after": "2026-04-07T10:00:00.250000Z",
    "created_before": "2026-04-08T00:00:00Z",
}
VOICE_FILTERS: Mapping[str, Any] = {
    "language": "en",
    "gender": "Other",
    "application": "narration",
    "favorite": False,
    "search": "calm & low",
}
VOICE_QUERY: Mapping[str, str] = {**VOICE_FILTERS, "favorite": "false"}
TRANSLATE_FIELDS: Mapping[str, Any] = {
    "target_languages": ["de", "pt-BR"],
    "source_language": "en",
    "model": "classic",
    "disable_background_audio": True,
    "disable_lip_sync": False,
    "formality": True,
    "reference_id": REFERENCE,
    "webhook_url": WEBHOOK_URL,
}
TRANSLATE_OPTIONS: Mapping[str, Any] = {
    **TRANSLATE_FIELDS,
    "speaker_voices": {"0": "voice-id"},
    "config": {"tts_model": "eleven_v4", "x-new": [1]},
}
TRANSLATE_CONFIG = {"tts_model": "eleven_v4", "x-new": [1], "speaker_voices": {"0": "voice-id"}}


def _in_a_form(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _lists(area: str, filters: Mapping[str, Any], query: Mapping[str, str]) -> tuple[Row, Row]:
    """Return the rows of a list and of the iteration over it, with all filters."""
    page = Row(
        f"{area}.list",
        options={**filters, "limit": 100, "offset": 0},
        query={**query, "limit": "100", "offset": "0"},
    )
    pages = Row(f"{area}.iterate", options={**filters, "page_size": 7}, query={**query, "limit": "7", "offset": "0"})
    return page, pages


FULL = [
    Row(
        "lipsync.generate",
        options={
            "video": VIDEO_URL,
            "audio": AUDIO_URL,
            "reference_id": REFERENCE,
            "disable_active_speaker_detection": False,
        },
        json={"inputs": LIPSYNC_INPUTS, "reference_id": REFERENCE, "disable_active_speaker_detection": False},
        leads=("lipsync.requests.list",),
    ),
    Row(
        "lipsync.generate_with_media",
        options={
            "video": VIDEO,
            "audio": Upload(AUDIO, file_name="ä.wav", content_type="audio/wav"),
            "reference_id": REFERENCE,
            "disable_active_speaker_detection": True,
            "on_progress": lambda sent, total: None,
        },
        form={
            "video": VIDEO,
            "audio": AUDIO,
            "reference_id": REFERENCE,
            "disable_active_speaker_detection": "true",
        },
        leads=("lipsync.requests.list",),
    ),
    Row(
        "video_translate.generate",
        options={
            **TRANSLATE_OPTIONS,
            "video": VIDEO_URL,
            "source_srt": Subtitle(content=SRT, file_name="en.srt", language="en"),
            "target_srts": {"de": Subtitle(content=SRT)},
        },
        json={
            **TRANSLATE_FIELDS,
            "inputs": TRANSLATE_INPUTS,
            "config": {
                **TRANSLATE_CONFIG,
                "source_srt": {"content": SRT, "file_name": "en.srt", "language": "en"},
                "target_srts": {"de": {"content": SRT}},
            },
        },
        leads=("video_translate.requests.list",),
    ),
    Row(
        "video_translate.generate_with_media",
        options={
            **TRANSLATE_OPTIONS,
            "video": VIDEO,
            "source_srt": Subtitle(content=SRT, language="en"),
            "target_srts": {"de": SRT.encode(), "pt-BR": Upload(b"2", file_name="pt.srt")},
            "on_progress": lambda sent, total: None,
        },
        form={
            **{name: _in_a_form(value) for name, value in TRANSLATE_FIELDS.items()},
            "video": VIDEO,
            "config": json.dumps(TRANSLATE_CONFIG),
            "source_srt": SRT.encode(),
            "target_srt.de": SRT.encode(),
            "target_srt.pt-BR": b"2",
        },
        leads=("video_translate.requests.list",),
    ),
    *_lists("lipsync.requests", {"reference_id": REFERENCE}, {"reference_id": REFERENCE}),
    *_lists("video_translate.requests", LIST_FILTERS, LIST_QUERY),
    *_lists("video_translate.voices", VOICE_FILTERS, VOICE_QUERY),
]


def _name(row: Row) -> str:
    return row.method


def _method(client: AsyncClient, name: str) -> Any:
    return attrgetter(name)(client)


async def _sent(client: AsyncClient, api: RecordingServer, row: Row) -> Recorded:
    called = _method(client, row.method)(**row.options)
    if isinstance(called, AsyncIterator):
        async for _ in called:
            pass
    else:
        await called
    assert api.faults == []
    assert [each.operation for each in api.recorded] == [*row.leads, row.operation]
    return api.recorded[-1]


@pytest.mark.parametrize("row", [*PLAIN, *FULL], ids=_name)
async def test_only_the_given_options_are_sent_under_their_documented_names_and_types(
    client: AsyncClient, api: RecordingServer, row: Row
) -> None:
    sent = await _sent(client, api, row)
    assert dict(sent.query) == dict(row.query)
    if row.form is not None:
        contents = {name: part.content for name, part in sent.parts.items()}
        assert contents == {
            name: value.encode() if isinstance(value, str) else value for name, value in row.form.items()
        }
    else:
        assert (json.loads(sent.body) if sent.body else None) == row.json


@pytest.mark.parametrize("row", FULL, ids=_name)
def test_the_rows_with_all_options_leave_no_argument_out(row: Row) -> None:
    client = AsyncClient("sk-test-key")
    assert set(inspect.signature(_method(client, row.method)).parameters) == set(row.options)


@pytest.mark.parametrize("row", [row for row in FULL if not row.method.endswith("iterate")], ids=_name)
def test_every_documented_option_has_an_argument(document: Document, row: Row) -> None:
    operation = document.operations[row.operation]
    assert set(row.query) == set(operation.parameters)
    if operation.media_type is not None:
        schema = document.resolve(operation.spec["requestBody"]["content"][operation.media_type]["schema"])
        assert set(schema["properties"]) <= set(row.json or row.form or {})


def test_every_operation_of_the_document_is_called() -> None:
    assert {row.operation for row in PLAIN} == set(load().operations)


def test_every_public_method_is_called() -> None:
    client = AsyncClient("sk-test-key")
    areas = ("health", "users", "lipsync", "lipsync.requests", "video_translate", "video_translate.requests")
    methods = {
        f"{area}.{name}"
        for area in (*areas, "video_translate.voices")
        for name, member in inspect.getmembers(_method(client, area), callable)
        if not name.startswith("_") and name not in CONVERSATIONS
    }
    assert methods == {row.method for row in PLAIN}


@pytest.mark.parametrize("family", ["lipsync", "video_translate"])
@pytest.mark.parametrize(
    ("id", "segment"),
    [
        ("6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8", "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8"),
        ("a/b", "a%2Fb"),
        ("../users/me", "..%2Fusers%2Fme"),
        ("50% ü?#+", "50%25%20%C3%BC%3F%23%2B"),
    ],
)
async def test_an_id_stays_one_segment_of_the_documented_path(
    client: AsyncClient, api: RecordingServer, family: str, id: str, segment: str
) -> None:
    sent = await _sent(client, api, Row(f"{family}.requests.get", options={"id": id}))
    assert sent.path == f"/api/v1/{family.replace('_', '-')}/requests/{segment}"


@pytest.mark.parametrize("family", ["lipsync", "video_translate"])
async def test_waiting_for_a_finished_request_is_one_documented_get(
    client: AsyncClient, api: RecordingServer, family: str
) -> None:
    await _sent(client, api, Row(f"{family}.requests.wait_until_finished", options={"id": "dub-42"}))
    assert len(api.recorded) == 1


async def test_files_are_sent_under_their_own_names(
    client: AsyncClient, api: RecordingServer, tmp_path: Path
) -> None:
    video, audio = tmp_path / "talk.mp4", tmp_path / "talk.wav"
    video.write_bytes(VIDEO)
    audio.write_bytes(AUDIO)
    with audio.open("rb") as opened:
        row = Row("lipsync.generate_with_media", options={"video": str(video), "audio": opened})
        parts = (await _sent(client, api, row)).parts
    assert {name: (part.file_name, part.content) for name, part in parts.items()} == {
        "video": ("talk.mp4", VIDEO),
        "audio": ("talk.wav", AUDIO),
    }


@pytest.mark.parametrize(
    ("credentials", "headers"),
    [
        ({"api_key": "sk"}, {"x-api-key": "sk", "Authorization": None}),
        ({"bearer_token": "tk"}, {"x-api-key": None, "Authorization": "Bearer tk"}),
        ({"api_key": "sk", "bearer_token": "tk"}, {"x-api-key": "sk", "Authorization": "Bearer tk"}),
    ],
)
@pytest.mark.parametrize("row", [row for row in PLAIN if row.method != "health.check"], ids=_name)
async def test_credentials_are_sent_as_the_security_schemes_say(
    api: RecordingServer, credentials: Mapping[str, Any], headers: Mapping[str, str | None], row: Row
) -> None:
    async with AsyncClient(**credentials, base_url=api.base_url) as client:
        sent = await _sent(client, api, row)
    assert {name: sent.headers.get(name) for name in headers} == headers


async def test_health_is_read_without_credentials(api: RecordingServer) -> None:
    async with AsyncClient(base_url=api.base_url) as client:
        await client.health.check()
    assert api.faults == []


# request() always sends credentials, and uploads nothing.
@pytest.mark.parametrize(
    "operation", [each for each in load().operations if each != "health.check" and not each.endswith("with_media")]
)
async def test_an_operation_can_be_called_by_its_path(
    client: AsyncClient, api: RecordingServer, document: Document, operation: str
) -> None:
    spec = document.operations[operation]
    body = spec.spec["requestBody"]["content"]["application/json"]["example"] if spec.media_type else None
    answer = await client.request(spec.method, spec.template.replace("{id}", "dub-42"), json=body)
    assert api.faults == []
    assert answer == document.example(operation)


@pytest.mark.parametrize(
    ("method", "path", "params"),
    [("GET", "/v1/lipsync/jobs", None), ("GET", "/v1/lipsync/requests", {"page": 2})],
)
async def test_a_call_that_is_not_documented_is_refused(
    client: AsyncClient, api: RecordingServer, method: str, path: str, params: Mapping[str, int] | None
) -> None:
    with pytest.raises(BadRequestError, match=r"no such operation|no parameter page"):
        await client.request(method, path, params=params)
    assert len(api.faults) == 1
