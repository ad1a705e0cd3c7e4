"""What the loader reads for many: pages where they answer for more, and GETs where they do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chamelaion_async import (
    AuthenticationError,
    ClientClosedError,
    LipsyncRequest,
    NotFoundError,
    PermissionDeniedError,
    PollPolicy,
    RateLimitError,
    WaitTimeoutError,
    WaitUnreachableError,
)
from chamelaion_async._http.paging import PAGE_SIZE
from chamelaion_async.loading.entries import Read
from chamelaion_async.loading.reads import Answer, SendRead
from chamelaion_async.loading.times import NEVER
from tests.support.api import now
from tests.support.errors import FAILURES, status_error
from tests.support.source import FIXED, MemorySource, Received

from .subscriber import Listener

pytestmark = pytest.mark.virtual_time

scenarios = settings(
    deadline=None, derandomize=True, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def completed(outcomes: Mapping[str, Any]) -> int:
    return sum(outcome.request is not None and outcome.request.is_completed for outcome in outcomes.values())


def most_audits(service: MemorySource) -> float:
    """How many GETs may only check what pages say, one of them beside the very first page."""
    return 1 + service.elapsed / 5 + 1


def times(received: list[Received], service: MemorySource) -> list[float]:
    return [round(each.at - service.began, 3) for each in received]


class TestOne:
    @pytest.mark.parametrize("lasts", [0.0, 3.0, 30.0])
    async def test_a_single_wait_polls_as_often_as_without_a_loader(self, lasts: float) -> None:
        service = MemorySource()
        (id,) = service.add(lasts=lasts)
        await service.wait(id)
        expected = [0.0]
        while expected[-1] < lasts:
            expected.append(expected[-1] + max(expected[-1] * 0.1, 1.0))
        assert service.polls == pytest.approx(expected, abs=1e-3)

    async def test_a_single_wait_never_reads_a_page(self) -> None:
        service = MemorySource()
        service.add(500)
        (id,) = service.add(lasts=300.0)
        await service.wait(id)
        assert service.pages == []

    async def test_the_last_poll_of_a_wait_is_at_its_deadline(self) -> None:
        service = MemorySource()
        (id,) = service.add()
        with pytest.raises(WaitTimeoutError):
            await service.wait(id, timeout=10.5)
        assert service.polls[-2:] == [10.0, 10.5]

    async def test_a_job_that_is_not_known_is_not_found(self) -> None:
        service = MemorySource()
        with pytest.raises(NotFoundError):
            await service.wait("unknown")
        assert service.elapsed == 5.0


class TestFew:
    async def test_two_waits_share_pages_once_their_polls_fall_together(self) -> None:
        service = MemorySource()
        ids = service.add(2, lasts=3.0)
        await asyncio.gather(service.start(ids[0], policy=FIXED), service.start(ids[1], at=0.4, policy=FIXED))
        assert times(service.gets, service) == [0.0, 0.4, 2.0]  # the last one is an audit
        assert times(service.pages, service) == [1.0, 2.0, 3.0]

    async def test_a_request_that_was_just_polled_is_no_reason_for_a_page(self) -> None:
        service = MemorySource()
        ids = service.add(2, lasts=10.0)
        slow = service.start(ids[0], policy=PollPolicy(min_interval=100, max_interval=100, jitter=0))
        await service.start(ids[1], at=0.5)
        assert service.pages == []
        slow.cancel()
        await asyncio.wait([slow])


class TestMany:
    async def test_ten_pages_of_finished_ones_cost_ten_pages(self) -> None:
        service = MemorySource(latency=0.1)
        ids = service.add(10 * PAGE_SIZE, lasts=0.0)
        outcomes = await service.follow(ids)
        assert (completed(outcomes), len(service.pages), len(service.gets)) == (len(ids), 10, 1)

    async def test_three_pages_of_requests_cost_three_pages_at_each_poll(self) -> None:
        service = MemorySource(latency=0.1)
        ids = service.add(3 * PAGE_SIZE, lasts=8.5)
        outcomes = await service.follow(ids, policy=FIXED)
        assert completed(outcomes) == len(ids)
        assert len(service.gets) <= most_audits(service)
        assert len(service.pages) <= 3 * 10

    async def test_requests_that_fall_due_while_their_page_is_read_share_it(self) -> None:
        service = MemorySource(latency=0.1)
        under_way: list[tuple[float, int]] = []
        service.on_request = lambda received: under_way.append(
            (received.at, received.offset if received.is_page else -1)
        )
        for number in range(300):
            service.add(age=number / 300)
        await service.follow([job.id for job in service.jobs], timeout=30)
        doubled = [
            (at, offset)
            for number, (at, offset) in enumerate(under_way)
            for earlier, same in under_way[:number]
            if offset == same != -1 and at < earlier + 0.1 - 1e-9 and at < service.began + 29
        ]
        assert doubled == []

    async def test_a_finished_request_on_a_page_wakes_its_wait_at_once(self) -> None:
        service = MemorySource(latency=0.1)
        ids = service.add(50, lasts=4.0)
        slow = PollPolicy(min_interval=60, max_interval=60, jitter=0)
        sleeping = service.start(ids[0], policy=slow)
        await service.follow(ids[1:], policy=FIXED)
        assert (await sleeping).is_completed
        assert service.elapsed < 6

    async def test_thousands_under_a_rate_limit_end_within_a_few_pages(self) -> None:
        service = MemorySource(rate=5.0, latency=0.1)
        ids = service.add(1000, lasts=20.0)
        outcomes = await service.follow(ids)
        assert completed(outcomes) == 1000
        assert service.elapsed < 30

    async def test_as_many_are_under_way_as_the_lane_lets_through(self) -> None:
        service = MemorySource(latency=1.0, at_once=40)
        names = [f"dub-{number}" for number in range(400)]
        for name in names:
            service.add(reference=name)
        await service.follow(names, attempts=1)
        assert service.most_under_way == 40

    async def test_one_get_at_a_time_beside_the_first_page_measures_how_long_answers_take(self) -> None:
        service = MemorySource(latency=1.0)
        following = asyncio.create_task(service.follow(service.add(50)))
        await asyncio.sleep(0.9)
        assert (times(service.pages, service), times(service.gets, service)) == ([0.0], [0.05, 0.45, 0.85])
        following.cancel()
        await asyncio.wait([following])

    async def test_after_an_outage_from_the_start_a_wait_that_joined_is_read_soon(self) -> None:
        """Nothing is known of a service that has never answered, and the first page hangs."""
        service = MemorySource(latency=lambda _: 30.0 if service.elapsed < 0.8 else 0.1)
        waits = [service.start(id, at=at) for at, id in zip((0.0, 0.0, 0.3, 1.0), service.add(4), strict=True)]
        await asyncio.sleep(1.5)
        read = {each.id for each in service.gets if each.at > service.began + 0.8}
        assert read >= {job.id for job in service.jobs[2:]}  # the GETs of the first two hang
        for wait in waits:
            wait.cancel()
        await asyncio.wait(waits)

    async def test_get_many_reads_each_request_once(self) -> None:
        service = MemorySource(latency=0.1)
        ids = service.add(3 * PAGE_SIZE)
        outcomes = await service.follow(ids, attempts=3)
        assert all(outcome.unwrap().status == "processing" for outcome in outcomes.values())
        assert (len(service.pages), len(service.gets)) == (3, 1)


class TestWhatListsAreLike:
    @pytest.mark.parametrize("is_newest_first", [True, False])
    @pytest.mark.parametrize(
        ("cap", "says"),
        [(PAGE_SIZE, None), (20, None), (20, PAGE_SIZE), (50, PAGE_SIZE), (PAGE_SIZE, 1000), (7, 0)],
    )
    async def test_order_and_cap_are_learned(self, is_newest_first: bool, cap: int, says: int | None) -> None:
        service = MemorySource(latency=0.1, is_newest_first=is_newest_first, cap=cap, says=says)
        service.add(1000)
        ids = service.add(3 * PAGE_SIZE, lasts=0.0)
        outcomes = await service.follow(ids)
        assert completed(outcomes) == len(ids)
        # The slow start sends few at once, so some pages are read for what GETs have brought by then.
        assert len(service.pages) <= 1.5 * len(ids) / cap + 5
        # Where the list begins with the oldest, and its pages hold less than it says, most are found by GETs before
        # the size is known; still no request is read twice.
        is_misled = not is_newest_first and says is not None and min(says, PAGE_SIZE) != cap
        assert len({received.id for received in service.gets}) == len(service.gets)
        assert len(service.gets) <= (len(ids) - 1 if is_misled else 2 if is_newest_first else 50)

    async def test_the_young_end_is_read_where_the_oldest_come_first(self) -> None:
        service = MemorySource(latency=0.1, is_newest_first=False)
        service.add(50 * PAGE_SIZE)
        await service.follow(service.add(PAGE_SIZE, lasts=0.0))
        assert [page.offset for page in service.pages] == [0, 50 * PAGE_SIZE]

    async def test_the_young_end_is_read_once_where_the_oldest_come_first(self) -> None:
        service = MemorySource(latency=0.1, is_newest_first=False)
        ids = service.add(500, lasts=0.0)
        await service.follow(ids[-50:])
        known = len(service.pages)
        await service.follow(ids[:-100])
        offsets = [page.offset for page in service.pages[known:]]
        assert len(offsets) == len(set(offsets))

    @pytest.mark.parametrize("is_newest_first", [True, False])
    @pytest.mark.parametrize("new", [1, 3, 25])
    async def test_a_list_that_shifts_while_it_is_read_loses_no_request(
        self, is_newest_first: bool, new: int
    ) -> None:
        service = MemorySource(latency=0.1, is_newest_first=is_newest_first, cap=20)
        service.on_request = lambda _: service.add(new)
        ids = service.add(100, lasts=10.0)
        outcomes = await service.follow(ids, policy=FIXED)
        assert completed(outcomes) == 100
        assert service.elapsed < 13
        assert len(service.received) <= 100 * 11

    async def test_a_cap_that_changes_later_is_learned_again(self) -> None:
        service = MemorySource(latency=0.1)
        ids = service.add(300, lasts=20.0)
        following = asyncio.create_task(service.follow(ids, policy=FIXED))
        await asyncio.sleep(5.5)
        service.cap = 30
        assert completed(await following) == 300
        assert service.elapsed < 23
        assert len(service.gets) <= 300

    async def test_an_order_that_changes_later_is_learned_again(self) -> None:
        service = MemorySource(latency=0.1)
        service.add(1000)
        ids = service.add(300, lasts=20.0)
        following = asyncio.create_task(service.follow(ids, policy=FIXED))
        await asyncio.sleep(5.5)
        service.is_newest_first = False
        assert completed(await following) == 300
        assert service.elapsed < 23
        assert len(service.gets) <= 300

    async def test_jobs_that_lists_omit_are_read_with_get(self) -> None:
        service = MemorySource(latency=0.1)
        shown, omitted = service.add(50, lasts=0.0), service.add(20, lasts=0.0, is_listed=False)
        outcomes = await service.follow([*shown, *omitted])
        assert completed(outcomes) == 70
        assert {received.id for received in service.gets} == {*omitted, shown[0]}  # that tells how long answers take

    async def test_a_job_that_a_scan_did_not_find_is_scanned_for_after_growing_pauses(self) -> None:
        service = MemorySource()
        service.add(1)
        ids = service.add(2, is_listed=False)
        await service.follow(ids, policy=FIXED, timeout=150)
        assert times(service.pages, service) == [0.0, 15.0, 45.0, 105.0]

    async def test_a_job_that_appears_in_the_list_later_is_found_there(self) -> None:
        service = MemorySource(lag=10.0, latency=0.1)
        ids = service.add(100, lasts=60.0)
        outcomes = await service.follow(ids, policy=FIXED)
        assert completed(outcomes) == 100
        assert len([at for at in times(service.gets, service) if at > 17]) <= most_audits(service)

    async def test_a_job_that_leaves_the_list_is_read_with_get(self) -> None:
        service = MemorySource(latency=0.1)
        ids = service.add(100, lasts=20.0)
        following = asyncio.create_task(service.follow(ids, policy=FIXED))
        await asyncio.sleep(5.5)
        for id in ids[::10]:
            service.job(id).is_listed = False
        assert completed(await following) == 100
        assert service.elapsed < 23
        assert {received.id for received in service.gets} >= set(ids[::10])

    async def test_a_bad_record_on_a_page_affects_no_other(self) -> None:
        service = MemorySource(latency=0.1)
        ids = service.add(50, lasts=0.0)
        service.job(ids[7]).is_readable_on_pages = False
        outcomes = await service.follow(ids)
        assert completed(outcomes) == 50
        assert [received.id for received in service.gets] == [ids[0], ids[7]]  # the first tells how long answers take
        assert len(service.pages) == 1

    @pytest.mark.parametrize("is_newest_first", [True, False])
    async def test_a_service_that_ignores_the_offset_costs_little_more_than_single_reads(
        self, is_newest_first: bool
    ) -> None:
        service = MemorySource(latency=0.1, ignores_offset=True, is_newest_first=is_newest_first, cap=20)
        ids = service.add(300, lasts=5.0, reference="all-of-them")
        service.add(200)
        outcomes = await service.follow(ids, policy=FIXED)
        assert completed(outcomes) == 300
        assert len(service.received) <= 300 * 7 + 100

    @pytest.mark.parametrize("total", [0, 1, 50, 10_000])
    async def test_a_service_that_lies_about_its_total_costs_little_more_than_single_reads(self, total: int) -> None:
        service = MemorySource(latency=0.1, alter=lambda said: attrs.evolve(said, total=total))
        service.add(300)
        ids = service.add(300, lasts=5.0)
        outcomes = await service.follow(ids, policy=FIXED)
        assert completed(outcomes) == 300
        assert len(service.received) <= 300 * 7 + 100

    @pytest.mark.parametrize("offset", [0, 10_000])
    async def test_a_service_that_lies_about_the_offset_costs_little_more_than_single_reads(
        self, offset: int
    ) -> None:
        service = MemorySource(latency=0.1, alter=lambda said: attrs.evolve(said, offset=offset))
        ids = service.add(300, lasts=5.0)
        outcomes = await service.follow(ids, policy=FIXED)
        assert completed(outcomes) == 300
        assert len(service.received) <= 300 * 7 + 100

    async def test_all_are_read_with_get_if_the_list_is_empty(self) -> None:
        service = MemorySource(latency=0.1)
        ids = service.add(20, lasts=0.0, is_listed=False)
        assert completed(await service.follow(ids)) == 20
        assert (len(service.pages), len(service.gets)) == (1, 20)


class TestSearching:
    @pytest.mark.parametrize("count", [2, 8, 9, 40, 200])
    async def test_old_jobs_cost_few_fruitless_pages(self, count: int) -> None:
        service = MemorySource(latency=0.1)
        old = service.add(count, lasts=0.0)
        service.add(10_000)
        assert completed(await service.follow(old)) == count
        assert len(service.gets) == count
        assert len(service.pages) <= count / 8 + 1

    async def test_old_jobs_do_not_delay_young_ones(self) -> None:
        service = MemorySource(latency=0.1, rate=5.0)
        old = service.add(10, lasts=0.0)
        service.add(10_000)
        young = service.add(100, lasts=0.0)
        outcomes = await service.follow([*old, *young])
        assert completed(outcomes) == 110
        assert len(service.pages) <= 1 + 10 / 8 + 1

    async def test_waits_that_join_a_scan_before_it_begins_share_it(self) -> None:
        service = MemorySource(rate=1.0, latency=0.1)
        ids = service.add(50, lasts=0.0)
        await service.wait(service.add(lasts=0.0)[0])
        tasks = [service.start(id, at=number / 100) for number, id in enumerate(ids)]
        results = await asyncio.gather(*tasks)
        assert all(result.is_completed for result in results)
        assert (len(service.pages), len(service.gets)) == (1, 1)

    async def test_references_are_not_scanned_for_if_ids_are_uuids(self) -> None:
        service = MemorySource(latency=0.1)
        ids = service.add(30, lasts=0.0)
        await service.follow(ids)
        pages = len(service.pages)
        for number in range(20):
            service.add(lasts=30.0, reference=f"dub-{number}")
        outcomes = await service.follow([f"dub-{number}" for number in range(20)], policy=FIXED)
        assert completed(outcomes) == 20
        first_reads = [received for received in service.received if (received.id or "").startswith("dub-")]
        assert len(first_reads) == 20
        assert service.pages[pages:] == [page for page in service.pages[pages:] if page.at > first_reads[-1].at]

    async def test_references_cost_one_fruitless_page_before_the_shape_of_ids_is_known(self) -> None:
        service = MemorySource(latency=0.1)
        for number in range(20):
            service.add(lasts=0.0, reference=f"dub-{number}")
        assert completed(await service.follow([f"dub-{number}" for number in range(20)])) == 20
        assert (len(service.pages), len(service.gets)) == (1, 20)

    async def test_ids_of_any_shape_are_scanned_for_if_ids_are_not_uuids(self) -> None:
        service = MemorySource(latency=0.1)
        ids = [service.add(id=f"job-{number}", lasts=0.0)[0] for number in range(80)]
        assert completed(await service.follow(ids[:40])) == 40
        assert completed(await service.follow(ids[40:])) == 40
        assert (len(service.pages), len(service.gets)) == (2, 1)


class TestListTrouble:
    @pytest.mark.parametrize("name", ["503", "403", "404", "garbage", "timeout", "unreachable"])
    async def test_all_are_read_with_get_while_lists_fail(self, name: str) -> None:
        service = MemorySource(latency=0.1, refuse=lambda received: FAILURES[name]() if received.is_page else None)
        ids = service.add(50, lasts=4.0)
        assert completed(await service.follow(ids)) == 50
        assert len(service.pages) == 1
        assert service.elapsed < 6

    @pytest.mark.parametrize("name", ["503", "403"])
    async def test_failing_lists_are_read_again_after_growing_pauses(self, name: str) -> None:
        service = MemorySource(refuse=lambda received: FAILURES[name]() if received.is_page else None)
        ids = service.add(2)
        await service.follow(ids, policy=FIXED, timeout=700)
        assert times(service.pages, service)[:8] == pytest.approx([0, 5, 15, 35, 75, 155, 315, 615], abs=1)

    async def test_pages_that_fail_together_count_as_one_failure(self) -> None:
        service = MemorySource(latency=0.1, bears=20_000)
        service.refuse = lambda received: FAILURES["503"]() if received.is_page and 5 < service.elapsed < 14 else None
        await service.follow(service.add(300), policy=FIXED, timeout=40)
        assert [page for page in service.pages if page.at > service.began + 25]

    async def test_lists_are_used_again_once_they_answer(self) -> None:
        service = MemorySource(latency=0.1)
        service.refuse = lambda received: FAILURES["503"]() if received.is_page and service.elapsed < 3 else None
        ids = service.add(100, lasts=30.0)
        assert completed(await service.follow(ids, policy=FIXED)) == 100
        assert len([at for at in times(service.gets, service) if at > 7]) <= most_audits(service)

    async def test_a_list_that_fails_again_after_a_good_page_gets_the_shortest_pause(self) -> None:
        bad = [(0.0, 12.0), (30.0, 31.0)]
        service = MemorySource()
        service.refuse = lambda received: (
            FAILURES["503"]() if received.is_page and any(a <= service.elapsed <= b for a, b in bad) else None
        )
        ids = service.add(2)
        await service.follow(ids, policy=FIXED, timeout=40)
        pages = times(service.pages, service)
        assert [at for at in pages if 31 < at < 34.9] == []
        assert [at for at in pages if 34.9 < at < 37]

    async def test_a_list_that_hangs_delays_no_poll_by_more_than_a_moment(self) -> None:
        service = MemorySource(latency=lambda received: 10_000.0 if received.is_page else 0.1)
        ids = service.add(50, lasts=0.0)
        outcomes = await service.follow(ids)
        assert completed(outcomes) == 50
        assert service.elapsed < 0.5

    async def test_of_several_pages_that_hang_one_stays_under_way(self) -> None:
        service = MemorySource()
        service.latency = lambda received: 10_000.0 if received.is_page and service.elapsed > 1.5 else 0.1
        following = asyncio.create_task(service.follow(service.add(3 * PAGE_SIZE), policy=FIXED))
        await asyncio.sleep(2.3)
        hanging = service.under_way
        await asyncio.sleep(0.5)
        assert (hanging > service.under_way, service.under_way) == (True, 1)
        following.cancel()
        await asyncio.wait([following])

    async def test_a_bucket_whose_page_fails_is_read_with_gets(self) -> None:
        service = MemorySource()
        ids = service.add(50, lasts=20.0)
        service.refuse = lambda received: FAILURES["403"]() if received.is_page and service.elapsed > 10 else None
        assert completed(await service.follow(ids, policy=FIXED)) == 50
        assert service.elapsed < 22


class TestSingleReadTrouble:
    async def test_a_request_whose_gets_fail_is_scanned_for_on_pages(self) -> None:
        service = MemorySource()
        (id,) = service.add(lasts=0.0, is_readable=False)
        assert (await service.wait(id, policy=FIXED)).is_completed
        assert (len(service.gets), len(service.pages)) == (3, 1)

    async def test_many_requests_whose_gets_fail_are_found_on_pages(self) -> None:
        service = MemorySource(latency=0.1)
        ids = service.add(50, lasts=5.0, is_readable=False)
        assert completed(await service.follow(ids)) == 50
        assert len(service.gets) <= most_audits(service)

    async def test_a_request_that_is_readable_nowhere_ends_and_affects_no_other(self) -> None:
        service = MemorySource(latency=0.1)
        ids = service.add(20, lasts=0.0)
        bad = service.job(ids[3])
        bad.is_readable = bad.is_readable_on_pages = False
        outcomes = await service.follow(ids, policy=FIXED)
        assert completed(outcomes) == 19
        assert isinstance(outcomes[ids[3]].error, WaitUnreachableError)
        assert service.elapsed == pytest.approx(120.0, abs=1.0)
        assert len(service.received) < 150

    async def test_unknown_ids_end_and_affect_no_other(self) -> None:
        service = MemorySource(latency=0.1)
        ids = service.add(20, lasts=15.0)
        outcomes = await service.follow([*ids, "unknown", "nothing"])
        assert completed(outcomes) == 20
        assert {id for id, outcome in outcomes.items() if isinstance(outcome.error, NotFoundError)} == {
            "unknown",
            "nothing",
        }

    async def test_a_refusal_of_one_request_affects_no_other(self) -> None:
        service = MemorySource(latency=0.1)
        ids = service.add(10, lasts=10.0)
        closed = service.add(lasts=10.0, is_listed=False)[0]
        service.refuse = lambda received: FAILURES["403"]() if received.id == closed else None
        outcomes = await service.follow([*ids, closed])
        assert completed(outcomes) == 10
        assert isinstance(outcomes[closed].error, PermissionDeniedError)


@attrs.define(eq=False)
class Failing(Listener):
    """Records when reads fail for it: the time, when the read was sent, and how long it was waited for."""

    failures: list[tuple[float, float, float]] = attrs.Factory(list)

    def on_error(self, error: Exception, read: Read[Any] | None) -> None:
        assert read is not None
        self.failures.append((now(), read.began, read.timeout))


class TestTimeouts:
    async def failures_of(self, *asked: tuple[float, float]) -> list[tuple[float, ...]]:
        """Ask at some times with timeouts, of a service that hangs, and return the failures."""
        service = MemorySource(latency=1000.0)
        (id,) = service.add()
        listener = Failing(id)
        entry = listener.entry = service.loader.join(listener)
        for at, timeout in asked:
            if (pause := service.began + at - now()) > 0:
                await asyncio.sleep(pause)
            service.loader.ask(entry, timeout)
        await asyncio.sleep(100.0)
        service.loader.leave(entry, listener)
        return [(at - service.began, began - service.began, timeout) for at, began, timeout in listener.failures]

    async def test_a_get_fails_for_each_wait_within_twice_the_time_that_it_allows(self) -> None:
        failures = await self.failures_of((0.0, 60.0), (0.0, 5.0), (0.0, 18.0))
        assert failures == [(after, 0.0, after) for after in (5.0, 10.0, 20.0, 40.0, 60.0)]

    async def test_a_get_that_another_has_replaced_fails_too(self) -> None:
        assert await self.failures_of((0.0, 20.0), (3.0, 20.0)) == [(20.0, 0.0, 20.0), (23.0, 3.0, 20.0)]


class TestQueuedAgain:
    async def test_a_page_that_waits_for_the_lane_once_more_is_not_overdue(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another client was to send it and has not; GETs would wait for the lane as well."""
        service = MemorySource(latency=0.1)
        turn = service.turn

        @asynccontextmanager
        async def crowded_turn(_: MemorySource) -> AsyncIterator[SendRead[LipsyncRequest]]:
            async with turn() as send:

                async def send_later(read: Read[LipsyncRequest]) -> Answer[LipsyncRequest]:
                    if read.is_page and 5 < service.elapsed < 7:
                        read.is_queued = True
                        await asyncio.sleep(3.0)
                        read.is_queued, read.began, read.overdue_at = False, now(), NEVER
                    return await send(read)

                yield send_later

        monkeypatch.setattr(MemorySource, "turn", crowded_turn)
        assert completed(await service.follow(service.add(20, lasts=12.0), policy=FIXED)) == 20
        meanwhile = [each for each in times(service.gets, service) if 5 < each < 9]
        assert len(meanwhile) <= 1  # that only checks a page


