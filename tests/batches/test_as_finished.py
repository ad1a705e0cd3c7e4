"""Many requests to their end: which ids, in which order, and what becomes of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from chamelaion_async import (
    AsyncClient,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    PollPolicy,
    RequestFailedError,
    WaitUnreachableError,
)
from tests.support.api import FamilyName, MemoryApi, Requests, each, outcomes_of, refusal, requests_of, uuid

pytestmark = pytest.mark.virtual_time

BRIEF = PollPolicy(max_interval=1.0, outage_budget=30.0)
LIPSYNC = pytest.mark.parametrize("family", ["lipsync"], indirect=True)


class TestOrder:
    async def test_each_comes_out_once_when_it_has_finished(self, service: MemoryApi, requests: Requests) -> None:
        ids = {service.add(name, finishes=end): name for name, end in {"c": 30, "a": 2, "b": 10}.items()}

        came = [(ids[outcome.id], service.elapsed) async for outcome in requests.as_finished(ids)]

        assert came == [("a", 2), ("b", 10), ("c", 30)]

    async def test_what_has_finished_already_comes_out_at_once(self, service: MemoryApi, requests: Requests) -> None:
        ids = [service.add(name, finishes=-1) for name in "ab"]

        outcomes = [outcome async for outcome in requests.as_finished(ids)]

        assert {outcome.unwrap().id for outcome in outcomes} == set(ids)
        assert (service.elapsed, len(service.asked)) == (0, 1)

    async def test_an_hour_of_waiting_drops_nothing(self, service: MemoryApi, requests: Requests) -> None:
        ends = {service.add(f"job-{minute}", finishes=60 * minute): 60 * minute for minute in range(60)}
        policy = PollPolicy(min_interval=10.0, max_interval=10.0)

        late = [service.elapsed - ends[outcome.id] async for outcome in requests.as_finished(ends, polling=policy)]

        assert len(late) == 60
        assert 0 <= min(late) <= max(late) <= 10

    async def test_wait_all_and_get_many_answer_in_the_order_of_the_ids(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        ids = [service.add(name, finishes=end) for name, end in {"c": 9, "a": 1, "b": 5}.items()]
        ids[1:1] = ["", uuid("missing")]

        assert list(await requests.wait_all(ids)) == ids
        assert list(await requests.get_many(ids)) == ids


class TestIds:
    @pytest.mark.parametrize(
        "give",
        [list, tuple, set, frozenset, iter, dict.fromkeys, lambda ids: dict.fromkeys(ids).keys()],
        ids=["list", "tuple", "set", "frozenset", "iterator", "dict", "keys"],
    )
    async def test_ids_come_from_any_iterable(
        self, service: MemoryApi, requests: Requests, give: Callable[[list[str]], Iterable[str]]
    ) -> None:
        ids = [service.add(name, finishes=-1) for name in "abc"]

        came = [outcome.id async for outcome in requests.as_finished(give(ids))]

        assert sorted(came) == sorted(ids)

    async def test_a_generator_is_read_once(self, service: MemoryApi, requests: Requests) -> None:
        ids = (service.add(name, finishes=-1) for name in "abc")

        assert len(await requests.wait_all(ids)) == 3

    async def test_an_id_that_comes_twice_counts_once(self, service: MemoryApi, requests: Requests) -> None:
        a, b = service.add("a", finishes=1), service.add("b", finishes=2)

        came = [outcome.id async for outcome in requests.as_finished([a, b, a, a, b])]

        assert came == [a, b]

    @pytest.mark.parametrize("call", ["as_finished", "wait_all", "get_many"])
    async def test_no_ids_end_at_once_without_a_request(
        self, service: MemoryApi, requests: Requests, call: str
    ) -> None:
        assert await outcomes_of(requests, call, []) == []
        assert (service.elapsed, service.asked) == (0, [])

    @pytest.mark.parametrize("call", ["as_finished", "wait_all", "get_many"])
    @pytest.mark.parametrize(
        "bad", ["", ".", "..", "\ud800", "x" * 513], ids=["empty", "dot", "dots", "lone", "long"]
    )
    async def test_an_impossible_id_is_refused_on_its_own(
        self, service: MemoryApi, requests: Requests, call: str, bad: str
    ) -> None:
        good = service.add("good", finishes=-1)

        outcomes = {outcome.id: outcome for outcome in await outcomes_of(requests, call, [bad, good])}

        assert isinstance(outcomes[bad].error, ConfigurationError)
        assert outcomes[good].unwrap().is_completed
        assert [asked.id for asked in service.asked] == [good]

    @pytest.mark.parametrize("call", ["as_finished", "wait_all", "get_many"])
    @pytest.mark.parametrize(
        "bad",
        [uuid("a"), b"bytes", None, 5, [uuid("a"), None], [["nested"]], [b"bytes"]],
        ids=["string", "bytes", "none", "number", "with-none", "nested", "of-bytes"],
    )
    async def test_ids_that_are_no_iterable_of_strings_are_refused_before_anything_is_sent(
        self, service: MemoryApi, requests: Requests, call: str, bad: Any
    ) -> None:
        with pytest.raises(ConfigurationError):
            await outcomes_of(requests, call, bad)

        assert service.asked == []

    async def test_as_finished_refuses_before_it_is_iterated(self, requests: Requests) -> None:
        with pytest.raises(ConfigurationError, match="single string"):
            requests.as_finished("dub-42")

    @LIPSYNC
    async def test_a_reference_comes_out_as_it_was_given(self, service: MemoryApi, requests: Requests) -> None:
        id = service.add("a", finishes=3, reference="dub-42")

        outcomes = await requests.wait_all(["dub-42"])

        assert outcomes["dub-42"].id == "dub-42"
        assert outcomes["dub-42"].unwrap().id == id

    @LIPSYNC
    async def test_two_names_of_one_request_both_come_out(self, service: MemoryApi, requests: Requests) -> None:
        id = service.add("a", finishes=3, reference="dub-42")

        outcomes = await requests.wait_all([id, "dub-42"])

        assert [outcome.unwrap().id for outcome in outcomes.values()] == [id, id]
        assert service.elapsed == 3


class TestOutcomes:
    async def test_a_failed_job_is_a_result(self, service: MemoryApi, requests: Requests) -> None:
        id = service.add("a", finishes=2, as_="failed")

        (outcome,) = (await requests.wait_all([id])).values()

        assert outcome.error is None
        with pytest.raises(RequestFailedError):
            outcome.unwrap().raise_for_failure()

    async def test_an_id_that_is_not_known_is_given_its_grace(self, service: MemoryApi, requests: Requests) -> None:
        known, missing = service.add("a", finishes=20), uuid("missing")

        came = {
            outcome.id: (outcome.error, service.elapsed) async for outcome in requests.as_finished([known, missing])
        }

        assert isinstance(came[missing][0], NotFoundError)
        assert (came[missing][1], came[known]) == (5, (None, 20))

    async def test_a_job_that_appears_within_the_grace_is_followed(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        id = service.add("late", finishes=10)
        service.trouble = lambda asked: refusal(404) if asked.at < 3 else None

        outcomes = await requests.wait_all([id])

        assert outcomes[id].unwrap().is_completed

    async def test_a_refusal_is_the_outcome_of_that_id_alone(self, service: MemoryApi, requests: Requests) -> None:
        good, barred = service.add("good", finishes=5), uuid("barred")
        service.trouble = lambda asked: refusal(403) if asked.id == barred else None

        outcomes = await requests.wait_all([good, barred])

        assert isinstance(outcomes[barred].error, PermissionDeniedError)
        assert outcomes[good].unwrap().is_completed

    async def test_an_outage_beyond_the_budget_is_the_outcome_of_all(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        ids = service.add_many(150)
        service.trouble = lambda asked: refusal(503) if asked.at > 10 else None

        came = [(outcome, service.elapsed) async for outcome in requests.as_finished(ids, polling=BRIEF)]

        assert len(came) == 150
        for outcome, elapsed in came:
            error = outcome.error
            assert isinstance(error, WaitUnreachableError)
            assert isinstance(error.__cause__, InternalServerError)
            assert error.last is not None
            assert 30 <= elapsed <= 41 + 1

    async def test_an_outage_within_the_budget_is_ridden_out(self, service: MemoryApi, requests: Requests) -> None:
        ids = service.add_many(150, finishes=20)
        service.trouble = lambda asked: refusal(503) if 10 < asked.at < 35 else None

        outcomes = await requests.wait_all(ids, polling=BRIEF)

        assert all(outcome.unwrap().is_completed for outcome in outcomes.values())
        assert service.elapsed < 41


class TestErrorsOfAll:
    async def test_refused_credentials_end_the_iteration(self, service: MemoryApi, requests: Requests) -> None:
        service.trouble = lambda _: refusal(401, "invalid token")

        with pytest.raises(AuthenticationError, match="invalid token"):
            await requests.wait_all(service.add_many(1200))

        assert service.elapsed == 0
        # The second refusal in a row ends all; GETs that were sent beside it are refused as well.
        assert len(service.pages) == 1
        assert 1 <= len(service.gets) <= 3

    async def test_earlier_outcomes_come_before_an_error_of_all(self, service: MemoryApi, requests: Requests) -> None:
        first, second, open_ = (service.add(name, finishes=end) for name, end in {"a": 1, "b": 2, "c": 60}.items())
        service.trouble = lambda asked: refusal(401) if asked.at > 3 else None
        came: list[str] = []

        async def consume() -> None:
            async for outcome in requests.as_finished([first, second, open_]):
                came.append(outcome.id)
                await service.until(10)

        with pytest.raises(AuthenticationError):
            await consume()
        assert came == [first, second]

    @LIPSYNC
    async def test_outcomes_of_the_same_turn_come_before_an_error_of_all(
        self, service: MemoryApi, requests: Requests
    ) -> None:
        for name in ("dub-1", "dub-2"):
            service.add(name, reference=name, finishes=-1)
        await requests.get_many(["dub-1", "dub-2"])  # from now on both are read at once
        service.trouble = lambda asked: refusal(401) if asked.id == "dub-2" else None
        came: list[str] = []

        with pytest.raises(AuthenticationError):
            await each(requests.as_finished(["dub-1", "dub-2"]), lambda outcome: came.append(outcome.id))

        assert came == ["dub-1"]

    async def test_without_credentials_nothing_is_sent(self, family: FamilyName, service: MemoryApi) -> None:
        async with AsyncClient(base_url="https://api.example.com/api") as client:
            for call in ("as_finished", "wait_all", "get_many"):
                with pytest.raises(ConfigurationError, match="CHAMELAION_API_KEY"):
                    await outcomes_of(requests_of(client, family), call, [uuid("a"), uuid("b")])

        assert service.asked == []

    @pytest.mark.parametrize("count", [2, 1200])
    async def test_a_closed_client_is_an_error_of_all(
        self, service: MemoryApi, client: AsyncClient, requests: Requests, count: int
    ) -> None:
        await client.aclose()

        with pytest.raises(ClientClosedError):
            await requests.wait_all(service.add_many(count))
