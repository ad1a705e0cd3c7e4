"""The vendor's own client, pointed at the sandbox: it finds there what it was made for.

It checks each answer strictly against its own models, and tries each call once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import aiohttp
import chamelaion
import httpx
import pytest
from chamelaion import AsyncChamelaion, Chamelaion

from chamelaion_async.sandbox import Fault, ManualClock, Sandbox

INPUTS: list[Any] = [
    {"type": "video", "url": "https://cdn.example.com/v.mp4"},
    {"type": "audio", "url": "https://cdn.example.com/a.wav"},
]
SRT = "1\n00:00:00,000 --> 00:00:01,000\nGrüße\n"
TRANSLATE_OPTIONS: dict[str, Any] = {
    "disable_background_audio": False,
    "disable_lip_sync": True,
    "formality": True,
    "model": "classic",
    "reference_id": "dub-1",
    "source_language": "en",
    "webhook_url": "https://example.com/webhooks/video-translate",
}
"""All that 2.0.0 has to be given for an upload, since it sends nonsense for what is left out."""
NOON = datetime(2026, 4, 7, 12, tzinfo=UTC)
"""When the sandbox's clock starts."""

Ask = Callable[[AsyncChamelaion], Awaitable[Any]]

ASK: dict[str, Ask] = {
    "health.check": lambda vendor: vendor.health.check(),
    "users.retrieve_current": lambda vendor: vendor.users.retrieve_current(),
    "lipsync.generate": lambda vendor: vendor.lipsync.generate(inputs=INPUTS),
    "lipsync.generate_with_media": lambda vendor: vendor.lipsync.generate_with_media(video=b"v", audio=b"a"),
    "lipsync.requests.retrieve": lambda vendor: vendor.lipsync.requests.retrieve("dub-episode-42"),
    "lipsync.requests.list": lambda vendor: vendor.lipsync.requests.list(),
    "video_translate.generate": lambda vendor: vendor.video_translate.generate(
        inputs=INPUTS[:1], target_languages=["de"]
    ),
    "video_translate.generate_with_media": lambda vendor: vendor.video_translate.generate_with_media(
        video=b"v", target_languages=["de"], **TRANSLATE_OPTIONS
    ),
    "video_translate.requests.retrieve": lambda vendor: vendor.video_translate.requests.retrieve(
        "9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55"
    ),
    "video_translate.requests.list": lambda vendor: vendor.video_translate.requests.list(),
    "video_translate.voices.list": lambda vendor: vendor.video_translate.voices.list(),
}
PROTECTED = [name for name in ASK if name != "health.check"]
GENERATIONS = [name for name in ASK if "generate" in name]


def _vendor(
    sandbox: Sandbox, on_response: Callable[[httpx.Response], Awaitable[None]] | None = None, **settings: Any
) -> AsyncChamelaion:
    # Without verify=False each client would first load the system's certificates.
    transport = chamelaion.DefaultAsyncHttpxClient(
        verify=False, event_hooks={"response": [] if on_response is None else [on_response]}
    )
    settings = {"api_key": "any-key", "max_retries": 0, **settings}
    return AsyncChamelaion(
        base_url=sandbox.base_url, http_client=transport, _strict_response_validation=True, **settings
    )


@pytest.fixture(autouse=True)
def _no_headers_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAMELAION_CUSTOM_HEADERS", raising=False)


@pytest.fixture
async def vendor(sandbox: Sandbox) -> AsyncIterator[AsyncChamelaion]:
    async with _vendor(sandbox) as made:
        yield made


async def test_every_endpoint_of_the_vendors_client_is_asked() -> None:
    def calls(resource: object, path: str) -> set[str]:
        found = set()
        for name in dir(resource):
            if name.startswith(("_", "with_")):
                continue
            member = getattr(resource, name)
            inner = type(member).__module__.startswith("chamelaion.resources")
            found |= calls(member, f"{path}{name}.") if inner else {path + name}
        return found

    async with AsyncChamelaion(api_key="any-key", base_url="http://127.0.0.1:9") as client:
        areas = ("health", "users", "lipsync", "video_translate")
        found = {name for area in areas for name in calls(getattr(client, area), f"{area}.")}
    assert found == set(ASK)