class TestTooManyRequests:
    @pytest.mark.parametrize("count", [1, 50, 500])
    @pytest.mark.parametrize("retry_after", [None, 0.0, 3.0, 30.0])
    async def test_refused_requests_back_off_and_none_is_lost(self, count: int, retry_after: float | None) -> None:
        service = MemorySource(latency=0.1)
        service.refuse = lambda received: (
            status_error(429, retry_after=retry_after) if len(service.received) % 3 == 1 else None
        )
        ids = service.add(count, lasts=10.0)
        outcomes = await service.follow(ids)
        assert completed(outcomes) == count

    async def test_a_limit_of_the_list_alone_pauses_pages_and_no_get(self) -> None:
        service = MemorySource()
        service.refuse = lambda received: status_error(429, retry_after=30.0) if received.is_page else None
        ids = service.add(50, lasts=20.0)
        assert completed(await service.follow(ids, policy=FIXED)) == 50
        assert times(service.pages, service) == [0.0]
        assert service.elapsed < 22

    async def test_after_a_refused_page_one_get_is_sent_before_all_others(self) -> None:
        service = MemorySource(latency=0.1)
        service.refuse = lambda received: status_error(429) if received.is_page else None
        following = asyncio.create_task(service.follow(service.add(50)))
        await asyncio.sleep(0.19)
        assert (times(service.pages, service), times(service.gets, service)) == ([0.0], [0.05, 0.1])
        await asyncio.sleep(0.5)  # eight at first, and twice as many with each round of answers
        assert {received.id for received in service.gets} == {job.id for job in service.jobs}
        following.cancel()
        await asyncio.wait([following])

    async def test_once_all_reads_have_a_limit_a_429_to_a_page_closes_the_lane(self) -> None:
        """A GET right after it may be admitted, and would show a limit of the list alone."""
        service = MemorySource(latency=0.1)
        refused = list[float]()

        def refuse(received: Received) -> Exception | None:
            is_refused = len(service.received) <= 3 or (received.is_page and not refused and service.elapsed > 20)
            if is_refused and service.elapsed > 20:
                refused.append(service.elapsed)
            return status_error(429) if is_refused else None

        service.refuse = refuse
        assert completed(await service.follow(service.add(50, lasts=40.0), policy=FIXED)) == 50
        (began,) = refused
        next_read = next(each for each in service.received if each.at > service.began + began)
        assert next_read.is_page
        assert next_read.at - service.began - began == pytest.approx(1.0)

    async def test_a_limit_of_all_reads_is_found_by_one_get(self) -> None:
        service = MemorySource(refuse=lambda _: status_error(429, retry_after=4.0))
        results = await service.wait_for(service.add(30), timeout=3.0)
        errors = [result.last_error for result in results]
        assert sum(isinstance(error, RateLimitError) for error in errors) == len(service.gets) == 1
        assert sum("could not be sent" in str(error) for error in errors) == 29


