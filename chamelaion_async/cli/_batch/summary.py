"""The summary: a CSV file with a row for each row of the list, replaced as a whole at the end of each run."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from .progress import RowProgress

__all__ = ["write_summary"]

_HEADER: Final = (
    "line",
    "out",
    "state",
    "reference_id",
    "request_id",
    "queue_seconds",
    "seconds",
    "video",
    "audio",
    "languages",
    "reason",
)


def write_summary(path: Path, rows: Iterable[RowProgress]) -> None:
    """Write the summary.

    Raises:
        OSError: It cannot be written; an earlier one is kept.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(_HEADER)
    table.writerows(_cells(row) for row in rows)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            # A spreadsheet takes UTF-8 for another encoding without a byte order mark.
            file.write(text.getvalue().encode("utf-8-sig", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _cells(row: RowProgress) -> tuple[object, ...]:
    entry = row.entry
    return (
        row.row.line,
        row.row.out,
        row.state,
        row.reference_id,
        row.request_id,
        None if entry is None else entry.queue_seconds,
        None if entry is None else entry.seconds,
        row.row.video,
        row.row.audio,
        ";".join(row.row.languages),
        row.reason,
    )
