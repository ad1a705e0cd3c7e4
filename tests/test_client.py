"""What a client is made of: its settings, its views, and the calls that have no method of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from aioresponses import aioresponses

from chamelaion_async import (
    APITimeoutError,
    AsyncClient,
    ClientClosedError,
    ConfigurationError,
    InternalServerError,
    InvalidResponseError,
    Pace,
    RawResponse,
    RetryPolicy,
)
from chamelaion_async.sandbox import Fault, Sandbox

PRODUCTION = "https://api.chamelaion.com/api"
STAGING = "https://api.dev.chamelaion.com/api"
ME = "https://api.example.com/api/v1/users/me"
ONCE = RetryPolicy(attempts=1)
RawServer = Callable[[Callable[[bytes, asyncio.StreamWriter], Any]], Any]


class Recorder:
    """A server that records whole requests and answers them all alike."""

    def __init__(self) -> None:
        self.base_url = ""
        self.requests: list[bytes] = []
        self.writers: set[asyncio.StreamWriter] = set()

    async def __call__(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request)
        self.writers.add(writer)
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"name": "k"}')

    def client(self, **options: Any) -> AsyncClient:
        return AsyncClient(**{"api_key": "sk-key", "base_url": self.base_url, **options})

    @property
    def targets(self) -> list[bytes]:
        return [request.split(b"\r\n", 1)[0] for request in self.requests]

    @property
    def headers(self) -> dict[str, str]:
        lines = self.requests[-1].split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def body(self) -> bytes:
        return self.requests[-1].split(b"\r\n\r\n", 1)[1]


@pytest.fixture
async def recorder(raw_server: RawServer) -> Recorder:
    made = Recorder()
    made.base_url = await raw_server(made)
    return made


@pytest.mark.parametrize(
    ("arguments", "variable", "expected"),
    [
        ({}, None, PRODUCTION),
        ({"environment": "production"}, None, PRODUCTION),
        ({"environment": "staging"}, None, STAGING),
        ({}, "https://env.example/api", "https://env.example/api"),
        ({}, " https://env.example/api\n", "https://env.example/api"),
        ({}, "", PRODUCTION),
        ({}, "  ", PRODUCTION),
        ({"environment": "staging"}, "https://env.example/api", STAGING),
        ({"environment": "production"}, "https://env.example/api", PRODUCTION),
        ({"base_url": "https://arg.example/api"}, "https://env.example/api", "https://arg.example/api"),
        ({"base_url": "https://arg.example/api", "environment": "staging"}, None, "https://arg.example/api"),
        ({"base_url": "https://arg.example/api/"}, None, "https://arg.example/api"),
        ({"base_url": "https://arg.example"}, None, "https://arg.example"),
        ({"base_url": "https://arg.example:8443/"}, None, "https://arg.example:8443"),
        ({"base_url": "http://127.0.0.1:8787/api"}, None, "http://127.0.0.1:8787/api"),
        ({"base_url": "http://127.8.9.10"}, None, "http://127.8.9.10"),
        ({"base_url": "http://localhost:1"}, None, "http://localhost:1"),
        ({"base_url": "http://[::1]:8787"}, None, "http://[::1]:8787"),
        ({"base_url": "http://api.internal", "allow_http": True}, None, "http://api.internal"),
    ],
)
def test_base_url_comes_from_argument_then_environment_then_variable(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], variable: str | None, expected: str
) -> None:
    if variable is not None:
        monkeypatch.setenv("CHAMELAION_BASE_URL", variable)

    assert AsyncClient("sk-key", **arguments).base_url == expected


@pytest.mark.parametrize("environment", ["prod", "", "Production", "dev", 5], ids=repr)
@pytest.mark.parametrize("base_url", [None, "https://arg.example"])
def test_an_unknown_environment_names_the_known_ones(environment: Any, base_url: str | None) -> None:
    with pytest.raises(ConfigurationError, match="production, staging"):
        AsyncClient("sk-key", environment=environment, base_url=base_url)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "/api",
        "api.example.com",
        "api.example.com/api",
        "//api.example.com",
        "ftp://api.example.com",
        "ws://api.example.com",
        "file:///etc/passwd",
        "https://",
        "https:///api",
        "https://[::1",
        "https://api.example.com:0",
        "https://api.example.com:99999",
        "https://api.example.com:port",
        "https://api.example.com/api?key=1",
        "https://api.example.com/api#top",
        "https://user@api.example.com",
        "https://user:pass@api.example.com",
        "http://api.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://0.0.0.0",
        "http://10.0.0.1",
        "http://[2001:db8::1]",
        "\ud800",
        "https://api.example.com\r\nx: y",
        5,
        b"https://api.example.com",
    ],
    ids=ascii,
)
def test_a_base_url_where_nothing_should_be_sent_is_refused(base_url: Any) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        AsyncClient("sk-key", base_url=base_url)


def test_a_bad_base_url_in_the_environment_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAMELAION_BASE_URL", "http://api.example.com")

    with pytest.raises(ConfigurationError, match="allow_http"):
        AsyncClient("sk-key")


@pytest.mark.parametrize(
    ("arguments", "variables", "expected"),
    [
        ({"api_key": "sk-arg"}, {}, ("sk-arg", None)),
        ({"bearer_token": "tok-arg"}, {}, (None, "Bearer tok-arg")),
        ({"api_key": "sk-arg", "bearer_token": "tok-arg"}, {}, ("sk-arg", "Bearer tok-arg")),
        ({}, {"CHAMELAION_API_KEY": "sk-env"}, ("sk-env", None)),
        ({}, {"CHAMELAION_BEARER_TOKEN": "tok-env"}, (None, "Bearer tok-env")),
        (
            {},
            {"CHAMELAION_API_KEY": "sk-env", "CHAMELAION_BEARER_TOKEN": "tok-env"},
            ("sk-env", "Bearer tok-env"),
        ),
        ({"api_key": "sk-arg"}, {"CHAMELAION_API_KEY": "sk-env"}, ("sk-arg", None)),
        ({"bearer_token": "tok-arg"}, {"CHAMELAION_BEARER_TOKEN": "tok-env"}, (None, "Bearer tok-arg")),
        ({"api_key": "sk-arg"}, {"CHAMELAION_BEARER_TOKEN": "tok-env"}, ("sk-arg", "Bearer tok-env")),
        ({"api_key": " sk-arg\n"}, {}, ("sk-arg", None)),
        ({}, {"CHAMELAION_API_KEY": "sk-env\n"}, ("sk-env", None)),
        ({"api_key": "sk-arg"}, {"CHAMELAION_BEARER_TOKEN": " "}, ("sk-arg", None)),
    ],
)
async def test_credentials_travel_in_their_headers(
    monkeypatch: pytest.MonkeyPatch,
    recorder: Recorder,
    arguments: dict[str, str],
    variables: dict[str, str],
    expected: tuple[str | None, str | None],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with recorder.client(**{"api_key": None, **arguments}) as client:
        await client.users.me()

    assert (recorder.headers.get("x-api-key"), recorder.headers.get("authorization")) == expected


@pytest.mark.parametrize("variable", [None, "CHAMELAION_API_KEY", "CHAMELAION_BEARER_TOKEN"])
async def test_a_client_without_credentials_says_so_at_the_first_call_that_needs_one(
    monkeypatch: pytest.MonkeyPatch, mock: aioresponses, variable: str | None
) -> None:
    if variable is not None:
        monkeypatch.setenv(variable, "")
    async with AsyncClient(base_url="https://api.example.com/api") as client:
        with pytest.raises(ConfigurationError, match=r"needs credentials.*CHAMELAION_API_KEY"):
            await client.users.me()

    assert mock.requests == {}


@pytest.mark.parametrize("value", ["", "  ", "two words", "a\nb", "a\r\nx: y", "schlüssel", "sk\x00", b"sk", 5, True])
@pytest.mark.parametrize("name", ["api_key", "bearer_token"])
def test_credentials_that_no_header_can_carry_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        AsyncClient(**{name: value})


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "5", True], ids=repr)
def test_a_timeout_that_cannot_work_is_refused(timeout: Any) -> None:
    for take in (partial(AsyncClient, "sk-key"), AsyncClient("sk-key").with_options):
        with pytest.raises(ConfigurationError, match="timeout"):
            take(timeout=timeout)


async def test_default_headers_are_sent_as_they_were_when_the_client_was_made(recorder: Recorder) -> None:
    headers = {"X-Team": "dubbing"}
    async with recorder.client(default_headers=headers) as client:
        headers["X-Team"] = "changed"
        await client.users.me()

    assert recorder.headers["x-team"] == "dubbing"
    assert recorder.headers["user-agent"].startswith("chamelaion-async/")


@pytest.mark.parametrize("name", ["User-Agent", "user-agent", "Accept", "ACCEPT"])
async def test_default_headers_replace_our_own(recorder: Recorder, name: str) -> None:
    async with recorder.client(default_headers={name: "mine"}) as client:
        await client.users.me()

    lines = recorder.requests[0].lower().split(b"\r\n")
    assert [line for line in lines if line.startswith(name.lower().encode() + b":")] == [
        name.lower().encode() + b": mine"
    ]


@pytest.mark.parametrize("name", ["x-api-key", "X-API-Key", "Authorization", "Cookie", "proxy-authorization"])
def test_default_headers_must_not_hold_credentials(name: str) -> None:
    for take in (partial(AsyncClient, "sk-key"), AsyncClient("sk-key").with_options):
        with pytest.raises(ConfigurationError, match="api_key or bearer_token"):
            take(default_headers={name: "x"})


@pytest.mark.parametrize(
    "headers",
    [
        {"": "x"},
        {"two words": "x"},
        {"x:y": "x"},
        {"x\r\ny": "x"},
        {"ü": "x"},
        {5: "x"},
        {"X-Team": "a\r\nx-api-key: y"},
        {"X-Team": "a\nb"},
        {"X-Team": "a\x00"},
        {"X-Team": "\ud800"},
        {"X-Team": 5},
        {"X-Team": None},
        {"X-Team": b"x"},
    ],
    ids=ascii,
)
def test_default_headers_that_cannot_be_sent_are_refused(headers: Any) -> None:
    with pytest.raises(ConfigurationError, match="default_headers"):
        AsyncClient("sk-key", default_headers=headers)


async def test_a_view_adds_its_headers_and_leaves_those_of_the_client(recorder: Recorder) -> None:
    headers = {"X-Team": "dubbing", "X-Show": "a"}
    async with recorder.client(bearer_token="tok", default_headers=headers) as client:
        view = client.with_options(default_headers={"x-SHOW": "b", "X-New": "c"})
        sent = []
        for each in (view, client):
            await each.users.me()
            names = ("x-team", "x-show", "x-new", "x-api-key", "authorization")
            sent.append([recorder.headers.get(name) for name in names])

    assert sent == [["dubbing", show, new, "sk-key", "Bearer tok"] for show, new in (("b", "c"), ("a", None))]


async def test_a_view_shares_the_connections_of_the_client(recorder: Recorder) -> None:
    async with recorder.client() as client:
        await client.users.me()
        await client.with_options(timeout=5).users.me()

    assert (len(recorder.requests), len(recorder.writers)) == (2, 1)


@pytest.mark.virtual_time
async def test_a_view_shares_the_lanes_of_the_client(mock: aioresponses) -> None:
    mock.get(ME, payload={"name": "k"}, repeat=True)
    loop = asyncio.get_running_loop()
    async with AsyncClient("sk-key", base_url="https://api.example.com/api", pace=Pace(max_rate=0.5)) as client:
        began = loop.time()
        await client.users.me()
        await client.with_options(timeout=5).users.me()

        assert loop.time() - began == pytest.approx(2.0)


@pytest.mark.virtual_time
async def test_a_view_has_a_retry_policy_of_its_own(client: AsyncClient, mock: aioresponses) -> None:
    mock.get(ME, status=500, repeat=True)
    for each, attempts in ((client.with_options(retry=ONCE), 1), (client, 3)):
        with pytest.raises(InternalServerError) as caught:
            await each.users.me()

        assert caught.value.attempts == attempts


async def test_a_view_of_a_view_keeps_what_it_does_not_change(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.hang(), times=1)
    async with AsyncClient("sk-key", base_url=sandbox.base_url) as client:
        with pytest.raises(APITimeoutError, match=r"within 0\.05 s") as caught:
            await client.with_options(timeout=0.05).with_options(retry=ONCE).users.me()

    assert caught.value.attempts == 1


async def test_closing_a_view_closes_the_client() -> None:
    client = AsyncClient("sk-key")
    await client.with_options(timeout=5).aclose()

    assert client.is_closed


async def test_closing_the_client_closes_its_views() -> None:
    client = AsyncClient("sk-key")
    view = client.with_options(timeout=5)
    await client.aclose()

    with pytest.raises(ClientClosedError):
        await view.users.me()


def test_a_view_is_of_the_class_of_the_client() -> None:
    class Studio(AsyncClient):
        pass

    assert type(Studio("sk-key").with_options(timeout=5)) is Studio


async def test_the_repr_shows_where_calls_go_and_whether_the_client_is_closed() -> None:
    client = AsyncClient("sk-key", base_url="https://api.example.com/api")
    assert repr(client) == "<AsyncClient https://api.example.com/api>"

    await client.aclose()

    assert repr(client) == "<AsyncClient https://api.example.com/api closed>"


async def test_request_returns_decoded_json(client: AsyncClient, mock: aioresponses) -> None:
    mock.get(ME, payload={"name": "k", "new": [1, 2.5, None, True]})

    assert await client.request("GET", "/v1/users/me") == {"name": "k", "new": [1, 2.5, None, True]}


@pytest.mark.parametrize(
    ("params", "query"),
    [
        (None, ""),
        ({}, ""),
        ({"status": None}, ""),
        ({"limit": 20, "status": None}, "?limit=20"),
        ({"limit": 0}, "?limit=0"),
        ({"favorite": True}, "?favorite=true"),
        ({"favorite": False}, "?favorite=false"),
        ({"rate": 2.5}, "?rate=2.5"),
        ({"search": ""}, "?search="),
        ({"search": "a b&c=d#e?f/g+h%20"}, "?search=a+b%26c%3Dd%23e%3Ff%2Fg%2Bh%2520"),
        ({"search": "日"}, "?search=%E6%97%A5"),
        ({"a&b": "c"}, "?a%26b=c"),
        ({"id": ["a", "b"]}, "?id=a&id=b"),
        ({"id": []}, ""),
        ({"id": (i for i in ("a", "b"))}, "?id=a&id=b"),
        ({"flag": [True, False]}, "?flag=true&flag=false"),
    ],
)
async def test_params_are_sent_as_the_api_reads_them(recorder: Recorder, params: Any, query: str) -> None:
    async with recorder.client() as client:
        await client.request("GET", "/v1/things", params=params)

    assert recorder.targets == [f"GET /api/v1/things{query} HTTP/1.1".encode()]


@pytest.mark.virtual_time
async def test_params_given_as_an_iterator_are_sent_again_in_full(client: AsyncClient, mock: aioresponses) -> None:
    mock.get("https://api.example.com/api/v1/things?id=a&id=b", status=500)
    mock.get("https://api.example.com/api/v1/things?id=a&id=b", payload=[])

    assert await client.request("GET", "/v1/things", params={"id": iter(["a", "b"])}) == []


@pytest.mark.parametrize("params", [{"search": "\ud800"}, {"\ud800": "x"}, {"id": ["\ud800"]}], ids=ascii)
async def test_params_that_cannot_be_encoded_are_refused(
    client: AsyncClient, mock: aioresponses, params: Any
) -> None:
    with pytest.raises(ConfigurationError, match="UTF-8"):
        await client.request("GET", "/v1/things", params=params)

    assert mock.requests == {}


@pytest.mark.parametrize("body", [{"a": [1, None, "ü"]}, [], {}, 0, False, "text"], ids=repr)
async def test_a_json_body_arrives_as_it_is(recorder: Recorder, body: Any) -> None:
    async with recorder.client() as client:
        await client.request("POST", "/v1/things", json=body)
        assert (recorder.headers["content-type"], json.loads(recorder.body)) == ("application/json", body)

        await client.request("POST", "/v1/things")
        assert recorder.body == b""


@pytest.mark.parametrize("body", [{1, 2}, b"bytes", object(), {"a": {1}}], ids=["set", "bytes", "object", "inner"])
async def test_a_body_that_is_not_json_is_refused_before_anything_is_sent(recorder: Recorder, body: Any) -> None:
    async with recorder.client() as client:
        with pytest.raises(ConfigurationError):
            await client.request("POST", "/v1/things", json=body)

    assert recorder.requests == []


@pytest.mark.parametrize("status", [200, 204])
async def test_an_empty_answer_is_none(client: AsyncClient, mock: aioresponses, status: int) -> None:
    mock.delete("https://api.example.com/api/v1/things/5", status=status, body="")

    assert await client.request("DELETE", "/v1/things/5") is None


@pytest.mark.virtual_time
async def test_request_raw_returns_the_answer_as_it_is_and_request_refuses_what_is_not_json(
    client: AsyncClient, mock: aioresponses
) -> None:
    mock.get(ME, status=503)
    mock.get(ME, status=203, body="<html>", content_type="text/html", headers={"X-Trace": "7"}, repeat=True)

    raw = await client.request_raw("GET", "/v1/users/me")

    assert isinstance(raw, RawResponse)
    assert (raw.status, raw.headers["x-TRACE"], raw.body, raw.attempts) == (203, "7", b"<html>", 2)
    with pytest.raises(InvalidResponseError):
        await client.request("GET", "/v1/users/me")


async def test_request_raw_raises_for_errors_as_every_call_does(client: AsyncClient, mock: aioresponses) -> None:
    mock.post(ME, status=500)

    with pytest.raises(InternalServerError):
        await client.request_raw("POST", "/v1/users/me")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "v1/users/me",
        "https://evil.example/v1/users/me",
        "//evil.example/v1/users/me",
        "/v1/../users/me",
        "/..",
        "/.",
        "/./v1",
        "/v1/users/..",
        "/v1/%2e%2e/users/me",
        "/v1/%2E./users/me",
        "/v1/.%2e",
        "/v1/users\\..\\me",
        "/v1/users/me?limit=1",
        "/v1/users/me#top",
        "/v1/\ud800",
        None,
        b"/v1/users/me",
        5,
    ],
    ids=ascii,
)
async def test_a_path_that_could_leave_the_api_is_refused(client: AsyncClient, mock: aioresponses, path: Any) -> None:
    with pytest.raises(ConfigurationError, match="path"):
        await client.request("GET", path)

    assert mock.requests == {}


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/v1/users/me", b"/api/v1/users/me"),
        ("/v1/things/a%2Fb", b"/api/v1/things/a%2Fb"),
        ("/v1/things/%41%7e", b"/api/v1/things/%41%7e"),
        ("/v1/things/a b", b"/api/v1/things/a%20b"),
        ("/v1/things/日", b"/api/v1/things/%E6%97%A5"),
        ("/v1/things/a\r\nx: y", b"/api/v1/things/a%0D%0Ax:%20y"),
        ("/v1/.../x", b"/api/v1/.../x"),
        ("/v1/things/", b"/api/v1/things/"),
    ],
    ids=ascii,
)
async def test_a_path_arrives_quoted_once(recorder: Recorder, path: str, target: bytes) -> None:
    async with recorder.client() as client:
        await client.request("GET", path)

    assert recorder.targets == [b"GET %s HTTP/1.1" % target]


@pytest.mark.parametrize("method", ["", "FETCH", "GET /x", "GET\r\n", "CONNECT", "TRACE", None, 5], ids=ascii)
async def test_an_unknown_method_is_refused(client: AsyncClient, mock: aioresponses, method: Any) -> None:
    with pytest.raises(ConfigurationError, match="methods"):
        await client.request(method, "/v1/users/me")

    assert mock.requests == {}


@pytest.mark.parametrize("method", ["get", "Get", "GET", "post", "PUT", "patch", "DELETE", "options"])
async def test_a_method_is_sent_in_upper_case(recorder: Recorder, method: str) -> None:
    async with recorder.client() as client:
        await client.request(method, "/v1/things")

    assert recorder.targets == [f"{method.upper()} /api/v1/things HTTP/1.1".encode()]


async def test_head_has_no_body_and_returns_none(raw_server: RawServer) -> None:
    async def head(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")

    async with AsyncClient("sk-key", base_url=await raw_server(head)) as client:
        assert await client.request("HEAD", "/v1/things") is None
