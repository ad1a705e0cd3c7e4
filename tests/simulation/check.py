"""Plays a world, shared and alone, and returns what it violates."""

from __future__ import annotations

from .dominance import pairs_alone, pairs_to_compare, worse_than_alone
from .invariants import Violation, violations
from .play import play
from .world import World


def check(world: World) -> list[Violation]:
    """Return what a world violates."""
    trace = play(world)
    found = violations(world, trace)
    if trace.stuck is None and trace.calls:
        pairs = pairs_to_compare(world, trace)
        found += worse_than_alone(world, pairs, pairs_alone(world, pairs))
    return found
