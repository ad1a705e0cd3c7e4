"""Lanes on virtual time: how many calls at once, how soon, in which order, and that no slot or permit is lost."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chamelaion_async._http.lanes import Lane, LocalBudget, make_lanes
from chamelaion_async.config import Pace
from chamelaion_async.sharing import LaneName

pytestmark = pytest.mark.virtual_time

A_HAIR = 1e-6  # seconds; sums of floats are not exact

# The loop of a test serves all of its examples, so times below are counted from the start of an example.
on_one_loop = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def now() -> float:
    return asyncio.get_running_loop().time()


def lane_of(*, max_rate: float | None = None, max_concurrency: int = 100, name: LaneName = "status") -> Lane:
    return make_lanes(Pace(max_rate=max_rate, max_concurrency=max_concurrency))[name]


async def free_slots(lane: Lane, at_most: int = 20) -> int:
    """Count the slots of an idle lane by taking them, slowly enough for any rate, and give them back."""
    taken = 0
    while taken < at_most and lane.try_acquire():
        taken += 1
        await asyncio.sleep(60)
    for _ in range(taken):
        lane.release()
    return taken


@attrs.define
class Visits:
    """The callers that entered a lane, in order, and when."""

    lane: Lane
    began: float = attrs.Factory(now)
    names: list[object] = attrs.Factory(list)
    times: list[float] = attrs.Factory(list)
    inside: int = 0
    most_inside: int = 0

    async def visit(self, name: object = None, *, at: float = 0.0, stay: float = 0.0, quick: bool = True) -> None:
        """Come ``at`` seconds after the start, enter as a call does, stay and leave."""
        if at:
            await asyncio.sleep(self.began + at - now())
        if not (quick and self.lane.try_acquire()):
            await self.lane.acquire()
        try:
            self.names.append(name)
            self.times.append(now() - self.began)
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            await asyncio.sleep(stay)
        finally:
            self.inside -= 1
            self.lane.release()

    def start(self, name: object = None, **how: Any) -> asyncio.Task[None]:
        return asyncio.create_task(self.visit(name, **how))


async def settle() -> None:
    """Let everything that is ready run, without letting time pass."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_no_more_are_inside_at_once_than_the_pace_allows() -> None:
    visits = Visits(lane_of(max_concurrency=3))
    await asyncio.gather(*(visits.visit(stay=1.0) for _ in range(10)))
    assert visits.most_inside == 3


async def test_a_slot_is_handed_on_without_a_pause() -> None:
    visits = Visits(lane_of(max_concurrency=3))
    await asyncio.gather(*(visits.visit(stay=1.0) for _ in range(10)))
    assert visits.times == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]


async def test_slots_are_given_in_order_of_arrival() -> None:
    visits = Visits(lane_of(max_concurrency=2))
    await asyncio.gather(*(visits.visit(n, stay=1.0) for n in range(20)))
    assert visits.names == list(range(20))


async def test_permits_are_given_in_order_of_arrival() -> None:
    visits = Visits(lane_of(max_rate=5))
    await asyncio.gather(*(visits.visit(n) for n in range(20)))
    assert visits.names == list(range(20))


async def test_a_lane_with_neither_rate_nor_queue_starts_every_call_at_once() -> None:
    visits = Visits(lane_of())
    await asyncio.gather(*(visits.visit(stay=1.0) for _ in range(16)))
    assert visits.times == [0.0] * 16


async def test_try_acquire_does_not_overtake_callers_that_queue_for_a_permit() -> None:
    visits = Visits(lane_of(max_rate=1))
    early = [visits.start("first"), visits.start("waiting")]
    await asyncio.sleep(0.5)
    late = visits.start("quick", at=1.0)
    await asyncio.gather(*early, late)
    assert visits.names == ["first", "waiting", "quick"]


async def test_try_acquire_does_not_overtake_a_caller_whose_permit_is_due() -> None:
    lane, entered = lane_of(max_rate=1), []
    # Set before the lane's own timer for the same time, this runs just before it.
    asyncio.get_running_loop().call_at(now() + 1.0, lambda: entered.append(lane.try_acquire()))
    await lane.acquire()
    await lane.acquire()
    assert entered == [False]


