"""Media to upload: from a path, an open file, bytes or a factory of chunks, in constant memory.

A body is made anew for every attempt, since aiohttp closes the files that it sends and an exhausted generator would
silently upload nothing. Files are read in threads, so that the event loop is never held.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import stat
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Mapping
from contextlib import aclosing
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import attrs
from aiohttp import MultipartWriter, payload
from aiohttp.abc import AbstractStreamWriter

from .._http.addresses import is_url_object
from ..config import check_count
from ..errors import ConfigurationError
from .threads import in_thread

__all__ = ["Form", "FormFile", "Media", "MediaSource", "Progress", "Upload", "open_media"]

CHUNK: Final = 256 * 1024

_CLOSING: Final = 0.1  # seconds that a cancellation waits for a read of ours, which a slow disk may hold up

Chunks = Callable[[], AsyncIterable[bytes]]
Progress = Callable[[int, int], object]
"""Called with the bytes sent so far and the bytes in all."""


class FormFile(Protocol):
    """A file that has come in with a form, as FastAPI, Starlette, Litestar and aiohttp hand it to their users."""

    @property
    def file(self) -> BinaryIO:
        """The file itself, open."""
        ...

    @property
    def filename(self) -> str | None:
        """Its name, as the sender said."""
        ...

    @property
    def content_type(self) -> str | None:
        """Its media type, as the sender said."""
        ...


@attrs.frozen
class Upload:
    """A file to upload, where more has to be said than a path does.

    Attributes:
        source: A path (``str`` or ``os.PathLike``), an open binary file, bytes, a file of a form such as FastAPI's
            ``UploadFile``, or a function without arguments that returns a new async iterable of chunks each time it
            is called, once for each attempt.
        size: Number of bytes; needed for a function of chunks only, which must then give exactly as many.
        file_name: Name to send; by default that of the path or of the form's file, or one made from the field.
        content_type: Media type to send; by default that of the form's file, or guessed from the name.
    """

    source: str | os.PathLike[str] | bytes | BinaryIO | FormFile | Chunks
    size: int | None = attrs.field(default=None, kw_only=True)
    file_name: str | None = attrs.field(default=None, kw_only=True)
    content_type: str | None = attrs.field(default=None, kw_only=True)


MediaSource = str | os.PathLike[str] | bytes | BinaryIO | FormFile | Upload


_Reader = Callable[[], AsyncGenerator[bytes, None]]
"""Gives the bytes of a medium from its beginning, each time it is called."""


class Media(NamedTuple):
    """A medium that has been looked at and can be sent."""

    field: str
    label: str
    size: int
    read: _Reader
    file_name: str
    content_type: str | None


async def open_media(field: str, source: MediaSource, *, timeout: float) -> Media:
    """Look at what is to be uploaded, before anything is sent.

    Args:
        field: Name of the form field.
        source: What is to be uploaded.
        timeout: Seconds to wait for a thread that can look at a file.

    Raises:
        ConfigurationError: It is missing, empty, a directory, unreadable, or nothing that can be uploaded.
        NoThreadError: No thread was free in time.
    """
    upload = source if isinstance(source, Upload) else Upload(source)
    origin, content_type = upload.source, upload.content_type
    if isinstance(origin, (str, os.PathLike)):
        path = Path(origin)
        size = await in_thread(partial(_size_of, field, path, origin), timeout=timeout)
        label, name, read = f"{field} {str(path)!r}", path.name, _from_path(path, size)
    elif isinstance(origin, (bytes, bytearray, memoryview)):
        view = _view(field, origin)
        label, size, name, read = f"{field} (bytes)", len(view), field, _from_bytes(view)
    elif callable(origin):
        if upload.size is None:
            raise ConfigurationError(f"{field}: a function of chunks needs its size: Upload(function, size=…)")
        check_count(f"the size of {field}", upload.size)
        label, size, name, read = f"{field} (chunks)", upload.size, field, _from_chunks(field, origin)
    elif (file := _file_of(field, origin)) is not None:
        start, size = await in_thread(partial(_rest_of, field, file), timeout=timeout)
        name = _name_of(origin) or _name_of(file) or field
        content_type = content_type or _type_of(origin)
        label, read = f"{field} (open file {name!r})", _from_file(file, start, size)
        if size <= 0:
            raise ConfigurationError(f"{label} is empty, or stands at its end; nothing was submitted")
    elif is_url_object(origin):
        raise ConfigurationError(
            f"{field} is a URL ({type(origin).__name__}), and a file is expected; pass str(url) to generate, which "
            "takes URLs"
        )
    else:
        raise ConfigurationError(
            f"{field} must be a path, an open binary file, bytes or an Upload, not {type(origin).__name__}"
        )
    if size <= 0:
        raise ConfigurationError(f"{label} is empty; nothing was submitted")
    if content_type is not None and not _is_media_type(content_type):
        raise ConfigurationError(f"{field}: {content_type!r} is not a media type, such as 'video/mp4'")
    if upload.file_name is not None and not isinstance(upload.file_name, str):
        raise ConfigurationError(f"{field}: the file name must be a str, not {type(upload.file_name).__name__}")
    return Media(
        field=field,
        label=label,
        size=size,
        read=read,
        file_name=(upload.file_name or name).encode("utf-8", "replace").decode(),
        content_type=content_type,
    )


def _file_of(field: str, origin: Any) -> BinaryIO | None:
    """Return the open file that something is or holds, None if there is none.

    Raises:
        ConfigurationError: It can be read with ``await`` only.
    """
    held = getattr(origin, "file", None)
    if hasattr(origin, "filename") and hasattr(held, "read"):
        origin = held
    if not hasattr(origin, "read"):
        return None
    if inspect.iscoroutinefunction(origin.read):
        raise _asynchronous(field, origin)
    file: BinaryIO = origin
    return file


def _asynchronous(field: str, origin: object) -> ConfigurationError:
    return ConfigurationError(
        f"{field} can only be read with await ({type(origin).__name__}), and each attempt reads it again; pass its "
        "path, which is read in threads, or Upload with a function of chunks and their size"
    )


def _name_of(origin: object) -> str:
    """Return the name of a file, which is a number where it was opened by one."""
    for attribute in ("filename", "name"):
        name = getattr(origin, attribute, None)
        if isinstance(name, str) and name:
            return os.path.basename(name)  # noqa: PTH119
    return ""


def _type_of(origin: object) -> str | None:
    """Return the media type that a form's file came with, unless a stranger has written nonsense there."""
    content_type = getattr(origin, "content_type", None)
    return content_type if isinstance(content_type, str) and _is_media_type(content_type) else None


