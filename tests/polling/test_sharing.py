"""Many waits for one request share its reads, and none of them is worse off than alone."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import attrs
import pytest

from chamelaion_async import (
    APITimeoutError,
    ClientClosedError,
    LipsyncRequest,
    PollPolicy,
    WaitTimeoutError,
    WaitUnreachableError,
)
from tests.support.api import now
from tests.support.source import STEADY, MemorySource, Received

pytestmark = pytest.mark.virtual_time

MANY = 60


async def polls_of_one(*, lasts: float, latency: float = 0.0) -> list[float]:
    """When a service is asked by a single wait."""
    service = MemorySource(latency=latency)
    (id,) = service.add(lasts=lasts)
    await service.wait(id)
    return service.polls


def others_than_this() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


class TestTheCost:
    @pytest.mark.parametrize("latency", [0.0, 0.25])
    @pytest.mark.parametrize("lasts", [0.0, 5.0, 30.0, 200.0])
    async def test_many_waits_cost_the_reads_of_one(self, lasts: float, latency: float) -> None:
        service = MemorySource(latency=latency)
        (id,) = service.add(lasts=lasts)
        results = await service.wait_for([id] * MANY)
        assert service.polls == pytest.approx(await polls_of_one(lasts=lasts, latency=latency), abs=0.001)
        assert all(result.is_completed for result in results)

    @pytest.mark.parametrize("apart", [0.01, 0.1, 0.37])
    async def test_later_waits_share_the_reads_of_the_first(self, apart: float) -> None:
        """Each polls a second after its first snapshot, so the first seconds of a later wait may cost a few polls."""
        service = MemorySource()
        (id,) = service.add(lasts=100.0)
        tasks = [service.start(id, at=number * apart) for number in range(MANY)]
        await asyncio.gather(*tasks)
        assert len(service.polls) <= len(await polls_of_one(lasts=100.0)) + 3
        assert min(later - earlier for earlier, later in pairwise(service.polls)) >= 0.9

    async def test_a_wait_that_joins_during_a_read_gets_its_answer(self) -> None:
        service = MemorySource(latency=2.0)
        ids = service.add(2, lasts=1.0)
        await service.wait(ids[0])  # tells how long a GET takes
        began = service.elapsed
        await asyncio.gather(service.start(ids[1]), service.start(ids[1], at=began + 1.5))
        assert (service.polls, service.elapsed) == ([0.0, began], began + 2.0)

    async def test_a_wait_that_joins_during_a_slow_read_does_not_depend_on_it(self) -> None:
        service = MemorySource(latency=lambda _: 0.1 if service.elapsed else 15.0)
        (id,) = service.add(lasts=1.0)
        await asyncio.gather(service.start(id), service.start(id, at=5.0))
        assert service.polls == [0.0, 5.0]
        assert service.elapsed == pytest.approx(5.1)

    async def test_a_wait_that_polls_once_does_not_wait_for_the_next_poll_of_others(self) -> None:
        service = MemorySource()
        (id,) = service.add(lasts=0.5)
        first = service.start(id)
        await asyncio.sleep(0.5)
        assert (await service.wait(id, timeout=0)).is_completed
        assert service.polls == [0.0, 0.5]
        assert (await first).is_completed

    async def test_a_batch_and_waits_share_their_reads(self) -> None:
        service = MemorySource()
        (id,) = service.add(lasts=30.0)
        waits = [service.start(id) for _ in range(10)]
        outcomes = await service.follow([id])
        await asyncio.gather(*waits)
        assert outcomes[id].unwrap().is_completed
        assert service.polls == pytest.approx(await polls_of_one(lasts=30.0), abs=0.001)

    async def test_the_shortest_interval_decides_how_often_a_request_is_read(self) -> None:
        service = MemorySource()
        (id,) = service.add(lasts=30.0)
        slow = PollPolicy(min_interval=10, max_interval=10, jitter=0)
        await asyncio.gather(service.start(id, policy=slow), service.start(id))
        assert service.polls == pytest.approx(await polls_of_one(lasts=30.0), abs=0.001)

    async def test_the_end_of_a_request_ends_all_its_waits_at_once(self) -> None:
        service = MemorySource()
        (id,) = service.add(lasts=4.0)
        slow = PollPolicy(min_interval=60, max_interval=60, jitter=0)
        patient = service.start(id, policy=slow)
        await service.wait(id)
        assert (await patient).is_completed
        assert service.elapsed == 4.0

    async def test_each_wait_receives_every_change_once(self) -> None:
        service = MemorySource()
        (id,) = service.add(lasts=10.0)
        seen: list[list[str]] = [[] for _ in range(20)]

        def note(number: int) -> object:
            return lambda request: seen[number].append(request.status)

        tasks = [service.start(id, at=number * 0.3, on_update=note(number)) for number in range(20)]
        await asyncio.gather(*tasks)
        assert seen == [["processing", "completed"]] * 20


class TestCancellation:
    @pytest.mark.parametrize(
        "cancelled",
        [[0], [MANY - 1], [30], range(MANY - 1), range(1, MANY)],
        ids=["first", "last", "one", "-1", "1-"],
    )
    @pytest.mark.parametrize("at", [0.0, 0.1, 2.5, 3.1], ids=["at the start", "first poll", "pause", "later poll"])
    async def test_a_cancellation_affects_no_other_wait(self, cancelled: list[int], at: float) -> None:
        service = MemorySource(latency=0.25)
        (id,) = service.add(lasts=20.0)
        tasks = [service.start(id) for _ in range(MANY)]
        await asyncio.sleep(at)
        for number in cancelled:
            tasks[number].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        ended = [number for number, result in enumerate(results) if isinstance(result, asyncio.CancelledError)]
        assert ended == list(cancelled)
        assert all(result.is_completed for result in results if isinstance(result, LipsyncRequest))
        assert service.polls == pytest.approx(await polls_of_one(lasts=20.0, latency=0.25), abs=0.001)

    @pytest.mark.parametrize("at", [2.1, 2.6], ids=["during a poll", "during a pause"])
    async def test_the_last_cancelled_wait_ends_the_polls(self, at: float) -> None:
        service = MemorySource(latency=0.25)
        (id,) = service.add()
        tasks = [service.start(id) for _ in range(MANY)]
        await asyncio.sleep(at)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        asked = len(service.received)
        await asyncio.sleep(100)
        assert len(service.received) == asked

    async def test_the_last_cancelled_wait_ends_with_its_read(self) -> None:
        service = MemorySource(latency=10.0, lingers=0.5)
        task = service.start(service.add()[0])
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert (service.under_way, service.elapsed) == (0, 1.5)
        assert others_than_this() == set()

    async def test_the_last_cancelled_wait_ends_its_read_while_other_requests_are_polled(self) -> None:
        service = MemorySource(latency=lambda received: 10.0 if received.id == ids[0] else 0.0)
        ids = service.add(2)
        other = service.start(ids[1], policy=PollPolicy(min_interval=500, max_interval=500))
        await asyncio.sleep(1.5)
        leaving = service.start(ids[0])
        await asyncio.sleep(0.1)
        assert service.under_way == 1
        leaving.cancel()
        await asyncio.wait([leaving])
        assert service.under_way == 0
        other.cancel()
        await asyncio.wait([other])

    async def test_a_cancelled_waiter_leaves_the_queue(self) -> None:
        service = MemorySource(rate=0.5)
        first, second = service.add(2)
        staying, leaving = service.start(first), service.start(second, at=0.5)
        await asyncio.sleep(1)
        leaving.cancel()
        await asyncio.wait([leaving])
        await asyncio.sleep(10)
        assert {received.id for received in service.received} == {first}
        staying.cancel()
        await asyncio.wait([staying])

    @pytest.mark.parametrize("rate", [None, 0.1], ids=["free lane", "closed lane"])
    @pytest.mark.parametrize("at", [0.0, 0.1, 1.1, 1.6])
    async def test_no_task_is_left_when_the_cancelled_one_has_ended(self, at: float, rate: float | None) -> None:
        service = MemorySource(latency=0.5, rate=rate)
        ids = service.add(3)
        tasks = [service.start(id) for id in ids]
        await asyncio.sleep(at)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert others_than_this() == set()
        assert service.under_way == 0

    async def test_no_task_is_left_after_a_batch_that_was_cancelled(self) -> None:
        service = MemorySource(latency=0.5, cap=10)
        task = asyncio.create_task(service.follow(service.add(200)))
        await asyncio.sleep(0.6)
        task.cancel()
        await asyncio.wait([task])
        assert others_than_this() == set()

    async def test_a_wait_that_joins_just_before_the_last_one_leaves_shares_the_read(self) -> None:
        service = MemorySource(latency=1.0)
        (id,) = service.add(lasts=0.0)
        leaving = service.start(id)
        await asyncio.sleep(0.5)
        leaving.cancel()
        assert (await service.wait(id)).is_completed
        assert (service.polls, service.elapsed) == ([0.0, 0.5], 1.0)  # the second one in case the first one hangs

    async def test_a_wait_that_joins_just_after_the_last_one_left_has_its_own_read(self) -> None:
        service = MemorySource(latency=1.0)
        (id,) = service.add(lasts=0.0)
        leaving = service.start(id)
        await asyncio.sleep(0.5)
        leaving.cancel()
        await asyncio.sleep(0)
        assert (await service.wait(id)).is_completed
        assert service.polls == [0.0, 0.5]

    async def test_waits_that_join_while_the_last_ones_of_a_scan_leave_are_served(self) -> None:
        service = MemorySource(latency=1.0)
        ids = service.add(10, lasts=0.0)
        leaving = [service.start(id) for id in ids]
        await asyncio.sleep(0.5)
        for task in leaving:
            task.cancel()
        results = await service.wait_for(ids)
        assert all(result.is_completed for result in results)
        assert service.elapsed == 1.5


class TestTimeouts:
    async def test_the_deadline_of_one_wait_does_not_end_another(self) -> None:
        service = MemorySource()
        (id,) = service.add(lasts=60.0)
        hasty, patient = service.start(id, timeout=3.5), service.start(id)
        with pytest.raises(WaitTimeoutError):
            await hasty
        assert service.elapsed == 3.5
        assert (await patient).is_completed
        assert service.elapsed < 66

    @pytest.mark.parametrize("is_hasty_first", [True, False])
    async def test_a_slow_read_reaches_the_wait_with_the_longer_timeout(self, is_hasty_first: bool) -> None:
        service = MemorySource(latency=10.0)
        (id,) = service.add(lasts=0.0)
        order = [2.0, 600.0] if is_hasty_first else [600.0, 2.0]
        tasks = {timeout: service.start(id, timeout=timeout) for timeout in order}
        hasty, patient = tasks[2.0], tasks[600.0]
        with pytest.raises(WaitTimeoutError):
            await hasty
        assert service.elapsed == 2.0
        assert (await patient).is_completed
        assert (service.polls, service.elapsed) == ([0.0], 10.0)

    async def test_a_slow_page_reaches_the_wait_with_the_longer_timeout(self) -> None:
        service = MemorySource(latency=10.0)
        ids = service.add(30, lasts=0.0)
        hasty = [service.start(id, timeout=2.0) for id in ids[:-1]]
        patient = service.start(ids[-1])
        await asyncio.gather(*hasty, return_exceptions=True)
        assert (await patient).is_completed
        assert (service.elapsed, len(service.pages)) == (10.0, 1)

    async def test_a_wait_that_joins_a_read_is_not_bound_by_the_timeout_of_the_first(self) -> None:
        service = MemorySource(latency=10.0)
        (id,) = service.add(lasts=0.0)
        hasty = service.start(id, timeout=2.0)
        patient = service.start(id, at=1.0, timeout=0)
        with pytest.raises(WaitTimeoutError):
            await hasty
        assert (await patient).is_completed

    async def test_a_read_has_the_longest_timeout_that_was_asked_for(self) -> None:
        service = MemorySource(latency=100.0)
        (id,) = service.add()
        results = await service.wait_for([id] * 3, timeout=0, policy=PollPolicy(request_timeout=7, jitter=0))
        assert [received.timeout for received in service.received] == [7.0]
        assert all(isinstance(result.last_error, APITimeoutError) for result in results)

    async def test_a_wait_beside_one_with_more_time_for_a_read_polls_again_as_early_as_alone(self) -> None:
        service = MemorySource(latency=lambda _: 1000.0 if now() - service.began < 40 else 0.1)
        (id,) = service.add(lasts=0.0)
        patient = service.start(id, policy=attrs.evolve(STEADY, request_timeout=60.0))
        hasty = service.start(id)
        assert (await hasty).is_completed
        # The second poll hangs as well. Each follows after the time that the wait allows, and a pause.
        assert service.polls == pytest.approx([0.0, 21.0, 43.0], abs=3.0)
        assert (await patient).is_completed

    async def test_a_batch_beside_waits_with_less_time_for_a_read_has_its_own_attempts(self) -> None:
        service = MemorySource(latency=1000.0)
        (id,) = service.add()
        wait = service.start(id, timeout=None)
        outcomes = await service.follow([id], policy=attrs.evolve(STEADY, request_timeout=60.0), attempts=3)
        assert isinstance(outcomes[id].error, APITimeoutError)
        assert service.elapsed == pytest.approx(3 * 60.0, abs=5.0)
        wait.cancel()
        await asyncio.wait([wait])

    async def test_a_read_that_goes_on_for_others_says_how_long_a_wait_has_waited(self) -> None:
        service = MemorySource(latency=1000.0)
        (id,) = service.add()
        patient = service.start(id, policy=attrs.evolve(STEADY, request_timeout=60.0))
        brief = attrs.evolve(STEADY, outage_budget=10.0)
        with pytest.raises(WaitUnreachableError, match=rf"no complete answer to the poll of {id} came within 9 s"):
            await service.start(id, policy=brief)
        patient.cancel()
        await asyncio.wait([patient])

    async def test_a_read_has_the_time_of_a_request_whatever_is_left_of_the_wait(self) -> None:
        service = MemorySource()
        (id,) = service.add()
        await asyncio.gather(service.start(id, timeout=1.0), service.start(id, timeout=3.5), return_exceptions=True)
        assert [received.timeout for received in service.received] == [20.0] * 5


class TestNames:
    async def test_a_request_asked_for_by_both_names_is_one_after_the_first_read(self) -> None:
        service = MemorySource()
        (id,) = service.add(lasts=30.0, reference="dub-1")
        results = await service.wait_for([id, "dub-1"])
        assert [result.id for result in results] == [id, id]
        # Both begin in the same moment, with a page that may show both.
        assert len(service.received) <= len(await polls_of_one(lasts=30.0)) + 2

    async def test_waits_by_both_names_in_turn_cost_the_first_read_of_each_name(self) -> None:
        service = MemorySource()
        (id,) = service.add(lasts=30.0, reference="dub-1")
        tasks = [service.start(id if number % 2 else "dub-1", at=number * 0.01) for number in range(MANY)]
        await asyncio.gather(*tasks)
        by_name = [received.id for received in service.received if received.id == "dub-1"]
        assert len(by_name) <= MANY // 2
        assert service.most_under_way <= 2
        assert len(service.received) - len(by_name) <= len(await polls_of_one(lasts=30.0))

    async def test_a_reference_is_asked_for_by_its_uuid_once_that_is_known(self) -> None:
        service = MemorySource()
        (id,) = service.add(lasts=3.0, reference="dub-1")
        await service.wait("dub-1")
        assert [received.id for received in service.received] == ["dub-1", id, id, id]

    async def test_a_reference_that_later_means_another_job_is_read_again(self) -> None:
        service = MemorySource()
        (old,) = service.add(lasts=20.0, reference="dub-1")
        first = service.start("dub-1")
        await asyncio.sleep(5)
        (new,) = service.add(lasts=30.0, reference="dub-1")
        second = service.start("dub-1")
        assert ((await first).id, (await second).id) == (old, new)

    async def test_a_job_that_shares_its_reference_does_not_take_the_place_of_another(self) -> None:
        service = MemorySource()
        (old,) = service.add(lasts=5.0, reference="dub-1")
        first = service.start("dub-1")
        await asyncio.sleep(1.5)
        (new,) = service.add(lasts=30.0, reference="dub-1")
        second = service.start("dub-1")
        assert (await first).id == old
        service.loader.nudge("dub-1")
        await asyncio.sleep(0)
        assert (await second).id == new

    @pytest.mark.parametrize("is_uuid_first", [True, False])
    async def test_two_names_turn_out_to_mean_one_request_while_one_is_queued(self, is_uuid_first: bool) -> None:
        service = MemorySource(rate=1.0)
        (id,) = service.add(lasts=0.0, reference="dub-1")
        (other,) = service.add(lasts=0.0)
        names = [id, "dub-1"] if is_uuid_first else ["dub-1", id]
        results = await service.wait_for([*names, other])
        assert [result.id for result in results] == [id, id, other]

    async def test_a_page_answers_the_wait_by_uuid_while_the_reference_is_read(self) -> None:
        service = MemorySource(latency=lambda received: 0.5 if received.is_page else 3.0)
        ids = service.add(10, lasts=0.0, is_listed=True)
        service.job(ids[0]).reference = "dub-1"
        service._by_name["dub-1"] = service.job(ids[0])
        by_reference = service.start("dub-1")
        await asyncio.sleep(0.1)
        results = await service.wait_for(ids)
        assert all(result.is_completed for result in results)
        assert (await by_reference).id == ids[0]

    async def test_a_batch_of_both_names_of_a_job_yields_both(self) -> None:
        service = MemorySource()
        (id,) = service.add(lasts=5.0, reference="dub-1")
        outcomes = await service.follow([id, "dub-1"])
        assert {name: outcome.unwrap().id for name, outcome in outcomes.items()} == {id: id, "dub-1": id}

    @pytest.mark.parametrize("leaver", [0, 1])
    async def test_leaving_after_two_names_became_one_affects_no_other(self, leaver: int) -> None:
        service = MemorySource()
        (id,) = service.add(lasts=10.0, reference="dub-1")
        tasks = [service.start(id), service.start("dub-1")]
        await asyncio.sleep(3.5)
        tasks[leaver].cancel()
        assert (await tasks[1 - leaver]).is_completed
        assert service.elapsed == pytest.approx(10.0, abs=1.1)

    async def test_a_job_without_waits_by_any_name_is_not_polled(self) -> None:
        """Both names are asked for before either is known to mean the other."""
        service = MemorySource(latency=0.5)
        (id,) = service.add(lasts=5.0, reference="dub-1")
        await asyncio.gather(service.start("dub-1"), service.start(id, at=0.1))
        asked = len(service.received)
        service.loader.nudge("dub-1")
        service.loader.nudge(id)
        await asyncio.sleep(5)
        assert len(service.received) == asked


class TestTheEnd:
    async def test_closing_ends_all_who_wait_for_it(self) -> None:
        service = MemorySource(latency=0.5)
        (id,) = service.add()
        tasks = [service.start(id) for _ in range(MANY)]
        await asyncio.sleep(3.2)
        await service.lifecycle.aclose()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, ClientClosedError) for result in results)
        assert service.elapsed == pytest.approx(3.2)
        assert others_than_this() == set()

    async def test_a_failed_poll_that_many_share_is_repeated_once(self) -> None:
        answers = iter([503, 200, 503, 200])

        def refuse(_: Received) -> Exception | None:
            return unavailable if next(answers, 200) == 503 else None

        unavailable = APITimeoutError("slow", sent="maybe", method="GET", path="/x")
        service = MemorySource(refuse=refuse)
        (id,) = service.add(lasts=2.5)
        results = await service.wait_for([id] * 10)
        assert all(result.is_completed for result in results)
        assert service.polls == [0.0, 1.0, 2.0, 3.0]
