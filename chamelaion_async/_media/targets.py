"""Files that a download writes: their names, their folder, and whether they may be written."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote, unquote

from .._http.addresses import is_url_object
from ..errors import ConfigurationError, DownloadError
from ..models import Artifacts, LipsyncRequest, VideoTranslateRequest
from .partial_file import Part
from .urls import parse_output_url

__all__ = ["Source", "check_target", "exclusive", "make_folder", "names_folder", "plan"]

Source = str | LipsyncRequest | VideoTranslateRequest | Artifacts

_MAX_STEM: Final = 150  # bytes; file systems allow 255 for a name, which .part.json is added to
_MAX_SUFFIX: Final = 10
_NAMES: Final = {"video": "video.mp4", "audio": "audio.wav", "srt": "subtitles.srt"}
_SUFFIXES: Final = {"video": ".mp4", "audio": ".wav", "srt": ".srt"}


def plan(source: Source, path: str | os.PathLike[str]) -> dict[Path, str]:
    """Return which URL goes to which file.

    Raises:
        DownloadError: There is nothing to download (yet), or a URL is none.
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
    """Whether a path ends with a slash; ``Path`` would drop it."""
    return os.fspath(path).endswith(tuple(filter(None, (os.sep, os.altsep))))


def make_folder(folder: Path) -> None:
    """Make a folder for outputs, and those above it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise DownloadError(f"the folder {str(folder)!r} cannot be made: {_reason(error)}") from error


def check_target(target: Path, overwrite: bool) -> Path:
    """Return the file to write: a symlink stays, and the file that it leads to is written.

    Raises:
        DownloadError: It cannot be written, or must not be.
    """
    try:
        found = _found(target)
        file = Path(os.path.realpath(target)) if target.is_symlink() else target
        named = _found(file)
        if target.is_dir() or not file.parent.is_dir():
            raise DownloadError(f"{target} cannot be written: it is a folder, or there is no folder to hold it")
        if found and not stat.S_ISREG(found.st_mode):
            # A pipe cannot be rewound after a break, and a device must not be replaced by a file.
            raise DownloadError(f"{target} cannot be written: it is a device, a pipe or a socket; name a file")
        if found and not (named and os.path.samestat(found, named)):
            # As /dev/stdout does where it was redirected to a file that has been deleted since.
            raise DownloadError(f"{target} cannot be written: it leads to a file that has no name; name a file")
        Part.paths(file)[1].exists()  # fails for a name that the file system does not allow
    except (OSError, ValueError) as error:
        raise DownloadError(f"{str(target)!r} cannot be written: {_reason(error)}") from error
    if found and not overwrite:
        raise DownloadError(f"{target} exists; choose another name, or pass overwrite=True")
    return file


_under_way: dict[str, object] = {}


@contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Refuse all other downloads to a file in this process, whatever client or thread they belong to."""
    try:
        key = os.path.realpath(target)
    except ValueError as error:
        raise DownloadError(f"{str(target)!r} cannot be written: {error}") from error
    token = object()
    if _under_way.setdefault(key, token) is not token:  # one step, which no other thread can come between
        raise DownloadError(f"{target} is being downloaded already; wait for that, or choose another name")
    try:
        yield
    finally:
        del _under_way[key]


def _file_for(target: Path, url: str, is_folder: bool) -> Path:
    """Name the file after the URL where the target is a folder."""
    path = parse_output_url(url).raw_path
    try:
        if not is_folder and not target.is_dir():
            return target
    except (OSError, ValueError):
        return target  # check_target says what is wrong with it
    name = PurePosixPath(unquote(path, errors="replace")).name
    # What Windows forbids (Microsoft, "Naming Files, Paths, and Namespaces"), and a dot that would hide the file.
    name = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|]', "_", name).lstrip(".") or "output"
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - a pure function of the name
    return target / (_shortened(stem) + suffix[:_MAX_SUFFIX])


def _shortened(stem: str) -> str:
    return stem.encode()[:_MAX_STEM].decode(errors="ignore")


def _language_name(language: str) -> str:
    """Return a name that stays in its folder and differs for each language."""
    name = quote(language, safe=" ")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def _found(target: Path) -> os.stat_result | None:
    """Return what has a name, or what the name leads to."""
    try:
        return target.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
