"""When to poll again, as pure functions of age, policy and chance."""

from __future__ import annotations

from datetime import datetime

from ..config import PollPolicy

__all__ = ["EARLY", "age_of", "spacing"]

EARLY = 0.02
"""Seconds by which a timer may go off before its time: loops round, uvloop to milliseconds."""


def spacing(age: float, policy: PollPolicy, jitter_draw: float) -> float:
    """Return the seconds until the next poll of an unfinished job that is ``age`` seconds old.

    The jitter is taken from the part of its window that lies within the policy's bounds, so that many waits at a
    bound are spread as well and the bounds hold all the same.

    Args:
        age: Seconds, see ``age_of``.
        policy: The bounds and the growth.
        jitter_draw: A number between 0 and 1 that places the pause in its window.
    """
    middle = min(max(age * policy.age_factor, policy.min_interval), policy.max_interval)
    low = max(middle * (1 - policy.jitter), policy.min_interval)
    high = min(middle * (1 + policy.jitter), policy.max_interval)
    return low + (high - low) * jitter_draw


def age_of(created_at: datetime, server_time: datetime | None, watched: float) -> float:
    """Return the age of a job in seconds, by the service's clock.

    Args:
        created_at: When the service says that it accepted the job.
        server_time: When the service says that it answered (its ``Date``), or None where it does not say.
        watched: Seconds since the job was first seen here: it is at least as old as that, whatever clocks say.
    """
    if server_time is None:
        return watched
    return max((server_time - created_at).total_seconds(), watched)
