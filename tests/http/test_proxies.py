"""``proxy`` and ``trust_env``: which calls go through which proxy, and which credentials the proxy gets."""

from __future__ import annotations

import asyncio
import base64
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from chamelaion_async import APIConnectionError, AsyncClient, ConfigurationError, RetryPolicy
from chamelaion_async.sandbox import Sandbox

ONCE = RetryPolicy(attempts=1)
API = "http://api.test/api"
ME = b"GET http://api.test/api/v1/users/me HTTP/1.1"
RawServer = Callable[[Callable[[bytes, asyncio.StreamWriter], Any]], Awaitable[str]]
Start = Callable[..., Awaitable["Stub"]]


class Stub:
    """A proxy that records its requests and answers them itself."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.address = ""
        self.requests: list[bytes] = []

    async def __call__(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request)
        writer.write(self.answer)

    @property
    def targets(self) -> list[bytes]:
        return [request.split(b"\r\n", 1)[0] for request in self.requests]

    @property
    def credentials(self) -> list[str]:
        """The decoded Proxy-Authorization of each request that has one."""
        prefix = b"proxy-authorization: basic "
        return [
            base64.b64decode(line[len(prefix) :]).decode()
            for request in self.requests
            for line in request.split(b"\r\n")
            if line.lower().startswith(prefix)
        ]

    def with_credentials(self, credentials: str) -> str:
        return self.address.replace("//", f"//{credentials}@")


@pytest.fixture(autouse=True)
def _netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """netrc holds credentials for every host, which must not be sent."""
    file = tmp_path / "netrc"
    hosts = ("127.0.0.1", "localhost", "api.test", "default")
    file.write_text("".join(f"machine {host} login netrc-user password netrc-password\n" for host in hosts))
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))


@pytest.fixture
def start(raw_server: RawServer) -> Start:
    async def started(status: bytes = b"200 OK", body: bytes = b'{"name": "k"}') -> Stub:
        proxy = Stub(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
        proxy.address = (await raw_server(proxy)).removesuffix("/api")
        return proxy

    return started


def made(**settings: Any) -> AsyncClient:
    return AsyncClient("sk-key", **{"base_url": API, "allow_http": True, "retry": ONCE, **settings})


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("", "must begin with http"),
        ("proxy.example.com", "must begin with http"),
        ("proxy.example.com:3128", "must begin with http"),
        ("ftp://proxy.example.com", "must begin with http"),
        ("http://", "must begin with http"),
        ("http://no host", "must begin with http"),
        ("http://proxy.example.com:0", "must begin with http"),
        ("http://[nowhere", "is not a URL"),
        ("http://proxy.example.com:port", "is not a URL"),
        ("socks5://proxy.example.com:1080", "aiohttp-socks"),
        ("socks4a://proxy.example.com:1080", "aiohttp-socks"),
        ("http://proxy.example.com/path", "base_url"),
        ("http://proxy.example.com?query=1", "base_url"),
        ("http://a%3Ab:password@proxy.example.com", "colon"),
        (5, "must begin with http"),
        (b"http://proxy.example.com", "must begin with http"),
        ({"https": "http://proxy.example.com"}, "must begin with http"),
        (True, "must begin with http"),
    ],
    ids=repr,
)
def test_an_argument_that_is_no_proxy_is_refused_by_the_constructor(proxy: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        made(proxy=proxy)


@pytest.mark.parametrize("trust_env", [1, 0, None, "yes", "false"])
def test_a_trust_env_that_is_no_bool_is_refused_by_the_constructor(trust_env: Any) -> None:
    with pytest.raises(ConfigurationError, match="trust_env must be True or False"):
        made(trust_env=trust_env)


@pytest.mark.parametrize("setting", [{"proxy": "http://proxy.example.com"}, {"trust_env": True}], ids=repr)
async def test_a_session_has_a_proxy_of_its_own(setting: dict[str, Any]) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ConfigurationError, match="must not be passed with session"):
            made(session=session, **setting)


@pytest.mark.parametrize(
    "make",
    [
        lambda address: address,
        lambda address: address + "/",
        lambda address: address.replace("http", "HTTP"),
        lambda address: f" {address}".strip(),
        URL,
    ],
)
async def test_every_call_goes_through_the_proxy(start: Start, make: Callable[[str], Any]) -> None:
    proxy = await start()
    async with made(proxy=make(proxy.address)) as client:
        await client.users.me()
        await client.with_options(timeout=5).request("POST", "/v1/things", json={})

    assert proxy.targets == [ME, b"POST http://api.test/api/v1/things HTTP/1.1"]


async def test_a_download_goes_through_the_proxy(start: Start, tmp_path: Path) -> None:
    proxy = await start(body=b"video")
    async with made(proxy=proxy.with_credentials("user:password")) as client:
        await client.download("http://storage.test/42.mp4", tmp_path / "42.mp4")

    assert (proxy.targets, proxy.credentials) == ([b"GET http://storage.test/42.mp4 HTTP/1.1"], ["user:password"])


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("user:password", "user:password"),
        ("user", "user:"),
        (":password", ":password"),
        ("user:pass:word", "user:pass:word"),
        ("us%40er:p%2Fw%25", "us@er:p/w%"),
        ("müller:pässword", "müller:pässword"),
    ],
)
async def test_the_credentials_in_its_address_are_sent_to_the_proxy(start: Start, written: str, sent: str) -> None:
    proxy = await start()
    async with made(proxy=proxy.with_credentials(written)) as client:
        await client.users.me()

    assert proxy.credentials == [sent]


async def test_a_proxy_without_credentials_gets_none(start: Start) -> None:
    proxy = await start()
    async with made(proxy=proxy.address) as client:
        await client.users.me()

    assert b"authorization" not in proxy.requests[0].lower()


async def test_an_https_api_is_reached_through_a_tunnel_that_shows_the_proxy_nothing(start: Start) -> None:
    proxy = await start(b"403 Forbidden")
    async with made(base_url="https://api.test/api", proxy=proxy.with_credentials("user:password")) as client:
        with pytest.raises(APIConnectionError) as caught:
            await client.request("POST", "/v1/things", json={})

    assert (proxy.targets, proxy.credentials) == ([b"CONNECT api.test:443 HTTP/1.1"], ["user:password"])
    assert (b"sk-key" in proxy.requests[0], caught.value.sent) == (False, "no")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
        b"garbage\r\n\r\n",
        b"",
    ],
    ids=repr,
)
async def test_a_tunnel_that_the_proxy_does_not_make_means_that_nothing_was_sent(
    raw_server: RawServer, answer: bytes
) -> None:
    async def exchange(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    proxy = (await raw_server(exchange)).removesuffix("/api")
    async with made(base_url="https://api.test/api", proxy=proxy) as client:
        with pytest.raises(APIConnectionError, match="it was not sent") as caught:
            await client.request("POST", "/v1/things", json={})

    assert caught.value.sent == "no"


async def test_a_proxy_that_cannot_be_reached_means_that_nothing_was_sent() -> None:
    async with made(proxy="http://127.0.0.1:1") as client:
        with pytest.raises(APIConnectionError, match="it was not sent") as caught:
            await client.request("POST", "/v1/things", json={})

    assert caught.value.sent == "no"


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY"])
async def test_the_proxy_of_the_environment_is_taken_on_request(
    start: Start, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    proxy = await start()
    monkeypatch.setenv(name, proxy.with_credentials("user:password"))
    async with made(trust_env=True) as client:
        await client.users.me()

    assert (proxy.targets, proxy.credentials) == ([ME], ["user:password"])


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY"])
async def test_the_environment_names_a_proxy_for_https_of_its_own(
    start: Start, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    proxy, other = await start(b"403 Forbidden"), await start()
    monkeypatch.setenv(name, proxy.with_credentials("user:password"))
    monkeypatch.setenv("HTTP_PROXY", other.address)
    async with made(base_url="https://api.test/api", trust_env=True) as client:
        with pytest.raises(APIConnectionError):
            await client.users.me()

    assert (proxy.targets, proxy.credentials) == ([b"CONNECT api.test:443 HTTP/1.1"], ["user:password"])
    assert other.requests == []


async def test_a_proxy_of_the_environment_may_lack_its_scheme(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = await start()
    monkeypatch.setenv("HTTP_PROXY", proxy.address.removeprefix("http://"))
    async with made(trust_env=True) as client:
        await client.users.me()

    assert proxy.targets == [ME]


async def test_the_environment_is_read_at_every_call(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = await start(), await start()
    async with made(trust_env=True) as client:
        for proxy in (first, second):
            monkeypatch.setenv("HTTP_PROXY", proxy.address)
            await client.users.me()

    assert (len(first.requests), len(second.requests)) == (1, 1)


async def test_netrc_is_read_neither_for_the_api_nor_for_the_proxy(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = await start()
    monkeypatch.setenv("HTTP_PROXY", proxy.address)
    async with made(trust_env=True) as client:
        await client.users.me()

    assert b"authorization" not in proxy.requests[0].lower()


@pytest.mark.parametrize("source", ["address", "proxy_auth", "environment"])
async def test_the_proxy_of_a_session_gets_the_calls_and_only_its_own_credentials(
    start: Start, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    proxy, other = await start(), await start()
    settings: dict[str, Any] = {"trust_env": True}
    monkeypatch.setenv("HTTP_PROXY", other.address)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        if source == "address":
            settings["proxy"] = proxy.with_credentials("user:password")
        elif source == "proxy_auth":
            settings |= {"proxy": proxy.address, "proxy_auth": aiohttp.BasicAuth("user", "password")}
        else:
            monkeypatch.setenv("HTTP_PROXY", proxy.with_credentials("user:password"))
        session = aiohttp.ClientSession(**settings)
    async with session, made(session=session) as client:
        await client.users.me()

    assert (proxy.targets, proxy.credentials, other.requests) == ([ME], ["user:password"], [])
    assert b"\r\nauthorization:" not in proxy.requests[0].lower()


@pytest.mark.parametrize("proxy", ["http://[nowhere", "socks5://127.0.0.1:1", "nonsense", "http://"])
async def test_a_session_whose_proxy_cannot_work_is_refused(proxy: str) -> None:
    async with aiohttp.ClientSession(proxy=proxy) as session:
        with pytest.raises(ConfigurationError, match="the proxy of the aiohttp session"):
            made(session=session)


@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "other.test, 127.0.0.1", "127.0.0.1:{port}"])
async def test_a_host_that_no_proxy_names_is_reached_directly(
    start: Start, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, exempt: str
) -> None:
    proxy = await start()
    monkeypatch.setenv("HTTP_PROXY", proxy.address)
    monkeypatch.setenv("NO_PROXY", exempt.format(port=URL(sandbox.base_url).port))
    async with made(base_url=sandbox.base_url, trust_env=True) as client:
        await client.users.me()

    assert (proxy.requests, sandbox.count()) == ([], 1)


@pytest.mark.parametrize("exempt", ["", "other.test", "127.0.0.1:1"])
async def test_a_host_that_no_proxy_does_not_name_goes_through_the_proxy(
    start: Start, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, exempt: str
) -> None:
    proxy = await start()
    monkeypatch.setenv("HTTP_PROXY", proxy.address)
    monkeypatch.setenv("NO_PROXY", exempt)
    async with made(base_url=sandbox.base_url, trust_env=True) as client:
        await client.users.me()

    assert (len(proxy.requests), sandbox.count()) == (1, 0)


@pytest.mark.parametrize("has_session", [False, True], ids=["own session", "given session"])
async def test_the_environment_is_not_read_by_default(
    start: Start, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, has_session: bool
) -> None:
    proxy = await start()
    monkeypatch.setenv("HTTP_PROXY", proxy.address)
    async with (
        aiohttp.ClientSession() as session,
        made(base_url=sandbox.base_url, session=session if has_session else None) as client,
    ):
        await client.users.me()

    assert (proxy.requests, sandbox.count()) == ([], 1)


async def test_the_proxy_given_beats_that_of_the_environment(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    given, named = await start(), await start()
    monkeypatch.setenv("HTTP_PROXY", named.address)
    monkeypatch.setenv("NO_PROXY", "*")
    async with made(proxy=given.address, trust_env=True) as client:
        await client.users.me()

    assert (len(given.requests), len(named.requests)) == (1, 0)


@pytest.mark.parametrize("name", ["all_proxy", "ALL_PROXY"])
async def test_a_proxy_for_all_schemes_is_not_read(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with made(base_url=sandbox.base_url, trust_env=True) as client:
        await client.users.me()

    assert sandbox.count() == 1


@pytest.mark.parametrize("proxy", ["http://", "http://[nowhere", "socks5://127.0.0.1:1080", "ftp://proxy", "::"])
async def test_an_environment_that_names_no_proxy_is_an_error_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    async with made(trust_env=True) as client:
        with pytest.raises(ConfigurationError, match="the proxy that HTTP_PROXY in the environment names"):
            await client.users.me()
