"""The subtitles that a row of a translation names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import ConfigurationError
from ...models import Subtitle
from ...resources.translation_options import make_config
from .._ui.translation import read_subtitle, split_pairs
from .list_file import Problem
from .rows import Row

__all__ = ["read_subtitles", "subtitle_problems"]


def subtitle_problems(row: Row, folder: Path) -> Iterator[Problem]:
    """Yield what is wrong with the subtitles of a row.

    Args:
        row: The row.
        folder: The folder of the list, from which relative paths lead.
    """
    for column, language, file in _files(row):
        try:
            subtitle = read_subtitle(folder / file, language)
            if column == "source_srt":
                make_config(None, None, source_srt=subtitle)
            else:
                make_config(None, None, target_srts={str(language): subtitle})
        except ConfigurationError as error:
            yield Problem(row.line, column, str(error))


def read_subtitles(row: Row, folder: Path) -> tuple[Subtitle | None, dict[str, Subtitle]]:
    """Return the subtitles of the video, and those by language.

    Raises:
        ConfigurationError: A file cannot be read.
    """
    source: Subtitle | None = None
    targets: dict[str, Subtitle] = {}
    for column, language, file in _files(row):
        subtitle = read_subtitle(folder / file, language)
        if column == "source_srt":
            source = subtitle
        else:
            targets[str(language)] = subtitle
    return source, targets


def _files(row: Row) -> Iterator[tuple[str, str | None, str]]:
    """Yield column, language and file."""
    if row.source_srt is not None:
        yield "source_srt", row.source_language, row.source_srt
    for language, file in split_pairs("target_srts", row.target_srts).items():
        yield "target_srts", language, file
