"""The pause between two polls, as pure functions of age, policy and a random draw."""

from __future__ import annotations

from datetime import datetime

from ..config import PollPolicy

__all__ = ["EARLY", "age_of", "interval_by_age", "spacing"]

EARLY = 0.02
"""Seconds by which a timer may fire early: loops round its time, uvloop to milliseconds."""


def interval_by_age(age: float, policy: PollPolicy) -> float:
    """Return the pause by the age of a job alone, in seconds; ``PollPolicy`` documents the formula."""
    return min(max(age * policy.age_factor, policy.min_interval), policy.max_interval)


def spacing(age: float, policy: PollPolicy, jitter_draw: float, learned: float | None = None) -> float:
    """Return the seconds until the next poll of an unfinished job, with jitter.

    The draw places the pause in the part of its jitter window that lies within the policy's bounds. So the bounds
    hold, and many waits whose pause is at a bound are spread as well.

    Args:
        age: Seconds since the job was accepted, see ``age_of``.
        policy: The bounds, the fraction and the jitter.
        jitter_draw: A number between 0 and 1.
        learned: The pause by the durations of other jobs, which may be longer than ``max_interval``, or None.
    """
    middle = interval_by_age(age, policy) if learned is None else learned
    low = max(middle * (1 - policy.jitter), policy.min_interval)
    high = min(middle * (1 + policy.jitter), max(policy.max_interval, middle))
    return low + (high - low) * jitter_draw


def age_of(created_at: datetime, server_time: datetime | None, watched: float) -> float:
    """Return the age of a job in seconds, by the service's clock.

    Args:
        created_at: When the service accepted the job, by its clock.
        server_time: When the service answered, by its ``Date``, or None if the answer has none.
        watched: Seconds since the first answer that showed the job. It is at least that old, whatever the clocks say.
    """
    if server_time is None:
        return watched
    return max((server_time - created_at).total_seconds(), watched)
