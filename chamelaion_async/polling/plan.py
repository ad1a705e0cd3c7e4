"""What the jobs of one wait share: its policy, its deadline, and how its reads count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from ..config import PollPolicy, check_seconds
from ..loading.times import NEVER
from .durations import Durations

__all__ = ["LAST_POLL", "WaitPlan", "make_plan"]

LAST_POLL: Final = 1.0
"""Seconds by which the last poll may outlast the deadline."""


@attrs.define(kw_only=True, eq=False)
class WaitPlan:
    """What the jobs of one wait share, one job or very many.

    Attributes:
        policy: How often to poll, and for how long failures may go on.
        random: Draws the jitter of pauses after failures.
        durations: How long other jobs took, or None if that is not learned.
        started: When the wait began, by the loop's clock, as all times here.
        timeout: Seconds that the wait may last, or None.
        attempts: A number reads each job once, whatever its status, and gives it up after as many failures other than
            429. None polls each job until it is finished, within the policy's budgets.
        latency: Seconds that the last poll took.
        ends_with_pages: Whether a page may answer the last poll, since GETs of very many jobs would come too late.
        deadline: When to stop at the latest.
    """

    policy: PollPolicy
    random: Callable[[], float]
    durations: Durations | None = None
    started: float
    timeout: float | None = None
    attempts: int | None = None
    latency: float = 0.0
    ends_with_pages: bool = False
    deadline: float = attrs.field(init=False)
    reads_once: bool = attrs.field(init=False)
    """Whether each job is read once, with a read that begins after the call."""

    @deadline.default
    def _at_the_timeout(self) -> float:
        return NEVER if self.timeout is None else self.started + self.timeout

    @property
    def landing(self) -> float:
        """From when on a poll is the last one: earlier than the deadline by the time that an answer takes."""
        # So the answer comes at the deadline, and not after it.
        return self.deadline - min(self.latency, LAST_POLL)

    @property
    def max_age(self) -> float:
        """Seconds since which a read of another wait may have begun to count as the first poll of this one."""
        return 0.0 if self.reads_once else self.policy.min_interval

    @reads_once.default
    def _with_attempts_or_without_time(self) -> bool:
        return self.attempts is not None or self.timeout == 0


def make_plan(
    timeout: float | None,
    policy: PollPolicy,
    random: Callable[[], float],
    *,
    durations: Durations | None = None,
    started: float = 0.0,
    attempts: int | None = None,
) -> WaitPlan:
    """Check the timeout, and return a plan. A batch sets ``started`` when it begins."""
    if timeout is not None:
        timeout = check_seconds("timeout", timeout)
    return WaitPlan(
        policy=policy,
        random=random,
        durations=durations if policy.learn else None,
        started=started,
        timeout=timeout,
        attempts=attempts,
    )
