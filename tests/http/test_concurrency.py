"""How wide a lane is: a few calls at first, and more where they gain time."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from chamelaion_async import Pace
from chamelaion_async._http import concurrency
from chamelaion_async._http.concurrency import MOMENT, ConcurrencyLimit
from chamelaion_async._http.lanes import Lane, LocalBudget

MOST = 100
LEAST = 16


@attrs.define
class Thread:
    """A thread that takes answers apart, on clocks set by hand."""

    width: ConcurrencyLimit = attrs.Factory(lambda: ConcurrencyLimit(MOST))
    now: float = 10.0
    cpu: float = 3.0

    def moment(self, *, busy: float, ended: int) -> int:
        """Let a moment pass, a part of it with work, in which so many calls end; return how many are allowed then."""
        for _ in range(ended):
            self.width.ended()
        self.now += MOMENT
        self.cpu += MOMENT * busy
        self.width.adapt(self.now)
        return self.width.allowed


@pytest.fixture
def thread(monkeypatch: pytest.MonkeyPatch) -> Thread:
    thread = Thread()
    monkeypatch.setattr(concurrency, "thread_time", lambda: thread.cpu)
    thread.width.begin(thread.now)
    return thread


class TestAWidth:
    @pytest.mark.parametrize(("most", "allowed"), [(1, 1), (15, 15), (16, 16), (17, 16), (100, 16)])
    def test_is_small_at_first(self, most: int, allowed: int) -> None:
        assert ConcurrencyLimit(most).allowed == allowed

    def test_doubles_up_to_its_bound_where_the_thread_has_time_to_spare(self, thread: Thread) -> None:
        assert [thread.moment(busy=0.7, ended=500) for _ in range(5)] == [32, 64, 100, 100, 100]

    def test_stays_where_the_thread_is_busy_with_what_comes_and_goes(self, thread: Thread) -> None:
        assert [thread.moment(busy=0.8, ended=LEAST) for _ in range(5)] == [LEAST] * 5

    def test_doubles_where_calls_wait_for_the_network_and_the_thread_is_busy_with_something_else(
        self, thread: Thread
    ) -> None:
        assert [thread.moment(busy=1.0, ended=15) for _ in range(4)] == [32, 64, 100, 100]

    def test_is_halved_where_the_thread_has_become_busy(self, thread: Thread) -> None:
        for _ in range(3):
            thread.moment(busy=0.5, ended=5)
        assert [thread.moment(busy=1.0, ended=100) for _ in range(5)] == [50, 25, 16, 16, 16]

    def test_is_halved_to_a_whole_number(self, thread: Thread) -> None:
        thread.width = ConcurrencyLimit(70)
        thread.width.begin(thread.now)
        assert [thread.moment(busy=0.0, ended=0) for _ in range(3)] == [32, 64, 70]
        assert [thread.moment(busy=1.0, ended=70) for _ in range(3)] == [35, 17, 16]

    def test_is_judged_by_the_last_moment_alone(self, thread: Thread) -> None:
        thread.moment(busy=0.0, ended=500)
        assert thread.moment(busy=1.0, ended=31) == 64
        assert thread.moment(busy=1.0, ended=64) == 32
        assert thread.moment(busy=0.7, ended=64) == 64

    def test_is_not_judged_by_what_came_before_calls_had_to_wait(self, thread: Thread) -> None:
        for _ in range(500):
            thread.width.ended()
        thread.now, thread.cpu = thread.now + 60, thread.cpu + 60
        thread.width.begin(thread.now)
        assert thread.moment(busy=0.0, ended=0) == 32
        thread.width.begin(thread.now)
        assert thread.moment(busy=1.0, ended=0) == 64

    @pytest.mark.parametrize("most", [1, 15, 16])
    def test_that_is_small_by_itself_stays_as_it_is(self, most: int, thread: Thread) -> None:
        thread.width = ConcurrencyLimit(most)
        thread.width.begin(thread.now)
        assert {thread.moment(busy=busy, ended=most) for busy in (0.0, 1.0, 0.0)} == {most}


@attrs.define
class Crowd:
    """Calls that come to a lane all at once, and how many are under way at which time since."""

    lane: Lane
    thread: Thread
    entered: list[tuple[int, float]] = attrs.Factory(list)

    async def come(self, number: int, *, answered_after: float, work: float = 0.0) -> None:
        """Let so many come, and each be answered after some seconds and some work of the thread's."""
        now = asyncio.get_running_loop().time
        began = is_free_at = now()

        async def call() -> None:
            nonlocal is_free_at
            if not self.lane.try_acquire():
                await self.lane.acquire()
            self.entered.append((self.lane._under_way, round(now() - began, 6)))
            is_free_at = max(is_free_at, now() + answered_after) + work
            await asyncio.sleep(is_free_at - now())
            self.thread.cpu += work
            self.lane.answered()
            self.lane.release()

        await asyncio.gather(*(call() for _ in range(number)))


