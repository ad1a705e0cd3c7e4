"""An operation is cancelled by what stands around it, and that alone says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import surroundings
from .loops import LOOPS, Loop
from .scenarios import SCENARIOS, Scenario
from .share import STRIDE, stride
from .surroundings import Around, Surrounded
from .walk import Walk

AROUND = (surroundings.limited, surroundings.limited_twice, surroundings.beside_a_sibling, surroundings.over_a_child)
ROWS = [
    (loop, around, scenario, 1 + (number + shift) % STRIDE)
    for loop in LOOPS
    if loop.is_virtual
    for shift, around in enumerate(AROUND)
    for number, scenario in enumerate(SCENARIOS)
]


@pytest.mark.parametrize(
    ("loop", "around", "scenario", "first"),
    [pytest.param(*row, id=f"{row[0].key}: {row[1].__name__}: {row[2].key}") for row in ROWS],
)
def test_what_stands_around_says_why(
    loop: Loop, around: Around, scenario: Scenario, first: int, tmp_path: Path
) -> None:
    walk = Walk(loop=loop, scenario=scenario, folder=tmp_path, perform=Surrounded(around))

    loop.run(walk.at_every_step(first=first, stride=STRIDE * stride(scenario)))

    assert walk.points >= 1
