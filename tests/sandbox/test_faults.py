from __future__ import annotations

import asyncio
import contextlib
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from chamelaion_async.sandbox import Fault, Sandbox
from chamelaion_async.sandbox.endpoints.answers import Answer
from chamelaion_async.sandbox.front.responses import Severed, Streamed

from .calling import LIPSYNC, Caller, Serve, Until, port_of

ME = "v1/users/me"
WHOLE = b'{"name": "production-key"}'
GUIDE = Path(__file__).parents[2] / "docs" / "howto" / "sandbox.md"

# Every fault, and how many jobs a generation call has started once the fault was applied to it.
FAULTS: list[tuple[Fault, int]] = [
    (Fault.latency(60), 1),
    (Fault.latency(60, when="before"), 0),
    (Fault.rate_limited(), 0),
    (Fault.status(500), 0),
    (Fault.status(500, when="after"), 1),
    (Fault.body(b"<html>"), 0),
    (Fault.body(b"<html>", when="after"), 1),
    (Fault.redirect("/"), 0),
    (Fault.reset("before"), 0),
    (Fault.reset("after"), 1),
    (Fault.close("before"), 0),
    (Fault.close("after"), 1),
    (Fault.close("answered"), 1),
    (Fault.garbage(), 0),
    (Fault.garbage(when="after"), 1),
    (Fault.truncate(3), 1),
    (Fault.drip(0.0), 1),
    (Fault.hang(), 0),
    (Fault.hang(when="after"), 1),
]


@pytest.mark.virtual_time
@pytest.mark.parametrize(("fault", "jobs"), FAULTS, ids=[f"{fault.kind}-{fault.when}" for fault, _ in FAULTS])
async def test_a_job_is_started_only_if_the_fault_comes_after_the_endpoint(
    sandbox: Sandbox, call: Caller, fault: Fault, jobs: int
) -> None:
    sandbox.inject(fault)

    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(30):
            await call("POST v1/lipsync/generate", json=LIPSYNC)

    assert len(sandbox.jobs) == jobs
    assert sandbox.received[0].job_id == (next(iter(sandbox.jobs)) if jobs else None)
    assert sandbox.received[0].faults == (fault.kind,)


def made() -> set[str]:
    return {name for name, member in vars(Fault).items() if isinstance(member, staticmethod)}


def test_the_table_above_has_every_fault_under_the_name_of_its_method() -> None:
    assert {fault.kind for fault, _ in FAULTS} == made()


def test_the_table_in_the_guide_has_every_fault_and_no_other() -> None:
    rows = [line for line in GUIDE.read_text("utf-8").splitlines() if line.startswith("| `Fault.")]
    assert sorted(re.findall(r"Fault\.(\w+)\(", "".join(row.split("|")[1] for row in rows))) == sorted(made())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Fault.latency(-1),
        lambda: Fault.truncate(-1),
        lambda: Fault.drip(-1),
        lambda: Fault.drip(1, step=0),
        lambda: Fault.hang(when="sometime"),  # type: ignore[arg-type]
    ],
)
def test_a_fault_out_of_range_is_an_error(make: Any) -> None:
    with pytest.raises(ValueError, match=r"must be"):
        make()


def test_only_faults_can_be_injected() -> None:
    with pytest.raises(TypeError):
        Sandbox().inject("500")  # type: ignore[arg-type]


async def test_a_fault_is_applied_to_as_many_requests_as_it_says(sandbox: Sandbox, call: Caller) -> None:
    fault = sandbox.inject(Fault.status(500), times=2, after=1)

    assert [(await call(ME)).status for _ in range(5)] == [200, 500, 500, 200, 200]
    assert fault.hits == 2


async def test_a_fault_is_applied_until_it_is_removed(sandbox: Sandbox, call: Caller) -> None:
    fault = sandbox.inject(Fault.status(500))
    assert [(await call(ME)).status for _ in range(3)] == [500, 500, 500]

    fault.remove()

    assert (await call(ME)).status == 200
    assert fault.hits == 3


async def test_all_faults_can_be_removed_at_once(sandbox: Sandbox, call: Caller) -> None:
    fault = sandbox.inject(Fault.status(500))
    sandbox.inject(Fault.status(502))

    sandbox.clear_faults()

    assert (await call(ME)).status == 200
    assert fault.is_spent


