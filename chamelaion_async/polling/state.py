"""What a wait knows of one job, and whether and when to poll it again: pure, with time as an argument.

The loop for a single wait and the batch both use it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import attrs

from .._http.retry import backoff, retry_after_of
from ..config import check_seconds
from ..errors import APITimeoutError, ChamelaionError, NotFoundError
from ..loading.entries import Read
from ..loading.packing import Packed, created_at_of, languages_of, model_of, started_at_of, unpack
from ..loading.snapshot import ReadStamp, Snapshot
from ..loading.times import ALWAYS, NEVER
from ..models import Job
from .durations import kind_of
from .failed_polls import FailureStreak
from .intervals import EARLY, age_of, spacing
from .plan import LAST_POLL, WaitPlan
from .wait_errors import unanswered, unfinished

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["PollState"]

J = TypeVar("J", bound=Job)

_FIRST_BACKOFF: Final = 0.1  # seconds; a policy with min_interval=0 must not hammer a service that fails


@attrs.define(kw_only=True, eq=False, weakref_slot=False)
class PollState(Generic[J]):
    """One job of a wait.

    The order of calls: ``begin_poll``; then ``saw`` and ``end_poll``, or ``failed``; then ``is_over`` and ``pause``.

    Attributes:
        id: The id as the caller gave it.
        plan: What the jobs of the wait share.
        stamp: The answer that showed the job last.
        polls: How many polls were begun.
        is_last_poll: Whether the poll under way is the one at the deadline.
        began: When the poll under way was asked for, or never.
    """

    id: str
    plan: WaitPlan
    stamp: ReadStamp | None = None
    polls: int = 0
    is_last_poll: bool = False
    began: float = NEVER
    _packed: Packed | None = attrs.field(init=False, default=None)
    _streak: FailureStreak | None = attrs.field(init=False, default=None)
    _first_seen: float = attrs.field(init=False)

    @property
    def request(self) -> J | None:
        """The job as it was last read."""
        return None if self._packed is None else unpack(self._packed)

    @property
    def last_error(self) -> ChamelaionError | None:
        """The error of the last poll, or None if it was good."""
        return self._streak.error if self._streak is not None else None

    @property
    def _outage_ends(self) -> float:
        return NEVER if self._streak is None else self._streak.outage_ends(self.plan.policy)

    def standing_refusal(self, now: float) -> ChamelaionError | None:
        """Return the error whose ``Retry-After`` has not ended yet, since the deadline comes before its end."""
        streak = self._streak
        if streak is None or now + EARLY >= streak.barred_until:
            return None
        self.is_last_poll = now + EARLY >= self.plan.landing
        return streak.error

    def begin_poll(self, now: float) -> float:
        """Record that a poll is asked for, and return when to give it up, whether it was sent by then or not."""
        plan = self.plan
        self.is_last_poll = plan.deadline < NEVER and now + EARLY >= plan.landing
        self.polls += 1
        self.began = now
        # Only the last poll may outlast the deadline.
        if not self.is_last_poll:
            return plan.deadline
        longest = plan.policy.request_timeout
        return max(plan.deadline, now + (longest if plan.timeout == 0 else min(LAST_POLL, longest)))

    def read_timeout(self, now: float) -> float:
        """Return the seconds that a read may take once it is sent."""
        longest = self.plan.policy.request_timeout
        # During an outage a read may not outlast the budget either, but needs the time for an answer.
        return longest if self._streak is None else min(longest, max(self._outage_ends - now, LAST_POLL))

    @property
    def needs_get(self) -> bool:
        """Whether only a GET can answer the poll under way: the last one, since a list may lag."""
        return self.is_last_poll and self.plan.attempts is None and not self.plan.ends_with_pages

    def end_poll(self, now: float) -> None:
        """Record that the poll under way was answered."""
        self.plan.latency = now - self.began
        self.began = NEVER

    def is_answered_by(self, snapshot: Snapshot[J]) -> bool:
        """Whether a snapshot answers the poll under way; otherwise it is only news."""
        if self.plan.reads_once:
            is_late_enough = snapshot.stamp.began >= self.plan.started
            return snapshot.request.is_finished or (
                is_late_enough and not (self.needs_get and snapshot.stamp.is_page)
            )
        if self.began == NEVER:
            return False
        if snapshot.request.is_finished or not self.is_last_poll:
            return True
        return snapshot.stamp.began >= self.began and not (self.needs_get and snapshot.stamp.is_page)

    def is_failed_by(self, error: Exception, read: Read[J] | None) -> bool:
        """Whether a failed read fails the poll under way: it had no less time for the answer than the poll allows.

        A read that was sent before the poll was asked for fails it as well, since most polls are soon repeated. It
        does not if another read has replaced it, or if the poll is the last one or one of a few attempts.
        """
        if self.began == NEVER or read is None:
            return self.began != NEVER
        # Another wait may allow less time: its timeout says nothing of what this one allows.
        if isinstance(error, APITimeoutError) and read.timeout < self.read_timeout(self.began):
            return False
        needs_own = self.is_last_poll or self.plan.reads_once or read.is_overdue
        return read.began >= self.began or not needs_own

    def saw(self, snapshot: Snapshot[J]) -> bool:
        """Record the job as a read showed it, and return whether it has changed."""
        previous, stamp = self._packed, snapshot.stamp
        self._packed, self.stamp, self._streak = snapshot.packed, stamp, None
        if previous is None:
            self._first_seen = stamp.at
        return previous is None or previous != self._packed

    def failed(
        self, error: ChamelaionError, now: float, *, sent_at: float | None = None, answered_at: float = ALWAYS
    ) -> bool:
        """Record a failed poll, and return whether another one may succeed.

        Args:
            error: Why the poll failed.
            now: The loop's time.
            sent_at: When the poll's read was sent. The time in the queue before that does not use up the outage
                budget if other reads were answered meanwhile.
            answered_at: When the last good answer to any read came.
        """
        streak = self._streak
        if streak is None:
            streak = self._streak = FailureStreak(error=error, since=now)
        elif sent_at is not None and self.began < answered_at:
            streak.since += max(sent_at - self.began, 0.0)
        streak.add(error, now)
        return self.may_pass(now)

    def may_pass(self, now: float) -> bool:
        """Whether another poll may succeed after the last one failed."""
        return self._streak is None or self._streak.may_pass(self.plan.policy, self.plan.attempts, now)

    def is_over(self, now: float) -> bool:
        """Whether there is no time for another poll."""
        return self.is_last_poll or now >= self.plan.deadline or now >= self._outage_ends

    def pause(
        self, now: float, attempt: Callable[[], RetryCallState], price: Callable[[], float] = lambda: 1.0
    ) -> float:
        """Return the seconds until the next poll, of which the last one comes at the deadline.

        Args:
            now: The loop's time.
            attempt: Returns the argument for the policy's tenacity wait strategy, if it has one.
            price: Returns what a poll of this job costs, as a multiple of a poll of its own.
        """
        plan, streak = self.plan, self._streak
        barred_until = ALWAYS
        retry_after = retry_after_of(streak.error) if streak is not None else None
        if streak is not None and retry_after is not None:
            pause = min(retry_after, plan.policy.max_retry_after)
            if streak.failures > 1:
                # A service may name a short time and refuse again: the backoff keeps polls apart.
                longest = max(plan.policy.max_interval, _FIRST_BACKOFF)
                pause = max(pause, backoff(streak.failures - 1, _FIRST_BACKOFF, longest, plan.random))
            streak.barred_until = barred_until = now + pause
        else:
            pause = self._spacing(now, attempt, price)
            if streak is not None:
                pause = min(pause, max(streak.ends(plan.policy) - now, 0.0))
        landing = max(plan.landing, now)
        if now + pause < landing:
            return pause
        return (plan.deadline if barred_until > landing else landing) - now

    def _spacing(self, now: float, attempt: Callable[[], RetryCallState], price: Callable[[], float]) -> float:
        stamp, streak, policy = self.stamp, self._streak, self.plan.policy
        if policy.wait is not None:
            pause = check_seconds("the pause that PollPolicy.wait returned", policy.wait(attempt()))
            return pause if stamp is None or streak is not None else max(stamp.at + pause - now, 0.0)
        if stamp is None or streak is not None or self._packed is None:
            first = max(policy.min_interval, _FIRST_BACKOFF)
            failures = 0 if streak is None else streak.failures
            longest = max(policy.max_interval, first)
            return max(backoff(failures, first, longest, self.plan.random), policy.min_interval)
        if stamp.began < self.plan.started:
            # Another wait read it before this one began; alone, this wait would have polled at once.
            return max(stamp.began + policy.min_interval - now, 0.0)
        packed, watched = self._packed, stamp.at - self._first_seen
        age = age_of(created_at_of(packed), stamp.server_time, watched)
        learned = None
        if self.plan.durations is not None:
            started_at = started_at_of(packed)
            learned = self.plan.durations.pause(
                kind_of(model_of(packed), languages_of(packed)),
                policy,
                age if started_at is None else age_of(started_at, stamp.server_time, watched),
                is_processing=started_at is not None,
                price=price,
            )
        # A page may take long, and shows nothing that happened after it was sent.
        read_at = stamp.began if stamp.is_page else stamp.at
        return max(read_at + spacing(age, policy, stamp.jitter_draw, learned) - now, 0.0)

    def verdict(self, now: float) -> ChamelaionError:
        """Return the error of a wait that ended without a finished job."""
        streak, error = self._streak, self.last_error
        if isinstance(error, NotFoundError):
            return error  # the deadline came within the grace, but the service's answer is clear
        return unfinished(
            self.id,
            self.request,
            error,
            elapsed=now - self.plan.started,
            polls=self.polls,
            unread_for=now - streak.since if streak is not None and now >= self._outage_ends else None,
        )

    def gave_up(self, now: float, *, was_sent: bool) -> ChamelaionError:
        """Record that the poll under way was given up at its deadline, and return the wait's last error."""
        seconds = now - self.began
        if self._streak is not None and not was_sent:
            self._streak.since += seconds  # it never left the queue: the last error still stands
            return self._streak.error
        error = unanswered(self.id, seconds, was_sent=was_sent)
        self.failed(error, now)
        return error
