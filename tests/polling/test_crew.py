"""The tasks that read, with work that is only counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import attrs
import pytest

from chamelaion_async.polling.crew import Crew

pytestmark = pytest.mark.virtual_time


@attrs.define(eq=False)
class Work:
    """Pieces of work that take a second each, behind an entrance where they may be refused."""

    pieces: int = 0
    takes: float = 1.0
    entrance: float = 0.0
    crew: Crew = attrs.field(init=False)
    began: list[float] = attrs.field(factory=list)
    turns: int = 0
    is_refused: bool = False
    since: float = attrs.field(factory=lambda: asyncio.get_running_loop().time())
    after: Callable[[Crew], None] = Crew.widen

    def __attrs_post_init__(self) -> None:
        self.crew = Crew(self, self.turn)

    def __len__(self) -> int:
        return self.pieces

    def add(self, pieces: int) -> None:
        self.pieces += pieces
        self.crew.wake()

    async def turn(self, take_up: Callable[[], None]) -> None:
        self.turns += 1
        await asyncio.sleep(self.entrance)
        if self.is_refused:
            self.pieces = 0
            return
        take_up()
        if not self.pieces:
            return
        self.pieces -= 1
        self.began.append(round(asyncio.get_running_loop().time() - self.since, 6))
        await asyncio.sleep(self.takes)
        self.after(self.crew)

    def at(self, time: float) -> int:
        return self.began.count(time)


async def test_it_widens_by_one_with_each_that_succeeds_up_to_its_bound() -> None:
    work = Work()
    work.add(200)
    await asyncio.sleep(20)
    assert [work.at(second) for second in range(6)] == [4, 8, 16, 32, 32, 32]
    assert len(work.began) == 200


async def test_it_stays_as_wide_as_it_began_while_nothing_succeeds() -> None:
    work = Work(after=lambda _: None)
    work.add(10)
    await asyncio.sleep(20)
    assert work.began == [0] * 4 + [1] * 4 + [2] * 2


async def test_half_of_them_go_on_after_narrowing() -> None:
    work = Work()
    work.add(300)
    await asyncio.sleep(2.5)
    work.crew.narrow()
    work.after = lambda _: None
    await asyncio.sleep(3)
    assert (work.at(2), work.at(3), work.at(4)) == (16, 8, 8)


async def test_it_never_narrows_below_what_it_began_with() -> None:
    work = Work(after=Crew.narrow)
    work.add(12)
    await asyncio.sleep(20)
    assert work.began == [0] * 4 + [1] * 4 + [2] * 4


async def test_nobody_begins_while_it_holds_and_one_at_first_afterwards() -> None:
    work = Work()
    work.add(300)
    await asyncio.sleep(2.5)
    work.after = lambda _: None
    work.crew.hold(10)
    await asyncio.sleep(12.2)
    assert [at for at in work.began if at > 2] == [12.5, 13.5, 14.5]


async def test_a_hold_that_is_made_longer_lasts_as_long() -> None:
    work = Work()
    work.crew.hold(5)
    work.add(1)
    work.crew.hold(10)
    await asyncio.sleep(20)
    assert work.began == [10]


async def test_what_is_asked_for_in_one_tick_is_gathered() -> None:
    work = Work()
    for _ in range(10):
        work.add(1)
    assert work.turns == 0
    await asyncio.sleep(0.1)
    assert (work.turns, len(work.began)) == (4, 4)


async def test_no_more_queue_at_the_entrance_than_there_is_to_do() -> None:
    work = Work(entrance=1.0)
    work.crew._width = 32
    work.add(2)
    work.add(1)
    await asyncio.sleep(0.5)
    work.add(1)
    await asyncio.sleep(0.1)
    assert work.turns == 4


async def test_those_at_work_do_not_stand_in_for_those_who_are_needed() -> None:
    work = Work(takes=10.0)
    work.crew._width = 32
    work.add(1)
    await asyncio.sleep(1)
    work.add(1)
    await asyncio.sleep(1)
    assert work.began == [0, 1]


async def test_without_work_there_is_no_task() -> None:
    work = Work()
    work.crew.wake()
    work.add(10)
    await asyncio.sleep(20)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_was_to_begin_is_forgotten_at_rest() -> None:
    work = Work()
    work.crew.rest()
    work.add(1)
    work.crew.rest()
    await asyncio.sleep(5)
    assert work.turns == 0


async def test_it_goes_on_after_a_turn_that_was_cancelled() -> None:
    work = Work()
    work.add(6)
    await asyncio.sleep(0.5)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(5)
    assert work.began == [0] * 4 + [0.5] * 2


@pytest.mark.parametrize("is_refused", [False, True], ids=["taken up", "given up at the entrance"])
async def test_after_a_round_no_more_come_than_there_is_to_do(is_refused: bool) -> None:
    work = Work(entrance=1.0, is_refused=is_refused)
    work.add(4)
    await asyncio.sleep(5)
    turns, work.is_refused = work.turns, False
    work.add(1)
    await asyncio.sleep(5)
    assert work.turns - turns == 1


async def test_after_a_round_enough_come_for_what_there_is_to_do() -> None:
    work = Work(entrance=1.0)
    work.add(4)
    await asyncio.sleep(5)
    turns = work.turns
    work.add(4)
    await asyncio.sleep(0.5)
    come = work.turns - turns
    await asyncio.sleep(5)
    assert come == 4


async def test_after_a_rest_it_begins_again() -> None:
    work = Work(entrance=1.0)
    work.add(1)
    work.crew.rest()
    work.add(1)
    await asyncio.sleep(5)
    assert work.pieces == 0


async def test_without_work_nothing_is_set_in_motion() -> None:
    work = Work(entrance=1.0)
    work.crew.wake()
    assert work.crew._handle is None


async def test_who_is_woken_twice_begins_once() -> None:
    work = Work(entrance=1.0)
    work.add(1)
    first = work.crew._handle
    work.crew.wake()
    assert work.crew._handle is first
    await asyncio.sleep(5)


@pytest.mark.parametrize(("pieces", "left"), [(9, 4), (11, 5), (100, 16)])
async def test_it_narrows_to_half_of_a_whole_number(pieces: int, left: int) -> None:
    work = Work(entrance=1.0)
    for _ in range(pieces - 4):
        work.crew.widen()
    work.crew.narrow()
    assert work.crew._width == left
    assert isinstance(work.crew._width, int)
