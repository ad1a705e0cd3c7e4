"""Following many requests at once, without a task for each: one schedule, and one stream of what comes of it.

The schedule runs on timers of the loop and not inside the iterator, so that looks go on while a caller is busy with
what it was given. Nothing here may hold the loop for long, however many requests fall due in the same moment: what
goes over all of them goes in slices.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from itertools import count
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import attrs

from ..errors import (
    APITimeoutError,
    AuthenticationError,
    ChamelaionError,
    ClientClosedError,
    ConfigurationError,
)
from ..models import Job, Outcome
from .loader import Loader
from .places import Entry
from .state import PollState, Sighting, Terms

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["Batch"]

J = TypeVar("J", bound=Job)

_SLICE: Final = 500  # requests seen to before others get their turn
_BUSY: Final = 0.01  # seconds for which results are handed over before others get their turn
_NEVER: Final = float("inf")


@attrs.define(eq=False)
class _Follower(Generic[J]):
    """One request of a batch.

    Attributes:
        batch: Whose.
        state: What is known, and what to do next.
        entry: Its place with the loader, or None once it has ended.
        is_looking: Whether a look was asked for and not answered.
        due: When to look, or to give a look up; never while neither is in sight.
        scheduled: When the schedule comes back to it, which may be earlier.
    """

    batch: Batch[J]
    state: PollState[J]
    entry: Entry[J] = attrs.field(init=False)
    has_ended: bool = False
    is_looking: bool = False
    due: float = _NEVER
    scheduled: float = _NEVER

    def news(self, sighting: Sighting[J]) -> None:
        """Hear how the request stands."""
        self.batch.heard(self, sighting)

    def failed(self, error: Exception) -> None:
        """Hear why a look failed."""
        self.batch.missed(self, error)


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
        self._terms = terms
        self._check = check
        self._every_change = every_change
        self._open: dict[str, _Follower[J]] = {}
        self._schedule: list[tuple[float, int, _Follower[J]]] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None
        self._results: deque[Outcome[J]] = deque()
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

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
                    yield self._results.popleft()
                    if loop.time() - since > _BUSY:
                        await asyncio.sleep(0)
                        since = loop.time()
                if self._error is not None:
                    raise self._error
                if not self._open:
                    return
                self._waiter = loop.create_future()
                await self._waiter
                since = loop.time()
        finally:
            await self._end()

    async def _begin(self, ids: Iterable[str]) -> None:
        started = self._now()
        for number, id in enumerate(ids, 1):
            try:
                self._check(id)
            except ChamelaionError as error:
                self._results.append(Outcome(id=id, error=error))
            else:
                follower = _Follower(self, PollState(id=id, terms=self._terms, started=started))
                self._open[id] = follower
                follower.entry = self._loader.join(id, follower)
            if not number % _SLICE:
                await asyncio.sleep(0)
        wants_now = self._terms.attempts is not None or self._terms.timeout == 0
        for number, follower in enumerate([*self._open.values()], 1):
            if not follower.has_ended and not follower.is_looking:
                known = None if wants_now else self._loader.current(follower.entry)
                if known is not None:
                    self.heard(follower, known)
                else:
                    self._look(follower, self._now())
            if not number % _SLICE:
                await asyncio.sleep(0)

    async def _end(self) -> None:
        for number, follower in enumerate([*self._open.values()], 1):
            if not follower.has_ended:
                self._leave(follower)
            if not number % _SLICE:
                await asyncio.sleep(0)
        if self._timer is not None:
            self._timer.cancel()
        await self._loader.settled()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # The schedule

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _put(self, follower: _Follower[J], due: float) -> None:
        """Come back to a request when it is due. What stands in the schedule already is left, if it comes earlier."""
        follower.due = due
        if due < follower.scheduled:
            follower.scheduled = due
            heapq.heappush(self._schedule, (due, next(self._numbers), follower))
            self._set_timer()

    def _set_timer(self) -> None:
        first = self._schedule[0][0]
        if self._timer is None or first < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_at(first, self._come_due)

    def _come_due(self) -> None:
        self._timer = None
        now = self._now()
        for _ in range(_SLICE):
            if not self._schedule or self._schedule[0][0] > now:
                break
            time, _, follower = heapq.heappop(self._schedule)
            if follower.has_ended or time != follower.scheduled:
                continue
            follower.scheduled = _NEVER
            if follower.due > now:
                self._put(follower, follower.due)
            elif follower.is_looking:
                self._time_ran_out(follower)
            else:
                self._look(follower, now)
        if self._schedule:
            self._set_timer()

    # One request

    def _look(self, follower: _Follower[J], now: float) -> None:
        state = follower.state
        refusal = state.standing_refusal(now)
        follower.is_looking = True
        if refusal is not None:
            self.missed(follower, refusal)
            return
        left = state.begin_look(now)
        self._put(follower, now + left)
        self._loader.ask(follower.entry, min(self._terms.policy.request_timeout, left))

    def _time_ran_out(self, follower: _Follower[J]) -> None:
        id = follower.state.id
        text = f"the look at {id} had no answer within the time that was left"
        self.missed(follower, APITimeoutError(text, sent="maybe", method="GET", path=id))

    def heard(self, follower: _Follower[J], sighting: Sighting[J]) -> None:
        """Take news of a request, whoever asked for it."""
        if follower.has_ended:
            return
        state, request = follower.state, sighting.request
        if follower.is_looking:
            follower.is_looking = False
            state.end_look(sighting.at)
        is_news = state.saw(sighting)
        if self._terms.attempts is not None or request.is_finished:
            self._finish(follower, Outcome(id=state.id, request=request))
            return
        if is_news and self._every_change:
            self._results.append(Outcome(id=state.id, request=request))
            self._wake()
        self._go_on(follower)

    def missed(self, follower: _Follower[J], error: Exception) -> None:
        """Take the error of a look."""
        if follower.has_ended:
            return
        if not isinstance(error, ChamelaionError) or isinstance(error, _FOR_ALL):
            self._error = error
            self._wake()
        elif follower.is_looking:
            follower.is_looking = False
            if follower.state.failed(error, self._now()):
                self._go_on(follower)
            else:
                self._finish(follower, Outcome(id=follower.state.id, error=error))

    def _go_on(self, follower: _Follower[J]) -> None:
        state, now = follower.state, self._now()
        if state.is_over(now):
            self._finish(follower, Outcome(id=state.id, error=state.verdict(now)))
        else:
            due = now + state.pause(now, lambda: _attempt(state))
            follower.entry.due = min(follower.entry.due, due)
            self._put(follower, due)

    def _finish(self, follower: _Follower[J], outcome: Outcome[J]) -> None:
        del self._open[follower.state.id]
        self._leave(follower)
        self._results.append(outcome)
        self._wake()

    def _leave(self, follower: _Follower[J]) -> None:
        follower.has_ended = True
        self._loader.leave(follower.entry, follower)


_FOR_ALL: Final = (AuthenticationError, ClientClosedError, ConfigurationError)


def _attempt(state: PollState[J]) -> RetryCallState:
    """Return what a tenacity wait strategy expects to be called with, after a look."""
    from tenacity import AsyncRetrying, Future, RetryCallState  # noqa: PLC0415 - as late as a wait loads it

    attempt = RetryCallState(AsyncRetrying(), None, (), {})
    attempt.attempt_number = state.polls
    attempt.outcome = Future(state.polls)
    if state.last_error is not None:
        attempt.outcome.set_exception(state.last_error)
    else:
        attempt.outcome.set_result(state.last.request if state.last is not None else None)
    return attempt