@pytest.mark.parametrize("name", ASK)
async def test_an_answer_loses_and_gains_nothing_in_the_vendors_models(sandbox: Sandbox, name: str) -> None:
    sandbox.add_job(reference_id="dub-1")
    sandbox.add_job(family="video_translate", reference_id="dub-1", job_seconds=0)
    bodies: list[bytes] = []

    async def keep(response: httpx.Response) -> None:
        bodies.append(await response.aread())

    async with _vendor(sandbox, keep) as vendor:
        model = await ASK[name](vendor)
    assert model.to_dict(mode="json") == json.loads(bodies[0])


async def test_health_is_ok_without_credentials(sandbox: Sandbox) -> None:
    async with _vendor(sandbox, api_key=None) as vendor:
        assert (await vendor.health.check()).status == "ok"
    assert {"authorization", "x-api-key"} & {name.lower() for name in sandbox.received[0].headers} == set()


@pytest.mark.parametrize(
    "credentials",
    [{"api_key": "sk"}, {"api_key": None, "bearer_token": "sk"}, {"api_key": "sk", "bearer_token": "sk"}],
)
async def test_a_key_is_known_however_the_vendors_client_sends_it(credentials: dict[str, Any]) -> None:
    async with Sandbox(keys={"sk": "ci"}) as sandbox, _vendor(sandbox, **credentials) as vendor:
        assert (await vendor.users.retrieve_current()).name == "ci"


async def test_a_lip_sync_job_is_read_through_its_whole_life(
    vendor: AsyncChamelaion, sandbox: Sandbox, clock: ManualClock
) -> None:
    accepted = await vendor.lipsync.generate(
        inputs=INPUTS, reference_id="dub-1", disable_active_speaker_detection=True
    )
    assert accepted.status == "success"
    assert sandbox.received[0].body == {
        "inputs": INPUTS,
        "reference_id": "dub-1",
        "disable_active_speaker_detection": True,
    }

    request = await vendor.lipsync.requests.retrieve(accepted.request_id)
    assert (request.id, request.reference_id) == (accepted.request_id, "dub-1")
    assert (request.status, request.created_at, request.started_at) == ("queued", NOON, None)
    clock.advance(10)
    request = await vendor.lipsync.requests.retrieve(accepted.request_id)
    assert (request.status, request.started_at) == ("processing", NOON + timedelta(seconds=10))
    assert (request.finished_at, request.output_url, request.error_message) == (None, None, None)
    clock.advance(90.5)
    request = await vendor.lipsync.requests.retrieve("dub-1")
    assert (request.status, request.finished_at) == ("completed", NOON + timedelta(seconds=100))
    assert request.error_message is None
    assert request.output_url is not None
    async with aiohttp.ClientSession() as session, session.get(request.output_url) as response:
        assert (response.status, response.content_type) == (200, "video/mp4")


async def test_a_failed_lip_sync_job_says_why(vendor: AsyncChamelaion, clock: ManualClock) -> None:
    video: Any = {"type": "video", "url": "https://cdn.example.com/missing.mp4"}
    accepted = await vendor.lipsync.generate(inputs=[video, INPUTS[1]])
    clock.advance(100)
    request = await vendor.lipsync.requests.retrieve(accepted.request_id)
    assert (request.status, request.error_message) == ("failed", "video URL is not accessible")
    assert (request.output_url, request.reference_id) == (None, None)


@pytest.mark.parametrize("id", ["a1b2c3d4-e5f6-7890-abcd-ef1234567890", "dub-episode-43"])
async def test_the_documented_examples_are_there(vendor: AsyncChamelaion, id: str) -> None:
    request = await vendor.lipsync.requests.retrieve(id)
    assert (request.status, request.error_message) == ("failed", "video URL is not accessible")
    assert request.finished_at == datetime(2026, 4, 7, 11, 0, 12, tzinfo=UTC)


@pytest.mark.parametrize("reference_id", ["dub 42/ü", "../users/me", "50%"])
async def test_a_reference_id_is_found_as_the_vendors_client_quotes_it(
    vendor: AsyncChamelaion, sandbox: Sandbox, reference_id: str
) -> None:
    job = sandbox.add_job(reference_id=reference_id)
    assert (await vendor.lipsync.requests.retrieve(reference_id)).id == job.id