class TestOutage:
    async def test_an_outage_costs_no_more_than_a_loop_of_gets_and_all_jobs_are_found_after_it(self) -> None:
        service = MemorySource(latency=0.1)
        service.refuse = lambda _: FAILURES["503"]() if 5 < service.elapsed < 95 else None
        ids = service.add(100, lasts=30.0)
        assert completed(await service.follow(ids)) == 100
        down = [at for at in times(service.received, service) if 5 < at < 95]
        assert len(down) < 100 * 14
        assert service.elapsed < 95 + 15

    @pytest.mark.parametrize("name", ["503", "garbage", "unreachable", "timeout"])
    async def test_an_outage_from_the_start_ends_all_within_the_budget(self, name: str) -> None:
        service = MemorySource(latency=0.1, refuse=lambda _: FAILURES[name]())
        outcomes = await service.follow(service.add(100))
        assert all(isinstance(outcome.error, WaitUnreachableError) for outcome in outcomes.values())
        assert service.elapsed < 120 + 2
        assert len(service.received) < 100 * 18

    async def test_a_service_that_hangs_ends_all_within_the_budget(self) -> None:
        service = MemorySource(latency=10_000.0)
        outcomes = await service.follow(service.add(90))
        assert all(isinstance(outcome.error, WaitUnreachableError) for outcome in outcomes.values())
        # GETs begin when the page is late, after 2 s, eight every quarter of a second, and are given up after 20 s.
        assert service.elapsed <= 120 + 20 + 2 + 3

    async def test_a_request_that_fails_does_not_delay_the_others(self) -> None:
        service = MemorySource(latency=0.1)
        ids, bad = service.add(10, is_listed=False, lasts=8.0), service.add(5, is_listed=False)
        service.refuse = lambda received: FAILURES["503"]() if received.id in bad else None
        outcomes = await service.follow([*bad, *ids], policy=PollPolicy(outage_budget=30, jitter=0, max_interval=1.0))
        assert completed(outcomes) == 10
        polls = [received for received in service.gets if received.id == ids[0]]
        assert len(polls) == 9


