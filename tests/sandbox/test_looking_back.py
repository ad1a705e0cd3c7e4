import math
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from chamelaion_async.sandbox import Fault, ManualClock, Sandbox

GET = "GET /v1/lipsync/requests/{id}"


async def look(session: aiohttp.ClientSession, path: str, **query: str) -> None:
    async with session.get(path, params=query):
        pass


async def test_what_was_received_is_told_in_full(
    sandbox: Sandbox, session: aiohttp.ClientSession, clock: ManualClock
) -> None:
    clock.advance(5)
    await look(session, "v1/lipsync/requests", reference_id="dub 1", limit="3")

    (received,) = sandbox.received
    assert received.method == "GET"
    assert received.path == "/api/v1/lipsync/requests"
    assert received.route == "GET /v1/lipsync/requests"
    assert received.query == {"reference_id": "dub 1", "limit": "3"}
    assert received.headers["X-API-KEY"] == "any-key"
    assert received.at == clock.time()
    assert received.lane == "status"
    assert received.status == 200
    assert received.job_id is None
    assert received.faults == ()


async def test_a_generation_call_is_told_with_its_body_and_its_job(
    sandbox: Sandbox, session: aiohttp.ClientSession, lipsync_body: dict[str, Any]
) -> None:
    async with session.post("v1/lipsync/generate", json=lipsync_body) as response:
        id = (await response.json())["request_id"]

    (received,) = sandbox.received
    assert (received.body, received.job_id, received.lane) == (lipsync_body, id, "generate")