def _is_media_type(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable()


def _view(field: str, data: bytes | bytearray | memoryview) -> memoryview:
    """Look at bytes without copying them: a copy of a film would cost as much as the film."""
    try:
        return memoryview(data).cast("B")
    except TypeError as error:
        raise ConfigurationError(f"{field} must be contiguous bytes: {error}") from error


def _size_of(field: str, path: Path, origin: object) -> int:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) and not path.is_dir():
            raise ConfigurationError(f"{field} {str(path)!r} is not a regular file; pass Upload with chunks instead")
        with path.open("rb"):
            return found.st_size
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigurationError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        is_url = isinstance(origin, str) and origin.lower().startswith(("http://", "https://"))
        advice = "; a str is taken as a path" + ("; a URL goes to generate" if is_url else "")
        raise ConfigurationError(
            f"{field} {str(path)!r} cannot be read: {reason}. Nothing was submitted{advice}"
        ) from error


def _rest_of(field: str, file: BinaryIO) -> tuple[int, int]:
    """Return where an open file stands and how much follows."""
    try:
        with _lock_of(file):
            start = _known(field, file, file.tell())
            file.seek(0, os.SEEK_END)  # which returns nothing for an mmap before Python 3.13
            end = _known(field, file, file.tell())
            file.seek(start)
            is_binary = isinstance(file.read(0), bytes)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ConfigurationError(
            f"{field} is a file that is closed or cannot be rewound ({error}); pass a path, or Upload with chunks"
        ) from error
    if not is_binary:
        raise ConfigurationError(f"{field} is a file opened as text; open it with mode 'rb'")
    return start, end - start


