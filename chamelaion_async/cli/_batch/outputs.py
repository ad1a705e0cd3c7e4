"""The names of outputs below the folder: a default for each row, safe, and no two of them in each other's way."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final
from urllib.parse import unquote, urlsplit

from .list_file import Problem

__all__ = ["collisions", "default_name", "name_problem", "stem_of"]

_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')  # on any system
_MAX_NAME: Final = 255 - len(".part.json")  # bytes; what a download adds to a name while it grows
_MAX_STEM: Final = 150
_OWN_SUFFIXES: Final = (".part", ".part.json")


def default_name(stem: str, *, is_folder: bool) -> str:
    """Return the name for a row that gives none."""
    name = _UNSAFE.sub("_", stem).strip(" .").encode(errors="replace")[:_MAX_STEM].decode(errors="ignore")
    return (name or "output") + ("" if is_folder else ".mp4")


def stem_of(medium: str, *, is_url: bool) -> str:
    """Return the name of a file or of the last part of a URL, without its suffix."""
    path = unquote(urlsplit(medium).path, errors="replace") if is_url else medium.replace("\\", "/")
    return PurePosixPath(path).stem


def name_problem(name: str, folder: Path, *, is_folder: bool) -> str:
    """Return why a name cannot be used below the folder; empty if it can."""
    parts = name.split("/")
    if not is_folder and name.endswith("/"):
        return "it ends with a slash; name a file"
    if "\\" in name or PureWindowsPath(name).anchor or PurePosixPath(name).is_absolute():
        return "it must be a path below --out, with forward slashes"
    if any(part in ("", ".", "..") for part in (parts[:-1] if name.endswith("/") else parts)):
        return "it must be a path below --out, without empty parts, '.' and '..'"
    if not name.isprintable():
        return "it holds characters that are not printable"
    if name.casefold().endswith(_OWN_SUFFIXES):
        return "downloads that are not complete end with .part; choose another name"
    if any(len(part.encode()) > _MAX_NAME for part in parts):
        return f"a part of it is longer than {_MAX_NAME} bytes"
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        return "a symlink leads out of --out"
    return ""


def collisions(names: Iterable[tuple[int, str]]) -> Iterator[Problem]:
    """Yield a problem for each name, with its line, that would overwrite another one or needs it as a folder.

    Names that differ only in case or in the form of their accents are one file on macOS and Windows.
    """
    taken: dict[tuple[str, ...], int] = {}
    folders: dict[tuple[str, ...], int] = {}
    for line, name in names:
        parts = tuple(unicodedata.normalize("NFC", part).casefold() for part in name.rstrip("/").split("/"))
        above = [parts[:length] for length in range(1, len(parts))]
        if parts in taken:
            yield Problem(line, "out", f"line {taken[parts]} has the same output, {name}; give each its own")
            continue
        used = next((taken[folder] for folder in above if folder in taken), None) or folders.get(parts)
        if used is not None:
            yield Problem(line, "out", f"line {used} uses a part of {name} as a file or as a folder")
            continue
        taken[parts] = line
        folders.update((folder, line) for folder in above)