class TestTheEnd:
    @pytest.mark.parametrize("count", [1, 30])
    async def test_wrong_credentials_end_all_waits(self, count: int) -> None:
        service = MemorySource(latency=0.1)
        service.refuse = lambda _: status_error(401) if service.elapsed > 3 else None
        results = await service.wait_for(service.add(count))
        assert all(isinstance(result, AuthenticationError) for result in results)
        assert service.elapsed < 4.5

    async def test_credentials_that_work_again_serve_the_next_waits(self) -> None:
        service = MemorySource(latency=0.1)
        service.refuse = lambda _: status_error(401) if service.elapsed < 1 else None
        ids = service.add(30, lasts=0.0)
        await service.wait_for(ids)
        await asyncio.sleep(1)
        assert all(result.is_completed for result in await service.wait_for(ids))

    @pytest.mark.parametrize("at", [0.05, 0.9, 2.05])
    async def test_closing_ends_all_waits_at_once(self, at: float) -> None:
        service = MemorySource(latency=0.1)
        tasks = [service.start(id) for id in service.add(30)]
        tasks.append(asyncio.create_task(service.follow(service.add(30))))  # type: ignore[arg-type] # ends likewise
        await asyncio.sleep(at)
        began = service.elapsed
        await service.lifecycle.aclose()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, ClientClosedError) for result in results)
        assert service.elapsed == began
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_a_wait_after_the_close_is_refused(self) -> None:
        service = MemorySource()
        (id,) = service.add()
        await service.lifecycle.aclose()
        with pytest.raises(ClientClosedError):
            await service.wait(id)

    @pytest.mark.parametrize("count", [1, 2, 30])
    async def test_a_defect_ends_the_waits(self, count: int) -> None:
        service = MemorySource(latency=0.1, refuse=lambda _: LookupError("a defect"))
        results = await service.wait_for(service.add(count))
        assert all(isinstance(result, LookupError) for result in results)
        assert service.elapsed < 1

    @pytest.mark.parametrize("count", [1, 2, 30])
    async def test_a_defect_does_not_affect_later_waits(self, count: int) -> None:
        service = MemorySource(latency=0.1)
        service.refuse = lambda _: LookupError("a defect") if service.elapsed < 1 else None
        ids = service.add(count, lasts=0.0)
        await service.wait_for(ids)
        await asyncio.sleep(1)
        results = await service.wait_for(ids, timeout=30)
        assert all(isinstance(result, LipsyncRequest) for result in results)

    @pytest.mark.parametrize("error", [LookupError("mine"), None], ids=["raises", "nonsense"])
    async def test_a_strategy_that_fails_ends_its_own_batch_and_no_other_wait(self, error: Exception | None) -> None:
        service = MemorySource()
        ids = service.add(2, lasts=10.0)
        other = service.start(ids[0])
        await asyncio.sleep(0.5)

        def strategy(_: object) -> float:
            if error is not None:
                raise error
            return -1.0

        with pytest.raises((LookupError, ValueError)):
            await service.follow([ids[1]], policy=PollPolicy(wait=strategy))
        assert (await other).is_completed
        assert service.elapsed < 12


