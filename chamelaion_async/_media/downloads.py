"""Outputs to disk: streamed, resumed, checked, and under their final name only when complete.

Where the server gives nothing to tell by whether an output is still the same (RFC 9110, sections 8.8 and 13.1.5), a
broken download starts over.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import stat
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import quote, unquote

import aiohttp
import attrs
from yarl import URL

from .._http.addresses import is_host, is_url_object, shown
from .._http.answers import parse_http_date
from .._http.lifecycle import CancelScope, Lifecycle
from .._http.retry import backoff
from .._http.session import given_session_closed
from .._http.tracebacks import let_go
from ..config import RetryPolicy, check_callback
from ..errors import PASSING_STATUSES, ConfigurationError, DownloadError
from ..models import Artifacts, DownloadProgress, LipsyncRequest, VideoTranslateRequest
from .partial_file import DiskError, Part
from .threads import NoThreadError, in_thread

__all__ = ["MAX_REDIRECTS", "Downloads", "make_folder", "names_folder", "plan"]

Source = str | LipsyncRequest | VideoTranslateRequest | Artifacts

MAX_REDIRECTS: Final = 10
"""How many redirects a download follows in a row, one after the other."""

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CHUNK: Final = 256 * 1024
_BEGINNING: Final = 4096  # bytes that tell a web page, or the reason of a refusal
_MAX_NAME: Final = 150
_MAX_REASON: Final = 1000
_CONTENT_RANGE = re.compile(r"bytes[ \t]+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII | re.IGNORECASE)
_UNSATISFIED = re.compile(r"bytes[ \t]+\*/(\d{1,18})", re.ASCII | re.IGNORECASE)
# IANA's registry of HTTP content codings, and compressions that are in use without being in it. Anything else that
# stands in Content-Encoding, such as "aws-chunked" or "UTF-8", says nothing of the bytes.
_CODINGS: Final = frozenset(
    {
        "aes128gcm",
        "br",
        "compress",
        "dcb",
        "dcz",
        "deflate",
        "exi",
        "gzip",
        "pack200-gzip",
        "x-compress",
        "x-gzip",
        "zstd",
    }
    | {"bzip2", "lz4", "lzma", "sdch", "snappy", "x-bzip2", "xz"}
)
# What a URL cannot hold (RFC 3986, section 2) and browsers quote (https://url.spec.whatwg.org, percent-encode sets).
_UNQUOTED_IN_PATH = re.compile(rb'[\x00-\x20"<>^`{}\x7f-\xff]')
_UNQUOTED_IN_QUERY = re.compile(rb'[\x00-\x20"<>\x7f-\xff]')
_AUTHORITY = re.compile(rb"(?:[a-z][a-z0-9+.-]*:)?//[^/\\]*", re.IGNORECASE)
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_PAGE_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
_PAGE_SUFFIXES: Final = frozenset({".html", ".htm", ".xhtml"})
_NAMES: Final = {"video": "video.mp4", "audio": "audio.wav", "srt": "subtitles.srt"}
_SUFFIXES: Final = {"video": ".mp4", "audio": ".wav", "srt": ".srt"}


def plan(source: Source, path: str | os.PathLike[str]) -> dict[Path, str]:
    """Return which URL goes to which file.

    Raises:
        DownloadError: There is nothing to download (yet).
        ConfigurationError: The source is neither a URL nor something with outputs.
    """
    target, is_folder = Path(path), names_folder(path)
    if isinstance(source, str):
        return {_file_for(target, source, is_folder): source}
    if isinstance(source, Artifacts):
        return {target / name: getattr(source, kind) for kind, name in _NAMES.items()}
    if isinstance(source, (LipsyncRequest, VideoTranslateRequest)):
        source.raise_for_failure()
        if not source.is_finished:
            raise DownloadError(f"request {source.id} is still {source.status}; wait until it is finished first")
        if isinstance(source, LipsyncRequest) and source.output_url is not None:
            return {_file_for(target, source.output_url, is_folder): source.output_url}
        if isinstance(source, VideoTranslateRequest) and source.outputs:
            return {
                target / f"{_language_name(language)}{suffix}": getattr(artifacts, kind)
                for language, artifacts in source.outputs.items()
                for kind, suffix in _SUFFIXES.items()
            }
        raise DownloadError(f"request {source.id} is {source.status} and has no output; there is nothing to download")
    raise ConfigurationError(
        f"download takes a request, its artifacts or a URL as a str, not {type(source).__name__}"
        + ("; pass str(url)" if is_url_object(source) else "")
    )


def names_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a path ends as that of a folder does; one without an end of its own is "." or ".."."""
    text = os.fspath(path)
    return text.endswith(tuple(filter(None, (os.sep, os.altsep))))


