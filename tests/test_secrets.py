"""The key goes to the API and nowhere else: not into errors, logs and tracebacks, nor to another host."""

from __future__ import annotations

import asyncio
import base64
import copy
import gzip
import logging
import pickle
import socket
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDict

from chamelaion_async import (
    APIStatusError,
    AsyncClient,
    ChamelaionError,
    ConfigurationError,
    InvalidResponseError,
    PollPolicy,
    RetryPolicy,
    WaitTimeoutError,
)
from chamelaion_async.sandbox import Fault, Sandbox
from tests.leaks.key import KEY, TOKEN, everything, leaks

QUOTED = quote(KEY, safe="")
TWICE = RetryPolicy(attempts=2, initial=0, max=0)
RawServer = Callable[[Callable[[bytes, asyncio.StreamWriter], Any]], Any]


def answer(body: bytes, headers: bytes = b"", status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), headers, body)


def made(base_url: str, **settings: Any) -> AsyncClient:
    return AsyncClient(KEY, bearer_token=TOKEN, base_url=base_url, **{"retry": TWICE, "timeout": 5.0, **settings})


async def failure(
    client: AsyncClient, call: Callable[[AsyncClient], Awaitable[Any]] | None = None
) -> ChamelaionError:
    async with client:
        with pytest.raises(ChamelaionError) as caught:
            await (call(client) if call else client.users.me())
    return caught.value


def test_the_search_for_leaks_finds_one_in_a_message() -> None:
    assert leaks(everything(ValueError(KEY)))


def test_the_search_for_leaks_finds_one_in_a_cause() -> None:
    def translated() -> None:
        try:
            raise KeyError(KEY)
        except KeyError as error:
            raise LookupError from error

    with pytest.raises(LookupError) as caught:
        translated()

    assert any("KeyError" in leak for leak in leaks(everything(caught.value)))


ANSWERS = {
    "400": answer(b'{"error": "invalid request body"}', status=b"400 Bad Request"),
    "401": answer(b'{"error": "invalid token"}', status=b"401 Unauthorized"),
    "403": answer(b"", status=b"403 Forbidden"),
    "404": answer(b"{}", status=b"404 Not Found"),
    "412": answer(b'{"error": "token limit reached"}', status=b"412 Precondition Failed"),
    "418": answer(b"teapot", status=b"418 Teapot"),
    "429": answer(b"", b"Retry-After: 0\r\n", status=b"429 Too Many Requests"),
    "500": answer(b"<html>", status=b"500 Oops"),
    "redirect": answer(b"", b"Location: https://elsewhere.test/\r\n", status=b"302 Found"),
    "no answer": b"",
    "garbage": b"\x00\x01\x02\r\n\r\n",
    "huge header": b"HTTP/1.1 200 OK\r\nX-Big: " + b"x" * 100_000 + b"\r\n\r\n",
    "truncated": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
    "broken chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "corrupt gzip": answer(b"not gzip", b"Content-Encoding: gzip\r\n"),
    "too large": answer(gzip.compress(b"x" * 9_000_000, 1), b"Content-Encoding: gzip\r\n"),
    "empty": answer(b""),
    "html": answer(b"<html>"),
    "bad UTF-8": answer(b'"\xff"'),
    "deep nesting": answer(b"[" * 100_000),
    "null": answer(b"null"),
    "wrong type": answer(b'{"name": 5}'),
}


