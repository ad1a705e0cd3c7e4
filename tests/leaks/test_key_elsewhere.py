"""Where the key goes, and what else goes with it: netrc, proxies, other hosts, cookies and copies of a client."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import attrs
import pytest

from chamelaion_async import AsyncClient, ChamelaionError, RetryPolicy

from .connections import Respond, connecting
from .key import KEY, TOKEN, everything, leaks
from .operations import OPERATIONS, OUTPUT_URL, Operation

pytestmark = pytest.mark.virtual_time

BASE_URL: Final = "https://api.test/api"
PROXY: Final = "http://proxy.test:3128"
VARIABLES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY", "NO_PROXY")
NETRC: Final = "".join(
    f"machine {host} login netrc-user password netrc-password\n"
    for host in ("api.test", "storage.test", "proxy.test", "default")
)


@attrs.define
class Network:
    """Every host there is. It records each request with its host, and answers with ``respond``.

    Attributes:
        respond: Answers a request.
        asked: Host and request of each.
    """

    respond: Respond
    asked: list[tuple[str, str]] = attrs.Factory(list)

    async def connect(self, connector: aiohttp.BaseConnector, request: Any, *rest: object) -> Any:
        host = (request.proxy or request.url).host

        def noted(data: bytes) -> bytes | Exception:
            self.asked.append((host, data.decode("latin-1")))
            return self.respond(data)

        return await connecting(noted)(connector, request, *rest)

    def headers(self, name: str) -> list[str]:
        """Return the values of a header in all that was asked."""
        return [
            line.partition(":")[2].strip()
            for _, request in self.asked
            for line in request.partition("\r\n\r\n")[0].split("\r\n")
            if line.lower().startswith(f"{name}:")
        ]


def good(_: bytes) -> bytes:
    return b'HTTP/1.1 200 OK\r\nSet-Cookie: crumb=1; Path=/\r\nContent-Length: 14\r\n\r\n{"name": "me"}'


@pytest.fixture
async def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    made = Network(good)

    async def create(connector: aiohttp.BaseConnector, request: Any, *rest: object) -> Any:
        return await made.connect(connector, request, *rest)

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", create)
    return made


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials for every host lie in both places where netrc is looked for, and a proxy is named for all."""
    home = tmp_path / "home"
    home.mkdir()
    for file in (home / ".netrc", tmp_path / "netrc"):
        file.write_text(NETRC)
        file.chmod(0o600)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in VARIABLES:
        for spelling in (name, name.lower()):
            monkeypatch.setenv(spelling, "" if name == "NO_PROXY" else PROXY)


def made(**settings: Any) -> AsyncClient:
    retry = RetryPolicy(attempts=1)
    return AsyncClient(KEY, bearer_token=TOKEN, base_url=BASE_URL, retry=retry, timeout=1.0, **settings)


async def outcome(operation: Operation, client: AsyncClient, folder: Path) -> None:
    """Do it; what comes of it is not the question here."""
    with suppress(ChamelaionError):
        await operation(client, folder)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_neither_netrc_nor_a_proxy_of_the_environment_is_used(
    network: Network, tmp_path: Path, operation: Operation
) -> None:
    async with made() as client:
        await outcome(operation, client, tmp_path)

    assert {host for host, _ in network.asked} == {"api.test"}
    assert set(network.headers("authorization")) <= {f"Bearer {TOKEN}"}
    assert network.headers("proxy-authorization") == []


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_only_the_api_is_told_the_key(network: Network, tmp_path: Path, operation: Operation) -> None:
    async with made() as client:
        await outcome(operation, client, tmp_path)

    is_told = operation not in {OPERATIONS["download"], OPERATIONS["health.check"]}
    assert [KEY in request and TOKEN in request for _, request in network.asked] == [is_told] * len(network.asked)
    assert network.asked


async def test_a_key_alone_goes_without_credentials_of_netrc(network: Network, tmp_path: Path) -> None:
    async with AsyncClient(KEY, base_url=BASE_URL) as client:
        await outcome(OPERATIONS["users.me"], client, tmp_path)
        await outcome(OPERATIONS["download"], client, tmp_path)

    assert (network.headers("x-api-key"), network.headers("authorization")) == ([KEY], [])


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_no_cookie_is_taken_or_sent(network: Network, tmp_path: Path, operation: Operation) -> None:
    async with made() as client:
        for number in range(2):
            folder = tmp_path / str(number)
            folder.mkdir()
            await outcome(operation, client, folder)

    assert network.headers("cookie") == []


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_download_tells_no_host_of_a_chain_of_redirects_the_key(
    network: Network, tmp_path: Path, status: str
) -> None:
    hops = iter(["https://storage.test/1", "https://api.test/api/v1/users/me", "https://other.test/2"])

    def respond(request: bytes) -> bytes:
        target = next(hops, None)
        if target is None:
            return good(request)
        head = f"HTTP/1.1 {status}\r\nLocation: {target}\r\nSet-Cookie: crumb=1; Path=/; Domain=test\r\n"
        return f"{head}Content-Length: 0\r\n\r\n".encode()

    network.respond = respond
    async with made() as client:
        await client.download(OUTPUT_URL, tmp_path / "out.mp4")

    assert [host for host, _ in network.asked] == ["api.test", "storage.test", "api.test", "other.test"]
    assert leaks("\n".join(request for _, request in network.asked)) == []
    assert [network.headers(name) for name in ("cookie", "authorization", "x-api-key", "referer")] == [[]] * 4


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
@pytest.mark.parametrize("operation", [it for name, it in OPERATIONS.items() if name != "download"])
async def test_no_call_follows_a_redirect(
    network: Network, tmp_path: Path, operation: Operation, status: int
) -> None:
    network.respond = lambda _: (
        f"HTTP/1.1 {status} Elsewhere\r\nLocation: https://elsewhere.test/\r\nContent-Length: 0\r\n\r\n".encode()
    )
    async with made() as client:
        await outcome(operation, client, tmp_path)

    assert {host for host, _ in network.asked} == {"api.test"}


PARTS: Final[dict[str, Callable[[AsyncClient], object]]] = {
    "client": lambda client: client,
    "view": lambda client: client.with_options(timeout=2.0),
    "health": lambda client: client.health,
    "users": lambda client: client.users,
    "lipsync": lambda client: client.lipsync,
    "requests": lambda client: client.lipsync.requests,
    "transport": lambda client: client._transport,
}
"""What a program may hold of a client, and with it hand to another process."""


@pytest.mark.parametrize("duplicate", [partial(pickle.dumps, protocol=n) for n in range(6)] + [copy.deepcopy])
@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_a_key_leaves_the_process_with_no_part_of_a_client(
    part: Callable[[AsyncClient], object], duplicate: Callable[[object], object]
) -> None:
    with pytest.raises((TypeError, AttributeError)) as caught:
        duplicate(part(made()))

    assert leaks(everything(caught.value)) == []
