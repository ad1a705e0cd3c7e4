"""The vendor's own client works against the sandbox.

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


@pytest.mark.parametrize("age", [0, 10, 20, 100])
@pytest.mark.parametrize("name", ASK)
async def test_an_answer_loses_and_gains_nothing_in_the_vendors_models(
    sandbox: Sandbox, clock: ManualClock, name: str, age: float
) -> None:
    for fails in (False, True):
        sandbox.add_job(fails=fails)
        sandbox.add_job(family="video_translate", fails=fails)
    clock.advance(age)
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
async def test_a_key_is_accepted_in_each_header_of_the_vendors_client(credentials: dict[str, Any]) -> None:
    async with Sandbox(keys={"sk": "ci"}) as sandbox, _vendor(sandbox, **credentials) as vendor:
        assert (await vendor.users.retrieve_current()).name == "ci"


async def test_a_lip_sync_job_is_submitted_read_and_downloaded(
    vendor: AsyncChamelaion, sandbox: Sandbox, clock: ManualClock
) -> None:
    options: dict[str, Any] = {"reference_id": "dub-1", "disable_active_speaker_detection": True}
    accepted = await vendor.lipsync.generate(inputs=INPUTS, **options)
    assert accepted.status == "success"
    assert sandbox.received[0].body == {"inputs": INPUTS, **options}

    request = await vendor.lipsync.requests.retrieve(accepted.request_id)
    assert (request.id, request.reference_id, request.status) == (accepted.request_id, "dub-1", "queued")
    assert (request.created_at, request.started_at) == (NOON, None)
    clock.advance(100.5)
    request = await vendor.lipsync.requests.retrieve("dub-1")
    assert (request.status, request.finished_at) == ("completed", NOON + timedelta(seconds=100))
    assert request.output_url is not None
    async with aiohttp.ClientSession() as session, session.get(request.output_url) as response:
        assert (response.status, response.content_type) == (200, "video/mp4")


async def test_a_failed_lip_sync_job_says_why(vendor: AsyncChamelaion, clock: ManualClock) -> None:
    video: Any = {"type": "video", "url": "https://cdn.example.com/missing.mp4"}
    accepted = await vendor.lipsync.generate(inputs=[video, INPUTS[1]])
    clock.advance(100)
    request = await vendor.lipsync.requests.retrieve(accepted.request_id)
    assert (request.status, request.error_message) == ("failed", "video URL is not accessible")


@pytest.mark.parametrize("reference_id", ["dub 42/ü", "../users/me", "50%"])
async def test_a_reference_id_is_found_as_the_vendors_client_quotes_it(
    vendor: AsyncChamelaion, sandbox: Sandbox, reference_id: str
) -> None:
    job = sandbox.add_job(reference_id=reference_id)
    assert (await vendor.lipsync.requests.retrieve(reference_id)).id == job.id


async def test_uploaded_files_are_received_whole(
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


async def test_lip_sync_requests_are_listed_by_page_and_by_reference_id(
    vendor: AsyncChamelaion, sandbox: Sandbox
) -> None:
    ids = [sandbox.add_job(reference_id=reference_id).id for reference_id in ("dub-1", "dub-10", "dub-1", "dub-1")]
    page = await vendor.lipsync.requests.list(reference_id="dub-1", limit=2, offset=1)
    assert [request.id for request in page.data] == [ids[2], ids[0]]
    assert (page.pagination.limit, page.pagination.offset, page.pagination.total) == (2, 1, 3)


async def test_a_translation_keeps_its_options(vendor: AsyncChamelaion) -> None:
    options: dict[str, Any] = {
        **TRANSLATE_OPTIONS,
        "target_languages": ["de", "pt-BR"],
        "config": {
            "tts_model": "eleven_v4",
            "source_srt": {"content": SRT, "file_name": "en.srt", "language": "en"},
            "target_srts": {"de": {"content": SRT}},
            "speaker_voices": {"0": "sandbox-voice-01"},
        },
    }
    accepted = await vendor.video_translate.generate(inputs=INPUTS[:1], **options)
    request = await vendor.video_translate.requests.retrieve(accepted.request_id)
    assert request.to_dict(mode="json", exclude_none=True) == {
        "id": accepted.request_id,
        "status": "queued",
        "created_at": "2026-04-07T12:00:00Z",
        **options,
    }


async def test_the_outputs_of_a_translation_are_downloaded(
    vendor: AsyncChamelaion, sandbox: Sandbox, clock: ManualClock
) -> None:
    job = sandbox.add_job(family="video_translate", target_languages=["de", "pt-BR"])
    clock.advance(100)
    request = await vendor.video_translate.requests.retrieve(job.id)
    assert request.outputs is not None
    assert set(request.outputs) == {"de", "pt-BR"}
    german = request.outputs["de"]
    async with aiohttp.ClientSession() as session:
        for url, kind in ((german.video, "video/mp4"), (german.audio, "audio/wav"), (german.srt, "application/")):
            async with session.get(url) as response:
                assert response.status == 200
                assert response.content_type.startswith(kind)


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
    request = (await vendor.video_translate.requests.retrieve(accepted.request_id)).to_dict(mode="json")
    assert {name: request[name] for name in TRANSLATE_OPTIONS} == TRANSLATE_OPTIONS
    assert request["target_languages"] == ["de", "ja"]
    kept: Any = request["config"]
    assert kept["speaker_voices"] == config["speaker_voices"]
    assert kept["source_srt"] == {"content": SRT, "file_name": "en.srt"}
    assert kept["target_srts"]["de"] == {"content": SRT, "file_name": "de.srt", "language": "de"}
    assert kept["target_srts"]["pt-BR"]["content"] == SRT


async def test_the_vendors_upload_of_a_translation_spoils_what_is_left_out(
    vendor: AsyncChamelaion, sandbox: Sandbox
) -> None:
    # A defect of 2.0.0: it sends the text of its placeholder, which is why TRANSLATE_OPTIONS leaves nothing out.
    with pytest.raises(chamelaion.BadRequestError):
        await vendor.video_translate.generate_with_media(video=b"v", target_languages=["de"])
    body = sandbox.received[0].body
    assert {name for name, value in body.items() if "chamelaion.Omit object" in value} == set(TRANSLATE_OPTIONS)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["new", "failed", "completed"]),
        ({"status": "queued"}, ["new"]),
        ({"reference_id": "dub-1"}, ["new", "completed"]),
        ({"source_language": "en"}, ["new", "completed"]),
        ({"target_language": "ja"}, ["new", "failed"]),
        ({"created_after": NOON}, ["new", "failed"]),
        ({"created_before": (NOON + timedelta(seconds=50)).astimezone(timezone(-timedelta(hours=5)))}, ["completed"]),
        ({"created_before": NOON + timedelta(seconds=50.25)}, ["failed", "completed"]),
        ({"limit": 1, "offset": 1}, ["failed"]),
        ({"source_language": "en", "target_language": "ja", "created_after": NOON, "limit": 1}, ["new"]),
    ],
)
async def test_translations_are_filtered(
    vendor: AsyncChamelaion, sandbox: Sandbox, clock: ManualClock, filters: dict[str, Any], expected: list[str]
) -> None:
    names: dict[str, str] = {}
    for name, options in {
        "completed": {"target_languages": ["de"], "source_language": "en", "reference_id": "dub-1"},
        "failed": {"target_languages": ["de", "ja"], "source_language": "fr", "fails": True},
        "new": {"target_languages": ["ja"], "source_language": "en", "reference_id": "dub-1"},
    }.items():
        names[sandbox.add_job(family="video_translate", **options).id] = name  # type: ignore[arg-type]
        clock.advance(50 if name != "new" else 1)
    page = await vendor.video_translate.requests.list(**filters)
    assert [names[request.id] for request in page.data] == expected
    assert page.pagination.limit == filters.get("limit", 20)
    assert page.pagination.offset == filters.get("offset", 0)


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


@pytest.mark.parametrize(
    ("settings", "name", "error", "text"),
    [
        *(({"keys": ["sk"]}, name, chamelaion.AuthenticationError, "invalid token") for name in PROTECTED),
        *(({"token_limit": 0}, name, chamelaion.APIStatusError, "token limit reached") for name in GENERATIONS),
    ],
)
async def test_a_setting_that_refuses_a_call_raises_the_vendors_error(
    settings: dict[str, Any], name: str, error: type[chamelaion.APIStatusError], text: str
) -> None:
    async with Sandbox(**settings) as sandbox, _vendor(sandbox) as vendor:
        with pytest.raises(error) as caught:
            await ASK[name](vendor)
    assert caught.value.status_code == (412 if "token_limit" in settings else 401)
    assert caught.value.body == {"error": text}


NO_KEY: Any = {"x-api-key": chamelaion.omit}
OMITTED: Any = chamelaion.omit


@pytest.mark.parametrize(
    ("ask", "error", "text"),
    [
        (
            lambda vendor: vendor.users.retrieve_current(extra_headers=NO_KEY),
            chamelaion.AuthenticationError,
            "missing authorization header",
        ),
        (
            lambda vendor: vendor.lipsync.requests.retrieve("nobody"),
            chamelaion.NotFoundError,
            "lipsync request not found",
        ),
        (
            lambda vendor: vendor.video_translate.requests.retrieve("nobody"),
            chamelaion.NotFoundError,
            "video translate request not found",
        ),
        (
            lambda vendor: vendor.lipsync.generate(inputs=INPUTS[:1]),
            chamelaion.BadRequestError,
            "expected exactly one audio input",
        ),
        (
            lambda vendor: vendor.lipsync.generate_with_media(video=OMITTED, audio=b"x"),
            chamelaion.BadRequestError,
            "video file is required",
        ),
        (
            lambda vendor: vendor.video_translate.generate(inputs=INPUTS[:1], target_languages=[]),
            chamelaion.BadRequestError,
            "invalid request body",
        ),
    ],
)
async def test_a_refused_call_raises_the_vendors_error(
    vendor: AsyncChamelaion, ask: Ask, error: type[chamelaion.APIStatusError], text: str
) -> None:
    with pytest.raises(error) as caught:
        await ask(vendor)
    assert caught.value.body == {"error": text}


@pytest.mark.parametrize("name", PROTECTED)
async def test_too_many_calls_are_the_vendors_rate_limit_error(name: str, clock: ManualClock) -> None:
    async with Sandbox(rate_limit=1, generate_limit=1, clock=clock) as sandbox, _vendor(sandbox) as vendor:
        await ASK[name](vendor)
        with pytest.raises(chamelaion.RateLimitError) as caught:
            await ASK[name](vendor)
    assert caught.value.body == {"error": "rate limit exceeded"}
    assert caught.value.response.headers["Retry-After"] == ("60" if name in GENERATIONS else "1")


@pytest.mark.parametrize("name", ASK)
async def test_a_failing_service_is_the_vendors_internal_server_error(
    vendor: AsyncChamelaion, sandbox: Sandbox, name: str
) -> None:
    sandbox.inject(Fault.status(500))
    with pytest.raises(chamelaion.InternalServerError):
        await ASK[name](vendor)
    assert sandbox.count() == 1


async def test_the_vendors_own_retry_succeeds_after_a_429(sandbox: Sandbox) -> None:
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
