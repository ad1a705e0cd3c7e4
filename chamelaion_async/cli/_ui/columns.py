"""The columns of ``list`` and ``voices``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import attrs

from ...models import Job, Voice
from .text import clean

__all__ = ["Column"]

R = TypeVar("R", Job, Voice)


@attrs.frozen
class Column(Generic[R]):
    """One field of each item.

    Attributes:
        title: Heading of the column.
        value: Returns the text for an item, which need not be clean.
        is_wide: Whether the table on a terminal leaves the column out, since its texts are too long.
        short: Returns the text for the table on a terminal; by default that of ``value``.
        may_move: Whether the text may go below the line of its item. Where the terminal is too narrow for all
            columns, as many of these as necessary do, beginning with the last one.
    """

    title: str
    value: Callable[[R], str]
    is_wide: bool = attrs.field(default=False, kw_only=True)
    short: Callable[[R], str] | None = attrs.field(default=None, kw_only=True)
    may_move: bool = attrs.field(default=False, kw_only=True)

    def shown(self, item: R) -> str:
        """Return the text for the table."""
        return clean((self.short or self.value)(item))