async def test_try_acquire_does_not_overtake_callers_that_queue_for_a_slot() -> None:
    lane = lane_of(max_concurrency=1)
    await lane.acquire()
    waiting = asyncio.create_task(lane.acquire())
    await settle()
    lane.release()  # the slot is the waiter's from now on, even before it runs
    assert not lane.try_acquire()
    await waiting


async def test_a_failed_try_acquire_takes_nothing() -> None:
    lane = lane_of(max_concurrency=2)
    lane.throttled(1.0)
    assert not lane.try_acquire()
    await asyncio.sleep(60)
    assert await free_slots(lane) == 2


async def test_permits_are_spaced_evenly() -> None:
    visits = Visits(lane_of(max_rate=4))
    await asyncio.gather(*(visits.visit() for _ in range(5)))
    assert visits.times == pytest.approx([0, 0.25, 0.5, 0.75, 1.0])


async def test_idle_time_is_not_saved_up_for_a_burst() -> None:
    visits = Visits(lane_of(max_rate=4))
    await asyncio.gather(visits.visit(), *(visits.visit(at=100.0) for _ in range(3)))
    assert visits.times == pytest.approx([0, 100, 100.25, 100.5])


async def test_a_rate_below_one_a_second_is_kept() -> None:
    visits = Visits(lane_of(max_rate=0.1))
    await asyncio.gather(*(visits.visit() for _ in range(3)))
    assert visits.times == pytest.approx([0, 10, 20])


async def test_asking_for_several_permits_pays_for_all_of_them() -> None:
    budget = LocalBudget(max_rate=2)
    began = now()
    await budget.acquire("status", 4)
    await budget.acquire("status")
    assert now() - began == pytest.approx(2.0)


async def test_several_permits_that_are_queued_for_are_all_paid_for() -> None:
    budget = LocalBudget(max_rate=2)
    began = now()
    times = []

    async def ask(n: int) -> None:
        await budget.acquire("status", n)
        times.append(now() - began)

    await asyncio.gather(ask(1), ask(4), ask(1))
    assert times == pytest.approx([0.0, 0.5, 2.5])


def most_in_a_second(times: Sequence[float]) -> int:
    return max(sum(start <= time < start + 1 - A_HAIR for time in times) for start in times)


def keeps_in_every_window(times: Sequence[float], rate: float) -> bool:
    """Whether in each window, however long, at most its length times the rate start, and one more."""
    return all(
        last - first + 1 <= rate * (times[last] - times[first]) + 1 + A_HAIR
        for last in range(len(times))
        for first in range(last)
    )


@on_one_loop
@given(
    max_rate=st.integers(1, 40) | st.floats(0.3, 40),
    arrivals=st.lists(st.floats(0, 5) | st.sampled_from([0.0, 1.0, 2.5]), min_size=1, max_size=60),
    stay=st.sampled_from([0.0, 0.3, 2.0]),
    max_concurrency=st.sampled_from([1, 3, 100]),
)
async def test_the_rate_holds_in_every_window_however_calls_arrive(
    max_rate: float, arrivals: list[float], stay: float, max_concurrency: int
) -> None:
    visits = Visits(lane_of(max_rate=max_rate, max_concurrency=max_concurrency))
    await asyncio.gather(*(visits.visit(at=at, stay=stay) for at in arrivals))
    assert keeps_in_every_window(visits.times, max_rate)


@on_one_loop
@given(
    max_rate=st.integers(1, 20),
    visitors=st.lists(
        # Multiples of a hundredth fall on the moments at which permits are granted.
        st.tuples(*[st.floats(0, 3) | st.integers(0, 300).map(lambda n: n / 100)] * 2),
        min_size=1,
        max_size=40,
    ),
    throttlings=st.lists(st.tuples(st.floats(0, 3), st.none() | st.floats(0.01, 2)), max_size=5),
)
async def test_the_rate_holds_when_callers_are_cancelled_and_the_service_refuses(
    max_rate: int, visitors: list[tuple[float, float]], throttlings: list[tuple[float, float | None]]
) -> None:
    visits = Visits(lane_of(max_rate=max_rate, max_concurrency=5))
    loop = asyncio.get_running_loop()
    tasks = [visits.start(at=at, stay=0.1) for at, _ in visitors]
    for task, (_, patience) in zip(tasks, visitors, strict=True):
        loop.call_later(patience, task.cancel)
    for at, seconds in throttlings:
        loop.call_later(at, visits.lane.throttled, seconds)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert keeps_in_every_window(visits.times, max_rate)


