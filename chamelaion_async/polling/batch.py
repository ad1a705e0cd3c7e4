"""Waiting for many requests at once, without a task for each: one schedule, and one stream of outcomes.

The schedule runs on timers of the loop and not inside the iterator, so that polls go on while a caller is busy with
an outcome. Nothing here may hold the loop for long, however many requests fall due at the same moment: loops over all
of them run in slices.
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

from .._http.clock import loop_time
from ..errors import (
    AuthenticationError,
    ChamelaionError,
    ClientClosedError,
    ConfigurationError,
    RateLimitError,
)
from ..loading.entries import ALWAYS, NEVER, SLICE, Entry, Read, Snapshot
from ..loading.loader import Loader
from ..loading.packing import Packed
from ..models import Job, Outcome
from .spacing import EARLY
from .state import MOST_REFUSALS, PollState, WaitPlan

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["Batch"]

J = TypeVar("J", bound=Job)

_BUSY: Final = 0.005  # seconds for which results are handed over before others get their turn


@attrs.define(kw_only=True, eq=False)
class _BatchPlan(WaitPlan, Generic[J]):
    """What the requests of a batch share.

    Attributes:
        batch: The batch.
    """

    batch: Batch[J] = attrs.field(repr=False)  # dropped when the batch ends


@attrs.define(kw_only=True, eq=False, weakref_slot=False)
class _Member(PollState[J]):
    """One request of a batch. There may be very many, so this and its entry are all that each of them needs.

    Attributes:
        plan: What it shares with the others.
        entry: Its place with the loader.
        due: When to poll; when it ended, once it has.
        scheduled: When the schedule comes back to it, which may be earlier.
        was_sent: Whether a read was under way for it when it was given up.
    """

    plan: _BatchPlan[J]
    entry: Entry[J] = attrs.field(init=False)
    due: float = NEVER
    scheduled: float = NEVER
    was_sent: bool = False

    @property
    def is_polling(self) -> bool:
        """Whether a poll was asked for and not answered."""
        return self.began != NEVER

    def keep(self, snapshot: Snapshot[J]) -> Packed:
        """Return what is to be kept of a request."""
        return snapshot.packed(self.plan.batch.packer)

    def restore(self, kept: Packed) -> J:
        """Return the request of which this was kept."""
        return self.plan.batch.packer.unpack(kept)

    def created_at(self, kept: Packed) -> datetime:
        """Return when the service accepted the request of which this was kept."""
        return self.plan.batch.packer.created_at_of(kept)

    def on_snapshot(self, snapshot: Snapshot[J]) -> None:
        """Receive the request as it was read."""
        self.plan.batch.on_snapshot(self, snapshot)

    def on_error(self, error: Exception, read: Read[J] | None) -> None:
        """Receive the error of a read."""
        self.plan.batch.on_error(self, error, read)

    def outcome(self) -> Outcome[J]:
        """Return what became of it, after it ended without a result. Errors are large, so they are made late."""
        if self.is_polling:
            self.gave_up(self.due, was_sent=self.was_sent)
        return Outcome(id=self.id, error=self.verdict(self.due))


class Batch(Generic[J]):
    """Waits for many requests until each is finished, or was read once.

    Args:
        loader: Reads.
        plan: How long and how often.
        check: Refuses an id that cannot be one, with a ChamelaionError; that is its outcome then.
        every_change: Whether to report what is not finished as well.
    """

    def __init__(
        self, loader: Loader[J], plan: WaitPlan, *, check: Callable[[str], object], every_change: bool = False
    ) -> None:
        self._loader = loader
        self.packer = loader.packer
        self._plan: WaitPlan = plan
        self._check = check
        self._every_change = every_change
        self._open: dict[str, _Member[J]] = {}
        self._times: list[float] = []
        self._schedule: dict[float, list[_Member[J]] | _Member[J]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = NEVER  # a handle of uvloop does not tell, where the time has come already
        self._deadline: asyncio.Handle | None = None
        self._results: deque[Outcome[J] | _Member[J]] = deque()
        self._error: Exception | None = None
        # A Retry-After that is too long to wait for, where each request is to be read once.
        self._refusal: RateLimitError | None = None
        self._refused_at = ALWAYS
        self._refusals_in_a_row = 0
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
        plan = self._plan = _BatchPlan(
            policy=self._plan.policy,
            random=self._plan.random,
            started=loop_time(),
            timeout=self._plan.timeout,
            attempts=self._plan.attempts,
            batch=self,
        )
        for number, id in enumerate(ids, 1):
            try:
                self._check(id)
            except ChamelaionError as error:
                self._results.append(Outcome(id=id, error=error))
            else:
                member = _Member(id=id, plan=plan)
                self._open[id] = member
                member.entry = self._loader.join(member)
            if not number % SLICE:
                await asyncio.sleep(0)
        if plan.deadline < NEVER and self._open:
            ends = plan.deadline + (plan.policy.request_timeout if plan.reads_once else 0.0)
            self._deadline = asyncio.get_running_loop().call_at(ends, self._time_is_up)
        now = loop_time()
        for number, member in enumerate([*self._open.values()], 1):
            if not member.is_polling and member.id in self._open:
                known = None if plan.reads_once else self._loader.known(member.entry, plan.policy.min_interval)
                if known is not None:
                    self.on_snapshot(member, known)
                else:
                    self._poll(member, now)
            if not number % SLICE:
                await asyncio.sleep(0)
                now = loop_time()

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
            self._leave_some(len(self._open))  # a caller that is cancelled once more waits no longer
            if isinstance(self._plan, _BatchPlan):
                del self._plan.batch  # a cycle, which only the garbage collector would free
        while len(self._schedule) > SLICE:  # the last that holds those who have ended; to free them takes time too
            for _ in range(SLICE):
                self._schedule.popitem()
            await asyncio.sleep(0)
        self._schedule.clear()
        await self._loader.settled()

    def _leave_some(self, most: int) -> None:
        for member in [*islice(self._open.values(), most)]:
            self._leave(member)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # The schedule

    def _put(self, member: _Member[J], due: float) -> None:
        """Come back to a request when it is due. What stands in the schedule already is left, if it comes earlier."""
        member.due = due
        if due >= member.scheduled or self._has_ended:
            return
        member.scheduled = due
        others = self._schedule.get(due)
        if others is None:
            self._schedule[due] = member
            heapq.heappush(self._times, due)
            self._set_timer()
        elif isinstance(others, list):
            others.append(member)
        elif others is not member:  # else it stands there still, from before it was put to an earlier time
            self._schedule[due] = [others, member]

    def _set_timer(self) -> None:
        first = self._times[0]
        if self._timer is None or first < self._timer_due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_due = first
            self._timer = asyncio.get_running_loop().call_at(first, self._come_due)

    def _come_due(self) -> None:
        self._timer = None
        now, seen = loop_time(), 0
        while self._times and self._times[0] <= now + EARLY and seen < SLICE:
            time = self._times[0]
            due = self._schedule[time]
            if isinstance(due, list) and len(due) > 1:
                member = due.pop()
            else:
                heapq.heappop(self._times)
                del self._schedule[time]
                member = due[0] if isinstance(due, list) else due
            seen += 1
            if member.id in self._open:
                self._see_to(member, time, now)
        if self._times:
            self._set_timer()

    def _see_to(self, member: _Member[J], time: float, now: float) -> None:
        if time == member.scheduled:
            member.scheduled = NEVER
        if member.due > now + EARLY:
            self._put(member, member.due)
        elif member.is_polling:
            self._give_up(member, now)
        else:
            self._poll_again(member, now)

    def _time_is_up(self, rest: Iterator[_Member[J]] | None = None) -> None:
        """Give up all polls that may last until the deadline and no longer."""
        if rest is None:
            rest = iter([*self._open.values()])
        now, some = loop_time(), [*islice(rest, SLICE)]
        for member in some:
            if member.is_polling and member.due == NEVER and member.id in self._open:
                self._give_up(member, now)
        if some:
            self._deadline = asyncio.get_running_loop().call_soon(self._time_is_up, rest)

    # One request

    def _poll_again(self, member: _Member[J], now: float) -> None:
        refusal = member.standing_refusal(now)
        if refusal is None:
            self._poll(member, now)
        else:
            self._failed(member, refusal, now)

    def _poll(self, member: _Member[J], now: float) -> None:
        if self._refusal is not None:
            self._finish(member, Outcome(id=member.id, error=_refused(member, self._refusal)))
            return
        until = member.begin_poll(now)
        if until <= self._plan.deadline or self._plan.reads_once:
            member.due = NEVER  # it ends with all others
        else:
            self._put(member, until)
        self._ask(member)

    def _ask(self, member: _Member[J], *, again: bool = False) -> None:
        is_get = False
        if member.is_last_poll and not self._plan.reads_once:
            if len(self._open) > SLICE:
                self._plan.ends_with_pages = True
            is_get = not self._plan.ends_with_pages
        timeout = member.read_timeout(member.began)
        self._loader.ask(member.entry, timeout, alone=is_get, with_page=is_get and not again)

    def on_snapshot(self, member: _Member[J], snapshot: Snapshot[J]) -> None:
        """Receive a request as it was read, for whichever subscriber."""
        if member.id not in self._open:
            return
        request, is_answer = snapshot.request, member.is_answered_by(snapshot)
        if request.is_finished or (self._plan.attempts is not None and is_answer):
            self._finish(member, Outcome(id=member.id, request=request))
            return
        if is_answer and member.is_polling:
            member.end_poll(snapshot.stamp.at)
        if member.saw(snapshot) and self._every_change:
            self._results.append(Outcome(id=member.id, request=request))
            self._wake()
        if member.is_polling:
            self._ask(member, again=True)  # this was read before the poll was asked for, or from a list that may lag
        else:
            self._go_on(member)

    def on_error(self, member: _Member[J], error: Exception, read: Read[J] | None) -> None:
        """Receive the error of a read."""
        if member.id not in self._open:
            return
        if read is None or not isinstance(error, ChamelaionError) or isinstance(error, _FOR_ALL):
            self._error = error
            self._wake()
        elif member.is_failed_by(error, read):
            self._failed(member, error, loop_time(), read.began)
        elif member.is_polling:
            self._ask(member, again=True)

    def _failed(self, member: _Member[J], error: ChamelaionError, now: float, sent_at: float | None = None) -> None:
        may_pass = member.failed(error, now, sent_at=sent_at, answered_at=self._loader.answered_at)
        member.began = NEVER
        is_hopeless = isinstance(error, RateLimitError) and self._is_hopeless(error, now, sent_at)
        if may_pass and not is_hopeless:
            self._go_on(member)
            return
        if isinstance(error, RateLimitError) and is_hopeless and self._refusal is None:
            self._refusal = error
            asyncio.get_running_loop().call_soon(self._refuse, iter([*self._open.values()]), error)
        self._finish(member, Outcome(id=member.id, error=error))

    def _is_hopeless(self, error: RateLimitError, now: float, sent_at: float | None) -> bool:
        """Whether a 429 ends all that are to be read once: it lasts too long, or is one of too many in a row."""
        if self._plan.attempts is None:
            return False
        if self._loader.answered_at > self._refused_at:
            self._refusals_in_a_row = 0
        if sent_at is None or sent_at >= self._refused_at:  # else it was under way with the one that was counted
            self._refusals_in_a_row += 1
            self._refused_at = now
        longest = self._plan.policy.max_retry_after
        return (error.retry_after or 0.0) > longest or self._refusals_in_a_row >= MOST_REFUSALS

    def _refuse(self, rest: Iterator[_Member[J]], error: RateLimitError) -> None:
        """End the polls that are queued: none is sent before the time is over that the service asked to wait."""
        some = [*islice(rest, SLICE)]
        for member in some:
            if member.entry.state == "asking" and member.id in self._open:
                self._finish(member, Outcome(id=member.id, error=_refused(member, error)))
        if some and not self._has_ended:
            asyncio.get_running_loop().call_soon(self._refuse, rest, error)

    def _go_on(self, member: _Member[J]) -> None:
        now = loop_time()
        if member.is_over(now):
            self._give_up(member, now)
        else:
            try:
                due = now + member.pause(now, lambda: _attempt(member, now))
            except Exception as error:  # noqa: BLE001 - a strategy of the caller's; what it raises is the caller's
                self._error = error
                self._wake()
                return
            self._loader.expect(member.entry, due)
            self._put(member, due)

    def _give_up(self, member: _Member[J], now: float) -> None:
        """End it without a result; the schedule's time for it is not needed any more, and tells from now on when."""
        member.due, member.was_sent = now, member.entry.state == "reading"
        self._finish(member, member)

    def _finish(self, member: _Member[J], result: Outcome[J] | _Member[J]) -> None:
        self._leave(member)
        self._results.append(result)
        self._wake()

    def _leave(self, member: _Member[J]) -> None:
        del self._open[member.id]
        self._loader.leave(member.entry, member)