class TestNudge:
    SLOW = PollPolicy(min_interval=60, max_interval=60, jitter=0)

    async def test_a_nudged_request_in_the_queue_is_read_first(self) -> None:
        service = MemorySource(rate=1.0)
        names = [f"dub-{number}" for number in range(5)]
        for name in names:
            service.add(lasts=0.0, reference=name, is_listed=False)
        await service.follow(service.add(2, lasts=0.0))
        tasks = [service.start(name) for name in names]
        await asyncio.sleep(0.5)
        service.loader.nudge("dub-4")
        await asyncio.wait(tasks)
        assert [received.id for received in service.gets][-5:] == ["dub-4", "dub-0", "dub-1", "dub-2", "dub-3"]

    async def test_a_nudged_request_of_a_scan_is_read_first(self) -> None:
        service = MemorySource(latency=0.1)
        ids = service.add(3, lasts=5.0)
        tasks = [service.start(id, policy=self.SLOW) for id in ids]
        await asyncio.sleep(6)
        for id in ids:
            service.loader.nudge(id)
        await asyncio.wait(tasks)
        assert service.elapsed < 6.5

    async def test_a_nudged_poll_that_fails_does_not_affect_the_wait(self) -> None:
        service = MemorySource()
        service.refuse = lambda _: FAILURES["404"]() if 5 < service.elapsed < 7 else None
        (id,) = service.add(lasts=30.0)
        task = service.start(id, policy=self.SLOW)
        await asyncio.sleep(6)
        service.loader.nudge(id)
        assert (await task).is_completed
        assert service.elapsed == 60.0

    async def test_a_nudged_poll_has_the_timeout_of_any_read(self) -> None:
        service = MemorySource()
        (id,) = service.add()
        task = service.start(id, policy=self.SLOW)
        await asyncio.sleep(6)
        service.loader.nudge(id)
        await asyncio.sleep(1)
        assert service.received[-1].timeout == 20.0
        task.cancel()
        await asyncio.wait([task])


