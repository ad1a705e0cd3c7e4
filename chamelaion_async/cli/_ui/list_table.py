"""What ``list`` and ``voices`` show: a table on a terminal, tab-separated lines elsewhere, or JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Generic, TypeVar

import attrs
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...models import Job, Page, Voice
from .json_records import api_record
from .printing import can_redraw, print_line, print_note
from .text import clean

__all__ = ["Column", "ListTable"]

R = TypeVar("R", Job, Voice)


@attrs.frozen
class Column(Generic[R]):
    """One field of each item.

    Attributes:
        title: Heading of the column.
        value: Returns the text for an item, which need not be clean.
        is_wide: Whether the table on a terminal leaves the column out, since its texts are too long.
    """

    title: str
    value: Callable[[R], str]
    is_wide: bool = attrs.field(default=False, kw_only=True)


@attrs.frozen(kw_only=True)
class ListTable(Generic[R]):
    """Prints the items of a list in the form that stdout needs.

    Attributes:
        columns: The columns.
        json: Whether to print JSON, one object a line.
    """

    columns: Sequence[Column[R]]
    json: bool

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
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        columns = [column for column in self.columns if not column.is_wide]
        for column in columns:
            # Users copy ids and names from here, so a long one is folded rather than cut.
            table.add_column(column.title, overflow="fold")
        for item in items:
            # A str would be read as markup, and [b] in a name lost.
            table.add_row(*(Text(clean(column.value(item))) for column in columns))
        Console(highlight=False).print(table)

    def _print(self, item: R) -> None:
        if self.json:
            print_line(api_record(item))
        else:
            print_line("\t".join(clean(column.value(item)) for column in self.columns))
