"""The aiohttp session of a client: of a given one it uses the connector, the proxy and the traces, nothing else."""

from __future__ import annotations

import asyncio
import gc
import gzip
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chamelaion_async import (
    AsyncClient,
    ChamelaionError,
    ClientClosedError,
    ConfigurationError,
    InternalServerError,
    NotFoundError,
    PollPolicy,
    RetryPolicy,
    User,
)
from chamelaion_async.sandbox import Fault, Sandbox

ONCE = RetryPolicy(attempts=1)
AT_ONCE = RetryPolicy(initial=0, max=0)
GOOD = b'{"name": "k"}'
RawServer = Callable[[Callable[[bytes, asyncio.StreamWriter], Any]], Any]


def answer(status: int, body: bytes = b"{}", headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d Status\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), headers, body)


@pytest.fixture(autouse=True)
def _netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """netrc holds credentials for every host, which must not be sent."""
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login netrc-user password netrc-password\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))


class Recorder:
    """A server that records whole requests and gives each the same answer."""

    def __init__(self, reply: bytes = answer(200, GOOD)) -> None:
        self.requests: list[bytes] = []
        self.writers: set[asyncio.StreamWriter] = set()
        self._reply = reply

    async def __call__(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request)
        self.writers.add(writer)
        writer.write(self._reply)

    @property
    def targets(self) -> list[bytes]:
        return [request.split(b"\r\n", 1)[0] for request in self.requests]


