"""What the tests of the command line share: a service to talk to, and two ways to run a command."""

from __future__ import annotations

import asyncio
import codecs
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from chamelaion_async import LipsyncRequest
from chamelaion_async.cli import main
from chamelaion_async.sandbox import Fault, Job, Sandbox

COMMAND = [sys.executable, "-m", "chamelaion_async.cli"]


@attrs.frozen
class Result:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


class Service:
    """A sandbox on a loop of its own, since a command runs its own loop in this thread."""

    def __init__(self, sandbox: Sandbox, loop: asyncio.AbstractEventLoop) -> None:
        self._sandbox = sandbox
        self._loop = loop

    @property
    def url(self) -> str:
        return self._sandbox.base_url

    def add_job(self, **details: Any) -> Job:
        job: Job = self._do(lambda: self._sandbox.add_job(**details))
        return job

    def inject(self, fault: Fault, **details: Any) -> None:
        self._do(lambda: self._sandbox.inject(fault, **details))

    def count(self, route: str) -> int:
        number: int = self._do(lambda: self._sandbox.count(route))
        return number

    def received(self, route: str) -> list[Any]:
        """The requests to a route, in order."""
        return [each for each in self._do(lambda: self._sandbox.received) if each.route == route]

    def jobs(self) -> list[Job]:
        """What was submitted or added, in order."""
        return list(self._do(lambda: dict(self._sandbox.jobs)).values())

    def _do(self, action: Callable[[], Any]) -> Any:
        async def act() -> Any:
            return action()

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(10)


@contextmanager
def serving(**settings: Any) -> Iterator[Service]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    sandbox = Sandbox(**settings)
    try:
        asyncio.run_coroutine_threadsafe(sandbox.start(), loop).result(10)
        yield Service(sandbox, loop)
        asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture(autouse=True)
def _buffered_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this, a forgotten flush would go unnoticed where output is never buffered."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


@pytest.fixture
def serve() -> Iterator[Callable[..., Service]]:
    """Start a sandbox with the given settings."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(**settings))


@pytest.fixture
def service(serve: Callable[..., Service], monkeypatch: pytest.MonkeyPatch) -> Service:
    """A sandbox that commands talk to without being told."""
    started = serve(job_seconds=1000.0)
    monkeypatch.setenv("CHAMELAION_BASE_URL", started.url)
    monkeypatch.setenv("CHAMELAION_API_KEY", "sk-test")
    return started


@pytest.fixture
def quick(serve: Callable[..., Service], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Service:
    """A sandbox whose jobs end at once, and a folder of its own with media to submit."""
    started = serve(job_seconds=0.0)
    monkeypatch.setenv("CHAMELAION_BASE_URL", started.url)
    monkeypatch.setenv("CHAMELAION_API_KEY", "sk-test")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "video.mp4").write_bytes(bytes(range(256)) * 4000)
    (tmp_path / "audio.wav").write_bytes(b"RIFF" * 1000)
    (tmp_path / "en.srt").write_bytes(b"\xef\xbb\xbf1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    (tmp_path / "de.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nGr\u00fc\u00dfe\n", encoding="utf-8")
    return started


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command in this process."""

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        code = main(arguments)
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command in a process of its own."""
    with ExitStack() as stack:

        def popen(*arguments: str, **environment: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [*COMMAND, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **environment},
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield popen


class Terminal:
    """A command on a terminal of its own; ``cwd`` is where it runs."""

    def __init__(self, *arguments: str, cwd: Path | None = None, **environment: str) -> None:
        # Not pty.fork: this process has threads, whose locks a fork would carry along.
        self._end, other = pty.openpty()
        settings = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "40", **environment}
        self._process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=other,
            stdout=other,
            stderr=other,
            env=settings,
            cwd=cwd,
            start_new_session=True,
        )
        os.close(other)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.seen = ""

    def read_until(self, text: str | None = None) -> str:
        """Read until a text has come, or to the end."""
        while text is None or text not in self.seen:
            try:
                more = os.read(self._end, 65536)
            except OSError:  # so Linux says that the other end was closed
                more = b""
            if not more:
                assert text is None, f"{text!r} never came: {self.seen!r}"
                break
            self.seen += self._decoder.decode(more)
        return self.seen

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def interrupt(self) -> None:
        self.send(signal.SIGINT)

    def wait(self) -> int:
        self.read_until()
        return self._process.wait(15)

    def close(self) -> None:
        self._process.kill()
        self._process.wait(15)
        os.close(self._end)


@pytest.fixture(scope="module")
def terminal() -> Iterator[Callable[..., Terminal]]:
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


@pytest.fixture(scope="session")
def command() -> list[str]:
    """The command line in a process of its own, as the beginning of its arguments."""
    return COMMAND
