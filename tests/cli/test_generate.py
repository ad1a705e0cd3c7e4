"""``generate``, and what all three commands that submit refuse."""

from __future__ import annotations

import json
import re

import pytest

from chamelaion_async.sandbox import Fault

from .running import FILES, GENERATE, URLS, Cli, LocalSandbox

FORM = "POST /v1/lipsync/generate-with-media"


def test_urls_are_submitted_with_the_options(cli: Cli, quick: LocalSandbox) -> None:
    result = cli("generate", *URLS, "--reference-id", "dub-1", "--no-speaker-detection")
    (job,) = quick.jobs()
    assert (result.code, result.out) == (0, f"{job.id}\n")
    assert result.err == f"to wait for it: chamelaion-async wait {job.id}\n"
    (sent,) = quick.received(GENERATE)
    assert [each["url"] for each in sent.body["inputs"]] == list(URLS)
    assert sent.body["reference_id"] == "dub-1"
    assert sent.body["disable_active_speaker_detection"] is True


def test_files_are_uploaded(cli: Cli, quick: LocalSandbox) -> None:
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
        (["run", *FILES, "-o", "audio.wav"], "audio.wav exists"),
        (["run", *FILES, "-o", "no/where.mp4"], "there is no folder no"),
        (["run", *FILES, "-o", "."], "it is a folder"),
        (["run", *FILES, "-o", "new/"], "it is a folder"),
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
def test_wrong_arguments_are_one_line_and_submit_nothing(
    cli: Cli, quick: LocalSandbox, arguments: list[str], error: str
) -> None:
    result = cli(*arguments)
    assert (result.code, result.out) == (2, "")
    assert error in result.err
    assert result.err.count("\n") == 1
    assert quick.jobs() == []


def test_json_is_the_answer_of_the_api(cli: Cli, quick: LocalSandbox) -> None:
    record = json.loads(cli("generate", *FILES, "--json").out)
    assert record == {"request_id": quick.jobs()[0].id, "status": "success"}


def test_wait_ends_as_the_job_does(cli: Cli, quick: LocalSandbox) -> None:
    first, change = cli("generate", *URLS, "--wait").out.splitlines()
    assert first == quick.jobs()[0].id
    assert f"  {first}  completed " in change
    assert set(quick.received(GENERATE)[0].body) == {"inputs"}  # no option that was not given
    assert json.loads(cli("generate", *URLS, "--wait", "--json").out)["status"] == "completed"
    assert cli("generate", "https://x.example/missing.mp4", URLS[1], "--wait").code == 1


def test_a_wait_that_is_too_short_exits_with_3(cli: Cli, service: LocalSandbox) -> None:
    result = cli("generate", *URLS, "--wait", "--timeout", "0")
    assert result.code == 3
    assert f"{service.jobs()[0].id}: still queued after" in result.err


@pytest.mark.parametrize("command", [["generate"], ["run", "-o", "no-such-file.mp4"]])
def test_a_lost_answer_is_an_uncertain_submission(cli: Cli, service: LocalSandbox, command: list[str]) -> None:
    service.inject(Fault.status(500, when="after"), route=GENERATE)
    result = cli(*command, *URLS, "--json")
    assert (result.code, len(service.received(GENERATE))) == (3, 1)
    record = json.loads(result.out)
    assert (record["id"], record["error"]) == (None, "SubmissionUncertainError")
    assert "check with: chamelaion-async list. Pass --reference-id next time" in record["message"]
