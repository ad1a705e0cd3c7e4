"""A turn of the status lane: a slot is waited for first, and only then the caller decides which read to send."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import attrs

from ..models import RawResponse
from .call import Call
from .lanes import Lane
from .lifecycle import CancelScope
from .transport import Transport

__all__ = ["StatusTurn"]


@attrs.define(eq=False)
class StatusTurn:
    """A slot of the status lane, for at most one read; released after it, or at the end of the context."""

    transport: Transport
    lane: Lane = attrs.field(init=False)
    _scope: CancelScope = attrs.field(init=False)
    _has_slot: bool = attrs.field(init=False, default=False)

    @lane.default
    def _status_lane(self) -> Lane:
        return self.transport.lanes["status"]

    async def __aenter__(self) -> Self:
        self._scope = CancelScope(self.transport.lifecycle)
        self._scope.__enter__()
        try:
            await self.enter()
        except BaseException as error:
            self._scope.__exit__(type(error), error, error.__traceback__)
            del self._scope  # it holds the task, whose error holds this
            raise
        return self

    async def enter(self) -> None:
        """Wait for a slot and a permit."""
        if not self.lane.try_acquire():
            await self.lane.acquire()
        self._has_slot = True

    def leave(self) -> None:
        """Give back the slot and the permit, so that other calls use them while this read waits for something."""
        self._has_slot = False
        self.lane.give_back()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._has_slot:
            self.lane.release()
        self._scope.__exit__(kind, error, traceback)
        del self._scope  # it holds the task, whose error holds this

    async def send(self, call: Call, timeout: float, *, is_page: bool) -> RawResponse:
        """Make one attempt, and return its 2xx answer.

        A page that is answered 429 does not close the lane: the limit may be the list's alone. The next GET shows.

        Raises:
            ChamelaionError: One of the tree in ``errors``, and nothing else.
        """
        self._has_slot = False
        # The exchange releases the slot, whatever happens.
        return await self.transport.exchange_in(self.lane, call, timeout, 1, may_have_own_limit=is_page)
