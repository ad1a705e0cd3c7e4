"""What ``list`` and ``voices`` show: a table on a terminal, tab-separated lines elsewhere, or JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, Generic, TypeVar

import attrs
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from ...models import Job, Page, Voice
from .json_records import api_record
from .printing import can_redraw, print_line, print_note
from .text import clean

__all__ = ["Column", "ListTable"]

R = TypeVar("R", Job, Voice)

_GAP: Final = "  "


@attrs.frozen
class Column(Generic[R]):
    """One field of each item.

    Attributes:
        title: Heading of the column.
        value: Returns the text for an item, which need not be clean.
        is_wide: Whether the table on a terminal leaves the column out, since its texts are too long.
        short: Returns the text for the table on a terminal; by default that of ``value``.
        may_move: Whether the text goes below the line of its item where the terminal is too narrow for all columns.
    """

    title: str
    value: Callable[[R], str]
    is_wide: bool = attrs.field(default=False, kw_only=True)
    short: Callable[[R], str] | None = attrs.field(default=None, kw_only=True)
    may_move: bool = attrs.field(default=False, kw_only=True)

    def shown(self, item: R) -> str:
        """Return the text for the table."""
        return clean((self.short or self.value)(item))


@attrs.frozen(kw_only=True)
class ListTable(Generic[R]):
    """Prints the items of a list in the form that stdout needs.

    Attributes:
        columns: The columns; the first one has the id, which is never broken or cut.
        note: Returns a text that goes below the line of an item in a table, or an empty one.
        json: Whether to print JSON, one object a line.
    """

    columns: Sequence[Column[R]]
    json: bool
    note: Callable[[R], str] = attrs.field(default=lambda _: "")

    def show_page(self, page: Page[R]) -> None:
        """Print one page, and print on stderr how to see the others."""
        self._show(page.data)
        offset, total = page.pagination.offset, page.pagination.total
        end = offset + len(page.data)
        if len(page.data) < total:
            span = f"{offset + 1} to {end}" if page.data else "none"
            next_page = f"; next page: --offset {end}" if page.data and end < total else ""
            print_note(f"{span} of {total}{next_page}; all: --all")

    async def show_all(self, items: AsyncIterator[R]) -> None:
        """Print every item: lines as the items arrive, a table at the end."""
        if self.json or not can_redraw():
            async for item in items:
                self._print(item)
        else:
            self._show([item async for item in items])

    def _show(self, items: Sequence[R]) -> None:
        if self.json or not can_redraw():
            for item in items:
                self._print(item)
            return
        console = Console(highlight=False)  # ids are not to be coloured like numbers
        columns = [column for column in self.columns if not column.is_wide]
        if _width(columns, items) > console.width:
            columns = [column for column in columns if not column.may_move]
        moved = [column for column in self.columns if column.may_move and column not in columns]
        widths = _widths(columns, items)
        _print_text(console, _line([column.title for column in columns], widths), "bold")
        for item in items:
            _print_text(console, _line(_texts(columns, item), widths), "")
            below = _texts(moved, item)
            below.append(clean(self.note(item)))
            if any(below):
                _print_text(console, f"  {': '.join(filter(None, below))}", "dim")

    def _print(self, item: R) -> None:
        if self.json:
            print_line(api_record(item))
        else:
            print_line("\t".join(clean(column.value(item)) for column in self.columns))


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
