"""The short form of ``nox -s simulate``: the first worlds of each kind, and those in which sharing once did harm."""

from __future__ import annotations

import pytest

from .__main__ import explained, failure_of
from .draw import KINDS
from .judge import judge
from .known import KNOWN

SEEDS = {"waits": 120, "outages": 100, "lists": 50, "limits": 30, "crowds": 15, "submissions": 300}


@pytest.mark.parametrize("kind", KINDS)
def test_no_world_violates_what_waiting_promises(kind: str) -> None:
    for seed in range(SEEDS[kind]):
        failure = failure_of(kind, seed)
        if failure is not None:
            pytest.fail(explained(failure, seconds=5.0), pytrace=False)


@pytest.mark.parametrize("name", KNOWN)
def test_sharing_does_no_harm_any_more_in(name: str) -> None:
    assert [str(violation) for violation in judge(KNOWN[name])] == []
