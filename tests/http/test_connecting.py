"""Whether a request was sent, with connectors whose errors do not say so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler

from chamelaion_async import (
    APIConnectionError,
    APITimeoutError,
    AsyncClient,
    DownloadError,
    PollPolicy,
    RetryPolicy,
    SubmissionUncertainError,
    WaitUnreachableError,
)
from chamelaion_async.sandbox import Fault, Sandbox

ONCE = RetryPolicy(attempts=1)
AT_ONCE = RetryPolicy(initial=0, max=0)
RawServer = Callable[[Callable[[bytes, asyncio.StreamWriter], Any]], Awaitable[str]]
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n" + b'{"name": "k"}'


class StrangeError(Exception):
    """An error of a connector that is not aiohttp's."""


STRANGE = [
    StrangeError("the tunnel fell in"),
    StrangeError(),
    OSError(113, "No route to host"),
    ConnectionResetError(104, "Connection reset by peer"),
    ValueError("no such thing"),
    LookupError("no such host"),
    RuntimeError("out of ports"),
    aiohttp.ClientOSError(104, "Connection reset by peer"),
    aiohttp.ServerDisconnectedError(),
    aiohttp.ClientConnectionError("no"),
]


ERRORS = pytest.mark.parametrize("error", STRANGE, ids=repr)


class Failing(aiohttp.TCPConnector):
    """A connector that cannot make its first connections, as those of aiohttp-socks cannot."""

    def __init__(self, error: Exception, times: int = 1000) -> None:
        super().__init__()
        self._error = error
        self.left = times

    async def _create_connection(self, *args: Any) -> ResponseHandler:
        if not self.left:
            return await super()._create_connection(*args)
        self.left -= 1
        raise self._error


class Silent(Failing):
    """A connector with a ``connect`` of its own, which sends no trace signals."""

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        if not self.left:
            return await super().connect(req, traces, timeout)
        self.left -= 1
        raise self._error


@asynccontextmanager
async def client_with(
    connector: aiohttp.BaseConnector, sandbox: Sandbox, **settings: Any
) -> AsyncIterator[AsyncClient]:
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        AsyncClient("sk-key", base_url=sandbox.base_url, session=session, **settings) as client,
    ):
        yield client


@ERRORS
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_connector_that_fails_means_that_nothing_was_sent(
    sandbox: Sandbox, error: Exception, method: str
) -> None:
    async with client_with(Failing(error), sandbox, retry=ONCE) as client:
        with pytest.raises(APIConnectionError, match="it was not sent") as caught:
            await client.request(method, "/v1/things")

    assert (caught.value.sent, sandbox.count()) == ("no", 0)


@ERRORS
async def test_the_error_of_the_connector_is_in_the_text_and_among_the_causes(
    sandbox: Sandbox, error: Exception
) -> None:
    async with client_with(Failing(error), sandbox, retry=ONCE) as client:
        with pytest.raises(APIConnectionError, match=type(error).__name__) as caught:
            await client.users.me()

    causes = []
    cause = caught.value.__cause__
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__
    assert error in causes


@ERRORS
async def test_a_submission_is_repeated_when_its_connector_failed(sandbox: Sandbox, error: Exception) -> None:
    async with client_with(Failing(error, times=2), sandbox, retry=AT_ONCE) as client:
        await client.lipsync.generate(video="https://cdn.test/42.mp4", audio="https://cdn.test/42.wav")

    assert len(sandbox.jobs) == 1


@pytest.mark.parametrize("kind", [Failing, Silent])
async def test_a_wait_rides_out_what_a_connector_raises(sandbox: Sandbox, kind: type[Failing]) -> None:
    policy = PollPolicy(min_interval=0.01, max_interval=0.01)
    connector = kind(StrangeError("the tunnel fell in"), times=3)
    async with client_with(connector, sandbox, polling=policy) as client:
        assert (await client.wait_until_finished("dub-episode-42", timeout=20)).is_completed

    assert connector.left == 0


