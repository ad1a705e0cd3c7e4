from __future__ import annotations

import aiohttp
import pytest

from chamelaion_async.sandbox import Fault, ManualClock, Sandbox

from .calling import LIPSYNC, Caller, Serve

GET = "GET /v1/lipsync/requests/{id}"


async def test_a_request_is_recorded_in_full(sandbox: Sandbox, call: Caller, clock: ManualClock) -> None:
    clock.advance(5)
    await call("v1/lipsync/requests", params={"reference_id": "dub 1", "limit": "3"})

    (received,) = sandbox.received
    assert (received.method, received.path) == ("GET", "/api/v1/lipsync/requests")
    assert (received.route, received.lane) == ("GET /v1/lipsync/requests", "status")
    assert received.query == {"reference_id": "dub 1", "limit": "3"}
    assert received.headers["X-API-KEY"] == "any-key"
    assert (received.at, received.status) == (clock.time(), 200)
    assert (received.job_id, received.faults) == (None, ())


async def test_a_generation_call_is_recorded_with_its_body_and_its_job(sandbox: Sandbox, call: Caller) -> None:
    id = await call.id_of("v1/lipsync/generate", json=LIPSYNC)

    (received,) = sandbox.received
    assert (received.body, received.job_id, received.lane) == (LIPSYNC, id, "generate")


async def test_requests_are_counted_by_route_method_lane_and_status(sandbox: Sandbox, call: Caller) -> None:
    for id in ("dub-episode-42", "dub-episode-43", "nobody"):
        await call(f"v1/lipsync/requests/{id}")
    await call("nowhere")
    await call("POST v1/lipsync/generate")

    assert sandbox.count() == 5
    assert sandbox.count(GET) == 3
    assert sandbox.count(GET, status=404) == 1
    assert sandbox.count(status=404) == 2
    assert sandbox.count(method="POST") == 1
    assert sandbox.count(lane="status") == 3
    assert sandbox.count(lane="generate", status=400) == 1


async def test_a_request_without_an_answer_is_counted_without_a_status(sandbox: Sandbox, call: Caller) -> None:
    sandbox.inject(Fault.reset(), times=2)
    with pytest.raises(aiohttp.ClientError):
        await call("health")

    assert {received.status for received in sandbox.received} == {None}
    assert sandbox.count() == len(sandbox.received)
    assert sandbox.count(status=200) == 0


async def test_a_count_of_a_route_that_does_not_exist_is_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="no route"):
        sandbox.count("GET /v1/lipsync/request/{id}")


async def test_counts_include_requests_that_are_no_longer_kept(serve: Serve) -> None:
    sandbox, call = await serve(remember=2)
    for _ in range(5):
        await call("health")

    assert (len(sandbox.received), sandbox.count()) == (2, 5)
    sandbox.forget()
    assert (len(sandbox.received), sandbox.count()) == (0, 0)