CALLS = {
    "one": "GET v1/lipsync/requests/dub-episode-42",
    "two": "GET v1/lipsync/requests/dub-episode-43",
    "list": "GET v1/lipsync/requests",
    "post": "POST v1/lipsync/generate",
    "download": "GET output/6f82a2d8.mp4",
    "nowhere": "GET nowhere",
}


@pytest.mark.parametrize(
    ("route", "hit"),
    [
        ("*", {*CALLS}),
        ("GET *", {*CALLS} - {"post"}),
        ("POST *", {"post"}),
        ("GET /v1/lipsync/requests/{id}", {"one", "two"}),
        ("/v1/lipsync/requests/{id}", {"one", "two"}),
        ("/v1/lipsync/requests/dub-episode-42", {"one"}),
        ("GET /v1/lipsync/requests/dub-episode-42", {"one"}),
        ("GET /v1/lipsync/requests", {"list"}),
        ("/v1/lipsync/generate", {"post"}),
        ("GET /output/{name:path}", {"download"}),
    ],
)
async def test_a_fault_is_applied_only_to_its_route(
    sandbox: Sandbox, call: Caller, route: str, hit: set[str]
) -> None:
    sandbox.inject(Fault.status(503), route=route)

    assert {name for name, target in CALLS.items() if (await call(target)).status == 503} == hit


@pytest.mark.parametrize(
    "route", ["", "GET", "/v2/x", "FETCH *", "POST /v1/users/me", "DELETE /v1/lipsync/requests/x", "v1/users/me"]
)
async def test_a_route_that_does_not_exist_is_an_error(sandbox: Sandbox, route: str) -> None:
    with pytest.raises(ValueError, match="nothing is served"):
        sandbox.inject(Fault.status(500), route=route)


@pytest.mark.parametrize("settings", [{"times": -1}, {"after": -1}, {"probability": 1.1}, {"probability": -0.1}])
async def test_a_number_out_of_range_is_an_error(sandbox: Sandbox, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        sandbox.inject(Fault.hang(), **settings)


async def test_the_same_seed_gives_the_same_faults(serve: Serve) -> None:
    outcomes = []
    for _ in range(2):
        sandbox, call = await serve(seed=7)
        sandbox.inject(Fault.status(500), probability=0.5)
        outcomes.append([(await call(ME)).status for _ in range(40)])

    assert outcomes[0] == outcomes[1]
    assert set(outcomes[0]) == {200, 500}


async def test_latencies_add_up_before_the_first_other_fault(sandbox: Sandbox, call: Caller) -> None:
    sandbox.inject(Fault.latency(0))
    first = sandbox.inject(Fault.status(500), times=1)
    second = sandbox.inject(Fault.status(502), times=1)

    assert [(await call(ME)).status for _ in range(3)] == [500, 502, 200]
    assert (first.hits, second.hits) == (1, 1)
    assert [each.faults for each in sandbox.received] == [("latency", "status"), ("latency", "status"), ("latency",)]


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        (Fault.status(500), 500, {"error": "internal error"}),
        (Fault.status(503), 503, {"error": "service unavailable"}),
        (Fault.status(599), 599, {"error": "error"}),
        (Fault.status(412), 412, {"error": "token limit reached"}),
        (Fault.status(500, "out of order"), 500, {"error": "out of order"}),
        (Fault.status(500, {"detail": [1]}), 500, {"detail": [1]}),
        (Fault.status(500, b'"raw"'), 500, "raw"),
        (Fault.rate_limited(), 429, {"error": "rate limit exceeded"}),
    ],
)
async def test_a_status_has_the_documented_body_or_the_given_one(
    sandbox: Sandbox, call: Caller, fault: Fault, status: int, body: object
) -> None:
    sandbox.inject(fault)

    assert (await call(ME)).answer == (status, body)


