"""Media to upload: from a path, an open file, bytes or a factory of chunks, in constant memory.

A body is made anew for every attempt, since aiohttp closes the files that it sends and an exhausted generator would
silently upload nothing. Files are read in threads, so that the event loop is never held.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

import attrs
from aiohttp import FormData, payload
from aiohttp.abc import AbstractStreamWriter

from .errors import ConfigurationError

__all__ = ["Form", "Media", "MediaSource", "Progress", "Upload", "open_media"]

CHUNK: Final = 256 * 1024

Chunks = Callable[[], AsyncIterable[bytes]]
Progress = Callable[[int, int], object]
"""Called with the bytes sent so far and the bytes in all."""


@attrs.frozen
class Upload:
    """A file to upload, where more has to be said than a path does.

    Attributes:
        source: A path (``str`` or ``os.PathLike``), an open binary file, bytes, or a function without arguments that
            returns a new async iterable of chunks each time it is called, once for each attempt.
        size: Number of bytes; needed for a function of chunks only, which must then give exactly as many.
        file_name: Name to send; by default the path's, or one made from the field.
        content_type: Media type to send; by default guessed from the name.
    """

    source: str | os.PathLike[str] | bytes | BinaryIO | Chunks
    size: int | None = attrs.field(default=None, kw_only=True)
    file_name: str | None = attrs.field(default=None, kw_only=True)
    content_type: str | None = attrs.field(default=None, kw_only=True)


MediaSource = str | os.PathLike[str] | bytes | BinaryIO | Upload


class _Reader(Protocol):
    """Gives the bytes of a medium from its beginning, each time it is called."""

    def __call__(self) -> AsyncGenerator[bytes, None]: ...


@attrs.frozen(kw_only=True)
class Media:
    """A medium that has been looked at and can be sent."""

    field: str
    label: str
    size: int
    read: _Reader
    file_name: str
    content_type: str | None


async def open_media(field: str, source: MediaSource) -> Media:
    """Look at what is to be uploaded, before anything is sent.

    Raises:
        ConfigurationError: It is missing, empty, a directory, unreadable, or nothing that can be uploaded.
    """
    upload = source if isinstance(source, Upload) else Upload(source)
    origin = upload.source
    if isinstance(origin, (str, os.PathLike)):
        path = Path(origin)
        size = await asyncio.to_thread(_size_of, field, path)
        label, name, read = f"{field} {str(path)!r}", path.name, _from_path(path, size)
    elif isinstance(origin, (bytes, bytearray, memoryview)):
        # A view costs nothing, where a copy of a film would.
        view = memoryview(origin).cast("B")
        label, size, name, read = f"{field} (bytes)", len(view), field, _from_bytes(view)
    elif callable(origin):
        if upload.size is None:
            raise ConfigurationError(f"{field}: a function of chunks needs its size: Upload(function, size=…)")
        label, size, name, read = f"{field} (chunks)", upload.size, field, _from_chunks(origin)
    elif hasattr(origin, "read"):
        if isinstance(cast("object", origin), io.TextIOBase):  # untyped callers do pass them
            raise ConfigurationError(f"{field} is a file opened as text; open it with mode 'rb'")
        start, size = await asyncio.to_thread(_rest_of, field, origin)
        own_name = getattr(origin, "name", None)
        name = os.path.basename(own_name) if isinstance(own_name, str) else field  # noqa: PTH119
        label, read = f"{field} (open file {name!r})", _from_file(origin, start, size)
    else:
        raise ConfigurationError(
            f"{field} must be a path, an open binary file, bytes or an Upload, not {type(origin).__name__}"
        )
    if size <= 0:
        raise ConfigurationError(f"{label} is empty; nothing was submitted")
    return Media(
        field=field,
        label=label,
        size=size,
        read=read,
        file_name=upload.file_name or name,
        content_type=upload.content_type,
    )


def _size_of(field: str, path: Path) -> int:
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_size
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"{field} {str(path)!r} cannot be read: {reason}. Nothing was submitted; a str is taken as a path"
        ) from error


def _rest_of(field: str, file: BinaryIO) -> tuple[int, int]:
    try:
        start = file.tell()
        end = file.seek(0, os.SEEK_END)
        file.seek(start)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{field} is a file that is closed or cannot be rewound ({error}); pass a path, or Upload with chunks"
        ) from error
    return start, end - start


def _from_path(path: Path, size: int) -> _Reader:
    async def read() -> AsyncGenerator[bytes, None]:
        file = await asyncio.to_thread(path.open, "rb")
        try:
            async for chunk in _chunks_of(file, size):
                yield chunk
        finally:
            file.close()

    return read


def _from_file(file: BinaryIO, start: int, size: int) -> _Reader:
    async def read() -> AsyncGenerator[bytes, None]:
        await asyncio.to_thread(file.seek, start)
        try:
            async for chunk in _chunks_of(file, size):
                yield chunk
        finally:
            file.seek(start)

    return read


async def _chunks_of(file: BinaryIO, size: int) -> AsyncGenerator[bytes, None]:
    left = size
    while left > 0:
        chunk = await asyncio.to_thread(file.read, min(CHUNK, left))
        if not chunk:
            return  # the writer counts, and says what is missing
        left -= len(chunk)
        yield chunk


def _from_bytes(view: memoryview) -> _Reader:
    async def read() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(view), CHUNK):
            yield bytes(view[start : start + CHUNK])

    return read


def _from_chunks(factory: Chunks) -> _Reader:
    async def read() -> AsyncGenerator[bytes, None]:
        async for chunk in factory():
            # A single huge chunk would stand in memory twice while the socket takes it in.
            for start in range(0, len(chunk), CHUNK):
                yield chunk[start : start + CHUNK]

    return read


class _MediaPayload(payload.Payload):
    """One file of a form, for a single attempt."""

    _autoclose = True

    def __init__(self, media: Media, form: Form) -> None:
        name = media.file_name
        if media.content_type is None:
            super().__init__(None, filename=name)
        else:
            super().__init__(None, filename=name, content_type=media.content_type)
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
        self._sent = 0
        self._total = sum(medium.size for medium in media)
        # Text first: whoever reads the form as a stream then knows all about the files that follow.
        self.data = FormData(default_to_multipart=True)
        for name, text in fields.items():
            self.data.add_field(name, text)
        for medium in media:
            part = _MediaPayload(medium, self)
            self.data.add_field(medium.field, part, filename=medium.file_name, content_type=part.content_type)

    async def send(self, media: Media, writer: AbstractStreamWriter) -> None:
        """Write one medium to the connection."""
        async with aclosing(self._counted(media)) as chunks:
            async for chunk in chunks:
                await writer.write(chunk)

    async def _counted(self, media: Media) -> AsyncGenerator[bytes, None]:
        """Read, count and report. All that can fail here is on our side, and is kept as what it is."""
        left = media.size
        try:
            async with aclosing(media.read()) as chunks:
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
        except OSError as error:
            self.failure = ConfigurationError(
                f"{media.label} could not be read to its end: {error}. Nothing was submitted"
            )
            raise self.failure from error
        except Exception as error:
            self.failure = error
            raise


def _changed(media: Media, how: str) -> ConfigurationError:
    return ConfigurationError(
        f"{media.label} {how} while it was being uploaded ({media.size} bytes were expected); nothing was submitted"
    )
