"""Commands in advice: what is printed can be pasted into a shell."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from chamelaion_async import SubmissionUncertainError
from chamelaion_async.cli.acceptance import submission
from chamelaion_async.cli.advice import command, quoted
from chamelaion_async.cli.options import Service
from chamelaion_async.cli.text import clean, one_line
from chamelaion_async.sandbox import Fault

URLS = ("https://x.example/v.mp4", "https://x.example/a.wav")
JSON = "POST /v1/lipsync/generate"
LIST = "GET /v1/lipsync/requests"
NAMES = [
    "dub-42",
    "-x",
    "--json",
    "-",
    "it's",
    "a b",
    "a  b ",
    "$(touch x) `touch y` ; touch z",
    '"!$HOME"',
    "*",
    "~",
    "\\",
    "\\'\t\n\r\x1b[2J\x7f",
    "\x1b9",
    "-\n",
    "Überraschung 第42話",
    "a\u3000b\u202egpj",
    "\udcff.mp4",
]

Cli = Callable[..., Any]


def pasted(text: str) -> list[list[str]]:
    """Let bash run a line in which ``chamelaion-async`` prints its arguments, and return those of each call."""
    printing = r"""chamelaion-async() { printf '%s\0' "$@" $'\n'; }"""
    done = subprocess.run(
        ["bash", "--norc"], input=os.fsencode(f"{printing}\n{text}\n"), capture_output=True, timeout=15, check=True
    )
    assert done.stderr == b""
    calls = os.fsdecode(done.stdout).split("\0\n\0")[:-1]
    return [call.split("\0") for call in calls]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_survives_the_terminal_and_a_shell(name: str) -> None:
    line = command("download", name, output=name, overwrite=True, base_url=None, allow_http=False)
    assert one_line(line) == clean(line) == line
    (words,) = pasted(line)
    assert words[0] == "download"
    assert words[-1] == name
    assert f"--output={name}" in words if name.startswith("-") else words[1:3] == ["--output", name]
    assert ("--" in words) is name.startswith("-")


def test_half_a_character_is_a_word_too() -> None:
    """An id may hold one, as JSON lets it, though no command line can pass it on."""
    assert quoted("\ud800") == r"$'\355\240\200'"


@pytest.mark.parametrize("name", ["-x", "it's  mine", "--reference-id", "第42話"])
def test_a_lost_submission_is_looked_for_by_what_is_printed(cli: Cli, service: Any, name: str) -> None:
    service.inject(Fault.status(400, {"error": "no list"}), route=LIST)
    service.inject(Fault.status(500, when="after"), route=JSON)
    result = cli("generate", *URLS, f"--reference-id={name}", "--base-url", service.url)
    assert result.code == 3
    (words,) = pasted(result.err.rpartition("check with: ")[2])
    assert words[-2:] == ["--base-url", service.url]
    cli(*words)
    assert service.received(LIST)[-1].query["reference_id"] == name


def test_an_interrupted_submission_may_have_been_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    service = Service(environment="staging", api_key="sk-secret")
    with pytest.raises(asyncio.CancelledError), submission("translate", service, "-x"):
        raise asyncio.CancelledError
    assert capsys.readouterr().err == (
        "interrupted while submitting; before submitting again, see whether it was accepted with: "
        "chamelaion-async list --family translate --reference-id=-x --environment staging\n"
    )


def test_a_note_on_a_lost_submission_names_the_command() -> None:
    error = SubmissionUncertainError("x", reference_id=None)
    with pytest.raises(SubmissionUncertainError), submission("translate", Service(allow_http=True), None):
        raise error
    (told,) = error.__notes__
    assert told == (
        "Before submitting again, which may cost twice, check with: "
        "chamelaion-async list --family translate --allow-http"
    )


@pytest.mark.parametrize("id", ["-x", "it's", "\x1b[2J"])
def test_a_wait_for_any_id_can_be_pasted(cli: Cli, service: Any, id: str) -> None:
    service.inject(Fault.body(json.dumps({"request_id": id, "status": "success"}).encode()), route=JSON)
    result = cli("generate", *URLS)
    assert result.out == f"{clean(id)}\n"
    (words,) = pasted(result.err.removeprefix("to wait for it: "))
    assert words == ["wait", *(["--"] if id == "-x" else []), id]


def test_run_goes_on_by_what_is_printed(cli: Cli, quick: Any) -> None:
    quick.inject(Fault.status(404), route="GET /output/{name:path}", times=1)
    broken = cli("run", "video.mp4", "audio.wav", "--output=-my out.mp4", "--base-url", quick.url)
    assert broken.code == 3
    wait, download = pasted(broken.err.splitlines()[-2].removeprefix("to go on: "))
    assert cli(*wait).code == 0
    assert cli(*download).out == "-my out.mp4\n"


@pytest.mark.parametrize("arguments", [["generate"], ["run", "--output", "out.mp4"]])
def test_programs_get_a_record_of_an_interrupt(
    start: Callable[..., subprocess.Popen[str]], service: Any, arguments: list[str]
) -> None:
    """The job is paid for, and stderr may lead nowhere."""
    name, *options = arguments
    process = start(name, *URLS, *options, "--json", *(["--wait"] if name == "generate" else []))
    assert process.stderr is not None
    first = process.stderr.readline()
    (job,) = service.jobs()
    assert job.id in first
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=15)
    record = json.loads(out)
    assert (process.returncode, record["id"], record["error"]) == (130, job.id, "CancelledError")
    assert f"chamelaion-async wait {job.id}" in record["message"]
    assert f"chamelaion-async wait {job.id}" in err
