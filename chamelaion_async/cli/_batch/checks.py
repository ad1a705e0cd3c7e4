"""Checks of records, before anything is paid for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

from ..._http.addresses import id_segment, public_url
from ...errors import ConfigurationError
from ...resources.translation_options import make_options
from .._ui.translation import split_pairs
from .list_file import Problem, Record
from .outputs import collisions, default_name, name_problem, stem_of
from .rows import Row, is_url, scheme_of
from .subtitles import subtitle_problems

__all__ = ["check_records", "media_problems"]

T = TypeVar("T")

_BETWEEN: Final = re.compile("[,;|]")  # the values of a list
_OF_TRANSLATIONS: Final = ("source_language", "voices", "source_srt", "target_srts")


def check_records(records: Iterable[Record], out: Path) -> tuple[list[Row], list[Problem]]:
    """Return the rows, and all that is wrong with them.

    Args:
        records: What was read.
        out: The folder for outputs.
    """
    rows: list[Row] = []
    problems: list[Problem] = []
    for record in records:
        check = _Check(record)
        row = check.row(out)
        problems += check.problems
        if row is not None and not check.problems:
            rows.append(row)
    problems += _twice(rows)
    problems += collisions((row.line, row.out) for row in rows)
    return rows, problems


def media_problems(row: Row, folder: Path) -> Iterator[Problem]:
    """Yield what is wrong with the files that a row is to upload.

    Args:
        row: The row.
        folder: The folder of the list, from which relative paths lead.
    """
    for column, medium in (("video", row.video), ("audio", row.audio)):
        if medium is not None and not is_url(medium) and (reason := _file_problem(folder / medium)):
            yield Problem(row.line, column, f"{medium!r} cannot be uploaded: {reason}")
    yield from subtitle_problems(row, folder)


def _twice(rows: Sequence[Row]) -> Iterator[Problem]:
    references: dict[str, int] = {}
    works: dict[str, int] = {}
    for row in rows:
        if row.reference_id is not None:
            first = references.setdefault(row.reference_id, row.line)
            if first != row.line:
                yield Problem(row.line, "reference_id", f"line {first} has it too; give each row one of its own")
            continue
        first = works.setdefault(repr(row.content), row.line)
        if first != row.line:
            reason = f"line {first} orders the same work; to pay for it twice, give both a reference_id"
            yield Problem(row.line, "video", reason)


class _Check:
    """Checks one record, and collects what is wrong with it."""

    def __init__(self, record: Record) -> None:
        self.problems: list[Problem] = []
        self._record = record

    def row(self, out: Path) -> Row | None:
        """Return the row, if its media are known."""
        video, audio, reference_id = self._text("video"), self._text("audio"), self._text("reference_id")
        languages = self._languages()
        if reference_id is not None:
            self._try("reference_id", lambda: id_segment(reference_id))
        self._check_kinds(video, audio, languages)
        voices, target_srts = self._pairs("voices"), self._pairs("target_srts")
        if languages:
            self._check_names("voices", voices, str.isdecimal, "the speaker must be a number, from 0")
            self._check_names("target_srts", target_srts, languages.__contains__, "the language is not in languages")
        for name, medium in (("video", video), ("audio", audio)):
            if medium is not None:
                self._check_url(name, medium)
        if video is None or (audio is None and not languages):
            return None
        name = self._text("out") or _default_out(video, audio, reference_id)
        if reason := name_problem(name, out, is_folder=bool(languages)):
            self._add("out", f"{name!r} cannot be used: {reason}")
        return Row(
            line=self._record.line,
            video=video,
            audio=audio,
            languages=languages,
            source_language=self._text("source_language"),
            voices=voices,
            source_srt=self._text("source_srt"),
            target_srts=target_srts,
            reference_id=reference_id,
            out=name.rstrip("/"),
        )

    def _add(self, column: str, reason: str) -> None:
        self.problems.append(Problem(self._record.line, column, reason))

    def _try(self, column: str, check: Callable[[], T]) -> T | None:
        try:
            return check()
        except ConfigurationError as error:
            self._add(column, str(error))
            return None

    def _text(self, column: str) -> str | None:
        value = self._record.values.get(column)
        return value if isinstance(value, str) else None

    def _list(self, column: str) -> tuple[str, ...]:
        given = self._record.values.get(column, "")
        named = _BETWEEN.split(given) if isinstance(given, str) else given
        return tuple(dict.fromkeys(value.strip() for value in named if value.strip()))

    def _pairs(self, column: str) -> tuple[str, ...]:
        texts = self._list(column)
        return texts if self._try(column, lambda: split_pairs(column, texts)) is not None else ()

    def _check_names(self, column: str, pairs: Sequence[str], is_right: Callable[[str], bool], reason: str) -> None:
        for pair in pairs:
            if not is_right(pair.partition("=")[0]):
                self._add(column, f"{pair!r}: {reason}")

    def _languages(self) -> tuple[str, ...]:
        languages = self._list("languages")
        if "languages" in self._record.values:
            self._try("languages", lambda: make_options(target_languages=languages, webhook_url=None))
        return languages

    def _check_kinds(self, video: str | None, audio: str | None, languages: Sequence[str]) -> None:
        if video is None:
            self._add("video", "it is missing")
        if audio is None and not languages:
            self._add("audio", "it is missing; lip sync needs audio, and a translation languages")
        if audio is not None and languages:
            self._add("languages", "a translation takes no audio; leave one of the two out")
        for column in _OF_TRANSLATIONS:
            if column in self._record.values and not languages:
                self._add(column, "it is for translations, which have languages")
        if video is not None and audio is not None and is_url(video) != is_url(audio):
            self._add("audio", "video and audio must be both URLs or both files")

    def _check_url(self, column: str, medium: str) -> None:
        if is_url(medium):
            self._try(column, lambda: public_url(column, medium, "check its spelling"))
        elif scheme := scheme_of(medium):
            self._add(column, f"{scheme}:// is neither http(s) nor a file")


def _default_out(video: str, audio: str | None, reference_id: str | None) -> str:
    media = [medium for medium in (video, audio) if medium is not None]
    try:
        stem = reference_id or "-".join(stem_of(medium, is_url=is_url(medium)) for medium in media)
    except ValueError:  # no URL, of which the check of the medium says more
        stem = ""
    return default_name(stem, is_folder=audio is None)


def _file_problem(path: Path) -> str:
    try:
        if not path.exists():
            return f"there is no file {path}"
        if not path.is_file():
            return "it is no file"
        if path.stat().st_size == 0:
            return "it is empty"
    except OSError as error:  # such as a name that is too long
        return error.strerror or str(error)
    return "" if os.access(path, os.R_OK) else "it may not be read"
