"""Lines of a command: results on stdout, errors and advice on stderr."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from .text import clean, one_line

__all__ = ["can_redraw", "print_error", "print_line", "print_note"]


def print_line(line: str = "") -> None:
    """Print a line on stdout. It must be clean, and is flushed, since a program may wait for it at a pipe.

    Raises:
        OutputError: stdout does not accept it.
    """
    print(line, flush=True)


def print_error(text: str) -> None:
    """Print an error as one line on stderr."""
    print(f"chamelaion-async: {one_line(text)}", file=sys.stderr, flush=True)


def print_note(text: str) -> None:
    """Print a line on stderr that is no error: what was done, or what to do next."""
    print(clean(text), file=sys.stderr, flush=True)


def can_redraw(stream: TextIO | None = None) -> bool:
    """Whether a stream, by default stdout, is a terminal that can draw over earlier lines.

    Rich's own check is not used: with FORCE_COLOR it takes a pipe for a terminal.
    """
    return (stream or sys.stdout).isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
