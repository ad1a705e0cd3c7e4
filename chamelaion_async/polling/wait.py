"""The one loop that waits for a job, driven by tenacity.

Tenacity decides whether and when to look again; the time that a look may take is bounded by the loop's clock. How a
status is read is not known here: the caller injects it, and it may be a GET, a page of a list or a neighbour's read.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import attrs

from .._frames import let_go
from ..config import PollPolicy
from ..errors import APITimeoutError, ChamelaionError
from ..models import Job, OnUpdate
from .state import PollState, Pursuit, Sighting, make_terms

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["Read", "wait_until_finished"]

J = TypeVar("J", bound=Job)


class Read(Protocol[J]):
    """Reads the status of one id."""

    async def __call__(self, id: str, /, *, timeout: float, fresh: bool) -> Sighting[J]:
        """Return what ``id`` looks like now, or raise; one try, ``timeout`` seconds for an answer.

        What somebody else has read meanwhile will do, unless the look is to be ``fresh``.
        """


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
    pursuit = Pursuit(terms=make_terms(timeout, policy, random), started=_now())
    return await _Wait(read=read, state=PollState(id=id, pursuit=pursuit), sleep=sleep, on_update=on_update).run()


def _now() -> float:
    return asyncio.get_running_loop().time()


@attrs.define(kw_only=True)
class _Wait(Generic[J]):
    """Ties what is known of a job to tenacity."""

    read: Read[J]
    state: PollState[J]
    sleep: Callable[[float], Awaitable[None]]
    on_update: OnUpdate[J] | None
    attempt: RetryCallState | None = attrs.field(init=False, default=None)

    async def run(self) -> J:
        # Loaded by the first wait: it is a good part of what importing the package would cost.
        from tenacity import AsyncRetrying  # noqa: PLC0415

        retrying = AsyncRetrying(
            retry=self._goes_on,
            wait=self._pause,
            stop=self._is_over,
            sleep=self.sleep,
            retry_error_callback=self._give_up,
        )
        try:
            return await retrying(self._look)
        finally:
            # Tenacity holds itself, this, and the error that ends it, whose traceback holds all of them.
            retrying.iter_state.reset()
            if self.attempt is not None:
                self.attempt.outcome = None
            del self.state, self.attempt

    async def _look(self) -> J:
        try:
            sighting = await self._read()
        except ChamelaionError as error:
            let_go(error)  # its frames hold the state, which holds it
            self.state.failed(error, _now())
            raise
        request = sighting.request
        if self.state.saw(sighting) and self.on_update is not None:
            pending = self.on_update(request)
            if inspect.isawaitable(pending):
                await pending
        return request

    async def _read(self) -> Sighting[J]:
        state, began = self.state, _now()
        refusal = state.standing_refusal(began)
        if refusal is not None:
            raise refusal
        left = state.begin_look(began)
        timeout = min(state.pursuit.terms.policy.request_timeout, left)
        try:
            # The read bounds its answer; this bounds its queueing as well.
            async with asyncio.timeout(None if left == float("inf") else left):
                sighting = await self.read(state.id, timeout=timeout, fresh=state.is_last_look)
        except TimeoutError as error:
            if isinstance(error, ChamelaionError):
                raise
            raise APITimeoutError(
                f"the look at {state.id} had no answer within the {left:g} s that were left",
                sent="maybe",
                method="GET",
                path=state.id,
            ) from error
        state.end_look(_now())
        return sighting

    def _goes_on(self, attempt: RetryCallState) -> bool:
        self.attempt, outcome = attempt, attempt.outcome
        if outcome is None:
            return False
        error = outcome.exception()
        return self._may_pass(error) if error is not None else not outcome.result().is_finished

    def _may_pass(self, error: BaseException) -> bool:
        """Whether it is worth looking again; what ``on_update`` raised never is."""
        if not isinstance(error, ChamelaionError) or error is not self.state.last_error:
            return False
        return self.state.may_pass(error, _now())

    def _is_over(self, _: RetryCallState) -> bool:
        return self.state.is_over(_now())

    def _pause(self, attempt: RetryCallState) -> float:
        now = _now()
        # Tenacity asks for the pause before it asks whether to go on.
        return 0.0 if self.state.is_over(now) else self.state.pause(now, lambda: attempt)

    def _give_up(self, _: RetryCallState) -> J:
        raise self.state.verdict(_now())
