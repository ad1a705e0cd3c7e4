"""Downloads: attempts, each of which resumes the one before, until the output is complete under its final name.

Where the server sends nothing that identifies a version of an output (RFC 9110, sections 8.8 and 13.1.5), a download
that breaks off starts over.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
import attrs
from yarl import URL

from .._http.addresses import shown
from .._http.lifecycle import CancelScope, Lifecycle
from .._http.retry import backoff
from .._http.tracebacks import let_go
from ..config import RetryPolicy, check_callback
from ..errors import DownloadError
from ..models import Artifacts, DownloadProgress, VideoTranslateRequest
from .answers import CHUNK, PassingError, RefusedError, check_answer, read_beginning
from .partial_file import DiskError, Part
from .ranges import begin
from .redirects import get
from .targets import Source, check_target, exclusive, make_folder, names_folder, plan
from .threads import NoThreadError, in_thread
from .urls import identity, parse_output_url

__all__ = ["Downloads"]

_MAX_REASON: Final = 1000  # characters of a library's error that are shown


class _CallerError(Exception):
    """Carries an error of the caller's own function past the handlers of network and disk errors."""

    def __init__(self, error: Exception) -> None:
        self.error = error


@attrs.define(kw_only=True)
class Downloads:
    """Downloads through the session of a client, without its credentials.

    Attributes:
        lifecycle: The session.
        headers: Sent with every request; none of them is a secret.
        timeout: Seconds to wait for the next bytes, and for a thread.
        retry: How many attempts in a row may bring nothing, and the pauses after them.
    """

    lifecycle: Lifecycle
    headers: Mapping[str, str]
    timeout: float
    retry: RetryPolicy

    async def save(
        self, source: Source, path: str | os.PathLike[str], *, on_progress: DownloadProgress | None, overwrite: bool
    ) -> Path:
        """Download all outputs of a source, one after the other; see ``AsyncClient.download``."""
        files = plan(source, path)
        is_folder = isinstance(source, (VideoTranslateRequest, Artifacts))
        if is_folder or names_folder(path):
            await self._make_folder(Path(path))
        for target, url in files.items():
            await self.fetch(url, target, on_progress=on_progress, overwrite=overwrite)
        return Path(path) if is_folder else next(iter(files))

    async def _make_folder(self, folder: Path) -> None:
        try:
            await in_thread(partial(make_folder, folder), timeout=self.timeout)
        except NoThreadError as error:
            raise DownloadError(f"the folder {str(folder)!r} cannot be made: {error}") from error

    async def fetch(self, url: str, target: Path, *, on_progress: DownloadProgress | None, overwrite: bool) -> None:
        """Download one URL to a file."""
        check_callback("on_progress", on_progress)
        address = parse_output_url(url)
        with exclusive(target):
            try:
                file = await in_thread(partial(check_target, target, overwrite), timeout=self.timeout)
                part = await in_thread(partial(Part.open, file), timeout=self.timeout, discard=Part.suspend)
            except (OSError, NoThreadError) as error:
                raise DownloadError(f"{target} could not be written: {error}") from error
            try:
                part.belong_to(identity(address))
                await self._fill(part, address, on_progress)
                await in_thread(partial(part.finish, overwrite=overwrite), timeout=self.timeout)
            except DownloadError as error:
                let_go(error)
                raise
            except (DiskError, NoThreadError) as error:
                reason = error.__cause__ or error
                raise DownloadError(f"{target} could not be written: {reason}. {part.remains}") from reason
            except _CallerError as error:
                # With the cause that it had: the carrier is no concern of the caller.
                raise error.error from error.error.__cause__
            finally:
                part.suspend()

    async def _fill(self, part: Part, url: URL, on_progress: DownloadProgress | None) -> None:
        """Make attempts until the part is complete."""
        failures, furthest = 0, part.size
        while True:
            try:
                with CancelScope(self.lifecycle):
                    return await self._attempt(part, url, on_progress)
            except RefusedError as error:
                raise _failed(part, url, str(error), error.advice) from None
            except RuntimeError:
                self.lifecycle.session()  # raises if it is closed, of which aiohttp says no more than this
                raise
            except (PassingError, aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                # Bytes count only where no attempt has been before: starting over is no step forward.
                failures = 1 if part.size > furthest else failures + 1
                furthest = max(furthest, part.size)
                if failures >= self.retry.attempts:
                    # What a library says may show the query of a redirect, which may be signed.
                    text = " ".join(str(error).split())
                    is_shown = "?" not in text
                    reason = (is_shown and text[:_MAX_REASON]) or type(error).__name__
                    reason = f"it broke off after {part.size} bytes: {reason}"
                    raise _failed(part, url, reason, "Try again") from (error if is_shown else None)
            await self.lifecycle.sleep(backoff(failures, self.retry.initial, self.retry.max, random.random))

    async def _attempt(self, part: Part, url: URL, on_progress: DownloadProgress | None) -> None:
        headers = {**self.headers, **part.resume_headers()}
        # Interim answers (RFC 9110, section 15.2) would keep sock_read from ever tripping.
        headers_due = asyncio.timeout(self.timeout)
        async with headers_due, get(self.lifecycle, url, headers, self.timeout) as response:
            headers_due.reschedule(None)
            chunk = await read_beginning(response)
            # Before the part on disk is given up for it.
            check_answer(response, chunk, part.target.suffix)
            if not begin(part, response):
                return
            chunk = chunk or await response.content.read(CHUNK)
            while chunk:
                await in_thread(partial(part.write, chunk), timeout=self.timeout)
                _report(part, on_progress)
                chunk = await response.content.read(CHUNK)
        if part.total is not None and part.size != part.total:
            size, total = part.size, part.total
            if size > total:
                part.restart()
            raise PassingError(f"{size} bytes came, {total} were promised")


def _report(part: Part, on_progress: DownloadProgress | None) -> None:
    if on_progress is not None:
        try:
            on_progress(part.size, part.total)
        except Exception as error:  # noqa: BLE001 - the caller gets it back as it is
            raise _CallerError(error) from None


def _failed(part: Part, url: URL, reason: str, advice: str) -> DownloadError:
    what = f"{part.target} could not be downloaded from {shown(url)}"
    return DownloadError(f"{what}: {reason}. {advice}. {part.remains}")
