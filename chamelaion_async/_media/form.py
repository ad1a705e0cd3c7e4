"""The multipart form of an upload, for a single attempt."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from aiohttp import MultipartWriter, payload
from aiohttp.abc import AbstractStreamWriter

from ..errors import ConfigurationError
from .uploads import Media, Progress

__all__ = ["Form"]

_ESCAPED = re.compile(r'[\x00-\x1f\x7f"]|\\$')


class Form:
    """A multipart body for a single attempt, which counts the bytes that are sent.

    Attributes:
        data: What aiohttp sends.
        is_complete: Whether the last byte of the media has been handed to the connection, so that the service may
            have the whole form. Before that it certainly cannot have accepted it.
        failure: The error of a source or a callback, which aiohttp would only report as a lost connection.
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
        # Text first: a service that reads the form as a stream knows all about the files before they arrive.
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
        """End the sending, and wait until its files are released."""
        sender, self._sender = self._sender, None
        try:
            if sender is not None and sender is not asyncio.current_task() and not sender.done():
                sender.cancel()
                await asyncio.wait([sender])
        finally:
            # Both lead back to this form, and keep the media in memory.
            self.data, self.failure = MultipartWriter("form-data"), None

    async def _counted(self, media: Media) -> AsyncGenerator[bytes, None]:
        """Read, count and report. All that can fail here is on our side, and is kept as what it is."""
        left = media.size
        try:
            async with aclosing(media.read()) as chunks:
                while (chunk := await _next(chunks, media)) is not None:
                    left -= len(chunk)
                    if left < 0:
                        raise _changed(media, "grew")
                    # Set before the last chunk is written: from then on it may arrive.
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


class _MediaPayload(payload.Payload):
    """One file of a form."""

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


async def _next(chunks: AsyncGenerator[bytes, None], media: Media) -> bytes | None:
    """Return the next chunk of a medium, None after the last one; an error of reading names the medium."""
    try:
        return await anext(chunks, None)
    except OSError as error:
        reason = f"{media.label} could not be read to its end: {error}"
        raise ConfigurationError(f"{reason}. Nothing was submitted") from error


def _changed(media: Media, how: str) -> ConfigurationError:
    return ConfigurationError(
        f"{media.label} {how} while it was being uploaded ({media.size} bytes were expected); nothing was submitted"
    )


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
