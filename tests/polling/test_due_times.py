"""The times of very many items, on one timer of the loop."""

from __future__ import annotations

import asyncio

import pytest

from chamelaion_async._http.clock import loop_time
from chamelaion_async.polling.due_times import Schedule

pytestmark = pytest.mark.virtual_time


class Due:
    """A schedule, and the items that came due, each with the seconds since the start."""

    def __init__(self) -> None:
        self.began = loop_time()
        self.came: list[tuple[str, float]] = []
        self.schedule: Schedule[str] = Schedule(self._come_due)

    def _come_due(self, item: str, time: float, _: float) -> None:
        assert time == pytest.approx(loop_time(), abs=0.02)
        self.came.append((item, time - self.began))

    def add(self, **times: float) -> None:
        for item, time in times.items():
            self.schedule.add(item, self.began + time)


async def test_items_come_at_their_times_in_any_order_of_adding() -> None:
    due = Due()
    due.add(late=5.0, early=2.0, middle=3.0)
    await asyncio.sleep(6.0)
    assert due.came == [("early", 2.0), ("middle", 3.0), ("late", 5.0)]


async def test_items_of_one_time_come_together_and_each_once() -> None:
    due = Due()
    due.add(a=2.0, b=2.0, c=2.0)
    other = Due()
    for _ in range(2):
        other.add(a=2.0)
    await asyncio.sleep(2.5)
    assert sorted(due.came) == [("a", 2.0), ("b", 2.0), ("c", 2.0)]
    assert other.came == [("a", 2.0)]


async def test_after_a_stop_nothing_comes() -> None:
    due = Due()
    due.add(a=2.0)
    due.schedule.stop()
    await asyncio.sleep(5.0)
    assert due.came == []
