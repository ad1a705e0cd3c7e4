"""``generate`` and ``translate`` against a service."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chamelaion_async.cli import transfers
from chamelaion_async.sandbox import Fault

URLS = ("https://cdn.example.com/scene.mp4", "HTTPS://cdn.example.com/dub.wav")
FILES = ("video.mp4", "audio.wav")
JSON = "POST /v1/lipsync/generate"
FORM = "POST /v1/lipsync/generate-with-media"
TRANSLATE = "POST /v1/video-translate/generate"
TRANSLATE_FORM = "POST /v1/video-translate/generate-with-media"
UUID = r"[0-9a-f]{8}-[0-9a-f-]{27}"

Cli = Callable[..., Any]


def test_urls_are_handed_on(cli: Cli, quick: Any) -> None:
    result = cli("generate", *URLS, "--reference-id", "dub-1", "--no-speaker-detection")
    (job,) = quick.jobs()
    assert (result.code, result.out) == (0, f"{job.id}\n")
    assert result.err == f"to wait for it: chamelaion-async wait {job.id}\n"
    (sent,) = quick.received(JSON)
    assert [each["url"] for each in sent.body["inputs"]] == list(URLS)
    assert sent.body["reference_id"] == "dub-1"
    assert sent.body["disable_active_speaker_detection"] is True


def test_what_is_not_asked_for_is_not_sent(cli: Cli, quick: Any) -> None:
    cli("generate", *URLS)
    cli("translate", URLS[0], "--to", "de")
    assert set(quick.received(JSON)[0].body) == {"inputs"}
    assert set(quick.received(TRANSLATE)[0].body) == {"inputs", "target_languages"}


def test_files_are_uploaded(cli: Cli, quick: Any) -> None:
    result = cli("generate", *FILES, "--reference-id", "dub-2")
    (job,) = quick.jobs()
    assert (result.code, result.out) == (0, f"{job.id}\n")
    assert re.match(r"uploaded video\.mp4, audio\.wav: 1\.0 MB in \d", result.err)
    assert "\x1b" not in result.err
    (sent,) = quick.received(FORM)
    assert (sent.body["video"]["filename"], sent.body["video"]["size"]) == ("video.mp4", 1_024_000)
    assert (sent.body["audio"]["filename"], sent.body["audio"]["size"]) == ("audio.wav", 4000)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["generate", FILES[0], URLS[1]], "both URLs or both files"),
        (["generate", URLS[0], FILES[1]], "both URLs or both files"),
        (["generate", "nowhere.mp4", FILES[1]], "video 'nowhere.mp4' cannot be read: No such file or directory."),
        (["generate", "http://", "http://"], "must be an http(s) URL that the service can reach\n"),
        (["generate", FILES[0]], "AUDIO"),
        (["generate", *URLS, "--timeout", "-1"], "--timeout"),
        (["run", FILES[0], URLS[1], "-o", "out.mp4"], "both URLs or both files"),
        (["run", *FILES], "--output"),
        (["translate", FILES[0]], "--to"),
        (["translate", "nowhere.mp4", "--to", "de"], "cannot be read: No such file"),
        (["translate", URLS[0], "--to", "de", "--source-srt", "nowhere.srt"], "cannot be read: No such file"),
        (["translate", FILES[0], "--to", "de", "--source-srt", "nowhere.srt"], "cannot be read: No such file"),
        (["translate", URLS[0], "--to", "de", "--source-srt", "video.mp4"], "it is not UTF-8"),
        (["translate", URLS[0], "--to", "de", "--target-srt", "de.srt"], "--target-srt takes NAME=VALUE"),
        (["translate", URLS[0], "--to", "de", "--voice", "0="], "--voice takes NAME=VALUE"),
        (["translate", URLS[0], "--to", "de", "--voice", "0=a", "--voice", "0=b"], "twice for '0'"),
        (["translate", URLS[0], "--to", "de", "--model", "best"], "--model"),
    ],
)
def test_what_cannot_be_submitted_is_one_line_and_costs_nothing(
    cli: Cli, quick: Any, arguments: list[str], error: str
) -> None:
    result = cli(*arguments)
    assert (result.code, result.out) == (2, "")
    assert error in result.err
    assert result.err.count("\n") == 1
    assert quick.jobs() == []


def test_generate_answers_programs(cli: Cli, quick: Any) -> None:
    record = json.loads(cli("generate", *FILES, "--json").out)
    assert record == {"request_id": quick.jobs()[0].id, "status": "success"}


def test_generate_may_wait(cli: Cli, quick: Any) -> None:
    first, change = cli("generate", *URLS, "--wait").out.splitlines()
    assert re.fullmatch(UUID, first)
    assert f"  {first}  completed " in change
    assert json.loads(cli("generate", *URLS, "--wait", "--json").out)["status"] == "completed"
    assert cli("generate", "https://x.example/missing.mp4", URLS[1], "--wait").code == 1


def test_a_wait_for_a_new_job_may_be_too_short(cli: Cli, service: Any) -> None:
    result = cli("generate", *URLS, "--wait", "--timeout", "0")
    assert result.code == 3
    assert f"{service.jobs()[0].id}: still queued after" in result.err


def test_an_answer_that_got_lost_is_told_apart(cli: Cli, service: Any) -> None:
    service.inject(Fault.status(500, when="after"), route=JSON)
    result = cli("generate", *URLS, "--json")
    assert (result.code, service.count(JSON)) == (3, 1)
    record = json.loads(result.out)
    assert (record["id"], record["error"]) == (None, "SubmissionUncertainError")
    assert "check with: chamelaion-async list. Give the next one a --reference-id" in record["message"]


def test_with_a_reference_id_a_lost_answer_is_found(cli: Cli, service: Any) -> None:
    service.inject(Fault.status(500, when="after"), route=JSON, times=1)
    result = cli("generate", *URLS, "--reference-id", "mine")
    assert (result.code, result.out) == (0, f"{service.jobs()[0].id}\n")
    assert service.count(JSON) == 1


def test_a_used_up_quota_is_a_failure(cli: Cli, service: Any) -> None:
    service.inject(Fault.status(412, {"error": "token limit reached"}), route=JSON)
    result = cli("generate", *URLS)
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)


def test_names_of_files_cannot_reach_the_terminal(cli: Cli, quick: Any) -> None:
    nasty = "\x1b[2Jvideo.mp4"
    Path("video.mp4").rename(nasty)
    assert r"uploaded \x1b[2Jvideo.mp4, audio.wav" in cli("generate", nasty, "audio.wav").err


OPTIONS = [
    *("--to", "de", "--to", "fr", "--from", "en", "--model", "classic", "--reference-id", "t-1"),
    *("--source-srt", "en.srt", "--target-srt", "de=de.srt", "--voice", "0=voice=1", "--voice", "1=voice-2"),
    *("--no-lip-sync", "--no-background-audio", "--formality", "--webhook", "http://127.0.0.1:1/hook"),
]


def test_a_translation_of_a_url_carries_its_options(cli: Cli, quick: Any) -> None:
    result = cli("translate", URLS[0], *OPTIONS)
    (job,) = quick.jobs()
    assert (result.code, result.out) == (0, f"{job.id}\n")
    assert result.err == f"to wait for it: chamelaion-async wait --family translate {job.id}\n"
    (sent,) = quick.received(TRANSLATE)
    english = "1\n00:00:00,000 --> 00:00:01,000\nHello\n"  # without the byte order mark
    german = "1\n00:00:00,000 --> 00:00:01,000\nGr\u00fc\u00dfe\n"
    assert sent.body == {
        "inputs": [{"type": "video", "url": URLS[0]}],
        "target_languages": ["de", "fr"],
        "source_language": "en",
        "model": "classic",
        "reference_id": "t-1",
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


def test_a_translation_of_a_file_carries_its_options(cli: Cli, quick: Any) -> None:
    result = cli("translate", FILES[0], *OPTIONS)
    assert result.code == 0
    assert result.err.startswith("uploaded video.mp4: 1.0 MB in ")
    (sent,) = quick.received(TRANSLATE_FORM)
    assert json.loads(sent.body["target_languages"]) == ["de", "fr"]
    assert json.loads(sent.body["config"]) == {"speaker_voices": {"0": "voice=1", "1": "voice-2"}}
    assert sent.body["source_srt"]["filename"] == "en.srt"
    assert sent.body["target_srt.de"]["filename"] == "de.srt"
    assert (sent.body["source_language"], sent.body["model"], sent.body["formality"]) == ("en", "classic", "true")


def test_a_translation_may_be_waited_for(cli: Cli, quick: Any) -> None:
    record = json.loads(cli("translate", FILES[0], "--to", "de", "--wait", "--json").out)
    assert (record["status"], list(record["outputs"])) == ("completed", ["de"])


def test_no_bar_is_left_by_what_is_refused(cli: Cli, quick: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "is_live", lambda _: True)
    result = cli("generate", "nowhere.mp4", "audio.wav")
    assert result.err == (
        "chamelaion-async: video 'nowhere.mp4' cannot be read: No such file or directory. Nothing was submitted\n"
    )


def test_uploads_show_a_bar_on_a_terminal(terminal: Callable[..., Any], quick: Any, tmp_path: Path) -> None:
    started = terminal("generate", "video.mp4", "audio.wav", cwd=tmp_path)
    assert started.wait() == 0
    assert "video.mp4, audio.wav" in started.seen
    assert "1.0/1.0 MB" in started.seen
    assert "\x1b[1A" in started.seen or "\r\x1b[2K" in started.seen  # drawn over
    assert started.seen.rindex("\x1b[?25h") > started.seen.rindex("\x1b[?25l")
    assert re.search(rf"\n(\x1b\[\?25h)?{quick.jobs()[0].id}\r\n", started.seen)  # alone on its line