async def test_a_caller_cancelled_while_it_waits_for_a_slot_leaves_the_queue() -> None:
    visits = Visits(lane_of(max_concurrency=1))
    inside, leaving, staying = visits.start("inside", stay=5), visits.start("leaving"), visits.start("staying")
    await asyncio.sleep(1)
    leaving.cancel()
    await asyncio.gather(inside, leaving, staying, return_exceptions=True)
    assert visits.names == ["inside", "staying"]


async def test_a_caller_cancelled_while_it_waits_for_a_permit_leaves_the_queue() -> None:
    visits = Visits(lane_of(max_rate=1))
    first, leaving, staying = visits.start("first"), visits.start("leaving"), visits.start("staying")
    await asyncio.sleep(0.5)
    leaving.cancel()
    await asyncio.gather(first, leaving, staying, return_exceptions=True)
    assert list(zip(visits.names, visits.times, strict=True)) == [("first", 0.0), ("staying", pytest.approx(1.0))]


async def test_a_caller_cancelled_while_it_waits_for_a_permit_gives_its_slot_back() -> None:
    lane = lane_of(max_concurrency=1)
    lane.throttled(10.0)
    leaving = asyncio.create_task(lane.acquire())
    await asyncio.sleep(1)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await asyncio.sleep(60)
    assert await free_slots(lane) == 1


@pytest.mark.parametrize("followers", [0, 1])
@pytest.mark.parametrize("cancelled_first", [True, False], ids=["cancel, release", "release, cancel"])
async def test_a_caller_cancelled_in_the_turn_of_its_slot_passes_the_slot_on(
    cancelled_first: bool, followers: int
) -> None:
    lane = lane_of(max_concurrency=1)
    await lane.acquire()
    waiting, *following = (asyncio.create_task(lane.acquire()) for _ in range(1 + followers))
    await settle()
    if cancelled_first:
        waiting.cancel()
        lane.release()
    else:
        lane.release()
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await settle()
    assert [task.done() for task in following] == [True] * followers
    assert await free_slots(lane) == 1 - followers


@pytest.mark.parametrize("max_rate", [None, 2.0])
async def test_a_permit_of_a_caller_cancelled_in_the_same_turn_goes_to_the_next(
    max_rate: float | None,
) -> None:
    lane = lane_of(max_rate=max_rate, max_concurrency=2)
    lane.throttled(10.0)
    began = now()
    waiting = asyncio.create_task(lane.acquire())
    following = asyncio.create_task(lane.acquire())
    await settle()
    # Set after the lane's own timer for the same time, this runs in the turn of the loop that gives the permit.
    asyncio.get_running_loop().call_at(began + 10.0, waiting.cancel)
    await following
    assert now() - began == pytest.approx(10.0)
    await asyncio.gather(waiting, return_exceptions=True)


async def test_a_permit_granted_to_the_last_caller_as_it_is_cancelled_is_there_for_the_next() -> None:
    lane = lane_of(max_rate=1.0)
    await lane.acquire()
    began = now()
    waiting = asyncio.create_task(lane.acquire())
    await settle()
    asyncio.get_running_loop().call_at(began + 1.0, waiting.cancel)
    await asyncio.gather(waiting, return_exceptions=True)
    assert lane.try_acquire()
    assert now() - began == pytest.approx(1.0)


async def test_a_permit_of_a_caller_cancelled_in_the_same_turn_costs_no_slot() -> None:
    lane = lane_of(max_concurrency=1)
    lane.throttled(10.0)
    waiting = asyncio.create_task(lane.acquire())
    await settle()
    asyncio.get_running_loop().call_at(now() + 10.0, waiting.cancel)
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(60)
    assert await free_slots(lane) == 1


