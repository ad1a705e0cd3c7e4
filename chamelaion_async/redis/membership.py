"""One client among those on the same account."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

from ..sharing import Budget, Listener
from .replica import Replica

__all__ = ["RedisMembership"]


class RedisMembership:
    """The ``Membership`` of a client.

    Args:
        replica: This process on the account.
        budget: The permits of all members.
        on_close: Called when the client has left.
    """

    def __init__(self, replica: Replica, budget: Budget, on_close: Callable[[], None]) -> None:
        self.budget = budget
        self._replica = replica
        self._on_close = on_close
        self._listeners: list[Listener] = []
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._is_closed = False
        replica.enter(self)

    @property
    def peers(self) -> int:
        """How many other members there are; 0 if none can be reached."""
        return 0 if self._is_closed else self._replica.peers

    async def claim(self, reading: str) -> bool:
        """Claim a reading, and return whether this member is to read it; see ``Membership.claim``."""
        return self._is_closed or await self._replica.claim(reading, self)

    def publish(self, reading: str, payload: bytes, began: float) -> None:
        """Send an answer to all other members, and end the claim, if this member has one."""
        if not self._is_closed:
            self._replica.publish(reading, payload, began, self)

    def release(self, reading: str) -> None:
        """End a claim without an answer, so that another member may read."""
        if not self._is_closed:
            self._replica.release(reading, self)

    def nudge(self, id: str) -> None:
        """Tell all other members to poll a request now. May be called from any thread."""
        if self._thread == threading.get_ident():
            self._nudge(id)
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._nudge, id)

    def _nudge(self, id: str) -> None:
        if not self._is_closed:
            self._replica.nudge(id, self)

    def attach(self, listener: Listener) -> None:
        """Call a listener from now on."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Leave: release all claims, and call no listener any more. Idempotent."""
        if not self._is_closed:
            self._replica.leave(self)
            self._is_closed = True
            self._listeners.clear()
            self._on_close()

    def hear_answer(self, reading: str, payload: bytes | None, began: float) -> None:
        """Hand an answer on to the listeners, in the next turn of the loop."""
        self._call_soon(lambda listener: listener.on_published(reading, payload, began))

    def hear_nudge(self, id: str) -> None:
        """Hand a nudge on to the listeners."""
        self._call_soon(lambda listener: listener.on_nudge(id))

    def hear_loss(self) -> None:
        """Tell the listeners that messages may have been lost."""
        self._call_soon(lambda listener: listener.on_lost())

    def _call_soon(self, call: Callable[[Listener], None]) -> None:
        # Not at once: publishing and closing are no places to be called back from.
        for listener in self._listeners:
            self._loop.call_soon(self._call, call, listener)

    def _call(self, call: Callable[[Listener], None], listener: Listener) -> None:
        if not self._is_closed:
            call(listener)