def _known(field: str, file: BinaryIO, position: Any) -> int:
    """Return a position, unless it is one to be awaited."""
    if inspect.isawaitable(position):
        if isinstance(position, Coroutine):
            position.close()  # or Python would warn that nobody has awaited it
        raise _asynchronous(field, file)
    if not isinstance(position, int):
        raise TypeError(f"tell() returned {type(position).__name__}")
    return position


_locks: WeakKeyDictionary[object, threading.Lock] = WeakKeyDictionary()


def _lock_of(file: BinaryIO) -> threading.Lock:
    """Return the one lock of a file, which may be in several uploads at once."""
    try:
        return _locks.setdefault(file, threading.Lock())
    except TypeError:
        return threading.Lock()


class _File:
    """A file that threads read. It can be let go of while a read is still under way, without waiting for it."""

    def __init__(self, file: BinaryIO, start: int, *, is_ours: bool) -> None:
        self._file = file
        self._start = start
        self._is_ours = is_ours
        self._lock = _lock_of(file)
        self._is_released = False

    def read(self, offset: int, count: int) -> bytes:
        """Read from ``offset``; a caller's file stands where it stood both before and afterwards."""
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
        """Close the file if it is ours, now or when the read that is under way has ended."""
        self._is_released = True
        if self._is_ours and self._lock.acquire(blocking=False):
            try:
                self._file.close()
            finally:
                self._lock.release()

    async def _read_in_thread(self, offset: int, count: int) -> bytes:
        return await in_thread(
            partial(self.read, offset, count),
            timeout=None,  # the time without progress is bounded around the whole upload
            # The caller must not get his file back while it is being moved; ours may be closed a little later.
            linger=_CLOSING if self._is_ours else None,
        )

    async def chunks(self, size: int) -> AsyncGenerator[bytes, None]:
        """Give ``size`` bytes, or as many as there are; and more if there are more, for the reader to notice."""
        offset = 0
        while offset < size:
            chunk = await self._read_in_thread(offset, min(CHUNK, size - offset))
            offset += len(chunk)
            if offset == size:
                chunk += await self._read_in_thread(size, 1)
            if not chunk:
                return
            yield chunk


def _open(path: Path) -> BufferedReader:
    return path.open("rb")


def _from_path(path: Path, size: int) -> _Reader:
    async def read() -> AsyncGenerator[bytes, None]:
        opened = await in_thread(partial(_open, path), timeout=None, discard=BufferedReader.close)
        file = _File(opened, 0, is_ours=True)
        try:
            async with aclosing(file.chunks(size)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            file.release()

    return read


def _from_file(origin: BinaryIO, start: int, size: int) -> _Reader:
    def read() -> AsyncGenerator[bytes, None]:
        return _File(origin, start, is_ours=False).chunks(size)

    return read


def _from_bytes(view: memoryview) -> _Reader:
    async def read() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(view), CHUNK):
            yield bytes(view[start : start + CHUNK])

    return read


def _from_chunks(field: str, factory: Chunks) -> _Reader:
    async def read() -> AsyncGenerator[bytes, None]:
        source = factory()
        try:
            async for chunk in source:
                if not isinstance(chunk, (bytes, bytearray, memoryview)):
                    raise ConfigurationError(f"{field}: the chunks must be bytes, not {type(chunk).__name__}")
                # A single huge chunk would stand in memory twice while the socket takes it in.
                for start in range(0, len(chunk), CHUNK):
                    yield bytes(chunk[start : start + CHUNK])
        finally:
            if isinstance(source, AsyncGenerator):
                await source.aclose()

    return read


_ESCAPED = re.compile(r'[\x00-\x1f\x7f"]|\\$')


def _disposition(name: str, file_name: str | None = None) -> str:
    """Return the header that names a part, as browsers write it.

    https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data: UTF-8 in quotes, with
    quotes, CR and LF percent-encoded. So are the other control characters, which no header can hold, and a backslash
    at the end, by which werkzeug and Go would take the closing quote for a part of the name. aiohttp's own
    ``FormData`` writes what several parsers refuse (``name*=``, a backslash before each blank).
    """
    fields = {"name": name} if file_name is None else {"name": name, "filename": file_name}
    quoted = (f'{key}="{_ESCAPED.sub(_percent, text)}"' for key, text in fields.items())
    return "; ".join(("form-data", *quoted))


