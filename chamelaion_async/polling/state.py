"""What following one job knows, and what it decides: pure, with time as an argument.

The loop that waits for one job and the schedule that waits for many both ask here whether and when to look again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import attrs

from .._retry import backoff, is_passing
from ..config import PollPolicy, check_seconds
from ..errors import (
    ChamelaionError,
    InvalidResponseError,
    NotFoundError,
    RateLimitError,
    WaitTimeoutError,
    WaitUnreachableError,
)
from ..models import Job
from .schedule import age_of, spacing

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["Look", "PollState", "Sighting", "Terms", "make_terms"]

J = TypeVar("J", bound=Job)

_LAST_LOOK: Final = 1.0  # seconds by which the look at the deadline may outlast it
_EARLY: Final = 0.02  # seconds by which a timer may go off before its time
_FIRST_BACKOFF: Final = 0.1  # seconds; a policy without a shortest interval must not hammer a service that fails
_NEVER: Final = float("inf")


@attrs.frozen(kw_only=True)
class Look:
    """An answer of the service, which may show many requests.

    Attributes:
        server_time: When the service answered, by its own clock, or None where it does not say.
        at: When the answer was here, by the loop's clock.
        chance: A number between 0 and 1 drawn for this answer: all who follow the job jitter their next look by the
            same, and so share it.
    """

    server_time: datetime | None
    at: float
    chance: float


@attrs.frozen
class Sighting(Generic[J]):
    """A request as it was read.

    Attributes:
        request: The request.
        look: The answer that showed it.
    """

    request: J
    look: Look


@attrs.frozen(kw_only=True)
class Terms:
    """What holds for all jobs that are followed together.

    Attributes:
        policy: How often to look, and how much trouble to ride out.
        random: Draws the jitter of what comes after a failure.
        timeout: Seconds that it may last, or None.
        attempts: To see each job once, whatever its status, and to give it up after so many failures other than 429;
            None follows each to its end, by the policy's budgets.
    """

    policy: PollPolicy
    random: Callable[[], float]
    timeout: float | None = None
    attempts: int | None = None


def make_terms(
    timeout: float | None, policy: PollPolicy, random: Callable[[], float], *, attempts: int | None = None
) -> Terms:
    """Return terms with a timeout that was checked."""
    if timeout is not None:
        timeout = check_seconds("timeout", timeout)
    return Terms(policy=policy, random=random, timeout=timeout, attempts=attempts)


_MOST_REFUSALS: Final = 10  # times that one look is answered 429 before a limited number of attempts is used up


@attrs.define(kw_only=True, eq=False)
class PollState(Generic[J]):
    """One job that is followed.

    A look goes ``begin_look``, then ``saw`` or ``failed``; after it, ``is_over`` and ``pause`` say how to go on.

    Attributes:
        id: The id as it was given.
        terms: What holds for all that are followed together.
        started: When the following began, by the loop's clock, as all times here.
        request: The job as it was last read.
        look: When that was.
        last_error: Why the last look failed, if it did.
        polls: Number of looks.
        is_last_look: Whether the look under way is the one at the deadline.
    """

    id: str
    terms: Terms
    started: float
    request: J | None = None
    look: Look | None = None
    last_error: ChamelaionError | None = None
    polls: int = 0
    is_last_look: bool = False
    _last_look_at: float = attrs.field(init=False, default=_NEVER)
    _first_seen: float = attrs.field(init=False, default=0.0)
    _last_good: float = attrs.field(init=False)
    _failures: int = attrs.field(init=False, default=0)
    _refusals: int = attrs.field(init=False, default=0)
    _began: float = attrs.field(init=False, default=0.0)
    _latency: float = attrs.field(init=False, default=0.0)
    _barred_until: float = attrs.field(init=False, default=-_NEVER)

    def __attrs_post_init__(self) -> None:
        if self.terms.timeout == 0:
            self._last_look_at = self.started
        self._last_good = self.started

    @property
    def deadline(self) -> float:
        """When to stop at the latest."""
        return _NEVER if self.terms.timeout is None else self.started + self.terms.timeout

    @property
    def _grace_ends(self) -> float:
        """Until when 404 means "not yet"."""
        return self.started + self.terms.policy.not_found_grace

    @property
    def _outage_ends(self) -> float:
        return self._last_good + self.terms.policy.outage_budget

    def standing_refusal(self, now: float) -> ChamelaionError | None:
        """Return the error that still stands where the deadline comes before the end of a ``Retry-After``."""
        self.is_last_look = now + _EARLY >= self._last_look_at
        return self.last_error if now < self._barred_until else None

    def begin_look(self, now: float) -> float:
        """Note that a look begins, and return the seconds that it may take."""
        self.is_last_look = now + _EARLY >= self._last_look_at
        self.polls += 1
        self._began = now
        policy = self.terms.policy
        if self.is_last_look:
            grace = policy.request_timeout if self.terms.timeout == 0 else _LAST_LOOK
            return max(self.deadline - now, min(grace, policy.request_timeout))
        left = self.deadline - now
        # Within an outage a look may not outlast the budget either, but has to have a chance.
        return left if self.last_error is None else min(left, max(self._outage_ends - now, _LAST_LOOK))

    def end_look(self, now: float) -> None:
        """Note how long a look took that this one asked for itself."""
        self._latency = now - self._began

    def saw(self, sighting: Sighting[J]) -> bool:
        """Take note of the job as it was read, and return whether that is news."""
        previous, at = self.request, sighting.look.at
        self.request, self.look = sighting.request, sighting.look
        self.last_error, self._failures, self._refusals, self._last_good = None, 0, 0, at
        if previous is None:
            self._first_seen = at
            return True
        return previous != sighting.request

    def failed(self, error: ChamelaionError, now: float) -> bool:
        """Take note of a failed look, and return whether another one may succeed."""
        self.last_error = error
        self._failures += 1
        self._refusals += isinstance(error, RateLimitError)
        return self.may_pass(error, now)

    def may_pass(self, error: ChamelaionError, now: float) -> bool:
        """Whether it is worth looking again after an error."""
        attempts = self.terms.attempts
        if isinstance(error, NotFoundError):
            return self.request is None and now < self._grace_ends
        if attempts is not None and not self._has_attempts_left(error, attempts):
            return False
        return is_passing(error) or isinstance(error, InvalidResponseError)

    def _has_attempts_left(self, error: ChamelaionError, attempts: int) -> bool:
        if not isinstance(error, RateLimitError):
            return self._failures - self._refusals < attempts
        return self._refusals < _MOST_REFUSALS and (error.retry_after or 0) <= self.terms.policy.max_retry_after

    def is_over(self, now: float) -> bool:
        """Whether the time for further looks is over."""
        return self.is_last_look or now >= self.deadline or (self.last_error is not None and now >= self._outage_ends)

    def pause(self, now: float, attempt: Callable[[], RetryCallState]) -> float:
        """Return the seconds until the next look, and note whether that is the one at the deadline.

        Args:
            now: The loop's time.
            attempt: Gives what a tenacity wait strategy is to be called with, if the policy has one.
        """
        error, policy, deadline = self.last_error, self.terms.policy, self.deadline
        if isinstance(error, RateLimitError) and error.retry_after is not None:
            pause = min(error.retry_after, policy.max_retry_after)
            if self._failures > 1:
                # A service that says "now" and then refuses again must not be hammered.
                longest = max(policy.max_interval, _FIRST_BACKOFF)
                pause = max(pause, backoff(self._failures - 1, _FIRST_BACKOFF, longest, self.terms.random))
            self._barred_until = now + pause
        else:
            pause = self._spacing(now, attempt)
            if isinstance(error, NotFoundError):
                pause = min(pause, self._grace_ends - now)
            elif error is not None:
                pause = min(pause, self._outage_ends - now)
        # The last look begins as much before the deadline as the one before it took, so that its answer is in time.
        lands = max(deadline - min(self._latency, _LAST_LOOK), now)
        self._last_look_at = _NEVER
        if now + pause >= lands:
            pause = deadline - now if self._barred_until > lands else lands - now
            self._last_look_at = now + pause
        return pause

    def _spacing(self, now: float, attempt: Callable[[], RetryCallState]) -> float:
        policy, request, look = self.terms.policy, self.request, self.look
        if policy.wait is not None:
            pause = check_seconds("the pause that PollPolicy.wait returned", policy.wait(attempt()))
            return pause if look is None or self.last_error is not None else max(look.at + pause - now, 0.0)
        if request is None or look is None or self.last_error is not None:
            first = max(policy.min_interval, _FIRST_BACKOFF)
            pause = backoff(self._failures, first, max(policy.max_interval, first), self.terms.random)
            return max(pause, policy.min_interval)
        age = age_of(request.created_at, look.server_time, look.at - self._first_seen)
        return max(look.at + spacing(age, policy, look.chance) - now, 0.0)

    def verdict(self, now: float) -> ChamelaionError:
        """Return the error that tells why the following ended without a finished job."""
        error, started = self.last_error, self.started
        if isinstance(error, NotFoundError):
            return error  # the time ran out within the grace, but the service's word is clear
        elapsed = f"{round(now - started, 1):g} s and {self.polls} look{'s' if self.polls != 1 else ''}"
        status, again = "could not be read", "check the connection, and wait again"
        if self.request is not None:
            status, again = f"is still {self.request.status}", "the job goes on, wait again"
        again += f" with wait_until_finished({self.id!r})"
        details: dict[str, Any] = {
            "id": self.id,
            "last": self.request,
            "elapsed": now - started,
            "polls": self.polls,
            "last_error": error,
        }
        verdict: ChamelaionError
        if error is not None and now >= self._outage_ends:
            verdict = WaitUnreachableError(
                f"request {self.id} {status} after {elapsed}: nothing readable came for "
                f"{round(now - self._last_good, 1):g} s, last: {error}; {again}",
                **details,
            )
        else:
            trouble = f" (the last look failed: {error})" if error is not None else ""
            verdict = WaitTimeoutError(f"request {self.id} {status} after {elapsed}{trouble}; {again}", **details)
        verdict.__cause__ = error
        return verdict
