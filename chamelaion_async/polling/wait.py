"""The one loop that waits for a job, driven by tenacity.

Tenacity decides whether and when to look again; the time that a look may take is bounded by the loop's clock. How a
status is read is not known here: the caller injects it, and it may be a GET, a page of a list or a neighbour's read.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import attrs

from .._retry import backoff, is_passing
from ..config import PollPolicy, check_seconds
from ..errors import (
    APITimeoutError,
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

__all__ = ["OnUpdate", "Read", "Sighting", "wait_until_finished"]

J = TypeVar("J", bound=Job)
OnUpdate = Callable[[J], Awaitable[None] | None]

_LAST_LOOK: Final = 1.0  # seconds by which the look at the deadline may outlast it
_FIRST_BACKOFF: Final = 0.1  # seconds; a policy without a shortest interval must not hammer a service that fails


@attrs.frozen(kw_only=True)
class Sighting(Generic[J]):
    """A request as it was read, and when that was by the service's clock."""

    request: J
    server_time: datetime | None


class Read(Protocol[J]):
    """Reads the status of one id."""

    async def __call__(self, id: str, *, timeout: float) -> Sighting[J]:
        """Return what ``id`` looks like now, or raise; one try, ``timeout`` seconds for an answer."""


async def wait_until_finished(
    read: Read[J],
    id: str,
    *,
    timeout: float | None,
    policy: PollPolicy,
    sleep: Callable[[float], Awaitable[None]],
    random: Callable[[], float],
    on_update: OnUpdate[J] | None = None,
) -> J:
    """Look at ``id`` until it is finished; see ``resources.requests`` for what a caller is promised."""
    if timeout is not None:
        check_seconds("timeout", timeout)
    wait = _Wait(read=read, id=id, timeout=timeout, policy=policy, sleep=sleep, random=random, on_update=on_update)
    return await wait.run()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _is_unfinished(request: Job) -> bool:
    return not request.is_finished


