"""A window of tmux: a real terminal, of which a test reads what a person would see."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ..running import COMMAND

__all__ = ["Window"]

_PATIENCE = 60.0  # seconds, far more than any screen takes


class Window:
    """A command in a window of its own.

    Args:
        folder: Where the command runs.
        arguments: The arguments of the command.
        size: Columns and lines.
        environment: Variables of the environment.
    """

    def __init__(self, folder: Path, *arguments: str, size: tuple[int, int], **environment: str) -> None:
        program = shutil.which("tmux")
        if program is None:
            pytest.fail("the tests need tmux; on Debian: apt-get install --yes tmux")
        # By name: the path of a socket has 107 characters at most, and the folders of tests have long names.
        self._tmux = [program, "-u", "-L", f"chamelaion-{os.getpid()}-{id(self)}", "-f", os.devnull]
        width, height = map(str, size)
        settings = {"TERM": "screen-256color", "LC_ALL": "C.UTF-8", **environment}
        command = shlex.join(
            ["env", "-u", "COLUMNS", "-u", "LINES", *(f"{k}={v}" for k, v in settings.items()), *COMMAND, *arguments]
        )
        # tmux's own option to keep a window writes a line into it. A signal trapped here still reaches the command.
        self._code = folder / "code"
        script = f"trap : INT; {command}; echo $? > code.new; mv code.new {self._code.name}; sleep 1000"
        self._do("new-session", "-d", "-x", width, "-y", height, "-c", str(folder), script)

    def text(self) -> str:
        """Return what the window shows, and nothing that has scrolled away."""
        lines = [line.rstrip() for line in self._do("capture-pane", "-p").split("\n")]
        return "\n".join(lines).rstrip("\n")

    def until(self, is_there: Callable[[str], object]) -> str:
        """Return the text as soon as it is as expected."""
        ends = time.monotonic() + _PATIENCE
        while True:
            has_ended = self._code.exists()  # before the text is read, which is then the last one
            if is_there(text := self.text()):
                return text
            assert not has_ended, f"the command has ended, and the window does not show it:\n{text}"
            assert time.monotonic() < ends, f"the window does not show it:\n{text}"
            time.sleep(0.02)  # tmux tells of no change

    def code(self) -> int:
        """Return the exit code of the command, once it has ended."""
        self.until(lambda _: self._code.exists())
        return int(self._code.read_text())

    def resize(self, width: int, height: int) -> None:
        self._do("resize-window", "-x", str(width), "-y", str(height))

    def type(self, *keys: str) -> None:
        self._do("send-keys", *keys)

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)

    def _do(self, *words: str) -> str:
        done = subprocess.run([*self._tmux, *words], check=True, capture_output=True, text=True, timeout=30)
        return done.stdout