@on_one_loop
@given(
    max_concurrency=st.integers(1, 4),
    visitors=st.lists(
        st.tuples(
            st.integers(0, 8).map(lambda n: n / 4),  # comes at
            st.integers(0, 4).map(lambda n: n / 4),  # stays
            st.none() | st.integers(0, 16).map(lambda n: n / 4),  # is cancelled at
        ),
        max_size=30,
    ),
    throttlings=st.lists(st.tuples(st.integers(0, 8).map(lambda n: n / 4), st.sampled_from([0.25, 1.0]))),
)
async def test_no_slot_is_lost_whichever_caller_is_cancelled_when(
    max_concurrency: int,
    visitors: list[tuple[float, float, float | None]],
    throttlings: list[tuple[float, float]],
) -> None:
    visits = Visits(lane_of(max_concurrency=max_concurrency))
    loop = asyncio.get_running_loop()
    tasks = []
    for at, stay, cancelled_at in visitors:
        task = visits.start(at=at, stay=stay)
        tasks.append(task)
        if cancelled_at is not None:
            loop.call_at(visits.began + cancelled_at, task.cancel)
    for at, seconds in throttlings:
        loop.call_at(visits.began + at, visits.lane.throttled, seconds)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(300)
    assert [repr(o) for o in outcomes if not (o is None or isinstance(o, asyncio.CancelledError))] == []
    assert visits.most_inside <= max_concurrency
    assert await free_slots(visits.lane) == max_concurrency


async def test_a_throttled_lane_starts_no_call_before_it_opens() -> None:
    visits = Visits(lane_of())
    visits.lane.throttled(7.5)
    await asyncio.gather(*(visits.visit() for _ in range(5)), visits.visit(at=3.0), visits.visit(at=7.4, quick=False))
    assert min(visits.times) >= 7.5


@pytest.mark.parametrize("seconds", [0.01, 7.5])
async def test_a_throttled_lane_opens_when_it_said(seconds: float) -> None:
    visits = Visits(lane_of())
    visits.lane.throttled(seconds)
    await visits.visit()
    assert visits.times == pytest.approx([seconds])


async def test_a_throttling_stops_callers_that_queue_for_a_slot() -> None:
    visits = Visits(lane_of(max_concurrency=1))
    waiting = [visits.start("inside", stay=1.0), visits.start("waiting")]
    await asyncio.sleep(0.5)
    visits.lane.throttled(10.0)
    await asyncio.gather(*waiting)
    assert visits.times == pytest.approx([0.0, 10.5])


async def test_a_throttling_stops_callers_that_queue_for_a_permit() -> None:
    visits = Visits(lane_of(max_rate=1))
    waiting = [visits.start(), visits.start()]
    await asyncio.sleep(0.5)
    visits.lane.throttled(10.0)
    await asyncio.gather(*waiting)
    assert visits.times == pytest.approx([0.0, 10.5])


async def test_the_order_of_arrival_survives_a_throttling() -> None:
    visits = Visits(lane_of(max_concurrency=5))
    visits.lane.throttled(10.0)
    await asyncio.gather(*(visits.visit(n, at=n / 10) for n in range(20)))
    assert visits.names == list(range(20))


async def test_a_rate_holds_after_a_throttling() -> None:
    visits = Visits(lane_of(max_rate=4))
    visits.lane.throttled(10.0)
    await asyncio.gather(*(visits.visit() for _ in range(12)))
    assert most_in_a_second(visits.times) <= 4


@pytest.mark.parametrize("order", [(10.0, 2.0), (2.0, 10.0)])
async def test_the_longest_of_several_throttlings_counts(order: tuple[float, float]) -> None:
    visits = Visits(lane_of())
    for seconds in order:
        visits.lane.throttled(seconds)
    await visits.visit()
    assert visits.times == pytest.approx([10.0])


async def test_a_lane_that_is_throttled_again_at_its_opening_stays_closed() -> None:
    visits = Visits(lane_of())
    visits.lane.throttled(5.0)
    asyncio.get_running_loop().call_at(visits.began + 4.0, visits.lane.throttled, 6.0)
    await asyncio.gather(visits.visit(), visits.visit())
    assert min(visits.times) >= 10.0