@pytest.mark.parametrize(
    ("fault", "name", "value"),
    [
        (Fault.status(503, headers={"Retry-After": "9"}), "Retry-After", "9"),
        (Fault.rate_limited(), "Retry-After", None),
        (Fault.rate_limited(2), "Retry-After", "2"),
        (Fault.rate_limited("nonsense"), "Retry-After", "nonsense"),
        (Fault.redirect("http://elsewhere.example/", 308), "Location", "http://elsewhere.example/"),
        (Fault.body(b"", content_type="text/html"), "Content-Type", "text/html"),
        (Fault.body(b"x", content_type=None), "Content-Type", "application/octet-stream"),
        (Fault.body(b"", headers={"X-Proxy": "yes"}), "X-Proxy", "yes"),
    ],
)
async def test_a_fault_sends_the_given_headers(
    sandbox: Sandbox, call: Caller, fault: Fault, name: str, value: str | None
) -> None:
    sandbox.inject(fault)

    assert (await call(ME)).headers.get(name) == value


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        (Fault.body(b"<html>\xff"), 200, b"<html>\xff"),
        (Fault.body(b"", status=202), 202, b""),
        (Fault.redirect("/", 308), 308, b""),
    ],
)
async def test_a_body_is_sent_as_it_was_given(
    sandbox: Sandbox, call: Caller, fault: Fault, status: int, body: bytes
) -> None:
    sandbox.inject(fault)

    reply = await call(ME)
    assert (reply.status, reply.body) == (status, body)


async def raw(sandbox: Sandbox) -> tuple[bytes, bool]:
    """Return what a bare connection receives, and whether it ends with a reset."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(sandbox))
    writer.write(b"GET /v1/users/me HTTP/1.1\r\nHost: x\r\nx-api-key: k\r\n\r\n")
    data, is_reset = bytearray(), False
    try:
        while piece := await reader.read(65536):
            data += piece
    except ConnectionResetError:
        is_reset = True
    writer.close()
    return bytes(data), is_reset


@pytest.mark.parametrize(
    ("fault", "received"),
    [
        (Fault.reset(), (b"", True)),
        (Fault.close(), (b"", False)),
        (Fault.garbage(b"hello"), (b"hello", False)),
    ],
)
async def test_a_connection_ends_as_the_fault_says(
    sandbox: Sandbox, fault: Fault, received: tuple[bytes, bool]
) -> None:
    sandbox.inject(fault)

    assert await raw(sandbox) == received


async def test_garbage_is_no_http(sandbox: Sandbox, call: Caller) -> None:
    sandbox.inject(Fault.garbage())

    with pytest.raises(aiohttp.ClientResponseError):
        await call(ME)


@pytest.mark.parametrize("size", [0, 5, 10_000])
async def test_a_truncated_answer_is_shorter_than_its_content_length(
    sandbox: Sandbox, call: Caller, size: int
) -> None:
    sandbox.inject(Fault.truncate(size))

    data, _ = await raw(sandbox)

    head, _, body = data.partition(b"\r\n\r\n")
    assert body == WHOLE[:size]
    assert f"Content-Length: {max(len(WHOLE), size + 1)}".encode() in head
    with pytest.raises(aiohttp.ClientPayloadError):
        await call(ME)


async def test_a_dripping_answer_arrives_whole_in_small_pieces(sandbox: Sandbox, call: Caller) -> None:
    sandbox.inject(Fault.drip(0.0005, step=5))

    async with call.session.get(ME) as response:
        pieces = [piece async for piece in response.content.iter_any()]

    assert json.loads(b"".join(pieces)) == json.loads(WHOLE)
    assert len(pieces) > 1


async def test_a_connection_can_be_closed_right_after_its_answer(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.close("answered"))

    data, is_reset = await raw(sandbox)

    assert data.endswith(WHOLE)
    assert b"Connection: close" not in data
    assert not is_reset


async def test_a_hanging_handler_ends_when_its_client_leaves(sandbox: Sandbox, call: Caller, until: Until) -> None:
    sandbox.inject(Fault.hang())
    calling = asyncio.create_task(call(ME))
    await until(lambda: sandbox.received)
    (handler,) = sandbox._pipeline.tasks

    calling.cancel()

    with pytest.raises(asyncio.CancelledError):
        await handler
    assert sandbox.received[0].status is None


@pytest.mark.virtual_time
async def test_latency_delays_the_answer(sandbox: Sandbox, call: Caller) -> None:
    sandbox.inject(Fault.latency(5))
    start = asyncio.get_running_loop().time()

    assert (await call(ME)).status == 200

    assert asyncio.get_running_loop().time() - start >= 5


@pytest.mark.parametrize("broken", [Severed(reset=True), Streamed(Answer(body=b"body"), now=0, cut=2)])
async def test_a_fault_for_a_client_that_has_left_ends_like_a_lost_connection(broken: web.StreamResponse) -> None:
    async def send() -> None:
        request = make_mocked_request("GET", "/")
        request.protocol.transport = None
        await broken.prepare(request)
        await broken.write_eof()

    with pytest.raises(ConnectionResetError):
        await send()
