"""The list of mutants that survive, each with the reason why no test is wanted that would notice it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Final

import attrs

__all__ = ["LIST", "Survivor", "change_between", "read", "write"]

LIST: Final = Path(__file__).with_name("survivors.toml")
_HEAD: Final = """\
# Mutants that live on: function, change ⟦from → to⟧, and why no test is to notice it.
# Compared with each run by check.py, which is also what writes it.
"""


@attrs.frozen(order=True)
class Survivor:
    """A change that no test notices.

    Attributes:
        function: Where, with its module, from the package on.
        change: The changed lines, in which ``⟦from → to⟧`` stands for the change itself.
    """

    function: str
    change: str

    @property
    def original(self) -> str:
        """The lines as they are in the source, joined by blanks."""
        head, _, rest = self.change.partition("⟦")
        before, _, rest = rest.partition(" → ")
        return head + before + rest.partition("⟧")[2]


def change_between(before: str, after: str) -> str:
    """Return two versions of some lines as one, see ``Survivor``."""
    old, new = (re.findall(r"\w+|\W", text) for text in (before, after))
    start = _in_common(old, new)
    end = _in_common(old[start:][::-1], new[start:][::-1])
    middles = ("".join(words[start : len(words) - end]) for words in (old, new))
    return f"{''.join(old[:start])}⟦{' → '.join(middles)}⟧{''.join(old[len(old) - end :])}"


def _in_common(some: Sequence[str], others: Sequence[str]) -> int:
    """Return how many words two lines begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(some, others, strict=False)))


def read(path: Path) -> dict[Survivor, str]:
    """Return the reason for each."""
    tables = tomllib.loads(path.read_text("utf-8"))
    return {
        Survivor(function, change): reason
        for function, reasons in tables.items()
        for change, reason in reasons.items()
    }


def write(path: Path, reasons: Mapping[Survivor, str]) -> None:
    """Write the list, sorted."""
    lines = [_HEAD]
    function = ""
    for survivor in sorted(reasons):
        if survivor.function != function:
            function = survivor.function
            lines.append(f"\n[{_quoted(function)}]\n")
        lines.append(f"{_quoted(survivor.change)} = {_quoted(reasons[survivor])}\n")
    path.write_text("".join(lines), "utf-8")


def _quoted(text: str) -> str:
    # What JSON escapes, TOML reads in the same way.
    return json.dumps(text, ensure_ascii=False)
