"""A table on a terminal, as ``list`` and ``voices`` print it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from ...models import Job, Voice
from .columns import Column
from .text import clean

__all__ = ["print_table"]

R = TypeVar("R", Job, Voice)

_GAP: Final = "  "


def print_table(columns: Sequence[Column[R]], items: Sequence[R], note: Callable[[R], str]) -> None:
    """Print a line for each item, and below it what has no room there.

    Args:
        columns: All columns; the first one has the id, which is never broken or cut.
        items: The items.
        note: Returns a text that goes below the line of an item, or an empty one.
    """
    console = Console(highlight=False)  # ids are not to be coloured like numbers
    shown = [column for column in columns if not column.is_wide]
    moved: list[Column[R]] = []
    for column in reversed([column for column in shown if column.may_move]):
        if _width(shown, items) > console.width:
            shown.remove(column)
            moved.insert(0, column)
    widths = _widths(shown, items)
    _print_text(console, _line([column.title for column in shown], widths), "bold")
    for item in items:
        _print_text(console, _line(_texts(shown, item), widths), "")
        below = _texts(moved, item)
        below.append(clean(note(item)))
        if any(below):
            _print_text(console, f"  {': '.join(filter(None, below))}", "dim")


def _texts(columns: Sequence[Column[R]], item: R) -> list[str]:
    return [column.shown(item) for column in columns]


def _widths(columns: Sequence[Column[R]], items: Sequence[R]) -> list[int]:
    lines = [[column.title for column in columns], *(_texts(columns, item) for item in items)]
    return [max(map(cell_len, texts)) for texts in zip(*lines, strict=True)]


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(set_cell_size(text, width) for text, width in zip(texts, widths, strict=True))


def _width(columns: Sequence[Column[R]], items: Sequence[R]) -> int:
    return sum(_widths(columns, items)) + len(_GAP) * (len(columns) - 1)


def _print_text(console: Console, text: str, style: str) -> None:
    # A Text, since a str would be read as markup, and [b] in a name lost. The terminal breaks a line that is too
    # long, since users copy ids and names from here.
    console.print(Text(text.rstrip(), style), soft_wrap=True)
