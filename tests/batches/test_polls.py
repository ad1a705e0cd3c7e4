"""When a batch polls: by which policy, while its consumer is busy, and together with which others."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from tenacity import RetryCallState, wait_chain, wait_exponential, wait_fixed, wait_incrementing

from chamelaion_async import AsyncClient, ConfigurationError, InternalServerError, PollPolicy
from chamelaion_async._http.paging import PAGE_SIZE
from tests.support.api import FamilyName, MemoryApi, Requests, are_audits, refusal, requests_of

pytestmark = pytest.mark.virtual_time

STEADY = PollPolicy(jitter=0.0)


class TestPolicy:
    async def test_the_clients_policy_holds_unless_another_is_given(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        ids = [service.add("a", finishes=3), service.add("b", finishes=3)]

        await requests.wait_all(ids)
        first = list(service.pages)
        ids = [service.add("c", finishes=100), service.add("d", finishes=100)]
        await requests.wait_all(ids, polling=PollPolicy(min_interval=40.0, max_interval=40.0))

        assert first == [0, 1, 2, 3]
        assert service.pages[4:] == [3, 43, 83, 123]
        assert are_audits(service.gets)

    async def test_polls_grow_rarer_with_age_and_never_rarer_than_the_longest_interval(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        ids = [service.add("a", finishes=300), service.add("b", finishes=300)]

        await requests.wait_all(ids, polling=STEADY)

        pauses = [round(b - a, 4) for a, b in pairwise(service.pages)]
        assert pauses[:10] == [1.0] * 10
        assert pauses[10:13] == [1.0, 1.1, 1.21]
        assert max(pauses) == 12.0
        assert are_audits(service.gets)

    async def test_all_ids_of_an_answer_are_jittered_alike_and_stay_on_one_page(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        ids = service.add_many(PAGE_SIZE, finishes=200)

        await requests.wait_all(ids, polling=PollPolicy(jitter=1.0, min_interval=5.0, max_interval=20.0))

        assert len(service.pages) < 200 / 5
        assert are_audits(service.gets)


class TestStrategy:
    """Any wait strategy of tenacity's replaces the spacing."""

    @pytest.mark.parametrize(
        ("strategy", "polls"),
        [
            (wait_fixed(4), [0, 4, 8, 12, 16, 20]),
            (wait_incrementing(start=2, increment=3), [0, 2, 7, 15, 26]),
            (wait_exponential(multiplier=1, max=10), [0, 1, 3, 7, 15, 25]),
            (wait_chain(wait_fixed(1), wait_fixed(2), wait_fixed(9)), [0, 1, 3, 12, 21]),
        ],
        ids=["fixed", "incrementing", "exponential", "chain"],
    )
    async def test_a_strategy_sets_the_times(
        self, service: MemoryApi, requests: Requests, strategy: Any, polls: list[float]
    ) -> None:
        ids = [service.add("a", finishes=20), service.add("b", finishes=20)]

        await requests.wait_all(ids, polling=PollPolicy(wait=strategy))

        assert service.pages == polls
        assert are_audits(service.gets)

    async def test_a_strategy_receives_the_number_and_the_outcome_of_each_poll(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        id = service.add("a", statuses={float("-inf"): "queued", 5: "processing"}, finishes=9)
        service.trouble = lambda asked: refusal(503) if asked.at == 4 else None
        told: list[tuple[int, object]] = []

        def strategy(attempt: RetryCallState) -> float:
            assert attempt.outcome is not None
            failed = attempt.outcome.failed
            outcome = attempt.outcome.exception() if failed else attempt.outcome.result().status
            told.append((attempt.attempt_number, type(outcome) if failed else outcome))
            return 4.0 if not failed else 1.0

        await requests.wait_all([id], polling=PollPolicy(wait=strategy))

        assert told == [(1, "queued"), (2, InternalServerError), (3, "processing")]
        assert service.polls == [0, 4, 5, 9]

    async def test_the_numbers_of_a_strategy_begin_with_one_although_others_polled_before(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        id = service.add("a", finishes=20)
        numbers: list[int] = []

        def strategy(attempt: RetryCallState) -> float:
            numbers.append(attempt.attempt_number)
            return 5.0

        first = service.meanwhile(requests.wait_until_finished(id))
        await service.until(0.5)
        await requests.wait_all([id], polling=PollPolicy(wait=strategy))
        await first

        assert min(numbers) == 1

    async def test_a_strategy_receives_the_elapsed_time_as_in_a_single_wait(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        id = service.add("a", finishes=9)

        def strategy(attempt: RetryCallState) -> float:
            lasted = attempt.seconds_since_start
            assert lasted is not None
            return lasted + 4

        await requests.wait_all([id], polling=PollPolicy(wait=strategy))

        assert service.polls[:2] == pytest.approx([0, 4], abs=0.5)

    @pytest.mark.parametrize("pause", [-1.0, float("nan"), float("inf")])
    async def test_a_strategy_that_returns_nonsense_is_named_in_the_error(
        self, service: MemoryApi, requests: Requests, pause: float
    ) -> None:
        with pytest.raises(ConfigurationError, match=r"PollPolicy\.wait"):
            await requests.wait_all([service.add("a")], polling=PollPolicy(wait=lambda _: pause))

    @pytest.mark.parametrize("answer", [None, refusal(503)], ids=["after an answer", "after a failure"])
    async def test_an_error_of_a_strategy_reaches_its_caller_alone(
        self, service: MemoryApi, requests: Requests, answer: Any
    ) -> None:
        def burst(_: RetryCallState) -> float:
            raise LookupError("mine")

        a, b = service.add("a", finishes=5), service.add("b", finishes=5)
        service.trouble = lambda asked: answer if asked.at == 0 else None
        neighbour = service.meanwhile(requests.wait_all([a, b]))

        with pytest.raises(LookupError, match="mine"):
            await requests.wait_all([a, b], timeout=60, polling=PollPolicy(wait=burst))

        assert all(outcome.unwrap().is_completed for outcome in (await neighbour).values())

    async def test_a_retry_after_overrides_a_strategy(self, service: MemoryApi, requests: Requests) -> None:
        id = service.add("a", finishes=15)
        service.trouble = lambda asked: refusal(429, Retry_After="7") if asked.at == 2 else None

        await requests.wait_all([id], polling=PollPolicy(wait=wait_fixed(2)))

        assert service.polls[:3] == [0, 2, 9]


class TestBusyConsumer:
    async def test_polls_go_on_and_later_results_are_there_at_once(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        ends = {service.add(name, finishes=end): end for name, end in {"a": 1, "b": 10, "c": 25, "d": 40}.items()}
        came = []

        async for outcome in requests.as_finished(ends):
            came.append((ends[outcome.id], service.elapsed))
            if len(came) == 1:
                await service.until(30)

        assert came == [(1, 1), (10, 30), (25, 30), (40, 40)]
        assert sorted({*service.polls}) == [float(second) for second in range(41)]

    async def test_a_busy_consumer_does_not_move_the_deadline(self, service: MemoryApi, requests: Requests) -> None:
        ids = [service.add("a", finishes=1), service.add("b"), service.add("c")]
        came = []

        async for outcome in requests.as_finished(ids, timeout=10):
            came.append((outcome.id, service.elapsed))
            await service.until(60)

        assert [elapsed for _, elapsed in came] == [1, 60, 60]
        assert service.polls[-1] == 10


class TestSharing:
    async def test_batches_and_waits_for_the_same_ids_cost_no_more_than_one(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        ids = service.add_many(PAGE_SIZE, finishes=20)

        await asyncio.gather(
            requests.wait_all(ids),
            requests.wait_all(reversed(ids)),
            requests.wait_all(ids[: len(ids) // 2]),
            *(requests.wait_until_finished(id) for id in ids[::7]),
        )

        assert service.pages == [float(second) for second in range(21)]
        assert are_audits(service.gets)

    async def test_a_later_batch_takes_what_was_just_read(self, service: MemoryApi, requests: Requests) -> None:
        ids = service.add_many(PAGE_SIZE, finishes=20)

        first = service.meanwhile(requests.wait_all(ids))
        await service.until(10.5)
        await requests.wait_all(ids)
        await first

        assert service.pages == [float(second) for second in range(21)]
        assert are_audits(service.gets)

    async def test_batches_that_share_reads_keep_their_own_deadlines(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        id = service.add("a", finishes=20)

        long = service.meanwhile(requests.wait_all([id]))
        short = await requests.wait_all([id], timeout=5.5)

        assert (short[id].request, service.elapsed) == (None, 5.5)
        assert (await long)[id].unwrap().is_completed

    async def test_views_of_one_client_share_as_well(
        self, service: MemoryApi, family: FamilyName, client: AsyncClient
    ) -> None:
        ids = service.add_many(PAGE_SIZE, finishes=20)
        view = client.with_options(timeout=30.0)

        await asyncio.gather(*(requests_of(each, family).wait_all(ids) for each in (client, view)))

        assert service.pages == [float(second) for second in range(21)]
        assert are_audits(service.gets)

    async def test_one_page_answers_for_as_many_as_it_shows(self, service: MemoryApi, requests: Requests) -> None:
        ids = service.add_many(3 * PAGE_SIZE, finishes=5)

        await requests.wait_all(ids)

        assert len(service.pages) == 6 * 3
        assert are_audits(service.gets)
