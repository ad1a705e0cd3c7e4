"""Outputs to disk: streamed, resumed, checked, and under their final name only when complete.

A download grows in ``NAME.part`` and is renamed at the end. Beside it, ``NAME.part.json`` holds what tells whether
the output is still the same one (RFC 9110, sections 8.8 and 13.1.5), so that a later run can go on where this one
stopped. Where the server gives nothing to tell it by, a broken download starts over.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final
from urllib.parse import unquote

import aiohttp
import attrs
from yarl import URL

from ._connection import Connection, Scope, given_session_closed
from ._retry import backoff
from ._wire import parse_http_date
from .config import RetryPolicy
from .errors import ConfigurationError, DownloadError
from .models import Artifacts, LipsyncRequest, VideoTranslateRequest

__all__ = ["DownloadProgress", "Downloads", "plan"]

DownloadProgress = Callable[[int, "int | None"], object]
"""Called with the bytes on disk so far and the bytes in all, or None where the server does not say."""

Source = str | LipsyncRequest | VideoTranslateRequest | Artifacts

_CHUNK: Final = 256 * 1024
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)", re.ASCII)
_NAMES: Final = {"video": "video.mp4", "audio": "audio.wav", "srt": "subtitles.srt"}
_SUFFIXES: Final = {"video": ".mp4", "audio": ".wav", "srt": ".srt"}
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


def plan(source: Source, path: str | os.PathLike[str]) -> dict[Path, str]:
    """Return which URL goes to which file.

    Raises:
        DownloadError: There is nothing to download (yet).
        ConfigurationError: The source is neither a URL nor something with outputs.
    """
    target = Path(path)
    if isinstance(source, str):
        return {_file_for(target, source): source}
    if isinstance(source, Artifacts):
        return {target / name: getattr(source, kind) for kind, name in _NAMES.items()}
    if isinstance(source, (LipsyncRequest, VideoTranslateRequest)):
        source.raise_for_failure()
        if not source.is_finished:
            raise DownloadError(f"request {source.id} is still {source.status}; wait until it is finished first")
        if isinstance(source, LipsyncRequest) and source.output_url is not None:
            return {_file_for(target, source.output_url): source.output_url}
        if isinstance(source, VideoTranslateRequest) and source.outputs:
            return {
                target / f"{_safe_name(language)}{suffix}": getattr(artifacts, kind)
                for language, artifacts in source.outputs.items()
                for kind, suffix in _SUFFIXES.items()
            }
        raise DownloadError(f"request {source.id} is {source.status} and has no output; there is nothing to download")
    raise ConfigurationError(f"download takes a request, its artifacts or a URL, not {type(source).__name__}")


def _file_for(target: Path, url: str) -> Path:
    """Name the file after the URL where only a folder is given."""
    if not target.is_dir():
        return target
    return target / _safe_name(PurePosixPath(unquote(URL(url).raw_path)).name or "output")


def _safe_name(name: str) -> str:
    """Make a name that stays within its folder."""
    return re.sub(r'[\x00-\x1f/\\:*?"<>|]', "_", name).lstrip(".") or "output"


class _PassingError(Exception):
    """An answer that may be better the next time."""


class _DiskError(Exception):
    """Writing failed; the reason is its cause."""


@attrs.define(kw_only=True)
class Downloads:
    """Downloads through the session of a client, without its credentials.

    Attributes:
        connection: The session.
        headers: Sent with every request; none of them is a secret.
        timeout: Seconds to wait for the next bytes.
        retry: How often in a row an attempt that brings nothing is repeated, and after which pause.
        under_way: The files that are being written; shared between views of a client.
    """

    connection: Connection
    headers: Mapping[str, str]
    timeout: float
    retry: RetryPolicy
    under_way: set[Path]

    async def fetch(self, url: str, target: Path, *, on_progress: DownloadProgress | None, overwrite: bool) -> None:
        """Bring one URL to disk; see ``AsyncClient.download``."""
        address = _address(url)
        key = await asyncio.to_thread(target.absolute)
        if key in self.under_way:
            raise DownloadError(f"{target} is being downloaded already; wait for that, or choose another name")
        self.under_way.add(key)
        try:
            await asyncio.to_thread(_check_target, target, overwrite)
            await self._bring(address, target, on_progress)
        finally:
            self.under_way.discard(key)

    async def _bring(self, url: URL, target: Path, on_progress: DownloadProgress | None) -> None:
        try:
            part = await asyncio.to_thread(Part.open, target)
            try:
                await self._fill(part, url, on_progress)
                await asyncio.to_thread(part.finish)
            finally:
                part.suspend()
        except (_DiskError, OSError) as error:
            reason = error.__cause__ or error
            raise DownloadError(f"{target} could not be written: {reason}. {Part.fate(target)}") from reason

    async def _fill(self, part: Part, url: URL, on_progress: DownloadProgress | None) -> None:
        failures = 0
        while True:
            size_before = part.size
            try:
                with Scope(self.connection):
                    return await self._attempt(part, url, on_progress)
            except (aiohttp.InvalidURL, aiohttp.TooManyRedirects) as error:
                raise self._failed(part, url, f"it redirects to where no download goes ({error})") from error
            except (_PassingError, aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                failures = 1 if part.size > size_before else failures + 1
                if failures >= self.retry.attempts:
                    reason = " ".join(str(error).split()) or type(error).__name__
                    raise self._failed(part, url, f"it broke off after {part.size} bytes: {reason}") from error
            await self.connection.sleep(backoff(failures, self.retry.initial, self.retry.max, random.random))

    async def _attempt(self, part: Part, url: URL, on_progress: DownloadProgress | None) -> None:
        session = self.connection.session()
        options: dict[str, Any] = {}
        if self.connection.may_need_proxy:
            options = await self.connection.proxy_options(url)
        headers = {**self.headers, "Accept": "*/*", "Accept-Encoding": "identity", **part.resume_headers()}
        headers |= options.pop("headers", {})
        try:
            async with session.get(
                url,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=None, connect=self.timeout, sock_read=self.timeout),
                auto_decompress=False,
                read_bufsize=_CHUNK,
                **options,
            ) as response:
                if not self._begin(part, url, response):
                    return
                async for chunk in response.content.iter_chunked(_CHUNK):
                    await asyncio.to_thread(part.write, chunk)
                    if on_progress is not None:
                        on_progress(part.size, part.total)
        except RuntimeError as error:
            if session.closed:
                raise given_session_closed() from error
            raise
        if part.total is not None and part.size != part.total:
            had = part.size
            if had > part.total:
                part.restart(None, None)
            raise _PassingError(f"{had} bytes came, {part.total} were promised")

    def _begin(self, part: Part, url: URL, response: aiohttp.ClientResponse) -> bool:
        """Decide by status and headers where the bytes belong; False when all of them are there already."""
        status, headers = response.status, response.headers
        if status == 416:
            complete = headers.get("Content-Range", "").strip() == f"bytes */{part.size}" and part.size > 0
            if not complete:
                part.restart(None, None)
                raise _PassingError("the part on disk was refused (416)")
            return False
        if status in _PASSING:
            raise _PassingError(f"the server answered {status}")
        if status not in (200, 206):
            advice = (
                "Such URLs expire: read the request again for a fresh one"
                if status in (401, 403, 404, 410)
                else "Check the URL"
            )
            raise self._failed(part, url, f"the server answered {status}", advice)
        if headers.get("Content-Encoding", "identity").lower() != "identity":
            raise self._failed(part, url, "the server compressed the output although it was asked not to")
        validator = _validator(headers)
        if status == 200:
            part.restart(validator, response.content_length)
            return True
        match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
        is_same = validator is None or validator == part.validator
        if match is None or int(match[1]) != part.size or not is_same:
            part.restart(None, None)
            raise _PassingError("the server went on with something else than what is on disk")
        part.total = None if match[3] == "*" else int(match[3])
        return True

    def _failed(self, part: Part, url: URL, reason: str, advice: str = "Try again") -> DownloadError:
        part.suspend()
        return DownloadError(
            f"{part.target} could not be downloaded from {_shown(url)}: {reason}. {advice}. {Part.fate(part.target)}"
        )


def _check_target(target: Path, overwrite: bool) -> None:
    if target.is_dir() or not target.parent.is_dir():
        raise DownloadError(f"{target} cannot be written: it is a folder, or there is no folder to hold it")
    if target.exists() and not overwrite:
        raise DownloadError(f"{target} exists; choose another name, or pass overwrite=True")


def _address(url: str) -> URL:
    """Parse without changing a byte: the query may be signed."""
    try:
        address = URL(url, encoded=url.isascii() and " " not in url)
        is_web = address.scheme in ("http", "https") and bool(address.host)
    except (ValueError, AttributeError) as error:
        raise DownloadError(f"{str(url)[:200]!r} is not a URL: {error}") from None
    if not is_web:
        raise DownloadError(f"{_shown(address)!r} is not an http(s) URL")
    return address


def _shown(url: URL) -> str:
    """Leave out the query, whose signature is as good as a password, and credentials."""
    return str(url.with_query(None).with_fragment(None).with_user(None)) if url.absolute else url.path[:200]


def _validator(headers: Mapping[str, str]) -> str | None:
    """Return what If-Range may be asked with: a strong ETag, or a Last-Modified that is old enough to be one."""
    etag = headers.get("ETag", "").strip()
    if etag.startswith('"'):
        return etag
    modified, now = parse_http_date(headers.get("Last-Modified")), parse_http_date(headers.get("Date"))
    if not etag and modified is not None and now is not None and (now - modified).total_seconds() >= 60:
        return headers["Last-Modified"]
    return None


class Part:
    """The file that a download grows in, and what is known of it."""

    def __init__(self, target: Path, file: BinaryIO, validator: str | None, size: int) -> None:
        self.target = target
        self.validator = validator
        self.size = size
        self.total: int | None = None
        self._file = file
        # A write whose caller was cancelled goes on in its thread while the file is being closed.
        self._lock = threading.Lock()
        self._is_open = True

    @staticmethod
    def paths(target: Path) -> tuple[Path, Path]:
        """Return the names of the part and of what is known of it."""
        return target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")

    @classmethod
    def open(cls, target: Path) -> Part:
        """Open the part of an earlier run where it can be resumed, else a new one."""
        path, notes = cls.paths(target)
        validator = None
        with suppress(OSError, ValueError, TypeError, KeyError):
            noted = json.loads(notes.read_bytes())["validator"]
            validator = noted if isinstance(noted, str) and noted.isprintable() else None
        if validator is None or not path.is_file():
            notes.unlink(missing_ok=True)
            return cls(target, path.open("wb"), None, 0)
        file = path.open("ab")
        return cls(target, file, validator, file.tell())

    def resume_headers(self) -> dict[str, str]:
        """Return the headers that ask for the rest only (RFC 9110, sections 14.2 and 13.1.5)."""
        if self.validator is None or self.size == 0:
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": self.validator}

    def restart(self, validator: str | None, total: int | None) -> None:
        """Begin anew with an output that is told by ``validator``."""
        with self._lock, _disk():
            self._file.seek(0)
            self._file.truncate()
            self.size, self.validator, self.total = 0, validator, total
            notes = self.paths(self.target)[1]
            if validator is None:
                notes.unlink(missing_ok=True)
            else:
                notes.write_text(json.dumps({"validator": validator}))

    def write(self, chunk: bytes) -> None:
        """Append bytes."""
        with self._lock, _disk():
            if self._is_open:
                self._file.write(chunk)
                self.size += len(chunk)

    def suspend(self) -> None:
        """Close the file; keep it if it can be resumed, remove it if not. Does nothing once that is done."""
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
            with suppress(OSError):
                self._file.close()
            if self.validator is None or self.size == 0:
                for path in self.paths(self.target):
                    with suppress(OSError):
                        path.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give the complete file its final name."""
        with self._lock, _disk():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._is_open = False
            path, notes = self.paths(self.target)
            path.replace(self.target)
            notes.unlink(missing_ok=True)

    @classmethod
    def fate(cls, target: Path) -> str:
        """Say what became of the part."""
        path, _ = cls.paths(target)
        return f"{path.name} is kept and will be resumed" if path.exists() else "Nothing was left on disk"


@contextmanager
def _disk() -> Iterator[None]:
    """Tell what the disk refuses from what the network does: both are OSError."""
    try:
        yield
    except OSError as error:
        raise _DiskError from error
