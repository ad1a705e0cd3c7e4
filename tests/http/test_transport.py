"""One call, whatever it is for: what each answer becomes, what is repeated and when, and how long it may take."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from aioresponses import CallbackResult, aioresponses

from chamelaion_async import (
    APIStatusError,
    APITimeoutError,
    AsyncClient,
    ChamelaionError,
    InvalidResponseError,
    NotFoundError,
    RateLimitError,
    RetryPolicy,
)
from chamelaion_async.sandbox import Fault, Sandbox

BASE_URL = "https://api.example.com/api"
ME = f"{BASE_URL}/v1/users/me"
GENERATE = f"{BASE_URL}/v1/lipsync/generate"
ONCE = RetryPolicy(attempts=1)
AT_ONCE = RetryPolicy(initial=0, max=0)
BODY = {
    "inputs": [
        {"type": "video", "url": "https://cdn.example.com/42.mp4"},
        {"type": "audio", "url": "https://cdn.example.com/42.wav"},
    ]
}


@pytest.fixture
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.0)


@pytest.fixture
async def once() -> AsyncIterator[AsyncClient]:
    """A client that never repeats."""
    async with AsyncClient("sk-key", base_url=BASE_URL, retry=ONCE) as made:
        yield made


async def status_error(client: AsyncClient, method: str = "GET", path: str = "/v1/users/me") -> APIStatusError:
    with pytest.raises(APIStatusError) as caught:
        await client.request(method, path)
    return caught.value


@pytest.mark.parametrize("status", [101, 304, 400, 499, 500, 999])
async def test_an_answer_that_is_not_2xx_is_an_error_that_holds_all_of_it(
    once: AsyncClient, mock: aioresponses, status: int
) -> None:
    mock.post(GENERATE, status=status, payload={"error": "text", "trace": 7}, headers={"X-Request-Id": "r-1"})

    error = await status_error(once, "POST", "/v1/lipsync/generate")

    assert (error.status, error.message, error.body) == (status, "text", {"error": "text", "trace": 7})
    assert (error.method, error.path, error.attempts) == ("POST", "/v1/lipsync/generate", 1)
    assert error.headers["x-request-id"] == "r-1"


CALLS: dict[str, Callable[[AsyncClient], Awaitable[Any]]] = {
    "a call with a key": lambda client: client.users.me(),
    "a call without one": lambda client: client.health.check(),
    "a call of a view": lambda client: client.with_options(timeout=5).health.check(),
    "a POST": lambda client: client.request("POST", "/v1/lipsync/generate", json=BODY),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_what_instrumentation_writes_into_the_headers_of_a_call_stays_in_that_call(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, call: Callable[[AsyncClient], Awaitable[Any]]
) -> None:
    send = aiohttp.ClientSession._request
    numbers = itertools.count()

    async def traced(self: Any, method: str, url: Any, *, headers: dict[str, str], **options: Any) -> Any:
        headers[f"X-Trace-{next(numbers)}"] = "1"  # elastic-apm and ddtrace write into what they are handed
        return await send(self, method, url, headers=headers, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", traced)
    async with AsyncClient("sk-key", base_url=sandbox.base_url) as client:
        for _ in range(3):
            await call(client)

    traces = [[name for name in received.headers if name.startswith("X-Trace")] for received in sandbox.received]
    assert traces == [["X-Trace-0"], ["X-Trace-1"], ["X-Trace-2"]]


@pytest.mark.virtual_time
@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_a_get_is_repeated_after_a_status_that_may_pass(mock: aioresponses, status: int) -> None:
    mock.get(ME, status=status, repeat=2)
    mock.get(ME, payload={"name": "k"})
    async with AsyncClient("sk-key", base_url=BASE_URL) as client:
        assert (await client.request_raw("GET", "/v1/users/me")).attempts == 3


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    "failure",
    [
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientOSError(104, "Connection reset by peer"),
        aiohttp.ClientPayloadError("cut short"),
        aiohttp.ServerTimeoutError(),
        aiohttp.SocketTimeoutError(),
        aiohttp.ConnectionTimeoutError(),
        TimeoutError(),
        ConnectionResetError(104, "Connection reset by peer"),
    ],
    ids=repr,
)
async def test_a_get_is_repeated_when_the_connection_fails(mock: aioresponses, failure: Exception) -> None:
    mock.get(ME, exception=failure, repeat=2)
    mock.get(ME, payload={"name": "k"})
    async with AsyncClient("sk-key", base_url=BASE_URL) as client:
        assert (await client.request_raw("GET", "/v1/users/me")).attempts == 3


@pytest.mark.virtual_time
@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 410, 412, 418, 422])
async def test_a_get_is_not_repeated_after_an_answer_that_will_stay(mock: aioresponses, status: int) -> None:
    mock.get(ME, status=status, repeat=True)
    async with AsyncClient("sk-key", base_url=BASE_URL) as client:
        await status_error(client)

    assert [len(calls) for calls in mock.requests.values()] == [1]


@pytest.mark.parametrize(
    "fault",
    [Fault.status(500), Fault.status(503), Fault.rate_limited(0), Fault.reset(), Fault.close(), Fault.truncate(5)],
    ids=lambda fault: str(fault.kind),
)
async def test_a_get_that_keeps_failing_reaches_the_service_once_per_attempt(sandbox: Sandbox, fault: Fault) -> None:
    sandbox.inject(fault)
    async with AsyncClient("sk-key", base_url=sandbox.base_url, retry=AT_ONCE) as client:
        with pytest.raises(ChamelaionError) as caught:
            await client.users.me()

    assert (sandbox.count(), vars(caught.value)["attempts"]) == (3, 3)


async def test_a_get_that_times_out_reaches_the_service_once_per_attempt(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.hang())
    async with AsyncClient("sk-key", base_url=sandbox.base_url, retry=AT_ONCE, timeout=0.05) as client:
        with pytest.raises(APITimeoutError) as caught:
            await client.users.me()

    assert (sandbox.count(), caught.value.attempts) == (3, 3)


@pytest.mark.parametrize(
    "fault", [Fault.status(500), Fault.reset(), Fault.close()], ids=lambda fault: str(fault.kind)
)
async def test_one_attempt_is_one_request_at_the_service(sandbox: Sandbox, fault: Fault) -> None:
    sandbox.inject(fault)
    async with AsyncClient("sk-key", base_url=sandbox.base_url, retry=ONCE) as client:
        with pytest.raises(ChamelaionError):
            await client.users.me()

    assert sandbox.count() == 1


async def test_a_get_recovers_from_a_reset(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.reset(), times=2)
    async with AsyncClient("sk-key", base_url=sandbox.base_url, retry=AT_ONCE) as client:
        assert (await client.users.me()).name == "production-key"


async def test_a_get_survives_a_kept_connection_that_the_service_closed(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.close("answered"), times=1)
    async with AsyncClient("sk-key", base_url=sandbox.base_url, retry=AT_ONCE) as client:
        await client.users.me()

        assert (await client.users.me()).name == "production-key"


@pytest.mark.parametrize(
    "fault",
    [
        Fault.status(500, when="after"),
        Fault.status(502),
        Fault.status(503),
        Fault.status(504, when="after"),
        Fault.status(408),
        Fault.reset("before"),
        Fault.reset("after"),
        Fault.close("before"),
        Fault.close("after"),
        Fault.truncate(5),
        Fault.garbage(when="after"),
        Fault.body(b"<html>", when="after"),
        Fault.body(b"", content_type=None, status=500),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.when}",
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_what_may_have_been_accepted_is_not_sent_again(sandbox: Sandbox, fault: Fault, method: str) -> None:
    sandbox.inject(fault)
    async with AsyncClient("sk-key", base_url=sandbox.base_url, retry=AT_ONCE) as client:
        with pytest.raises(ChamelaionError):
            await client.request(method, "/v1/lipsync/generate", json=BODY)

    assert sandbox.count() == 1


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_post_that_timed_out_is_not_sent_again(sandbox: Sandbox, when: Any) -> None:
    sandbox.inject(Fault.hang(when=when))
    async with AsyncClient("sk-key", base_url=sandbox.base_url, retry=AT_ONCE, timeout=0.05) as client:
        with pytest.raises(APITimeoutError) as caught:
            await client.request("POST", "/v1/lipsync/generate", json=BODY)

    assert (sandbox.count(), caught.value.sent) == (1, "maybe")


async def test_a_post_refused_by_the_rate_limit_is_sent_again(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chamelaion_async._http.rate._PAUSE", 0.01)
    sandbox.inject(Fault.rate_limited(0), times=2)
    async with AsyncClient("sk-key", base_url=sandbox.base_url) as client:
        await client.request("POST", "/v1/lipsync/generate", json=BODY)

    assert ([r.status for r in sandbox.received], len(sandbox.jobs)) == ([429, 429, 200], 1)


class Unsteady(AbstractResolver):
    """Name resolution that fails a few times before it leads to loopback."""

    def __init__(self, failures: int) -> None:
        self._failures = failures

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if self._failures:
            self._failures -= 1
            raise OSError(None, "Temporary failure in name resolution")
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        pass


async def test_a_post_that_was_not_sent_is_sent_again(sandbox: Sandbox) -> None:
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Unsteady(2))) as session,
        AsyncClient(
            "sk-key",
            base_url=sandbox.base_url.replace("127.0.0.1", "api.test"),
            allow_http=True,
            session=session,
            retry=AT_ONCE,
        ) as client,
    ):
        raw = await client.request_raw("POST", "/v1/lipsync/generate", json=BODY)

    assert (raw.attempts, sandbox.count(), len(sandbox.jobs)) == (3, 1, 1)


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("retry_after", "pause"), [("7", 7.0), ("0.25", 0.25), ("59", 59.0), ("Tue, 07 Apr 2026 10:00:30 GMT", 30.0)]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_retry_after_is_obeyed_exactly(mock: aioresponses, method: str, retry_after: str, pause: float) -> None:
    headers = {"Retry-After": retry_after, "Date": "Tue, 07 Apr 2026 10:00:00 GMT"}
    mock.add(ME, method, status=429, headers=headers)
    mock.add(ME, method, payload={})
    loop = asyncio.get_running_loop()
    async with AsyncClient("sk-key", base_url=BASE_URL) as client:
        began = loop.time()
        await client.request(method, "/v1/users/me")

        assert loop.time() - began == pytest.approx(pause, abs=1e-6)


@pytest.mark.virtual_time
@pytest.mark.parametrize("retry_after", [None, "0", "0.0", "-3", "soon", "Tue, 07 Apr 2026 09:59:30 GMT"])
async def test_a_retry_after_that_names_no_time_to_come_closes_the_lane_for_a_second(
    mock: aioresponses, retry_after: str | None
) -> None:
    headers = {"Date": "Tue, 07 Apr 2026 10:00:00 GMT"} | (
        {} if retry_after is None else {"Retry-After": retry_after}
    )
    mock.get(ME, status=429, headers=headers)
    mock.get(ME, payload={})
    loop = asyncio.get_running_loop()
    async with AsyncClient("sk-key", base_url=BASE_URL) as client:
        began = loop.time()
        await client.request("GET", "/v1/users/me")

        assert loop.time() - began == pytest.approx(1.0, abs=1e-6)


@pytest.mark.virtual_time
@pytest.mark.parametrize(("longest", "opens_after"), [(60.0, 60.0), (2.5, 2.5), (0.0, 1.0)])
async def test_a_lane_closes_for_no_longer_than_the_policy_sits_out(
    mock: aioresponses, longest: float, opens_after: float
) -> None:
    mock.get(ME, status=429, headers={"Retry-After": "61"})
    mock.get(ME, payload={})
    loop = asyncio.get_running_loop()
    retry = RetryPolicy(max_retry_after=longest)
    async with AsyncClient("sk-key", base_url=BASE_URL, retry=retry) as client:
        began = loop.time()
        with pytest.raises(RateLimitError):
            await client.request("GET", "/v1/users/me")
        await client.request("GET", "/v1/users/me")

        assert loop.time() - began == pytest.approx(opens_after, abs=1e-6)


@pytest.mark.virtual_time
@pytest.mark.parametrize(("status", "closes_for"), [(200, 1.0), (404, 1.0), (499, 1.0), (500, 2.0), (503, 2.0)])
async def test_what_is_refused_for_another_reason_was_let_in_by_the_rate_limit(
    mock: aioresponses, status: int, closes_for: float
) -> None:
    for each in (429, status, 429, 200):
        mock.get(ME, status=each, payload={})
    loop = asyncio.get_running_loop()
    times = []
    async with AsyncClient("sk-key", base_url=BASE_URL, retry=RetryPolicy(attempts=1)) as client:
        began = loop.time()
        for _ in range(4):
            with contextlib.suppress(APIStatusError):
                await client.request("GET", "/v1/users/me")
            times.append(loop.time() - began)

    assert times[3] - times[2] == pytest.approx(closes_for, abs=1e-6)


@pytest.mark.virtual_time
async def test_a_429_that_comes_late_does_not_close_the_lane_that_has_opened_since(mock: aioresponses) -> None:
    async def late(*_: Any, **__: Any) -> CallbackResult:
        await asyncio.sleep(1.5)
        return CallbackResult(status=429)

    mock.get(f"{BASE_URL}/v1/late", callback=late)
    mock.get(ME, status=429)
    mock.get(ME, payload={}, repeat=True)
    loop = asyncio.get_running_loop()
    async with AsyncClient("sk-key", base_url=BASE_URL, retry=RetryPolicy(attempts=1)) as client:
        began = loop.time()
        slow = asyncio.create_task(client.request("GET", "/v1/late"))
        await asyncio.sleep(0.1)
        with pytest.raises(RateLimitError):
            await client.request("GET", "/v1/users/me")
        with pytest.raises(RateLimitError):
            await slow
        await client.request("GET", "/v1/users/me")

        assert loop.time() - began == pytest.approx(1.5, abs=1e-6)


@pytest.mark.virtual_time
async def test_each_retry_after_is_obeyed_in_turn(mock: aioresponses) -> None:
    mock.get(ME, status=429, headers={"Retry-After": "7"})
    mock.get(ME, status=429, headers={"Retry-After": "20"})
    mock.get(ME, payload={})
    loop = asyncio.get_running_loop()
    async with AsyncClient("sk-key", base_url=BASE_URL) as client:
        began = loop.time()
        await client.request("GET", "/v1/users/me")

        assert loop.time() - began == pytest.approx(27.0, abs=1e-6)


@pytest.mark.virtual_time
async def test_a_retry_after_beyond_what_a_call_sits_out_is_raised_at_once(mock: aioresponses) -> None:
    mock.get(ME, status=429, headers={"Retry-After": "61"}, repeat=True)
    loop = asyncio.get_running_loop()
    async with AsyncClient("sk-key", base_url=BASE_URL) as client:
        began = loop.time()
        error = await status_error(client)

        assert (loop.time() - began, error.attempts) == (0.0, 1)


@pytest.mark.virtual_time
@pytest.mark.usefixtures("_no_jitter")
async def test_the_pause_is_doubled_up_to_its_bound(mock: aioresponses) -> None:
    times: list[float] = []
    loop = asyncio.get_running_loop()
    mock.get(ME, status=500, repeat=True, callback=lambda *_, **__: times.append(loop.time()))
    async with AsyncClient(
        "sk-key", base_url=BASE_URL, retry=RetryPolicy(attempts=6, initial=0.5, max=3.0)
    ) as client:
        await status_error(client)

    assert [after - before for before, after in itertools.pairwise(times)] == pytest.approx(
        [0.5, 1.0, 2.0, 3.0, 3.0], abs=1e-6
    )


@pytest.mark.virtual_time
async def test_a_post_is_not_even_delayed_by_an_error_that_it_cannot_repeat(mock: aioresponses) -> None:
    mock.post(GENERATE, status=500)
    loop = asyncio.get_running_loop()
    async with AsyncClient("sk-key", base_url=BASE_URL) as client:
        began = loop.time()
        await status_error(client, "POST", "/v1/lipsync/generate")

        assert loop.time() == began


@pytest.mark.virtual_time
async def test_the_last_error_is_raised_with_the_number_of_attempts(mock: aioresponses) -> None:
    mock.get(ME, status=500)
    mock.get(ME, status=502)
    mock.get(ME, status=503)
    async with AsyncClient("sk-key", base_url=BASE_URL) as client:
        error = await status_error(client)

    assert (error.status, error.attempts, "after 3 attempts" in str(error)) == (503, 3, True)


@pytest.mark.virtual_time
async def test_an_unreadable_answer_after_a_retry_knows_its_attempts(mock: aioresponses) -> None:
    mock.get(ME, status=500)
    mock.get(ME, body="<html>")
    async with AsyncClient("sk-key", base_url=BASE_URL) as client:
        with pytest.raises(InvalidResponseError) as caught:
            await client.users.me()

    assert caught.value.attempts == 2


@pytest.mark.virtual_time
async def test_a_404_after_a_500_ends_the_repetition(mock: aioresponses) -> None:
    mock.get(ME, status=500)
    mock.get(ME, status=404, repeat=True)
    async with AsyncClient("sk-key", base_url=BASE_URL) as client:
        error = await status_error(client)

    assert (type(error), error.attempts) == (NotFoundError, 2)


async def test_a_body_is_sent_again_in_full(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.rate_limited(0), times=1)
    async with AsyncClient("sk-key", base_url=sandbox.base_url) as client:
        await client.request("POST", "/v1/lipsync/generate", json=BODY)

    assert sandbox.received[-1].body == BODY


class Silent(aiohttp.BaseConnector):
    """Never connects, and needs no socket for that."""

    allowed_protocol_schema_set = frozenset({"https"})

    async def _create_connection(self, *_: Any, **__: Any) -> Any:
        await asyncio.get_running_loop().create_future()


@pytest.mark.virtual_time
@pytest.mark.parametrize("timeout", [0.05, 0.7, 3.3, 4.999, 5.0, 7.3, 20.0, 61.2])
async def test_a_timeout_fires_on_time_and_is_not_rounded_up(timeout: float) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0.125)  # so that the clock does not stand at a whole second
    async with (
        aiohttp.ClientSession(connector=Silent()) as session,
        AsyncClient("sk-key", base_url=BASE_URL, session=session, retry=ONCE, timeout=timeout) as client,
    ):
        began = loop.time()
        with pytest.raises(APITimeoutError):
            await client.users.me()

        assert loop.time() - began == pytest.approx(timeout, abs=1e-3)


@pytest.mark.virtual_time
@pytest.mark.parametrize("timeout", [0.7, 7.3, 61.2])
async def test_a_post_that_gets_no_connection_was_certainly_not_sent(timeout: float) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0.125)
    async with (
        aiohttp.ClientSession(connector=Silent()) as session,
        AsyncClient("sk-key", base_url=BASE_URL, session=session, retry=ONCE, timeout=timeout) as client,
    ):
        began = loop.time()
        with pytest.raises(APITimeoutError) as caught:
            await client.request("POST", "/v1/lipsync/generate", json=BODY)

        assert (caught.value.sent, loop.time() - began <= timeout) == ("no", True)


async def test_a_timeout_tells_what_was_allowed(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.hang())
    async with AsyncClient("sk-key", base_url=sandbox.base_url, retry=ONCE, timeout=0.05) as client:
        with pytest.raises(APITimeoutError, match=r"GET /v1/users/me failed.* within 0\.05 s.*timeout="):
            await client.users.me()


@pytest.mark.virtual_time
async def test_waiting_in_a_lane_does_not_count_against_the_timeout(mock: aioresponses) -> None:
    mock.get(ME, status=429, headers={"Retry-After": "30"})
    mock.get(ME, payload={"name": "k"}, repeat=True)
    async with AsyncClient("sk-key", base_url=BASE_URL, timeout=1.0) as client:
        first = asyncio.create_task(client.users.me())
        await asyncio.sleep(1)

        assert [user.name for user in await asyncio.gather(first, client.users.me())] == ["k", "k"]


async def _never_answers(*_: Any, **__: Any) -> None:
    await asyncio.get_running_loop().create_future()


@pytest.mark.virtual_time
@pytest.mark.parametrize("seconds", [3.0, 30.0])
async def test_a_timeout_of_the_caller_stays_the_callers(mock: aioresponses, seconds: float) -> None:
    mock.get(ME, callback=_never_answers)
    async with AsyncClient("sk-key", base_url=BASE_URL) as client:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(seconds):
                await client.users.me()

    assert not isinstance(caught.value, ChamelaionError)


async def test_a_timeout_of_the_caller_stays_the_callers_over_a_real_connection(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.hang())
    async with AsyncClient("sk-key", base_url=sandbox.base_url) as client:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.05):
                await client.users.me()

    assert not isinstance(caught.value, ChamelaionError)


@pytest.mark.virtual_time
async def test_a_timeout_of_the_caller_during_a_pause_stays_the_callers(mock: aioresponses) -> None:
    mock.get(ME, status=429, headers={"Retry-After": "30"}, repeat=True)
    async with AsyncClient("sk-key", base_url=BASE_URL) as client:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(10):
                await client.users.me()

    assert not isinstance(caught.value, ChamelaionError)


async def test_a_client_goes_on_after_a_timeout(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.hang(), times=1)
    async with AsyncClient("sk-key", base_url=sandbox.base_url, retry=ONCE, timeout=0.05) as client:
        with pytest.raises(APITimeoutError):
            await client.users.me()

        assert (await client.with_options(timeout=5).users.me()).name == "production-key"
