"""Clients learn how long jobs take from all that they read, and poll where the end is likely."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import attrs
import pytest

from chamelaion_async import (
    AsyncClient,
    ConfigurationError,
    Pace,
    PollPolicy,
    VideoTranslateRequest,
    WaitTimeoutError,
)
from tests.support.api import EPOCH, Response, answering, now, page_body, uuid

pytestmark = pytest.mark.virtual_time

LIST = "/api/v1/lipsync/requests"
TOOK = 85.0


@attrs.define
class LipsyncApi:
    """Lip sync jobs that take a constant time each, with the times and the ``Date`` that the API sends."""

    began: float = attrs.field(factory=now)
    created: dict[str, float] = attrs.field(factory=dict)
    asked: list[tuple[float, str]] = attrs.field(factory=list)

    def add(self, name: str, ago: float = 0.0) -> str:
        id = uuid(name)
        self.created[id] = now() - self.began - ago
        return id

    def add_finished(self, count: int) -> list[str]:
        return [self.add(f"old {number}", ago=1000.0 + number) for number in range(count)]

    @property
    def pages(self) -> int:
        return sum(path == LIST for _, path in self.asked)

    @property
    def gets(self) -> list[float]:
        return [at for at, path in self.asked if path != LIST]

    def record(self, id: str) -> dict[str, Any]:
        age, created_at = now() - self.began - self.created[id], EPOCH + timedelta(seconds=self.created[id])
        record = {"id": id, "status": "processing", "created_at": created_at.isoformat()}
        record["started_at"] = record["created_at"]
        if age >= TOOK:
            finished_at = (created_at + timedelta(seconds=TOOK)).isoformat()
            record |= {
                "status": "completed",
                "finished_at": finished_at,
                "output_url": "https://cdn.example.com/a.mp4",
            }
        return record

    async def request(self, method: str, url: Any, **_: Any) -> Response:
        self.asked.append((now() - self.began, url.path))
        await asyncio.sleep(0.05)
        headers = {"Date": format_datetime(EPOCH + timedelta(seconds=now() - self.began), usegmt=True)}
        if url.path == LIST:
            limit, offset = int(url.query.get("limit", 20)), int(url.query.get("offset", 0))
            ids = sorted(self.created, key=self.created.__getitem__, reverse=True)
            shown = [json.dumps(self.record(id)).encode() for id in ids[offset : offset + limit]]
            return Response(200, headers, page_body(shown, limit=limit, offset=offset, total=len(ids)))
        return Response(200, headers, json.dumps(self.record(url.path.rpartition("/")[2])).encode())


@pytest.fixture
async def api() -> AsyncIterator[LipsyncApi]:
    made = LipsyncApi()
    with answering(made.request):
        yield made


def client(**options: Any) -> AsyncClient:
    return AsyncClient("sk-test-key", base_url="https://api.example.com/api", **options)


async def wait_for_new_job(api: LipsyncApi, made: AsyncClient, name: str = "new") -> tuple[float, int]:
    """Return how late the end of a new job is known, and how many GETs that took."""
    id, gets = api.add(name), len(api.gets)
    begun = now()
    await made.wait_until_finished(id)
    return now() - begun - TOOK, len(api.gets) - gets


async def test_a_wait_after_others_knows_of_the_end_sooner_with_fewer_polls(api: LipsyncApi) -> None:
    async with client() as made:
        _, gets_at_first = await wait_for_new_job(api, made)
        for number in range(40):
            await made.lipsync.requests.get(api.add(f"old {number}", ago=1000.0))
        late, gets = await wait_for_new_job(api, made, "newest")
    assert late < 1.2
    assert gets < gets_at_first / 2


async def test_without_learning_a_job_is_polled_by_its_age(api: LipsyncApi) -> None:
    async with client(polling=PollPolicy(learn=False, jitter=0.0)) as made:
        first = await wait_for_new_job(api, made)
        for id in api.add_finished(40):
            await made.lipsync.requests.get(id)
        assert await wait_for_new_job(api, made, "newest") == pytest.approx(first, rel=0.01)
        assert len(made.durations) > 40


async def test_lists_teach_too(api: LipsyncApi) -> None:
    api.add_finished(60)
    async with client() as made:
        await made.lipsync.requests.list(limit=50)
        assert len(made.durations) == 50
        _ = [request async for request in made.lipsync.requests.iterate()]
        assert len(made.durations) == 60


async def test_pages_of_waits_teach_about_jobs_that_nothing_waits_for(api: LipsyncApi) -> None:
    api.add_finished(60)
    async with client() as made:
        await made.lipsync.requests.wait_all([api.add("a"), api.add("b")])
        assert len(made.durations) == 62


async def test_views_and_clients_with_the_same_durations_know_the_same(api: LipsyncApi) -> None:
    api.add_finished(40)
    async with client() as made:
        await made.with_options(timeout=5).lipsync.requests.list(limit=50)
        text = made.durations.dump()
        async with client(durations=made.durations) as other, client(durations=text) as next_process:
            assert other.durations is made.durations
            assert len(next_process.durations) == 40
            late, gets = await wait_for_new_job(api, next_process)
    assert (late < 1.2, gets < 20) == (True, True)


async def test_a_primed_wait_reads_one_page_and_knows_at_once(api: LipsyncApi) -> None:
    api.add_finished(60)
    async with client(polling=PollPolicy(prime=True)) as made:
        late, gets = await wait_for_new_job(api, made)
        assert (api.pages, late < 1.2, gets < 20) == (1, True, True)
        await wait_for_new_job(api, made, "newest")
        assert api.pages == 1


async def test_two_primed_waits_read_one_page_while_another_is_under_way(api: LipsyncApi) -> None:
    """Nothing is known yet of how long a page takes, so only one may be under way."""
    api.add_finished(60)
    async with client(polling=PollPolicy(prime=True)) as made, asyncio.timeout(200):
        await asyncio.gather(*(made.wait_until_finished(api.add(name)) for name in ("a", "b")))
        assert len(made.durations) == 62


async def test_the_page_of_a_primed_wait_comes_after_its_own_poll(api: LipsyncApi) -> None:
    api.add_finished(60)
    async with client(polling=PollPolicy(prime=True)) as made:
        await wait_for_new_job(api, made)
    assert [path == LIST for _, path in api.asked[:2]] == [False, True]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"pace": Pace(max_rate=50), "polling": PollPolicy(prime=True)}, id="a rate is set"),
        pytest.param({"polling": PollPolicy(prime=True, learn=False)}, id="nothing is learned"),
        pytest.param({"polling": PollPolicy()}, id="not asked for"),
    ],
)
async def test_no_page_is_read_to_prime_where(api: LipsyncApi, options: dict[str, Any]) -> None:
    api.add_finished(60)
    async with client(**options) as made:
        await wait_for_new_job(api, made)
    assert api.pages == 0


async def test_no_page_is_read_to_prime_by_a_wait_that_polls_once(api: LipsyncApi) -> None:
    api.add_finished(60)
    async with client(polling=PollPolicy(prime=True)) as made:
        requests, id = made.lipsync.requests, api.add("new")
        with pytest.raises(WaitTimeoutError):
            await requests.wait_until_finished(id, timeout=0)
        await requests.wait_all([id], timeout=0)
        assert api.pages == 0


async def test_a_wait_that_is_cancelled_while_it_primes_leaves_nothing(api: LipsyncApi) -> None:
    async with client(polling=PollPolicy(prime=True)) as made:
        waiting = asyncio.create_task(made.wait_until_finished(api.add("new")))
        await asyncio.sleep(0.06)
        assert api.pages == 1
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()


async def test_a_wait_strategy_replaces_the_learned_intervals(api: LipsyncApi) -> None:
    api.add_finished(60)
    async with client(polling=PollPolicy(wait=lambda _: 20.0)) as made:
        await made.lipsync.requests.list(limit=60)
        _, gets = await wait_for_new_job(api, made)
    assert gets == 6


async def test_a_forecast_counts_down_to_the_end(api: LipsyncApi) -> None:
    api.add_finished(60)
    async with client() as made:
        requests = made.lipsync.requests
        running = await requests.get(api.add("new"))
        assert not requests.forecast(running)
        await requests.list(limit=60)
        at_first = requests.forecast(await requests.get(running.id))
        await asyncio.sleep(60)
        later = requests.forecast(await requests.get(running.id))
        assert at_first.remaining == pytest.approx(TOOK, abs=2)
        assert later.remaining == pytest.approx(TOOK - 60, abs=2)
        await asyncio.sleep(30)
        assert requests.forecast(await requests.get(running.id)).remaining == 0


async def test_a_forecast_is_for_requests_of_its_family(api: LipsyncApi) -> None:
    async with client() as made:
        request = await made.lipsync.requests.get(api.add("new"))
        with pytest.raises(ConfigurationError, match=f"takes a {VideoTranslateRequest.__name__}"):
            made.video_translate.requests.forecast(request)  # type: ignore[arg-type] # what is tested


async def test_times_that_make_no_sense_never_end_a_wait(api: LipsyncApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record without an end in time, and one that ends before it began, are polled like any other."""
    records = LipsyncApi.record

    def odd(self: LipsyncApi, id: str) -> dict[str, Any]:
        record = records(self, id)
        if record["status"] == "completed":
            record["finished_at"] = "0001-01-01T00:00:00Z"
        return record

    monkeypatch.setattr(LipsyncApi, "record", odd)
    api.add_finished(60)
    async with client() as made:
        await made.lipsync.requests.list(limit=60)
        late, _ = await wait_for_new_job(api, made)
        assert late < 10
        assert len(made.durations) == 0
