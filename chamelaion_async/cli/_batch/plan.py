"""What is left to do for each row: the rows of the list, matched with the submissions of the journal.

A row with a ``reference_id`` is the submission that carries it. One without is a submission of the same work,
whatever reference was made up for it. So rows may be added, removed, moved and given other outputs between two runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from .entries import Entry, Step
from .list_file import Problem
from .rows import Row, is_same_work

__all__ = ["Plan", "PlannedRow", "make_plan"]

_WITHOUT_JOB = (Step.REFUSED, Step.FAILED)  # after which the same work may be ordered under a new reference


@attrs.frozen(kw_only=True)
class PlannedRow:
    """A row, its submission if there is one, and where its output goes.

    Attributes:
        row: The row.
        entry: The submission, or None.
        target: The file, for a translation the folder.
        path: The target as the journal names it.
    """

    row: Row
    entry: Entry | None
    target: Path
    path: str

    @property
    def is_begun(self) -> bool:
        """Whether an earlier run may have begun to write this very output. What exists of it, it has completed."""
        return self.entry is not None and self.entry.path == self.path

    @property
    def is_submitted(self) -> bool:
        """Whether its job is known."""
        return self.entry is not None and self.entry.is_submitted

    @property
    def is_free(self) -> bool:
        """Whether nothing stands where the output goes."""
        if self.row.languages and self.target.is_dir():
            return not any(self.target.iterdir())
        return not os.path.lexists(self.target)

    @property
    def is_saved(self) -> bool:
        """Whether nothing is left to do."""
        return self.is_begun and self.entry is not None and self.entry.step is Step.SAVED and self.target.exists()


@attrs.frozen(kw_only=True)
class Plan:
    """What is left to do.

    Attributes:
        rows: In the order of the list.
        others: Open submissions of the journal that are of no row.
    """

    rows: Sequence[PlannedRow]
    others: Sequence[Entry]


def make_plan(
    rows: Sequence[Row], entries: Mapping[str, Entry], *, folder: Path, out: Path, overwrite: bool
) -> tuple[Plan, list[Problem]]:
    """Match rows with submissions, and check that their outputs can be written.

    Args:
        rows: The rows.
        entries: The submissions, by reference.
        folder: The folder of the list, from which the journal names paths, so that both may be moved together.
        out: The folder for outputs.
        overwrite: Whether outputs may replace what exists.
    """
    found, others, problems = _match(rows, entries)
    planned = [
        PlannedRow(row=row, entry=found.get(row.line), target=out / row.out, path=_named(out / row.out, folder))
        for row in rows
    ]
    if not overwrite:
        problems += _existing(planned)
    return Plan(rows=planned, others=others), problems


def _match(rows: Sequence[Row], entries: Mapping[str, Entry]) -> tuple[dict[int, Entry], list[Entry], list[Problem]]:
    """Assign each submission to one row at most.

    Returns:
        The submissions by line, the open ones of no row, and what is wrong.
    """
    found: dict[int, Entry] = {}
    problems: list[Problem] = []
    free = dict(entries)
    new = []
    for row in rows:
        entry = free.pop(row.reference_id or "", None)
        if entry is None:
            new.append(row)
        else:
            found[row.line] = entry
            problems += _other_work(row, entry)
    for row in new:
        if row.reference_id is None and (entry := _of_same_work(row, free)) is not None:
            found[row.line] = free.pop(entry.reference_id)
    for row in new:
        if row.reference_id is not None:
            problems += _renamed(row, free)
    others = [each for each in free.values() if each.step in (Step.SUBMITTING, Step.ACCEPTED, Step.COMPLETED)]
    return found, others, problems


def _other_work(row: Row, entry: Entry) -> Iterator[Problem]:
    # A submission that was refused has cost nothing, and the row may have been corrected since.
    if entry.step is not Step.REFUSED and not is_same_work(row.content, entry.content):
        reason = f"{row.reference_id!r} was submitted for other work ({_shown(entry)}); choose a new reference_id"
        yield Problem(row.line, "reference_id", reason)


def _of_same_work(row: Row, free: Mapping[str, Entry]) -> Entry | None:
    same = [entry for entry in free.values() if entry.content == row.content]
    # Of several, the one whose job has been paid for.
    return min(same, key=lambda entry: entry.step in _WITHOUT_JOB, default=None)


def _renamed(row: Row, free: dict[str, Entry]) -> Iterator[Problem]:
    """Refuse a reference that was changed after the submission: the row would be paid for again."""
    entry = _of_same_work(row, free)
    if entry is not None and entry.step not in _WITHOUT_JOB:
        del free[entry.reference_id]
        reason = f"the same work was submitted as {entry.reference_id!r}; to go on with that job, write this here"
        yield Problem(row.line, "reference_id", reason)


def _shown(entry: Entry) -> str:
    return ", ".join(str(value) for name, value in entry.content.items() if name in ("video", "audio"))


def _existing(planned: Iterable[PlannedRow]) -> Iterator[Problem]:
    """Yield a problem for each output that exists and that no earlier run has begun."""
    for each in planned:
        if not each.is_begun and not each.is_free:
            yield Problem(each.row.line, "out", f"{each.target} exists; choose another name, or pass --overwrite")


def _named(target: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(target, folder)).as_posix()
    except ValueError:  # on another drive
        return target.absolute().as_posix()
