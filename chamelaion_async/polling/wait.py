"""The loop that waits for one job, driven by tenacity.

Tenacity decides whether and when to poll again; the deadline is the event loop's. How a status is read is not known
here: the subscription gets it by a GET, from a page of the list, or from what another wait has read.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

from .._http.clock import loop_time
from .._http.tracebacks import let_go
from ..errors import ChamelaionError
from ..loading.entries import Snapshot
from ..models import Job, OnUpdate
from .state import PollState
from .subscription import WaitSubscription

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["poll_until_finished"]

J = TypeVar("J", bound=Job)


async def poll_until_finished(
    state: PollState[J], subscription: WaitSubscription[J], on_update: OnUpdate[J] | None = None
) -> J:
    """Poll until the job is finished; see ``resources.requests`` for what a caller is promised."""
    return await _Wait(state=state, subscription=subscription, on_update=on_update).run()


@attrs.define(kw_only=True)
class _Wait(Generic[J]):
    """Ties what is known of a job to tenacity."""

    state: PollState[J] = attrs.field(repr=False)
    subscription: WaitSubscription[J] = attrs.field(repr=False)
    on_update: OnUpdate[J] | None
    attempt: RetryCallState | None = attrs.field(init=False, default=None, repr=False)

    async def run(self) -> J:
        # Loaded by the first wait: it is a good part of what importing the package would cost.
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
            # Tenacity holds itself, this, and the error that ends it, whose traceback holds all of them.
            retrying.iter_state.reset()
            if self.attempt is not None:
                self.attempt.outcome = None
            del self.state, self.subscription, self.attempt

    async def _poll(self) -> J:
        try:
            snapshot = await self._read()
        except ChamelaionError as error:
            let_go(error)  # its frames hold the state, which holds it
            raise
        request = snapshot.request
        if self.state.saw(snapshot) and self.on_update is not None:
            pending = self.on_update(request)
            if inspect.isawaitable(pending):
                await pending
        return request

    async def _read(self) -> Snapshot[J]:
        state, subscription, began = self.state, self.subscription, loop_time()
        # What others have read meanwhile comes first: it may be the end, although a refusal still stands.
        news = subscription.take_news()
        if news is not None:
            return news
        refusal = state.standing_refusal(began)
        if refusal is not None:
            state.failed(refusal, began)
            raise refusal
        until = state.begin_poll(began)
        try:
            async with asyncio.timeout_at(None if until == float("inf") else until):
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
        if outcome is None:
            return False
        error = outcome.exception()
        return self._may_pass(error) if error is not None else not outcome.result().is_finished

    def _may_pass(self, error: BaseException) -> bool:
        """Whether it is worth polling again; what ``on_update`` raised never is."""
        if not isinstance(error, ChamelaionError) or error is not self.state.last_error:
            return False
        return self.state.may_pass(error, loop_time())

    def _is_over(self, _: RetryCallState) -> bool:
        return self.state.is_over(loop_time())

    def _pause(self, attempt: RetryCallState) -> float:
        now = loop_time()
        # Tenacity asks for the pause before it asks whether to go on.
        return 0.0 if self.state.is_over(now) else self.state.pause(now, lambda: attempt)

    def _give_up(self, _: RetryCallState) -> J:
        raise self.state.verdict(loop_time())
