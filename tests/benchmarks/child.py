"""A program of this folder in a process of its own. Messages are lines of JSON.

Servers and clients are such programs, so that the memory of one costs no other one time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

FOLDER = Path(__file__).parent
PATIENCE = 5.0
"""Seconds for a program to end after the end of its standard input."""


class ChildError(Exception):
    """A program has ended before it answered; its standard error says why."""


class Child:
    """The parent's end: runs a file of this folder, and sends it its arguments. Leaving the context ends it."""

    def __init__(self, program: str, arguments: dict[str, Any]) -> None:
        self._program = program
        self.was_killed = False
        command = [sys.executable, str(FOLDER / program)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.send(arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def kill(self) -> None:
        """End the program at once, as ``kill -9`` does."""
        self.was_killed = True
        self._process.kill()

    def send(self, message: object) -> None:
        """Write one message."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def receive(self) -> Any:
        """Wait for the next message."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        return json.loads(line)

    def ask(self, message: object) -> Any:
        """Write one message and wait for the answer."""
        self.send(message)
        return self.receive()

    def _ended(self) -> ChildError:
        return ChildError(f"{self._program} ended with status {self._process.wait()}")


def arguments() -> Any:
    """Return, in the program, its arguments."""
    return json.loads(sys.stdin.readline())


def tell(message: object) -> None:
    """Write one message to the parent."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def messages() -> AsyncIterator[Any]:
    """Yield the parent's messages until the end of the standard input."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield json.loads(line)