async def test_uploaded_files_arrive_whole(
    vendor: AsyncChamelaion, sandbox: Sandbox, clock: ManualClock, tmp_path: Path
) -> None:
    video = bytes(range(256)) * 5000
    path = tmp_path / "täke.mp4"
    path.write_bytes(video)
    accepted = await vendor.lipsync.generate_with_media(
        video=path,
        audio=("a.wav", b"RIFF\r\n", "audio/wav"),
        reference_id="dub-1",
        disable_active_speaker_detection=False,
    )
    body = sandbox.received[0].body
    assert body["audio"] == {"filename": "a.wav", "content_type": "audio/wav", "size": 6}
    assert (body["video"]["filename"], body["video"]["size"]) == ("täke.mp4", len(video))
    assert (body["reference_id"], body["disable_active_speaker_detection"]) == ("dub-1", "false")
    clock.advance(100)
    request = await vendor.lipsync.requests.retrieve(accepted.request_id)
    assert request.output_url is not None
    async with aiohttp.ClientSession() as session, session.get(request.output_url) as response:
        assert await response.read() == video


async def test_lip_sync_pages_tell_where_they_lie(vendor: AsyncChamelaion, sandbox: Sandbox) -> None:
    ids = [sandbox.add_job(reference_id=f"dub-{number % 2}").id for number in range(5)]
    page = await vendor.lipsync.requests.list(limit=2, offset=1)
    assert [request.id for request in page.data] == [ids[3], ids[2]]
    assert (page.pagination.limit, page.pagination.offset, page.pagination.total) == (2, 1, 5)


async def test_a_lip_sync_page_has_the_documented_default_size(vendor: AsyncChamelaion, sandbox: Sandbox) -> None:
    for _ in range(21):
        sandbox.add_job()
    page = await vendor.lipsync.requests.list()
    assert (len(page.data), page.pagination.limit, page.pagination.total) == (20, 20, 21)


async def test_lip_sync_requests_are_listed_by_reference_id(vendor: AsyncChamelaion, sandbox: Sandbox) -> None:
    ids = [sandbox.add_job(reference_id=reference_id).id for reference_id in ("dub-1", "dub-10", "dub-1")]
    page = await vendor.lipsync.requests.list(reference_id="dub-1")
    assert [request.id for request in page.data] == [ids[2], ids[0]]
    assert page.pagination.total == 2


async def test_a_translation_is_read_through_its_whole_life(
    vendor: AsyncChamelaion, sandbox: Sandbox, clock: ManualClock
) -> None:
    config = {
        "tts_model": "eleven_v4",
        "source_srt": {"content": SRT, "file_name": "en.srt", "language": "en"},
        "target_srts": {"de": {"content": SRT}},
        "speaker_voices": {"0": "sandbox-voice-01"},
    }
    accepted = await vendor.video_translate.generate(
        inputs=INPUTS[:1],
        target_languages=["de", "pt-BR"],
        config=config,
        disable_background_audio=True,
        disable_lip_sync=True,
        formality=True,
        model="classic",
        reference_id="dub-1",
        source_language="en",
        webhook_url="https://example.com/webhooks/video-translate",
    )
    seen = []
    for pause in (0, 10, 10):
        clock.advance(pause)
        request = await vendor.video_translate.requests.retrieve(accepted.request_id)
        assert (request.finished_at, request.outputs, request.error_message) == (None, None, None)
        seen.append((request.status, request.started_at))
    started = NOON + timedelta(seconds=10)
    assert seen == [("queued", None), ("uploading", started), ("processing", started)]
    assert request.to_dict(mode="json", exclude_none=True) == {
        "id": accepted.request_id,
        "target_languages": ["de", "pt-BR"],
        "disable_background_audio": True,
        "disable_lip_sync": True,
        "formality": True,
        "model": "classic",
        "config": config,
        "status": "processing",
        "created_at": "2026-04-07T12:00:00Z",
        "started_at": "2026-04-07T12:00:10Z",
        "reference_id": "dub-1",
        "source_language": "en",
        "webhook_url": "https://example.com/webhooks/video-translate",
    }
    clock.advance(80)
    request = await vendor.video_translate.requests.retrieve(accepted.request_id)
    assert (request.status, request.finished_at) == ("completed", NOON + timedelta(seconds=100))
    assert request.outputs is not None
    assert set(request.outputs) == {"de", "pt-BR"}
    german = request.outputs["de"]
    async with aiohttp.ClientSession() as session:
        for url, kind in ((german.video, "video/mp4"), (german.audio, "audio/"), (german.srt, "application/")):
            async with session.get(url) as response:
                assert response.status == 200
                assert response.content_type.startswith((kind, "text/"))


