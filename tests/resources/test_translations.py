"""Video translations: what is sent, what is refused before anything is sent, and what comes back."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aioresponses import aioresponses

from chamelaion_async import (
    Artifacts,
    AsyncClient,
    BadRequestError,
    ConfigurationError,
    GenerateAccepted,
    InvalidResponseError,
    NotFoundError,
    PollPolicy,
    RequestFailedError,
    Subtitle,
    VideoTranslateRequest,
    Voice,
)
from chamelaion_async._media.uploads import Upload
from chamelaion_async.sandbox import Fault, ManualClock, Sandbox

BASE_URL = "https://api.example.com/api"
GENERATE = "POST /v1/video-translate/generate"
GENERATE_WITH_MEDIA = "POST /v1/video-translate/generate-with-media"
EXAMPLE = "9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55"
VIDEO = "https://cdn.example.com/video.mp4"
WEBHOOK = "https://example.com/webhooks/video-translate"
SRT = "1\n00:00:00,000 --> 00:00:01,000\nGrüße\n"
OFTEN = PollPolicy(min_interval=0.001, max_interval=0.002)

FULL: dict[str, Any] = {
    "target_languages": ["de", "pt-BR"],
    "source_language": "en",
    "model": "classic",
    "disable_background_audio": True,
    "disable_lip_sync": False,
    "formality": True,
    "reference_id": "dub-42",
    "webhook_url": WEBHOOK,
}
CONFIGS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"speaker_voices": {"0": "v-1", "1": "v-2"}}, {"speaker_voices": {"0": "v-1", "1": "v-2"}}),
    ({"speaker_voices": {0: "v-1"}}, {"speaker_voices": {"0": "v-1"}}),
    ({"config": {"tts_model": "eleven_v4"}}, {"tts_model": "eleven_v4"}),
    ({"config": {"new": {"deep": [1, 2.5, None, True]}}}, {"new": {"deep": [1, 2.5, None, True]}}),
    (
        {"config": {"tts_model": "eleven_v4"}, "speaker_voices": {"0": "v-1"}},
        {"tts_model": "eleven_v4", "speaker_voices": {"0": "v-1"}},
    ),
    ({"config": {"speaker_voices": {"0": "old"}}, "speaker_voices": {"0": "v-1"}}, {"speaker_voices": {"0": "v-1"}}),
]
SUBTITLES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"source_srt": Subtitle(content=SRT)}, {"source_srt": {"content": SRT}}),
    (
        {"source_srt": Subtitle(content=SRT, file_name="en.srt", language="en")},
        {"source_srt": {"content": SRT, "file_name": "en.srt", "language": "en"}},
    ),
    (
        {"target_srts": {"de": Subtitle(content=SRT), "ja": Subtitle(content="2", language="ja")}},
        {"target_srts": {"de": {"content": SRT}, "ja": {"content": "2", "language": "ja"}}},
    ),
    (
        {
            "config": {"tts_model": "eleven_v4", "source_srt": {"content": "old"}},
            "source_srt": Subtitle(content=SRT),
            "target_srts": {"de": Subtitle(content=SRT)},
        },
        {"tts_model": "eleven_v4", "source_srt": {"content": SRT}, "target_srts": {"de": {"content": SRT}}},
    ),
]

BOTH = (GENERATE, GENERATE_WITH_MEDIA)
both = pytest.mark.parametrize("route", BOTH)
BAD_LANGUAGES: list[Any] = [
    "de",
    "",
    [],
    (),
    [""],
    ["de", ""],
    [" "],
    ["de\n"],
    ["\ud800"],
    [None],
    [42],
    {},
    [["de"]],
]
BAD_WEBHOOKS: list[Any] = [
    "",
    "/webhooks",
    "example.com/x",
    "ftp://example.com/x",
    "https://",
    "wss://x.example",
    42,
    b"x",
]
BAD_SUBTITLES: dict[str, tuple[Any, str]] = {
    "empty": ("", "blank"),
    "blank": (" \r\n\t", "blank"),
    "byte order mark alone": ("\ufeff\n", "blank"),
    "WebVTT": ("WEBVTT\n\n00:00.000 --> 00:02.000\nHello.\n", "takes SRT"),
    "WebVTT after a byte order mark": ("\ufeffWEBVTT - dub\n", "takes SRT"),
    "bytes": (SRT.encode(), "not bytes"),
}
BAD_CONFIGS: list[Any] = [{"x": float("nan")}, {"x": float("inf")}, {"x": object()}, {"x": b"bytes"}, {"x": {1, 2}}]


async def translate(client: AsyncClient, route: str = GENERATE, **options: Any) -> GenerateAccepted:
    options = {"target_languages": ["de"], **options}
    if route == GENERATE:
        return await client.video_translate.generate(**{"video": VIDEO, **options})
    return await client.video_translate.generate_with_media(**{"video": b"film", **options})


def posted(sandbox: Sandbox) -> Any:
    [body] = [received.body for received in sandbox.received if received.method == "POST"]
    return body


def files(sandbox: Sandbox) -> dict[str, Any]:
    return {name: value for name, value in posted(sandbox).items() if not isinstance(value, str)}


@both
async def test_options_left_at_none_are_not_sent(sandbox: Sandbox, sandbox_client: AsyncClient, route: str) -> None:
    nothing: dict[str, Any] = dict.fromkeys([*FULL, "config", "speaker_voices", "source_srt", "target_srts"])

    await translate(sandbox_client, route, **{**nothing, "target_languages": ["de"]})

    assert set(posted(sandbox)) == {"target_languages", "inputs" if route == GENERATE else "video"}


@pytest.mark.parametrize(
    ("route", "asked", "sent"),
    [
        *((GENERATE, *each) for each in [*CONFIGS, *SUBTITLES, ({"config": {}}, None)]),
        *((GENERATE_WITH_MEDIA, *each) for each in CONFIGS),
    ],
)
async def test_settings_are_merged_into_config(
    sandbox: Sandbox, sandbox_client: AsyncClient, route: str, asked: dict[str, Any], sent: dict[str, Any] | None
) -> None:
    before = copy.deepcopy(asked)

    await translate(sandbox_client, route, **asked)

    config = posted(sandbox).get("config")
    assert (json.loads(config) if isinstance(config, str) else config) == sent
    assert asked == before


@pytest.mark.parametrize("languages", [("de", "ja"), ["de", "ja"], {"de": 1, "ja": 2}], ids=["tuple", "list", "dict"])
@both
async def test_languages_may_be_any_collection(
    sandbox: Sandbox, sandbox_client: AsyncClient, route: str, languages: Any
) -> None:
    await translate(sandbox_client, route, target_languages=languages)

    [job] = sandbox.jobs.values()
    assert job.payload["target_languages"] == ["de", "ja"]


@both
async def test_the_acceptance_names_the_translation(
    sandbox: Sandbox, sandbox_client: AsyncClient, route: str
) -> None:
    accepted = await translate(sandbox_client, route)

    assert accepted == GenerateAccepted(request_id=next(iter(sandbox.jobs)), status="success")


async def test_a_video_is_sent_under_its_name(sandbox: Sandbox, sandbox_client: AsyncClient, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film")

    await translate(sandbox_client, GENERATE_WITH_MEDIA, video=path)

    assert files(sandbox) == {"video": {"filename": "film.mp4", "content_type": "video/mp4", "size": 4}}


async def test_the_subtitles_of_each_language_are_a_part_of_the_form(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    subtitles = {"de": Subtitle(content=SRT), "pt-BR": Subtitle(content=SRT, file_name="brasil.srt")}

    await translate(sandbox_client, GENERATE_WITH_MEDIA, target_srts=subtitles)

    assert {name: each["filename"] for name, each in files(sandbox).items() if name != "video"} == {
        "target_srt.de": "de.srt",
        "target_srt.pt-BR": "brasil.srt",
    }


@pytest.fixture
def srt_path(tmp_path: Path) -> Path:
    path = tmp_path / "film.srt"
    path.write_text(SRT, "utf-8")
    return path


AS_SOURCES: dict[str, Callable[[Path], Any]] = {
    "Subtitle": lambda _: Subtitle(content=SRT),
    "Path": lambda path: path,
    "str": str,
    "bytes": lambda _: SRT.encode(),
    "Upload of a path": Upload,
    "Upload of bytes": lambda _: Upload(SRT.encode(), file_name="film.srt"),
    "open file": lambda _: io.BytesIO(SRT.encode()),
}
as_sources = pytest.mark.parametrize("made", list(AS_SOURCES.values()), ids=list(AS_SOURCES))


@as_sources
async def test_subtitles_of_any_source_are_sent_with_the_settings(
    sandbox: Sandbox, sandbox_client: AsyncClient, srt_path: Path, made: Callable[[Path], Any]
) -> None:
    srts = {"source_srt": made(srt_path), "target_srts": {"de": made(srt_path)}}

    await translate(sandbox_client, GENERATE_WITH_MEDIA, speaker_voices={"0": "v-1"}, **srts)

    [job] = sandbox.jobs.values()
    config = job.payload["config"]
    assert [each["content"] for each in (config["source_srt"], config["target_srts"]["de"])] == [SRT, SRT]
    assert config["speaker_voices"] == {"0": "v-1"}


@pytest.mark.parametrize("name", ["video", "source_srt"])
async def test_a_file_that_is_missing_is_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, tmp_path: Path, name: str
) -> None:
    with pytest.raises(ConfigurationError, match=name):
        await translate(sandbox_client, GENERATE_WITH_MEDIA, **{name: tmp_path / "nowhere"})

    assert sandbox.received == ()


async def test_progress_counts_subtitles_too(sandbox_client: AsyncClient) -> None:
    seen: list[tuple[int, int]] = []

    await translate(
        sandbox_client,
        GENERATE_WITH_MEDIA,
        source_srt=b"subtitles",
        on_progress=lambda sent, total: seen.append((sent, total)),
    )

    assert seen == [(4, 13), (13, 13)]


@both
@pytest.mark.parametrize("name", ["source_srt", "target_srts"])
@pytest.mark.parametrize(("content", "reason"), BAD_SUBTITLES.values(), ids=BAD_SUBTITLES)
async def test_subtitles_that_cannot_be_srt_are_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, route: str, name: str, content: Any, reason: str
) -> None:
    subtitle: Any = Subtitle(content=content)
    options = {name: {"de": subtitle} if name == "target_srts" else subtitle}

    with pytest.raises(ConfigurationError, match=f"{name}.*{reason}"):
        await translate(sandbox_client, route, **options)

    assert sandbox.received == ()


async def test_subtitles_after_a_byte_order_mark_are_sent_as_they_are(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    await translate(sandbox_client, source_srt=Subtitle(content="\ufeff" + SRT))

    assert posted(sandbox)["config"]["source_srt"]["content"] == "\ufeff" + SRT


SRT_FOR = [{language: Subtitle(content=SRT)} for language in ("", "de\r\nx: 1", "\ud800")]
REFUSED: list[tuple[tuple[str, ...], str, Any]] = [
    *((BOTH, "target_languages", each) for each in BAD_LANGUAGES),
    *((BOTH, "webhook_url", each) for each in BAD_WEBHOOKS),
    *((BOTH, "config", each) for each in BAD_CONFIGS),
    *((BOTH, "reference_id", each) for each in ["", ".", "..", "\ud800", "x" * 513, 42]),
    *((BOTH[:1], "video", each) for each in ["", "film.mp4", "file:///film.mp4", None]),
    *((BOTH[1:], "target_srts", each) for each in SRT_FOR),
    (BOTH[:1], "source_srt", "film.srt"),  # a form takes files there, so this is an easy mistake
    (BOTH[:1], "target_srts", {"de": "film.srt"}),
]


@pytest.mark.parametrize(
    ("route", "name", "value"),
    [(route, name, value) for routes, name, value in REFUSED for route in routes],
)
async def test_an_impossible_argument_is_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, route: str, name: str, value: Any
) -> None:
    named = {"reference_id": "id", "target_srts": "target_"}.get(name, name)

    with pytest.raises(ConfigurationError, match=named) as caught:
        await translate(sandbox_client, route, **{name: value})

    assert sandbox.received == ()
    assert name == "video" or "generate_with_media" not in str(caught.value)


@both
async def test_a_single_language_is_answered_with_how_to_write_it(sandbox_client: AsyncClient, route: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\['de'\]"):
        await translate(sandbox_client, route, target_languages="de")


@both
async def test_a_model_that_is_not_known_here_is_left_to_the_service(sandbox_client: AsyncClient, route: str) -> None:
    with pytest.raises(BadRequestError, match="invalid request body"):
        await translate(sandbox_client, route, model="baroque")


NULLS = {
    "id": "t-1",
    "target_languages": ["de"],
    "disable_background_audio": False,
    "disable_lip_sync": False,
    "formality": False,
    "model": "expressive",
    "config": {},
    "status": "queued",
    "created_at": "2026-04-07T10:00:00Z",
    "started_at": None,
    "finished_at": None,
    "error_message": None,
    "outputs": None,
    "reference_id": None,
    "source_language": None,
    "webhook_url": None,
}
OPTIONAL = [name for name, value in NULLS.items() if value is None]
REQUIRED = [name for name, value in NULLS.items() if value is not None]


async def read(client: AsyncClient, mock: aioresponses, answer: dict[str, Any]) -> VideoTranslateRequest:
    mock.get(f"{BASE_URL}/v1/video-translate/requests/t-1", payload=answer)
    return await client.video_translate.requests.get("t-1")


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        *((name, {**NULLS, name: None}) for name in REQUIRED),
        *((name, {key: value for key, value in NULLS.items() if key != name}) for name in REQUIRED),
        *((name, {**NULLS, name: 42}) for name in OPTIONAL),
        ("srt", {**NULLS, "outputs": {"de": {"video": "https://x/v", "audio": "https://x/a"}}}),
    ],
)
async def test_a_field_that_is_null_absent_or_mistyped_is_an_error_that_names_it(
    client: AsyncClient, mock: aioresponses, name: str, answer: dict[str, Any]
) -> None:
    with pytest.raises(InvalidResponseError, match=name):
        await read(client, mock, answer)


async def test_outputs_are_artifacts_by_language(client: AsyncClient, mock: aioresponses) -> None:
    urls = {name: f"https://cdn.example.com/de/{name}" for name in ("video", "audio", "srt")}

    request = await read(client, mock, {**NULLS, "status": "completed", "outputs": {"de": urls}})

    assert request.outputs == {"de": Artifacts(**urls)}


@both
async def test_what_was_asked_for_comes_back(sandbox_client: AsyncClient, route: str) -> None:
    config = {"new": {"deep": [1, None]}}
    accepted = await translate(sandbox_client, route, config=config, **FULL)

    request = await sandbox_client.video_translate.requests.get(accepted.request_id)

    assert {name: getattr(request, name) for name in [*FULL, "config"]} == {**FULL, "config": config}


async def test_get_reads_a_translation_by_its_reference(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    job = sandbox.add_job(family="video_translate", reference_id="dub-42", target_languages=["de"])

    assert (await sandbox_client.video_translate.requests.get("dub-42")).id == job.id


async def test_the_documented_translation_is_read(sandbox_client: AsyncClient) -> None:
    request = await sandbox_client.video_translate.requests.get(EXAMPLE)

    assert (request.is_completed, list(request.outputs or {})) == (True, ["de"])


async def test_an_unknown_id_or_one_of_a_lip_sync_is_not_found(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    for id in ("unknown", sandbox.add_job().id):
        with pytest.raises(NotFoundError, match="video translate request not found"):
            await sandbox_client.video_translate.requests.get(id)


async def test_a_list_holds_translations_only(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    sandbox.add_job(reference_id="dub-42")
    job = sandbox.add_job(family="video_translate", reference_id="dub-42", target_languages=["de"])

    page = await sandbox_client.video_translate.requests.list(reference_id="dub-42")

    assert [request.id for request in page.data] == [job.id]


async def test_a_list_is_filtered_by_status(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    jobs = [sandbox.add_job(family="video_translate", target_languages=["de"], job_seconds=3600) for _ in range(3)]
    sandbox.fail(jobs[1].id, "no speech")

    page = await sandbox_client.video_translate.requests.list(status="failed")

    assert [(request.id, request.error_message) for request in page.data] == [(jobs[1].id, "no speech")]


async def test_a_walk_is_filtered_by_time(sandbox_client: AsyncClient, sandbox: Sandbox) -> None:
    days = [datetime(2026, 4, day, tzinfo=UTC) for day in (1, 2, 3, 4)]
    jobs = [sandbox.add_job(family="video_translate", target_languages=["de"], created_at=day) for day in days]

    walked = sandbox_client.video_translate.requests.iterate(
        created_after=days[0], created_before=days[3], page_size=1
    )

    assert [request.id async for request in walked] == [jobs[2].id, jobs[1].id]


async def test_a_wait_sees_every_status_on_the_way() -> None:
    clock, seen = ManualClock(), []

    def on_update(request: VideoTranslateRequest) -> None:
        seen.append(request.status)
        clock.advance(10)

    async with (
        Sandbox(job_seconds=30, queue_seconds=10, clock=clock) as sandbox,
        AsyncClient("sk-key", base_url=sandbox.base_url, polling=OFTEN) as client,
    ):
        accepted = await translate(client)
        await client.video_translate.requests.wait_until_finished(accepted.request_id, on_update=on_update)

    assert seen == ["queued", "uploading", "processing", "completed"]


async def test_a_completed_translation_has_outputs_in_every_language() -> None:
    async with Sandbox(job_seconds=0.0) as sandbox, AsyncClient("sk-key", base_url=sandbox.base_url) as client:
        accepted = await translate(client, target_languages=["de", "ja"])

        request = await client.video_translate.requests.wait_until_finished(accepted.request_id)

        assert list(request.outputs or {}) == ["de", "ja"]


async def test_a_failed_translation_is_a_result_with_the_reason_in_it(sandbox: Sandbox) -> None:
    job = sandbox.add_job(family="video_translate", target_languages=["de"], job_seconds=0, fails="no speech")

    async with AsyncClient("sk-key", base_url=sandbox.base_url) as client:
        request = await client.video_translate.requests.wait_until_finished(job.id)

    with pytest.raises(RequestFailedError, match="no speech"):
        request.raise_for_failure()


async def test_a_wait_for_a_finished_translation_goes_on_after_a_failed_read(sandbox: Sandbox) -> None:
    route = "GET /v1/video-translate/requests/{id}"
    sandbox.inject(Fault.status(503), route=route, times=2)

    async with AsyncClient("sk-key", base_url=sandbox.base_url, polling=OFTEN) as client:
        request = await client.video_translate.requests.wait_until_finished(EXAMPLE)

    assert (request.is_completed, sandbox.count(route), len(sandbox.received)) == (True, 3, 3)


@pytest.mark.parametrize(
    ("asked", "matches"),
    [
        ({"language": "de"}, lambda voice: voice.language == "de"),
        ({"gender": "Other"}, lambda voice: voice.gender == "Other"),
        ({"application": "conversation"}, lambda voice: voice.application == "conversation"),
        ({"favorite": True}, lambda voice: voice.is_favorite),
        ({"favorite": False}, lambda voice: not voice.is_favorite),
        ({"search": "sandbox mia"}, lambda voice: voice.name == "Mia"),
    ],
)
async def test_voices_are_filtered(
    sandbox_client: AsyncClient, asked: dict[str, Any], matches: Callable[[Voice], bool]
) -> None:
    every = [voice async for voice in sandbox_client.video_translate.voices.iterate()]

    found = [voice async for voice in sandbox_client.video_translate.voices.iterate(**asked, page_size=2)]

    assert found == [voice for voice in every if matches(voice)] != every


async def test_a_gender_that_is_not_known_here_is_left_to_the_service(sandbox_client: AsyncClient) -> None:
    with pytest.raises(BadRequestError, match="invalid gender"):
        await sandbox_client.video_translate.voices.list(gender="male")
