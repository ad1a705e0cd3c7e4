"""Commands in advice: what is printed can be pasted into a shell."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess

import pytest

from chamelaion_async import SubmissionUncertainError
from chamelaion_async.cli._ui.advice import command_line, shell_quoted
from chamelaion_async.cli._ui.options import ServiceOptions
from chamelaion_async.cli._ui.submission import submission_guard
from chamelaion_async.cli._ui.text import clean, one_line
from chamelaion_async.sandbox import Fault

from .running import FILES, GENERATE, LIST, OUTPUT, URLS, Cli, LocalSandbox, Start

NAMES = [
    *("dub-42", "-x", "--json", "-", "it's", "a  b ", "$(touch x) `touch y` ; touch z", '"!$HOME"', "*", "~", "\\"),
    *("\\'\t\n\r\x1b[2J\x7f", "\x1b9", "-\n", "Überraschung 第42話", "a\u3000b\u202egpj", "\udcff.mp4"),
]


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
    line = command_line("download", name, output=name, overwrite=True, base_url=None, allow_http=False)
    assert one_line(line) == clean(line) == line
    (words,) = pasted(line)
    assert words[0] == "download"
    assert words[-1] == name
    assert f"--output={name}" in words if name.startswith("-") else words[1:3] == ["--output", name]
    assert ("--" in words) is name.startswith("-")


def test_a_lone_surrogate_in_an_id_is_quoted() -> None:
    """JSON allows it in an id, though no command line can pass it."""
    assert shell_quoted("\ud800") == r"$'\355\240\200'"


@pytest.mark.parametrize("name", ["-x", "it's  mine", "--reference-id", "第42話"])
def test_the_printed_command_finds_a_job_whose_answer_was_lost(cli: Cli, service: LocalSandbox, name: str) -> None:
    service.inject(Fault.status(400, {"error": "no list"}), route=LIST)
    service.inject(Fault.status(500, when="after"), route=GENERATE)
    result = cli("generate", *URLS, f"--reference-id={name}", "--base-url", service.url)
    assert result.code == 3
    (words,) = pasted(result.err.rpartition("check with: ")[2])
    assert words[-2:] == ["--base-url", service.url]
    cli(*words)
    assert service.received(LIST)[-1].query["reference_id"] == name


def test_an_interrupt_while_submitting_says_how_to_find_the_job(capsys: pytest.CaptureFixture[str]) -> None:
    service = ServiceOptions(environment="staging", api_key="sk-secret")
    with pytest.raises(asyncio.CancelledError), submission_guard("translate", service, "-x"):
        raise asyncio.CancelledError
    assert capsys.readouterr().err == (
        "interrupted while submitting; before submitting again, check whether it was accepted: "
        "chamelaion-async list --family translate --reference-id=-x --environment staging\n"
    )


def test_an_uncertain_submission_says_how_to_find_the_job() -> None:
    error = SubmissionUncertainError("x", reference_id=None)
    service = ServiceOptions(allow_http=True)
    with pytest.raises(SubmissionUncertainError), submission_guard("translate", service, None):
        raise error
    (note,) = error.__notes__
    assert note == (
        "Before submitting again, which may cost twice, check with: "
        "chamelaion-async list --family translate --allow-http"
    )


@pytest.mark.parametrize("id", ["-x", "it's", "\x1b[2J"])
def test_the_printed_command_waits_for_any_id(cli: Cli, service: LocalSandbox, id: str) -> None:
    service.inject(Fault.body(json.dumps({"request_id": id, "status": "success"}).encode()), route=GENERATE)
    result = cli("generate", *URLS)
    assert result.out == f"{clean(id)}\n"
    (words,) = pasted(result.err.removeprefix("to wait for it: "))
    assert words == ["wait", *(["--"] if id == "-x" else []), id]


def test_the_printed_commands_continue_a_run(cli: Cli, quick: LocalSandbox) -> None:
    quick.inject(Fault.status(404), route=OUTPUT, times=1)
    broken = cli("run", *FILES, "--output=-my out.mp4", "--base-url", quick.url, "--json")
    assert (broken.code, json.loads(broken.out)["error"]) == (3, "DownloadError")
    wait, download = pasted(broken.err.splitlines()[-2].removeprefix("to continue: "))
    assert cli(*wait).code == 0
    assert cli(*download).out == "-my out.mp4\n"


@pytest.mark.parametrize("arguments", [["generate", "--wait"], ["run", "--output", "out.mp4"]])
def test_json_output_has_a_record_of_an_interrupt(start: Start, service: LocalSandbox, arguments: list[str]) -> None:
    """The job is paid for, and stderr may lead nowhere."""
    name, *options = arguments
    process = start(name, *URLS, *options, "--json")
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
