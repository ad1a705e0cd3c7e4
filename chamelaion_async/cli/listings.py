"""Lists of records: a table on a terminal, lines with tabs elsewhere, JSON for programs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Generic, TypeVar

import attrs
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..models import Job, Page, Voice
from .output import is_live, note, say
from .records import job_record
from .text import clean

__all__ = ["Column", "Listing"]

R = TypeVar("R", Job, Voice)


@attrs.frozen
class Column(Generic[R]):
    """What a list shows of each record.

    Attributes:
        title: Its heading.
        value: Returns the text for a record, which need not be clean.
        is_wide: Whether it is left out of the table, since it would not fit into a column whole.
    """

    title: str
    value: Callable[[R], str]
    is_wide: bool = attrs.field(default=False, kw_only=True)


@attrs.frozen(kw_only=True)
class Listing(Generic[R]):
    """A list that suits stdout.

    Attributes:
        columns: What is shown of a record.
        json: Whether to print JSON, one object a line.
    """

    columns: Sequence[Column[R]]
    json: bool

    def show_page(self, page: Page[R]) -> None:
        """Print one page, and say on stderr how to get at the others."""
        self._show(page.data)
        at, total = page.pagination.offset, page.pagination.total
        end = at + len(page.data)
        if len(page.data) < total:
            span = f"{at + 1} to {end}" if page.data else "none"
            more = f"; for the next ones: --offset {end}" if page.data and end < total else ""
            note(f"{span} of {total}{more}; for all: --all")

    async def show_all(self, records: AsyncIterator[R]) -> None:
        """Print every record, as they come unless there is a table to lay out."""
        if self.json or not is_live():
            async for record in records:
                self._line(record)
        else:
            self._show([record async for record in records])

    def _show(self, records: Sequence[R]) -> None:
        if self.json or not is_live():
            for record in records:
                self._line(record)
            return
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        columns = [column for column in self.columns if not column.is_wide]
        for column in columns:
            # Ids and names are copied from here, so that they are folded rather than cut.
            table.add_column(column.title, overflow="fold")
        for record in records:
            table.add_row(*(Text(clean(column.value(record))) for column in columns))
        Console(highlight=False).print(table)

    def _line(self, record: R) -> None:
        if self.json:
            say(job_record(record))
        else:
            say("\t".join(clean(column.value(record)) for column in self.columns))
