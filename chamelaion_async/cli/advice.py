"""Commands to go on with, written so that they can be pasted into a shell."""

from __future__ import annotations

import shlex

from .text import one_line

__all__ = ["command", "quoted"]


def command(name: str, *arguments: str, **options: str | bool | None) -> str:
    """Return a command line.

    Args:
        name: Which command.
        arguments: What stands alone, such as ids.
        options: Values by the names of the functions' parameters; None and False leave an option out.
    """
    words = ["chamelaion-async", name]
    for option, value in options.items():
        flag = f"--{option.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif isinstance(value, str):
            # After a blank, a value that begins with a dash would be taken for an option.
            words += [f"{flag}={quoted(value)}"] if value.startswith("-") else [flag, quoted(value)]
    if any(argument.startswith("-") for argument in arguments):
        words.append("--")
    return " ".join([*words, *map(quoted, arguments)])


def quoted(text: str) -> str:
    r"""Return text as one word of a shell, in characters that a terminal shows and ``one_line`` leaves alone.

    What has others is written as ``$'\033[2J'``, which bash, zsh and ksh understand (POSIX.1-2024, 2.2.4); octal,
    since ``\x`` has no agreed number of digits.
    """
    if one_line(text) == text:
        return shlex.quote(text)
    try:
        raw = text.encode("utf-8", "surrogateescape")  # as file names are that are not UTF-8
    except UnicodeEncodeError:
        raw = text.encode("utf-8", "surrogatepass")
    return "$'" + "".join(_escaped(byte) for byte in raw) + "'"


def _escaped(byte: int) -> str:
    character = chr(byte)
    is_plain = "!" <= character <= "~" and character not in "\\'"
    return character if is_plain else f"\\{byte:03o}"
