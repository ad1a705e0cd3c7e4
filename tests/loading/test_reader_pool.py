"""The tasks that read, with reads that are only counted."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator

import attrs
import pytest

from chamelaion_async.loading.reader_pool import ReaderPool

pytestmark = pytest.mark.virtual_time


@pytest.fixture(autouse=True)
async def _reads_end_with_the_test() -> AsyncIterator[None]:
    yield
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()  # of a loader, these are the loader's to cancel


@attrs.define(eq=False)
class Reads:
    """Reads that take some seconds each, behind a lane where none may be wanted any more."""

    wanted: int = 0
    lane: float = 0.0
    most: int = 100
    given_up: bool = False
    takes: float = 1.0
    slow_after: float = math.inf
    refuses: bool = False
    pool: ReaderPool = attrs.field(init=False)
    began: list[float] = attrs.field(factory=list)
    under_way: list[float] = attrs.field(factory=list)
    most_under_way: int = 0
    turns: int = 0
    since: float = attrs.field(factory=lambda: asyncio.get_running_loop().time())

    def __attrs_post_init__(self) -> None:
        self.pool = ReaderPool(self, self.read_once, self.brisk, self.most)

    def __len__(self) -> int:
        return self.wanted

    def brisk(self) -> int:
        return sum(self.elapsed() - began < self.slow_after for began in self.under_way)

    def elapsed(self) -> float:
        return round(asyncio.get_running_loop().time() - self.since, 6)

    def want(self, reads: int) -> None:
        self.wanted += reads
        self.pool.wake()

    async def read_once(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.turns += 1
        await asyncio.sleep(self.lane)
        self.pool.has_chosen(task)
        if self.given_up:
            self.wanted = 0
        if not self.wanted:
            return
        self.wanted -= 1
        began = self.elapsed()
        self.began.append(began)
        self.under_way.append(began)
        self.most_under_way = max(self.most_under_way, len(self.under_way))
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.under_way.remove(began)
        if self.refuses:
            self.pool.read_was_refused()
        else:
            self.pool.read_was_answered()


async def test_reads_of_one_round_of_the_loop_gather() -> None:
    reads = Reads()
    for _ in range(8):
        reads.want(1)
    assert reads.turns == 0
    await asyncio.sleep(0.5)
    assert reads.began == [0.0] * 8


async def test_no_more_tasks_are_there_than_the_bound() -> None:
    reads = Reads(most=4)
    reads.want(10)
    await asyncio.sleep(20)
    assert reads.began == [0.0] * 4 + [1.0] * 4 + [2.0] * 2


async def test_no_more_tasks_wait_for_the_lane_than_there_are_reads() -> None:
    reads = Reads(lane=1.0)
    reads.want(2)
    reads.want(1)
    await asyncio.sleep(0.5)
    reads.want(1)
    await asyncio.sleep(0.1)
    assert reads.turns == 4


async def test_a_read_that_is_wanted_during_another_gets_its_own_task() -> None:
    reads = Reads()
    reads.want(1)
    await asyncio.sleep(0.5)
    reads.want(1)
    await asyncio.sleep(5)
    assert reads.began == [0.0, 0.5]


async def test_without_reads_there_is_no_task() -> None:
    reads = Reads()
    reads.pool.wake()
    assert reads.pool._handle is None
    reads.want(10)
    await asyncio.sleep(20)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("given_up", [False, True])
async def test_after_a_pause_as_many_tasks_start_as_there_are_reads(given_up: bool) -> None:
    reads = Reads(lane=1.0, given_up=given_up)
    reads.want(4)
    await asyncio.sleep(5)
    turns, reads.given_up = reads.turns, False
    reads.want(3)
    await asyncio.sleep(0.5)
    assert reads.turns - turns == 3


async def test_no_task_starts_between_a_stop_and_the_next_wake() -> None:
    reads = Reads()
    reads.pool.stop()
    reads.want(1)
    reads.pool.stop()
    await asyncio.sleep(5)
    assert reads.turns == 0
    reads.pool.wake()
    await asyncio.sleep(5)
    assert reads.wanted == 0


async def test_a_task_whose_read_is_not_wanted_any_more_takes_no_turn() -> None:
    reads = Reads()
    reads.want(1)
    await asyncio.sleep(0)
    reads.wanted = 0
    await asyncio.sleep(5)
    assert reads.turns == 0


async def test_tasks_start_again_after_others_were_cancelled() -> None:
    reads = Reads(most=4)
    reads.want(6)
    await asyncio.sleep(0.5)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(5)
    assert reads.began == [0.0] * 4 + [0.5] * 2


class TestSlowStart:
    async def test_each_good_answer_allows_one_more_read_so_that_they_double(self) -> None:
        reads = Reads()
        reads.want(100)
        await asyncio.sleep(10)
        assert Counter(reads.began) == {0.0: 8, 1.0: 16, 2.0: 32, 3.0: 44}

    async def test_no_answer_allows_more_than_the_bound(self) -> None:
        reads = Reads(most=20)
        reads.want(100)
        await asyncio.sleep(20)
        assert (len(reads.began), reads.most_under_way) == (100, 20)

    @pytest.mark.parametrize(("most", "at_once"), [(4, 4), (100, 8)])
    async def test_refusals_allow_as_many_reads_as_at_first(self, most: int, at_once: int) -> None:
        reads = Reads(most=most, refuses=True)
        reads.want(3 * at_once)
        await asyncio.sleep(10)
        assert Counter(reads.began) == {0.0: at_once, 1.0: at_once, 2.0: at_once}

    async def test_a_refusal_halves_what_is_read_at_once(self) -> None:
        reads = Reads()
        reads.want(8 + 16)
        await asyncio.sleep(5)
        reads.pool.read_was_refused()  # 8 and 24 good answers allow 32
        reads.want(100)
        await asyncio.sleep(0.5)
        assert Counter(reads.began)[5.0] == 16

    async def test_answers_after_a_refusal_allow_more_again_one_by_one(self) -> None:
        reads = Reads()
        reads.want(24)
        await asyncio.sleep(5)
        reads.pool.read_was_refused()
        reads.want(100)
        await asyncio.sleep(1.5)
        assert Counter(reads.began)[6.0] == 32


class TestSlowReads:
    @pytest.fixture(autouse=True)
    async def stopped(self) -> AsyncIterator[None]:
        yield
        reads = asyncio.all_tasks() - {asyncio.current_task()}
        for task in reads:
            task.cancel()
        await asyncio.gather(*reads, return_exceptions=True)

    async def test_reads_that_hang_do_not_delay_others_for_long(self) -> None:
        reads = Reads(takes=100.0, slow_after=0.6)
        reads.want(20)
        await asyncio.sleep(10)
        # It comes back every quarter of a second, and finds them slow at the third time.
        assert Counter(reads.began) == {0.0: 8, 0.75: 8, 1.5: 4}

    async def test_no_more_are_under_way_than_the_bound_however_slow(self) -> None:
        reads = Reads(takes=100.0, slow_after=0.6, most=12)
        reads.want(20)
        await asyncio.sleep(10)
        assert Counter(reads.began) == {0.0: 8, 0.75: 4}

    async def test_an_answer_starts_what_waits_at_once(self) -> None:
        reads = Reads(takes=0.1)
        reads.want(9)
        await asyncio.sleep(1)
        assert reads.began == [0.0] * 8 + [0.1]

    async def test_a_read_that_waits_for_slow_ones_does_not_start_after_a_stop(self) -> None:
        reads = Reads(takes=100.0, slow_after=0.1)
        reads.want(20)
        await asyncio.sleep(0.2)
        reads.pool.stop()
        await asyncio.sleep(10)
        assert reads.began == [0.0] * 8
        reads.pool.wake()
        await asyncio.sleep(0.1)
        assert len(reads.began) == 16
