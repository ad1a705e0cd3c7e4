"""The two streams of a command: results on one, trouble on the other."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from .text import clean, one_line

__all__ = ["complain", "is_live", "note", "say"]


def say(line: str = "") -> None:
    """Print a line at once; whoever reads a pipe should not wait for a buffer to fill. The line must be clean.

    Raises:
        OutputError: stdout does not take it.
    """
    print(line, flush=True)


def complain(text: str) -> None:
    """Print an error as one line on stderr."""
    print(f"chamelaion-async: {one_line(text)}", file=sys.stderr, flush=True)


def note(text: str) -> None:
    """Print one line on stderr for whoever watches: what was done, or how to go on."""
    print(clean(text), file=sys.stderr, flush=True)


def is_live(stream: TextIO | None = None) -> bool:
    """Whether a stream, by default stdout, is a terminal on which lines can be drawn again.

    Rich is not asked: variables such as FORCE_COLOR make it take a pipe for one.
    """
    return (stream or sys.stdout).isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