async def test_a_translation_has_defaults_for_what_was_left_out(vendor: AsyncChamelaion) -> None:
    accepted = await vendor.video_translate.generate(inputs=INPUTS[:1], target_languages=["de"])
    request = await vendor.video_translate.requests.retrieve(accepted.request_id)
    assert (request.model, request.config) == ("expressive", {})
    assert (request.disable_background_audio, request.disable_lip_sync, request.formality) == (False, False, False)
    assert (request.reference_id, request.source_language, request.webhook_url) == (None, None, None)


async def test_a_failed_translation_says_why(vendor: AsyncChamelaion, sandbox: Sandbox, clock: ManualClock) -> None:
    job = sandbox.add_job(family="video_translate", fails="no speech found")
    clock.advance(100)
    request = await vendor.video_translate.requests.retrieve(job.id)
    assert (request.status, request.error_message, request.outputs) == ("failed", "no speech found", None)


@pytest.mark.parametrize("as_text", [True, False])
async def test_an_uploaded_translation_keeps_its_options(
    vendor: AsyncChamelaion, sandbox: Sandbox, as_text: bool
) -> None:
    config = {"speaker_voices": {"0": "sandbox-voice-01"}}
    accepted = await vendor.video_translate.generate_with_media(
        video=("v.mp4", b"\x00\xff\r\n", "video/mp4"),
        target_languages='["de", "ja"]' if as_text else ("de", "ja"),
        config=json.dumps(config) if as_text else config,
        source_srt=("en.srt", SRT.encode()),
        target_srts={"de": ("de.srt", SRT.encode()), "pt-BR": SRT.encode()},
        **TRANSLATE_OPTIONS,
    )
    assert sandbox.received[0].body["video"] == {"filename": "v.mp4", "content_type": "video/mp4", "size": 4}
    request = await vendor.video_translate.requests.retrieve(accepted.request_id)
    assert request.target_languages == ["de", "ja"]
    assert (request.disable_background_audio, request.disable_lip_sync, request.formality) == (False, True, True)
    assert (request.model, request.reference_id, request.source_language) == ("classic", "dub-1", "en")
    assert request.webhook_url == "https://example.com/webhooks/video-translate"
    assert request.config["speaker_voices"] == config["speaker_voices"]
    assert request.config["source_srt"] == {"content": SRT, "file_name": "en.srt"}
    assert request.config["target_srts"]["de"] == {"content": SRT, "file_name": "de.srt", "language": "de"}
    assert request.config["target_srts"]["pt-BR"]["content"] == SRT


async def test_the_vendors_upload_of_a_translation_spoils_what_is_left_out(
    vendor: AsyncChamelaion, sandbox: Sandbox
) -> None:
    # A defect of 2.0.0, which is why TRANSLATE_OPTIONS leaves nothing out. The sandbox calls nonsense nonsense.
    with pytest.raises(chamelaion.BadRequestError):
        await vendor.video_translate.generate_with_media(video=b"v", target_languages=["de"])
    body = sandbox.received[0].body
    assert {name for name, value in body.items() if "chamelaion.Omit object" in value} == set(TRANSLATE_OPTIONS)