class TestAListThatLags:
    async def test_after_a_get_shows_an_end_before_pages_do_all_reads_are_gets(self) -> None:
        service = MemorySource(latency=0.1)
        ids = service.add(40, lasts=20.0, page_lag=30.0)
        outcomes = await service.follow(ids, policy=FIXED)
        assert completed(outcomes) == 40
        assert service.elapsed < 20 + 40 / 8
        assert len([page for page in service.pages if page.at > service.began + 27]) == 0

    async def test_an_end_without_an_output_is_read_with_get_once(self) -> None:
        service = MemorySource(latency=0.1)
        ids = service.add(40, lasts=0.0, page_shows_output=False)
        outcomes = await service.follow(ids)
        assert all(outcome.unwrap().output_url for outcome in outcomes.values())
        assert sorted({received.id for received in service.gets if received.id}) == sorted(ids)
        assert len(service.gets) <= 41

    async def test_every_five_seconds_one_request_of_a_page_is_read_with_get(self) -> None:
        service = MemorySource(latency=0.1)
        await service.follow(service.add(40), policy=FIXED, timeout=30.0)
        audits = [at for at in times(service.gets, service) if 0.5 < at < 29]
        assert audits == pytest.approx([1.0, 6.0, 11.0, 16.0, 21.0, 26.0], abs=1.0)


