from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chamelaion_async.sandbox import ManualClock, Sandbox

from .calling import INVALID_BODY, TRANSLATE, VIDEO, Caller, form

GENERATE = "v1/video-translate/generate"
UPLOAD = "v1/video-translate/generate-with-media"
FLAGS = ("disable_background_audio", "disable_lip_sync", "formality")


async def get(call: Caller, id: str) -> Any:
    reply = await call(f"v1/video-translate/requests/{id}")
    assert reply.status == 200
    return reply.json


async def test_a_translation_is_queued_uploading_processing_and_completed(
    sandbox: Sandbox, call: Caller, clock: ManualClock
) -> None:
    id = await call.id_of(GENERATE, json=TRANSLATE)
    queued: dict[str, Any] = {
        "id": id,
        "target_languages": ["de", "ja"],
        **dict.fromkeys(FLAGS, False),
        "model": "expressive",
        "config": {},
        "status": "queued",
        "created_at": "2026-04-07T12:00:00Z",
        **dict.fromkeys(("started_at", "finished_at", "error_message", "outputs")),
        **dict.fromkeys(("reference_id", "source_language", "webhook_url")),
    }
    assert await get(call, id) == queued

    clock.advance(10)
    uploading = {**queued, "status": "uploading", "started_at": "2026-04-07T12:00:10Z"}
    assert await get(call, id) == uploading

    clock.advance(10)
    processing = {**uploading, "status": "processing"}
    assert await get(call, id) == processing

    clock.advance(80)
    root = f"{sandbox.base_url.removesuffix('/api')}/output/{id}"
    names = {"video": "video.mp4", "audio": "audio.wav", "srt": "subtitles.srt"}
    assert await get(call, id) == {
        **processing,
        "status": "completed",
        "finished_at": "2026-04-07T12:01:40Z",
        "outputs": {
            language: {kind: f"{root}/{language}/{name}" for kind, name in names.items()} for language in ("de", "ja")
        },
    }


async def test_a_request_shows_the_fields_of_its_call(call: Caller) -> None:
    fields = {
        "target_languages": ["de"],
        "config": {
            "source_srt": {"content": "1\n", "file_name": "en.srt"},
            "target_srts": {"de": {"content": "1\n"}},
            "speaker_voices": {"0": "sandbox-voice-01"},
            "tts_model": "eleven_v4",
            "mood": "calm",
        },
        **dict.fromkeys(FLAGS, True),
        "model": "classic",
        "reference_id": "episode-1",
        "source_language": "en",
        "webhook_url": "https://example.com/hook",
    }

    by_id = await get(call, await call.id_of(GENERATE, json={**fields, "inputs": [VIDEO]}))

    assert {name: by_id[name] for name in fields} == fields
    assert await get(call, "episode-1") == by_id


async def test_a_missing_video_fails_the_translation(call: Caller, clock: ManualClock) -> None:
    inputs = [{"type": "video", "url": "https://a.example/missing"}]
    id = await call.id_of(GENERATE, json={**TRANSLATE, "inputs": inputs})
    clock.advance(100)

    failed = await get(call, id)

    assert (failed["status"], failed["error_message"]) == ("failed", "video URL is not accessible")
    assert failed["outputs"] is None


async def test_an_unknown_translation_has_a_text_of_its_own(sandbox: Sandbox, call: Caller) -> None:
    reply = await call(f"v1/video-translate/requests/{sandbox.add_job().id}")

    assert reply.answer == (404, {"error": "video translate request not found"})


