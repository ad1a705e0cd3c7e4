"""A program of this folder in a process of its own, spoken to in lines of JSON.

Servers and clients are such programs, so that neither pays for the other's garbage, nor one client for another's.
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
"""Seconds that a program is given to end once its standard input has."""


class ChildError(Exception):
    """A program has ended instead of answering; its standard error says why."""


class Child:
    """The parent's end. Leaving the context ends the program.

    Args:
        program: Name of a file in this folder.
        arguments: What it is told when it starts.
    """

    def __init__(self, program: str, arguments: dict[str, Any]) -> None:
        self._program = program
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

    def send(self, message: object) -> None:
        """Write one message.

        Raises:
            ChildError: The program has ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def receive(self) -> Any:
        """Wait for the next message.

        Raises:
            ChildError: The program has ended.
        """
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
    """Return, in the program, what it was told when it started."""
    return json.loads(sys.stdin.readline())


def tell(message: object) -> None:
    """Write one message to the parent."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def messages() -> AsyncIterator[Any]:
    """Give the parent's messages until there will be no more."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield json.loads(line)