def saying(data: bytes) -> Callable[[bytes, asyncio.StreamWriter], Any]:
    async def exchange(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        writer.close()

    return exchange


@pytest.mark.parametrize("data", ANSWERS.values(), ids=ANSWERS)
async def test_no_answer_makes_an_error_that_shows_the_key(raw_server: RawServer, data: bytes) -> None:
    """Answers that hold the key themselves are in ``tests/leaks``."""
    assert leaks(everything(await failure(made(await raw_server(saying(data)))))) == []


class Unknown(AbstractResolver):
    """Knows no name."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise OSError(None, "Name or service not known")

    async def close(self) -> None:
        pass


async def test_an_unknown_host_does_not_show_the_key() -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Unknown())) as session:
        error = await failure(made("https://nowhere.test", session=session))

    assert leaks(everything(error)) == []


async def test_failing_tls_does_not_show_the_key() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await failure(made(f"https://127.0.0.1:{port}"))

    assert leaks(everything(error)) == []


async def test_a_refusing_proxy_does_not_show_the_key(raw_server: RawServer) -> None:
    proxy = await raw_server(saying(answer(b"", status=b"403 Forbidden")))
    async with aiohttp.ClientSession(proxy=proxy) as session:
        error = await failure(made("https://api.test", session=session))

    assert leaks(everything(error)) == []


async def test_a_closed_client_does_not_show_the_key() -> None:
    client = made("https://api.test")
    await client.aclose()
    with pytest.raises(ChamelaionError) as caught:
        await client.users.me()

    assert leaks(everything(caught.value)) == []


@pytest.mark.parametrize("how", ["closed", "cancelled"])
async def test_a_call_that_is_closed_or_cancelled_does_not_show_the_key(raw_server: RawServer, how: str) -> None:
    asked = asyncio.Event()

    async def exchange(_: bytes, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.get_running_loop().create_future()

    async with made(await raw_server(exchange)) as client:
        task = asyncio.create_task(client.users.me())
        await asked.wait()
        if how == "closed":
            await client.aclose()
        else:
            task.cancel()
        with pytest.raises((ChamelaionError, asyncio.CancelledError)) as caught:
            await task

    assert leaks(everything(caught.value)) == []


async def test_a_wait_that_times_out_does_not_show_the_key(sandbox: Sandbox) -> None:
    job = sandbox.add_job(job_seconds=3600)
    error = await failure(made(sandbox.base_url), lambda client: client.wait_until_finished(job.id, timeout=0))

    assert isinstance(error, WaitTimeoutError)
    assert leaks(everything(error)) == []


async def test_a_wait_through_an_outage_does_not_show_the_key(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.reset())
    policy = PollPolicy(outage_budget=0)
    error = await failure(made(sandbox.base_url), lambda client: client.wait_until_finished("dub-42", polling=policy))

    assert leaks(everything(error)) == []


@pytest.mark.parametrize("id", ["", "..", "\ud800", "x" * 600], ids=ascii)
async def test_a_refused_id_does_not_show_the_key(id: str) -> None:
    error = await failure(made("https://api.test"), lambda client: client.lipsync.requests.get(id))

    assert leaks(everything(error)) == []


CONSTRUCTORS: dict[str, Callable[[], object]] = {
    "base_url": lambda: AsyncClient(KEY, bearer_token=TOKEN, base_url="ftp://api.test"),
    "base_url over http": lambda: AsyncClient(KEY, bearer_token=TOKEN, base_url="http://api.test"),
    "environment": lambda: AsyncClient(KEY, bearer_token=TOKEN, environment="prod"),
    "timeout": lambda: AsyncClient(KEY, bearer_token=TOKEN, timeout=-1),
    "headers": lambda: AsyncClient(KEY, bearer_token=TOKEN, default_headers={"bad name": "x"}),
    "key with a space": lambda: AsyncClient(KEY + " x"),
    "key with a line break": lambda: AsyncClient(KEY + "\nx"),
    "key beyond ASCII": lambda: AsyncClient(KEY + "ü"),
    "key as bytes": lambda: AsyncClient(KEY.encode()),  # type: ignore[arg-type]
    "token with a space": lambda: AsyncClient(bearer_token=TOKEN + " x"),
    "token as bytes": lambda: AsyncClient(bearer_token=TOKEN.encode()),  # type: ignore[arg-type]
    "empty token beside a key": lambda: AsyncClient(KEY, bearer_token=""),
    "headers of a view": lambda: AsyncClient(KEY).with_options(default_headers={"bad name": "x"}),
    "timeout of a view": lambda: AsyncClient(KEY).with_options(timeout=0),
}


MISPLACED: dict[str, Callable[[], object]] = {
    "base_url with the key as user": lambda: AsyncClient(base_url=f"https://{QUOTED}@api.test"),
    "base_url with the key as password": lambda: AsyncClient(base_url=f"https://user:{QUOTED}@api.test"),
    "base_url with the key as query": lambda: AsyncClient(base_url=f"https://api.test?key={KEY}"),
    "base_url with the key, and broken": lambda: AsyncClient(base_url=f"https://{QUOTED}@api.test:port"),
    "key among the headers": lambda: AsyncClient(default_headers={"x-api-key": KEY}),
    "token among the headers": lambda: AsyncClient(default_headers={"Authorization": f"Bearer {TOKEN}"}),
}


@pytest.mark.parametrize("make", [*CONSTRUCTORS.values(), *MISPLACED.values()], ids=[*CONSTRUCTORS, *MISPLACED])
def test_the_text_of_a_failing_constructor_does_not_hold_the_key(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()

    assert leaks(f"{caught.value} {caught.value!r}") == []


@pytest.mark.parametrize("make", CONSTRUCTORS.values(), ids=CONSTRUCTORS)
def test_a_failing_constructor_does_not_show_the_key(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()

    assert leaks(everything(caught.value)) == []


def test_a_client_that_failed_in_its_constructor_can_be_shown() -> None:
    shown: list[str] = []

    class Studio(AsyncClient):
        def __init__(self) -> None:
            try:
                super().__init__(KEY, base_url="ftp://api.test")
            finally:
                shown.append(repr(self))  # what error trackers do with the locals of a frame

    with pytest.raises(ConfigurationError):
        Studio()

    assert shown


def test_a_failing_constructor_does_not_show_a_key_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAMELAION_API_KEY", KEY + " x")
    monkeypatch.setenv("CHAMELAION_BEARER_TOKEN", TOKEN)
    with pytest.raises(ConfigurationError) as caught:
        AsyncClient()

    assert leaks(everything(caught.value)) == []


async def test_an_excerpt_does_not_end_in_the_middle_of_a_key(raw_server: RawServer) -> None:
    base_url = await raw_server(saying(answer(b"x" * (512 - len(KEY) + 2) + KEY.encode())))
    error = await failure(made(base_url))

    assert isinstance(error, InvalidResponseError)
    assert b"sk-live" not in error.excerpt


@pytest.mark.parametrize("key", ["dub", "1", "completed", "e", "6f82a2d8"])
async def test_an_answer_that_happens_to_hold_the_key_is_not_changed(sandbox: Sandbox, key: str) -> None:
    async with AsyncClient(KEY, base_url=sandbox.base_url) as client:
        expected = await client.request_raw("GET", "/v1/lipsync/requests/dub-episode-42")
    async with AsyncClient(key, base_url=sandbox.base_url) as client:
        raw = await client.request_raw("GET", "/v1/lipsync/requests/dub-episode-42")

    assert raw.body == expected.body


@pytest.mark.parametrize("kind", [repr, str, lambda thing: repr(vars(thing))], ids=["repr", "str", "vars"])
def test_a_client_and_its_parts_do_not_show_the_key(kind: Callable[[object], str]) -> None:
    client = made("https://api.test").with_options(timeout=5.0)
    parts: list[object] = [client, client.users, client.health, client.lipsync, client.lipsync.requests]

    assert leaks(" ".join(kind(part) for part in parts)) == []


def test_a_transport_and_its_credentials_do_not_show_the_key() -> None:
    transport = made("https://api.test")._transport
    credentials = transport.credentials
    shown = f"{transport!r} {credentials!r} {[credentials]!s} {dict(credentials)} {tuple(credentials.values())}"

    assert leaks(f"{shown} {transport.headers!r}") == []


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
@pytest.mark.parametrize("kind", [dict, CIMultiDict], ids=["dict", "CIMultiDict"])
async def test_headers_that_hold_the_key_can_be_copied_and_show_it_no_more_than_before(
    duplicate: Callable[[Any], Any], kind: type
) -> None:
    headers = kind(made("https://api.test")._transport.credentials)
    copied = duplicate(headers)

    assert (copied["x-api-key"] == KEY, copied["Authorization"] == f"Bearer {TOKEN}") == (True, True)
    assert leaks(repr(copied)) == []


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_headers_that_hold_the_key_cannot_be_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="a key is not pickled"):
        pickle.dumps(dict(made("https://api.test")._transport.credentials), protocol)


async def test_no_log_record_holds_the_key(
    sandbox: Sandbox, raw_server: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in logging.root.manager.loggerDict:
        caplog.set_level(logging.DEBUG, logger=name)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0  # so that every step is logged
    try:
        async with made(sandbox.base_url) as client:
            await client.users.me()
            hasty = client.with_options(timeout=0.1)
            for fault in (Fault.status(401), Fault.reset(), Fault.garbage(), Fault.truncate(5), Fault.hang()):
                sandbox.inject(fault)
                with pytest.raises(ChamelaionError):
                    await hasty.request("POST", "/v1/users/me", json={"a": 1})
                with pytest.raises(ChamelaionError):
                    await hasty.users.me()
                sandbox.clear_faults()
        await failure(made(await raw_server(saying(answer(KEY.encode(), status=b"401 Unauthorized")))))
    finally:
        loop.set_debug(False)
        loop.slow_callback_duration = 0.1

    ours = [record for record in caplog.records if record.name == "chamelaion_async"]
    assert ours
    assert leaks(caplog.text + repr([vars(record) for record in caplog.records])) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_key_follows_no_redirect_to_another_host(
    sandbox: Sandbox, raw_server: RawServer, method: str, status: int
) -> None:
    arrived: list[bytes] = []

    async def elsewhere(request: bytes, writer: asyncio.StreamWriter) -> None:
        arrived.append(request)
        writer.write(answer(b'{"name": "thief"}'))

    sandbox.inject(Fault.redirect(await raw_server(elsewhere), status=status))
    error = await failure(
        made(sandbox.base_url), lambda client: client.request(method, "/v1/users/me", json={"a": 1})
    )

    assert isinstance(error, APIStatusError)
    assert (error.status, arrived) == (status, [])


async def test_a_redirect_within_the_host_is_not_followed_either(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.redirect("/api/v1/users/me", status=307))

    assert (await failure(made(sandbox.base_url)), sandbox.count())[1] == 1


async def test_a_session_that_is_given_never_carries_the_key(sandbox: Sandbox, raw_server: RawServer) -> None:
    arrived: list[bytes] = []

    async def elsewhere(request: bytes, writer: asyncio.StreamWriter) -> None:
        arrived.append(request)
        writer.write(answer(b"{}"))

    async with aiohttp.ClientSession() as session, made(sandbox.base_url, session=session) as client:
        await client.users.me()
        async with session.get(await raw_server(elsewhere)) as response:
            await response.read()

    assert leaks(arrived[0].decode()) == []


PASSWORD = "hunter2-5up3r53cr37"
BASIC = base64.b64encode(f"user:{PASSWORD}".encode()).decode()


def shows_password(error: BaseException) -> list[str]:
    return [line[:300] for line in everything(error).splitlines() if PASSWORD in line or BASIC in line]


def behind(proxy: str, **settings: Any) -> AsyncClient:
    return made("http://api.test", allow_http=True, proxy=proxy, **settings)


BAD_PROXIES = {
    "scheme": f"ftp://user:{PASSWORD}@proxy.test",
    "SOCKS": f"socks5://user:{PASSWORD}@proxy.test",
    "path": f"http://user:{PASSWORD}@proxy.test/path",
    "query": f"http://user:{PASSWORD}@proxy.test?{PASSWORD}",
    "port": f"http://user:{PASSWORD}@proxy.test:port",
    "no host": f"http://user:{PASSWORD}@",
    "no scheme": f"user:{PASSWORD}@proxy.test",
    "brackets": f"http://user:{PASSWORD}@[",
    "colon": f"http://us%3Aer:{PASSWORD}@proxy.test",
}


@pytest.mark.parametrize("proxy", [*BAD_PROXIES.values(), b"http://user:%s@proxy.test" % PASSWORD.encode()])
def test_a_proxy_that_is_refused_does_not_show_its_password(proxy: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        behind(proxy)

    assert shows_password(caught.value) == []


def test_a_constructor_that_fails_for_another_reason_does_not_show_the_password_of_the_proxy() -> None:
    settings = {"proxy": f"http://user:{PASSWORD}@proxy.test", "timeout": -1}
    with pytest.raises(ConfigurationError) as caught:
        AsyncClient(KEY, **settings)  # type: ignore[arg-type]

    assert shows_password(caught.value) == []


@pytest.mark.parametrize("kind", [repr, str, lambda thing: repr(vars(thing))], ids=["repr", "str", "vars"])
def test_a_client_and_its_parts_do_not_show_the_password_of_the_proxy(kind: Callable[[object], str]) -> None:
    client = behind(f"http://user:{PASSWORD}@proxy.test")
    parts = [client, client.with_options(timeout=1), client._transport.lifecycle, client.lipsync]

    shown = " ".join(kind(part) for part in parts)
    assert (PASSWORD in shown, BASIC in shown) == (False, False)


PROXY_ANSWERS = {
    "403": answer(b"", status=b"403 Forbidden"),
    "407": answer(b"", b"Proxy-Authenticate: Basic\r\n", status=b"407 Proxy Authentication Required"),
    "garbage": b"\x00\x01\x02\r\n\r\n",
    "no answer": b"",
}


async def proxy_error(
    monkeypatch: pytest.MonkeyPatch, proxy: str, base_url: str, source: str, timeout: float = 5.0
) -> ChamelaionError:
    settings: dict[str, Any] = {"allow_http": True, "timeout": timeout}
    if source == "argument":
        return await failure(made(base_url, proxy=proxy, **settings))
    if source == "environment":
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy)
        return await failure(made(base_url, trust_env=True, **settings))
    async with aiohttp.ClientSession(proxy=proxy) as session:
        return await failure(made(base_url, session=session, **settings))


@pytest.mark.parametrize("source", ["argument", "environment", "session"])
@pytest.mark.parametrize("base_url", ["http://api.test", "https://api.test"])
@pytest.mark.parametrize("data", PROXY_ANSWERS.values(), ids=PROXY_ANSWERS)
async def test_no_answer_of_a_proxy_makes_an_error_that_shows_its_password(
    raw_server: RawServer, monkeypatch: pytest.MonkeyPatch, data: bytes, base_url: str, source: str
) -> None:
    address = (await raw_server(saying(data))).removesuffix("/api").replace("//", f"//user:{PASSWORD}@")
    error = await proxy_error(monkeypatch, address, base_url, source)

    assert shows_password(error) == []


@pytest.mark.parametrize("source", ["argument", "environment", "session"])
@pytest.mark.parametrize("base_url", ["http://api.test", "https://api.test"])
async def test_a_proxy_that_cannot_be_reached_does_not_show_its_password(
    monkeypatch: pytest.MonkeyPatch, base_url: str, source: str
) -> None:
    error = await proxy_error(monkeypatch, f"http://user:{PASSWORD}@127.0.0.1:1", base_url, source)

    assert shows_password(error) == []


@pytest.mark.parametrize("proxy", BAD_PROXIES.values(), ids=BAD_PROXIES)
async def test_a_proxy_of_the_environment_that_is_refused_does_not_show_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    async with made("http://127.0.0.1:1", trust_env=True) as client:
        with pytest.raises(ChamelaionError) as caught:
            await client.users.me()

    assert shows_password(caught.value) == []
