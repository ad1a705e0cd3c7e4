"""Ids from the command line, from files and from stdin, as lines of text or of JSON."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs

from ...errors import ConfigurationError
from .advice import command_line
from .printing import print_error, print_note
from .text import clean, one_line

__all__ = ["STDIN", "GivenIds", "continuing_command", "read_ids"]

STDIN: Final = "@-"  # as curl writes it
_KEYS: Final = ("request_id", "id", "reference_id")  # of an answer to a submission, of a request, of an error
_CHUNK: Final = 1 << 16
_FEW: Final = 5  # ids that fit on a command line
_END: Final = "END"


@attrs.frozen(kw_only=True)
class GivenIds:
    """The ids of a command.

    Attributes:
        ids: Each id once, in order.
        piped: Those that stdin named. What names them may have submitted them a moment ago.
        errors: How many lines were errors of another command that name no request.
    """

    ids: list[str]
    piped: frozenset[str] = frozenset()
    errors: int = 0


async def read_ids(arguments: Iterable[str]) -> GivenIds:
    """Return the ids that the arguments of a command name.

    An argument is an id, ``@-`` for the lines of stdin, or ``@FILE`` for the lines of a file. A line is an id, or
    begins with one before a tab, as ``list`` prints it; or it is a JSON object with ``request_id`` or ``id``, as all
    commands print it with ``--json``. Empty lines do not count.

    Raises:
        ConfigurationError: A file cannot be read, a line names no id, or there are no lines.
    """
    ids: dict[str, None] = {}
    piped: set[str] = set()
    wrong: list[str] = []
    errors = 0
    for argument in arguments:
        if argument == STDIN:
            source, text = "stdin", (await _stdin()).decode("utf-8", "surrogateescape")
        elif argument.startswith("@"):
            source, text = argument[1:], _content(argument[1:])
        else:
            ids[argument] = None
            continue
        for number, line in _lines(text):
            found = _id_of(line)
            if isinstance(found, str):
                ids[found] = None
                if source == "stdin":
                    piped.add(found)
            elif found is None:
                wrong.append(f"line {number} of {source} has no request_id and no id: {one_line(line)[:80]}")
            else:
                errors += 1
                print_error(f"line {number} of {source} is an error, not a request: {found.get('message')}")
    if wrong:
        # stdin cannot be read twice, so the ids that were found must not be lost.
        if ids:
            print_note(f"to wait for the other {len(ids)}: {continuing_command('wait', [*ids])}")
        more = f" (and {len(wrong) - 1} more such lines)" if len(wrong) > 1 else ""
        raise ConfigurationError(f"{wrong[0]}{more}; nothing was sent")
    if not ids and not errors:
        raise ConfigurationError("there are no ids: what should name them is empty")
    return GivenIds(ids=[*ids], piped=frozenset(piped), errors=errors)


def continuing_command(name: str, ids: list[str], **options: str | bool | None) -> str:
    """Return a command for these ids that can be pasted into a shell.

    Many ids are lines of a here-document, since the length of a command line is limited.
    """
    if len(ids) <= _FEW and not any(id == "-" or id.startswith("@") for id in ids):
        return command_line(name, *ids, **options)
    lines = "\n".join(map(_as_line, ids))
    # A word in quotes: the shell changes nothing in the lines (POSIX.1-2024, 2.7.4).
    return f"{command_line(name, **options)} - <<'{_END}'\n{lines}\n{_END}"


def _as_line(id: str) -> str:
    is_plain = id == clean(id).strip() and id[:1] not in ("", "{")
    return id if is_plain and id != _END else json.dumps({"id": id})


def _lines(text: str) -> Iterator[tuple[int, str]]:
    # Not splitlines: a reference id may hold a form feed or a U+2028.
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if line := line.strip():
            yield number, line


def _id_of(line: str) -> str | dict[str, Any] | None:
    """Return the id of a line, the record of an error that names none, or None if the line makes no sense."""
    if not line.startswith("{"):
        return line.split("\t", maxsplit=1)[0].rstrip()
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    for key in _KEYS:
        value = record.get(key)
        if isinstance(value, str) and value:
            return value
    return record if "error" in record else None


def _content(name: str) -> str:
    try:
        return Path(name).read_text("utf-8", "surrogateescape")
    except OSError as error:
        raise ConfigurationError(f"the file of ids {name!r} cannot be read: {error.strerror}") from None


async def _stdin() -> bytes:
    """Read stdin to its end, so that Ctrl-C still works.

    A thread reads, since a loop cannot wait for a regular file, and on Windows for no stdin at all. It is a daemon,
    which the end of the process does not wait for, and reads past ``sys.stdin``, whose lock it would hold there.
    """
    if sys.stdin is None:
        raise ConfigurationError("stdin is closed, so it names no ids")
    if sys.stdin.isatty():
        print_note("reading ids from the terminal, one a line; Ctrl-D ends them")
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()

    def finish(result: bytes | OSError) -> None:
        if done.done():
            return
        if isinstance(result, OSError):
            done.set_exception(ConfigurationError(f"stdin cannot be read: {result.strerror}"))
        else:
            done.set_result(result)

    def read(descriptor: int) -> None:
        result: bytes | OSError
        chunks = []
        try:
            while chunk := os.read(descriptor, _CHUNK):
                chunks.append(chunk)
            result = b"".join(chunks)
        except OSError as error:
            result = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(finish, result)

    threading.Thread(target=read, args=(sys.stdin.fileno(),), daemon=True).start()
    return await done
