import asyncio
import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from chamelaion_async.sandbox import Fault, Sandbox
from chamelaion_async.sandbox.endpoints.answers import Answer
from chamelaion_async.sandbox.front.responses import Severed, Streamed

ME = "v1/users/me"
GENERATE = "v1/lipsync/generate"


async def look(session: aiohttp.ClientSession, path: str = ME) -> int:
    async with session.get(path, allow_redirects=False) as response:
        await response.read()
        return response.status


async def raw(sandbox: Sandbox, path: str = "/v1/users/me") -> tuple[bytes, bool]:
    """Return what comes back on a bare connection, and whether it ended with a reset."""
    port = int(sandbox.base_url.rsplit(":", 1)[1].removesuffix("/api"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nx-api-key: k\r\n\r\n".encode())
    data, is_reset = bytearray(), False
    try:
        while piece := await reader.read(65536):
            data += piece
    except ConnectionResetError:
        is_reset = True
    writer.close()
    return bytes(data), is_reset


class TestWhen:
    async def test_a_fault_strikes_as_often_as_it_was_told_to(
        self, sandbox: Sandbox, session: aiohttp.ClientSession
    ) -> None:
        fault = sandbox.inject(Fault.status(500), times=2, after=1)

        assert [await look(session) for _ in range(5)] == [200, 500, 500, 200, 200]
        assert fault.hits == 2

    async def test_a_fault_strikes_for_ever_until_it_is_removed(
        self, sandbox: Sandbox, session: aiohttp.ClientSession
    ) -> None:
        fault = sandbox.inject(Fault.status(500))
        assert [await look(session) for _ in range(3)] == [500, 500, 500]

        fault.remove()

        assert await look(session) == 200
        assert fault.hits == 3

    async def test_all_faults_can_be_removed_at_once(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        fault = sandbox.inject(Fault.status(500))
        sandbox.inject(Fault.status(502))

        sandbox.clear_faults()

        assert await look(session) == 200
        assert fault.is_spent

    @pytest.mark.parametrize(
        ("route", "struck"),
        [
            ("*", {"one", "two", "list", "post"}),
            ("GET *", {"one", "two", "list"}),
            ("POST *", {"post"}),
            ("GET /v1/lipsync/requests/{id}", {"one", "two"}),
            ("/v1/lipsync/requests/{id}", {"one", "two"}),
            ("/v1/lipsync/requests/dub-episode-42", {"one"}),
            ("GET /v1/lipsync/requests/dub-episode-42", {"one"}),
            ("GET /v1/lipsync/requests", {"list"}),
            ("/v1/lipsync/generate", {"post"}),
        ],
    )
    async def test_a_fault_strikes_only_its_route(
        self, sandbox: Sandbox, session: aiohttp.ClientSession, route: str, struck: set[str]
    ) -> None:
        sandbox.inject(Fault.status(503), route=route)
        calls = {
            "one": ("GET", "v1/lipsync/requests/dub-episode-42"),
            "two": ("GET", "v1/lipsync/requests/dub-episode-43"),
            "list": ("GET", "v1/lipsync/requests"),
            "post": ("POST", "v1/lipsync/generate"),
        }
        seen = set()
        for name, (method, path) in calls.items():
            async with session.request(method, path) as response:
                if response.status == 503:
                    seen.add(name)

        assert seen == struck

    @pytest.mark.parametrize(
        "route",
        ["", "GET", "/v2/x", "FETCH *", "POST /v1/users/me", "DELETE /v1/lipsync/requests/x", "v1/users/me"],
    )
    async def test_a_route_that_does_not_exist_is_a_mistake(self, sandbox: Sandbox, route: str) -> None:
        with pytest.raises(ValueError, match="nothing is served"):
            sandbox.inject(Fault.status(500), route=route)

    @pytest.mark.parametrize("settings", [{"times": -1}, {"after": -1}, {"probability": 1.1}, {"probability": -0.1}])
    async def test_a_number_out_of_range_is_a_mistake(self, sandbox: Sandbox, settings: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=next(iter(settings))):
            sandbox.inject(Fault.hang(), **settings)

    async def test_chance_is_the_same_for_the_same_seed(self, serve: Any) -> None:
        outcomes = []
        for _ in range(2):
            sandbox, session = await serve(seed=7)
            sandbox.inject(Fault.status(500), probability=0.5)
            outcomes.append([await look(session) for _ in range(40)])

        assert outcomes[0] == outcomes[1]
        assert set(outcomes[0]) == {200, 500}

    async def test_latencies_add_up_in_front_of_the_first_other_fault(
        self, sandbox: Sandbox, session: aiohttp.ClientSession
    ) -> None:
        sandbox.inject(Fault.latency(0))
        first = sandbox.inject(Fault.status(500), times=1)
        second = sandbox.inject(Fault.status(502), times=1)

        assert [await look(session) for _ in range(3)] == [500, 502, 200]
        assert (first.hits, second.hits) == (1, 1)
        assert [each.faults for each in sandbox.received] == [
            ("latency", "status"),
            ("latency", "status"),
            ("latency",),
        ]

    async def test_an_unknown_path_can_be_struck_too(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        sandbox.inject(Fault.status(500))

        assert await look(session, "nowhere") == 500


class TestAnswers:
    @pytest.mark.parametrize(
        ("fault", "body"),
        [
            (Fault.status(500), {"error": "internal error"}),
            (Fault.status(503), {"error": "service unavailable"}),
            (Fault.status(599), {"error": "error"}),
            (Fault.status(412), {"error": "token limit reached"}),
            (Fault.status(500, "out of order"), {"error": "out of order"}),
            (Fault.status(500, {"detail": [1]}), {"detail": [1]}),
            (Fault.status(500, b'"raw"'), "raw"),
        ],
    )
    async def test_a_status_has_the_documented_body_or_the_given_one(
        self, sandbox: Sandbox, session: aiohttp.ClientSession, fault: Fault, body: object
    ) -> None:
        sandbox.inject(fault)

        async with session.get(ME) as response:
            assert response.status >= 412
            assert await response.json() == body

    async def test_a_status_carries_headers(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        sandbox.inject(Fault.status(503, headers={"Retry-After": "9"}))

        async with session.get(ME) as response:
            assert response.headers["Retry-After"] == "9"

    @pytest.mark.parametrize(("retry_after", "header"), [(None, None), (2, "2"), ("nonsense", "nonsense")])
    async def test_a_429_carries_retry_after_or_not(
        self,
        sandbox: Sandbox,
        session: aiohttp.ClientSession,
        retry_after: float | str | None,
        header: str | None,
    ) -> None:
        sandbox.inject(Fault.rate_limited(retry_after))

        async with session.get(ME) as response:
            assert response.status == 429
            assert await response.json() == {"error": "rate limit exceeded"}
            assert response.headers.get("Retry-After") == header

    async def test_a_body_comes_as_it_was_given(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        sandbox.inject(Fault.body(b"<html>\xff", content_type="text/html", headers={"X-Proxy": "yes"}))

        async with session.get(ME) as response:
            assert (response.status, await response.read()) == (200, b"<html>\xff")
            assert response.content_type == "text/html"
            assert response.headers["X-Proxy"] == "yes"

    async def test_a_redirect_says_where_to(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        sandbox.inject(Fault.redirect("http://elsewhere.example/", 308))

        async with session.get(ME, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (308, "http://elsewhere.example/")

    async def test_a_fault_can_strike_a_download(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        sandbox.inject(Fault.status(503), route="GET /output/{name:path}")

        assert await look(session, "output/6f82a2d8.mp4") == 503


class TestConnection:
    async def test_a_reset_is_a_reset_on_the_wire(self, sandbox: Sandbox) -> None:
        sandbox.inject(Fault.reset())

        assert await raw(sandbox) == (b"", True)

    async def test_a_close_is_an_orderly_end_without_an_answer(self, sandbox: Sandbox) -> None:
        sandbox.inject(Fault.close())

        assert await raw(sandbox) == (b"", False)

    async def test_garbage_comes_as_it_was_given(self, sandbox: Sandbox) -> None:
        sandbox.inject(Fault.garbage(b"hello"))

        assert await raw(sandbox) == (b"hello", False)

    async def test_garbage_is_no_http(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        sandbox.inject(Fault.garbage())

        with pytest.raises(aiohttp.ClientResponseError):
            await look(session)

    @pytest.mark.parametrize("size", [0, 5, 10_000])
    async def test_a_truncated_answer_promises_more_than_comes(
        self, sandbox: Sandbox, session: aiohttp.ClientSession, size: int
    ) -> None:
        sandbox.inject(Fault.truncate(size))

        data, _ = await raw(sandbox)

        head, _, body = data.partition(b"\r\n\r\n")
        whole = b'{"name": "production-key"}'
        assert body == whole[:size]
        assert f"Content-Length: {max(len(whole), size + 1)}".encode() in head
        with pytest.raises(aiohttp.ClientPayloadError):
            await look(session)

    async def test_a_dripping_answer_comes_whole_but_bit_by_bit(
        self, sandbox: Sandbox, session: aiohttp.ClientSession
    ) -> None:
        sandbox.inject(Fault.drip(0.0005, step=5))

        async with session.get(ME) as response:
            pieces = [piece async for piece in response.content.iter_any()]

        assert json.loads(b"".join(pieces)) == {"name": "production-key"}
        assert len(pieces) > 1

    async def test_a_connection_may_be_dropped_right_after_its_answer(
        self, sandbox: Sandbox, session: aiohttp.ClientSession
    ) -> None:
        sandbox.inject(Fault.close("answered"))

        data, is_reset = await raw(sandbox)

        assert data.endswith(b'{"name": "production-key"}')
        assert b"Connection: close" not in data
        assert not is_reset

    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_a_hanging_answer_never_comes(
        self, sandbox: Sandbox, session: aiohttp.ClientSession, when: Any
    ) -> None:
        sandbox.inject(Fault.hang(when=when))

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await look(session)

    async def test_a_hanging_handler_ends_when_its_client_leaves(
        self, sandbox: Sandbox, session: aiohttp.ClientSession, until: Any
    ) -> None:
        sandbox.inject(Fault.hang())
        asking = asyncio.create_task(look(session))
        await until(lambda: sandbox.received)
        (handler,) = sandbox._pipeline.tasks

        asking.cancel()

        with pytest.raises(asyncio.CancelledError):
            await handler
        assert sandbox.received[0].status is None

    async def test_latency_delays_the_answer(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        sandbox.inject(Fault.latency(0.05))
        start = asyncio.get_running_loop().time()

        assert await look(session) == 200

        assert asyncio.get_running_loop().time() - start >= 0.05


class TestBeforeAndAfter:
    @pytest.mark.parametrize(
        ("fault", "jobs"),
        [
            (Fault.reset("before"), 0),
            (Fault.reset("after"), 1),
            (Fault.close("before"), 0),
            (Fault.close("after"), 1),
            (Fault.garbage(), 0),
            (Fault.garbage(when="after"), 1),
            (Fault.truncate(3), 1),
            (Fault.status(500), 0),
            (Fault.status(500, when="after"), 1),
            (Fault.body(b"<html>"), 0),
            (Fault.body(b"<html>", when="after"), 1),
            (Fault.rate_limited(), 0),
            (Fault.redirect("/"), 0),
        ],
        ids=lambda value: f"{value.kind}-{value.when}" if isinstance(value, Fault) else str(value),
    )
    async def test_a_fault_after_the_handler_leaves_the_job_behind(
        self,
        sandbox: Sandbox,
        session: aiohttp.ClientSession,
        lipsync_body: dict[str, Any],
        fault: Fault,
        jobs: int,
    ) -> None:
        sandbox.inject(fault)

        try:
            async with session.post(GENERATE, json=lipsync_body, allow_redirects=False) as response:
                await response.read()
        except aiohttp.ClientError:
            pass

        assert len(sandbox.jobs) == jobs
        assert sandbox.received[0].job_id == (next(iter(sandbox.jobs)) if jobs else None)

    @pytest.mark.parametrize(
        ("fault", "jobs"),
        [
            (Fault.latency(60), 1),
            (Fault.latency(60, when="before"), 0),
            (Fault.hang(), 0),
            (Fault.hang(when="after"), 1),
        ],
        ids=lambda value: f"{value.kind}-{value.when}" if isinstance(value, Fault) else str(value),
    )
    async def test_a_client_that_gives_up_waiting_may_have_started_a_job(
        self,
        sandbox: Sandbox,
        session: aiohttp.ClientSession,
        lipsync_body: dict[str, Any],
        fault: Fault,
        jobs: int,
    ) -> None:
        sandbox.inject(fault)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await session.post(GENERATE, json=lipsync_body)

        assert len(sandbox.jobs) == jobs


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
def test_a_fault_that_makes_no_sense_is_a_mistake(make: Any) -> None:
    with pytest.raises(ValueError, match=r"must be"):
        make()


def test_only_faults_can_be_injected() -> None:
    with pytest.raises(TypeError):
        Sandbox().inject("500")  # type: ignore[arg-type]


@pytest.mark.parametrize("broken", [Severed(reset=True), Streamed(Answer(body=b"body"), now=0, cut=2)])
async def test_a_client_that_has_left_already_cannot_be_harmed(broken: web.StreamResponse) -> None:
    async def send() -> None:
        request = make_mocked_request("GET", "/")
        request.protocol.transport = None
        await broken.prepare(request)
        await broken.write_eof()

    with pytest.raises(ConnectionResetError):
        await send()
