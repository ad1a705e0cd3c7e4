"""Rows of figures as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,}"
    return str(value)


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows with their names above, numbers to the right and words to the left."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([_text(row.get(name)) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    is_word = [any(isinstance(row.get(name), str) for row in rows) for name in names]
    return "\n".join(
        "  "
        + "  ".join(
            text.ljust(width) if word else text.rjust(width)
            for text, width, word in zip(line, widths, is_word, strict=True)
        ).rstrip()
        for line in cells
    )
