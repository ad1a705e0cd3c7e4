"""Following many requests at once, without a task for each: one schedule, and one stream of what comes of it.

The schedule runs on timers of the loop and not inside the iterator, so that looks go on while a caller is busy with
what it was given. Nothing here may hold the loop for long, however many requests fall due in the same moment: what
goes over all of them goes in slices.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import attrs

from ..errors import (
    APITimeoutError,
    AuthenticationError,
    ChamelaionError,
    ClientClosedError,
    ConfigurationError,
    RateLimitError,
)
from ..models import Job, Outcome
from .entry import NEVER, SLICE, Entry
from .loader import Loader
from .shape import Packed
from .state import PollState, Pursuit, Sighting, Terms

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["Batch"]

J = TypeVar("J", bound=Job)

_BUSY: Final = 0.005  # seconds for which results are handed over before others get their turn


@attrs.define(kw_only=True, eq=False)
class _BatchPursuit(Pursuit, Generic[J]):
    """What the requests of a batch share.

    Attributes:
        batch: Whose they are.
    """

    batch: Batch[J]


@attrs.define(kw_only=True, eq=False, weakref_slot=False)
class _Follower(PollState[J]):
    """One request of a batch. There may be very many of them, so this is all that each of them needs.

    Attributes:
        pursuit: What it shares with the others.
        entry: Its place with the loader.
        due: When to look, or to give a look up that does not end with all the others; when it ended, once it has.
        scheduled: When the schedule comes back to it, which may be earlier.
    """

    pursuit: _BatchPursuit[J]
    entry: Entry[J] = attrs.field(init=False)
    due: float = NEVER
    scheduled: float = NEVER

    @property
    def is_looking(self) -> bool:
        """Whether a look was asked for and not answered."""
        return self.began != NEVER

    def keep(self, sighting: Sighting[J]) -> Packed:
        """Return what is to be kept of a request."""
        return sighting.packed(self.pursuit.batch.shape)

    def restore(self, kept: Packed) -> J:
        """Return the request of which this was kept."""
        return self.pursuit.batch.shape.unpack(kept)

    def created_at(self, kept: Packed) -> datetime:
        """Return when the service accepted the request of which this was kept."""
        return self.pursuit.batch.shape.created_at_of(kept)

    def news(self, sighting: Sighting[J]) -> None:
        """Hear how the request stands."""
        self.pursuit.batch.heard(self, sighting)

    def missed(self, error: Exception) -> None:
        """Hear why a look failed."""
        self.pursuit.batch.missed(self, error)

    def unanswered(self) -> APITimeoutError:
        """Return the error for a look whose time is over."""
        text = f"the look at {self.id} had no answer within the time that was left"
        return APITimeoutError(text, sent="maybe", method="GET", path=self.id)

    def outcome(self) -> Outcome[J]:
        """Return what became of it, after it has ended without a result. Errors are large, so they are made late."""
        if self.is_looking:
            self.failed(self.unanswered(), self.due)
        return Outcome(id=self.id, error=self.verdict(self.due))


class Batch(Generic[J]):
    """Follows many requests until each is finished, or seen.

    Args:
        loader: Reads.
        terms: How long and how often.
        check: Refuses an id that cannot be, with a ChamelaionError; that is its outcome then.
        every_change: Whether to report what is not finished as well.
    """

    def __init__(
        self, loader: Loader[J], terms: Terms, *, check: Callable[[str], object], every_change: bool = False
    ) -> None:
        self._loader = loader
        self.shape = loader.shape
        self._terms = terms
        self._check = check
        self._every_change = every_change
        self._open: dict[str, _Follower[J]] = {}
        self._times: list[float] = []
        self._schedule: dict[float, list[_Follower[J]] | _Follower[J]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = NEVER  # a handle of uvloop does not tell, where the time has come already
        self._deadline: asyncio.Handle | None = None
        self._results: deque[Outcome[J] | _Follower[J]] = deque()
        self._error: Exception | None = None
        # A Retry-After for which no look of one that is to be seen once will wait.
        self._refusal: RateLimitError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._has_ended = False

    async def follow(self, ids: Iterable[str]) -> AsyncGenerator[Outcome[J], None]:
        """Yield what becomes of each id, in the order in which it becomes known.

        Args:
            ids: What to follow, each once.

        Raises:
            ChamelaionError: What concerns all of them: wrong credentials, a client that was closed.
        """
        loop = asyncio.get_running_loop()
        try:
            await self._begin(ids)
            since = loop.time()
            while True:
                while self._results:
                    result = self._results.popleft()
                    yield result if isinstance(result, Outcome) else result.outcome()
                    if loop.time() - since > _BUSY:
                        await asyncio.sleep(0)
                        since = loop.time()
                if self._error is not None:
                    try:
                        raise self._error
                    finally:
                        self._error = None  # its traceback holds this batch
                if not self._open:
                    return
                self._waiter = loop.create_future()
                await self._waiter
                since = loop.time()
        finally:
            await self._end()

    async def _begin(self, ids: Iterable[str]) -> None:
        pursuit = _BatchPursuit(terms=self._terms, started=self._now(), batch=self)
        if self._terms.timeout:
            self._deadline = asyncio.get_running_loop().call_at(pursuit.deadline, self._time_is_up)
        for number, id in enumerate(ids, 1):
            try:
                self._check(id)
            except ChamelaionError as error:
                self._results.append(Outcome(id=id, error=error))
            else:
                follower = _Follower(id=id, pursuit=pursuit)
                self._open[id] = follower
                follower.entry = self._loader.join(id, follower)
            if not number % SLICE:
                await asyncio.sleep(0)
        wants_now = self._terms.attempts is not None or self._terms.timeout == 0
        now = self._now()
        for number, follower in enumerate([*self._open.values()], 1):
            if not follower.is_looking and follower.id in self._open:
                known = None if wants_now else self._loader.current(follower.entry)
                if known is not None:
                    self.heard(follower, known)
                else:
                    self._look(follower, now)
            if not number % SLICE:
                await asyncio.sleep(0)
                now = self._now()

    async def _end(self) -> None:
        self._has_ended = True
        for handle in (self._timer, self._deadline):
            if handle is not None:
                handle.cancel()
        try:
            self._leave_some(SLICE)
            while self._open:
                await asyncio.sleep(0)
                self._leave_some(SLICE)
        finally:
            self._leave_some(len(self._open))  # nobody has the time to wait who is cancelled once more
        while len(self._schedule) > SLICE:  # the last that holds those who have ended; to free them takes time too
            for _ in range(SLICE):
                self._schedule.popitem()
            await asyncio.sleep(0)
        self._schedule.clear()
        await self._loader.settled()

    def _leave_some(self, most: int) -> None:
        for follower in [*islice(self._open.values(), most)]:
            self._leave(follower)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # The schedule

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _put(self, follower: _Follower[J], due: float) -> None:
        """Come back to a request when it is due. What stands in the schedule already is left, if it comes earlier."""
        follower.due = due
        if due >= follower.scheduled or self._has_ended:
            return
        follower.scheduled = due
        others = self._schedule.get(due)
        if others is None:
            self._schedule[due] = follower
            heapq.heappush(self._times, due)
            self._set_timer()
        elif isinstance(others, list):
            others.append(follower)
        elif others is not follower:  # else it stands there still, from before it was put to an earlier time
            self._schedule[due] = [others, follower]

    def _set_timer(self) -> None:
        first = self._times[0]
        if self._timer is None or first < self._timer_due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_due = first
            self._timer = asyncio.get_running_loop().call_at(first, self._come_due)

    def _come_due(self) -> None:
        self._timer = None
        now, seen = self._now(), 0
        while self._times and self._times[0] <= now and seen < SLICE:
            time = self._times[0]
            due = self._schedule[time]
            if isinstance(due, list) and len(due) > 1:
                follower = due.pop()
            else:
                heapq.heappop(self._times)
                del self._schedule[time]
                follower = due[0] if isinstance(due, list) else due
            seen += 1
            if follower.id in self._open:
                self._see_to(follower, time, now)
        if self._times:
            self._set_timer()

    def _see_to(self, follower: _Follower[J], time: float, now: float) -> None:
        if time == follower.scheduled:
            follower.scheduled = NEVER
        if follower.due > now:
            self._put(follower, follower.due)
        elif follower.is_looking:
            self._ran_out(follower, now)
        else:
            self._look_again(follower, now)

    def _time_is_up(self, rest: Iterator[_Follower[J]] | None = None) -> None:
        """Give up all looks that may last until the deadline."""
        if rest is None:
            rest = iter([*self._open.values()])
        now, some = self._now(), [*islice(rest, SLICE)]
        for follower in some:
            if follower.is_looking and follower.due == NEVER and follower.id in self._open:
                self._ran_out(follower, now)
        if some:
            self._deadline = asyncio.get_running_loop().call_soon(self._time_is_up, rest)

    # One request

    def _look_again(self, follower: _Follower[J], now: float) -> None:
        refusal = follower.standing_refusal(now)
        if refusal is None:
            self._look(follower, now)
        else:
            follower.began = now
            self.missed(follower, refusal)

    def _look(self, follower: _Follower[J], now: float) -> None:
        if self._refusal is not None:
            self._finish(follower, Outcome(id=follower.id, error=self._refusal))
            return
        left = follower.begin_look(now)
        if left == follower.pursuit.deadline - now:
            follower.due = NEVER  # it ends with all others
        else:
            self._put(follower, now + left)
        self._loader.ask(follower.entry, min(self._terms.policy.request_timeout, left))

    def _ran_out(self, follower: _Follower[J], now: float) -> None:
        if follower.is_last_look or now >= follower.pursuit.deadline:
            self._give_up(follower, now)
        else:
            self.missed(follower, follower.unanswered())

    def heard(self, follower: _Follower[J], sighting: Sighting[J]) -> None:
        """Take news of a request, whoever asked for it."""
        if follower.id not in self._open:
            return
        request = sighting.request
        if self._terms.attempts is not None or request.is_finished:
            self._finish(follower, Outcome(id=follower.id, request=request))
            return
        if follower.is_looking:
            follower.end_look(sighting.look.at)
        if follower.saw(sighting) and self._every_change:
            self._results.append(Outcome(id=follower.id, request=request))
            self._wake()
        self._go_on(follower)

    def missed(self, follower: _Follower[J], error: Exception) -> None:
        """Take the error of a look."""
        if follower.id not in self._open:
            return
        if not isinstance(error, ChamelaionError) or isinstance(error, _FOR_ALL):
            self._error = error
            self._wake()
        elif follower.is_looking:
            may_pass = follower.failed(error, self._now())
            follower.began = NEVER
            if may_pass:
                self._go_on(follower)
            else:
                longest = self._terms.policy.max_retry_after
                if isinstance(error, RateLimitError) and (error.retry_after or 0.0) > longest:
                    self._refusal = error
                self._finish(follower, Outcome(id=follower.id, error=error))

    def _go_on(self, follower: _Follower[J]) -> None:
        now = self._now()
        if follower.is_over(now):
            self._give_up(follower, now)
        else:
            try:
                due = now + follower.pause(now, lambda: _attempt(follower, now))
            except Exception as error:  # noqa: BLE001 - a strategy of the caller's; what it raises is the caller's
                self._error = error
                self._wake()
                return
            follower.entry.due = min(follower.entry.due, due)
            self._put(follower, due)

    def _give_up(self, follower: _Follower[J], now: float) -> None:
        """End it without a result; the schedule's time for it is not needed any more, and tells from now on when."""
        follower.due = now
        self._finish(follower, follower)

    def _finish(self, follower: _Follower[J], result: Outcome[J] | _Follower[J]) -> None:
        self._leave(follower)
        self._results.append(result)
        self._wake()

    def _leave(self, follower: _Follower[J]) -> None:
        del self._open[follower.id]
        self._loader.leave(follower.entry, follower)


_FOR_ALL: Final = (AuthenticationError, ClientClosedError, ConfigurationError)


def _attempt(state: PollState[J], now: float) -> RetryCallState:
    """Return what a tenacity wait strategy expects to be called with, after a look."""
    from tenacity import AsyncRetrying, Future, RetryCallState  # noqa: PLC0415 - as late as a wait loads it

    attempt = RetryCallState(AsyncRetrying(), None, (), {})
    attempt.attempt_number = max(state.polls, 1)
    attempt.outcome = Future(attempt.attempt_number)
    attempt.outcome_timestamp = attempt.start_time + now - state.pursuit.started
    if state.last_error is not None:
        attempt.outcome.set_exception(state.last_error)
    else:
        attempt.outcome.set_result(state.request)
    return attempt
