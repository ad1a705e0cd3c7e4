import json
from typing import Any

import aiohttp
import pytest

from chamelaion_async.sandbox import ManualClock, Sandbox

GENERATE = "v1/video-translate/generate"
UPLOAD = "v1/video-translate/generate-with-media"
VIDEO = {"type": "video", "url": "https://cdn.example.com/video.mp4"}


async def get(session: aiohttp.ClientSession, id: str) -> tuple[int, Any]:
    async with session.get(f"v1/video-translate/requests/{id}") as response:
        return response.status, await response.json()


async def accepted(session: aiohttp.ClientSession, path: str = GENERATE, **sent: Any) -> str:
    async with session.post(path, **sent) as response:
        body = await response.json()
        assert response.status == 200, body
        assert body["status"] == "success"
        return str(body["request_id"])


async def test_a_translation_is_queued_uploading_processing_and_completed(
    sandbox: Sandbox, session: aiohttp.ClientSession, clock: ManualClock, translate_body: dict[str, Any]
) -> None:
    id = await accepted(session, json=translate_body)
    queued = {
        "id": id,
        "target_languages": ["de", "ja"],
        "disable_background_audio": False,
        "disable_lip_sync": False,
        "formality": False,
        "model": "expressive",
        "config": {},
        "status": "queued",
        "created_at": "2026-04-07T12:00:00Z",
        "started_at": None,
        "finished_at": None,
        "error_message": None,
        "outputs": None,
        "reference_id": None,
        "source_language": None,
        "webhook_url": None,
    }
    assert await get(session, id) == (200, queued)

    clock.advance(10)
    uploading = {**queued, "status": "uploading", "started_at": "2026-04-07T12:00:10Z"}
    assert await get(session, id) == (200, uploading)

    clock.advance(10)
    processing = {**uploading, "status": "processing"}
    assert await get(session, id) == (200, processing)

    clock.advance(80)
    root = f"{sandbox.base_url.removesuffix('/api')}/output/{id}"
    assert await get(session, id) == (
        200,
        {
            **processing,
            "status": "completed",
            "finished_at": "2026-04-07T12:01:40Z",
            "outputs": {
                language: {
                    "video": f"{root}/{language}/video.mp4",
                    "audio": f"{root}/{language}/audio.wav",
                    "srt": f"{root}/{language}/subtitles.srt",
                }
                for language in ("de", "ja")
            },
        },
    )


async def test_what_was_asked_for_is_shown_again(session: aiohttp.ClientSession) -> None:
    asked = {
        "target_languages": ["de"],
        "config": {
            "source_srt": {"content": "1\n", "file_name": "en.srt"},
            "target_srts": {"de": {"content": "1\n"}},
            "speaker_voices": {"0": "sandbox-voice-01"},
            "tts_model": "eleven_v4",
            "mood": "calm",
        },
        "disable_background_audio": True,
        "disable_lip_sync": True,
        "formality": True,
        "model": "classic",
        "reference_id": "episode-1",
        "source_language": "en",
        "webhook_url": "https://example.com/hook",
    }

    id = await accepted(session, json={**asked, "inputs": [VIDEO]})

    _, by_id = await get(session, id)
    assert {name: by_id[name] for name in asked} == asked
    assert await get(session, "episode-1") == (200, by_id)


async def test_a_missing_video_fails_the_translation(session: aiohttp.ClientSession, clock: ManualClock) -> None:
    body = {"inputs": [{"type": "video", "url": "https://a.example/missing"}], "target_languages": ["de"]}
    id = await accepted(session, json=body)
    clock.advance(100)

    _, failed = await get(session, id)

    assert (failed["status"], failed["error_message"]) == ("failed", "video URL is not accessible")
    assert failed["outputs"] is None


async def test_an_unknown_translation_has_a_text_of_its_own(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    lipsync = sandbox.add_job()

    assert await get(session, lipsync.id) == (404, {"error": "video translate request not found"})


async def test_there_is_a_completed_example(session: aiohttp.ClientSession) -> None:
    _, example = await get(session, "9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55")

    assert example["status"] == "completed"
    for url in example["outputs"]["de"].values():
        async with session.get(url) as response:
            assert response.status == 200


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"inputs": None}, "invalid request body"),
        ({"inputs": []}, "expected exactly one video input"),
        ({"inputs": [VIDEO, VIDEO]}, "expected exactly one video input"),
        ({"inputs": [{**VIDEO, "type": "audio"}]}, "expected exactly one video input"),
        ({"inputs": [{"type": "video", "url": "video.mp4"}]}, "invalid request body"),
        ({"target_languages": None}, "invalid request body"),
        ({"target_languages": []}, "invalid request body"),
        ({"target_languages": "de"}, "invalid request body"),
        ({"target_languages": ["de", 5]}, "invalid request body"),
        ({"target_languages": [""]}, "invalid request body"),
        ({"target_languages": ["\ud800"]}, "invalid request body"),
        ({"model": "magic"}, "invalid request body"),
        ({"model": []}, "invalid request body"),
        ({"formality": "true"}, "invalid request body"),
        ({"disable_lip_sync": 1}, "invalid request body"),
        ({"disable_background_audio": "no"}, "invalid request body"),
        ({"reference_id": 5}, "invalid request body"),
        ({"source_language": ["en"]}, "invalid request body"),
        ({"webhook_url": "not a url"}, "invalid request body"),
        ({"webhook_url": 5}, "invalid request body"),
        ({"config": []}, "invalid request body"),
        ({"config": {"tts_model": "eleven_v3"}}, "invalid request body"),
        ({"config": {"speaker_voices": {"0": 5}}}, "invalid request body"),
        ({"config": {"speaker_voices": []}}, "invalid request body"),
        ({"config": {"source_srt": "1\n"}}, "invalid request body"),
        ({"config": {"target_srts": []}}, "invalid request body"),
        ({"config": {"target_srts": {"de": {"file_name": "de.srt"}}}}, "invalid request body"),
    ],
)
async def test_a_malformed_translation_is_refused(
    sandbox: Sandbox,
    session: aiohttp.ClientSession,
    translate_body: dict[str, Any],
    change: dict[str, Any],
    text: str,
) -> None:
    async with session.post(GENERATE, json={**translate_body, **change}) as response:
        assert (response.status, await response.json()) == (400, {"error": text})
    assert not sandbox.jobs


