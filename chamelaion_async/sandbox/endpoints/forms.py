"""Multipart forms, read as a stream: files are written to the spool piece by piece, whatever their size."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from attrs import define, field

from ..world.jobs import Upload
from ..world.spool import Spool
from .answers import ApiError
from .bodies import invalid_body, invite_body
from .calls import Call

_PIECE = 1024 * 1024
_FIELD_LIMIT = 4 * 1024 * 1024


@define(kw_only=True, eq=False)
class Form:
    """A form that was received.

    Args:
        fields: text by name, of the parts without a filename.
        files: uploads by name, of the parts with a filename.
    """

    fields: dict[str, str] = field(factory=dict)
    files: dict[str, Upload] = field(factory=dict)

    def described(self) -> dict[str, Any]:
        """Return the fields, and of each file its name, type and size."""
        files = {
            name: {"filename": file.filename, "content_type": file.content_type, "size": file.size}
            for name, file in self.files.items()
        }
        return {**self.fields, **files}

    def file(self, name: str) -> Upload:
        """Return an uploaded file.

        Raises:
            ApiError: 400 "NAME file is required", if it is absent or, which is assumed, empty or without a filename.
        """
        file = self.files.get(name)
        if file is None or not file.size:
            raise ApiError(400, f"{name} file is required")
        return file

    def flag(self, name: str) -> bool | None:
        """Return a boolean field, which is sent as true or false, None if it is absent.

        Raises:
            ApiError: 400, if it is anything else.
        """
        text = self.fields.get(name)
        if text not in {None, "true", "false"}:
            raise invalid_body()
        return None if text is None else text == "true"


@asynccontextmanager
async def reading_form(call: Call) -> AsyncIterator[Form]:
    """Read a request's form, and delete its files if the call is refused.

    Args:
        call: its body is not read yet.

    Raises:
        ApiError: 400, if the content type is another one or the body is no form, or holds a name twice.
    """
    if call.request.content_type != "multipart/form-data":
        raise ApiError(400, "content-type must be multipart/form-data")
    await invite_body(call.request)
    form = Form()
    try:
        await _read(call.request, form, call.world.spool)
        call.received.body = form.described()
        yield form
    except BaseException:  # a cancellation, too: no job needs the files
        for file in form.files.values():
            file.path.unlink(missing_ok=True)
        raise


async def _read(request: web.BaseRequest, form: Form, spool: Spool) -> None:
    try:
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            await _take(part, form, spool)
    except (ValueError, HttpProcessingError, web.RequestPayloadError):
        raise invalid_body() from None


async def _take(part: BodyPartReader | MultipartReader, form: Form, spool: Spool) -> None:
    name = part.name if isinstance(part, BodyPartReader) else None
    if not isinstance(part, BodyPartReader) or not name or name in form.fields or name in form.files:
        raise invalid_body()
    if part.filename is None:
        text = bytearray()
        while piece := await part.read_chunk(_PIECE):
            text += piece
            if len(text) > _FIELD_LIMIT:
                raise invalid_body()
        form.fields[name] = text.decode()
        return
    path, file = spool.create()
    content_type = part.headers.get("Content-Type", "application/octet-stream")
    upload = form.files[name] = Upload(path=path, filename=part.filename, content_type=content_type, size=0)
    try:
        while piece := await part.read_chunk(_PIECE):
            await asyncio.to_thread(file.write, piece)
            upload.size += len(piece)
    finally:
        file.close()
