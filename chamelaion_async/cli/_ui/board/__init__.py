"""What a command shows while it waits: rows on a terminal, lines in a log, or JSON.

===========  ==========================================================================
``rows``     rows by name, counted by stage
``frame``    the lines of a board for a terminal of a given size
``live``     rows on a terminal, drawn when they change: for jobs and for anything else
``jobs``     boards for jobs: on a terminal, as lines, as JSON
``summary``  what became of many jobs
===========  ==========================================================================
"""

from __future__ import annotations

from .jobs import Board, JsonBoard, LineBoard, QuietBoard, TableBoard, make_board
from .live import LiveRows
from .rows import Row, Rows, Stage

__all__ = [
    "Board",
    "JsonBoard",
    "LineBoard",
    "LiveRows",
    "QuietBoard",
    "Row",
    "Rows",
    "Stage",
    "TableBoard",
    "make_board",
]
