"""Fixtures of the command line: a sandbox to call, and ways to run a command."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chamelaion_async import LipsyncRequest
from chamelaion_async.cli import main

from .running import COMMAND, Cli, LocalSandbox, OpenTerminal, Result, Start, Terminal, serving

Serve = Callable[..., LocalSandbox]


@pytest.fixture(autouse=True)
def _buffered_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stdout be buffered, or no test would notice a missing flush."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a sandbox with the given settings."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(**settings))


@pytest.fixture
def connect(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Start a sandbox with the given settings, which commands call by default."""

    def start(**settings: Any) -> LocalSandbox:
        started = serve(**settings)
        monkeypatch.setenv("CHAMELAION_BASE_URL", started.url)
        monkeypatch.setenv("CHAMELAION_API_KEY", "sk-test")
        return started

    return start


@pytest.fixture
def service(connect: Serve) -> LocalSandbox:
    """A sandbox whose jobs outlast a test."""
    return connect(job_seconds=1000.0)


@pytest.fixture
def running(service: LocalSandbox) -> str:
    """The reference id of a job that outlasts a test."""
    service.add_job(reference_id="running")
    return "running"


@pytest.fixture
def quick(connect: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LocalSandbox:
    """A sandbox whose jobs end at once, and a working directory with media to submit."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "video.mp4").write_bytes(bytes(range(256)) * 4000)
    (tmp_path / "audio.wav").write_bytes(b"RIFF" * 1000)
    (tmp_path / "en.srt").write_bytes(b"\xef\xbb\xbf1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    (tmp_path / "de.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nGr\u00fc\u00dfe\n", encoding="utf-8")
    return connect(job_seconds=0.0)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command in this process."""

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        code = main(arguments)
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return run


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a command in another process."""
    with ExitStack() as stack:

        def begin(*arguments: str) -> subprocess.Popen[str]:
            pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            process = stack.enter_context(subprocess.Popen([*COMMAND, *arguments], **pipes, text=True))
            stack.callback(process.kill)
            return process

        yield begin


@pytest.fixture(scope="module")
def terminal() -> Iterator[OpenTerminal]:
    """Start a command on a pseudo-terminal."""
    with ExitStack() as stack:

        def begin(*arguments: str, cwd: Path | None = None, **environment: str) -> Terminal:
            started = Terminal(*arguments, cwd=cwd, **environment)
            stack.callback(started.close)
            return started

        yield begin


@pytest.fixture
def job() -> Callable[..., LipsyncRequest]:
    """Make a request as the API would answer it."""

    def make(status: str = "processing", **details: Any) -> LipsyncRequest:
        created = datetime(2026, 4, 7, 12, tzinfo=UTC)
        times: dict[str, Any] = {"created_at": created}
        if status != "queued":
            times["started_at"] = created + timedelta(seconds=5)
        if status in ("completed", "failed"):
            times["finished_at"] = created + timedelta(seconds=90)
        return LipsyncRequest(**{"id": "an-id", "status": status, **times, **details})

    return make
