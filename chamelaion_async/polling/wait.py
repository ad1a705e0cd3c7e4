"""The loop that waits for one job, driven by tenacity.

Tenacity calls back to ask whether and when to poll again; the event loop keeps the deadline. The subscription hides
how a status is read: with a GET, from a page of the list, or by another wait.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

from .._http.clock import loop_time
from .._http.tracebacks import let_go
from ..errors import ChamelaionError
from ..loading.snapshot import Snapshot
from ..loading.times import NEVER
from ..models import Job, OnUpdate
from .state import PollState
from .subscription import WaitSubscription

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["attempt_of", "poll_until_finished"]

J = TypeVar("J", bound=Job)


async def poll_until_finished(
    state: PollState[J], subscription: WaitSubscription[J], on_update: OnUpdate[J] | None = None
) -> J:
    """Poll until the job is finished; ``resources.requests`` documents the promises."""
    return await _Wait(state=state, subscription=subscription, on_update=on_update).run()


@attrs.define(kw_only=True)
class _Wait(Generic[J]):
    """Answers tenacity's questions from the state of the job."""

    state: PollState[J] = attrs.field(repr=False)
    subscription: WaitSubscription[J] = attrs.field(repr=False)
    on_update: OnUpdate[J] | None
    attempt: RetryCallState | None = attrs.field(init=False, default=None, repr=False)

    async def run(self) -> J:
        # The first wait loads it, since it would take a good part of the package's import time.
        from tenacity import AsyncRetrying  # noqa: PLC0415

        retrying = AsyncRetrying(
            retry=self._goes_on,
            wait=self._pause,
            stop=self._is_over,
            sleep=self._sleep,
            retry_error_callback=self._give_up,
        )
        try:
            return await retrying(self._poll)
        finally:
            # Cycles: tenacity holds itself, this, and the error that ends it, whose traceback holds all of them.
            retrying.iter_state.reset()
            if self.attempt is not None:
                self.attempt.outcome = None
            del self.state, self.subscription, self.attempt

    async def _poll(self) -> J:
        try:
            snapshot = await self._read()
        except ChamelaionError as error:
            let_go(error)  # a cycle: its frames hold the state, which holds it
            raise
        request = snapshot.request
        if self.state.saw(snapshot) and self.on_update is not None:
            pending = self.on_update(request)
            if inspect.isawaitable(pending):
                await pending
        return request

    async def _read(self) -> Snapshot[J]:
        state, subscription, began = self.state, self.subscription, loop_time()
        # News from other reads come first: they may show the end although a Retry-After has not ended yet.
        news = subscription.take_news()
        if news is not None:
            return news
        refusal = state.standing_refusal(began)
        if refusal is not None:
            state.failed(refusal, began)
            raise refusal
        until = state.begin_poll(began)
        try:
            async with asyncio.timeout_at(None if until == NEVER else until):
                snapshot = await subscription.poll(state.read_timeout(began))
        except ChamelaionError as error:
            state.failed(error, loop_time(), sent_at=subscription.sent_at, answered_at=subscription.answered_at)
            raise
        except TimeoutError as error:
            raise state.gave_up(loop_time(), was_sent=subscription.is_under_way) from error
        state.end_poll(loop_time())
        return snapshot

    async def _sleep(self, seconds: float) -> None:
        await self.subscription.sleep(seconds)

    def _goes_on(self, attempt: RetryCallState) -> bool:
        self.attempt, outcome = attempt, attempt.outcome
        assert outcome is not None  # noqa: S101 - for the type checker: tenacity asks after an attempt
        error = outcome.exception()
        return self._may_pass(error) if error is not None else not outcome.result().is_finished

    def _may_pass(self, error: BaseException) -> bool:
        """Whether another poll may succeed; an error that ``on_update`` raised ends the wait."""
        if not isinstance(error, ChamelaionError) or error is not self.state.last_error:
            return False
        return self.state.may_pass(loop_time())

    def _is_over(self, _: RetryCallState) -> bool:
        return self.state.is_over(loop_time())

    def _pause(self, attempt: RetryCallState) -> float:
        since = loop_time()
        # Tenacity asks for the pause before it asks whether to go on.
        return 0.0 if self.state.is_over(since) else self.state.pause(since, lambda: attempt, self.subscription.price)

    def _give_up(self, _: RetryCallState) -> J:
        raise self.state.verdict(loop_time())


def attempt_of(state: PollState[J], at: float) -> RetryCallState:
    """Return the argument that a tenacity wait strategy expects after a poll."""
    from tenacity import AsyncRetrying, Future, RetryCallState  # noqa: PLC0415 - loaded late, as by a wait

    attempt = RetryCallState(AsyncRetrying(), None, (), {})
    attempt.attempt_number = max(state.polls, 1)
    attempt.outcome = Future(attempt.attempt_number)
    attempt.outcome_timestamp = attempt.start_time + at - state.plan.started
    if state.last_error is not None:
        attempt.outcome.set_exception(state.last_error)
    else:
        attempt.outcome.set_result(state.request)
    return attempt
