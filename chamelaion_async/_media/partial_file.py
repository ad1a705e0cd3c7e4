"""The file that a download grows in, and the notes beside it.

A download grows in ``NAME.part``, which is renamed at the end. ``NAME.part.json`` holds what identifies the version
of the output (RFC 9110, section 8.8), by which a later run can resume it.

The notes are written before the part is begun, even if it cannot be resumed, and removed after it. So a ``NAME.part``
without notes belongs to another program, such as Firefox or yt-dlp, and is not touched.
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
    """An error of the disk, which is the cause. As an ``OSError`` it would be taken for one of the network."""


class Part:
    """The bytes of an output that are on disk.

    Every method may be called in a thread. A write whose caller was cancelled continues in its thread; the part can
    be suspended meanwhile without waiting for it.

    Attributes:
        target: The file that it becomes.
        size: Bytes that it holds.
        total: Bytes of the whole output, if known.
        validator: What If-Range compares (RFC 9110, section 13.1.5); None if it cannot be resumed.
    """

    _identity: os.stat_result

    def __init__(self, target: Path, file: BinaryIO, validator: str | None, source: str | None, size: int) -> None:
        self.target = target
        self.validator = validator
        self.size = size
        self.total: int | None = None
        self._source = source
        self._file = file
        self._lock = threading.RLock()
        self._is_restarted = False
        self._is_suspended = False
        self._is_finished = False

    @staticmethod
    def paths(target: Path) -> tuple[Path, Path]:
        """Return the names of the part and of its notes."""
        return target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")

    @classmethod
    def open(cls, target: Path) -> Part:
        """Open the part of an earlier run if it can be resumed, else a new one.

        Raises:
            OSError: The disk refused, or another program's file has the name of the part or of its notes.
        """
        path, notes = cls.paths(target)
        noted = _read_notes(notes)
        has_part = os.path.lexists(path)
        if has_part and (noted is None or not stat.S_ISREG(path.lstat().st_mode)):
            raise _foreign(path, "begun")
        validator, source = (noted or {}).get("validator"), (noted or {}).get("source")
        if has_part and isinstance(validator, str) and _is_validator(validator):
            # A file that is opened to append is at its end, so the position is the size.
            file = path.open("ab")
            part = cls(target, file, validator, source if isinstance(source, str) else None, file.tell())
        else:
            path.unlink(missing_ok=True)
            part = cls(target, _begin(path, notes), None, None, 0)
        part._identity = os.fstat(part._file.fileno())
        with suppress(OSError):
            # What replaces a private file must not be readable by all while it grows.
            path.chmod(stat.S_IMODE(target.stat().st_mode) | stat.S_IRUSR | stat.S_IWUSR)
        return part

    def belong_to(self, source: str) -> None:
        """Start over if the bytes came from another URL: a validator does not compare two resources."""
        if self._source is not None and self._source != source:
            self.restart()
        self._source = source

    def resume_headers(self) -> dict[str, str]:
        """Return the headers that request only what is missing (RFC 9110, sections 14.2 and 13.1.5)."""
        if self.validator is None or self.size == 0:
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": self.validator}

    def restart(self, validator: str | None = None, total: int | None = None) -> None:
        """Start over with the version of ``validator``; the disk follows at the next write.

        Writing at once could lose the bytes that come with the headers, if the connection broke meanwhile.
        """
        self.size, self.validator, self.total = 0, validator, total
        self._is_restarted = True

    def write(self, chunk: bytes) -> None:
        """Append bytes."""
        with self._locked():
            if not self._is_suspended:
                self._apply_restart()
                self._file.write(chunk)
                self.size += len(chunk)

    def finish(self, *, overwrite: bool) -> None:
        """Give the complete file its final name."""
        with self._locked():
            if self._is_suspended:
                return
            self._apply_restart()
            self._file.flush()
            # Before the rename: after a power cut, some file systems keep a new name without the bytes behind it.
            os.fsync(self._file.fileno())
            path, notes = self.paths(self.target)
            if os.fstat(self._file.fileno()).st_size != self.size or not self._is_at(path):
                self.validator = None  # these bytes are no output, and not to be resumed
                raise OSError("another process wrote to the part as well, or moved it")
            self._file.close()
            self._take_place_of(path, overwrite=overwrite)
            path.replace(self.target)
            self._is_finished = True
            notes.unlink(missing_ok=True)

    def suspend(self) -> None:
        """Close the file, now or after a write in progress; it stays on disk only if it can be resumed."""
        self._is_suspended = True
        if self._lock.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._lock.release()

    @property
    def remains(self) -> str:
        """What is left on disk, for an error message."""
        name = self.paths(self.target)[0].name
        return f"{name} is kept and will be resumed" if self._is_resumable else "Nothing was left on disk"

    @property
    def _is_resumable(self) -> bool:
        return bool(self.resume_headers())

    def _apply_restart(self) -> None:
        if self._is_restarted:
            self._file.seek(0)
            self._file.truncate()
            self._is_restarted = False
            _write_notes(self.paths(self.target)[1], self.validator, self._source)

    def _take_place_of(self, path: Path, *, overwrite: bool) -> None:
        """Give the part the mode and the owner of the file that it is to replace, if it may replace one."""
        if not os.path.lexists(self.target):
            return
        found = self.target.lstat()
        if not overwrite or not stat.S_ISREG(found.st_mode):
            raise FileExistsError("a file of that name has appeared meanwhile")
        own = path.stat()
        if hasattr(os, "chown") and (own.st_uid, own.st_gid) != (found.st_uid, found.st_gid):
            with suppress(PermissionError):  # only privileged processes may give files away
                os.chown(path, found.st_uid, found.st_gid)
        if own.st_mode != found.st_mode:
            path.chmod(stat.S_IMODE(found.st_mode))

    def _is_at(self, path: Path) -> bool:
        """Whether the file that was opened still has its name."""
        with suppress(OSError):
            return os.path.samestat(self._identity, path.lstat())
        return False

    def _close(self) -> None:
        with suppress(OSError):
            self._file.close()
        path, notes = self.paths(self.target)
        is_ours = self._is_at(path) or not os.path.lexists(path)
        if not self._is_finished and not self._is_resumable and is_ours:
            with suppress(OSError):
                path.unlink(missing_ok=True)
                notes.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock; an error of the disk leaves as ``DiskError``, and a suspended part is closed."""
        try:
            with self._lock:
                yield
        except OSError as error:
            raise DiskError from error
        finally:
            if self._is_suspended:
                self.suspend()


def _is_validator(text: str) -> bool:
    """Whether If-Range may hold it: no weak ETag, and nothing that could end the header."""
    return bool(text) and not text.startswith("W/") and text.isascii() and text.isprintable()


def _begin(path: Path, notes: Path) -> BinaryIO:
    """Make a new part; its notes come first, so that a later run knows it even if this process dies at once."""
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
    """Return the notes of an earlier run, empty if it broke off while writing them; None if there are none.

    Raises:
        OSError: They cannot be read, or another program's file has that name.
    """
    if not os.path.lexists(notes):
        return None
    if not stat.S_ISREG(notes.lstat().st_mode):
        raise _foreign(notes, "written")
    with notes.open("rb") as file:
        text = file.read(_MAX_NOTES)
    try:
        noted = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(noted, dict):
        return {}
    if "validator" not in noted:
        raise _foreign(notes, "written")
    return noted


def _foreign(path: Path, how: str) -> FileExistsError:
    return FileExistsError(
        f"{path.name} stands in the way and was not {how} by a download of this package; "
        "move it away, or choose another name"
    )