@attrs.define(kw_only=True)
class _Wait(Generic[J]):
    """What one wait knows while it lasts. Times are the loop's."""

    read: Read[J]
    id: str
    timeout: float | None
    policy: PollPolicy
    sleep: Callable[[float], Awaitable[None]]
    random: Callable[[], float]
    on_update: OnUpdate[J] | None

    started: float = attrs.field(factory=_now)
    last: Sighting[J] | None = None
    first_seen: float = 0.0
    last_good: float = attrs.field(default=attrs.Factory(lambda self: self.started, takes_self=True))
    last_error: ChamelaionError | None = None
    failures: int = 0
    polls: int = 0
    latency: float = 0.0
    barred_until: float = float("-inf")
    next_is_last: bool = attrs.field(default=attrs.Factory(lambda self: self.timeout == 0, takes_self=True))
    at_last_look: bool = False

    @property
    def deadline(self) -> float:
        return float("inf") if self.timeout is None else self.started + self.timeout

    @property
    def outage_ends(self) -> float:
        return self.last_good + self.policy.outage_budget

    @property
    def grace_ends(self) -> float:
        return self.started + self.policy.not_found_grace

    async def run(self) -> J:
        # Loaded by the first wait: it is a good part of what importing the package would cost.
        from tenacity import AsyncRetrying, retry_if_exception, retry_if_result  # noqa: PLC0415

        retrying = AsyncRetrying(
            retry=retry_if_result(_is_unfinished) | retry_if_exception(self._may_pass),
            wait=self._pause,
            stop=self._is_over,
            sleep=self.sleep,
            retry_error_callback=self._give_up,
        )
        return await retrying(self._look)

    async def _look(self) -> J:
        previous = self.last
        try:
            self.last = await self._read()
        except ChamelaionError as error:
            self.last_error = error
            self.failures += 1
            raise
        request = self.last.request
        self.last_error, self.failures, self.last_good = None, 0, _now()
        if previous is None:
            self.first_seen = self.last_good
        if self.on_update is not None and (previous is None or previous.request != request):
            pending = self.on_update(request)
            if inspect.isawaitable(pending):
                await pending
        return request

    async def _read(self) -> Sighting[J]:
        began = _now()
        self.at_last_look = self.next_is_last
        if self.last_error is not None and began < self.barred_until:
            raise self.last_error  # the deadline came before the end of a Retry-After: the last word stands
        self.polls += 1
        left = self._time_for_a_look(began)
        try:
            # The read bounds its answer; this bounds its queueing as well.
            async with asyncio.timeout(None if left == float("inf") else left):
                sighting = await self.read(self.id, timeout=min(self.policy.request_timeout, left))
        except TimeoutError as error:
            if isinstance(error, ChamelaionError):
                raise
            raise APITimeoutError(
                f"the look at {self.id} had no answer within the {left:g} s that were left",
                sent="maybe",
                method="GET",
                path=self.id,
            ) from error
        self.latency = _now() - began
        return sighting

    def _time_for_a_look(self, now: float) -> float:
        if not self.at_last_look:
            left = self.deadline - now
            # Within an outage a look may not outlast the budget either, but has to have a chance.
            return left if self.last_error is None else min(left, max(self.outage_ends - now, _LAST_LOOK))
        grace = self.policy.request_timeout if self.timeout == 0 else _LAST_LOOK
        return max(self.deadline - now, min(grace, self.policy.request_timeout))

    def _may_pass(self, error: BaseException) -> bool:
        """Whether it is worth looking again; what ``on_update`` raised never is."""
        if error is not self.last_error:
            return False
        if isinstance(error, NotFoundError):
            return self.last is None and _now() < self.grace_ends
        return is_passing(error) or isinstance(error, InvalidResponseError)

    def _is_over(self, _: RetryCallState) -> bool:
        now = _now()
        return self.at_last_look or now >= self.deadline or (self.last_error is not None and now >= self.outage_ends)

    def _pause(self, state: RetryCallState) -> float:
        """Return the seconds until the next look, and note whether that is the one at the deadline."""
        if self._is_over(state):
            return 0.0
        now, error = _now(), self.last_error
        if isinstance(error, RateLimitError) and error.retry_after is not None:
            pause = min(error.retry_after, self.policy.max_retry_after)
            self.barred_until = now + pause
        else:
            pause = self._spacing(state, now)
            if isinstance(error, NotFoundError):
                pause = min(pause, self.grace_ends - now)
            elif error is not None:
                pause = min(pause, self.outage_ends - now)
        # The last look begins as much before the deadline as the one before it took, so that its answer is in time.
        lands = max(self.deadline - min(self.latency, _LAST_LOOK), now)
        if now + pause >= lands:
            self.next_is_last = True
            pause = self.deadline - now if self.barred_until > lands else lands - now
        return pause

    def _spacing(self, state: RetryCallState, now: float) -> float:
        if self.policy.wait is not None:
            return check_seconds("the pause that PollPolicy.wait returned", self.policy.wait(state))
        if self.last is None or self.last_error is not None:
            first = max(self.policy.min_interval, _FIRST_BACKOFF)
            pause = backoff(self.failures, first, max(self.policy.max_interval, first), self.random)
            return max(pause, self.policy.min_interval)
        age = age_of(self.last.request.created_at, self.last.server_time, now - self.first_seen)
        return spacing(age, self.policy, self.random)

    def _give_up(self, _: RetryCallState) -> J:
        now, error = _now(), self.last_error
        if isinstance(error, NotFoundError):
            raise error  # the time ran out within the grace, but the service's word is clear
        elapsed = f"{round(now - self.started, 1):g} s and {self.polls} look{'s' if self.polls != 1 else ''}"
        status, again = "could not be read", "check the connection, and wait again"
        if self.last is not None:
            status, again = f"is still {self.last.request.status}", "the job goes on, wait again"
        again += f" with wait_until_finished({self.id!r})"
        details: dict[str, Any] = {
            "id": self.id,
            "last": None if self.last is None else self.last.request,
            "elapsed": now - self.started,
            "polls": self.polls,
            "last_error": error,
        }
        if error is not None and now >= self.outage_ends:
            raise WaitUnreachableError(
                f"request {self.id} {status} after {elapsed}: nothing readable came for "
                f"{round(now - self.last_good, 1):g} s, last: {error}; {again}",
                **details,
            ) from error
        trouble = f" (the last look failed: {error})" if error is not None else ""
        raise WaitTimeoutError(f"request {self.id} {status} after {elapsed}{trouble}; {again}", **details) from error