def session_with(**settings: Any) -> aiohttp.ClientSession:
    """Make a session without aiohttp's warnings about deprecated settings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        if "auth" in settings:
            settings["auth"] = aiohttp.BasicAuth(*settings["auth"])
        return aiohttp.ClientSession(**settings)


SETTINGS: dict[str, dict[str, Any]] = {
    "key": {"headers": {"x-api-key": "sk-of-the-session"}},
    "key in capitals": {"headers": {"X-API-KEY": "sk-of-the-session"}},
    "authorization": {"headers": {"Authorization": "Bearer tok-of-the-session"}},
    "other headers": {"headers": {"X-Other": "1", "Accept": "text/html", "User-Agent": "other"}},
    "cookies": {"cookies": {"session": "crumbs"}},
    "auth": {"auth": ("user", "password")},
    "skipped headers": {"skip_auto_headers": ["User-Agent", "Accept-Encoding", "Accept"]},
    "raise_for_status": {"raise_for_status": True},
    "base_url": {"base_url": "http://elsewhere.test/x/"},
    "auto_decompress": {"auto_decompress": False},
    "trust_env": {"trust_env": True},
    "timeout": {"timeout": aiohttp.ClientTimeout(total=1e-6)},
    "version": {"version": aiohttp.HttpVersion10},
    "json_serialize": {"json_serialize": lambda _: "nonsense"},
    "read_bufsize": {"read_bufsize": 1},
    "max_line_size": {"max_line_size": 1, "max_field_size": 1},
    "fallback_charset_resolver": {"fallback_charset_resolver": lambda *_: "utf-16"},
}


ALL_SETTINGS = pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)


@ALL_SETTINGS
async def test_settings_of_the_session_change_nothing_in_what_is_sent(
    raw_server: RawServer, settings: dict[str, Any]
) -> None:
    recorder = Recorder()
    base_url = await raw_server(recorder)
    async with AsyncClient("sk-key", base_url=base_url) as client:
        await client.request("POST", "/v1/things", json={"a": 1})
    async with (
        session_with(**settings) as session,
        AsyncClient("sk-key", base_url=base_url, session=session) as client,
    ):
        await client.request("POST", "/v1/things", json={"a": 1})

    assert recorder.requests[1] == recorder.requests[0]


@ALL_SETTINGS
async def test_settings_of_the_session_change_nothing_in_what_is_read(
    raw_server: RawServer, settings: dict[str, Any]
) -> None:
    recorder = Recorder(answer(200, gzip.compress(GOOD), b"Content-Encoding: gzip\r\n"))
    async with (
        session_with(**settings) as session,
        AsyncClient("sk-key", base_url=await raw_server(recorder), session=session) as client,
    ):
        assert await client.users.me() == User(name="k")


@ALL_SETTINGS
async def test_settings_of_the_session_change_no_error(sandbox: Sandbox, settings: dict[str, Any]) -> None:
    async with (
        session_with(**settings) as session,
        AsyncClient("sk-key", base_url=sandbox.base_url, session=session) as client,
    ):
        with pytest.raises(NotFoundError, match="lipsync request not found"):
            await client.lipsync.requests.get("unknown")


@ALL_SETTINGS
async def test_settings_of_the_session_add_no_credentials_to_health(
    raw_server: RawServer, settings: dict[str, Any]
) -> None:
    recorder = Recorder(answer(200, b'{"status": "ok"}'))
    async with (
        session_with(**settings) as session,
        AsyncClient(base_url=await raw_server(recorder), session=session) as client,
    ):
        await client.health.check()

    lines = recorder.requests[0].lower().split(b"\r\n")
    assert [line for line in lines if line.startswith((b"x-api-key", b"authorization", b"cookie"))] == []


async def test_the_session_is_not_changed(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession(headers={"X-Mine": "1"}, cookies={"mine": "1"}) as session:
        async with AsyncClient("sk-key", base_url=sandbox.base_url, session=session) as client:
            await client.users.me()

        assert (dict(session.headers), [c.key for c in session.cookie_jar]) == ({"X-Mine": "1"}, ["mine"])


@pytest.mark.parametrize("is_given", [True, False], ids=["given session", "own session"])
async def test_cookies_of_an_answer_are_neither_kept_nor_sent_back(raw_server: RawServer, is_given: bool) -> None:
    recorder = Recorder(answer(200, GOOD, b"Set-Cookie: tracked=yes; Path=/\r\n"))
    base_url = (await raw_server(recorder)).replace("127.0.0.1", "localhost")
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
        AsyncClient("sk-key", base_url=base_url, session=session if is_given else None) as client,
    ):
        await client.users.me()
        await client.users.me()

        assert [*session.cookie_jar] == []
    assert b"cookie" not in recorder.requests[1].lower()


async def test_the_connections_of_the_session_are_used(raw_server: RawServer) -> None:
    recorder = Recorder()
    base_url = await raw_server(recorder)
    async with (
        aiohttp.ClientSession() as session,
        AsyncClient("sk-key", base_url=base_url, session=session) as client,
    ):
        async with session.get(base_url) as response:
            await response.read()
        await client.users.me()

    assert (len(recorder.requests), len(recorder.writers)) == (2, 1)


async def test_the_session_is_open_and_works_after_the_client_has_closed(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession() as session:
        async with AsyncClient("sk-key", base_url=sandbox.base_url, session=session) as client:
            await client.users.me()

        async with session.get(f"{sandbox.base_url}/health") as response:
            assert (session.closed, response.status) == (False, 200)


async def test_two_clients_share_a_session_and_close_one_after_the_other(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession() as session:
        first = AsyncClient("sk-1", base_url=sandbox.base_url, session=session)
        second = AsyncClient("sk-2", base_url=sandbox.base_url, session=session)
        await asyncio.gather(first.users.me(), second.users.me())
        await first.aclose()

        assert (await second.users.me()).name == "production-key"
        await second.aclose()


async def test_a_client_dropped_without_closing_leaves_no_warning(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession() as session:
        client = AsyncClient("sk-key", base_url=sandbox.base_url, session=session)
        await client.users.me()
        del client
        gc.collect()  # an unclosed session would warn now, which is an error here

        assert not session.closed


async def test_traces_of_the_session_run(sandbox: Sandbox) -> None:
    seen: list[str] = []
    trace = aiohttp.TraceConfig()

    async def start(_: object, __: object, params: aiohttp.TraceRequestStartParams) -> None:
        seen.append(f"{params.method} {params.url.path}")

    async def end(_: object, __: object, params: aiohttp.TraceRequestEndParams) -> None:
        seen.append(str(params.response.status))

    trace.on_request_start.append(start)
    trace.on_request_end.append(end)
    async with (
        aiohttp.ClientSession(trace_configs=[trace]) as session,
        AsyncClient("sk-key", base_url=sandbox.base_url, session=session) as client,
    ):
        await client.users.me()

    assert seen == ["GET /api/v1/users/me", "200"]


class Wrapper:
    """Behaves like a session and is none, as aiohttp_retry.RetryClient."""

    def __init__(self, session: aiohttp.ClientSession | None = None) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


@pytest.mark.parametrize(
    "thing",
    [Wrapper(), aiohttp.ClientSession, "session", 5, False, object(), aiohttp.TraceConfig()],
    ids=lambda thing: type(thing).__name__,
)
def test_an_object_that_is_no_session_is_refused_by_the_constructor(thing: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"session must be an aiohttp\.ClientSession, not .*\w+\.\w+"):
        AsyncClient("sk-key", session=thing)


async def test_the_session_within_a_wrapper_can_be_passed_instead(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(
            ConfigurationError, match=r"not .*\.Wrapper; of a wrapper, pass the session that it wraps"
        ):
            AsyncClient("sk-key", session=Wrapper(session))  # type: ignore[arg-type]


async def test_a_session_of_a_subclass_is_one(sandbox: Sandbox) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)

        class Session(aiohttp.ClientSession):
            pass

    async with (
        Session() as session,
        AsyncClient("sk-key", base_url=sandbox.base_url, session=session) as client,
    ):
        assert (await client.users.me()).name == "production-key"


async def test_middlewares_of_the_session_do_not_run(sandbox: Sandbox) -> None:
    """One that repeats what failed would pay for a submission again, and each would see the key."""
    seen: list[str] = []

    async def repeating(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        seen.append(request.method)
        await send(request)
        return await send(request)

    sandbox.inject(Fault.status(500, when="after"), route="POST *", times=1)
    async with (
        aiohttp.ClientSession(middlewares=(repeating,)) as session,
        AsyncClient("sk-key", base_url=sandbox.base_url, session=session, retry=ONCE) as client,
    ):
        with pytest.raises(ChamelaionError):
            await client.lipsync.generate(video="https://cdn.test/42.mp4", audio="https://cdn.test/42.wav")

    assert (seen, len(sandbox.jobs)) == ([], 1)


class Instrumentation:
    """Adds a trace to every session that is made while it is switched on, as OpenTelemetry and Sentry do."""

    def __init__(self) -> None:
        self.spans: list[str] = []
        self.is_on = True

    def trace(self) -> aiohttp.TraceConfig:
        async def start(_: object, __: object, params: aiohttp.TraceRequestStartParams) -> None:
            self.spans.append(params.method)

        config = aiohttp.TraceConfig()
        config.on_request_start.append(start)
        return config


@pytest.fixture
def instrumentation(monkeypatch: pytest.MonkeyPatch) -> Instrumentation:
    made = Instrumentation()
    init = aiohttp.ClientSession.__init__

    def traced(self: aiohttp.ClientSession, *args: Any, **settings: Any) -> None:
        if made.is_on:
            settings["trace_configs"] = [*(settings.get("trace_configs") or ()), made.trace()]
        init(self, *args, **settings)

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", traced)
    return made


@pytest.mark.parametrize("before", [True, False], ids=["session traced", "session not traced"])
@pytest.mark.parametrize("after", [True, False], ids=["client traced", "client not traced"])
async def test_a_call_through_the_session_is_traced_once(
    sandbox: Sandbox, instrumentation: Instrumentation, before: bool, after: bool
) -> None:
    instrumentation.is_on = before
    session = aiohttp.ClientSession()
    instrumentation.is_on = after
    async with session, AsyncClient("sk-key", base_url=sandbox.base_url, session=session) as client:
        await client.users.me()

    assert instrumentation.spans == ["GET"] * (before or after)


@pytest.mark.parametrize("through_proxy", [False, True], ids=["direct", "proxy"])
async def test_a_call_of_an_own_session_is_traced_once(
    raw_server: RawServer, instrumentation: Instrumentation, through_proxy: bool
) -> None:
    base_url = await raw_server(Recorder())
    proxy = base_url.removesuffix("/api") if through_proxy else None
    async with AsyncClient("sk-key", base_url=base_url, proxy=proxy) as client:
        await client.users.me()

    assert instrumentation.spans == ["GET"]


async def test_traces_that_the_session_has_twice_run_twice(
    sandbox: Sandbox, instrumentation: Instrumentation
) -> None:
    instrumentation.is_on = False
    traces = [instrumentation.trace(), instrumentation.trace()]
    async with (
        aiohttp.ClientSession(trace_configs=traces) as session,
        AsyncClient("sk-key", base_url=sandbox.base_url, session=session) as client,
    ):
        await client.users.me()

    assert instrumentation.spans == ["GET", "GET"]


async def test_a_trace_of_the_session_finds_the_context_that_it_expects(sandbox: Sandbox) -> None:
    contexts: list[object] = []
    trace = aiohttp.TraceConfig()

    async def start(_: object, context: Any, __: object) -> None:
        contexts.append(context.trace_request_ctx)

    trace.on_request_start.append(start)
    async with (
        aiohttp.ClientSession(trace_configs=[trace]) as session,
        AsyncClient("sk-key", base_url=sandbox.base_url, session=session) as client,
    ):
        await client.users.me()

    assert contexts == [None]


async def test_a_session_that_is_closed_already_is_a_clear_error(sandbox: Sandbox) -> None:
    session = aiohttp.ClientSession()
    await session.close()
    async with AsyncClient("sk-key", base_url=sandbox.base_url, session=session) as client:
        with pytest.raises(ClientClosedError, match="session passed to AsyncClient is closed"):
            await client.users.me()


@pytest.mark.parametrize("owner", [True, False], ids=["owned connector", "shared connector"])
async def test_a_session_that_is_closed_between_calls_is_a_clear_error(sandbox: Sandbox, owner: bool) -> None:
    connector = aiohttp.TCPConnector()
    session = aiohttp.ClientSession(connector=connector, connector_owner=owner)
    try:
        async with AsyncClient("sk-key", base_url=sandbox.base_url, session=session) as client:
            await client.users.me()
            await session.close()
            with pytest.raises(ClientClosedError, match="session passed to AsyncClient is closed"):
                await client.users.me()
    finally:
        await connector.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_session_that_is_closed_during_a_call_ends_it(raw_server: RawServer, method: str) -> None:
    asked = asyncio.Event()

    async def exchange(_: bytes, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.get_running_loop().create_future()

    session = aiohttp.ClientSession()
    async with AsyncClient("sk-key", base_url=await raw_server(exchange), session=session) as client:
        task = asyncio.create_task(client.request(method, "/v1/things"))
        await asked.wait()
        await session.close()

        async with asyncio.timeout(2):
            with pytest.raises(ClientClosedError):
                await task


async def test_a_session_that_is_closed_just_before_a_call_is_sent_ends_it(sandbox: Sandbox) -> None:
    session = aiohttp.ClientSession()
    async with AsyncClient("sk-key", base_url=sandbox.base_url, session=session) as client:
        task = asyncio.create_task(client.request("POST", "/v1/things"))
        await asyncio.sleep(0)  # the call gives the loop some turns before it is sent
        await session.close()

        with pytest.raises(ClientClosedError, match="session passed to AsyncClient is closed"):
            await task
    assert sandbox.received == ()


async def test_closing_the_session_ends_calls_that_queue_for_its_connections(raw_server: RawServer) -> None:
    asked = asyncio.Event()

    async def exchange(_: bytes, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.get_running_loop().create_future()

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1))
    async with AsyncClient("sk-key", base_url=await raw_server(exchange), session=session) as client:
        tasks = [asyncio.create_task(client.users.me()) for _ in range(4)]
        await asked.wait()
        await session.close()

        async with asyncio.timeout(2):
            results = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(result) for result in results] == [ClientClosedError] * 4


async def test_a_wait_ends_when_the_session_is_closed(sandbox: Sandbox) -> None:
    job = sandbox.add_job(job_seconds=3600)
    seen = asyncio.Event()
    session = aiohttp.ClientSession()
    async with AsyncClient("sk-key", base_url=sandbox.base_url, session=session) as client:
        task = asyncio.create_task(client.wait_until_finished(job.id, on_update=lambda _: seen.set()))
        await seen.wait()
        await session.close()

        async with asyncio.timeout(3):
            with pytest.raises(ClientClosedError):
                await task


async def test_closing_the_client_after_its_session_is_harmless(sandbox: Sandbox) -> None:
    session = aiohttp.ClientSession()
    client = AsyncClient("sk-key", base_url=sandbox.base_url, session=session)
    await client.users.me()
    await session.close()
    await client.aclose()

    assert client.is_closed


async def test_a_session_of_another_loop_is_a_clear_error(sandbox: Sandbox) -> None:
    made: list[aiohttp.ClientSession] = []
    ready, over = threading.Event(), threading.Event()

    async def elsewhere() -> None:
        async with aiohttp.ClientSession() as session:
            made.append(session)
            ready.set()
            await asyncio.to_thread(over.wait, 5)

    thread = threading.Thread(target=asyncio.run, args=(elsewhere(),))
    thread.start()
    await asyncio.to_thread(ready.wait, 5)
    try:
        async with AsyncClient("sk-key", base_url=sandbox.base_url, session=made[0]) as client:
            with pytest.raises(ConfigurationError, match="session passed in belongs to another event loop"):
                await client.users.me()
    finally:
        over.set()
        await asyncio.to_thread(thread.join, 5)


async def test_a_timeout_frees_the_connection_of_the_session(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.hang(), times=1)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session,
        AsyncClient("sk-key", base_url=sandbox.base_url, session=session, retry=ONCE) as client,
    ):
        with pytest.raises(ChamelaionError):
            await client.with_options(timeout=0.05).users.me()

        assert (await client.users.me()).name == "production-key"


class Instances:
    """A load balancer before instances of a service: a connection stays with the one that it was made to."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = answers
        self.connections: list[asyncio.StreamWriter] = []

    async def __call__(self, _: bytes, writer: asyncio.StreamWriter) -> None:
        if writer not in self.connections:
            self.connections.append(writer)
        answer = self._answers[min(self.connections.index(writer), len(self._answers) - 1)]
        head, blank, body = answer.partition(b"\r\n\r\n")
        writer.write(head + blank)
        if len(body) > 1000:
            await asyncio.sleep(0.01)  # so that the client has read the headers alone
        writer.write(body)


