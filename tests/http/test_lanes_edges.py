"""Lanes at the edges: what is left behind by those who gave up, and the moment in which a lane opens."""

from __future__ import annotations

import asyncio

import pytest

from chamelaion_async._http.lanes import LocalBudget, make_lanes
from chamelaion_async.config import Pace

pytestmark = pytest.mark.virtual_time


async def settle() -> None:
    """Let everything that is ready run, without letting time pass."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_full_lane_keeps_nothing_of_those_who_gave_up() -> None:
    lane = make_lanes(Pace(max_concurrency=1))["status"]
    await lane.acquire()
    for _ in range(100):
        waiting = asyncio.create_task(lane.acquire())
        await settle()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert len(lane._queue) == 0


async def test_a_closed_lane_keeps_nothing_of_those_who_gave_up() -> None:
    budget = LocalBudget()
    budget.throttled("status", 60.0, 0)
    for _ in range(100):
        waiting = asyncio.create_task(budget.acquire("status"))
        await settle()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    gate = budget._gates["status"]
    assert (len(gate._queue), gate._timer) == (0, None)


async def test_a_caller_cancelled_in_the_tick_of_its_permit_is_simply_cancelled() -> None:
    budget = LocalBudget()
    budget.throttled("status", 10.0, 0)
    waiting = asyncio.create_task(budget.acquire("status"))
    await settle()
    # Set after the gate's own timer for the same time, this runs in the tick that grants the permit.
    loop = asyncio.get_running_loop()
    loop.call_at(loop.time() + 10.0, waiting.cancel)
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_callers_who_give_up_in_the_tick_of_their_permits_leave_no_timer() -> None:
    budget = LocalBudget(max_rate=1.0)
    await budget.acquire("status")
    loop = asyncio.get_running_loop()
    waiting = [asyncio.create_task(budget.acquire("status")) for _ in range(2)]
    await settle()
    for task in waiting:
        loop.call_at(loop.time() + 1.0, task.cancel)
    await asyncio.gather(*waiting, return_exceptions=True)
    gate = budget._gates["status"]
    assert (len(gate._queue), gate._timer) == (0, None)


async def test_a_timer_that_goes_off_early_grants_nothing() -> None:
    budget = LocalBudget(max_rate=1.0)
    loop = asyncio.get_running_loop()
    await budget.acquire("status")
    granted = asyncio.create_task(budget.acquire("status"))
    await settle()
    gate = budget._gates["status"]
    await asyncio.sleep(0.9995)
    gate._disarm()
    gate._open(loop)
    await settle()
    assert not granted.done()
    await granted


async def test_each_lane_has_a_budget_of_its_own() -> None:
    budget = LocalBudget(max_rate=1.0)
    assert [budget.try_acquire(lane) for lane in ("status", "generation", "status", "generation")] == [
        True,
        True,
        False,
        False,
    ]


def test_every_lane_allows_as_many_at_once_as_the_pace_says() -> None:
    lanes = make_lanes(Pace(max_concurrency=3))
    assert {name: [lane.try_acquire() for _ in range(4)] for name, lane in lanes.items()} == {
        "generation": [True, True, True, False],
        "status": [True, True, True, False],
    }


def test_slots_that_were_given_back_can_all_be_taken_again() -> None:
    lane = make_lanes(Pace(max_concurrency=3))["status"]
    for _ in range(2):
        assert [lane.try_acquire() for _ in range(4)] == [True, True, True, False]
        for _ in range(3):
            lane.release()
