"""Command lines that the user can paste into a shell to continue."""

from __future__ import annotations

import shlex

from .text import one_line

__all__ = ["command_line", "shell_quoted"]


def command_line(name: str, *arguments: str, **options: str | bool | None) -> str:
    """Return a command line of this package.

    Args:
        name: The command.
        arguments: Positional arguments, such as ids.
        options: Values by the names of the Python parameters; None and False leave an option out.
    """
    words = ["chamelaion-async", name]
    for option, value in options.items():
        flag = f"--{option.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif isinstance(value, str):
            # As a separate word, a value that begins with a dash would be read as an option.
            words += [f"{flag}={shell_quoted(value)}"] if value.startswith("-") else [flag, shell_quoted(value)]
    if any(argument.startswith("-") for argument in arguments):
        words.append("--")
    return " ".join([*words, *map(shell_quoted, arguments)])


def shell_quoted(text: str) -> str:
    r"""Return text as one word of a shell, in printable characters that ``one_line`` does not change.

    Other text is written as ``$'\033[2J'``, which bash, zsh and ksh understand (POSIX.1-2024, 2.2.4). It is octal,
    since POSIX does not fix the number of digits after ``\x``.
    """
    if one_line(text) == text:
        return shlex.quote(text)
    try:
        raw = text.encode("utf-8", "surrogateescape")  # how Python decodes file names that are not UTF-8
    except UnicodeEncodeError:
        raw = text.encode("utf-8", "surrogatepass")
    return "$'" + "".join(_escaped(byte) for byte in raw) + "'"


def _escaped(byte: int) -> str:
    character = chr(byte)
    is_plain = "!" <= character <= "~" and character not in "\\'"
    return character if is_plain else f"\\{byte:03o}"
