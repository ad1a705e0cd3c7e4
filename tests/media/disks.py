"""Slow disks, whose gate a test opens."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any


class SlowDisk(io.FileIO):
    """An unbuffered file whose first read or write waits for the gate."""

    def __init__(self, path: Path, mode: str = "a") -> None:
        super().__init__(path, mode)
        self.is_at_work, self.gate, self.is_done = threading.Event(), threading.Event(), threading.Event()

    def _gated(self, work: Callable[[], Any]) -> Any:
        if self.is_at_work.is_set():
            return work()
        self.is_at_work.set()
        self.gate.wait(5)
        try:
            return work()
        finally:
            self.is_done.set()

    def readinto(self, buffer: Any, /) -> Any:
        return self._gated(partial(super().readinto, buffer))

    def read(self, size: int | None = -1, /) -> Any:
        if size == 0:
            return b""  # a question for the mode, which no disk is asked
        return self._gated(partial(super().read, -1 if size is None else size))

    def write(self, data: Any, /) -> Any:
        return self._gated(partial(super().write, data))
