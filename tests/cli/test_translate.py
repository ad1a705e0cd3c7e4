"""``translate``."""

from __future__ import annotations

import json

from .running import FILES, URLS, Cli, LocalSandbox

URL_ROUTE = "POST /v1/video-translate/generate"
FORM_ROUTE = "POST /v1/video-translate/generate-with-media"
OPTIONS = [
    *("--to", "de", "--to", "fr", "--from", "en", "--model", "classic", "--reference-id", "t-1"),
    *("--source-srt", "en.srt", "--target-srt", "de=de.srt", "--voice", "0=voice=1", "--voice", "1=voice-2"),
    *("--no-lip-sync", "--no-background-audio", "--formality", "--webhook", "http://127.0.0.1:1/hook"),
]


def test_a_url_is_submitted_with_the_options(cli: Cli, quick: LocalSandbox) -> None:
    result = cli("translate", URLS[0], *OPTIONS)
    (job,) = quick.jobs()
    assert (result.code, result.out) == (0, f"{job.id}\n")
    assert result.err == f"to wait for it: chamelaion-async wait --family translate {job.id}\n"
    (sent,) = quick.received(URL_ROUTE)
    english = "1\n00:00:00,000 --> 00:00:01,000\nHello\n"  # without the byte order mark
    german = "1\n00:00:00,000 --> 00:00:01,000\nGr\u00fc\u00dfe\n"
    assert sent.body == {
        "inputs": [{"type": "video", "url": URLS[0]}],
        "model": "classic",
        "reference_id": "t-1",
        "target_languages": ["de", "fr"],
        "source_language": "en",
        "config": {
            "speaker_voices": {"0": "voice=1", "1": "voice-2"},
            "source_srt": {"content": english, "file_name": "en.srt", "language": "en"},
            "target_srts": {"de": {"content": german, "file_name": "de.srt", "language": "de"}},
        },
        "disable_lip_sync": True,
        "disable_background_audio": True,
        "formality": True,
        "webhook_url": "http://127.0.0.1:1/hook",
    }


def test_a_file_is_uploaded_with_the_options(cli: Cli, quick: LocalSandbox) -> None:
    result = cli("translate", FILES[0], *OPTIONS)
    assert result.code == 0
    assert result.err.startswith("uploaded video.mp4: 1.0 MB in ")
    (sent,) = quick.received(FORM_ROUTE)
    assert json.loads(sent.body["target_languages"]) == ["de", "fr"]
    assert json.loads(sent.body["config"]) == {"speaker_voices": {"0": "voice=1", "1": "voice-2"}}
    assert sent.body["source_srt"]["filename"] == "en.srt"
    assert sent.body["target_srt.de"]["filename"] == "de.srt"
    assert (sent.body["source_language"], sent.body["model"], sent.body["formality"]) == ("en", "classic", "true")


def test_wait_prints_the_finished_translation(cli: Cli, quick: LocalSandbox) -> None:
    record = json.loads(cli("translate", URLS[0], "--to", "de", "--wait", "--json").out)
    assert set(quick.received(URL_ROUTE)[0].body) == {"inputs", "target_languages"}  # no option that was not given
    assert (record["status"], list(record["outputs"])) == ("completed", ["de"])
