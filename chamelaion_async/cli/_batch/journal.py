"""The journal beside the list: one line of JSON for each step, on disk before the next step is taken.

A process that is killed while it writes leaves a torn last line. The step that it was to record was not taken yet, or
can be found out again, so the next run removes it. A torn line elsewhere is damage from outside, and is refused.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from ...errors import ConfigurationError
from .entries import Entry, Step, advance, fold

__all__ = ["Journal", "JournalError"]

_FORMAT: Final = "chamelaion-async batch 1"
_HEAD: Final = json.dumps({"format": _FORMAT}).encode()[:-1]


class JournalError(OSError):
    """The journal cannot be read or written, so that nothing more may be submitted."""


class Journal:
    """The journal of one list.

    Attributes:
        path: The file.
        entries: The submissions of earlier runs and of this one, by reference.
    """

    def __init__(self, path: Path, service: str) -> None:
        self.path = path
        self.entries: dict[str, Entry] = {}
        self._service = service
        self._size = 0
        self._descriptor = -1
        # Threads write; one whose task was cancelled may still be at it when the next one begins.
        self._lock = threading.Lock()

    @classmethod
    def read(cls, path: Path, service: str) -> Self:
        """Read a journal without touching it; one that does not exist is empty.

        Raises:
            ConfigurationError: It is damaged, or of another service.
            JournalError: The system does not read it.
        """
        journal = cls(path, service)
        journal._read()
        return journal

    @classmethod
    @contextmanager
    def open(cls, path: Path, service: str) -> Iterator[Self]:
        """Open the journal for this run alone.

        Raises:
            ConfigurationError: Another run has it open, or it is damaged, or of another service.
            JournalError: The system does not read or write it.
        """
        try:
            # Here, since a dry run does without.
            from filelock import FileLock, Timeout  # noqa: PLC0415
        except ModuleNotFoundError:  # an older version of this package is upgraded without the extra's new packages
            raise ConfigurationError("batch needs filelock; pip install 'chamelaion-async[cli]'") from None
        journal = cls(path, service)
        lock = FileLock(path.with_name(f"{path.name}.lock"), timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise ConfigurationError(f"another run of this list is going on: it has locked {path}") from None
        except OSError as error:
            raise journal._error(error) from error
        try:
            journal._read()
            with journal._opened():
                yield journal
        finally:
            lock.release()

    async def write(self, reference_id: str, step: Step, **details: object) -> Entry:
        """Record a step; it is on disk when this returns.

        Raises:
            JournalError: It is not.
        """
        await asyncio.to_thread(self._append, {"reference_id": reference_id, "step": step, **details})
        return self.entries[reference_id]

    @contextmanager
    def _opened(self) -> Iterator[None]:
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        except OSError as error:
            raise self._error(error) from error
        try:
            os.ftruncate(self._descriptor, self._size)
            if self._size == 0:
                self._write({"format": _FORMAT, "service": self._service})
                _sync_folder(self.path.parent)
            yield
        finally:
            os.close(self._descriptor)

    def _append(self, step: dict[str, Any]) -> None:
        with self._lock:
            self._write({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **step})
            entry = advance(self.entries.get(step["reference_id"]), step)
            self.entries[entry.reference_id] = entry

    def _write(self, line: dict[str, object]) -> None:
        data = json.dumps(line, ensure_ascii=True).encode() + b"\n"
        try:
            os.lseek(self._descriptor, self._size, os.SEEK_SET)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except OSError as error:
            with suppress(OSError):  # half a line, as on a full disk: the next run would remove it too
                os.ftruncate(self._descriptor, self._size)
            raise self._error(error) from error
        self._size += len(data)

    def _error(self, error: OSError, done: str = "written") -> JournalError:
        return JournalError(error.errno, f"the journal {self.path} cannot be {done}: {error.strerror}")

    def _read(self) -> None:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._error(error, "read") from error
        self._load(data)

    def _load(self, data: bytes) -> None:
        lines = data.split(b"\n")
        whole: list[dict[str, Any]] = []
        for number, line in enumerate(lines[:-1], start=1):
            try:
                whole.append(_object(line))
            except ValueError:
                # Sectors may reach the disk in any order, so that even a line with its end may be torn.
                if number < len(lines) - 1:
                    raise self._damage(number) from None
                break
            self._size += len(line) + 1
        if not whole and (not data.strip(b"\0") or _HEAD.startswith(data[: len(_HEAD)])):
            return  # a new file, or one whose first line is torn
        head, *steps = whole or [{}]
        if head.get("format") != _FORMAT:
            raise ConfigurationError(f"{self.path} is no journal of this version of chamelaion-async; move it away")
        if head.get("service") != self._service:
            raise ConfigurationError(
                f"{self.path} is the journal of a batch on {head.get('service')}, and this is {self._service}; "
                "call the same service, or use a copy of the list for another one"
            )
        try:
            self.entries = fold(steps)
        except (KeyError, TypeError, ValueError):
            raise self._damage(None) from None

    def _damage(self, number: int | None) -> ConfigurationError:
        where = "" if number is None else f" in line {number}"
        return ConfigurationError(
            f"the journal {self.path} is damaged{where}, so that it is not known what was paid for; restore it, or "
            "repair it by hand: one JSON object a line"
        )


def _object(line: bytes) -> dict[str, Any]:
    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError(f"no object: {value!r}")  # noqa: TRY004 - as for what is no JSON
    return value


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file durable, where the system can (POSIX)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