def _file_for(target: Path, url: str, is_folder: bool) -> Path:
    """Name the file after the URL where only a folder is given."""
    address = _address(url)
    try:
        if not is_folder and not target.is_dir():
            return target
    except (OSError, ValueError):
        return target  # what is wrong with it is said when it is to be written
    name = PurePosixPath(unquote(address.raw_path, errors="replace")).name
    name = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|]', "_", name).lstrip(".") or "output"
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - a pure function of the name
    return target / (_shortened(stem) + suffix[:10])


def _shortened(stem: str) -> str:
    return stem.encode()[:_MAX_NAME].decode(errors="ignore")


def _language_name(language: str) -> str:
    """Make a name that stays in its folder, and another one for every language."""
    name = quote(language, safe=" ")
    return f"%2E{name[1:]}" if name.startswith(".") else name


_EXPIRED: Final = "Such URLs may expire: read the request again, perhaps it has a fresh one"


class _TooManyRedirectsError(Exception):
    """A redirect beyond the limit."""


class _PassingError(Exception):
    """An answer that may be better the next time."""


class _CallerError(Exception):
    """What the caller's own function raised, which is neither the network's fault nor the disk's."""

    def __init__(self, error: Exception) -> None:
        self.error = error


_under_way: set[str] = set()
_under_way_lock = threading.Lock()


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """See to it that one file is written by one download at a time, whatever client or thread it belongs to."""
    try:
        key = os.path.realpath(target)
    except ValueError as error:
        raise DownloadError(f"{str(target)!r} cannot be written: {error}") from error
    with _under_way_lock:
        if key in _under_way:
            raise DownloadError(f"{target} is being downloaded already; wait for that, or choose another name")
        _under_way.add(key)
    try:
        yield
    finally:
        with _under_way_lock:
            _under_way.discard(key)