@pytest.mark.parametrize("seconds", [None, 0.0, -5.0, math.nan])
async def test_a_throttling_that_names_no_time_closes_for_a_second_and_then_for_longer(seconds: float | None) -> None:
    visits = Visits(lane_of())
    visits.lane.throttled(seconds)
    await visits.visit()
    visits.lane.throttled(seconds)
    await visits.visit()
    assert visits.times == pytest.approx([1.0, 3.0])


async def test_a_lane_is_throttled_while_it_is_closed_or_its_rate_is_learned() -> None:
    lane = lane_of(max_rate=1000.0)
    told = [lane.is_throttled]
    lane.throttled(5.0)
    told.append(lane.is_throttled)
    await asyncio.sleep(5.0)
    told.append(lane.is_throttled)
    await asyncio.sleep(1000.0)
    told.append(lane.is_throttled)
    assert told == [False, True, True, False]


async def test_a_429_to_a_call_sent_before_the_last_429_does_not_slow_the_lane_again() -> None:
    once, twice = Visits(lane_of()), Visits(lane_of())
    for visits in (once, twice):
        visits.lane.throttled(None)
    await asyncio.gather(once.visit(), twice.visit())
    twice.lane.throttled(None, sent=twice.began - 0.1)
    await asyncio.gather(*(visits.visit() for visits in (once, twice) for _ in range(10)))
    assert twice.times == pytest.approx(once.times)


async def test_a_good_answer_to_a_call_sent_before_a_429_does_not_end_the_refusals() -> None:
    visits = Visits(lane_of())
    visits.lane.throttled(None)
    await visits.visit()
    visits.lane.answered(sent=visits.began - 0.1)
    visits.lane.throttled(None)
    await visits.visit()
    assert visits.times == pytest.approx([1.0, 3.0])


async def test_a_closed_lane_lets_nothing_through_however_its_callers_come_and_go() -> None:
    visits = Visits(lane_of(max_rate=100.0))
    visits.lane.throttled(60.0)
    tasks = [visits.start(at=n / 10) for n in range(100)]
    for n, task in enumerate(tasks[:50]):
        asyncio.get_running_loop().call_later(5.0 + n / 5, task.cancel)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (len(visits.times), min(visits.times) >= 60.0) == (50, True)


@pytest.mark.parametrize(("throttled", "other"), [("status", "generation"), ("generation", "status")])
async def test_a_throttled_lane_does_not_stop_the_other(throttled: LaneName, other: LaneName) -> None:
    lanes = make_lanes(Pace())
    visits = Visits(lanes[other])
    lanes[throttled].throttled(60.0)
    await visits.visit()
    assert visits.times == [0.0]


async def test_a_full_lane_does_not_stop_the_other() -> None:
    lanes = make_lanes(Pace(max_concurrency=1))
    await lanes["status"].acquire()
    assert lanes["generation"].try_acquire()


async def test_the_rate_of_one_lane_is_not_spent_by_the_other() -> None:
    lanes = make_lanes(Pace(max_rate=1))
    assert lanes["status"].try_acquire()
    assert lanes["generation"].try_acquire()


@attrs.define
class SharedBudget:
    """A budget that processes could share."""

    asked: list[tuple[str, int]] = attrs.Factory(list)
    given_back: list[str] = attrs.Factory(list)
    told: list[tuple[str, float | None, int | None]] = attrs.Factory(list)
    sent: list[float | None] = attrs.Factory(list)
    throttles: bool = False
    failure: Exception | None = None

    def try_acquire(self, lane: LaneName) -> bool:
        return False

    def give_back(self, lane: LaneName) -> None:
        self.given_back.append(lane)

    async def acquire(self, lane: LaneName, n: int = 1) -> None:
        self.asked.append((lane, n))
        if self.failure is not None:
            raise self.failure

    def throttled(
        self,
        lane: LaneName,
        seconds: float | None,
        answered: int | None,
        lately: tuple[int, float] = (0, 0.0),
        sent: float | None = None,
    ) -> None:
        self.told.append((lane, seconds, answered))
        self.sent.append(sent)

    def is_throttled(self, lane: LaneName) -> bool:
        return self.throttles


