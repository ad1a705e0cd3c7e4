"""Plays a world, shared and alone, and says what it violates."""

from __future__ import annotations

from .dominance import comparable, hurt, lone_calls
from .invariants import Violation, violations
from .play import play
from .world import World

__all__ = ["judge"]


def judge(world: World) -> list[Violation]:
    """Return what a world violates."""
    trace = play(world)
    found = violations(world, trace)
    if trace.held is None and trace.calls:
        pairs = comparable(world, trace)
        found += hurt(world, pairs, lone_calls(world, pairs))
    return found