BODIES = {
    "empty": b"",
    "short": b'{"error": "draining"}',
    "long": b"<html>" + b"x" * 100_000,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_get_leaves_the_connection_on_which_a_gateway_failed(
    raw_server: RawServer, status: int, body: bytes
) -> None:
    instances = Instances(answer(status, body), answer(200, GOOD))
    async with AsyncClient("sk-key", base_url=await raw_server(instances), retry=AT_ONCE) as client:
        assert (await client.users.me()).name == "k"

    assert len(instances.connections) == 2


@pytest.mark.parametrize("is_given", [True, False], ids=["given session", "own session"])
async def test_the_call_after_a_failed_post_leaves_the_connection_on_which_a_gateway_failed(
    raw_server: RawServer, is_given: bool
) -> None:
    instances = Instances(answer(503), answer(200, GOOD))
    base_url = await raw_server(instances)
    async with (
        aiohttp.ClientSession() as session,
        AsyncClient("sk-key", base_url=base_url, session=session if is_given else None, retry=ONCE) as client,
    ):
        with pytest.raises(InternalServerError):
            await client.request("POST", "/v1/things", json={})
        await client.request("POST", "/v1/things", json={})

    assert len(instances.connections) == 2


async def test_a_wait_leaves_the_connection_to_an_instance_that_is_drained(
    raw_server: RawServer, sandbox: Sandbox
) -> None:
    async with AsyncClient("sk-key", base_url=sandbox.base_url) as client:
        finished = (await client.request_raw("GET", "/v1/lipsync/requests/dub-episode-42")).body
    instances = Instances(answer(503), answer(200, finished))
    policy = PollPolicy(min_interval=0.01, max_interval=0.01)
    async with AsyncClient("sk-key", base_url=await raw_server(instances), polling=policy) as client:
        assert (await client.wait_until_finished("dub-episode-42", timeout=5)).is_completed


async def test_a_download_leaves_the_connection_of_a_failed_gateway(raw_server: RawServer, tmp_path: Path) -> None:
    instances = Instances(answer(503), answer(200, b"video"))
    async with AsyncClient("sk-key", retry=AT_ONCE) as client:
        await client.download(f"{await raw_server(instances)}/42.mp4", tmp_path / "42.mp4")

    assert (tmp_path / "42.mp4").read_bytes() == b"video"


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("status", [200, 400, 404, 429, 500, 501])
async def test_after_any_other_answer_the_connection_is_kept(raw_server: RawServer, status: int, body: bytes) -> None:
    instances = Instances(answer(status, body, b"Retry-After: 0\r\n"))
    async with AsyncClient("sk-key", base_url=await raw_server(instances), retry=ONCE) as client:
        for _ in range(3):
            with suppress(Exception):
                await client.request_raw("GET", "/v1/users/me")

    assert len(instances.connections) == 1
