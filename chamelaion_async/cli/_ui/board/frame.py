"""The lines of a board for a terminal of a given size. Pure: no clock and no terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs
from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

from ..text import clean, clock_time, time_left
from .rows import Row, Rows, Stage

__all__ = ["Heading", "frame", "rows_with_room"]

Line = list[Segment]

_HEADING: Final = 4  # lines above the rows: progress, counts, footer, an empty one
_BAR: Final = (10, 40)  # columns of the bar over all rows: least, most
_ROW_BAR: Final = 10  # columns; with a UUID and the longest time below 80
_STATUS: Final = 11  # columns of the longest usual status
_BESIDES: Final = 2 + 1 + _STATUS + 1  # columns of a row for its mark, its status and the gaps
_LEAST_NAME: Final = 12  # columns of a name on a narrow terminal
_LEAST_DETAIL: Final = 29  # columns that a long name leaves to the detail
_SYMBOLS: Final = {False: ("\u2501", "\u2500", "\u2026"), True: ("#", "-", "~")}  # done, to do, cut; then in ASCII


@attrs.frozen(kw_only=True)
class Heading:
    """What stands above the rows, besides their counts.

    Attributes:
        elapsed: Seconds since the begin.
        left: Seconds until all rows have probably ended, or None.
        footer: A line below the counts, or nothing.
    """

    elapsed: float
    left: float | None = None
    footer: str = ""


def rows_with_room(height: int) -> int:
    """Return how many rows have room on a terminal, the line that counts the others included."""
    return max(height - 1 - _HEADING, 0)  # the cursor has the last line


def frame(rows: Rows, heading: Heading, *, width: int, height: int, ascii_only: bool = False) -> list[Line]:
    """Return the lines of a board.

    Args:
        rows: The rows.
        heading: What stands above them.
        width: Columns of the terminal. No line is wider.
        height: Lines of the terminal. There is one line less than that at most.
        ascii_only: Whether the terminal shows no other characters.
    """
    room = rows_with_room(height)
    names = rows.shown(room if len(rows) <= room else room - 1)
    name_width = min(
        max((cell_len(clean(name)) for name in names), default=0), max(width - _BESIDES - _LEAST_DETAIL, 12)
    )
    paint = _Painter(ascii_only=ascii_only, width=width, name_width=name_width)
    lines = [paint.progress(rows, heading), paint.counts(rows.counts), paint.line(Segment(heading.footer, _DIM)), []]
    lines += [paint.row(name, rows[name]) for name in names]
    if len(names) < len(rows):
        folded = Counter(rows.counts)
        folded.subtract(rows[name].stage for name in names)
        lines.append(paint.folded(folded))
    if not heading.footer:
        del lines[2]
    return lines[: max(height - 1, 1)]


_DIM: Final = Style(dim=True)
_BOLD: Final = Style(bold=True)
_PLAIN: Final = Style()
_CYAN: Final = Style.parse("cyan")


@attrs.frozen(kw_only=True)
class _Painter:
    ascii_only: bool
    width: int
    name_width: int

    def line(self, *parts: Segment) -> Line:
        """Return the parts as far as the line has room, the last of them cut."""
        left, line = self.width, []
        for part in parts:
            text = self.cut(part.text, left)
            line.append(Segment(text, part.style))
            left -= cell_len(text)
        return line

    def cut(self, text: str, width: int) -> str:
        """Return printable text of at most this width."""
        if cell_len(text) <= width:
            return text
        return set_cell_size(text, width - 1) + self.symbols[2] if width > 0 else ""

    def column(self, text: str, width: int) -> str:
        """Return printable text of exactly this width, and a gap."""
        shown = self.cut(text, width)
        return f"{shown}{' ' * (width - cell_len(shown))} "

    @property
    def symbols(self) -> tuple[str, str, str]:
        return _SYMBOLS[self.ascii_only]

    def progress(self, rows: Rows, heading: Heading) -> Line:
        ended, total = rows.ended, len(rows)
        done = f"{ended} of {total} done "
        times = f" {clock_time(heading.elapsed)}"
        if heading.left is not None and ended < total:
            times += f", {time_left(heading.left)}"
        width = min(max(self.width - len(done) - len(times), _BAR[0]), _BAR[1])
        return self.line(Segment(done, _BOLD), *self.bar(ended, total, width), Segment(times))

    def bar(self, part: float, whole: float, width: int) -> Iterable[Segment]:
        # A full bar means that nothing is left.
        full = int(width * part / whole) if 0 < part < whole else width * (part >= whole)
        yield Segment(self.symbols[0] * full, _CYAN)
        yield Segment(self.symbols[1] * (width - full), _DIM)

    def counts(self, counts: Mapping[Stage, int]) -> Line:
        parts = [self.count(stage, count) for stage, count in counts.items() if count]
        wide = sum(cell_len(part.text) + 2 for part in parts) - 2 > self.width
        return self.line(*_joined(parts, " " if wide else "  "))

    def count(self, stage: Stage, count: int) -> Segment:
        return Segment(f"{self.mark(stage)} {count} {stage.name}", _style(stage))

    def mark(self, stage: Stage) -> str:
        return stage.plain_mark if self.ascii_only else stage.mark

    def row(self, name: str, row: Row) -> Line:
        stage = row.stage
        parts = [
            Segment(f"{self.mark(stage)} ", _style(stage)),
            Segment(self.column(clean(name), self.name_width)),
            Segment(self.column(clean(row.status or stage.name), _STATUS), _style(stage)),
        ]
        if row.remaining is None:
            return self.line(*parts, Segment(clean(row.detail), _style(stage) if stage.kind == "problem" else _PLAIN))
        bar = self.bar(row.elapsed, row.elapsed + row.remaining or 1, _ROW_BAR)
        return self.line(*parts, *bar, Segment(f" {time_left(row.remaining)}"))

    def folded(self, counts: Counter[Stage]) -> Line:
        parts = ", ".join(f"{count} {stage.name}" for stage, count in counts.items() if count)
        return self.line(Segment(f"  and {counts.total()} more: {parts}", _DIM))


def _joined(parts: Iterable[Segment], gap: str) -> Sequence[Segment]:
    return [each for part in parts for each in (part, Segment(gap))][:-1]


def _style(stage: Stage) -> Style:
    return Style.parse(stage.style)  # cached by Rich