class TestTheLastPoll:
    async def test_the_last_poll_is_a_get_in_a_batch_of_a_few_hundred(self) -> None:
        service = MemorySource(latency=0.1)
        ids = service.add(20)
        await service.follow(ids, policy=FIXED, timeout=5.0)
        last = [str(received.id) for received in service.gets if received.at > service.began + 4.85]
        assert sorted(last) == sorted(ids)

    async def test_the_last_poll_is_a_page_in_a_batch_of_very_many(self) -> None:
        service = MemorySource(latency=0.1)
        outcomes = await service.follow(service.add(3 * PAGE_SIZE), policy=FIXED, timeout=5.0)
        assert sum(at > 4.5 for at in times(service.pages, service)) == 3
        assert max(times(service.gets, service)) < 4.5
        errors = [outcome.error for outcome in outcomes.values()]
        assert {error.last_error for error in errors if isinstance(error, WaitTimeoutError)} == {None}
        assert service.elapsed == pytest.approx(5.0, abs=0.01)

    async def test_the_last_polls_of_more_than_eight_in_a_bucket_include_its_page(self) -> None:
        service = MemorySource(latency=lambda received: 0.1 if received.is_page or service.elapsed < 4 else 3.0)
        ids = service.add(20, lasts=4.5)
        outcomes = await service.follow(ids, policy=FIXED, timeout=5.0)
        assert completed(outcomes) == 20

    async def test_a_page_that_comes_first_costs_no_second_get(self) -> None:
        service = MemorySource(latency=lambda received: 0.05 if received.is_page else 0.1)
        ids = service.add(20)
        await service.follow(ids, policy=FIXED, timeout=5.0)
        assert len([get for get in service.gets if get.at > service.began + 4.85]) == 20

    async def test_a_wait_ends_although_the_clock_stands_still_while_answers_come(self) -> None:
        service = MemorySource()
        outcomes = await service.follow(service.add(20), policy=FIXED, timeout=2.5)
        assert all(isinstance(outcome.error, WaitTimeoutError) for outcome in outcomes.values())
        assert len(service.gets) <= 23


