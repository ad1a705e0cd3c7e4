"""One exchange: a call that changes something goes out on a connection that the service has not closed."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
import trustme

from chamelaion_async import AsyncClient, RetryPolicy

ONCE = RetryPolicy(attempts=1)
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n" + b'{"name": "k"}'


class Closing:
    """A server in threads of its own that closes a connection on command, without a header that announces it."""

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
async def test_a_call_that_changes_something_is_not_sent_on_a_connection_that_the_service_has_closed(
    closing: Closing, authority: trustme.CA, method: str
) -> None:
    async with client_of(closing, authority) as client:
        for _ in range(4):
            await client.request(method, "/v1/things", json={})
            closing.hang_up()

    assert closing.received == 4
