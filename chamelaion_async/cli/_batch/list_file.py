"""The list as a file: CSV with a header, or JSON lines, read into records without judging their values."""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ...errors import ConfigurationError

__all__ = ["COLUMNS", "Problem", "Record", "read_list"]

COLUMNS: Final = (
    "video",
    "audio",
    "languages",
    "source_language",
    "voices",
    "source_srt",
    "target_srts",
    "reference_id",
    "out",
)
LISTS: Final = ("languages", "voices", "target_srts")  # columns with several values
_NOTE: Final = "#"
_MAX_SIZE: Final = 64 * 1024 * 1024  # bytes; a video given by mistake is not read into memory
_DELIMITERS: Final = (",", ";", "\t")  # spreadsheets write the second where a comma divides decimals


class Problem(NamedTuple):
    """What is wrong with a row; ``column`` is empty if it is the whole row."""

    line: int
    column: str
    reason: str


class Record(NamedTuple):
    """The values of a row by column, those that are given; ``line`` is its first line in the file, from 1."""

    line: int
    values: dict[str, str | list[str]]


def read_list(path: Path) -> tuple[list[Record], list[Problem]]:
    """Read a list; a row that cannot be read becomes a problem.

    Raises:
        ConfigurationError: The file cannot be read, is not UTF-8, or has no rows.
    """
    try:
        if not path.is_file():
            reason = "it is no file" if path.exists() else "there is no such file"
            raise ConfigurationError(f"the list {path} cannot be read: {reason}")
        if path.stat().st_size > _MAX_SIZE:
            raise ConfigurationError(f"the list {path} cannot be read: over {_MAX_SIZE >> 20} MiB, it is no list")
        text = path.read_bytes().decode("utf-8-sig")  # spreadsheets write a byte order mark
    except OSError as error:
        raise ConfigurationError(f"the list {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the list {path} is not UTF-8; save it as UTF-8 text") from error
    is_json = text.lstrip()[:1] in ("{", "[")
    records, problems = _split(_json_lines(text) if is_json else _csv_rows(text))
    if not records and not problems:
        raise ConfigurationError(f"the list {path} has no rows")
    return records, problems


def _split(rows: Iterator[Record | Problem]) -> tuple[list[Record], list[Problem]]:
    records: list[Record] = []
    problems: list[Problem] = []
    for row in rows:
        if isinstance(row, Record):
            records.append(row)
        else:
            problems.append(row)
    return records, problems


def _csv_rows(text: str) -> Iterator[Record | Problem]:
    header = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=header.count), strict=True)
    names: Sequence[str] | None = None
    line = 1
    try:
        for cells in reader:
            values = [cell.strip() for cell in cells]
            if any(values):
                if names is None:
                    names = [value.lower() for value in values]
                    if problems := list(_header_problems(line, names)):
                        yield from problems
                        return
                else:
                    yield _csv_record(line, names, values)
            line = reader.line_num + 1  # a value in quotes may hold line ends
    except csv.Error as error:
        yield Problem(line, "", f"it is not CSV: {error}")


def _csv_record(line: int, names: Sequence[str], values: Sequence[str]) -> Record | Problem:
    if any(values[len(names) :]):
        return Problem(line, "", f"it has {len(values)} values, and the header {len(names)} columns")
    pairs = zip(names, values, strict=False)
    return Record(line, {name: value for name, value in pairs if value and not name.startswith(_NOTE)})


def _header_problems(line: int, names: Sequence[str]) -> Iterator[Problem]:
    if not set(names) & set(COLUMNS):
        yield Problem(line, "", f"the first line must name the columns; they are {', '.join(COLUMNS)}")
        return
    for number, name in enumerate(names):
        if name in names[:number] and name:
            yield Problem(line, name, "the header names this column twice")
        elif reason := _unknown(name):
            yield Problem(line, name, reason)


def _unknown(name: str) -> str:
    """Why a column cannot be read. A misspelt one would otherwise be left out of what is paid for."""
    if name in COLUMNS or not name or name.startswith(_NOTE):
        return ""
    close = difflib.get_close_matches(name, COLUMNS, n=1)
    meant = f"did you mean {close[0]}?" if close else f"the columns are {', '.join(COLUMNS)};"
    return f"there is no such column; {meant} Begin the name of a column of your own with {_NOTE}"


def _json_lines(text: str) -> Iterator[Record | Problem]:
    # Not splitlines: a string in JSON may hold U+2028, at which it splits too.
    for line, row in enumerate(text.split("\n"), start=1):
        if row.strip():
            yield from _json_record(line, row)


def _json_record(line: int, text: str) -> Iterator[Record | Problem]:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        yield Problem(line, "", f"it is not JSON: {error}")
        return
    if not isinstance(row, dict):
        yield Problem(line, "", 'it is no JSON object; write one object a line, such as {"video": …}')
        return
    values: dict[str, str | list[str]] = {}
    problems = []
    for name, value in row.items():
        if name.startswith(_NOTE) or value is None:
            continue
        if reason := _unknown(name) or _mistyped(name, value):
            problems.append(Problem(line, name, reason))
        else:
            given = value.strip() if isinstance(value, str) else [item.strip() for item in value]
            if given:
                values[name] = given
    if problems:
        yield from problems
    else:
        yield Record(line, values)


def _mistyped(name: str, value: object) -> str:
    if isinstance(value, str):
        return ""
    if name in LISTS:
        is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return "" if is_list else "it must be a list of texts"
    return f"it must be text, not {json.dumps(value)[:40]}"
