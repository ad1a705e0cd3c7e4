"""The times of very many items, on one timer of the loop."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Generic, TypeVar

from .._http.clock import loop_time
from ..loading.slices import SLICE
from ..loading.times import NEVER
from .intervals import EARLY

__all__ = ["Schedule"]

T = TypeVar("T")


class Schedule(Generic[T]):
    """Calls back with each item at its time, with at most a slice of items in one turn of the loop.

    Args:
        come_due: Called with an item, the time that it was added for, and the loop's time.
    """

    def __init__(self, come_due: Callable[[T, float, float], None]) -> None:
        self._come_due = come_due
        # A heap of times, and what is due at each. Most items of a batch are due at a time of their own, and a list
        # for each would take too much memory.
        self._times: list[float] = []
        self._items: dict[float, list[T] | T] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = NEVER  # a handle of uvloop does not tell its time once that has passed

    def add(self, item: T, time: float) -> None:
        """Call back with an item at a time, or up to ``EARLY`` seconds before."""
        others = self._items.get(time)
        if others is None:
            self._items[time] = item
            heapq.heappush(self._times, time)
            self._set_timer()
        elif isinstance(others, list):
            others.append(item)
        elif others is not item:  # it may have been added for this time before, and for an earlier time since
            self._items[time] = [others, item]

    def stop(self) -> None:
        """Call back no more. Nothing may be added from here on."""
        self._cancel_timer()
        del self._come_due  # a cycle, if it is a method of an object that holds this

    async def clear(self) -> None:
        """Remove all items, in slices: these may be the last references, and freeing the items takes time."""
        while len(self._items) > SLICE:
            for _ in range(SLICE):
                self._items.popitem()
            await asyncio.sleep(0)
        self._items.clear()
        self._times.clear()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        first = self._times[0]
        if self._timer is None or first < self._timer_due:
            self._cancel_timer()
            self._timer_due = first
            self._timer = asyncio.get_running_loop().call_at(first, self._run)

    def _run(self) -> None:
        self._timer = None
        since, seen = loop_time(), 0
        while self._times and self._times[0] <= since + EARLY and seen < SLICE:
            time = self._times[0]
            due = self._items[time]
            if isinstance(due, list) and len(due) > 1:
                item = due.pop()
            else:
                heapq.heappop(self._times)
                del self._items[time]
                item = due[0] if isinstance(due, list) else due
            seen += 1
            self._come_due(item, time, since)
        # After a whole slice the timer is due at once, but other callbacks of the loop run before it.
        if self._times:
            self._set_timer()
