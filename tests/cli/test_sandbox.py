"""``sandbox``: the imitated API in another process."""

from __future__ import annotations

import os
import signal
import socket
from typing import Any

import pytest

import chamelaion_async.sandbox
from chamelaion_async.cli import sandbox

from .running import Cli, Start


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
        ["--rate-limit", "inf"],
        ["--page-cap", "0"],
    ],
)
def test_an_option_that_cannot_work_is_one_line(cli: Cli, arguments: list[str]) -> None:
    result = cli("sandbox", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)


def test_the_handlers_of_signals_are_restored(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr(sandbox, "print_line", lambda line: os.kill(os.getpid(), signal.SIGTERM))
    result = cli("sandbox", "--port", "0", "--key", "a")
    assert result.code == 0
    assert "only the given keys are accepted" in result.err
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_every_option_reaches_the_sandbox_and_its_errors_are_one_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def refuse(**settings: Any) -> None:
        given.update(settings)
        raise ValueError("no such settings")

    monkeypatch.setattr(chamelaion_async.sandbox, "Sandbox", refuse)
    options = "--host ::1 --port 1 --job-seconds 0 --page-cap 3 --rate-limit 0.5 --key a b"
    result = cli("sandbox", *options.split())
    assert (result.code, result.err) == (2, "chamelaion-async: no such settings\n")
    assert given == {"host": "::1", "port": 1, "job_seconds": 0, "page_cap": 3, "rate_limit": 0.5, "keys": ["a", "b"]}
