"""What a wait knows of one job, and what it decides: pure, with time as an argument.

The loop that waits for one job and the schedule that waits for many both ask here whether and when to poll again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import attrs

from .._http.retry import backoff, is_ridden_out, retry_after_of
from ..config import PollPolicy, check_seconds
from ..errors import (
    APITimeoutError,
    ChamelaionError,
    NotFoundError,
    RateLimitError,
    WaitTimeoutError,
    WaitUnreachableError,
)
from ..loading.entries import Read, ReadStamp, Snapshot
from ..models import Job
from .spacing import EARLY, age_of, spacing

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["MOST_REFUSALS", "PollState", "WaitPlan", "make_plan", "unanswered"]

J = TypeVar("J", bound=Job)

MOST_REFUSALS: Final = 10
"""How often in a row a read may be answered 429 before a limited number of attempts is used up."""

_LAST_POLL: Final = 1.0  # seconds by which the poll at the deadline may outlast it
_FIRST_BACKOFF: Final = 0.1  # seconds; a policy without a shortest interval must not hammer a service that fails
_NEVER: Final = float("inf")


@attrs.define(kw_only=True, eq=False)
class WaitPlan:
    """What all jobs share that are waited for together, one or very many.

    Attributes:
        policy: How often to poll, and for how long to ride out failures.
        random: Draws the jitter of what comes after a failure.
        started: When the wait began, by the loop's clock, as all times here.
        timeout: Seconds that it may last, or None.
        attempts: To read each job once, whatever its status, and to give it up after so many failures other than 429;
            None polls each to its end, within the policy's budgets.
        latency: Seconds that the last poll took.
        ends_with_pages: Whether a page will do for the last poll too, since GETs of so many would come too late.
        deadline: When to stop at the latest.
    """

    policy: PollPolicy
    random: Callable[[], float]
    started: float
    timeout: float | None = None
    attempts: int | None = None
    latency: float = 0.0
    ends_with_pages: bool = False
    deadline: float = attrs.field(init=False)

    @deadline.default
    def _at_the_timeout(self) -> float:
        return _NEVER if self.timeout is None else self.started + self.timeout

    @property
    def landing(self) -> float:
        """From when on a poll is the last one: as long before the deadline as its answer needs."""
        return self.deadline - min(self.latency, _LAST_POLL)

    @property
    def reads_once(self) -> bool:
        """Whether each job is read once, by a read that begins after the call."""
        return self.attempts is not None or self.timeout == 0


def make_plan(
    timeout: float | None,
    policy: PollPolicy,
    random: Callable[[], float],
    *,
    started: float = 0.0,
    attempts: int | None = None,
) -> WaitPlan:
    """Return a plan with a timeout that was checked. A batch sets ``started`` when it begins."""
    if timeout is not None:
        timeout = check_seconds("timeout", timeout)
    return WaitPlan(policy=policy, random=random, started=started, timeout=timeout, attempts=attempts)


def unanswered(id: str, seconds: float, *, was_sent: bool) -> APITimeoutError:
    """Return the error for a poll whose time was over before its answer came."""
    reason = "was not answered" if was_sent else "could not be sent, for the rate limit or calls before it,"
    return APITimeoutError(
        f"the poll of {id} {reason} within the {seconds:.3g} s that were left",
        sent="maybe" if was_sent else "no",
        method="GET",
        path=id,
    )


@attrs.define(kw_only=True, eq=False)
class _FailureStreak:
    """The failed polls since the last good one; dropped with the next good one.

    Attributes:
        error: Why the last poll failed.
        since: When the first failure was here. Time spent in the queue before it is no outage.
        failures: How many polls failed.
        refusals: How many of them were answered 429.
        not_found_since: When the first 404 was here, or never.
        barred_until: When the last ``Retry-After`` ends.
    """

    error: ChamelaionError
    since: float
    failures: int = 0
    refusals: int = 0
    not_found_since: float = _NEVER
    barred_until: float = -_NEVER


@attrs.define(kw_only=True, eq=False, weakref_slot=False)
class PollState(Generic[J]):
    """One job that is waited for.

    A poll goes ``begin_poll``, then ``saw`` or ``failed``; after it, ``is_over`` and ``pause`` say how to go on.

    Attributes:
        id: The id as it was given.
        plan: What it shares with others.
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
    began: float = _NEVER
    _kept: Any = attrs.field(init=False, default=None)
    _streak: _FailureStreak | None = attrs.field(init=False, default=None)
    _first_seen: float = attrs.field(init=False)

    def keep(self, snapshot: Snapshot[J]) -> Any:
        """Return what is to be kept of a job."""
        return snapshot.request

    def restore(self, kept: Any) -> J:
        """Return the job of which this was kept."""
        request: J = kept
        return request

    def created_at(self, kept: Any) -> datetime:
        """Return when the service accepted the job of which this was kept."""
        created_at: datetime = kept.created_at
        return created_at

    @property
    def request(self) -> J | None:
        """The job as it was last read."""
        return None if self._kept is None else self.restore(self._kept)

    @property
    def last_error(self) -> ChamelaionError | None:
        """Why the last poll failed, if it did."""
        return self._streak.error if self._streak is not None else None

    @property
    def _outage_ends(self) -> float:
        return _NEVER if self._streak is None else self._streak.since + self.plan.policy.outage_budget

    @property
    def _grace_ends(self) -> float:
        return _NEVER if self._streak is None else self._streak.not_found_since + self.plan.policy.not_found_grace

    def standing_refusal(self, now: float) -> ChamelaionError | None:
        """Return the error that still stands where the deadline comes before the end of a ``Retry-After``."""
        streak = self._streak
        if streak is None or now + EARLY >= streak.barred_until:
            return None
        self.is_last_poll = now + EARLY >= self.plan.landing
        return streak.error

    def begin_poll(self, now: float) -> float:
        """Note that a poll is asked for, and return when to give it up, in the queue or on its way."""
        plan = self.plan
        self.is_last_poll = now + EARLY >= plan.landing
        self.polls += 1
        self.began = now
        if not self.is_last_poll:
            return plan.deadline
        longest = plan.policy.request_timeout
        return max(plan.deadline, now + (longest if plan.timeout == 0 else min(_LAST_POLL, longest)))

    def read_timeout(self, now: float) -> float:
        """Return the seconds that a read may take from when it is sent."""
        longest = self.plan.policy.request_timeout
        # Within an outage a read may not outlast the budget either, but has to have a chance.
        return longest if self._streak is None else min(longest, max(self._outage_ends - now, _LAST_POLL))

    def end_poll(self, now: float) -> None:
        """Note the end of a poll that was answered."""
        self.plan.latency = now - self.began
        self.began = _NEVER

    def is_answered_by(self, snapshot: Snapshot[J]) -> bool:
        """Whether a snapshot answers the poll under way, and is not only news that came meanwhile."""
        if self.plan.reads_once:
            return snapshot.request.is_finished or snapshot.stamp.began >= self.plan.started
        if self.began == _NEVER:
            return False
        if snapshot.request.is_finished or not self.is_last_poll:
            return True
        # The last poll is a GET, since a list may lag, and begins at the deadline.
        return snapshot.stamp.began >= self.began and (self.plan.ends_with_pages or not snapshot.stamp.is_page)

    def is_failed_by(self, error: Exception, read: Read[J] | None) -> bool:
        """Whether the failure of a read is one of the poll under way: begun for it, and as patient as it is."""
        if self.began == _NEVER or read is None:
            return self.began != _NEVER
        if isinstance(error, APITimeoutError) and read.timeout < self.read_timeout(self.began):
            return False
        if self.plan.reads_once:
            return read.began >= self.plan.started
        return read.began >= self.began or not self.is_last_poll

    def saw(self, snapshot: Snapshot[J]) -> bool:
        """Record the job as it was read, and return whether it has changed."""
        previous, stamp = self._kept, snapshot.stamp
        self._kept, self.stamp, self._streak = self.keep(snapshot), stamp, None
        if previous is None:
            self._first_seen = stamp.at
        return previous is None or previous != self._kept

    def failed(
        self, error: ChamelaionError, now: float, *, sent_at: float | None = None, answered_at: float = -_NEVER
    ) -> bool:
        """Record a failed poll, and return whether another one may succeed.

        Args:
            error: Why it failed.
            now: When it did.
            sent_at: When its read was sent. The time before that was spent in the queue, and is no outage if others
                were served meanwhile.
            answered_at: When the last good answer to any read came.
        """
        streak = self._streak
        if streak is None:
            streak = self._streak = _FailureStreak(error=error, since=now)
        elif sent_at is not None and self.began < answered_at:
            streak.since += max(sent_at - self.began, 0.0)
        streak.error = error
        streak.failures += 1
        streak.refusals += isinstance(error, RateLimitError)
        if isinstance(error, NotFoundError):
            streak.not_found_since = min(streak.not_found_since, now)
        return self.may_pass(error, now)

    def may_pass(self, error: ChamelaionError, now: float) -> bool:
        """Whether it is worth polling again after an error."""
        if isinstance(error, NotFoundError):
            return now < self._grace_ends
        return self._has_attempts_left(error) and is_ridden_out(error)

    def _has_attempts_left(self, error: ChamelaionError) -> bool:
        plan, streak = self.plan, self._streak
        if plan.attempts is None or streak is None:
            return True
        if not isinstance(error, RateLimitError):
            return streak.failures - streak.refusals < plan.attempts
        return streak.refusals < MOST_REFUSALS and (error.retry_after or 0) <= plan.policy.max_retry_after

    def is_over(self, now: float) -> bool:
        """Whether the time for further polls is over."""
        return self.is_last_poll or now >= self.plan.deadline or now >= self._outage_ends

    def pause(self, now: float, attempt: Callable[[], RetryCallState]) -> float:
        """Return the seconds until the next poll, of which the last one comes at the deadline.

        Args:
            now: The loop's time.
            attempt: Gives what a tenacity wait strategy is to be called with, if the policy has one.
        """
        plan, streak = self.plan, self._streak
        barred_until = -_NEVER
        retry_after = retry_after_of(streak.error) if streak is not None else None
        if streak is not None and retry_after is not None:
            pause = min(retry_after, plan.policy.max_retry_after)
            if streak.failures > 1:
                # A service that names a short time and then refuses again must not be hammered.
                longest = max(plan.policy.max_interval, _FIRST_BACKOFF)
                pause = max(pause, backoff(streak.failures - 1, _FIRST_BACKOFF, longest, plan.random))
            streak.barred_until = barred_until = now + pause
        else:
            pause = self._spacing(now, attempt)
            if streak is not None:
                is_missing = isinstance(streak.error, NotFoundError)
                ends = self._grace_ends if is_missing else self._outage_ends
                pause = min(pause, max(ends - now, 0.0))
        landing = max(plan.landing, now)
        if now + pause < landing:
            return pause
        return (plan.deadline if barred_until > landing else landing) - now

    def _spacing(self, now: float, attempt: Callable[[], RetryCallState]) -> float:
        stamp, streak, policy = self.stamp, self._streak, self.plan.policy
        if policy.wait is not None:
            pause = check_seconds("the pause that PollPolicy.wait returned", policy.wait(attempt()))
            return pause if stamp is None or streak is not None else max(stamp.at + pause - now, 0.0)
        if stamp is None or streak is not None:
            first = max(policy.min_interval, _FIRST_BACKOFF)
            failures = 0 if streak is None else streak.failures
            longest = max(policy.max_interval, first)
            return max(backoff(failures, first, longest, self.plan.random), policy.min_interval)
        if stamp.began < self.plan.started:
            # It was read before this wait began, which would have read it at once if it were alone.
            return max(stamp.began + policy.min_interval - now, 0.0)
        age = age_of(self.created_at(self._kept), stamp.server_time, stamp.at - self._first_seen)
        # A page may take long, and shows nothing that happened since it was sent.
        read_at = stamp.began if stamp.is_page else stamp.at
        return max(read_at + spacing(age, policy, stamp.jitter_draw) - now, 0.0)

    def verdict(self, now: float) -> ChamelaionError:
        """Return the error that tells why the wait ended without a finished job."""
        error, started = self.last_error, self.plan.started
        if isinstance(error, NotFoundError):
            return error  # the time ran out within the grace, but the service's answer is clear
        elapsed = f"{round(now - started, 1):g} s and {self.polls} poll{'s' if self.polls != 1 else ''}"
        status, again = "could not be read", "check the connection, and wait again"
        request = self.request
        if request is not None:
            status, again = f"is still {request.status}", "the job goes on, wait again"
        again += f" with wait_until_finished({self.id!r})"
        details: dict[str, Any] = {
            "id": self.id,
            "last": request,
            "elapsed": now - started,
            "polls": self.polls,
            "last_error": error,
        }
        verdict: ChamelaionError
        if error is not None and self._streak is not None and now >= self._outage_ends:
            verdict = WaitUnreachableError(
                f"request {self.id} {status} after {elapsed}: nothing readable came for "
                f"{round(now - self._streak.since, 1):g} s, last: {error}; {again}",
                **details,
            )
        else:
            why = f" (the last poll failed: {error})" if error is not None else ""
            verdict = WaitTimeoutError(f"request {self.id} {status} after {elapsed}{why}; {again}", **details)
        verdict.__cause__ = error
        return verdict

    def gave_up(self, now: float, *, was_sent: bool) -> ChamelaionError:
        """Record that the poll under way was given up at its deadline, and return the last error there was."""
        if self._streak is not None and not was_sent:
            self._streak.since += now - self.began  # it never left the queue: the error of before still stands
            return self._streak.error
        error = unanswered(self.id, now - self.began, was_sent=was_sent)
        self.failed(error, now)
        return error