@pytest.fixture
def crowd(thread: Thread) -> Crowd:
    return Crowd(Lane("status", LocalBudget(), Pace(max_concurrency=MOST)), thread)


@pytest.mark.virtual_time
class TestALane:
    async def test_that_waits_for_the_network_has_its_full_width_before_the_first_answer(self, crowd: Crowd) -> None:
        await crowd.come(150, answered_after=0.1)
        times = [time for _, time in crowd.entered]
        assert times[:100] == [0.0] * 16 + [0.025] * 16 + [0.05] * 32 + [0.075] * 36
        assert times[100:] == [0.1] * 16 + [0.125] * 16 + [0.15] * 18

    async def test_keeps_its_width_for_those_who_come_later(self, crowd: Crowd) -> None:
        await crowd.come(150, answered_after=0.1)
        crowd.entered.clear()
        await crowd.come(100, answered_after=0.1)
        assert {time for _, time in crowd.entered} == {0.0}

    async def test_whose_thread_is_busy_stays_narrow(self, crowd: Crowd) -> None:
        await crowd.come(1000, answered_after=0.001, work=0.0005)
        assert max(under_way for under_way, _ in crowd.entered) == LEAST

    async def test_of_a_thread_that_becomes_busy_narrows(self, crowd: Crowd) -> None:
        await crowd.come(150, answered_after=0.1)
        crowd.entered.clear()
        await crowd.come(3000, answered_after=0.001, work=0.0002)
        under_way = [under_way for under_way, _ in crowd.entered]
        assert (max(under_way), max(under_way[1500:])) == (MOST, LEAST)

    async def test_never_passes_its_bound(self, thread: Thread) -> None:
        crowd = Crowd(Lane("status", LocalBudget(), Pace(max_concurrency=20)), thread)
        await crowd.come(200, answered_after=0.1)
        assert max(under_way for under_way, _ in crowd.entered) == 20

    async def test_stops_its_timer_when_no_caller_waits(self, crowd: Crowd) -> None:
        assert crowd.lane.try_acquire()  # and stays, so that something is under way
        await crowd.come(20, answered_after=0.001)
        assert crowd.lane._judging is not None
        await asyncio.sleep(MOMENT)
        judging: asyncio.TimerHandle | None = crowd.lane._judging
        assert (judging, crowd.lane._limit.allowed) == (None, LEAST)

    async def test_that_cannot_widen_sets_no_timer(self, thread: Thread) -> None:
        lane = Lane("status", LocalBudget(), Pace(max_concurrency=LEAST))
        coming = asyncio.create_task(Crowd(lane, thread).come(20, answered_after=1.0))
        await asyncio.sleep(0.5)
        assert (len(lane._queue), lane._judging) == (4, None)
        await coming

    async def test_leaves_no_timer_behind_once_all_have_left(self, crowd: Crowd) -> None:
        coming = asyncio.create_task(crowd.come(20, answered_after=0.001))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert crowd.lane._judging is not None
        await coming
        assert crowd.lane._judging is None

    async def test_keeps_the_order_of_arrival_when_it_widens(self, crowd: Crowd) -> None:
        order = list[int]()

        async def call(number: int) -> None:
            if not crowd.lane.try_acquire():
                await crowd.lane.acquire()
            order.append(number)
            await asyncio.sleep(0.1)
            crowd.lane.release()

        await asyncio.gather(*map(call, range(300)))
        assert order == list(range(300))