async def test_json_is_required(session: aiohttp.ClientSession) -> None:
    async with session.post(GENERATE, data=b"{}", headers={"Content-Type": "text/plain"}) as response:
        assert await response.json() == {"error": "content-type must be application/json"}


class TestUpload:
    @pytest.fixture
    def form(self) -> aiohttp.FormData:
        form = aiohttp.FormData(default_to_multipart=True)
        form.add_field("video", b"the video", filename="a.mp4", content_type="video/mp4")
        return form

    async def test_an_upload_with_everything_becomes_the_same_request_as_its_json(
        self, session: aiohttp.ClientSession, form: aiohttp.FormData
    ) -> None:
        form.add_field("target_languages", json.dumps(["de", "pt-BR"]))
        form.add_field("config", json.dumps({"speaker_voices": {"0": "v"}}))
        form.add_field("source_srt", b"1\nhello\n", filename="en.srt")
        form.add_field("target_srt.de", "1\nhällo\n".encode(), filename="de.srt")
        form.add_field("target_srt.pt-BR", b"1\nola\n", filename="pt.srt")
        for name in ("disable_background_audio", "disable_lip_sync", "formality"):
            form.add_field(name, "true")
        texts = {"model": "classic", "reference_id": "r", "source_language": "en"}
        for name, text in texts.items():
            form.add_field(name, text)

        _, request = await get(session, await accepted(session, UPLOAD, data=form))

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
        assert request["disable_background_audio"] is True
        assert request["disable_lip_sync"] is True
        assert request["formality"] is True

    async def test_the_output_video_is_the_upload(
        self, session: aiohttp.ClientSession, form: aiohttp.FormData, clock: ManualClock
    ) -> None:
        form.add_field("target_languages", '["de"]')
        id = await accepted(session, UPLOAD, data=form)
        clock.advance(100)

        _, request = await get(session, id)

        async with session.get(request["outputs"]["de"]["video"]) as response:
            assert await response.read() == b"the video"
            assert response.headers["Content-Type"] == "video/mp4"

    @pytest.mark.parametrize(
        ("fields", "text"),
        [
            ({}, "invalid request body"),
            ({"target_languages": "de"}, "invalid request body"),
            ({"target_languages": '"de"'}, "invalid request body"),
            ({"target_languages": "[]"}, "invalid request body"),
            ({"target_languages": '["de"], "model": "x"'}, "invalid request body"),
            ({"target_languages": '["de"]', "config": "[]"}, "invalid request body"),
            ({"target_languages": '["de"]', "config": "{"}, "invalid request body"),
            ({"target_languages": '["de"]', "formality": "1"}, "invalid request body"),
            ({"target_languages": '["de"]', "model": "magic"}, "invalid request body"),
        ],
    )
    async def test_a_malformed_form_is_refused(
        self,
        sandbox: Sandbox,
        session: aiohttp.ClientSession,
        form: aiohttp.FormData,
        fields: dict[str, str],
        text: str,
    ) -> None:
        for name, field in fields.items():
            form.add_field(name, field)

        async with session.post(UPLOAD, data=form) as response:
            assert (response.status, await response.json()) == (400, {"error": text})
        assert not sandbox.jobs
        folder = sandbox._world.spool._folder
        assert folder is not None
        assert not list(folder.iterdir())

    async def test_subtitles_must_be_text(self, session: aiohttp.ClientSession, form: aiohttp.FormData) -> None:
        form.add_field("target_languages", '["de"]')
        form.add_field("source_srt", b"\xff\xfe", filename="en.srt")

        async with session.post(UPLOAD, data=form) as response:
            assert (response.status, await response.json()) == (400, {"error": "invalid request body"})

    async def test_a_video_is_required(self, session: aiohttp.ClientSession) -> None:
        form = aiohttp.FormData(default_to_multipart=True)
        form.add_field("target_languages", '["de"]')

        async with session.post(UPLOAD, data=form) as response:
            assert (response.status, await response.json()) == (400, {"error": "video file is required"})
