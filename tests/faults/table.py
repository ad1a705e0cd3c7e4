"""The matrix as a page of the documentation. ``python -m tests.faults.table`` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from .catalogue import CATALOGUE
from .matrix import cells
from .operations import OPERATIONS, Operation
from .row import Row
from .rules import NOTHING, RECOVERS, Rule

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "faults.md"

_TITLES: Final = {"read": "Reading", "wait": "Waiting", "paid": "Submitting", "file": "Downloading"}
_HEAD: Final = """\
# Faults

<!-- Made by `python -m tests.faults.table` from tests/faults; do not edit. A test holds the two together. -->

What becomes of every operation when something goes wrong: {faults} faults, {cells} cells, each a fault and an
operation. This page is generated from the table that `nox -s faults` plays, cell by cell, against the
[sandbox](sandbox.md), so it says what was seen and not what was meant. A result is **✓** where the operation
succeeds, or else the class of the [error](errors.md) that it raises or that the outcome of a batch holds. It holds
for all operations of the section, or says for which. In every cell the test makes sure that

- nothing but the result or that error comes out, within a deadline, and the error does not show the key,
- no task, socket or file is left, and no warning is given,
- a submission has started one job at most; one job if it returned, none if its error is another one than
  `SubmissionUncertainError` or `ClientClosedError`,
- under the final name of a download stands the whole file or none,
- the same client serves the next call once the fault is gone.

*Once* is a fault that strikes one request and is gone; *always* is one that stays. **-** means that the fault cannot
meet the operation. The client has its default settings, but for an `outage_budget` of 10 s and a `request_timeout`
of 5 s, so that waits give up sooner. `WaitError` stands for either of its two classes.

What the command line does where its standard streams are closed, full or without a reader stands with the
[commands](commands.md#output).
"""


def page() -> str:
    """Return the page."""
    count = sum(1 for _ in cells())
    parts = [_HEAD.format(faults=len(CATALOGUE), cells=f"{count:,}")]
    for kind, title in _TITLES.items():
        operations = [operation for operation in OPERATIONS if operation.kind == kind]
        parts.append(f"## {title}\n\n{', '.join(operation.title for operation in operations)}.\n")
        parts.extend(_chapters(operations))
    return "\n".join(parts)


def _chapters(operations: Sequence[Operation]) -> Iterator[str]:
    for chapter, rows in groupby(CATALOGUE, key=lambda row: row.chapter):
        lines = list(_merged(_lines(list(rows), operations)))
        if lines:
            yield f"### {chapter}: {_TITLES[operations[0].kind].lower()}\n"
            yield _line(["fault", "strikes", "result"])
            yield _line(["---"] * 3)
            yield from (_line(["; ".join(names), extent, result]) for names, extent, result in lines)
            yield ""


Line = tuple[list[str], str, str]


def _lines(rows: Sequence[Row], operations: Sequence[Operation]) -> Iterator[Line]:
    for row in rows:
        outcomes = {"once": _outcomes(row.once, operations), "always": _outcomes(row.always, operations)}
        extents = [extent for extent, found in outcomes.items() if any(found)]
        if len(extents) == 2 and outcomes["once"] == outcomes["always"]:
            yield [row.name], "once, always", _result(outcomes["once"], operations)
            continue
        for extent in extents:
            yield [row.name], extent, _result(outcomes[extent], operations)


def _result(outcomes: Sequence[str], operations: Sequence[Operation]) -> str:
    """Return one outcome where it is the same for all operations, and else each with the operations that have it.

    A column for each operation would be too wide for a page: the names of errors are long, and mostly the same.
    """
    if len(set(outcomes)) == 1:
        return _shown(outcomes[0])
    having: dict[str, list[str]] = {}
    for operation, outcome in zip(operations, outcomes, strict=True):
        having.setdefault(outcome, []).append(operation.title)
    return "; ".join(f"{_shown(outcome)} for {', '.join(names)}" for outcome, names in having.items())


def _merged(lines: Iterator[Line]) -> Iterator[Line]:
    """Let faults of the same outcomes share a line."""
    merged: dict[tuple[str, str], Line] = {}
    for names, extent, result in lines:
        same = merged.setdefault((extent, result), ([], extent, result))
        same[0].extend(names)
    return iter(merged.values())


def _outcomes(rule: Rule, operations: Sequence[Operation]) -> list[str]:
    return [rule.get(operation.key, NOTHING) for operation in operations]


def _shown(outcome: str) -> str:
    if outcome == NOTHING:
        return "-"
    return "✓" if outcome == RECOVERS else f"`{outcome}`"


def _line(columns: Sequence[str]) -> str:
    return f"| {' | '.join(columns)} |"


if __name__ == "__main__":
    sys.exit(PAGE.write_text(page(), encoding="utf-8") == 0)
