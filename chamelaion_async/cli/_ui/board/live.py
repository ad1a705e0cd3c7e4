"""Rows on a terminal that are drawn again when they change: the part of a board that knows no jobs."""

from __future__ import annotations

import asyncio
import contextlib
import select
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Self

import attrs
from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import Segment

from ..streams import OutputError
from .frame import Heading, frame, rows_with_room
from .rows import Row, Rows, Stage

__all__ = ["LiveRows"]

_PAUSE: Final = 0.25  # seconds between two drawings
_TICK: Final = 1.0  # seconds after which a board is drawn without a change, for its times


class LiveRows:
    """A board for any kind of work: a context manager, inside which the rows are on the terminal.

    Drawn by a timer of the running event loop and not by a thread: four times a second where rows change, otherwise
    once. At the end the rows stay on the terminal if all of them have room there, and vanish otherwise.

    Args:
        names: The names of the rows; ``put`` adds others.
        stages: All stages, in the order of their counts. Each name begins in the first one.
        footer: Returns the line below the counts, such as what the client is doing.
        refresh: Called about once a second with the names of the rows that are shown, before they are drawn: may put
            them again, with new times.
        clock: Returns seconds, for the time since the begin.
        console: Where to draw; by default the terminal on stdout.

    Attributes:
        rows: The rows.
        left: Seconds until all rows have probably ended, or None.
    """

    def __init__(
        self,
        names: Iterable[str],
        stages: Iterable[Stage],
        *,
        footer: Callable[[], str] = str,
        refresh: Callable[[Sequence[str]], object] = len,
        clock: Callable[[], float] = time.monotonic,
        console: Console | None = None,
    ) -> None:
        self.rows = Rows(names, stages)
        self.left: float | None = None
        self._footer = footer
        self._refresh = refresh
        self._clock = clock
        self._start = self._drawn_at = clock()
        self._console = console or Console(highlight=False)  # ids are not to be coloured like numbers
        self._live = Live(console=self._console, get_renderable=lambda: _Drawing(self), auto_refresh=False)
        self._size = self._console.size
        self._timer: asyncio.TimerHandle | None = None
        self._has_changed = False

    def put(self, name: str, row: Row) -> None:
        """Set the row of a name; it is drawn within a quarter of a second."""
        self.rows.put(name, row)
        self._has_changed = True

    @property
    def elapsed(self) -> float:
        """Seconds since the board was made."""
        return self._clock() - self._start

    def lines(self, width: int, height: int, *, ascii_only: bool = False) -> list[list[Segment]]:
        """Return the lines as they are now, for a terminal of this size."""
        heading = Heading(elapsed=self.elapsed, left=self.left, footer=self._footer())
        return frame(self.rows, heading, width=width, height=height, ascii_only=ascii_only)

    def draw(self) -> None:
        """Draw now, unless the terminal takes nothing: it is gone, or stopped with Ctrl-S.

        If it is gone, the next line on stdout raises the error.
        """
        if _takes_output(self._console):
            self._has_changed, self._drawn_at = False, self._clock()
            with contextlib.suppress(OutputError):
                size = self._console.size
                if size != self._size:
                    # The terminal has wrapped lines again, or moved some to its history and back: nothing tells
                    # which lines are still those of the board.
                    self._size = size
                    self._console.control(Control.home(), Control.clear())
                self._live.refresh()

    def __enter__(self) -> Self:
        with contextlib.suppress(OutputError):
            self._live.start()
        self.draw()
        self._timer = asyncio.get_running_loop().call_later(_PAUSE, self._tick)
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # Rows that were folded tell less than the summary of the command.
        self._live.transient = len(self.rows) > rows_with_room(self._console.height)
        with contextlib.suppress(OutputError):
            self._live.stop()

    def _tick(self) -> None:
        is_due = self._clock() - self._drawn_at >= _TICK - _PAUSE / 2
        if is_due:
            self._refresh(self.rows.shown(rows_with_room(self._console.height)))
        if is_due or self._has_changed or self._console.size != self._size:
            self.draw()
        self._timer = asyncio.get_running_loop().call_later(_PAUSE, self._tick)


@attrs.frozen
class _Drawing:
    """The lines for Rich, made when it has measured the terminal."""

    board: LiveRows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = console.size
        for line in self.board.lines(width, height, ascii_only=options.ascii_only):
            yield from line
            yield Segment.line()


def _takes_output(console: Console) -> bool:
    """Whether a write to the terminal of a console would not block; True where that cannot be known."""
    try:
        return bool(select.select([], [console.file], [], 0)[1])
    except (OSError, ValueError):  # no descriptor, or Windows, whose select knows sockets only
        return True
