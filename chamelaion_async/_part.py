"""The file that a download grows in, and what is known of it.

A download grows in ``NAME.part`` and is renamed at the end. Beside it, ``NAME.part.json`` holds what tells whether
the output is still the same one (RFC 9110, section 8.8), so that a later run can go on where this one stopped.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["DiskError", "Part"]


class DiskError(Exception):
    """The disk refused; the reason is the cause. It tells the disk's ``OSError`` from the network's."""


class Part:
    """An output on its way to disk.

    Every method may be called in a thread. A write whose caller was cancelled goes on in its thread; the part can be
    suspended meanwhile without waiting for it.
    """

    def __init__(self, target: Path, file: BinaryIO, validator: str | None, source: str | None, size: int) -> None:
        self.target = target
        self.validator = validator
        self.size = size
        self.total: int | None = None
        self._source = source
        self._file = file
        self._lock = threading.RLock()
        self._is_stale = False
        self._is_suspended = False
        self._is_finished = False

    @staticmethod
    def paths(target: Path) -> tuple[Path, Path]:
        """Return the names of the part and of what is known of it."""
        return target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")

    @classmethod
    def open(cls, target: Path) -> Part:
        """Open the part of an earlier run where it can be resumed, else a new one."""
        path, notes = cls.paths(target)
        validator = source = None
        with suppress(OSError, ValueError, RecursionError):
            noted = json.loads(notes.read_bytes())
            if isinstance(noted, dict):
                validator, source = noted.get("validator"), noted.get("source")
        if not isinstance(validator, str) or not _is_validator(validator) or not path.is_file():
            notes.unlink(missing_ok=True)
            return cls(target, path.open("wb"), None, None, 0)
        file = path.open("ab")
        return cls(target, file, validator, source if isinstance(source, str) else None, file.tell())

    def belong_to(self, source: str) -> None:
        """Start over if what is on disk came from elsewhere: a validator says nothing of another resource."""
        if self._source is not None and self._source != source:
            self.restart(None, None)
        self._source = source

    def resume_headers(self) -> dict[str, str]:
        """Return the headers that ask for the rest only (RFC 9110, sections 14.2 and 13.1.5)."""
        if self.validator is None or self.size == 0:
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": self.validator}

    def restart(self, validator: str | None, total: int | None) -> None:
        """Begin anew with an output that is told by ``validator``. The disk follows with the next write.

        The bytes that come with the headers would be lost if a connection broke while the disk was waited for.
        """
        self.size, self.validator, self.total = 0, validator, total
        self._is_stale = True

    def write(self, chunk: bytes) -> None:
        """Append bytes."""
        with self._held():
            if not self._is_suspended:
                self._freshen()
                self._file.write(chunk)
                self.size += len(chunk)

    def finish(self, *, overwrite: bool) -> None:
        """Give the complete file its final name."""
        with self._held():
            if self._is_suspended:
                return
            self._freshen()
            self._file.flush()
            os.fsync(self._file.fileno())
            if os.fstat(self._file.fileno()).st_size != self.size:
                self.validator = None  # what is on disk is nobody's output
                raise OSError("another process wrote to the part as well")
            self._file.close()
            if not overwrite and self.target.exists():
                raise FileExistsError("a file of that name has appeared meanwhile")
            path, notes = self.paths(self.target)
            path.replace(self.target)
            self._is_finished = True
            notes.unlink(missing_ok=True)

    def suspend(self) -> None:
        """Close the file, now or after the write that is under way; keep it only if it can be resumed."""
        self._is_suspended = True
        if self._lock.acquire(blocking=False):
            try:
                self._let_go()
            finally:
                self._lock.release()

    @property
    def fate(self) -> str:
        """What has become of the part, for an error message."""
        name = self.paths(self.target)[0].name
        return f"{name} is kept and will be resumed" if self._is_resumable else "Nothing was left on disk"

    @property
    def _is_resumable(self) -> bool:
        return self.validator is not None and self.size > 0

    def _freshen(self) -> None:
        if self._is_stale:
            self._file.seek(0)
            self._file.truncate()
            self._is_stale = False
            notes = self.paths(self.target)[1]
            if self.validator is None:
                notes.unlink(missing_ok=True)
            else:
                notes.write_text(json.dumps({"validator": self.validator, "source": self._source}))

    def _let_go(self) -> None:
        with suppress(OSError):
            self._file.close()
        if not self._is_finished and not self._is_resumable:
            for path in self.paths(self.target):
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    @contextmanager
    def _held(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except OSError as error:
            raise DiskError from error
        finally:
            if self._is_suspended:
                self.suspend()


def _is_validator(text: str) -> bool:
    """Whether If-Range may be asked with it: no weak ETag, and nothing that could end the header."""
    return bool(text) and not text.startswith("W/") and text.isascii() and text.isprintable()