async def test_a_given_budget_gives_every_permit() -> None:
    budget = SharedBudget()
    lanes = make_lanes(Pace(), budget)
    await lanes["status"].acquire()
    await lanes["generation"].acquire()
    assert budget.asked == [("status", 1), ("generation", 1)]


async def test_a_given_budget_takes_back_a_permit_of_which_no_use_was_made() -> None:
    budget = SharedBudget()
    lane = make_lanes(Pace(max_concurrency=1), budget)["status"]
    await lane.acquire()
    lane.give_back()
    assert budget.given_back == ["status"]
    await asyncio.wait_for(lane.acquire(), 1)  # the slot is free again


async def test_a_permit_that_is_given_back_goes_to_the_next_caller_at_once() -> None:
    visits = Visits(lane_of(max_rate=0.1))
    await visits.lane.acquire()
    waiting = asyncio.create_task(visits.visit())
    await asyncio.sleep(1.0)
    visits.lane.give_back()
    await waiting
    assert visits.times == pytest.approx([1.0])


async def test_a_given_budget_records_every_throttling() -> None:
    budget = SharedBudget()
    lane = make_lanes(Pace(), budget)["generation"]
    began = now()
    lane.answered()
    await asyncio.sleep(1.5)
    for _ in range(7):
        lane.answered()
    lane.throttled(2.5)
    budget.throttles = True
    await asyncio.sleep(1.0)
    lane.throttled(0.0)
    lane.throttled(3.0, sent=began)
    await asyncio.sleep(1.0)
    lane.answered()
    lane.throttled(None)
    told = [(2.5, 7), (None, 0), (3.0, None), (None, 1)]
    assert budget.told == [("generation", *each) for each in told]


async def test_a_given_budget_is_told_when_a_call_was_sent() -> None:
    budget = SharedBudget()
    lane = make_lanes(Pace(), budget)["status"]
    sent = now()
    await asyncio.sleep(1.0)
    lane.throttled(None, sent=sent)
    lane.throttled(None)
    assert budget.sent == [sent, sent + 1.0]


@pytest.mark.parametrize("throttles", [True, False])
async def test_a_given_budget_says_whether_a_lane_is_throttled(throttles: bool) -> None:
    assert make_lanes(Pace(), SharedBudget(throttles=throttles))["status"].is_throttled == throttles


async def test_a_budget_that_fails_costs_no_slot() -> None:
    budget = SharedBudget(failure=ConnectionError("the shared budget is away"))
    lane = make_lanes(Pace(max_concurrency=1), budget)["status"]
    for _ in range(3):
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(lane.acquire(), 1)


async def test_a_lane_without_a_rate_opens_slowly_after_a_throttling() -> None:
    """The callers that queued do not all start in the moment when the lane opens."""
    visits = Visits(lane_of())
    visits.lane.throttled(1.0)
    await asyncio.gather(*(visits.start(at=0.0, stay=0.0) for _ in range(40)))
    assert visits.times[0] == pytest.approx(1.0)
    assert [sum(time < end for time in visits.times) for end in (2.0, 3.0)] == [5, 12]


async def test_a_path_that_alone_is_refused_slows_no_other_after_its_first_429() -> None:
    """Each tenth of a second a call, of which each tenth reads the path that is always refused."""
    lane = lane_of(max_rate=10.0)
    began = now()
    times = []
    for number in range(600):
        await lane.acquire()
        times.append(now() - began)
        await asyncio.sleep(0.01)
        if number % 10 == 9:
            lane.throttled(None, now() - 0.01, "refused")
        else:
            lane.answered(now() - 0.01, f"path {number}")
        lane.release()
    assert times[-1] < 65.0


@pytest.mark.parametrize("refused_for", [10.0, 30.0, 60.0])
async def test_a_lane_is_back_within_a_minute_after_a_time_in_which_all_was_refused(refused_for: float) -> None:
    lane = lane_of(max_rate=10.0)
    began = now()
    while now() - began < 5.0 + refused_for + 60.0:
        await lane.acquire()
        sent = now()
        await asyncio.sleep(0.01)
        if 5.0 <= sent - began < 5.0 + refused_for:
            lane.throttled(None, sent)
        else:
            lane.answered(sent)
        lane.release()
    assert not lane.is_throttled


