"""The budget of several processes on virtual time: real scripts on a real engine, whose clock is the loop's."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import redis

from chamelaion_async._http.lanes import Lane, LocalBudget
from chamelaion_async.config import Pace
from chamelaion_async.redis.gate import SharedBudget
from chamelaion_async.sharing import Budget
from tests.support.engines import EngineServer
from tests.support.limiters import FixedWindow, Limiter, TokenBucket
from tests.support.virtual_engine import VirtualEngine

pytestmark = pytest.mark.virtual_time

accounts = itertools.count()


@pytest.fixture
def client(server: EngineServer) -> Iterator[redis.Redis]:
    made = redis.Redis.from_url(server.url)
    yield made
    made.flushall()
    made.close()


@pytest.fixture
def engine(client: redis.Redis) -> VirtualEngine:
    return VirtualEngine(client)


Join = Callable[..., SharedBudget]


@pytest.fixture
async def join(engine: VirtualEngine) -> AsyncIterator[Join]:
    """``join(max_rate)`` makes the budget of one more process on the same account."""
    made: list[SharedBudget] = []
    prefix = f"{{account:{next(accounts)}}}"

    def begin(max_rate: float | None = None, **options: Any) -> SharedBudget:
        made.append(SharedBudget(engine, prefix, max_rate, **options))
        return made[-1]

    yield begin
    for budget in made:
        budget.close()
        await budget.wait_closed()
    assert engine.listeners == 0


def now() -> float:
    return asyncio.get_running_loop().time()


class Callers:
    """Coroutines that acquire one permit after another, and when each came."""

    def __init__(self, budget: Budget, count: int = 1, *, each: int | None = None) -> None:
        self.began = now()
        self.times: list[float] = []
        self._tasks = [asyncio.create_task(self._run(budget, each)) for _ in range(count)]

    async def _run(self, budget: Budget, each: int | None) -> None:
        while each is None or each:
            await budget.acquire("status")
            self.times.append(now() - self.began)
            each = each and each - 1

    async def done(self) -> list[float]:
        await asyncio.gather(*self._tasks)
        return self.times

    async def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def throttle(budget: SharedBudget, seconds: float | None = None, answered: int | None = 0) -> None:
    """Report a 429 to the gate, and return once it has answered."""
    budget.throttled("status", seconds, answered)
    await asyncio.sleep(0.001)


class TestAtAKnownRate:
    async def test_permits_are_evenly_spaced_over_all_processes(self, join: Join) -> None:
        callers = [Callers(join(10.0), 5, each=1) for _ in range(3)]
        times = sorted([time for each in callers for time in await each.done()])
        assert times == pytest.approx([0.1 * n for n in range(15)], abs=1e-5)

    async def test_callers_of_a_process_go_in_order_of_arrival(self, join: Join) -> None:
        budget, order = join(20.0), []

        async def call(number: int) -> None:
            await budget.acquire("status")
            order.append(number)

        await asyncio.gather(*(call(number) for number in range(30)))
        assert order == list(range(30))

    async def test_several_permits_are_had_when_the_last_is_due(self, join: Join) -> None:
        budget, began = join(10.0), now()
        await budget.acquire("status", 4)
        assert now() - began == pytest.approx(0.3, abs=1e-5)

    async def test_lanes_have_a_rate_each(self, join: Join) -> None:
        budget, began = join(1.0), now()
        await asyncio.gather(budget.acquire("status"), budget.acquire("generation"))
        assert now() == began

    @pytest.mark.parametrize(("processes", "rate"), [(4, 95.0), (4, 19.0), (8, 5.0), (3, 0.5)])
    async def test_busy_processes_get_equal_shares_of_the_whole_rate(
        self, join: Join, processes: int, rate: float
    ) -> None:
        callers = [Callers(join(rate), 50) for _ in range(processes)]
        seconds = max(50 * processes / rate, 5.0)
        await asyncio.sleep(seconds - 0.5 / rate)
        shares = [len(each.times) for each in callers]
        for each in callers:
            await each.cancel()
        assert sum(shares) == pytest.approx(rate * seconds, abs=1)
        assert max(shares) - min(shares) <= max(0.05 * max(shares), 3)

    @pytest.mark.parametrize("latency", [0.001, 0.02])
    async def test_a_distant_engine_costs_no_permits(self, join: Join, engine: VirtualEngine, latency: float) -> None:
        engine.latency = latency
        callers = Callers(join(95.0), 200)
        await asyncio.sleep(10.0)
        await callers.cancel()
        assert len(callers.times) >= 0.99 * 950

    async def test_what_a_bucket_allows_is_not_exceeded(self, join: Join, engine: VirtualEngine) -> None:
        engine.latency = 0.002
        callers = [Callers(join(95.0), 100) for _ in range(4)]
        await asyncio.sleep(5.0)
        times = sorted(time for each in callers for time in each.times)
        for each in callers:
            await each.cancel()
        bucket = TokenBucket(100.0, 1.5)
        assert [time for time in times if bucket.take(time)] == []

    async def test_a_command_fetches_many_permits(self, join: Join, engine: VirtualEngine) -> None:
        callers = [Callers(join(95.0), 200) for _ in range(4)]
        await asyncio.sleep(10.0)
        for each in callers:
            await each.cancel()
        assert engine.commands < 400

    async def test_a_process_that_goes_idle_leaves_its_share_to_the_others(self, join: Join) -> None:
        busy, short = Callers(join(20.0), 50), Callers(join(20.0), 5, each=1)
        await short.done()
        before = len(busy.times)
        await asyncio.sleep(1.0)
        assert len(busy.times) - before == pytest.approx(20, abs=1)
        await busy.cancel()

    async def test_the_lowest_rate_counts_and_is_warned_of_once(
        self, join: Join, caplog: pytest.LogCaptureFixture
    ) -> None:
        low, high, none = join(10.0), join(30.0), join()
        for budget in (low, high, none, high, none):
            await budget.acquire("status")
        callers = Callers(high, 11, each=1)
        await callers.done()
        assert callers.times[-1] == pytest.approx(1.1, abs=0.01)
        texts = [record.getMessage().split(" in another")[0] for record in caplog.records]
        assert texts == ["max_rate is 30.0 here, but 10", "max_rate is None here, but 10"]
        assert {record.levelno for record in caplog.records} == {logging.WARNING}

    async def test_a_lower_rate_is_forgotten_a_minute_after_its_process_has_gone(self, join: Join) -> None:
        low, high = join(1.0), join(100.0)
        await low.acquire("status")
        await asyncio.sleep(61.0)
        callers = Callers(high, 11, each=1)
        await callers.done()
        assert callers.times[-1] == pytest.approx(0.1, abs=0.01)


class TestCancelling:
    async def test_a_cancelled_caller_leaves_the_queue_and_its_time_is_used(self, join: Join) -> None:
        budget, other = join(5.0), join(5.0)
        await budget.acquire("status")
        gone = Callers(budget, 1)
        await asyncio.sleep(0.05)
        await gone.cancel()
        assert (await Callers(other, 1, each=1).done()) == pytest.approx([0.15], abs=1e-5)

    async def test_times_in_the_middle_are_handed_out_again_as_they_are(self, join: Join) -> None:
        """As a count they would come all at once."""
        first, other = join(40.0), join(40.0)
        callers = [Callers(first, 1), Callers(other, 2)]
        await asyncio.sleep(0.001)
        await callers[0].cancel()
        late = Callers(first, 8, each=1)
        await late.done()
        await callers[1].cancel()
        times = sorted([*late.times, *callers[1].times])
        assert min(after - before for before, after in itertools.pairwise(times)) >= 0.02

    async def test_a_permit_of_the_same_turn_goes_to_the_next_caller(self, join: Join) -> None:
        budget = join(2.0)
        await budget.acquire("status")
        first = asyncio.create_task(budget.acquire("status"))
        second = asyncio.create_task(budget.acquire("status"))
        began = now()
        asyncio.get_running_loop().call_at(began + 0.5, lambda: asyncio.get_running_loop().call_soon(first.cancel))
        await second
        assert first.cancelled()
        assert now() - began == pytest.approx(0.5, abs=1e-5)

    async def test_all_cancelled_leave_nothing_behind(self, join: Join, engine: VirtualEngine) -> None:
        budget = join(5.0)
        callers = Callers(budget, 20)
        await asyncio.sleep(1.0)
        await callers.cancel()
        await asyncio.sleep(0.01)
        commands = engine.commands
        await asyncio.sleep(10.0)
        assert engine.commands == commands
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_a_caller_of_several_permits_gives_back_those_it_had(self, join: Join) -> None:
        budget = join(1.0)
        several = asyncio.create_task(budget.acquire("status", 3))
        await asyncio.sleep(0.5)
        several.cancel()
        await asyncio.gather(several, return_exceptions=True)
        assert (await Callers(budget, 1, each=1).done()) == pytest.approx([0.0], abs=0.001)


class TestGivingBack:
    async def test_the_next_caller_gets_it_at_once(self, join: Join) -> None:
        budget = join(0.1)
        await budget.acquire("status")
        waiting = Callers(budget, 1, each=1)
        await asyncio.sleep(1.0)
        budget.give_back("status")
        assert (await waiting.done()) == [1.0]

    async def test_another_process_gets_it(self, join: Join) -> None:
        budget, other = join(0.1), join(0.1)
        await budget.acquire("status")
        budget.give_back("status")
        await asyncio.sleep(0.001)
        assert (await Callers(other, 1, each=1).done()) == [0.0]

    async def test_a_closure_since_then_holds(self, join: Join) -> None:
        budget = join(5.0)
        await budget.acquire("status")
        await throttle(budget, 10.0)
        budget.give_back("status")
        assert (await Callers(budget, 1, each=1).done()) == pytest.approx([9.999], abs=0.001)

    async def test_a_second_time_gives_nothing_back(self, join: Join) -> None:
        budget = join(1.0)
        await budget.acquire("status")
        budget.give_back("status")
        budget.give_back("status")
        await asyncio.sleep(0.001)
        assert (await Callers(budget, 2, each=1).done()) == pytest.approx([0.0, 1.0], abs=1e-5)


class TestWithoutALimit:
    async def test_the_first_permit_asks_and_the_next_need_no_command(
        self, join: Join, engine: VirtualEngine
    ) -> None:
        budget = join()
        assert not budget.try_acquire("status")
        await budget.acquire("status")
        assert all(budget.try_acquire("status") for _ in range(1000))
        assert engine.commands == 1

    async def test_a_process_that_goes_on_tells_four_times_a_second(self, join: Join, engine: VirtualEngine) -> None:
        budget = join()
        for _ in range(1000):
            await budget.acquire("status")
            await asyncio.sleep(0.01)
        assert engine.commands == pytest.approx(41, abs=2)

    async def test_an_idle_one_tells_nothing_and_asks_first_when_it_goes_on(
        self, join: Join, engine: VirtualEngine
    ) -> None:
        budget = join()
        await budget.acquire("status")
        await asyncio.sleep(60.0)
        assert engine.commands == 1
        assert not budget.try_acquire("status")

    async def test_it_is_not_throttled(self, join: Join) -> None:
        budget = join()
        await budget.acquire("status")
        assert not budget.is_throttled("status")


class TestA429:
    async def test_closes_the_lane_here_at_once(self, join: Join) -> None:
        budget = join()
        await budget.acquire("status")
        budget.throttled("status", 2.0, 10)
        assert (budget.try_acquire("status"), budget.is_throttled("status")) == (False, True)
        assert (await Callers(budget, 1, each=1).done()) == pytest.approx([2.0], abs=0.001)

    async def test_is_known_within_a_quarter_of_a_second_to_a_process_that_knew_no_limit(self, join: Join) -> None:
        budget, other = join(), join()
        await budget.acquire("status")
        await other.acquire("status")
        callers = Callers(other, 1)
        await callers.cancel()
        await throttle(budget, 5.0, 10)
        other.try_acquire("status")
        await asyncio.sleep(0.26)
        assert not other.try_acquire("status")
        assert (await Callers(other, 1, each=1).done()) == pytest.approx([4.74], abs=0.01)
        assert other.is_throttled("status")

    async def test_is_known_at_once_where_the_others_are_told(self, join: Join) -> None:
        other = join()
        budget = join(tell=other.refresh)
        for each in (budget, other):
            await each.acquire("status")
        await throttle(budget, 5.0, 10)
        assert not other.try_acquire("status")
        assert other.is_throttled("status")

    async def test_is_told_once_for_each_closure(self, join: Join) -> None:
        told: list[str] = []
        budget = join(tell=told.append)
        await budget.acquire("status")
        for _ in range(5):
            await throttle(budget, 5.0, None if told else 10)
        assert told == ["status"]

    async def test_makes_times_void_that_other_processes_hold(self, join: Join) -> None:
        budget, other = join(5.0), join(5.0)
        await budget.acquire("status")
        callers = Callers(other, 3, each=1)
        await asyncio.sleep(0.01)
        await throttle(budget, 5.0, 10)
        other.refresh("status")
        times = await callers.done()
        assert times[0] == pytest.approx(5.01, abs=0.01)

    @pytest.mark.parametrize("rate", [1.0, 0.2])
    async def test_is_known_to_a_process_that_holds_a_late_time(self, join: Join, rate: float) -> None:
        """It asks again before it uses a time, if the last answer is old."""
        budget, other = join(rate), join(rate)
        await budget.acquire("status")
        callers = Callers(other, 1, each=1)
        await asyncio.sleep(0.01)
        await throttle(budget, 50.0, 10)
        assert (await callers.done()) == pytest.approx([50.01], abs=0.01)

    async def test_to_what_was_sent_before_another_process_was_refused_is_no_second_one(self, join: Join) -> None:
        budget, other = join(), join()
        for each in (budget, other):
            await each.acquire("status")
        sent = now()
        await asyncio.sleep(0.1)
        await throttle(budget, 0.1, 20)
        other.refresh("status")
        await asyncio.sleep(0.2)
        began = now()
        other.throttled("status", None, 20, (0, 0.0), sent)
        assert (await Callers(other, 1, each=1).done())[0] + now() - began < 0.5

    async def test_teaches_from_the_permits_of_all_processes(self, join: Join, engine: VirtualEngine) -> None:
        """Three of four permits were another's, and the answers to those are not known here."""
        budget, other = join(), join()
        for _ in range(20):
            await asyncio.gather(budget.acquire("status"), *(other.acquire("status") for _ in range(3)))
            await asyncio.sleep(0.05)
        await throttle(budget, None, 20)
        callers = Callers(budget, 100)
        await asyncio.sleep(2.0)
        await callers.cancel()
        assert 0.75 * 80 < len(callers.times) < 80


