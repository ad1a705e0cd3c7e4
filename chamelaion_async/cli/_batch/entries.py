"""What a journal says of each submission: its steps, folded into one entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

import attrs

from .._ui.options import Family
from .rows import Content

__all__ = ["Entry", "Step", "advance", "fold"]


class Step(StrEnum):
    """A step of a submission, as the journal names it."""

    SUBMITTING = "submitting"  # written before the POST: from here on, there may be a job
    REFUSED = "refused"  # there certainly is none
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    FAILED = "failed"
    SAVED = "saved"


@attrs.frozen(kw_only=True)
class Entry:
    """A submission.

    Attributes:
        reference_id: The one that it carries, no two the same.
        content: What its job is made from.
        family: Its family.
        step: The last step.
        request_id: The job, once it is known.
        path: Where its output goes, from when it was completed and nothing stood there.
        queue_seconds: Time in the queue, once it is finished.
        seconds: Time of processing.
        error: Why it was refused, or failed.
    """

    reference_id: str
    content: Content
    family: Family
    step: Step = Step.SUBMITTING
    request_id: str | None = None
    path: str | None = None
    queue_seconds: float | None = None
    seconds: float | None = None
    error: str | None = None

    @property
    def is_submitted(self) -> bool:
        """Whether its job is known."""
        return self.step not in (Step.SUBMITTING, Step.REFUSED)


_FIRST: Final = {"reference_id", "content", "family", "step"}  # written once, when a submission begins
_DETAILS: Final = frozenset(field.name for field in attrs.fields(Entry)) - _FIRST


def fold(steps: Iterable[Mapping[str, Any]]) -> dict[str, Entry]:
    """Return the entries by reference, in order.

    Raises:
        KeyError, TypeError, ValueError: A step is none.
    """
    entries: dict[str, Entry] = {}
    for line in steps:
        entry = advance(entries.get(line["reference_id"]), line)
        entries[entry.reference_id] = entry
    return entries


def advance(entry: Entry | None, line: Mapping[str, Any]) -> Entry:
    """Return an entry after one more step.

    Raises:
        KeyError, TypeError, ValueError: The step is none, or not one of this entry.
    """
    step = Step(line["step"])
    if step is Step.SUBMITTING:
        return Entry(reference_id=line["reference_id"], content=line["content"], family=line["family"])
    if entry is None:
        raise ValueError(f"a journal cannot begin a submission with {step}")
    details = {name: value for name, value in line.items() if name in _DETAILS}
    return attrs.evolve(entry, step=step, **details)