class TestThePrice:
    @scenarios
    @given(
        ends=st.lists(st.floats(0, 40), min_size=1, max_size=120),
        others=st.integers(0, 400),
        cap=st.sampled_from([PAGE_SIZE, 20, 5]),
        is_newest_first=st.booleans(),
        omitted=st.sampled_from([0, 2, 3]),
        lag=st.sampled_from([0.0, 8.0]),
        new=st.sampled_from([0, 1]),
        latency=st.sampled_from([0.0, 0.2, 1.5]),
    )
    async def test_a_batch_costs_no_more_than_gets_and_few_fruitless_pages(
        self,
        ends: list[float],
        others: int,
        cap: int,
        is_newest_first: bool,
        omitted: int,
        lag: float,
        new: int,
        latency: float,
    ) -> None:
        alone = 0
        for lasts in ends:
            service = MemorySource(latency=latency)
            await service.follow(service.add(lasts=lasts))
            alone += len(service.received)
        service = MemorySource(latency=latency, cap=cap, is_newest_first=is_newest_first, lag=lag)
        service.on_request = lambda _: service.add(new)
        ids = []
        for number, lasts in enumerate(ends):
            service.add(others // len(ends))
            ids += service.add(lasts=lasts, is_listed=not omitted or number % omitted > 0)
        outcomes = await service.follow(ids)
        assert completed(outcomes) == len(ends)
        searches = 4  # at the start and after 15, 45 and 105 seconds
        assert len(service.received) <= alone + searches * (len(ids) / 8 + 1)

    @scenarios
    @given(
        plan=st.lists(st.tuples(st.floats(0, 20), st.floats(0, 30)), min_size=1, max_size=40),
        failing=st.sets(st.integers(0, 60), max_size=30),
        name=st.sampled_from(["503", "404", "garbage", "unreachable", "timeout"]),
        rate=st.sampled_from([None, 2.0, 10.0]),
    )
    async def test_every_wait_ends_with_its_job_whatever_fails(
        self,
        plan: list[tuple[float, float]],
        failing: set[int],
        name: str,
        rate: float | None,
    ) -> None:
        service = MemorySource(latency=0.1, rate=rate)
        service.refuse = lambda received: (
            FAILURES[name]() if len(service.received) in failing and (received.is_page or name != "404") else None
        )
        tasks = [service.start(id, at=at) for at, lasts in plan for id in service.add(lasts=lasts)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [result for result in results if isinstance(result, BaseException)] == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    @scenarios
    @given(throttled=st.sets(st.integers(0, 60), max_size=30), after=st.sampled_from([None, 0.0, 2.0]))
    async def test_every_wait_ends_with_its_job_despite_any_number_of_429s(
        self,
        throttled: set[int],
        after: float | None,
    ) -> None:
        service = MemorySource(latency=0.1, cap=20)
        error = status_error(429, retry_after=after)
        service.refuse = lambda _: error if len(service.received) in throttled else None
        outcomes = await service.follow(service.add(150, lasts=5.0), policy=PollPolicy(outage_budget=600, jitter=0))
        assert completed(outcomes) == 150
        assert RateLimitError not in {type(outcome.error) for outcome in outcomes.values()}