def _percent(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"


class _MediaPayload(payload.Payload):
    """One file of a form, for a single attempt."""

    _autoclose = True

    def __init__(self, media: Media, form: Form) -> None:
        super().__init__(
            None,
            headers={"Content-Disposition": _disposition(media.field, media.file_name)},
            filename=media.file_name,
            content_type=media.content_type,
        )
        self._size = media.size
        self._media = media
        self._form = form

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002 - the base's signature
        raise TypeError("an upload is streamed and never held as text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self._form.send(self._media, writer)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:  # noqa: ARG002
        await self.write(writer)


class Form:
    """A multipart body for a single attempt, which knows how far it got.

    Attributes:
        data: What aiohttp is to send.
        is_complete: Whether the last byte of the media has been handed to the connection, so that the service may
            have the whole form. Before that it certainly cannot have accepted it.
        failure: What went wrong on our side while sending, which aiohttp would only report as a lost connection.
    """

    def __init__(
        self,
        fields: Mapping[str, str],
        media: list[Media],
        on_progress: Progress | None,
        on_chunk: Callable[[], None],
    ) -> None:
        self.is_complete = False
        self.failure: Exception | None = None
        self._on_progress = on_progress
        self._on_chunk = on_chunk
        self._sender: asyncio.Task[Any] | None = None
        self._sent = 0
        self._total = sum(medium.size for medium in media)
        # Text first: whoever reads the form as a stream then knows all about the files that follow.
        self.data = MultipartWriter("form-data")
        for name, text in fields.items():
            self.data.append_payload(payload.StringPayload(text, headers={"Content-Disposition": _disposition(name)}))
        for medium in media:
            self.data.append_payload(_MediaPayload(medium, self))

    async def send(self, media: Media, writer: AbstractStreamWriter) -> None:
        """Write one medium to the connection."""
        self._sender = asyncio.current_task()
        async with aclosing(self._counted(media)) as chunks:
            async for chunk in chunks:
                await writer.write(chunk)

    async def aclose(self) -> None:
        """End the sending, if it still goes on, and wait until its files are let go of."""
        sender, self._sender = self._sender, None
        try:
            if sender is not None and sender is not asyncio.current_task() and not sender.done():
                sender.cancel()
                await asyncio.wait([sender])
        finally:
            # What holds this form in turn, and with it what was uploaded.
            self.data, self.failure = MultipartWriter("form-data"), None

    async def _counted(self, media: Media) -> AsyncGenerator[bytes, None]:
        """Read, count and report. All that can fail here is on our side, and is kept as what it is."""
        left = media.size
        try:
            async with aclosing(self._readable(media)) as chunks:
                async for chunk in chunks:
                    left -= len(chunk)
                    if left < 0:
                        raise _changed(media, "grew")
                    self.is_complete = self._sent + len(chunk) >= self._total
                    yield chunk
                    self._sent += len(chunk)
                    self._on_chunk()
                    if self._on_progress is not None:
                        self._on_progress(self._sent, self._total)
            if left:
                raise _changed(media, f"ended {left} bytes early")
        except Exception as error:
            self.failure = error
            raise

    async def _readable(self, media: Media) -> AsyncGenerator[bytes, None]:
        """Give the chunks of a medium, and say of which medium a failing read was."""
        async with aclosing(media.read()) as chunks:
            while True:
                try:
                    chunk = await anext(chunks)
                except StopAsyncIteration:
                    return
                except OSError as error:
                    raise ConfigurationError(
                        f"{media.label} could not be read to its end: {error}. Nothing was submitted"
                    ) from error
                yield chunk


def _changed(media: Media, how: str) -> ConfigurationError:
    return ConfigurationError(
        f"{media.label} {how} while it was being uploaded ({media.size} bytes were expected); nothing was submitted"
    )
