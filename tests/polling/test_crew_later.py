"""The tasks that read, after a first round of work: they count who is at work, and forget what is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import attrs
import pytest

from chamelaion_async.polling.crew import Crew

pytestmark = pytest.mark.virtual_time


@attrs.define(eq=False)
class Work:
    """Pieces of work, for which one has to stand at an entrance for a second."""

    pieces: int = 0
    turns: int = 0
    is_refused: bool = False
    crew: Crew = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.crew = Crew(self, self.turn)

    def __len__(self) -> int:
        return self.pieces

    def add(self, pieces: int) -> None:
        self.pieces += pieces
        self.crew.wake()

    async def turn(self, take_up: Callable[[], None]) -> None:
        self.turns += 1
        await asyncio.sleep(1.0)
        if self.is_refused:
            self.pieces = 0
            return
        take_up()
        if self.pieces:
            self.pieces -= 1


@pytest.mark.parametrize("is_refused", [False, True], ids=["taken up", "given up at the entrance"])
async def test_after_a_round_no_more_come_than_there_is_to_do(is_refused: bool) -> None:
    work = Work(is_refused=is_refused)
    work.add(4)
    await asyncio.sleep(5)
    turns, work.is_refused = work.turns, False
    work.add(1)
    await asyncio.sleep(5)
    assert work.turns - turns == 1


async def test_after_a_round_enough_come_for_what_there_is_to_do() -> None:
    work = Work()
    work.add(4)
    await asyncio.sleep(5)
    turns = work.turns
    work.add(4)
    await asyncio.sleep(0.5)
    come = work.turns - turns
    await asyncio.sleep(5)
    assert come == 4


async def test_after_a_rest_it_begins_again() -> None:
    work = Work()
    work.add(1)
    work.crew.rest()
    work.add(1)
    await asyncio.sleep(5)
    assert work.pieces == 0


async def test_without_work_nothing_is_set_in_motion() -> None:
    work = Work()
    work.crew.wake()
    assert work.crew._handle is None


async def test_who_is_woken_twice_begins_once() -> None:
    work = Work()
    work.add(1)
    first = work.crew._handle
    work.crew.wake()
    assert work.crew._handle is first
    await asyncio.sleep(5)


@pytest.mark.parametrize(("pieces", "left"), [(9, 4), (11, 5), (100, 16)])
async def test_it_narrows_to_half_of_a_whole_number(pieces: int, left: int) -> None:
    work = Work()
    for _ in range(pieces - 4):
        work.crew.widen()
    work.crew.narrow()
    assert work.crew._width == left
    assert isinstance(work.crew._width, int)
