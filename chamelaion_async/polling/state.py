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
from .shape import Packed, Shape

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["Look", "PollState", "Pursuit", "Sighting", "Terms", "make_terms"]

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


@attrs.define
class Sighting(Generic[J]):
    """A request as it was read.

    Attributes:
        request: The request.
        look: The answer that showed it.
    """

    request: J
    look: Look
    _packed: Packed | None = attrs.field(init=False, default=None, eq=False, repr=False)

    def packed(self, shape: Shape[J]) -> Packed:
        """Return the request packed, the same for all who keep it."""
        if self._packed is None:
            self._packed = shape.pack(self.request)
        return self._packed


@attrs.frozen(kw_only=True)
class Terms:
    """How jobs are to be followed.

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


@attrs.define(kw_only=True, eq=False)
class Pursuit:
    """What jobs share that are followed together, one or very many.

    Attributes:
        terms: How they are followed.
        started: When that began, by the loop's clock, as all times here.
        deadline: When to stop at the latest.
        latency: Seconds that the last look took.
    """

    terms: Terms
    started: float
    deadline: float = attrs.field(init=False)
    latency: float = 0.0

    @deadline.default
    def _at_the_timeout(self) -> float:
        return _NEVER if self.terms.timeout is None else self.started + self.terms.timeout

    @property
    def landing(self) -> float:
        """From when on a look is the last one: as much before the deadline as is needed for its answer."""
        return self.deadline - min(self.latency, _LAST_LOOK)

    @property
    def grace_ends(self) -> float:
        """Until when 404 means "not yet"."""
        return self.started + self.terms.policy.not_found_grace


@attrs.define(kw_only=True, eq=False)
class _Trouble:
    """Why a job could not be read; forgotten once it can.

    Attributes:
        error: Why the last look failed.
        since: When the first look began that did.
        failures: Number of failures in a row.
        refusals: How many of these were 429.
        barred_until: When the last ``Retry-After`` ends.
    """

    error: ChamelaionError
    since: float
    failures: int = 0
    refusals: int = 0
    barred_until: float = -_NEVER


_MOST_REFUSALS: Final = 10  # times that one look is answered 429 before a limited number of attempts is used up


@attrs.define(kw_only=True, eq=False, weakref_slot=False)
class PollState(Generic[J]):
    """One job that is followed.

    A look goes ``begin_look``, then ``saw`` or ``failed``; after it, ``is_over`` and ``pause`` say how to go on.

    Attributes:
        id: The id as it was given.
        pursuit: What it shares with others.
        look: When the job was last read.
        polls: Number of looks.
        is_last_look: Whether the look under way is the one at the deadline.
        began: When the look under way began, or never.
    """

    id: str
    pursuit: Pursuit
    look: Look | None = None
    polls: int = 0
    is_last_look: bool = False
    began: float = _NEVER
    _kept: Any = attrs.field(init=False, default=None)
    _trouble: _Trouble | None = attrs.field(init=False, default=None)
    _first_seen: float = attrs.field(init=False)

    def keep(self, sighting: Sighting[J]) -> Any:
        """Return what is to be kept of a job."""
        return sighting.request

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
        """Why the last look failed, if it did."""
        return self._trouble.error if self._trouble is not None else None

    @property
    def _last_good(self) -> float:
        return self.pursuit.started if self.look is None else self.look.at

    @property
    def _outage_ends(self) -> float:
        budget, trouble = self.pursuit.terms.policy.outage_budget, self._trouble
        ends = self._last_good + budget
        # A machine that slept through the budget has not looked for so long; the outage is no older than its look.
        return ends if trouble is None or trouble.since <= ends else trouble.since + budget

    def standing_refusal(self, now: float) -> ChamelaionError | None:
        """Return the error that still stands where the deadline comes before the end of a ``Retry-After``."""
        trouble = self._trouble
        if trouble is None or now >= trouble.barred_until:
            return None
        self.is_last_look = now + _EARLY >= self.pursuit.landing
        return trouble.error

    def begin_look(self, now: float) -> float:
        """Note that a look begins, and return the seconds that it may take."""
        pursuit = self.pursuit
        self.is_last_look = now + _EARLY >= pursuit.landing
        self.polls += 1
        self.began = now
        left = pursuit.deadline - now
        if self.is_last_look:
            longest = pursuit.terms.policy.request_timeout
            grace = longest if pursuit.terms.timeout == 0 else _LAST_LOOK
            return max(left, min(grace, longest))
        # Within an outage a look may not outlast the budget either, but has to have a chance.
        return left if self._trouble is None else min(left, max(self._outage_ends - now, _LAST_LOOK))

    def end_look(self, now: float) -> None:
        """Note the end of a look that this one asked for itself."""
        self.pursuit.latency = now - self.began
        self.began = _NEVER

    def saw(self, sighting: Sighting[J]) -> bool:
        """Take note of the job as it was read, and return whether that is news."""
        previous, look = self._kept, sighting.look
        self._kept, self.look, self._trouble = self.keep(sighting), look, None
        if previous is None:
            self._first_seen = look.at
        return previous is None or previous != self._kept

    def failed(self, error: ChamelaionError, now: float) -> bool:
        """Take note of a failed look, and return whether another one may succeed."""
        trouble = self._trouble
        if trouble is None:
            trouble = self._trouble = _Trouble(error=error, since=min(self.began, now))
        else:
            trouble.error = error
        trouble.failures += 1
        trouble.refusals += isinstance(error, RateLimitError)
        return self.may_pass(error, now)

    def may_pass(self, error: ChamelaionError, now: float) -> bool:
        """Whether it is worth looking again after an error."""
        if isinstance(error, NotFoundError):
            return self._kept is None and now < self.pursuit.grace_ends
        if not self._has_attempts_left(error):
            return False
        return is_passing(error) or isinstance(error, InvalidResponseError)

    def _has_attempts_left(self, error: ChamelaionError) -> bool:
        terms, trouble = self.pursuit.terms, self._trouble
        if terms.attempts is None or trouble is None:
            return True
        if not isinstance(error, RateLimitError):
            return trouble.failures - trouble.refusals < terms.attempts
        return trouble.refusals < _MOST_REFUSALS and (error.retry_after or 0) <= terms.policy.max_retry_after

    def is_over(self, now: float) -> bool:
        """Whether the time for further looks is over."""
        if self.is_last_look or now >= self.pursuit.deadline:
            return True
        return self._trouble is not None and now >= self._outage_ends

    def pause(self, now: float, attempt: Callable[[], RetryCallState]) -> float:
        """Return the seconds until the next look, of which the last one comes at the deadline.

        Args:
            now: The loop's time.
            attempt: Gives what a tenacity wait strategy is to be called with, if the policy has one.
        """
        pursuit, trouble, terms = self.pursuit, self._trouble, self.pursuit.terms
        barred_until = -_NEVER
        if (
            trouble is not None
            and isinstance(trouble.error, RateLimitError)
            and trouble.error.retry_after is not None
        ):
            pause = min(trouble.error.retry_after, terms.policy.max_retry_after)
            if trouble.failures > 1:
                # A service that says "now" and then refuses again must not be hammered.
                longest = max(terms.policy.max_interval, _FIRST_BACKOFF)
                pause = max(pause, backoff(trouble.failures - 1, _FIRST_BACKOFF, longest, terms.random))
            trouble.barred_until = barred_until = now + pause
        else:
            pause = self._spacing(now, attempt)
            if trouble is not None:
                is_missing = isinstance(trouble.error, NotFoundError)
                pause = min(pause, (pursuit.grace_ends if is_missing else self._outage_ends) - now)
        landing = max(pursuit.landing, now)
        if now + pause < landing:
            return pause
        return (pursuit.deadline if barred_until > landing else landing) - now

    def _spacing(self, now: float, attempt: Callable[[], RetryCallState]) -> float:
        look, trouble, terms = self.look, self._trouble, self.pursuit.terms
        policy = terms.policy
        if policy.wait is not None:
            pause = check_seconds("the pause that PollPolicy.wait returned", policy.wait(attempt()))
            return pause if look is None or trouble is not None else max(look.at + pause - now, 0.0)
        if look is None or trouble is not None:
            first = max(policy.min_interval, _FIRST_BACKOFF)
            failures = 0 if trouble is None else trouble.failures
            return max(backoff(failures, first, max(policy.max_interval, first), terms.random), policy.min_interval)
        age = age_of(self.created_at(self._kept), look.server_time, look.at - self._first_seen)
        return max(look.at + spacing(age, policy, look.chance) - now, 0.0)

    def verdict(self, now: float) -> ChamelaionError:
        """Return the error that tells why the following ended without a finished job."""
        error, started = self.last_error, self.pursuit.started
        if isinstance(error, NotFoundError):
            return error  # the time ran out within the grace, but the service's word is clear
        elapsed = f"{round(now - started, 1):g} s and {self.polls} look{'s' if self.polls != 1 else ''}"
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
