"""``get``."""

from __future__ import annotations

import json
import re

import pytest

from chamelaion_async.sandbox import Fault

from .running import COMPLETED, FAILED, GET, NOWHERE, Cli, LocalSandbox


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param([COMPLETED], 0, id="completed"),
        pytest.param(["running"], 0, id="in progress"),
        pytest.param([FAILED], 1, id="failed"),
        pytest.param(["unknown"], 1, id="not found"),
        pytest.param([".."], 2, id="not an id"),
        pytest.param([COMPLETED, "--api-key", ""], 2, id="empty key"),
        pytest.param([COMPLETED, "--environment", "mars"], 2, id="unknown environment"),
        pytest.param([COMPLETED, "--base-url", "http://example.com"], 2, id="key in the clear"),
        pytest.param([COMPLETED, "--frobnicate"], 2, id="unknown option"),
        pytest.param([COMPLETED, "--timeout", "0"], 2, id="no time"),
        pytest.param([], 2, id="no id"),
        pytest.param([COMPLETED, "--base-url", NOWHERE], 3, id="unreachable"),
    ],
)
def test_an_error_has_its_exit_code_and_one_line_on_stderr(
    cli: Cli, running: str, arguments: list[str], code: int
) -> None:
    result = cli("get", *arguments)
    assert result.code == code
    is_error = code > 1 or arguments == ["unknown"]
    assert result.err.count("\n") == is_error
    assert bool(result.out) != is_error


def test_a_job_is_shown_field_by_field(cli: Cli, service: LocalSandbox) -> None:
    assert cli("get", COMPLETED).out.splitlines() == [
        "id         6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8",
        "reference  dub-episode-42",
        "status     completed",
        "created    2026-04-07 10:00:00 UTC",
        "queued     5.0 s",
        "took       1 min 25 s",
        f"output     {service.url.removesuffix('/api')}/output/6f82a2d8.mp4",
    ]
    assert "reason     video URL is not accessible\n" in cli("get", FAILED).out


def test_fields_without_a_value_are_left_out(cli: Cli, service: LocalSandbox) -> None:
    id = service.add_job().id
    assert [line.split()[0] for line in cli("get", id).out.splitlines()] == ["id", "status", "created"]


def test_a_translation_is_shown_with_all_its_outputs(cli: Cli, service: LocalSandbox) -> None:
    id = service.add_job(family="video_translate", job_seconds=0, target_languages=["de", "fr"]).id
    lines = cli("get", id, "--family", "translate").out.splitlines()
    fields = dict(re.split(r"  +", line, maxsplit=1) for line in lines)
    assert fields["languages"] == "de, fr"
    assert fields["fr audio"].endswith(f"/{id}/fr/audio.wav")
    assert "output" not in fields
    assert cli("get", id).code == 1  # no lip sync request has this id


def test_json_is_the_object_of_the_api(cli: Cli, service: LocalSandbox) -> None:
    assert json.loads(cli("get", FAILED, "--json").out) == {
        "id": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
        "status": "failed",
        "created_at": "2026-04-07T11:00:00Z",
        "reference_id": "dub-episode-43",
        "started_at": "2026-04-07T11:00:04Z",
        "finished_at": "2026-04-07T11:00:12Z",
        "error_message": "video URL is not accessible",
        "output_url": None,
    }


@pytest.mark.parametrize("arguments", [["get"], ["wait"], ["get", "--json"], ["wait", "--json"]])
def test_text_of_the_service_is_printed_without_control_characters(
    cli: Cli, service: LocalSandbox, arguments: list[str]
) -> None:
    nasty = "\x1b]0;owned\x07[bold red]x[/]\u202egpj.exe\x9b2J\nsecond line"
    service.add_job(reference_id="nasty", job_seconds=0, fails=nasty)
    out = cli(*arguments, "nasty").out
    assert all(line.isprintable() for line in out.split("\n"))
    assert "[bold red]x[/]" in out
    if "--json" in arguments:
        assert json.loads(out)["error_message"] == nasty


@pytest.mark.parametrize("command", ["get", "wait"])
def test_an_error_is_one_printable_line_and_a_record(cli: Cli, service: LocalSandbox, command: str) -> None:
    service.inject(Fault.status(400, {"error": "\x1b[2J\nfaked: line"}), route=GET)
    result = cli(command, "\x1b[31mid", "--json")
    assert result.err.removesuffix("\n").isprintable()
    assert r"\x1b[31mid" in result.err
    record = json.loads(result.out)
    assert (record["id"], record["error"]) == ("\x1b[31mid", "BadRequestError")
    assert "faked: line" in record["message"]
