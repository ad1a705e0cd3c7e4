"""Every operation is cancelled at every point where it awaits something.

The loop whose time is real walks through few operations, unless ``CHAMELAION_ALL_CANCELLATIONS`` is set.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .loops import BUSY_THREADS, Loop
from .scenarios import SCENARIOS, Scenario
from .share import stretches, stride
from .walk import Walk

_AT_LEAST = 4
"""Points of the shortest walk: two that are interrupted at once, and the same two when they are done."""


@pytest.mark.parametrize(
    ("loop", "scenario"),
    [pytest.param(*stretch, id=f"{stretch[0].key}: {stretch[1].key}") for stretch in stretches()],
)
def test_an_operation_may_be_cancelled_at_any_point(loop: Loop, scenario: Scenario, tmp_path: Path) -> None:
    walk = Walk(loop=loop, scenario=scenario, folder=tmp_path)

    loop.run(walk.at_every_step_and_again(stride=stride(scenario)))
    loop.run(walk.at_every_step_and_again(moment="when it is done", stride=stride(scenario)))

    assert walk.points >= _AT_LEAST


@pytest.mark.parametrize(
    "scenario", [scenario for scenario in SCENARIOS if scenario.has_threads], ids=lambda scenario: scenario.key
)
def test_an_operation_may_be_cancelled_while_all_threads_are_busy(scenario: Scenario, tmp_path: Path) -> None:
    walk = Walk(loop=BUSY_THREADS, scenario=scenario, folder=tmp_path)

    BUSY_THREADS.run(walk.at_every_step_and_again())
    BUSY_THREADS.run(walk.at_every_step_and_again(moment="when it is done"))

    assert walk.points >= _AT_LEAST
