"""``sandbox``: the imitated API in another process."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.error
import urllib.request
from typing import Any

import pytest

from chamelaion_async.cli import sandbox

from .running import Cli, Start


def ask(url: str, key: str = "a", body: object = None) -> tuple[int, Any]:
    headers = {"x-api-key": key, "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_server(start: Start, cli: Cli, number: signal.Signals) -> None:
    process = start("sandbox", "--port", "0")
    assert process.stdout is not None
    url = process.stdout.readline().rstrip("\n")
    assert cli("health", "--base-url", url).out == "ok\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, "")
    assert f"export CHAMELAION_BASE_URL={url} " in err
    assert "Traceback" not in err


def test_every_option_reaches_the_server(start: Start) -> None:
    options = ["--job-seconds", "0", "--page-cap", "3", "--rate-limit", "0.01", "--key", "a", "b"]
    process = start("sandbox", "--port", "0", *options)
    assert process.stdout is not None
    url = process.stdout.readline().rstrip("\n")
    inputs = [{"type": kind, "url": f"https://x.example/{kind}"} for kind in ("video", "audio")]
    assert ask(f"{url}/v1/lipsync/generate", key="b", body={"inputs": inputs})[0] == 200
    assert ask(f"{url}/v1/users/me", key="c")[0] == 401
    _, page = ask(f"{url}/v1/lipsync/requests?limit=50")
    assert page["pagination"]["limit"] == 3
    assert page["data"][0]["status"] == "completed"
    assert ask(f"{url}/v1/lipsync/requests")[0] == 429
    process.terminate()
    assert "only the given keys are accepted" in process.communicate(timeout=10)[1]


def test_a_port_in_use_is_explained(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = cli("sandbox", "--port", str(port))
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        f"chamelaion-async: cannot listen on 127.0.0.1, port {port}: it is in use; choose another with --port, "
        "or any free one with --port 0\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "65536"],
        ["--host", "203.0.113.7"],  # TEST-NET-3 (RFC 5737): no machine has this address
        ["--job-seconds", "-1"],
        ["--rate-limit", "0"],
        ["--page-cap", "0"],
    ],
)
def test_an_option_that_cannot_work_is_one_line(cli: Cli, arguments: list[str]) -> None:
    result = cli("sandbox", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)


def test_an_error_of_the_sandbox_itself_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise ValueError("no such settings")

    monkeypatch.setattr(sandbox, "Sandbox", refuse)
    result = cli("sandbox")
    assert (result.code, result.err) == (2, "chamelaion-async: no such settings\n")


def test_the_handlers_of_signals_are_restored(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr(sandbox, "print_line", lambda line: os.kill(os.getpid(), signal.SIGTERM))
    assert cli("sandbox", "--port", "0").code == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
