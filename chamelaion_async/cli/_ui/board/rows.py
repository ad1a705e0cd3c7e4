"""The rows of a board: one for each name, counted by stage as they change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, Literal

import attrs

__all__ = ["Row", "Rows", "Stage"]

Kind = Literal["problem", "active", "idle", "done"]

_KINDS: Final[tuple[Kind, ...]] = ("problem", "active", "idle", "done")


@attrs.frozen(kw_only=True, eq=False)
class Stage:
    """One of the states that a board counts.

    Attributes:
        name: One or two words, for the count and for rows without a status of their own.
        mark: One character in front of rows and count: colours alone do not tell the stages apart.
        plain_mark: The same on a terminal without Unicode.
        style: Colour of the status, as Rich names it.
        kind: ``"problem"``, ``"active"``, ``"idle"`` or ``"done"``. Where not all rows have room, problems are shown
            first, then active rows, then idle ones, each kind in the order of its stages.
        has_ended: Whether the row counts as ended in the bar.
    """

    name: str
    mark: str
    plain_mark: str
    style: str
    kind: Kind
    has_ended: bool = False


@attrs.frozen(kw_only=True, eq=False)
class Row:
    """What a board shows of one name.

    Attributes:
        stage: The stage.
        status: One or two words, for the column of statuses; by default the name of the stage.
        detail: What follows the status: times, a reason, a size. It is cut where the line ends.
        elapsed: Seconds that have passed, for the bar of a row with ``remaining``.
        remaining: Seconds that are probably left, or None if that is not known. They are shown in place of
            ``detail``.
    """

    stage: Stage
    status: str = ""
    detail: str = ""
    elapsed: float = 0.0
    remaining: float | None = None


class Rows:
    """Rows by name, in order; each change costs the same however many there are.

    Args:
        names: The names.
        stages: All stages, in the order of their counts. Each name begins in the first one.
    """

    def __init__(self, names: Iterable[str], stages: Iterable[Stage]) -> None:
        # The names of each stage, in the order in which they came into it.
        self._names: dict[Stage, dict[str, None]] = {stage: {} for stage in stages}
        first = Row(stage=next(iter(self._names)))
        self._rows: dict[str, Row] = {}
        for name in names:
            self.put(name, first)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, name: str) -> Row:
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def put(self, name: str, row: Row) -> None:
        """Set the row of a name; a new name comes last."""
        before = self._rows.get(name)
        self._rows[name] = row
        if before is None or before.stage is not row.stage:
            if before is not None:
                del self._names[before.stage][name]
            self._names[row.stage][name] = None

    @property
    def counts(self) -> Mapping[Stage, int]:
        """How many rows are in each stage."""
        return {stage: len(names) for stage, names in self._names.items()}

    @property
    def ended(self) -> int:
        """How many rows have ended."""
        return sum(len(names) for stage, names in self._names.items() if stage.has_ended)

    def shown(self, room: int) -> list[str]:
        """Return the names of the rows to show.

        Args:
            room: How many have room. If that is enough for all, they keep their order. Otherwise come problems, which
                take half of the room at most while there are active rows for the other half, then active rows, then
                the others. Of too many rows of a stage, those are shown that came into it first if they are open, and
                last if not.
        """
        if len(self._rows) <= room:
            return [*self._rows]
        active = sum(len(names) for stage, names in self._names.items() if stage.kind == "active")
        shown: list[str] = []
        for kind in _KINDS:
            left = max(room - len(shown), 0)
            if kind == "problem":
                left = max(left - active, (left + 1) // 2)
            for stage, names in self._names.items():
                if stage.kind == kind:
                    # Open rows stay where they are until they end, and of the others there is news.
                    is_open = kind in ("active", "idle")
                    found = [*islice(names if is_open else reversed(names), left)]
                    shown += found if is_open else reversed(found)
                    left -= len(found)
        return shown