async def test_the_completed_example_has_its_output(call: Caller) -> None:
    example = await get(call, "9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55")

    assert example["status"] == "completed"
    assert [(await call(url)).status for url in example["outputs"]["de"].values()] == [200] * 3


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": None},
        {"inputs": [{"type": "video", "url": "video.mp4"}]},
        {"target_languages": None},
        {"target_languages": []},
        {"target_languages": "de"},
        {"target_languages": ["de", 5]},
        {"target_languages": [""]},
        {"target_languages": ["\ud800"]},
        {"model": "magic"},
        {"model": []},
        {"formality": "true"},
        {"disable_lip_sync": 1},
        {"disable_background_audio": "no"},
        {"reference_id": 5},
        {"source_language": ["en"]},
        {"webhook_url": "not a url"},
        {"webhook_url": 5},
        {"config": []},
        {"config": {"tts_model": "eleven_v3"}},
        {"config": {"speaker_voices": {"0": 5}}},
        {"config": {"speaker_voices": []}},
        {"config": {"source_srt": "1\n"}},
        {"config": {"target_srts": []}},
        {"config": {"target_srts": {"de": "1\n"}}},
        {"config": {"target_srts": {"de": {"file_name": "de.srt"}}}},
        {"config": {"target_srts": {"de": {"content": 1}}}},
        {"config": {"source_srt": {"content": "1", "file_name": 5}}},
        {"config": {"source_srt": {"content": "1", "language": 5}}},
        {"config": {"source_srt": None}},
        *(
            {name: None}
            for name in ("config", "formality", "model", "reference_id", "source_language", "webhook_url")
        ),
    ],
)
async def test_a_body_of_another_shape_is_refused(sandbox: Sandbox, call: Caller, change: dict[str, Any]) -> None:
    assert (await call(f"POST {GENERATE}", json={**TRANSLATE, **change})).answer == INVALID_BODY
    assert not sandbox.jobs


@pytest.mark.parametrize("inputs", [[], [VIDEO, VIDEO], [{**VIDEO, "type": "audio"}]])
async def test_a_translation_needs_exactly_one_video(call: Caller, inputs: list[object]) -> None:
    reply = await call(f"POST {GENERATE}", json={**TRANSLATE, "inputs": inputs})

    assert reply.answer == (400, {"error": "expected exactly one video input"})


def upload(**parts: Any) -> aiohttp.FormData:
    return form(video=("a.mp4", b"the video"), **parts)


async def test_an_upload_becomes_the_same_request_as_its_json(call: Caller) -> None:
    texts = {"model": "classic", "reference_id": "r", "source_language": "en"}
    data = upload(
        target_languages=json.dumps(["de", "pt-BR"]),
        config=json.dumps({"speaker_voices": {"0": "v"}}),
        source_srt=("en.srt", b"1\nhello\n"),
        **{"target_srt.de": ("de.srt", "1\nhällo\n".encode()), "target_srt.pt-BR": ("pt.srt", b"1\nola\n")},
        **dict.fromkeys(FLAGS, "true"),
        **texts,
    )

    request = await get(call, await call.id_of(UPLOAD, data=data))

    assert request["config"] == {
        "speaker_voices": {"0": "v"},
        "source_srt": {"content": "1\nhello\n", "file_name": "en.srt"},
        "target_srts": {
            "de": {"content": "1\nhällo\n", "file_name": "de.srt", "language": "de"},
            "pt-BR": {"content": "1\nola\n", "file_name": "pt.srt", "language": "pt-BR"},
        },
    }
    assert {name: request[name] for name in texts} == texts
    assert request["target_languages"] == ["de", "pt-BR"]
    assert [request[name] for name in FLAGS] == [True] * 3


async def test_the_output_video_is_the_upload(call: Caller, clock: ManualClock) -> None:
    id = await call.id_of(UPLOAD, data=upload(target_languages='["de"]'))
    clock.advance(100)

    output = await call((await get(call, id))["outputs"]["de"]["video"])

    assert (output.body, output.headers["Content-Type"]) == (b"the video", "application/octet-stream")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"target_languages": "de"},
        {"target_languages": '"de"'},
        {"target_languages": "[]"},
        {"target_languages": '["de"], "model": "x"'},
        {"target_languages": '["de"]', "config": "[]"},
        {"target_languages": '["de"]', "config": "{"},
        {"target_languages": '["de"]', "config": '{"target_srts": 5}', "target_srt.de": ("de.srt", b"1\n")},
        {"target_languages": '["de"]', "formality": "1"},
        {"target_languages": '["de"]', "model": "magic"},
        {"target_languages": '["de"]', "source_srt": ("en.srt", b"\xff\xfe")},
    ],
)
async def test_a_form_with_a_wrong_field_is_refused_and_leaves_no_file(
    sandbox: Sandbox, call: Caller, spooled: Callable[[], list[Path]], fields: dict[str, Any]
) -> None:
    assert (await call(f"POST {UPLOAD}", data=upload(**fields))).answer == INVALID_BODY
    assert not sandbox.jobs
    assert spooled() == []


async def test_a_video_is_required(call: Caller) -> None:
    reply = await call(f"POST {UPLOAD}", data=form(target_languages='["de"]'))

    assert reply.answer == (400, {"error": "video file is required"})
