"""The one sentence that says what sharing promises: the pages say the same, and the worlds prove it.

A wait that learned of the end later than this, or ended worse, is a violation of number 11; see ``dominance``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .judge import judge
from .known import KNOWN

ROOT = Path(__file__).parents[2]
PROMISE = (
    "a wait that shares its polls learns of the end no later and no worse than the same wait would alone, "
    "but for the time of two answers and for what the rate limit needs."
)
WAITS = [name for name, world in KNOWN.items() if world.users]


@pytest.mark.parametrize("page", ["README.md", "docs/why.md"])
def test_the_page_says_what_sharing_promises(page: str) -> None:
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    assert text.lower().count(PROMISE) == 1


@pytest.mark.parametrize("name", WAITS)
def test_what_sharing_promises_is_kept_in(name: str) -> None:
    assert [str(violation) for violation in judge(KNOWN[name]) if violation.number == "11"] == []


def test_worlds_of_each_kind_prove_it() -> None:
    assert len(WAITS) >= 20
    assert {KNOWN[name].kind for name in WAITS} == {"waits", "crowds", "limits"}
