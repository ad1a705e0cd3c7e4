"""``get`` and ``wait`` against a service."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import attrs
import pytest

from chamelaion_async import LipsyncRequest
from chamelaion_async.cli.options import Service
from chamelaion_async.cli.records import job_record
from chamelaion_async.config import ENVIRONMENTS
from chamelaion_async.sandbox import Fault

COMPLETED, FAILED = "dub-episode-42", "dub-episode-43"
GET = "GET /v1/lipsync/requests/{id}"
NOWHERE = "http://127.0.0.1:1"
"""Port 1 is the multiplexer of RFC 1078, which nothing has listened on for decades."""

Cli = Callable[..., Any]


@pytest.fixture
def running(service: Any) -> str:
    """The id of a job that outlasts the test."""
    return str(service.add_job(reference_id="running").id)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param([COMPLETED], 0, id="completed"),
        pytest.param(["running"], 0, id="under way"),
        pytest.param([FAILED], 1, id="failed"),
        pytest.param(["nobody-knows"], 1, id="not known"),
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
def test_get_tells_by_its_exit_code(cli: Cli, running: str, arguments: list[str], code: int) -> None:
    result = cli("get", *arguments)
    assert result.code == code
    is_error = code > 1 or arguments == ["nobody-knows"]
    assert result.err.count("\n") == is_error
    assert bool(result.out) != is_error


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param([COMPLETED], 0, id="completed"),
        pytest.param([COMPLETED, FAILED], 1, id="one failed"),
        pytest.param([COMPLETED, "running"], 3, id="one not in time"),
        pytest.param([FAILED, "running"], 3, id="3 goes before 1"),
        pytest.param(["running", "..", FAILED], 2, id="2 goes before 3"),
        pytest.param([COMPLETED, "--base-url", NOWHERE], 3, id="unreachable"),
    ],
)
def test_wait_tells_by_its_exit_code(cli: Cli, running: str, arguments: list[str], code: int) -> None:
    assert cli("wait", "--timeout", "0", *arguments).code == code


@pytest.mark.parametrize("command", ["get", "wait", "whoami"])
def test_wrong_credentials_are_a_matter_of_configuration(cli: Cli, serve: Callable[..., Any], command: str) -> None:
    arguments = [] if command == "whoami" else [COMPLETED]
    result = cli(command, *arguments, "--api-key", "sk-wrong", "--base-url", serve(keys=["sk-right"]).url)
    assert result.code == 2
    assert "invalid token" in result.err
    assert "CHAMELAION_API_KEY" in result.err


@pytest.mark.parametrize("command", [["get", "x"], ["wait", "x", "y"], ["whoami"]])
def test_a_missing_key_is_named_once_and_before_anything_is_sent(cli: Cli, command: list[str]) -> None:
    result = cli(*command, "--base-url", NOWHERE)
    assert (result.code, result.out) == (2, "")
    assert result.err == "chamelaion-async: no API key; set CHAMELAION_API_KEY (a sandbox takes any value)\n"


def test_a_bearer_token_will_do(cli: Cli, serve: Callable[..., Any]) -> None:
    url = serve(keys=["a-token"]).url
    assert cli("get", COMPLETED, "--bearer-token", "a-token", "--base-url", url).code == 0


def test_get_shows_the_facts(cli: Cli, service: Any) -> None:
    assert cli("get", COMPLETED).out.splitlines() == [
        "id         6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8",
        "reference  dub-episode-42",
        "status     completed",
        "created    2026-04-07 10:00:00 UTC",
        "queued     5.0 s",
        "took       1 min 25 s",
        f"output     {service.url.removesuffix('/api')}/output/6f82a2d8.mp4",
    ]


def test_a_translation_is_asked_for_by_its_family(cli: Cli, service: Any) -> None:
    id = service.add_job(family="video_translate", job_seconds=0, target_languages=["de", "fr"]).id
    facts = dict(
        re.split(r"  +", line, maxsplit=1) for line in cli("get", id, "--family", "translate").out.splitlines()
    )
    assert facts["languages"] == "de, fr"
    assert facts["fr audio"].endswith(f"/{id}/fr/audio.wav")
    assert "output" not in facts
    assert cli("get", id).code == 1
    waited = cli("wait", id, "--family", "translate", "--json")
    assert (waited.code, list(json.loads(waited.out)["outputs"])) == (0, ["de", "fr"])
    assert re.search(
        r"  de http\S+/de/video.mp4  fr http\S+/fr/video.mp4$", cli("wait", id, "--family", "translate").out
    )


def test_get_leaves_out_what_is_not_there(cli: Cli, service: Any) -> None:
    id = service.add_job().id
    assert [line.split()[0] for line in cli("get", id).out.splitlines()] == ["id", "status", "created"]


def test_get_gives_the_reason_of_a_failure(cli: Cli, service: Any) -> None:
    assert "reason     video URL is not accessible\n" in cli("get", FAILED).out


def test_get_prints_the_api_object_as_json(cli: Cli, service: Any) -> None:
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


@pytest.mark.parametrize("command", ["get", "wait"])
def test_errors_are_json_too(cli: Cli, service: Any, command: str) -> None:
    service.inject(Fault.status(400, {"error": "no such thing"}), route=GET)
    record = json.loads(cli(command, "some-id", "--json").out)
    assert (record["id"], record["error"]) == ("some-id", "BadRequestError")
    assert "no such thing" in record["message"]


def test_wait_prints_json_in_the_order_of_finishing(cli: Cli, service: Any) -> None:
    service.add_job(reference_id="slow", job_seconds=0.5)
    result = cli("wait", "slow", COMPLETED, "--json")
    assert [json.loads(line)["reference_id"] for line in result.out.splitlines()] == [COMPLETED, "slow"]
    assert (result.code, result.err) == (0, "")


def test_wait_prints_a_line_for_each_change(cli: Cli, service: Any) -> None:
    service.add_job(reference_id="slow", job_seconds=0.5, queue_seconds=0.5)
    first, last = cli("wait", "slow").out.splitlines()
    assert first.endswith(" s  slow  queued")
    assert " s  slow  completed   queued 0.5 s  took 0.0 s  http://127.0.0.1:" in last


def test_an_id_given_twice_counts_once(cli: Cli, service: Any) -> None:
    assert cli("wait", COMPLETED, COMPLETED).out.count("\n") == 1
    assert service.count(GET) == 1


def test_a_wait_without_end_is_possible(cli: Cli, service: Any) -> None:
    assert cli("wait", COMPLETED, "--timeout", "inf").code == 0


def test_what_did_not_finish_is_told_apart(cli: Cli, running: str) -> None:
    err = cli("wait", "running", "--timeout", "0").err
    assert err.startswith("chamelaion-async: running: still queued after 0.0 s; ")
    assert "--timeout" in err


def test_text_of_the_service_cannot_reach_the_terminal(cli: Cli, service: Any) -> None:
    nasty = "\x1b]0;owned\x07[bold red]x[/]\u202egpj.exe\x9b2J\nsecond line"
    service.add_job(reference_id="nasty", job_seconds=0, fails=nasty)
    for arguments in (["get"], ["wait"], ["get", "--json"], ["wait", "--json"]):
        out = cli(*arguments, "nasty").out
        assert all(line.isprintable() for line in out.split("\n"))
        assert "[bold red]x[/]" in out
        if "--json" in arguments:
            assert json.loads(out)["error_message"] == nasty


def test_errors_of_the_service_cannot_reach_the_terminal(cli: Cli, service: Any) -> None:
    service.inject(Fault.status(400, {"error": "\x1b[2J\nfaked: line"}), route=GET)
    for command in ("get", "wait"):
        err = cli(command, "\x1b[31mid").err
        assert err.removesuffix("\n").isprintable()
        assert r"\x1b[31mid" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", COMPLETED, "--api-key", "sk-secret"],
        ["get", COMPLETED, "--api-key", "sk-secret", "--json"],
        ["wait", COMPLETED, "--bearer-token", "sk-secret"],
        ["get", COMPLETED, "--api-key", "sk-secret", "--base-url", "ftp://x"],
        ["get", COMPLETED, "--api-key", "sk-secret", "--base-url", NOWHERE],
        ["get", COMPLETED, "--api-key", "sk-secret more"],
        ["get", COMPLETED, "--api-key", "sk-secret", "--api-key", "sk-secret"],
        ["get", "--apikey=sk-secret", COMPLETED],
        ["--api-key=sk-secret", "get", COMPLETED],
        ["whoami", "--api-key", "sk-secret", "sk-secret"],
        ["get", COMPLETED, "--apikey", "sk-secret"],
        ["get", COMPLETED, "--apikey", "--bearertoken=sk-secret", "--key"],
    ],
)
def test_the_key_is_never_printed(cli: Cli, service: Any, arguments: list[str]) -> None:
    service.inject(Fault.status(401, {"error": "token sk-secret is no good"}), route=GET)
    result = cli(*arguments)
    assert result.code in (2, 3)
    assert "sk-secret" not in result.out + result.err


def test_of_two_keys_no_rest_is_printed(cli: Cli) -> None:
    err = cli("get", "--api-key=sk", "--apikey=sk-secret", COMPLETED).err
    assert err == "chamelaion-async: Unknown option: --apikey=***. Try --help.\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_wait_that_is_ended_gives_the_terminal_back(
    terminal: Callable[..., Any], running: str, service: Any, number: signal.Signals, code: int
) -> None:
    waiting = terminal("wait", "running", COMPLETED)
    waiting.read_until("1 of 2 done")
    waiting.send(number)
    assert waiting.wait() == code
    assert waiting.seen.rindex("\x1b[?25h") > waiting.seen.rindex("\x1b[?25l")
    assert f"{COMPLETED}  completed" in waiting.seen  # what is known already is not lost
    assert "Traceback" not in waiting.seen


def test_a_reader_who_has_gone_is_no_error(start: Callable[..., subprocess.Popen[str]], service: Any) -> None:
    process = start("wait", COMPLETED)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(15) == 141
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_environments_are_those_of_the_library() -> None:
    choices, _ = get_args(get_type_hints(Service)["environment"])
    assert set(get_args(choices)) == set(ENVIRONMENTS)


def test_the_model_has_no_field_that_json_leaves_out(job: Callable[..., LipsyncRequest]) -> None:
    assert set(json.loads(job_record(job()))) == {field.name for field in attrs.fields(LipsyncRequest)}
