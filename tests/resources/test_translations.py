"""Video translation: what goes over the wire, and what comes back."""

from __future__ import annotations

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
INPUTS = [{"type": "video", "url": VIDEO}]
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

both = pytest.mark.parametrize("route", [GENERATE, GENERATE_WITH_MEDIA])
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
    "example.com/webhooks",
    "ftp://example.com/x",
    "https://",
    "wss://example.com/x",
    42,
    b"https://example.com/x",
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


def fields(sandbox: Sandbox) -> dict[str, str]:
    """The texts of the form that was sent."""
    return {name: value for name, value in posted(sandbox).items() if isinstance(value, str)}


def files(sandbox: Sandbox) -> dict[str, Any]:
    return {name: value for name, value in posted(sandbox).items() if not isinstance(value, str)}


def held(sandbox: Sandbox) -> Any:
    """The settings that the service made of what was sent."""
    [job] = sandbox.jobs.values()
    return job.payload["config"]


async def test_the_least_body_holds_nothing_but_what_must_be_there(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    await translate(sandbox_client)

    assert posted(sandbox) == {"inputs": INPUTS, "target_languages": ["de"]}


async def test_options_left_at_none_are_not_sent(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    nothing: dict[str, Any] = dict.fromkeys([*FULL, "config", "speaker_voices", "source_srt", "target_srts"])

    await translate(sandbox_client, **{**nothing, "target_languages": ["de"]})

    assert posted(sandbox) == {"inputs": INPUTS, "target_languages": ["de"]}


async def test_every_option_arrives_under_its_documented_name(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    await translate(sandbox_client, **FULL)

    assert posted(sandbox) == {"inputs": INPUTS, **FULL}


async def test_the_documented_example_is_sent_as_documented(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    await translate(sandbox_client, model="expressive", speaker_voices={"0": "voice-id"}, webhook_url=WEBHOOK)

    assert posted(sandbox) == {
        "inputs": INPUTS,
        "target_languages": ["de"],
        "model": "expressive",
        "config": {"speaker_voices": {"0": "voice-id"}},
        "webhook_url": WEBHOOK,
    }


@pytest.mark.parametrize(("asked", "sent"), CONFIGS + SUBTITLES)
async def test_settings_are_merged_into_config(
    sandbox: Sandbox, sandbox_client: AsyncClient, asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    await translate(sandbox_client, **asked)

    assert posted(sandbox)["config"] == sent


async def test_a_config_that_is_passed_is_not_changed(sandbox_client: AsyncClient) -> None:
    config: dict[str, Any] = {"tts_model": "eleven_v4"}

    await translate(sandbox_client, config=config, speaker_voices={"0": "v-1"})

    assert config == {"tts_model": "eleven_v4"}


async def test_an_empty_config_is_not_sent(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    await translate(sandbox_client, config={})

    assert "config" not in posted(sandbox)


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


async def test_the_least_form_holds_nothing_but_what_must_be_there(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    await translate(sandbox_client, GENERATE_WITH_MEDIA)

    assert (fields(sandbox), list(files(sandbox))) == ({"target_languages": '["de"]'}, ["video"])


async def test_every_field_of_the_form_is_named_and_written_as_documented(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    await translate(sandbox_client, GENERATE_WITH_MEDIA, **FULL)

    assert fields(sandbox) == {
        **FULL,
        "target_languages": json.dumps(FULL["target_languages"]),
        "disable_background_audio": "true",
        "disable_lip_sync": "false",
        "formality": "true",
    }


@pytest.mark.parametrize(("asked", "sent"), CONFIGS)
async def test_settings_travel_as_json_text_in_a_form(
    sandbox: Sandbox, sandbox_client: AsyncClient, asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    await translate(sandbox_client, GENERATE_WITH_MEDIA, **asked)

    assert json.loads(fields(sandbox)["config"]) == sent


async def test_the_video_travels_under_its_name(
    sandbox: Sandbox, sandbox_client: AsyncClient, tmp_path: Path
) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film")

    await translate(sandbox_client, GENERATE_WITH_MEDIA, video=path)

    assert files(sandbox) == {"video": {"filename": "film.mp4", "content_type": "video/mp4", "size": 4}}


async def test_each_target_subtitle_travels_in_a_part_of_its_language(
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
async def test_source_subtitles_arrive_whatever_they_come_from(
    sandbox: Sandbox, sandbox_client: AsyncClient, srt_path: Path, made: Callable[[Path], Any]
) -> None:
    await translate(sandbox_client, GENERATE_WITH_MEDIA, source_srt=made(srt_path))

    assert held(sandbox)["source_srt"]["content"] == SRT


@as_sources
async def test_target_subtitles_arrive_whatever_they_come_from(
    sandbox: Sandbox, sandbox_client: AsyncClient, srt_path: Path, made: Callable[[Path], Any]
) -> None:
    await translate(sandbox_client, GENERATE_WITH_MEDIA, target_srts={"de": made(srt_path)})

    assert held(sandbox)["target_srts"]["de"]["content"] == SRT


async def test_subtitles_and_settings_arrive_together(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    await translate(
        sandbox_client, GENERATE_WITH_MEDIA, source_srt=Subtitle(content=SRT), speaker_voices={"0": "v-1"}
    )

    assert (held(sandbox)["source_srt"]["content"], held(sandbox)["speaker_voices"]) == (SRT, {"0": "v-1"})


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


@both
async def test_subtitles_after_a_byte_order_mark_are_sent_as_they_are(
    sandbox: Sandbox, sandbox_client: AsyncClient, route: str
) -> None:
    await translate(sandbox_client, route, source_srt=Subtitle(content="\ufeff" + SRT))

    assert held(sandbox)["source_srt"]["content"] == "\ufeff" + SRT


@both
@pytest.mark.parametrize("languages", BAD_LANGUAGES, ids=ascii)
async def test_impossible_languages_are_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, route: str, languages: Any
) -> None:
    with pytest.raises(ConfigurationError, match="target_languages"):
        await translate(sandbox_client, route, target_languages=languages)

    assert sandbox.received == ()


@both
async def test_a_language_alone_is_answered_with_how_to_write_it(sandbox_client: AsyncClient, route: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\['de'\]"):
        await translate(sandbox_client, route, target_languages="de")


@pytest.mark.parametrize("language", ["", "de\r\nx: 1", "\ud800"], ids=ascii)
async def test_subtitles_for_an_impossible_language_are_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, language: str
) -> None:
    with pytest.raises(ConfigurationError):
        await translate(sandbox_client, GENERATE_WITH_MEDIA, target_srts={language: Subtitle(content=SRT)})

    assert sandbox.received == ()


@both
@pytest.mark.parametrize("url", BAD_WEBHOOKS, ids=ascii)
async def test_a_webhook_that_is_no_web_address_is_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, route: str, url: Any
) -> None:
    with pytest.raises(ConfigurationError, match="webhook_url"):
        await translate(sandbox_client, route, webhook_url=url)

    assert sandbox.received == ()


@both
async def test_a_refused_webhook_is_not_answered_with_the_method_for_files(
    sandbox_client: AsyncClient, route: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await translate(sandbox_client, route, webhook_url="/webhooks")

    assert "generate_with_media" not in str(caught.value)


@both
@pytest.mark.parametrize("config", BAD_CONFIGS)
async def test_settings_that_json_cannot_hold_are_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, route: str, config: Any
) -> None:
    with pytest.raises(ConfigurationError, match="config"):
        await translate(sandbox_client, route, config=config)

    assert sandbox.received == ()


@pytest.mark.parametrize("url", ["", "film.mp4", "file:///film.mp4", None], ids=repr)
async def test_a_video_that_is_no_web_address_is_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, url: Any
) -> None:
    with pytest.raises(ConfigurationError, match="video"):
        await translate(sandbox_client, video=url)

    assert sandbox.received == ()


@both
@pytest.mark.parametrize("reference_id", ["", ".", "..", "\ud800", "x" * 513, 42], ids=lambda each: ascii(each)[:9])
async def test_an_impossible_reference_is_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, route: str, reference_id: Any
) -> None:
    with pytest.raises(ConfigurationError):
        await translate(sandbox_client, route, reference_id=reference_id)

    assert sandbox.received == ()


@pytest.mark.parametrize("name", ["source_srt", "target_srts"])
async def test_subtitles_given_as_a_text_are_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, name: str
) -> None:
    """A form takes files there, so this is an easy mistake."""
    asked: dict[str, Any] = {name: "film.srt" if name == "source_srt" else {"de": "film.srt"}}
    with pytest.raises(ConfigurationError, match=name):
        await translate(sandbox_client, **asked)

    assert sandbox.received == ()


@both
async def test_a_model_that_the_service_does_not_know_is_the_services_to_refuse(
    sandbox_client: AsyncClient, route: str
) -> None:
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
LEAST = VideoTranslateRequest(
    id="t-1",
    target_languages=["de"],
    disable_background_audio=False,
    disable_lip_sync=False,
    formality=False,
    model="expressive",
    config={},
    status="queued",
    created_at=datetime(2026, 4, 7, 10, tzinfo=UTC),
)


async def read(client: AsyncClient, mock: aioresponses, answer: dict[str, Any]) -> VideoTranslateRequest:
    mock.get(f"{BASE_URL}/v1/video-translate/requests/t-1", payload=answer)
    return await client.video_translate.requests.get("t-1")


async def test_fields_that_are_null_are_none(client: AsyncClient, mock: aioresponses) -> None:
    assert await read(client, mock, NULLS) == LEAST


async def test_fields_that_are_absent_are_none(client: AsyncClient, mock: aioresponses) -> None:
    assert await read(client, mock, {name: NULLS[name] for name in REQUIRED}) == LEAST


@pytest.mark.parametrize("name", REQUIRED)
async def test_a_required_field_that_is_null_is_an_error_that_names_it(
    client: AsyncClient, mock: aioresponses, name: str
) -> None:
    with pytest.raises(InvalidResponseError, match=name):
        await read(client, mock, {**NULLS, name: None})


@pytest.mark.parametrize("name", REQUIRED)
async def test_a_required_field_that_is_absent_is_an_error_that_names_it(
    client: AsyncClient, mock: aioresponses, name: str
) -> None:
    with pytest.raises(InvalidResponseError, match=name):
        await read(client, mock, {key: value for key, value in NULLS.items() if key != name})


@pytest.mark.parametrize("name", OPTIONAL)
async def test_an_optional_field_that_is_mistyped_is_an_error_that_names_it(
    client: AsyncClient, mock: aioresponses, name: str
) -> None:
    with pytest.raises(InvalidResponseError, match=name):
        await read(client, mock, {**NULLS, name: 42})


async def test_outputs_are_artifacts_by_language(client: AsyncClient, mock: aioresponses) -> None:
    urls = {name: f"https://cdn.example.com/de/{name}" for name in ("video", "audio", "srt")}

    request = await read(client, mock, {**NULLS, "status": "completed", "outputs": {"de": urls}})

    assert request.outputs == {"de": Artifacts(**urls)}


async def test_an_artifact_that_is_absent_is_an_error_that_names_it(client: AsyncClient, mock: aioresponses) -> None:
    with pytest.raises(InvalidResponseError, match="srt"):
        await read(client, mock, {**NULLS, "outputs": {"de": {"video": "https://x/v", "audio": "https://x/a"}}})


async def test_settings_come_back_as_the_service_holds_them(sandbox_client: AsyncClient) -> None:
    accepted = await translate(sandbox_client, config={"new": {"deep": [1, None]}})

    request = await sandbox_client.video_translate.requests.get(accepted.request_id)
    assert request.config == {"new": {"deep": [1, None]}}


@both
async def test_what_was_asked_for_comes_back(sandbox_client: AsyncClient, route: str) -> None:
    accepted = await translate(sandbox_client, route, **FULL)

    request = await sandbox_client.video_translate.requests.get(accepted.request_id)
    assert {name: getattr(request, name) for name in FULL} == FULL


async def test_get_reads_a_translation_by_its_reference(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    job = sandbox.add_job(family="video_translate", reference_id="dub-42", target_languages=["de"])

    assert (await sandbox_client.video_translate.requests.get("dub-42")).id == job.id


async def test_the_documented_translation_is_read(sandbox_client: AsyncClient) -> None:
    request = await sandbox_client.video_translate.requests.get(EXAMPLE)

    assert (request.is_completed, list(request.outputs or {})) == (True, ["de"])


async def test_an_unknown_translation_is_not_found(sandbox_client: AsyncClient) -> None:
    with pytest.raises(NotFoundError, match="video translate request not found"):
        await sandbox_client.video_translate.requests.get("nobody")


async def test_a_lip_sync_is_no_translation(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    job = sandbox.add_job()

    with pytest.raises(NotFoundError):
        await sandbox_client.video_translate.requests.get(job.id)


@pytest.mark.parametrize("id", ["", ".", "..", "\ud800", "x" * 600], ids=lambda each: ascii(each)[:9])
async def test_an_impossible_id_is_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, id: str
) -> None:
    with pytest.raises(ConfigurationError):
        await sandbox_client.video_translate.requests.get(id)

    assert sandbox.received == ()


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


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_a_wait_sees_every_status_on_the_way(clock: ManualClock) -> None:
    seen = []

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


async def test_a_wait_for_a_finished_translation_asks_once(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    await sandbox_client.video_translate.requests.wait_until_finished(EXAMPLE)

    assert sandbox.count("GET /v1/video-translate/requests/{id}") == len(sandbox.received) == 1


async def test_a_wait_rides_out_what_passes(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.status(503), route="GET /v1/video-translate/requests/{id}", times=2)

    async with AsyncClient("sk-key", base_url=sandbox.base_url, polling=OFTEN) as client:
        request = await client.video_translate.requests.wait_until_finished(EXAMPLE)

    assert request.is_completed


async def test_a_voice_has_all_of_its_documented_fields(sandbox_client: AsyncClient) -> None:
    page = await sandbox_client.video_translate.voices.list(limit=1)

    assert page.data == [
        Voice(
            voice_id="sandbox-voice-01",
            name="Ada",
            default_name="Sandbox Ada",
            description="A made-up voice for narration",
            language="en",
            application="narration",
            gender="Male",
            is_favorite=True,
        )
    ]


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


async def test_a_gender_that_the_service_does_not_know_is_the_services_to_refuse(sandbox_client: AsyncClient) -> None:
    with pytest.raises(BadRequestError, match="invalid gender"):
        await sandbox_client.video_translate.voices.list(gender="male")
