"""How wide a lane is: narrow only where a busy thread gets through no fewer answers that way."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from chamelaion_async import _width
from chamelaion_async._pace import Lane, LocalBudget
from chamelaion_async._width import Width

MOST = 100
NARROW = 16


@attrs.define
class Thread:
    """A thread that takes answers apart, on clocks set by hand."""

    width: Width = attrs.Factory(lambda: Width(MOST))
    now: float = 0.0
    cpu: float = 0.0

    def take(self, answers: int, *, each: float, busy: float = 1.0, under_way: int | None = None) -> None:
        """Take so many answers, each after so many seconds, of which a part is work."""
        for _ in range(answers):
            self.now += each
            self.cpu += each * busy
            self.width.answered(self.width.allowed if under_way is None else under_way, self.now)

    def narrowed(self) -> Thread:
        """Return this once it has tried a narrow lane, at 1,000 answers a second when it was wide."""
        self.take(2 * MOST + 1, each=0.001)
        assert self.width.allowed == NARROW
        return self


@pytest.fixture
def thread(monkeypatch: pytest.MonkeyPatch) -> Thread:
    thread = Thread()
    monkeypatch.setattr(_width, "thread_time", lambda: thread.cpu)
    return thread


class TestAWideLane:
    def test_is_as_wide_as_the_pace_allows(self) -> None:
        assert Width(70).allowed == 70

    def test_is_narrowed_where_the_thread_is_busy(self, thread: Thread) -> None:
        thread.take(2 * MOST, each=0.001)
        assert thread.width.allowed == MOST
        thread.take(1, each=0.001)
        assert thread.width.allowed == NARROW

    def test_stays_wide_where_it_has_time_to_spare(self, thread: Thread) -> None:
        thread.take(5000, each=0.001, busy=0.85)
        assert thread.width.allowed == MOST

    def test_is_not_judged_by_a_moment(self, thread: Thread) -> None:
        thread.take(499, each=0.0001)  # 50 ms lie between 501 answers
        assert thread.width.allowed == MOST
        thread.take(3, each=0.0001)
        assert thread.width.allowed == NARROW

    @pytest.mark.parametrize(("under_way", "allowed"), [(23, MOST), (24, NARROW)])
    def test_is_narrowed_only_where_many_are_under_way(self, thread: Thread, under_way: int, allowed: int) -> None:
        thread.take(2 * MOST + 1, each=0.001, under_way=under_way)
        assert thread.width.allowed == allowed

    def test_is_judged_by_answers_that_came_while_many_were(self, thread: Thread) -> None:
        thread.take(2 * MOST, each=0.001)
        thread.take(1, each=0.001, under_way=3)
        thread.take(2 * MOST, each=0.001)
        assert thread.width.allowed == MOST

    @pytest.mark.parametrize("most", [1, 15, 16])
    def test_that_is_narrow_by_itself_stays_as_it_is(self, thread: Thread, most: int) -> None:
        thread.width = Width(most)
        thread.take(500, each=0.001)
        assert thread.width.allowed == most


class TestANarrowLane:
    def test_stays_so_where_no_fewer_are_answered(self, thread: Thread) -> None:
        thread.narrowed().take(4000, each=0.0011)
        assert thread.width.allowed == NARROW

    def test_is_widened_where_fewer_are(self, thread: Thread) -> None:
        thread.narrowed().take(51, each=0.0012)
        assert thread.width.allowed == MOST

    def test_is_not_tried_again_for_a_while_after_that(self, thread: Thread) -> None:
        thread.narrowed().take(51, each=0.0012)
        thread.take(4900, each=0.001)
        assert thread.width.allowed == MOST
        thread.take(400, each=0.001)
        assert thread.width.allowed == NARROW

    def test_is_widened_where_the_thread_has_time_to_spare(self, thread: Thread) -> None:
        thread.narrowed().take(60, each=0.001, busy=0.85)
        assert thread.width.allowed == MOST

    def test_and_tried_again_as_soon_as_it_has_none(self, thread: Thread) -> None:
        thread.narrowed().take(60, each=0.001, busy=0.85)
        thread.take(2 * MOST + 1, each=0.001)
        assert thread.width.allowed == NARROW

    def test_is_compared_anew_after_some_seconds(self, thread: Thread) -> None:
        thread.narrowed().take(4950, each=0.001)
        assert thread.width.allowed == NARROW
        thread.take(100, each=0.001)
        assert thread.width.allowed == MOST
        thread.take(2 * MOST + 1, each=0.0005)  # it could be twice as fast by now
        assert thread.width.allowed == NARROW
        thread.take(60, each=0.001)
        assert thread.width.allowed == MOST

    def test_is_widened_as_soon_as_nobody_waits(self, thread: Thread) -> None:
        thread.narrowed().take(1, each=0.001, under_way=NARROW - 1)
        assert thread.width.allowed == MOST
        thread.narrowed()

    def test_is_not_judged_by_what_began_before(self, thread: Thread) -> None:
        thread.narrowed()
        for under_way in range(MOST, NARROW, -1):
            thread.take(1, each=0.01, under_way=under_way)
        assert thread.width.allowed == NARROW


@pytest.mark.virtual_time
async def test_a_lane_lets_in_as_many_as_its_width_allows_and_keeps_their_order(thread: Thread) -> None:
    lane, entered = Lane("status", LocalBudget(), 40), list[int]()

    async def call(number: int) -> None:
        if not lane.try_acquire():
            await lane.acquire()
        entered.append(number)

    calls = [asyncio.create_task(call(number)) for number in range(100)]
    await asyncio.sleep(0)
    assert len(entered) == 40

    lane._width.allowed = NARROW
    for _ in range(24):
        lane.release()
        await asyncio.sleep(0)
    assert len(entered) == 40
    lane.release()
    await asyncio.sleep(0)
    assert len(entered) == 41

    lane._width.allowed = 40
    lane.release()
    await asyncio.sleep(0)
    assert entered == list(range(66))
    for _ in range(40 + 34):
        lane.release()
        await asyncio.sleep(0)
    assert entered == list(range(100))
    await asyncio.gather(*calls)


@pytest.mark.virtual_time
async def test_a_lane_narrows_while_its_thread_is_busy_and_widens_when_the_crowd_is_gone(thread: Thread) -> None:
    lane, under_way, now = Lane("status", LocalBudget(), MOST), list[int](), asyncio.get_running_loop().time
    is_free_at = now()

    async def calls() -> None:
        nonlocal is_free_at
        for _ in range(20):
            if not lane.try_acquire():
                await lane.acquire()
            under_way.append(lane._under_way)
            is_free_at = max(is_free_at, now() + 0.01) + 0.002  # it comes, and waits for others
            await asyncio.sleep(is_free_at - now())
            thread.cpu += 0.002
            lane.answered()
            lane.release()

    await asyncio.gather(*(calls() for _ in range(200)))
    assert (max(under_way), under_way[1000]) == (MOST, NARROW)
    assert (lane._under_way, lane._width.allowed) == (0, MOST)
