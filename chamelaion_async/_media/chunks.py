"""What is uploaded, read in chunks: each reader begins again at each call, and holds one chunk in memory.

An attempt needs a reader of its own, since aiohttp closes the files that it sends, and an exhausted generator would
silently upload nothing. Files are read in threads, so that a slow disk does not block the event loop.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Final
from weakref import WeakKeyDictionary

from ..errors import ConfigurationError
from .threads import in_thread

__all__ = ["Chunks", "Reader", "lock_of", "read_bytes", "read_factory", "read_file"]

CHUNK: Final = 256 * 1024
_CLOSING: Final = 0.1  # seconds that a cancellation waits for a read of our own file, which a slow disk may hold up

Chunks = Callable[[], AsyncIterable[bytes]]
Reader = Callable[[], AsyncGenerator[bytes, None]]
"""Yields all bytes from the beginning, each time it is called."""


async def read_file(source: Path | BinaryIO, start: int, size: int) -> AsyncGenerator[bytes, None]:
    """Yield ``size`` bytes of a file, fewer if it has shrunk, and one more if it has grown, which the form notices.

    A path is opened here and closed at the end. An open file stands at ``start`` again after each chunk.
    """
    if is_ours := isinstance(source, Path):
        source = await in_thread(partial(_open, source), timeout=None, discard=BufferedReader.close)
    file, offset = _File(source, start, is_ours=is_ours), 0
    try:
        while offset < size:
            chunk = await file.read_in_thread(offset, min(CHUNK, size - offset))
            offset += len(chunk)
            if offset == size:
                chunk += await file.read_in_thread(size, 1)
            if not chunk:
                return
            yield chunk
    finally:
        file.release()


async def read_bytes(view: memoryview) -> AsyncGenerator[bytes, None]:
    """Yield bytes without a copy of the whole."""
    for start in range(0, len(view), CHUNK):
        yield bytes(view[start : start + CHUNK])


async def read_factory(field: str, factory: Chunks) -> AsyncGenerator[bytes, None]:
    """Yield what a caller's function yields, and end its generator in the same task."""
    source = factory()
    try:
        async for chunk in source:
            if not isinstance(chunk, (bytes, bytearray, memoryview)):
                raise ConfigurationError(f"{field}: the chunks must be bytes, not {type(chunk).__name__}")
            # A single huge chunk would be in memory twice while the socket takes it in.
            for start in range(0, len(chunk), CHUNK):
                yield bytes(chunk[start : start + CHUNK])
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


_locks: WeakKeyDictionary[object, threading.Lock] = WeakKeyDictionary()


def lock_of(file: BinaryIO) -> threading.Lock:
    """Return the lock of a file, which may be in several uploads at once."""
    try:
        return _locks.setdefault(file, threading.Lock())
    except TypeError:  # it cannot be a key, or have a weak reference
        return threading.Lock()


class _File:
    """A file that threads read. It can be released during a read, without waiting for it."""

    def __init__(self, file: BinaryIO, start: int, *, is_ours: bool) -> None:
        self._file = file
        self._start = start
        self._is_ours = is_ours
        self._lock = lock_of(file)
        self._is_released = False

    def read(self, offset: int, count: int) -> bytes:
        """Read from ``offset``; a caller's file stands at the same place before and after."""
        try:
            with self._lock:
                if self._is_released:
                    return b""
                self._file.seek(self._start + offset)
                try:
                    return self._file.read(count)
                finally:
                    if not getattr(self._file, "closed", False):
                        self._file.seek(self._start)
        finally:
            if self._is_released:
                self.release()

    def release(self) -> None:
        """Close the file if it is ours, now or at the end of the read in progress."""
        self._is_released = True
        if self._is_ours and self._lock.acquire(blocking=False):
            try:
                self._file.close()
            finally:
                self._lock.release()

    async def read_in_thread(self, offset: int, count: int) -> bytes:
        """Do as ``read`` does; a cancellation leaves a caller's file where it was."""
        return await in_thread(
            partial(self.read, offset, count),
            timeout=None,  # the time without progress is bounded around the whole upload
            # A caller must not get a file back while a read moves it; our own may be closed a little later.
            linger=_CLOSING if self._is_ours else None,
        )


def _open(path: Path) -> BufferedReader:
    return path.open("rb")
