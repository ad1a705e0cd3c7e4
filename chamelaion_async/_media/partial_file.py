"""The file that a download grows in, and what is known of it.

A download grows in ``NAME.part`` and is renamed at the end. Beside it, ``NAME.part.json`` holds what tells whether
the output is still the same one (RFC 9110, section 8.8), so that a later run can go on where this one stopped.

The notes are written before the part is begun, whether it can be resumed or not, and removed after it. So a
``NAME.part`` without notes was begun by another program, such as Firefox or yt-dlp, and is not touched.
"""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

__all__ = ["DiskError", "Part"]


_MAX_NOTES: Final = 64 * 1024  # bytes


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
        self._identity: os.stat_result | None = None
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
        """Open the part of an earlier run where it can be resumed, else a new one.

        Raises:
            OSError: The disk refused, or another program's file stands where the part would be.
        """
        path, notes = cls.paths(target)
        noted = _read_notes(notes)
        is_left = os.path.lexists(path)
        if is_left and (noted is None or not stat.S_ISREG(path.lstat().st_mode)):
            raise FileExistsError(
                f"{path.name} stands in the way and was not begun by a download of this package; "
                "move it away, or choose another name"
            )
        validator, source = (None, None) if noted is None else (noted.get("validator"), noted.get("source"))
        if is_left and isinstance(validator, str) and _is_validator(validator):
            file = path.open("ab")
            part = cls(target, file, validator, source if isinstance(source, str) else None, file.tell())
        else:
            path.unlink(missing_ok=True)
            part = cls(target, _begin(path, notes), None, None, 0)
        part._identity = os.fstat(part._file.fileno())
        with suppress(OSError):
            # What replaces a private file must not be open to all while it grows.
            path.chmod(stat.S_IMODE(target.stat().st_mode) | stat.S_IRUSR | stat.S_IWUSR)
        return part

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
            path, notes = self.paths(self.target)
            if os.fstat(self._file.fileno()).st_size != self.size or not self._is_at(path):
                self.validator = None  # what is on disk is nobody's output
                raise OSError("another process wrote to the part as well, or moved it")
            self._file.close()
            self._take_place_of(path, overwrite=overwrite)
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
            _write_notes(self.paths(self.target)[1], self.validator, self._source)

    def _take_place_of(self, path: Path, *, overwrite: bool) -> None:
        """Make the part like the file that it is to replace, if there is one and it may be replaced."""
        if not os.path.lexists(self.target):
            return
        found = self.target.lstat()
        if not overwrite or not stat.S_ISREG(found.st_mode):
            raise FileExistsError("a file of that name has appeared meanwhile")
        own = path.stat()
        if hasattr(os, "chown") and (own.st_uid, own.st_gid) != (found.st_uid, found.st_gid):
            with suppress(PermissionError):  # few may give files away
                os.chown(path, found.st_uid, found.st_gid)
        if own.st_mode != found.st_mode:
            path.chmod(stat.S_IMODE(found.st_mode))

    def _is_at(self, path: Path) -> bool:
        """Whether the file that was opened still stands under its name."""
        if self._identity is None:
            return True
        with suppress(OSError):
            return os.path.samestat(self._identity, path.lstat())
        return False

    def _let_go(self) -> None:
        with suppress(OSError):
            self._file.close()
        path, notes = self.paths(self.target)
        is_ours = self._is_at(path) or not os.path.lexists(path)
        if not self._is_finished and not self._is_resumable and is_ours:
            with suppress(OSError):
                path.unlink(missing_ok=True)
                notes.unlink(missing_ok=True)

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


def _begin(path: Path, notes: Path) -> BinaryIO:
    """Make a new part, with notes by which a later run knows it for one even if this process dies at once."""
    try:
        _write_notes(notes, None, None)
        return path.open("xb")
    except OSError:
        with suppress(OSError):
            notes.unlink(missing_ok=True)
        raise


def _write_notes(notes: Path, validator: str | None, source: str | None) -> None:
    notes.write_text(json.dumps({"validator": validator, "source": source}))


def _read_notes(notes: Path) -> dict[str, Any] | None:
    """Return what an earlier run has noted, empty where it was interrupted; None if there are no notes.

    Raises:
        OSError: They cannot be read, or another program's file has that name.
    """
    if not os.path.lexists(notes):
        return None
    noted: dict[str, Any] | None = None
    if stat.S_ISREG(notes.lstat().st_mode):
        with notes.open("rb") as file:
            text = file.read(_MAX_NOTES)
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return {}
        if not isinstance(found, dict):
            return {}
        noted = found
    if noted is None or "validator" not in noted:
        raise FileExistsError(
            f"{notes.name} stands in the way and was not written by a download of this package; "
            "move it away, or choose another name"
        )
    return noted
