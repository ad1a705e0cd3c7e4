"""What is printed of a batch as a whole: what is wrong with the list, what would be done, and what was done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta

from .._ui.json_records import record
from .._ui.printing import print_error, print_line, print_note
from .._ui.text import clean, seconds
from .entries import Step
from .list_file import Problem
from .plan import Plan
from .progress import RowProgress

__all__ = ["counts", "print_others", "print_plan", "print_problems"]


def print_problems(name: str, problems: Sequence[Problem], *, json: bool) -> None:
    """Print what is wrong with a list."""
    for line, column, reason in problems:
        print_error(f"{name}:{line}: {column}: {reason}" if column else f"{name}:{line}: {reason}")
        if json:
            print_line(record(id=None, error="ConfigurationError", message=reason, line=line, column=column or None))
    lines = len({problem.line for problem in problems})
    print_note(f"{lines} {'line is' if lines == 1 else 'lines are'} wrong; nothing was submitted")


def print_plan(plan: Plan, rate: float, *, json: bool) -> None:
    """Print what a run would do."""
    rows = [RowProgress(planned) for planned in plan.rows]
    ended = Counter(row.state for row in rows if row.is_ended)
    new = sum(row.step in (None, Step.REFUSED) for row in rows)
    begun = len(rows) - new - ended.total()
    if json:
        print_line(record(rows=len(rows), to_submit=new, to_continue=begun, **ended))
        return
    parts = [f"{new} to submit", f"{begun} to continue", *(f"{count} {state}" for state, count in ended.items())]
    print_line(f"{_rows(len(rows))}: {', '.join(parts)}. Nothing was sent.")
    if new > 1:
        print_line(f"At {rate:g} a minute, to submit them takes {seconds(timedelta(minutes=(new - 1) / rate))}.")


def print_others(plan: Plan) -> None:
    """Print which jobs belong to rows that were removed from the list."""
    if plan.others:
        ids = ", ".join(clean(entry.request_id or entry.reference_id) for entry in plan.others)
        print_note(f"{len(plan.others)} open in the journal and no longer in the list, left alone: {ids}")


def counts(rows: Iterable[RowProgress]) -> str:
    """Return how many rows are in which state."""
    states = Counter(clean(row.state) for row in rows)
    parts = ", ".join(f"{count} {state}" for state, count in states.most_common())
    return f"{_rows(states.total())}: {parts}."


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"