@attrs.define(kw_only=True)
class Downloads:
    """Downloads through the session of a client, without its credentials.

    Attributes:
        connection: The session.
        headers: Sent with every request; none of them is a secret.
        timeout: Seconds to wait for the next bytes.
        retry: How often in a row an attempt that brings nothing is repeated, and after which pause.
    """

    lifecycle: Lifecycle
    headers: Mapping[str, str]
    timeout: float
    retry: RetryPolicy

    async def make_folder(self, folder: Path) -> None:
        """Make the folder for outputs, in a thread.

        Raises:
            DownloadError: It cannot be made.
        """
        try:
            await in_thread(partial(make_folder, folder), timeout=self.timeout)
        except NoThreadError as error:
            raise DownloadError(f"the folder {str(folder)!r} cannot be made: {error}") from error

    async def fetch(self, url: str, target: Path, *, on_progress: DownloadProgress | None, overwrite: bool) -> None:
        """Bring one URL to disk; see ``AsyncClient.download``."""
        check_callback("on_progress", on_progress)
        address = _address(url)
        with _alone(target):
            try:
                file = await in_thread(partial(_checked, target, overwrite), timeout=self.timeout)
                part = await in_thread(partial(Part.open, file), timeout=self.timeout, discard=Part.suspend)
            except (OSError, NoThreadError) as error:
                raise DownloadError(f"{target} could not be written: {error}") from error
            try:
                part.belong_to(_identity(address))
                await self._fill(part, address, on_progress)
                await in_thread(partial(part.finish, overwrite=overwrite), timeout=self.timeout)
            except DownloadError as error:
                let_go(error)
                raise
            except DiskError as error:
                reason = error.__cause__
                raise DownloadError(f"{target} could not be written: {reason}. {part.fate}") from reason
            except NoThreadError as error:
                raise DownloadError(f"{target} could not be written: {error}. {part.fate}") from error
            except _CallerError as error:
                raise error.error from error.error.__cause__
            finally:
                part.suspend()

    async def _fill(self, part: Part, url: URL, on_progress: DownloadProgress | None) -> None:
        failures, furthest = 0, part.size
        while True:
            try:
                with CancelScope(self.lifecycle):
                    return await self._attempt(part, url, on_progress)
            except aiohttp.InvalidURL:
                # The text would show where it leads, which may be signed.
                raise self._failed(part, url, "it redirects to where no download goes") from None
            except _TooManyRedirectsError:
                reason = f"it redirects more than {MAX_REDIRECTS} times"
                raise self._failed(part, url, reason, "Check the URL") from None
            except (_PassingError, aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                failures = 1 if part.size > furthest else failures + 1
                furthest = max(furthest, part.size)
                if failures >= self.retry.attempts:
                    raise self._broken_off(part, url, error)  # noqa: B904 - its cause is set there
            await self.lifecycle.sleep(backoff(failures, self.retry.initial, self.retry.max, random.random))

    async def _attempt(self, part: Part, url: URL, on_progress: DownloadProgress | None) -> None:
        session = self.lifecycle.session()
        # Interim answers (RFC 9110, section 15.2) would keep sock_read from ever tripping.
        headers_due = asyncio.timeout(self.timeout)
        try:
            async with headers_due, self._answer(session, url, part.resume_headers()) as response:
                headers_due.reschedule(None)
                beginning = await _beginning(response)
                self._check_beginning(part, url, response, beginning)
                if not self._begin(part, url, response):
                    return
                if beginning:
                    await in_thread(partial(part.write, beginning), timeout=self.timeout)
                    _report(part, on_progress)
                async for chunk in response.content.iter_chunked(_CHUNK):
                    await in_thread(partial(part.write, chunk), timeout=self.timeout)
                    _report(part, on_progress)
        except (aiohttp.ClientError, OSError):
            raise  # aiohttp's error for a certificate is a ValueError too
        except (ValueError, IndexError):
            # What yarl and encoders say of an address that a redirect leads to.
            raise aiohttp.InvalidURL(url) from None
        except RuntimeError as error:
            if session.closed:
                raise given_session_closed() from error
            raise
        if part.total is not None and part.size != part.total:
            had, promised = part.size, part.total
            if had > promised:
                part.restart(None, None)
            raise _PassingError(f"{had} bytes came, {promised} were promised")

    @asynccontextmanager
    async def _answer(
        self, session: aiohttp.ClientSession, url: URL, resume_headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask for a URL, and for each that it redirects to.

        aiohttp would follow at most nine, send a raw ``Location`` as it stands, keep the proxy of the first URL, and
        fail where a server closes the connection that the redirect came on.
        """
        for hop in range(MAX_REDIRECTS + 1):
            try:
                response = await self._get(session, url, resume_headers)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if hop == 0 or isinstance(error, aiohttp.ClientConnectorError):
                    raise
                # Closed unannounced after the redirect; once noticed, the pool gives another connection.
                response = await self._get(session, url, resume_headers)
            async with response:
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or not location:
                    yield response
                    return
            url = _redirected(url, location)
        raise _TooManyRedirectsError

    async def _get(
        self, session: aiohttp.ClientSession, url: URL, resume_headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        options: dict[str, Any] = {}
        if self.lifecycle.may_need_proxy:
            options = await self.lifecycle.proxy_options(url)
        headers = {**self.headers, "Accept": "*/*", "Accept-Encoding": "identity", **resume_headers}
        headers |= options.pop("headers", {})
        return await session.get(
            url,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, connect=self.timeout, sock_read=self.timeout),
            allow_redirects=False,
            auto_decompress=False,
            read_bufsize=_CHUNK,
            **options,
        )

    def _check_beginning(self, part: Part, url: URL, response: aiohttp.ClientResponse, beginning: bytes) -> None:
        """Refuse by its first bytes what is no output, before the part on disk is given up for it."""
        if response.status == 400 and b"expired" in beginning.lower():
            # Google's answer to an expired signature: <Code>ExpiredToken</Code>.
            raise self._failed(part, url, "the server answered 400, and that something has expired", _EXPIRED)
        is_page = _PAGE.match(beginning) is not None or (
            response.content_type in _PAGE_TYPES and beginning.lstrip().startswith(b"<")
        )
        if response.status == 200 and is_page and part.target.suffix.lower() not in _PAGE_SUFFIXES:
            raise self._failed(part, url, "the server answered with a web page in place of the output", _EXPIRED)

    def _begin(self, part: Part, url: URL, response: aiohttp.ClientResponse) -> bool:
        """Decide by status and headers where the bytes belong; False when all of them are there already."""
        status, headers = response.status, response.headers
        content_range = headers.get("Content-Range", "").strip()
        validator = _validator(headers)
        is_same = validator is None or validator == part.validator
        if status == 416:
            unsatisfied = _UNSATISFIED.fullmatch(content_range)
            if part.size > 0 and is_same and unsatisfied is not None and int(unsatisfied[1]) == part.size:
                return False
            part.restart(None, None)
            raise _PassingError("the part on disk was refused (416)")
        if status in PASSING_STATUSES:
            raise _PassingError(f"the server answered {status}")
        if status not in (200, 206):
            advice = _EXPIRED if status in (401, 403, 404, 410) else "Check the URL"
            raise self._failed(part, url, f"the server answered {status}", advice)
        codings = [each.strip().lower() for each in ",".join(headers.getall("Content-Encoding", [])).split(",")]
        if real := [each for each in codings if each in _CODINGS]:
            reason = f"the server compressed the output ({', '.join(real)}) although it was asked not to"
            raise self._failed(part, url, reason)
        if status == 200:
            part.restart(validator, response.content_length)
            return True
        match = _CONTENT_RANGE.fullmatch(content_range)
        if match is None or int(match[1]) != part.size or not is_same:
            part.restart(None, None)
            raise _PassingError("the server went on with something else than what is on disk")
        part.total = part.total if match[3] == "*" else int(match[3])
        return True

    def _broken_off(self, part: Part, url: URL, error: Exception) -> DownloadError:
        """Tell of an error, which is the cause unless its text might show a signed query."""
        text = " ".join(str(error).split())
        is_shown = "?" not in text
        reason = (is_shown and text[:_MAX_REASON]) or type(error).__name__
        failure = self._failed(part, url, f"it broke off after {part.size} bytes: {reason}")
        failure.__cause__ = error if is_shown else None
        return failure

    def _failed(self, part: Part, url: URL, reason: str, advice: str = "Try again") -> DownloadError:
        return DownloadError(
            f"{part.target} could not be downloaded from {shown(url)}: {reason}. {advice}. {part.fate}"
        )


def _report(part: Part, on_progress: DownloadProgress | None) -> None:
    if on_progress is not None:
        try:
            on_progress(part.size, part.total)
        except Exception as error:  # noqa: BLE001 - all of it is the caller's, and given back to him
            raise _CallerError(error) from None


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """Read what came with the headers of an output or a refusal, and some more of what may be markup."""
    beginning = b""
    if response.status in (200, 400):
        try:
            while len(beginning) < _BEGINNING and beginning.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"", b"<"):
                chunk = await response.content.read(_CHUNK)
                if not chunk:
                    break
                beginning += chunk
        except (aiohttp.ClientError, OSError):
            if response.status == 200:
                raise
    return beginning


def make_folder(folder: Path) -> None:
    """Make the folder for outputs."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DownloadError(f"the folder {str(folder)!r} cannot be made: {reason}") from error


def _checked(target: Path, overwrite: bool) -> Path:
    """Return the file that is to be written: where a symlink leads, which stays.

    Raises:
        DownloadError: It cannot be written, or must not be.
    """
    try:
        found = _found(target)
        file = Path(os.path.realpath(target)) if target.is_symlink() else target
        named = _found(file)
        if not file.parent.is_dir() or (found is not None and stat.S_ISDIR(found.st_mode)):
            raise DownloadError(f"{target} cannot be written: it is a folder, or there is no folder to hold it")
        if found is not None and not stat.S_ISREG(found.st_mode):
            # A pipe cannot be rewound after a break, and a device must not be replaced by a file.
            raise DownloadError(f"{target} cannot be written: it is a device, a pipe or a socket; name a file")
        if found is not None and (named is None or not os.path.samestat(found, named)):
            # As /dev/stdout does where it was redirected to a file that has been deleted since.
            raise DownloadError(f"{target} cannot be written: it leads to a file that has no name; name a file")
        Part.paths(file)[1].exists()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DownloadError(f"{str(target)!r} cannot be written: {reason}") from error
    if found is not None and not overwrite:
        raise DownloadError(f"{target} exists; choose another name, or pass overwrite=True")
    return file


def _found(target: Path) -> os.stat_result | None:
    """Return what stands under a name, or what it leads to."""
    try:
        return target.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _address(url: str) -> URL:
    """Parse what the caller passed; the query may be signed, and so is in no message."""
    if not isinstance(url, str):
        raise ConfigurationError(f"a URL must be a str, not {type(url).__name__}")
    try:
        address = _parsed(url.encode())
        is_web = _is_web(address)
    except (ValueError, IndexError):  # yarl 1.25 looks for the first letter of an empty host
        raise DownloadError(f"{shown(url)!r} is not a URL") from None
    if not is_web:
        raise DownloadError(f"{shown(url)!r} is not an http(s) URL")
    return address


def _redirected(url: URL, location: str) -> URL:
    """Return where a redirect leads, with the credentials in its URL as long as it stays at the same origin.

    Raises:
        _PassingError: It is no http(s) URL; the next time something else may answer.
    """
    raw = location.encode("utf-8", "surrogateescape")  # as aiohttp has decoded it
    if not raw.lower().startswith(f"{url.scheme}://".encode()):
        raw = raw.removeprefix(f"{url.scheme}:".encode())  # "http:path" is relative, as in browsers
    try:
        address = url.join(_parsed(raw))
        is_web = _is_web(address)
        if is_web and url.raw_user and not address.raw_user and address.origin() == url.origin():
            address = address.with_user(url.user).with_password(url.password)
    except (ValueError, IndexError):
        is_web = False
    if not is_web:
        raise _PassingError("it redirects to something else than an http(s) URL")
    return address


def _is_web(address: URL) -> bool:
    return address.scheme in ("http", "https") and is_host(address.raw_host or "") and address.port is not None


def _parsed(raw: bytes) -> URL:
    """Parse a URL as browsers do: what no URL can hold is quoted, and no other byte changed.

    Bytes beyond ASCII are quoted one by one, whatever their encoding is. Names of hosts are not quoted but encoded
    (RFC 3490), along with the credentials before them.
    """
    raw = re.sub(rb"[\t\r\n]", b"", raw.strip(bytes(range(0x21))))
    before_fragment, mark, fragment = raw.partition(b"#")
    before_query, question, query = before_fragment.partition(b"?")
    authority = _AUTHORITY.match(before_query)
    head = authority[0] if authority else b""
    path = _UNQUOTED_IN_PATH.sub(_percent, before_query[len(head) :].replace(b"\\", b"/"))
    rest = (
        path + question + _UNQUOTED_IN_QUERY.sub(_percent, query) + mark + _UNQUOTED_IN_QUERY.sub(_percent, fragment)
    )
    begin = head.decode() if head.isascii() else str(URL(head.decode("utf-8", "replace")))
    return URL(begin + rest.decode("ascii"), encoded=True)


def _percent(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]


def _identity(url: URL) -> str:
    """Return what two downloads of one output have in common: the query is signed for each of them."""
    return str(url.with_query(None).with_fragment(None).with_user(None))


def _validator(headers: Mapping[str, str]) -> str | None:
    """Return what If-Range may be asked with: a strong ETag, or a Last-Modified that is old enough to be one."""
    etag = headers.get("ETag", "").strip()
    if etag.startswith('"') and etag.isascii() and etag.isprintable():
        return etag
    modified, now = parse_http_date(headers.get("Last-Modified")), parse_http_date(headers.get("Date"))
    if not etag and modified is not None and now is not None and (now - modified).total_seconds() >= 60:
        return headers["Last-Modified"]
    return None
