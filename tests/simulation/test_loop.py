"""The loop of the simulation keeps virtual time as each kind of loop does, and reports what it is stuck at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from .loop import SimulatedLoop, StuckError

Make = Callable[..., SimulatedLoop]


@pytest.fixture
def make() -> Iterator[Make]:
    loops: list[SimulatedLoop] = []

    def made(timers: str = "exact", **more: int) -> SimulatedLoop:
        loops.append(SimulatedLoop(timers, **more))  # type: ignore[arg-type] # the names of the tests' parameters
        return loops[-1]

    yield made
    for loop in loops:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.close()


def test_an_hour_passes_at_once(make: Make) -> None:
    loop = make()
    loop.run_until_complete(asyncio.sleep(3600.0))
    assert loop.elapsed == pytest.approx(3600.0)


@pytest.mark.parametrize(
    ("timers", "least", "most"), [("exact", 0.0, 1e-9), ("early", -0.0005, -1e-9), ("late", 0.0, 0.001)]
)
def test_timers_go_off_as_on_such_a_loop(make: Make, timers: str, least: float, most: float) -> None:
    loop = make(timers)
    off: list[float] = []

    def note(due: float) -> None:
        off.append(loop.elapsed - due)

    for number in range(1, 50):
        due = number * 0.1234567
        loop.call_later(due, note, due)
    loop.run_until_complete(asyncio.sleep(10.0))
    assert len(off) == 49
    assert min(off) >= least - 1e-9
    assert max(off) <= 0.001 + 1e-9
    assert sum(off) / len(off) <= most + 0.0005


async def turns_without_end() -> None:
    loop = asyncio.get_running_loop()

    def turn() -> None:
        loop.call_soon(turn)

    turn()
    await loop.create_future()


async def spins_without_an_await() -> None:
    loop = asyncio.get_running_loop()
    while loop.time():
        pass


async def waits_for_what_never_comes() -> None:
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("work", [turns_without_end, spins_without_an_await, waits_for_what_never_comes])
def test_a_loop_that_makes_no_progress_is_stuck(make: Make, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    loop = make()
    task = loop.create_task(work())
    task._log_destroy_pending = False  # type: ignore[attr-defined] # it is left where it was
    with pytest.raises(StuckError):
        loop.run_until_complete(task)
    assert loop.is_stuck


async def a_thousand_at_once(count: int) -> None:
    await asyncio.gather(*(asyncio.sleep(1.0) for _ in range(count)))


def test_a_loop_is_not_stuck_where_many_wake_at_one_instant(make: Make) -> None:
    loop = make(things=1000)
    loop.run_until_complete(a_thousand_at_once(1000))
    assert not loop.is_stuck
