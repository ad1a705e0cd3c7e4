"""The two streams of a command: results on one, trouble on the other."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

from .text import one_line

__all__ = ["abandon_stdout", "complain", "is_live", "note", "say", "tolerate_any_text"]


def say(line: str = "") -> None:
    """Print a line at once; whoever reads a pipe should not wait for a buffer to fill. The line must be clean."""
    print(line, flush=True)


def complain(text: str) -> None:
    """Print an error as one line on stderr."""
    with contextlib.suppress(OSError):
        print(f"chamelaion-async: {one_line(text)}", file=sys.stderr, flush=True)


def note(text: str) -> None:
    """Print one line on stderr for whoever watches: what was done, or how to go on."""
    with contextlib.suppress(OSError):
        print(one_line(text), file=sys.stderr, flush=True)


def is_live(stream: TextIO | None = None) -> bool:
    """Whether a stream, by default stdout, is a terminal on which lines can be drawn again.

    Rich is not asked: variables such as FORCE_COLOR make it take a pipe for one.
    """
    return (stream or sys.stdout).isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def tolerate_any_text() -> None:
    """Let a character that a stream cannot encode be spelled out instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def abandon_stdout() -> None:
    """Point stdout at nothing, so that the interpreter does not fail to flush it once more on its way out."""
    with contextlib.suppress(OSError, ValueError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)
