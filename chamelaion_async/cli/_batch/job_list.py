"""A list with the files that belong to it: its journal and summary beside it, its outputs in a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import attrs

from ...errors import ConfigurationError
from .checks import check_records, media_problems
from .entries import Entry
from .list_file import Problem, read_list
from .plan import Plan, make_plan

__all__ = ["JobList"]


def _resolved(path: Path) -> Path:
    return path.resolve()


@attrs.frozen
class JobList:
    """A list.

    Attributes:
        path: The file. Symlinks are followed: two names of one list must not have two journals.
        out: The folder for outputs.
    """

    path: Path = attrs.field(converter=_resolved)
    out: Path

    @property
    def journal(self) -> Path:
        """The journal."""
        return self.path.with_name(f"{self.path.name}.journal")

    @property
    def summary(self) -> Path:
        """The summary."""
        return self.path.with_name(f"{self.path.name}.summary.csv")

    def check(self, entries: Mapping[str, Entry], *, overwrite: bool) -> tuple[Plan, list[Problem]]:
        """Return what is left to do, and all that is wrong with the rows, by line.

        Args:
            entries: What the journal says, by reference.
            overwrite: Whether outputs may replace what exists.

        Raises:
            ConfigurationError: The list cannot be read.
        """
        records, unreadable = read_list(self.path)
        rows, wrong = check_records(records, self.out)
        plan, clashes = make_plan(rows, entries, folder=self.path.parent, out=self.out, overwrite=overwrite)
        # Media of jobs that exist may be gone: they were uploaded.
        media = [
            problem
            for each in plan.rows
            if not each.is_submitted
            for problem in media_problems(each.row, self.path.parent)
        ]
        return plan, sorted([*unreadable, *wrong, *clashes, *media])

    def check_out(self) -> None:
        """Check that the folder for outputs can be written, or made.

        Raises:
            ConfigurationError: It cannot.
        """
        folder = self.out if os.path.lexists(self.out) else self.out.absolute().parent
        if not folder.is_dir():
            reason = "it is no folder" if folder == self.out else f"there is no folder {folder}"
            raise ConfigurationError(f"outputs cannot be written to {self.out}: {reason}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigurationError(f"outputs cannot be written to {self.out}: the folder is not writable")

    def make_out(self) -> None:
        """Make the folder for outputs."""
        self.out.mkdir(exist_ok=True)
