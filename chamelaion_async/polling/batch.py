"""Waits for many requests at once, without a task for each: one schedule, and one queue of outcomes.

The schedule runs on a timer of the loop and not inside the iterator, so polls go on while the caller is busy with an
outcome. No loop over all requests runs in one turn of the event loop: each handles a slice, and then other
callbacks run.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Final, Generic, TypeVar

import attrs

from .._http.clock import loop_time
from ..errors import (
    AuthenticationError,
    ChamelaionError,
    ClientClosedError,
    ConfigurationError,
    RateLimitError,
)
from ..loading.entries import Read
from ..loading.loader import Loader
from ..loading.slices import SLICE, in_slices
from ..loading.snapshot import Snapshot
from ..loading.times import NEVER
from ..models import ErrorOutcome, Job, Outcome, RequestOutcome
from .due_times import Schedule
from .intervals import EARLY
from .member import Member
from .plan import WaitPlan
from .rate_limits import Refusals
from .wait import attempt_of

__all__ = ["Batch"]

J = TypeVar("J", bound=Job)

_FOR_ALL: Final = (AuthenticationError, ClientClosedError, ConfigurationError)


class Batch(Generic[J]):
    """Waits for many requests until each is finished, or was read once.

    Args:
        loader: Reads.
        plan: How long to wait, and how often to poll.
        check: Raises a ChamelaionError for an id that cannot be one; the error is the outcome of that id.
        every_change: Whether to yield requests that are not finished as well, at each change.
    """

    def __init__(
        self, loader: Loader[J], plan: WaitPlan, *, check: Callable[[str], object], every_change: bool = False
    ) -> None:
        self._loader = loader
        self._plan = plan
        self._check = check
        self._every_change = every_change
        self._open: dict[str, Member[J]] = {}
        self._schedule: Schedule[Member[J]] = Schedule(self._come_due)
        self._deadline: asyncio.TimerHandle | None = None
        self._results: deque[Outcome[J] | Member[J]] = deque()
        self._error: Exception | None = None
        self._refusals = Refusals(plan.policy if plan.attempts is not None else None)
        self._waiter: asyncio.Future[None] | None = None
        self._is_drained = False
        self._has_ended = False

    @property
    def is_over(self) -> bool:
        """Whether no request is left to wait for, or the client is draining."""
        return not self._open or self._is_drained

    @property
    def has_failed(self) -> bool:
        """Whether an error has ended the wait for all requests."""
        return self._error is not None

    def begin(self, ids: Iterable[str]) -> Iterator[None]:
        """Join the loader with each id, and ask for the first polls; a slice of them in each step of the iterator.

        Args:
            ids: The ids, each once.
        """
        plan = self._plan = attrs.evolve(self._plan, started=loop_time())
        check, join = self._check, self._loader.join
        for number, id in enumerate(ids, 1):
            try:
                check(id)
            except ChamelaionError as error:
                self._results.append(ErrorOutcome(id=id, error=error))
            else:
                member = Member(id=id, plan=plan, owner=self)
                self._open[id] = member
                member.entry = join(member)
            if not number % SLICE:
                yield
        if plan.deadline < NEVER and self._open:
            # A batch with timeout=0 sends its reads at its deadline, and gives them the time to be answered.
            ends = plan.deadline + (plan.policy.request_timeout if plan.reads_once else 0.0)
            self._deadline = asyncio.get_running_loop().call_at(
                ends, lambda: in_slices([*self._open.values()], self._time_is_up)
            )
        began, max_age = loop_time(), plan.max_age
        for number, member in enumerate([*self._open.values()], 1):
            # The loop has run since: the read of another wait may have ended it, or made it poll.
            if member.began == NEVER and member.id in self._open:
                known = self._loader.known(member.entry, max_age) if max_age else None
                if known is not None:
                    self.on_snapshot(member, known)
                else:
                    self._poll(member, began)
            if not number % SLICE:
                yield
                began = loop_time()

    def take(self) -> Outcome[J] | None:
        """Return the next outcome that nothing has taken yet, if there is one."""
        if not self._results:
            return None
        result = self._results.popleft()
        return result.outcome() if isinstance(result, Member) else result

    def take_error(self) -> Exception | None:
        """Return what ended the wait for all requests, once: kept here, it would make a cycle with its traceback."""
        error, self._error = self._error, None
        return error

    def shown_again(self, id: str) -> Outcome[J] | None:
        """Return the outcome of an open request as it was last read."""
        member = self._open.get(id)
        request = None if member is None else member.request
        return None if request is None else RequestOutcome(id=id, request=request)

    async def wait_for_news(self, until: float = NEVER) -> None:
        """Return once there is an outcome, an error, or nothing left to wait for; at a time at the latest."""
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_at(until, self._wake) if until < NEVER else None
        try:
            await self._waiter
        finally:
            if timer is not None:
                timer.cancel()

    def drain(self, _: ClientClosedError) -> None:
        """Wait no longer, as if no request was left to wait for."""
        self._is_drained = True
        self._wake()

    async def end(self) -> None:
        """Stop all polls, and return once the reads that only this batch wanted have ended."""
        self._has_ended = True
        self._schedule.stop()
        if self._deadline is not None:
            self._deadline.cancel()
        try:
            self._leave_some(SLICE)
            while self._open:
                await asyncio.sleep(0)
                self._leave_some(SLICE)
        finally:
            self._leave_some(len(self._open))  # a second cancellation skips the rest of the slices
            self._results.clear()  # a cycle: the members in it hold this batch
            self._wake()
        await self._schedule.clear()
        await self._loader.settled()

    def _leave_some(self, most: int) -> None:
        for member in [*islice(self._open.values(), most)]:
            self._leave(member)

    def fail(self, error: Exception) -> None:
        """End the wait for all requests with an error, after the results that are there."""
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _put(self, member: Member[J], due: float) -> None:
        """Come back to a request when it is due, unless the schedule comes back to it earlier anyway."""
        member.due = due
        if due < member.scheduled and not self._has_ended:
            member.scheduled = due
            # Entries of the schedule are not moved: ``_come_due`` puts off a request that is not due yet.
            self._schedule.add(member, due)

    def _come_due(self, member: Member[J], time: float, at: float) -> None:
        if member.id not in self._open:
            return
        if time == member.scheduled:
            member.scheduled = NEVER
        if member.due > at + EARLY:
            self._put(member, member.due)
        elif member.is_polling:
            self._give_up(member, at)
        else:
            refusal = member.standing_refusal(at)
            if refusal is None:
                self._poll(member, at)
            else:
                self._failed(member, refusal, at)

    def _time_is_up(self, member: Member[J]) -> None:
        """Give up a poll that may last until the deadline and no longer."""
        if member.is_polling and member.due == NEVER and member.id in self._open:
            self._give_up(member, loop_time())

    def _poll(self, member: Member[J], at: float) -> None:
        if self._refusals.last is not None:
            self._refuse(member, self._refusals.last)
            return
        until = member.begin_poll(at)
        if until <= self._plan.deadline or self._plan.reads_once:
            member.due = NEVER  # one timer ends all of these
        else:
            self._put(member, until)
        self._ask(member, at)

    def _ask(self, member: Member[J], at: float | None = None) -> None:
        """Ask for a read: for a new poll at a time, or once more for the poll under way."""
        if member.is_last_poll and len(self._open) > SLICE:
            # GETs of so many would be answered long after the deadline.
            self._plan.ends_with_pages = True
        is_get = member.is_last_poll and member.needs_get
        timeout = member.read_timeout(member.began)
        self._loader.ask(member.entry, timeout, now=at, alone=is_get, with_page=is_get and at is not None)

    def on_snapshot(self, member: Member[J], snapshot: Snapshot[J]) -> None:
        """Receive a request as a read showed it, whichever subscriber asked for that read."""
        request = snapshot.request
        if request.is_finished or (self._plan.attempts is not None and member.is_answered_by(snapshot)):
            self._finish(member, RequestOutcome(id=member.id, request=request))
            return
        if member.is_polling and member.is_answered_by(snapshot):
            member.end_poll(snapshot.stamp.at)
        if member.saw(snapshot) and self._every_change:
            self._results.append(RequestOutcome(id=member.id, request=request))
            self._wake()
        if member.is_polling:
            self._ask(member)  # the read began before the poll, or the list may lag
        else:
            self._go_on(member)

    def on_error(self, member: Member[J], error: Exception, read: Read[J] | None) -> None:
        """Receive the error of a read."""
        if read is None or not isinstance(error, ChamelaionError) or isinstance(error, _FOR_ALL):
            self.fail(error)
        elif member.is_failed_by(error, read):
            self._failed(member, error, loop_time(), read.began)
        elif member.is_polling and not read.is_overdue:
            self._ask(member)

    def _failed(self, member: Member[J], error: ChamelaionError, at: float, sent_at: float | None = None) -> None:
        may_pass = member.failed(error, at, sent_at=sent_at, answered_at=self._loader.answered_at)
        member.began = NEVER
        if isinstance(error, RateLimitError) and self._refusals.add(error, at, sent_at, self._loader.answered_at):
            if self._refusals.last is None:
                self._refusals.last = error
                refuse = partial(self._refuse_queued, error=error)
                asyncio.get_running_loop().call_soon(in_slices, [*self._open.values()], refuse)
        elif may_pass:
            self._go_on(member)
            return
        self._finish(member, ErrorOutcome(id=member.id, error=error))

    def _refuse(self, member: Member[J], error: RateLimitError) -> None:
        own = member.last_error
        refusal = own if isinstance(own, RateLimitError) else self._refusals.error_of(member.id, error)
        self._finish(member, ErrorOutcome(id=member.id, error=refusal))

    def _refuse_queued(self, member: Member[J], error: RateLimitError) -> None:
        """End a poll that is queued, since the service refuses all reads for too long."""
        if member.entry.state == "asking" and member.id in self._open:
            self._refuse(member, error)

    def _go_on(self, member: Member[J]) -> None:
        since = loop_time()
        if member.is_over(since):
            self._give_up(member, since)
        else:
            try:
                price = partial(self._loader.price_of, member.entry)
                due = since + member.pause(since, lambda: attempt_of(member, since), price)
            except Exception as error:  # noqa: BLE001 - a wait strategy may raise anything, for its caller
                self.fail(error)
                return
            self._loader.expect(member.entry, due)
            self._put(member, due)

    def _give_up(self, member: Member[J], at: float) -> None:
        """End a request without a result. From at on ``due`` holds when it ended."""
        member.due, member.was_sent = at, member.entry.state == "reading"
        self._finish(member, member)

    def _finish(self, member: Member[J], result: Outcome[J] | Member[J]) -> None:
        self._leave(member)
        self._results.append(result)
        self._wake()

    def _leave(self, member: Member[J]) -> None:
        del self._open[member.id]
        self._loader.leave(member.entry, member)
