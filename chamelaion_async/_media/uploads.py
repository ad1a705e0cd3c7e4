"""What may be uploaded: a path, an open file, bytes or a function of chunks, examined before anything is sent."""

from __future__ import annotations

import inspect
import os
import stat
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, Protocol

import attrs

from .._http.addresses import is_url_object
from ..config import check_count
from ..errors import ConfigurationError
from .chunks import Chunks, Reader, lock_of, read_bytes, read_factory, read_file
from .threads import in_thread

__all__ = ["FormFile", "Media", "MediaSource", "Progress", "Upload", "open_media"]

Progress = Callable[[int, int], object]
"""Called with the bytes sent so far and the bytes in all."""


class FormFile(Protocol):
    """A file that has come in with a form, as FastAPI, Starlette, Litestar and aiohttp hand it to their users."""

    @property
    def file(self) -> IO[bytes]:
        """The file itself, open."""

    @property
    def filename(self) -> str | None:
        """Its name, as the sender said."""

    @property
    def content_type(self) -> str | None:
        """Its media type, as the sender said."""


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


class Media(NamedTuple):
    """A medium that has been examined and can be sent; ``label`` names it in messages."""

    field: str
    label: str
    size: int
    read: Reader
    file_name: str
    content_type: str | None


async def open_media(field: str, source: MediaSource, *, timeout: float) -> Media:
    """Examine what is to be uploaded, before anything is sent.

    Args:
        field: Name of the form field.
        source: What is to be uploaded.
        timeout: Seconds to wait for a thread that examines a file.

    Raises:
        ConfigurationError: It is missing, empty, a directory, unreadable, or nothing that can be uploaded.
        NoThreadError: No thread was free in time.
    """
    upload = source if isinstance(source, Upload) else Upload(source)
    origin, content_type, name = upload.source, upload.content_type, field
    if isinstance(origin, (str, os.PathLike)):
        path = Path(origin)
        size = await in_thread(partial(_size_of, field, path, origin), timeout=timeout)
        label, name, read = f"{field} {str(path)!r}", path.name, partial(read_file, path, 0, size)
    elif isinstance(origin, (bytes, bytearray, memoryview)):
        view = _view(field, origin)
        label, size, read = f"{field} (bytes)", len(view), partial(read_bytes, view)
    elif callable(origin):
        if upload.size is None:
            raise ConfigurationError(f"{field}: a function of chunks needs its size: Upload(function, size=…)")
        check_count(f"the size of {field}", upload.size)
        label, size, read = f"{field} (chunks)", upload.size, partial(read_factory, field, origin)
    elif (file := _file_of(field, origin)) is not None:
        start, size = await in_thread(partial(_span_of, field, file), timeout=timeout)
        name = _name_of(origin) or _name_of(file) or field
        content_type = content_type or _type_of(origin)
        label, read = f"{field} (open file {name!r})", partial(read_file, file, start, size)
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
    # A file name in another encoding is a str with lone surrogates, which no form can hold.
    file_name = (upload.file_name or name).encode("utf-8", "replace").decode()
    return Media(field, label, size, read, file_name, content_type)


def _file_of(field: str, origin: Any) -> BinaryIO | None:
    """Return the open file that something is or holds, None if there is none.

    Raises:
        ConfigurationError: It can be read with ``await`` only.
    """
    held = getattr(origin, "file", None)
    # Files of forms are told by what they have, so that no web framework has to be imported.
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
    """Return the name of a file, empty for one that was opened by its number."""
    for attribute in ("filename", "name"):
        name = getattr(origin, attribute, None)
        if isinstance(name, str) and name:
            return os.path.basename(name)  # noqa: PTH119
    return ""


def _type_of(origin: object) -> str | None:
    """Return the media type that a form's file came with, unless the sender wrote nonsense there."""
    content_type = getattr(origin, "content_type", None)
    return content_type if isinstance(content_type, str) and _is_media_type(content_type) else None


def _is_media_type(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable()


def _view(field: str, data: bytes | bytearray | memoryview) -> memoryview:
    """View bytes without copying them: a copy of a film would take as much memory as the film."""
    try:
        return memoryview(data).cast("B")
    except TypeError as error:
        raise ConfigurationError(f"{field} must be contiguous bytes: {error}") from error


def _size_of(field: str, path: Path, origin: object) -> int:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) and not path.is_dir():
            raise ConfigurationError(f"{field} {str(path)!r} is not a regular file; pass Upload with chunks instead")
        # Opened as well, since stat needs no permission to read the file.
        with path.open("rb"):
            return found.st_size
    except ConfigurationError:
        raise  # it is a ValueError too
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        is_url = isinstance(origin, str) and origin.lower().startswith(("http://", "https://"))
        advice = "; a str is taken as a path" + ("; a URL goes to generate" if is_url else "")
        raise ConfigurationError(
            f"{field} {str(path)!r} cannot be read: {reason}. Nothing was submitted{advice}"
        ) from error


def _span_of(field: str, file: BinaryIO) -> tuple[int, int]:
    """Return where an open file stands and how many bytes follow."""
    try:
        with lock_of(file):
            start = _position(field, file)
            file.seek(0, os.SEEK_END)  # which returns nothing for an mmap before Python 3.13
            size = _position(field, file) - start
            file.seek(start)
            # Reading nothing tells text from bytes, and moves nothing.
            is_binary = isinstance(file.read(0), bytes)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ConfigurationError(
            f"{field} is a file that is closed or cannot be rewound ({error}); pass a path, or Upload with chunks"
        ) from error
    if not is_binary:
        raise ConfigurationError(f"{field} is a file opened as text; open it with mode 'rb'")
    return start, size


def _position(field: str, file: Any) -> int:
    """Return where a file stands, unless that must be awaited."""
    position = file.tell()
    if inspect.isawaitable(position):
        if isinstance(position, Coroutine):
            position.close()  # or Python would warn that it was never awaited
        raise _asynchronous(field, file)
    return int(position)