_FOR_ALL: Final = (AuthenticationError, ClientClosedError, ConfigurationError)


def _refused(member: _Member[J], error: RateLimitError) -> RateLimitError:
    """Return the 429 of a request: its own, or one that says that it was not read for that of another."""
    own = member.last_error
    if isinstance(own, RateLimitError):
        return own
    return RateLimitError(
        f"{member.id} was not read, since the service answers 429 to all reads. {error}",
        retry_after=error.retry_after,
        status=error.status,
        message=error.message,
        headers=error.headers,
        body=error.body,
        method=error.method,
        path=f"{error.path.rpartition('/')[0]}/{member.id}",
        attempts=0,
    )


def _attempt(state: PollState[J], now: float) -> RetryCallState:
    """Return what a tenacity wait strategy expects to be called with, after a poll."""
    from tenacity import AsyncRetrying, Future, RetryCallState  # noqa: PLC0415 - as late as a wait loads it

    attempt = RetryCallState(AsyncRetrying(), None, (), {})
    attempt.attempt_number = max(state.polls, 1)
    attempt.outcome = Future(attempt.attempt_number)
    attempt.outcome_timestamp = attempt.start_time + now - state.plan.started
    if state.last_error is not None:
        attempt.outcome.set_exception(state.last_error)
    else:
        attempt.outcome.set_result(state.request)
    return attempt
