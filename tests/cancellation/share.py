"""How much is walked: with ``CHAMELAION_ALL_CANCELLATIONS`` set all of it, otherwise a share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from .loops import LOOPS, Loop
from .scenarios import SCENARIOS, Scenario

IS_WHOLE: Final = bool(os.environ.get("CHAMELAION_ALL_CANCELLATIONS"))

STRIDE: Final = 1 if IS_WHOLE else 3
"""One suspension of so many is interrupted, where not all are."""

_LONG_STRIDE: Final = 1 if IS_WHOLE else 7

_FEW: Final = frozenset(
    {"get", "wait", "as_finished", "wait, a batch beside it", "generate_with_media, paths", "download"}
)
"""What is walked on a loop whose time is real."""


def stride(scenario: Scenario) -> int:
    """Return of how many suspensions one is interrupted on the walk through a scenario."""
    return _LONG_STRIDE if scenario.is_long else 1


def stretches() -> Iterator[tuple[Loop, Scenario]]:
    """Yield what is walked through on which loop."""
    for loop in LOOPS:
        for scenario in SCENARIOS:
            if loop.is_virtual or (not scenario.is_slow and (IS_WHOLE or scenario.key in _FEW)):
                yield loop, scenario
