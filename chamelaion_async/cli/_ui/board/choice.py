"""Which board stdout gets."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ....polling.durations import Durations
from ..printing import can_redraw
from ..traffic import Traffic
from .jobs import Board, JsonBoard, LineBoard, QuietBoard

__all__ = ["make_board"]


def make_board(
    names: Sequence[str],
    *,
    json: bool = False,
    quiet: bool = False,
    durations: Durations | None = None,
    traffic: Traffic | None = None,
) -> Board:
    """Return the board for stdout: JSON or nothing if that is asked for, rows on a terminal, else lines."""
    if json:
        return JsonBoard()
    if quiet:
        return QuietBoard()
    if can_redraw():
        from .table import TableBoard  # noqa: PLC0415 - Rich takes long to import, and only a terminal needs it

        return TableBoard(names, durations=durations, traffic=traffic)
    return LineBoard(names, clock=time.monotonic)
