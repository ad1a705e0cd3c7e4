"""The short form of ``nox -s simulate``: the first worlds of each kind, and those in which sharing once did harm.

What sharing promises is one sentence on two pages. A wait that knows of the end later than it says, or ends worse, is
a violation of number 11; see ``dominance``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .__main__ import failure_of, report
from .check import check
from .draw import KINDS
from .known import KNOWN

SEEDS = {"waits": 120, "outages": 100, "lists": 50, "limits": 30, "crowds": 15, "submissions": 300, "replicas": 40}
ROOT = Path(__file__).parents[2]
PROMISE = (
    "a wait that shares its polls learns of the end no later and no worse than the same wait would alone, "
    "except for the time of two answers and for what the rate limit needs."
)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_worlds_violate_nothing(kind: str) -> None:
    for seed in range(SEEDS[kind]):
        failure = failure_of(kind, seed)
        if failure is not None:
            pytest.fail(report(failure, seconds=5.0), pytrace=False)


@pytest.mark.parametrize("name", KNOWN)
def test_a_world_that_once_failed_violates_nothing(name: str) -> None:
    assert [str(violation) for violation in check(KNOWN[name])] == []


def test_worlds_with_waits_of_each_kind_once_failed() -> None:
    waits = [world for world in KNOWN.values() if world.users]
    assert len(waits) >= 20
    assert {world.kind for world in waits} == {"waits", "outages", "crowds", "limits", "lists"}


@pytest.mark.parametrize("page", ["README.md", "docs/why.md"])
def test_the_page_says_what_sharing_promises(page: str) -> None:
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    assert text.lower().count(PROMISE) == 1