async def _translations(sandbox: Sandbox, clock: ManualClock) -> dict[str, str]:
    """Make one translation for each filter to find, and return their names by id."""
    made: dict[str, str] = {}

    def add(name: str, **options: Any) -> None:
        made[sandbox.add_job(family="video_translate", **options).id] = name

    add("completed", target_languages=["de"], source_language="en", reference_id="dub-1")
    clock.advance(50)
    add("failed", target_languages=["de", "ja"], source_language="fr", fails=True, job_seconds=5)
    clock.advance(50)
    add("processing", target_languages=["ja"], source_language="en", queue_seconds=0, created_at=clock.time() - 2)
    add("uploading", target_languages=["es"], queue_seconds=0.5, created_at=clock.time() - 0.75)
    add("queued", target_languages=["es"], reference_id="dub-1")
    return made


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["queued", "uploading", "processing", "failed", "completed"]),
        ({"status": "queued"}, ["queued"]),
        ({"status": "uploading"}, ["uploading"]),
        ({"status": "processing"}, ["processing"]),
        ({"status": "completed"}, ["completed"]),
        ({"status": "failed"}, ["failed"]),
        ({"reference_id": "dub-1"}, ["queued", "completed"]),
        ({"source_language": "en"}, ["processing", "completed"]),
        ({"target_language": "ja"}, ["processing", "failed"]),
        ({"created_after": NOON}, ["queued", "uploading", "processing", "failed"]),
        ({"created_after": NOON + timedelta(seconds=98)}, ["queued", "uploading"]),
        ({"created_before": NOON + timedelta(seconds=99.25)}, ["processing", "failed", "completed"]),
        ({"created_before": (NOON + timedelta(seconds=50)).astimezone(timezone(-timedelta(hours=5)))}, ["completed"]),
        ({"limit": 2}, ["queued", "uploading"]),
        ({"limit": 2, "offset": 3}, ["failed", "completed"]),
        (
            {"source_language": "en", "target_language": "ja", "created_after": NOON, "limit": 1, "offset": 0},
            ["processing"],
        ),
    ],
)
async def test_translations_are_filtered(
    vendor: AsyncChamelaion, sandbox: Sandbox, clock: ManualClock, filters: dict[str, Any], expected: list[str]
) -> None:
    names = await _translations(sandbox, clock)
    page = await vendor.video_translate.requests.list(**filters)
    assert [names[request.id] for request in page.data] == expected
    assert page.pagination.limit == filters.get("limit", 20)
    assert page.pagination.offset == filters.get("offset", 0)
    if "limit" not in filters:
        assert page.pagination.total == len(expected)


async def test_voices_are_listed_page_by_page(vendor: AsyncChamelaion) -> None:
    first = await vendor.video_translate.voices.list(limit=3)
    second = await vendor.video_translate.voices.list(limit=3, offset=3)
    ids = [voice.voice_id for voice in (*first.voices, *second.voices)]
    assert len(set(ids)) == 6
    assert (second.pagination.limit, second.pagination.offset) == (3, 3)
    assert first.pagination.total == second.pagination.total > 6


@pytest.mark.parametrize(
    ("filters", "field", "value"),
    [
        ({"gender": "Other"}, "gender", "Other"),
        ({"language": "ja"}, "language", "ja"),
        ({"application": "narration"}, "application", "narration"),
        ({"favorite": True}, "is_favorite", True),
        ({"favorite": False}, "is_favorite", False),
        ({"search": "ADA"}, "name", "Ada"),
    ],
)
async def test_voices_are_filtered(
    vendor: AsyncChamelaion, filters: dict[str, Any], field: str, value: object
) -> None:
    everyone = (await vendor.video_translate.voices.list(limit=100)).voices
    page = await vendor.video_translate.voices.list(limit=100, **filters)
    assert page.voices == [voice for voice in everyone if getattr(voice, field) == value]
    assert 0 < page.pagination.total == len(page.voices) < len(everyone)


@pytest.mark.parametrize("name", PROTECTED)
async def test_a_key_that_is_not_accepted_is_the_vendors_authentication_error(name: str) -> None:
    async with Sandbox(keys=["sk"]) as sandbox, _vendor(sandbox) as vendor:
        with pytest.raises(chamelaion.AuthenticationError) as caught:
            await ASK[name](vendor)
    assert (caught.value.status_code, caught.value.body) == (401, {"error": "invalid token"})


async def test_a_revoked_key_is_the_vendors_authentication_error(sandbox: Sandbox, vendor: AsyncChamelaion) -> None:
    sandbox.revoke("any-key")
    with pytest.raises(chamelaion.AuthenticationError) as caught:
        await vendor.users.retrieve_current()
    assert caught.value.body == {"error": "unauthorized"}


async def test_a_call_without_credentials_is_the_vendors_authentication_error(vendor: AsyncChamelaion) -> None:
    with pytest.raises(chamelaion.AuthenticationError) as caught:
        await vendor.users.retrieve_current(extra_headers={"x-api-key": chamelaion.omit})
    assert caught.value.body == {"error": "missing authorization header"}


