"""What ``list`` and ``voices`` show: a table on a terminal, tab-separated lines elsewhere, or JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Generic, TypeVar

import attrs

from ...models import Job, Page, Voice
from .columns import Column
from .json_records import api_record
from .printing import can_redraw, print_line, print_note
from .text import clean

__all__ = ["ListTable"]

R = TypeVar("R", Job, Voice)


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
        from .terminal_table import print_table  # noqa: PLC0415 - imports Rich, which takes long

        print_table(self.columns, items, self.note)

    def _print(self, item: R) -> None:
        if self.json:
            print_line(api_record(item))
        else:
            print_line("\t".join(clean(column.value(item)) for column in self.columns))
