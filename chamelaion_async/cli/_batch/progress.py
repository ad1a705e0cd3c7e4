"""How far a row has come in this run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from ...errors import ChamelaionError
from ...models import Job
from .._ui.errors import exit_code, explain, label
from .._ui.exits import ExitCode
from .entries import Entry, Step
from .journal import Journal
from .plan import PlannedRow
from .rows import Row

__all__ = ["RowProgress"]


@attrs.define(eq=False)
class RowProgress:
    """A row on its way.

    Attributes:
        planned: What was left to do.
        entry: Its submission, as the journal has it by now.
        job: Its job as it was last read in this run.
        error: What ended the work on the row in this run.
        paths: The files that were saved in this run.
    """

    planned: PlannedRow
    entry: Entry | None = attrs.field(default=attrs.Factory(lambda self: self.planned.entry, takes_self=True))
    job: Job | None = None
    error: ChamelaionError | None = None
    paths: Sequence[Path] = ()

    @property
    def row(self) -> Row:
        """The row of the list."""
        return self.planned.row

    @property
    def step(self) -> Step | None:
        """The last step in the journal."""
        return None if self.entry is None else self.entry.step

    @property
    def is_ended(self) -> bool:
        """Whether nothing is left to do, in this run or another."""
        return self.step is Step.FAILED or (self.step is Step.SAVED and (bool(self.paths) or self.planned.is_saved))

    @property
    def is_submitted(self) -> bool:
        """Whether its job is known."""
        return self.entry is not None and self.entry.is_submitted

    @property
    def state(self) -> str:
        """What has become of it, in a word or two."""
        match self.step:
            case None | Step.REFUSED:
                return "not submitted"
            case Step.SUBMITTING:
                return "unsure"
            case Step.ACCEPTED:
                if self.error is not None:
                    return label(self.error)
                return "accepted" if self.job is None else self.job.status
            case Step.SAVED if not self.is_ended:
                return "completed"
        return str(self.step)

    @property
    def reason(self) -> str:
        """Why there is no output; empty if there is one, or may yet be."""
        if self.error is not None:
            return explain(self.error)
        if self.step is Step.FAILED and self.entry is not None:
            return self.entry.error or "the service gave no reason"
        return ""

    @property
    def explained(self) -> str:
        """The reason with the place of the row, as a line for the user."""
        return f"line {self.row.line}, {self.row.out}: {self.reason}"

    @property
    def code(self) -> ExitCode:
        """The exit code for the row."""
        if self.is_ended:
            return ExitCode.OK if self.step is Step.SAVED else ExitCode.FAILED
        return ExitCode.UNAVAILABLE if self.error is None else exit_code(self.error)

    @property
    def files(self) -> Sequence[Path]:
        """The outputs: the files of this run, or what an earlier one has saved."""
        return self.paths or ([self.planned.target] if self.planned.is_saved else [])

    @property
    def reference_id(self) -> str | None:
        """The reference that its submission carries or will carry, if it is known."""
        return self.row.reference_id if self.entry is None else self.entry.reference_id

    @property
    def request_id(self) -> str:
        """The UUID of its job; empty if it is not known."""
        return (self.entry.request_id if self.entry is not None else None) or ""

    async def write(
        self, journal: Journal, step: Step, *, reference_id: str | None = None, **details: object
    ) -> None:
        """Record a step in the journal, after which it is taken.

        Args:
            journal: The journal.
            step: The step.
            reference_id: The one of a submission that begins; by default that of the present one.
            details: Fields of ``Entry``.

        Raises:
            JournalError: It cannot be written.
        """
        self.entry = await journal.write(reference_id or str(self.reference_id), step, **details)