@pytest.mark.parametrize(
    ("family", "text"),
    [("lipsync", "lipsync request not found"), ("video_translate", "video translate request not found")],
)
async def test_an_unknown_id_is_the_vendors_not_found_error(vendor: AsyncChamelaion, family: str, text: str) -> None:
    with pytest.raises(chamelaion.NotFoundError) as caught:
        await getattr(vendor, family).requests.retrieve("nobody")
    assert (caught.value.status_code, caught.value.body) == (404, {"error": text})


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (INPUTS[:1], "expected exactly one audio input"),
        (INPUTS[1:], "expected exactly one video input"),
        ([*INPUTS, INPUTS[0]], "expected exactly one video input"),
        ([INPUTS[0], {"type": "image", "url": "https://x.y"}], 'input type must be "video" or "audio"'),
        ([{"type": "video"}], "invalid request body"),
    ],
)
async def test_wrong_inputs_are_the_vendors_bad_request_error(
    vendor: AsyncChamelaion, inputs: list[Any], text: str
) -> None:
    with pytest.raises(chamelaion.BadRequestError) as caught:
        await vendor.lipsync.generate(inputs=inputs)
    assert (caught.value.status_code, caught.value.body) == (400, {"error": text})


@pytest.mark.parametrize(("field", "kept"), [("video", "audio"), ("audio", "video")])
async def test_a_missing_file_is_the_vendors_bad_request_error(
    vendor: AsyncChamelaion, field: str, kept: str
) -> None:
    media: Any = {kept: b"x", field: chamelaion.omit}
    with pytest.raises(chamelaion.BadRequestError) as caught:
        await vendor.lipsync.generate_with_media(**media)
    assert caught.value.body == {"error": f"{field} file is required"}


async def test_no_target_language_is_the_vendors_bad_request_error(vendor: AsyncChamelaion) -> None:
    with pytest.raises(chamelaion.BadRequestError) as caught:
        await vendor.video_translate.generate(inputs=INPUTS[:1], target_languages=[])
    assert caught.value.body == {"error": "invalid request body"}


@pytest.mark.parametrize("name", GENERATIONS)
async def test_a_used_up_quota_is_a_status_error_of_412(name: str) -> None:
    async with Sandbox(token_limit=0) as sandbox, _vendor(sandbox) as vendor:
        with pytest.raises(chamelaion.APIStatusError) as caught:
            await ASK[name](vendor)
    assert (caught.value.status_code, caught.value.body) == (412, {"error": "token limit reached"})


@pytest.mark.parametrize("name", PROTECTED)
async def test_too_many_calls_are_the_vendors_rate_limit_error(name: str, clock: ManualClock) -> None:
    async with Sandbox(rate_limit=1, generate_limit=1, clock=clock) as sandbox, _vendor(sandbox) as vendor:
        await ASK[name](vendor)
        with pytest.raises(chamelaion.RateLimitError) as caught:
            await ASK[name](vendor)
    assert (caught.value.status_code, caught.value.body) == (429, {"error": "rate limit exceeded"})
    assert caught.value.response.headers["Retry-After"] == ("60" if name in GENERATIONS else "1")


@pytest.mark.parametrize("name", ASK)
async def test_a_failing_service_is_the_vendors_internal_server_error(
    vendor: AsyncChamelaion, sandbox: Sandbox, name: str
) -> None:
    sandbox.inject(Fault.status(500, "internal error"))
    with pytest.raises(chamelaion.InternalServerError) as caught:
        await ASK[name](vendor)
    assert caught.value.status_code == 500
    assert sandbox.count() == 1


async def test_the_vendors_own_retry_gets_through_a_passing_429(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.rate_limited(retry_after=0.01), times=1)
    async with _vendor(sandbox, max_retries=1) as vendor:
        assert (await vendor.users.retrieve_current()).name == "production-key"
    assert [received.status for received in sandbox.received] == [429, 200]


async def test_the_vendors_synchronous_client_gets_the_same(sandbox: Sandbox, clock: ManualClock) -> None:
    def converse() -> tuple[str, str]:
        with Chamelaion(
            api_key="any-key", base_url=sandbox.base_url, max_retries=0, _strict_response_validation=True
        ) as vendor:
            accepted = vendor.lipsync.generate(inputs=INPUTS)
            clock.advance(100)
            request = vendor.lipsync.requests.retrieve(accepted.request_id)
            uploaded = vendor.video_translate.generate_with_media(
                video=b"v", target_languages=["de"], **TRANSLATE_OPTIONS
            )
            return request.status, vendor.video_translate.requests.retrieve(uploaded.request_id).status

    assert await asyncio.to_thread(converse) == ("completed", "queued")
