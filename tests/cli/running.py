"""Commands and the sandbox that they call, in this process and in others."""

from __future__ import annotations

import asyncio
import codecs
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from chamelaion_async.sandbox import Fault, Job, Sandbox

COMMAND = [sys.executable, "-m", "chamelaion_async.cli"]
COMPLETED, FAILED = "dub-episode-42", "dub-episode-43"  # jobs that every sandbox has
FILES = ("video.mp4", "audio.wav")
URLS = ("https://cdn.example.com/scene.mp4", "HTTPS://cdn.example.com/dub.wav")
NOWHERE = "http://127.0.0.1:1"
"""Port 1 is the multiplexer of RFC 1078, which nothing has listened on for decades."""

GENERATE = "POST /v1/lipsync/generate"
GET = "GET /v1/lipsync/requests/{id}"
LIST = "GET /v1/lipsync/requests"
OUTPUT = "GET /output/{name:path}"


@attrs.frozen
class Result:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


Cli = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[str]"]
OpenTerminal = Callable[..., "Terminal"]


class LocalSandbox:
    """A sandbox on a loop in another thread, since a command runs its own loop in this one."""

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

    def received(self, route: str) -> list[Any]:
        """The requests to a route, in order."""
        return [each for each in self._do(lambda: self._sandbox.received) if each.route == route]

    def requests(self) -> list[Any]:
        """All requests, in order."""
        return list(self._do(lambda: self._sandbox.received))

    def finish(self, id: str) -> None:
        self._do(lambda: self._sandbox.finish(id))

    def fail(self, id: str, reason: str) -> None:
        self._do(lambda: self._sandbox.fail(id, reason))

    def jobs(self) -> list[Job]:
        """The jobs that were submitted or added, in order."""
        return list(self._do(lambda: dict(self._sandbox.jobs)).values())

    def _do(self, action: Callable[[], Any]) -> Any:
        async def act() -> Any:
            return action()

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(10)


@contextmanager
def serving(**settings: Any) -> Iterator[LocalSandbox]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    sandbox = Sandbox(**settings)
    try:
        asyncio.run_coroutine_threadsafe(sandbox.start(), loop).result(10)
        yield LocalSandbox(sandbox, loop)
        asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class Terminal:
    """A command on a pseudo-terminal of its own; ``cwd`` is where it runs."""

    def __init__(self, *arguments: str, cwd: Path | None = None, **environment: str) -> None:
        # Not pty.fork: this process has threads, and a fork would copy the locks that they hold.
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

    def read_until(self, text: str | None = None, times: int = 1) -> None:
        """Read until a text has come so many times, or to the end."""
        while text is None or self.seen.count(text) < times:
            try:
                more = os.read(self._end, 65536)
            except OSError:  # on Linux, the other end was closed
                more = b""
            if not more:
                assert text is None, f"{text!r} never came: {self.seen!r}"
                break
            self.seen += self._decoder.decode(more)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._end)[3] & termios.ECHO)

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def wait(self) -> int:
        """Return the exit code; the cursor is visible again and no traceback was printed."""
        self.read_until()
        assert self.seen.rfind("\x1b[?25h") >= self.seen.rfind("\x1b[?25l")
        assert "Traceback" not in self.seen
        return self._process.wait(15)

    def close(self) -> None:
        self._process.kill()
        self._process.wait(15)
        os.close(self._end)
