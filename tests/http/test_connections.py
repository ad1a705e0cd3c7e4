"""Connections: those that the service has closed, those behind a failing gateway, and those that never came about."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp.client_proto import ResponseHandler

from chamelaion_async import (
    APIConnectionError,
    APITimeoutError,
    AsyncClient,
    DownloadError,
    InternalServerError,
    PollPolicy,
    RetryPolicy,
    SubmissionUncertainError,
    WaitUnreachableError,
)
from chamelaion_async.sandbox import Sandbox

ONCE = RetryPolicy(attempts=1)
AT_ONCE = RetryPolicy(initial=0, max=0)
RawServer = Callable[[Callable[[bytes, asyncio.StreamWriter], Any]], Awaitable[str]]
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n" + b'{"name": "k"}'


class Closing:
    """A server in threads of its own that closes a connection when it is told to, without having said so before."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self.received = 0
        self._tls = tls
        self._may_close = threading.Semaphore(0)
        self._has_closed = threading.Semaphore(0)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(10)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def address(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self._socket.getsockname()[1]}"

    def hang_up(self) -> None:
        """Close the connection that has been answered; the loop stands still meanwhile."""
        self._may_close.release()
        assert self._has_closed.acquire(timeout=10)

    def stop(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # ends accept, which closing does not
        self._socket.close()
        self._may_close.release(10)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                connection.settimeout(10)
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                data = b""
                while not data.endswith(b"{}"):
                    more = connection.recv(65536)
                    if not more:
                        return
                    data += more
                self.received += 1
                connection.sendall(GOOD)
                self._may_close.acquire()
        self._has_closed.release()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["plain", "TLS"])
def closing(request: pytest.FixtureRequest, authority: trustme.CA) -> Iterator[Closing]:
    context = None
    if request.param == "TLS":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(context)
    server = Closing(context)
    yield server
    server.stop()


@asynccontextmanager
async def client_of(server: Closing, authority: trustme.CA) -> AsyncIterator[AsyncClient]:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    connector = aiohttp.TCPConnector(ssl=context)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        AsyncClient("sk-key", base_url=server.address, session=session, retry=ONCE) as client,
    ):
        yield client


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_what_changes_something_is_not_sent_on_a_connection_that_the_service_has_closed(
    closing: Closing, authority: trustme.CA, method: str
) -> None:
    async with client_of(closing, authority) as client:
        for _ in range(4):
            await client.request(method, "/v1/things", json={})
            closing.hang_up()

    assert closing.received == 4


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


def answer(status: int, body: bytes = b"{}", headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d Status\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), headers, body)


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
    instances = Instances(answer(status, body), GOOD)
    async with AsyncClient("sk-key", base_url=await raw_server(instances), retry=AT_ONCE) as client:
        assert (await client.users.me()).name == "k"

    assert len(instances.connections) == 2


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_so_does_the_next_call_after_a_post(raw_server: RawServer, status: int) -> None:
    instances = Instances(answer(status), GOOD)
    async with AsyncClient("sk-key", base_url=await raw_server(instances), retry=ONCE) as client:
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


async def test_a_download_leaves_it_too(raw_server: RawServer, tmp_path: Path) -> None:
    instances = Instances(answer(503), answer(200, b"video"))
    async with AsyncClient("sk-key", retry=AT_ONCE) as client:
        await client.download(f"{await raw_server(instances)}/42.mp4", tmp_path / "42.mp4")

    assert (tmp_path / "42.mp4").read_bytes() == b"video"


async def test_a_connection_of_a_given_session_is_left_too(raw_server: RawServer) -> None:
    instances = Instances(answer(503), GOOD)
    base_url = await raw_server(instances)
    async with (
        aiohttp.ClientSession() as session,
        AsyncClient("sk-key", base_url=base_url, session=session, retry=AT_ONCE) as client,
    ):
        await client.users.me()

    assert len(instances.connections) == 2


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("status", [200, 400, 404, 429, 500, 501])
async def test_after_any_other_answer_the_connection_is_kept(raw_server: RawServer, status: int, body: bytes) -> None:
    instances = Instances(answer(status, body, b"Retry-After: 0\r\n"))
    async with AsyncClient("sk-key", base_url=await raw_server(instances), retry=ONCE) as client:
        for _ in range(3):
            with suppress(Exception):
                await client.request_raw("GET", "/v1/users/me")

    assert len(instances.connections) == 1


class StrangeError(Exception):
    """What a connector raises that is not of aiohttp's making."""


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
    """A connector with a ``connect`` of its own, which tells nothing of what it does."""

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
async def test_what_the_connector_said_is_in_the_error_and_among_its_causes(
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


async def test_a_connector_that_tells_nothing_leaves_it_open_whether_anything_was_sent(sandbox: Sandbox) -> None:
    async with client_with(Silent(StrangeError("no")), sandbox, retry=ONCE) as client:
        with pytest.raises(SubmissionUncertainError) as caught:
            await client.lipsync.generate(video="https://cdn.test/42.mp4", audio="https://cdn.test/42.wav")

    assert isinstance(caught.value.__cause__, APIConnectionError)


@pytest.mark.parametrize("reused", [False, True], ids=["new connection", "reused connection"])
async def test_what_fails_once_there_is_a_connection_may_have_been_sent(raw_server: RawServer, reused: bool) -> None:
    """An error after the connection was made proves nothing, whatever came before it."""
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
async def test_a_defect_in_the_callers_own_trace_reaches_the_caller(sandbox: Sandbox, signal: str) -> None:
    async def defect(*_: object) -> None:
        raise StrangeError("a defect")

    config = aiohttp.TraceConfig()
    getattr(config, signal).append(defect)
    async with (
        aiohttp.ClientSession(trace_configs=[config]) as session,
        AsyncClient("sk-key", base_url=sandbox.base_url, session=session, retry=ONCE) as client,
    ):
        if signal == "on_connection_reuseconn":
            await client.users.me()
        with pytest.raises(StrangeError):
            await client.users.me()


async def test_a_cancellation_while_the_connection_is_made_stays_one(sandbox: Sandbox) -> None:
    begun = asyncio.Event()

    class Slow(aiohttp.TCPConnector):
        async def _create_connection(self, *_: Any) -> ResponseHandler:
            begun.set()
            never: asyncio.Future[ResponseHandler] = asyncio.get_running_loop().create_future()
            return await never

    async with client_with(Slow(), sandbox) as client:
        task = asyncio.create_task(client.users.me())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert task.cancelled()


async def test_a_timeout_while_the_connection_is_made_is_one_of_ours(sandbox: Sandbox) -> None:
    class Slow(aiohttp.TCPConnector):
        async def _create_connection(self, *_: Any) -> ResponseHandler:
            never: asyncio.Future[ResponseHandler] = asyncio.get_running_loop().create_future()
            return await never

    async with client_with(Slow(), sandbox, retry=ONCE, timeout=0.05) as client:
        with pytest.raises(APITimeoutError) as caught:
            await client.request("POST", "/v1/things")

    assert caught.value.sent == "no"