async def test_requests_are_counted_by_route_method_lane_and_status(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    await look(session, "v1/lipsync/requests/dub-episode-42")
    await look(session, "v1/lipsync/requests/dub-episode-43")
    await look(session, "v1/lipsync/requests/nobody")
    await look(session, "nowhere")
    async with session.post("v1/lipsync/generate"):
        pass

    assert sandbox.count() == 5
    assert sandbox.count(GET) == 3
    assert sandbox.count(GET, status=404) == 1
    assert sandbox.count(status=404) == 2
    assert sandbox.count(method="POST") == 1
    assert sandbox.count(lane="status") == 3
    assert sandbox.count(lane="generate", status=400) == 1


async def test_a_request_without_an_answer_is_counted_without_a_status(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    sandbox.inject(Fault.reset(), times=2)
    with pytest.raises(aiohttp.ClientError):
        await look(session, "health")

    assert {received.status for received in sandbox.received} == {None}
    assert sandbox.received[0].faults == ("reset",)
    assert sandbox.count() == len(sandbox.received)
    assert sandbox.count(status=200) == 0


async def test_counting_a_route_that_does_not_exist_is_a_mistake(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="no route"):
        sandbox.count("GET /v1/lipsync/request/{id}")


async def test_counts_go_on_where_the_memory_ends(serve: Any) -> None:
    sandbox, session = await serve(remember=2)
    for _ in range(5):
        await look(session, "health")

    assert len(sandbox.received) == 2
    assert sandbox.count() == 5
    sandbox.forget()
    assert (len(sandbox.received), sandbox.count()) == (0, 0)


class TestJobs:
    def test_a_job_can_be_added_without_http(self, clock: ManualClock) -> None:
        sandbox = Sandbox(clock=clock, job_seconds=100, queue_seconds=50)
        job = sandbox.add_job(id="ABCDEF00-0000-4000-8000-000000000000", reference_id="dub", job_seconds=10)

        assert sandbox.jobs == {"abcdef00-0000-4000-8000-000000000000": job}
        assert (job.queue_seconds, job.job_seconds) == (5, 10)

    @pytest.mark.parametrize(
        ("seconds", "status"), [(0, "queued"), (9, "queued"), (10, "processing"), (100, "completed")]
    )
    def test_a_job_may_have_begun_in_the_past(self, clock: ManualClock, seconds: float, status: str) -> None:
        sandbox = Sandbox(clock=clock, job_seconds=100)
        created_at = datetime.fromtimestamp(clock.time() - seconds, UTC)

        assert sandbox.status(sandbox.add_job(created_at=created_at).id) == status

    def test_a_job_ends_when_it_is_told_to(self, clock: ManualClock) -> None:
        sandbox = Sandbox(clock=clock, job_seconds=100)
        ids = [sandbox.add_job(reference_id=name).id for name in ("a", "b")]
        clock.advance(5)

        finished, failed = sandbox.finish("a"), sandbox.fail("b", "no face found")

        assert [sandbox.status(id) for id in ids] == ["completed", "failed"]
        assert finished.finished_at == failed.finished_at == clock.time()
        assert finished.started_at <= clock.time()
        assert failed.error_message == "no face found"

    def test_a_job_that_was_to_fail_can_be_finished(self, clock: ManualClock) -> None:
        sandbox = Sandbox(clock=clock)
        sandbox.add_job(reference_id="a", fails=True)

        sandbox.finish("a")

        assert sandbox.status("a") == "completed"

    def test_a_job_ends_once(self, clock: ManualClock) -> None:
        sandbox = Sandbox(clock=clock)
        job = sandbox.add_job()
        sandbox.finish(job.id)

        with pytest.raises(ValueError, match="has ended"):
            sandbox.fail(job.id)

    @pytest.mark.parametrize("id", ["nobody", "dub-episode-42"])
    def test_only_jobs_of_ones_own_can_be_ended(self, id: str) -> None:
        with pytest.raises(KeyError):
            Sandbox().finish(id)

    @pytest.mark.parametrize(
        "settings", [{"job_seconds": -1}, {"queue_seconds": -1}, {"job_seconds": 1, "queue_seconds": 2}]
    )
    def test_a_time_out_of_range_is_a_mistake(self, settings: dict[str, float]) -> None:
        with pytest.raises(ValueError, match="queue_seconds"):
            Sandbox().add_job(**settings)  # type: ignore[arg-type]

    def test_a_job_cannot_begin_in_the_future(self, clock: ManualClock) -> None:
        with pytest.raises(ValueError, match="future"):
            Sandbox(clock=clock).add_job(created_at=clock.time() + 1)

    def test_an_id_is_given_once(self) -> None:
        sandbox = Sandbox()
        job = sandbox.add_job()
        with pytest.raises(ValueError, match="already"):
            sandbox.add_job(family="lipsync", id=job.id.upper())

    async def test_ten_thousand_jobs_do_not_make_a_page_slow(
        self, sandbox: Sandbox, session: aiohttp.ClientSession, clock: ManualClock
    ) -> None:
        for number in range(10_000):
            sandbox.add_job(reference_id="batch", created_at=clock.time() - number)
        store = sandbox._world.stores["lipsync"]
        touched = 0

        class Watched(list):  # type: ignore[type-arg]
            def __getitem__(self, key: Any) -> Any:
                nonlocal touched
                found = super().__getitem__(key)
                touched += len(found)
                return found

            def __iter__(self) -> Any:
                raise AssertionError("the whole list was gone through")

        store._listed.jobs = Watched(store._listed.jobs)
        store._listed.by_reference["batch"] = Watched(store._listed.by_reference["batch"])
        for query in ({}, {"reference_id": "batch"}):
            async with session.get("v1/lipsync/requests", params={"offset": "5000", **query}) as response:
                assert len((await response.json())["data"]) == 20

        assert touched == 40

    def test_a_job_that_takes_for_ever_ends_by_hand(self, clock: ManualClock) -> None:
        assert Sandbox(clock=clock, job_seconds=math.inf).add_job(job_seconds=10).queue_seconds == 0
        sandbox = Sandbox(clock=clock, job_seconds=math.inf, queue_seconds=5)
        job = sandbox.add_job()
        assert sandbox.status(sandbox.add_job(job_seconds=0).id) == "completed"
        clock.advance(10**9)
        assert sandbox.status(job.id) == "processing"
        sandbox.finish(job.id)
        assert sandbox.status(job.id) == "completed"

    def test_a_naive_time_and_a_strange_family_are_mistakes(self) -> None:
        with pytest.raises(ValueError, match="time zone"):
            Sandbox().add_job(created_at=datetime(2026, 4, 7))  # noqa: DTZ001
        with pytest.raises(ValueError, match="family"):
            Sandbox().add_job(family="dubbing")  # type: ignore[arg-type]
