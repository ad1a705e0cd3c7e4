"""One poll of each of many requests, now."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from chamelaion_async import (
    AsyncClient,
    AuthenticationError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RetryPolicy,
)
from chamelaion_async._http.paging import PAGE_SIZE
from tests.support.api import (
    PATHS,
    Answer,
    Asked,
    FamilyName,
    MemoryApi,
    Requests,
    Trouble,
    refusal,
    requests_of,
    uuid,
)

pytestmark = pytest.mark.virtual_time

LIPSYNC = pytest.mark.parametrize("family", ["lipsync"], indirect=True)


async def test_each_request_comes_with_its_present_status(service: MemoryApi, requests: Requests) -> None:
    ids = [
        service.add("a", statuses={float("-inf"): "queued"}),
        service.add("b"),
        service.add("c", finishes=-1),
        service.add("d", finishes=-1, as_="failed"),
    ]

    outcomes = await requests.get_many(ids)

    assert [outcome.unwrap().status for outcome in outcomes.values()] == [
        "queued",
        "processing",
        "completed",
        "failed",
    ]
    assert service.elapsed == 0


async def test_a_hundred_pages_of_jobs_cost_little_more_than_a_hundred_reads(
    service: MemoryApi, requests: Requests
) -> None:
    ids = service.add_many(100 * PAGE_SIZE)

    outcomes = await requests.get_many(ids)

    assert list(outcomes) == ids
    assert all(outcome.unwrap().id == id for id, outcome in outcomes.items())
    assert len(service.asked) <= 130


async def test_a_few_are_read_one_by_one_where_pages_would_cost_more(service: MemoryApi, requests: Requests) -> None:
    ids = service.add_many(5_000)

    outcomes = await requests.get_many(ids[::1000])

    assert len(outcomes) == 5
    assert len(service.asked) <= 7


@pytest.mark.parametrize("slower", [2, 3, 10])
async def test_a_first_page_that_is_slower_than_a_get_leaves_the_rest_to_pages(
    service: MemoryApi, requests: Requests, monkeypatch: pytest.MonkeyPatch, slower: int
) -> None:
    answer = MemoryApi.request

    async def request(service: MemoryApi, method: str, url: Any, **options: Any) -> Any:
        service.latency = 0.03 if url.path.removeprefix(PATHS[service.family]) else 0.03 * slower
        return await answer(service, method, url, **options)

    monkeypatch.setattr(MemoryApi, "request", request)

    outcomes = await requests.get_many(service.add_many(100 * PAGE_SIZE))

    assert all(outcome.request is not None for outcome in outcomes.values())
    assert 90 <= len(service.pages) <= 110
    assert len(service.gets) <= 650  # all that could be sent before the first page was here
    assert service.elapsed < 1


async def test_unknown_ids_are_outcomes_at_once(service: MemoryApi, requests: Requests) -> None:
    known, missing = service.add_many(300), [uuid(f"missing-{number}") for number in range(30)]

    outcomes = await requests.get_many([*missing, *known])

    assert all(isinstance(outcomes[id].error, NotFoundError) for id in missing)
    assert all(outcomes[id].request is not None for id in known)
    assert service.elapsed == 0


@LIPSYNC
async def test_references_are_answered_one_by_one(service: MemoryApi, requests: Requests) -> None:
    ids = {f"dub-{number}": service.add(f"job-{number}", reference=f"dub-{number}") for number in range(40)}

    outcomes = await requests.get_many(ids)

    assert {given: outcome.unwrap().id for given, outcome in outcomes.items()} == ids
    alone = Counter(asked.id for asked in service.asked if asked.id is not None)
    assert alone == Counter(ids.keys())


class TestFreshness:
    async def test_a_read_of_an_earlier_wait_is_not_used(self, service: MemoryApi, requests: Requests) -> None:
        ids = [service.add("a", finishes=5), service.add("b", finishes=5)]
        waiting = service.meanwhile(requests.wait_all(ids))
        await service.until(4.5)
        service.finish(ids)

        outcomes = await requests.get_many(ids)

        assert service.elapsed == 4.5
        assert all(outcome.unwrap().is_completed for outcome in outcomes.values())
        await waiting

    async def test_each_call_polls_again(self, service: MemoryApi, requests: Requests) -> None:
        ids = service.add_many(3)

        for _ in range(3):
            await requests.get_many(ids)

        assert len(service.asked) == 3

    async def test_two_calls_at_once_share_their_poll(self, service: MemoryApi, requests: Requests) -> None:
        ids = service.add_many(PAGE_SIZE)

        await asyncio.gather(requests.get_many(ids), requests.get_many(ids))

        assert len(service.asked) == 1


def fails(*answers: Answer) -> Trouble:
    """Answer the first requests so, and the others well."""
    left: Iterator[Answer] = iter(answers)
    return lambda _: next(left, None)


def fails_alone(answer: Answer) -> Trouble:
    def trouble(asked: Asked) -> Answer | None:
        return answer if asked.id is not None else None

    return trouble


DOWN = refusal(503, "the first failure")
DOWN_AGAIN = refusal(500, "another failure")
FULL = refusal(429, "slow down", Retry_After="7")


class TestRetries:
    @pytest.fixture
    def once(self, client: AsyncClient, family: FamilyName) -> Requests:
        """Those of a view whose calls are tried once."""
        return requests_of(client.with_options(retry=RetryPolicy(attempts=1)), family)

    async def test_with_one_attempt_the_first_failure_is_the_outcome(
        self, service: MemoryApi, once: Requests
    ) -> None:
        service.trouble = fails(DOWN, DOWN_AGAIN)
        id = service.add("a")

        outcomes = await once.get_many([id])

        assert isinstance(outcomes[id].error, InternalServerError)
        assert "the first failure" in str(outcomes[id].error)
        assert len(service.asked) == 1

    async def test_with_three_attempts_the_third_may_succeed(self, service: MemoryApi, requests: Requests) -> None:
        service.trouble = fails(DOWN, DOWN_AGAIN)
        id = service.add("a")

        outcomes = await requests.get_many([id])

        assert outcomes[id].request is not None
        assert len(service.asked) == 3
        assert 0.75 <= service.elapsed <= 1.5

    async def test_after_three_attempts_the_last_failure_is_the_outcome(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        service.trouble = fails(DOWN, DOWN, DOWN_AGAIN)
        id = service.add("a")

        outcomes = await requests.get_many([id])

        assert "another failure" in str(outcomes[id].error)
        assert len(service.asked) == 3

    async def test_a_page_that_cannot_be_read_is_replaced_by_gets(self, service: MemoryApi, once: Requests) -> None:
        service.trouble = lambda asked: DOWN if asked.id is None else None
        ids = service.add_many(10)

        outcomes = await once.get_many(ids)

        assert all(outcome.request is not None for outcome in outcomes.values())
        assert len(service.asked) == 11

    async def test_a_service_that_is_down_is_the_outcome_of_each_after_its_own_attempts_within_seconds(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        service.trouble = lambda _: DOWN

        outcomes = await requests.get_many(service.add_many(1000))

        assert all(isinstance(outcome.error, InternalServerError) for outcome in outcomes.values())
        assert service.elapsed < 10
        attempts = Counter(asked.id for asked in service.asked if asked.id is not None)
        assert set(attempts.values()) == {3}
        assert len(service.pages) <= 2

    async def test_a_refusal_is_not_repeated(self, service: MemoryApi, requests: Requests) -> None:
        service.trouble = fails_alone(refusal(403))
        id = service.add("a")

        outcomes = await requests.get_many([id])

        assert isinstance(outcomes[id].error, PermissionDeniedError)
        assert len(service.asked) == 1

    async def test_refused_credentials_are_raised(self, service: MemoryApi, requests: Requests) -> None:
        service.trouble = lambda _: refusal(401)

        with pytest.raises(AuthenticationError):
            await requests.get_many(service.add_many(10))

        assert (len(service.pages), len(service.gets)) == (1, 1)  # what refuses two in a row refuses all


class TestRateLimit:
    async def test_a_429_is_waited_out(self, service: MemoryApi, requests: Requests) -> None:
        service.trouble = fails(FULL, FULL)
        ids = service.add_many(150)

        outcomes = await requests.get_many(ids)

        assert all(outcome.request is not None for outcome in outcomes.values())
        assert 7 <= service.elapsed <= 8  # the page's pause and the GET's are one and the same

    async def test_429s_are_waited_out_more_often_than_failures(self, service: MemoryApi, requests: Requests) -> None:
        service.trouble = fails(*[FULL] * 6)
        id = service.add("a")

        outcomes = await requests.get_many([id])

        assert outcomes[id].request is not None
        assert len(service.asked) == 7
        assert all(later - earlier >= 7 for earlier, later in pairwise(service.gets))

    async def test_429s_without_end_are_the_outcome(self, service: MemoryApi, requests: Requests) -> None:
        service.trouble = lambda _: FULL
        id = service.add("a")

        outcomes = await requests.get_many([id])

        assert isinstance(outcomes[id].error, RateLimitError)
        assert service.elapsed < 120

    @pytest.mark.parametrize("count", [1, 3, 3000])
    async def test_a_retry_after_beyond_the_longest_is_the_outcome_at_once(
        self, service: MemoryApi, requests: Requests, count: int
    ) -> None:
        service.trouble = lambda _: refusal(429, Retry_After="3600")

        outcomes = await requests.get_many(service.add_many(count))

        for outcome in outcomes.values():
            assert isinstance(outcome.error, RateLimitError)
            assert outcome.error.retry_after == 3600
        # Where a page was refused first, one GET tells at once that the limit is not the list's alone.
        assert (service.elapsed, len(service.gets)) == (0, 1)
        assert len(service.pages) <= 1
