"""What a command shows while it waits: rows on a terminal, lines in a log, or JSON.

===========  ==========================================================================
``rows``     rows by name, counted by stage
``frame``    the lines of a board for a terminal of a given size
``live``     rows on a terminal, drawn when they change: for jobs and for anything else
``jobs``     boards for jobs that need no terminal: as lines, as JSON
``table``    the board for jobs on a terminal
``choice``   which board stdout gets
``summary``  what became of many jobs
===========  ==========================================================================

``frame``, ``live`` and ``table`` import Rich. It takes long, so they are imported where stdout is a terminal only.
"""

from __future__ import annotations

from .choice import make_board
from .jobs import Board, JsonBoard, LineBoard, QuietBoard
from .rows import Row, Rows, Stage

__all__ = [
    "Board",
    "JsonBoard",
    "LineBoard",
    "QuietBoard",
    "Row",
    "Rows",
    "Stage",
    "make_board",
]
