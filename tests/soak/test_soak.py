"""A short form of the soak, and proof that its checks fail where they should."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from soak import Tally, soak


async def test_every_waiter_gets_the_true_end_of_its_job_once_although_the_service_breaks() -> None:
    tally = await soak(seconds=4, jobs=120, seed=1, longest=4.0)
    assert (tally.wrong, tally.leftovers) == ([], [])
    assert sum(tally.ends.values()) + tally.cancelled == tally.jobs == 120
    assert tally.faults > 0
    assert tally.cancelled > 0
    assert set(tally.ends) == {"completed", "failed"}


@pytest.mark.parametrize(
    ("field", "value"), [("wrong", ["x came twice"]), ("leftovers", ["<Task pending>"]), ("jobs", 1)]
)
def test_a_run_with_an_error_is_not_good(field: str, value: object) -> None:
    tally = Tally()
    assert tally.is_good
    setattr(tally, field, value)
    assert not tally.is_good