async def good_and_refused(budgets: list[Any], limiter: Limiter, seconds: float) -> tuple[int, int]:
    """Let lanes before a limiter send all that their budgets permit, and return the good and the refused calls."""
    began, found = now(), [0, 0]

    async def call(lane: Lane) -> None:
        while True:
            await lane.acquire()
            sent = now()
            await asyncio.sleep(0.15)
            is_refused = limiter.take(now() - began) > 0
            found[is_refused] += 1
            await asyncio.sleep(0.15)
            if is_refused:
                lane.throttled(None, sent)
            else:
                lane.answered(sent)
            lane.release()

    lanes = [Lane("status", budget, Pace()) for budget in budgets]
    tasks = [asyncio.create_task(call(lane)) for lane in lanes for _ in range(32 // len(lanes))]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found[0], found[1]


@pytest.mark.parametrize(
    ("limiter", "processes", "seconds"),
    [
        pytest.param(lambda: FixedWindow(5, 1.0, 0.3), 1, 90.0, id="5 in a second, 1 process"),
        pytest.param(lambda: FixedWindow(5, 1.0, 0.3), 4, 90.0, id="5 in a second, 4 processes"),
        pytest.param(lambda: FixedWindow(5, 1.0, 0.3), 8, 90.0, id="5 in a second, 8 processes"),
        pytest.param(lambda: TokenBucket(20.0, 10.0), 4, 30.0, id="bucket of 10, 20 a second, 4 processes"),
        pytest.param(lambda: TokenBucket(0.2, 2.0), 4, 300.0, id="one in 5 s, 4 processes"),
    ],
)
async def test_processes_learn_a_limit_together_as_one_learns_it(
    join: Join, engine: VirtualEngine, limiter: Callable[[], Limiter], processes: int, seconds: float
) -> None:
    engine.latency = 0.001
    alone = await good_and_refused([LocalBudget()], limiter(), seconds)
    good, refused = await good_and_refused([join() for _ in range(processes)], limiter(), seconds)
    assert good >= 0.9 * alone[0]
    assert refused <= alone[1] + 12


class TestWithoutTheEngine:
    @pytest.mark.parametrize("processes", [1, 4])
    async def test_a_process_takes_its_share_of_the_rate(
        self, join: Join, engine: VirtualEngine, processes: int
    ) -> None:
        engine.processes = processes
        callers = Callers(join(20.0), 100)
        await asyncio.sleep(1.0)
        engine.is_live = False
        before = len(callers.times)
        await asyncio.sleep(10.0)
        assert len(callers.times) - before == pytest.approx(200 / processes, rel=0.1)
        await callers.cancel()

    async def test_the_processes_together_do_not_exceed_the_rate(self, join: Join, engine: VirtualEngine) -> None:
        engine.processes = 4
        chances = iter([0.1, 0.35, 0.6, 0.85])
        callers = [Callers(join(20.0, draw=lambda: next(chances)), 100) for _ in range(4)]
        for live in (True, False, True):
            engine.is_live = live
            await asyncio.sleep(2.0)
        times = sorted(time for each in callers for time in each.times)
        for each in callers:
            await each.cancel()
        bucket = TokenBucket(20.0, 4.0)
        assert [time for time in times if bucket.take(time)] == []
        assert len(times) >= 0.9 * 120

    async def test_the_gate_is_asked_again_as_soon_as_it_is_back(self, join: Join, engine: VirtualEngine) -> None:
        engine.processes = 1
        callers = Callers(join(10.0), 100)
        engine.is_live = False
        await asyncio.sleep(5.0)
        engine.is_live = True
        before = len(callers.times)
        await asyncio.sleep(1.0)
        assert len(callers.times) - before == pytest.approx(10, abs=1)
        await callers.cancel()

    @pytest.mark.parametrize("rate", [10.0, 0.5])
    async def test_a_gate_without_a_state_gives_all_of_the_rate_after_a_second(
        self, join: Join, engine: VirtualEngine, rate: float
    ) -> None:
        """Until then, nine others may not have found the engine again."""
        engine.processes = 10
        callers = Callers(join(rate), 100)
        await asyncio.sleep(1.0)
        assert len(callers.times) <= 2
        before = len(callers.times)
        await asyncio.sleep(10.0)
        assert len(callers.times) - before == pytest.approx(10 * rate, abs=1)
        await callers.cancel()

    async def test_commands_that_are_lost_make_it_go_on_alone(self, join: Join, engine: VirtualEngine) -> None:
        engine.is_deaf = True
        callers = Callers(join(10.0), 100)
        await asyncio.sleep(10.0)
        assert len(callers.times) == pytest.approx(100, rel=0.1)
        assert engine.commands <= 11
        await callers.cancel()

    async def test_a_learned_rate_is_kept(self, join: Join, engine: VirtualEngine) -> None:
        engine.processes = 2
        budget = join()
        await budget.acquire("status")
        await throttle(budget, 0.1, 10)
        callers = Callers(budget, 100)
        await asyncio.sleep(1.0)
        engine.is_live = False
        before = len(callers.times)
        await asyncio.sleep(4.0)
        assert len(callers.times) - before == pytest.approx(4 * 9 / 2, abs=2)
        await callers.cancel()

    async def test_a_closed_lane_stays_closed(self, join: Join, engine: VirtualEngine) -> None:
        budget = join(10.0)
        await budget.acquire("status")
        await throttle(budget, 5.0, 10)
        engine.is_live = False
        assert (await Callers(budget, 1, each=1).done())[0] >= 4.9

    async def test_a_429_closes_the_lane_of_this_process(self, join: Join, engine: VirtualEngine) -> None:
        budget = join()
        await budget.acquire("status")
        engine.is_live = False
        await budget.acquire("status")
        budget.throttled("status", 3.0, 10)
        assert budget.is_throttled("status")
        assert (await Callers(budget, 1, each=1).done()) == pytest.approx([3.0], abs=0.001)

    async def test_permits_need_no_waiting_where_no_limit_is_known(self, join: Join, engine: VirtualEngine) -> None:
        budget = join()
        engine.is_live = False
        await budget.acquire("status")
        assert all(budget.try_acquire("status") for _ in range(100))
        budget.give_back("status")
        assert engine.commands == 0

    async def test_all_cancelled_leave_nothing_behind(self, join: Join, engine: VirtualEngine) -> None:
        engine.is_live = False
        callers = Callers(join(0.01), 10)
        await asyncio.sleep(1.0)
        await callers.cancel()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}


class TestAnEngineThatLostItsState:
    async def test_is_told_the_rate_that_was_learned(
        self, join: Join, engine: VirtualEngine, client: redis.Redis
    ) -> None:
        budget = join()
        await budget.acquire("status")
        await throttle(budget, 0.1, 10)
        await Callers(budget, 3, each=1).done()
        client.flushall()
        callers = Callers(budget, 100)
        await asyncio.sleep(3.0)
        await callers.cancel()
        assert len(callers.times) == pytest.approx(3 * 9, abs=4)

    async def test_is_told_that_the_lane_is_closed(self, join: Join, client: redis.Redis) -> None:
        budget, other = join(), join()
        await budget.acquire("status")
        await throttle(budget, 5.0, 10)
        client.flushall()
        waiting = Callers(budget, 1, each=1)
        await asyncio.sleep(0.01)
        assert (await Callers(other, 1, each=1).done())[0] >= 4.9
        await waiting.done()


class TestClosing:
    async def test_twice_is_as_good_as_once(self, join: Join) -> None:
        budget = join(10.0)
        await budget.acquire("status")
        for _ in range(2):
            budget.close()
            await budget.wait_closed()

    async def test_lets_those_who_wait_go_on_alone(self, join: Join, engine: VirtualEngine) -> None:
        budget = join(10.0)
        callers = Callers(budget, 20, each=1)
        await asyncio.sleep(0.5)
        budget.close()
        await budget.wait_closed()
        commands = engine.commands
        assert (await callers.done())[-1] == pytest.approx(2.0, abs=0.4)
        assert engine.commands == commands

    async def test_ends_a_question_that_is_under_way(self, join: Join, engine: VirtualEngine) -> None:
        engine.latency = 100.0
        budget = join(10.0)
        callers = Callers(budget, 1, each=1)
        await asyncio.sleep(0.1)
        budget.close()
        await budget.wait_closed()
        assert (await callers.done())[0] < 1.0