@pytest.mark.parametrize("kind", [Failing, Silent])
async def test_a_wait_gives_up_on_a_connector_after_its_budget(sandbox: Sandbox, kind: type[Failing]) -> None:
    policy = PollPolicy(outage_budget=0)
    async with client_with(kind(StrangeError("the tunnel fell in")), sandbox, polling=policy) as client:
        with pytest.raises(WaitUnreachableError, match="the tunnel fell in"):
            await client.wait_until_finished("dub-episode-42")


@pytest.mark.parametrize("kind", [Failing, Silent])
async def test_a_download_rides_out_what_a_connector_raises(
    sandbox: Sandbox, tmp_path: Path, kind: type[Failing]
) -> None:
    async with AsyncClient("sk-key", base_url=sandbox.base_url) as client:
        request = await client.lipsync.requests.get("dub-episode-42")
    async with client_with(kind(StrangeError("no"), times=2), sandbox, retry=AT_ONCE) as client:
        await client.download(request, tmp_path / "42.mp4")
    async with client_with(kind(StrangeError("the tunnel fell in")), sandbox, retry=AT_ONCE) as client:
        with pytest.raises(DownloadError, match="the tunnel fell in"):
            await client.download(request, tmp_path / "43.mp4")


class Untraced(aiohttp.TCPConnector):
    """A connector that connects, and sends no trace signals."""

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        return await super().connect(req, [], timeout)


async def test_a_timeout_on_a_connection_without_trace_signals_stays_a_timeout(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.hang())
    async with client_with(Untraced(), sandbox, retry=ONCE, timeout=0.1) as client:
        with pytest.raises(APITimeoutError):
            await client.users.me()


async def test_a_connector_without_trace_signals_leaves_open_whether_anything_was_sent(sandbox: Sandbox) -> None:
    async with client_with(Silent(StrangeError("no")), sandbox, retry=ONCE) as client:
        with pytest.raises(SubmissionUncertainError) as caught:
            await client.lipsync.generate(video="https://cdn.test/42.mp4", audio="https://cdn.test/42.wav")

    assert isinstance(caught.value.__cause__, APIConnectionError)


@pytest.mark.parametrize("reused", [False, True], ids=["new connection", "reused connection"])
async def test_a_request_that_fails_on_a_connection_may_have_been_sent(raw_server: RawServer, reused: bool) -> None:
    answers = [GOOD] * reused

    async def exchange(_: bytes, writer: asyncio.StreamWriter) -> None:
        if answers:
            writer.write(answers.pop())
        else:
            writer.close()

    base_url = await raw_server(exchange)
    async with (
        aiohttp.ClientSession() as session,
        AsyncClient("sk-key", base_url=base_url, session=session, retry=ONCE) as client,
    ):
        if reused:
            await client.users.me()
        with pytest.raises(APIConnectionError) as caught:
            await client.request("POST", "/v1/things", json={})

    assert caught.value.sent == "maybe"


@pytest.mark.parametrize("signal", ["on_connection_create_end", "on_connection_reuseconn", "on_request_start"])
@pytest.mark.parametrize("error", [StrangeError("a defect"), RuntimeError("a defect")], ids=repr)
async def test_a_defect_in_the_callers_own_trace_reaches_the_caller(
    sandbox: Sandbox, signal: str, error: Exception
) -> None:
    async def defect(*_: object) -> None:
        raise error

    config = aiohttp.TraceConfig()
    getattr(config, signal).append(defect)
    async with (
        aiohttp.ClientSession(trace_configs=[config]) as session,
        AsyncClient("sk-key", base_url=sandbox.base_url, session=session, retry=ONCE) as client,
    ):
        if signal == "on_connection_reuseconn":
            await client.users.me()
        with pytest.raises(type(error), match="a defect"):
            await client.users.me()


class Slow(aiohttp.TCPConnector):
    """A connector that never gets a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun = asyncio.Event()

    async def _create_connection(self, *_: Any) -> ResponseHandler:
        self.has_begun.set()
        never: asyncio.Future[ResponseHandler] = asyncio.get_running_loop().create_future()
        return await never


async def test_a_cancellation_while_the_connection_is_made_stays_a_cancellation(sandbox: Sandbox) -> None:
    connector = Slow()
    async with client_with(connector, sandbox) as client:
        task = asyncio.create_task(client.users.me())
        await connector.has_begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert task.cancelled()