async def test_429s_to_calls_sent_before_the_first_do_not_slow_a_lane_twice() -> None:
    once, often = lane_of(), lane_of()
    once.throttled(1.0)
    for _ in range(50):
        often.throttled(1.0)
    slow, slower = Visits(once), Visits(often)
    await asyncio.gather(*(visits.start(at=0.0, stay=0.0) for visits in (slow, slower) for _ in range(20)))
    assert slow.times == pytest.approx(slower.times)


@attrs.define
class Service:
    """A service that accepts so many calls in each window of its clock, and callers without end."""

    lane: Lane
    number: int
    window: float
    retry_after: float | None = None
    began: float = attrs.Factory(now)
    taken: list[float] = attrs.Factory(list)
    refused: list[float] = attrs.Factory(list)

    async def be_called(self, until: float) -> None:
        while now() - self.began < until:
            await self.lane.acquire()
            sent = now()
            await asyncio.sleep(0.05)
            elapsed = now() - self.began
            began = elapsed - elapsed % self.window
            is_taken = sum(time >= began for time in self.taken[-self.number :]) < self.number
            (self.taken if is_taken else self.refused).append(elapsed)
            if is_taken:
                self.lane.answered(sent)
            else:
                self.lane.throttled(self.retry_after, sent)
            self.lane.release()

    async def be_called_by_a_thousand(self, until: float) -> None:
        await asyncio.gather(*(self.be_called(until) for _ in range(1000)))

    def taken_between(self, start: float, end: float) -> int:
        return sum(start <= time < end for time in self.taken)


@pytest.mark.parametrize("retry_after", [None, 0.0, -1.0])
async def test_a_lane_settles_just_below_what_the_service_allows(retry_after: float | None) -> None:
    service = Service(lane_of(), number=20, window=1.0, retry_after=retry_after)
    await service.be_called_by_a_thousand(until=60.0)
    assert service.taken_between(0.0, 60.0) >= 0.85 * 1200
    assert sum(time < 2.0 for time in service.refused) <= 80
    assert sum(time >= 2.0 for time in service.refused) <= 5


async def test_a_lane_finds_out_what_a_long_window_allows() -> None:
    service = Service(lane_of(), number=30, window=10.0)
    await service.be_called_by_a_thousand(until=300.0)
    assert [service.taken_between(60.0 * n, 60.0 * n + 60.0) >= 150 for n in range(2, 5)] == [True] * 3
    assert sum(time >= 120.0 for time in service.refused) <= 0.05 * service.taken_between(120.0, 300.0)


@pytest.mark.parametrize("queue", ["full", "closed"])
async def test_a_lane_keeps_nothing_of_cancelled_callers(queue: str) -> None:
    lane = lane_of(max_concurrency=1)
    if queue == "full":
        await lane.acquire()
    else:
        lane.throttled(60.0)
    for _ in range(100):
        waiting = asyncio.create_task(lane.acquire())
        await settle()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    gate = lane._budget._gates["status"]  # type: ignore[attr-defined] # the local budget's
    assert (len(lane._queue), len(gate._queue), gate._timer) == (0, 0, None)


async def test_a_caller_cancelled_in_the_turn_of_its_permit_gets_the_cancellation() -> None:
    budget = LocalBudget()
    budget.throttled("status", 10.0, 0)
    waiting = asyncio.create_task(budget.acquire("status"))
    await settle()
    # Set after the gate's own timer for the same time, this runs in the turn of the loop that grants the permit.
    loop = asyncio.get_running_loop()
    loop.call_at(loop.time() + 10.0, waiting.cancel)
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_callers_cancelled_in_the_turn_of_their_permits_leave_no_timer() -> None:
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


async def test_a_timer_that_fires_early_gives_nothing() -> None:
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


def test_every_lane_has_as_many_slots_as_the_pace_allows_again_and_again() -> None:
    for lane in make_lanes(Pace(max_concurrency=3)).values():
        for _ in range(2):
            assert [lane.try_acquire() for _ in range(4)] == [True, True, True, False]
            for _ in range(3):
                lane.release()
