"""Options of the service: credentials, which are never printed, and proxies."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, get_args, get_type_hints

import pytest

from chamelaion_async.cli._ui.options import ServiceOptions
from chamelaion_async.config import ENVIRONMENTS
from chamelaion_async.sandbox import Fault

from .conftest import Serve
from .running import COMPLETED, GET, NOWHERE, Cli, LocalSandbox, Result

FAR = "http://api.test/api"
TO_FAR = ("--base-url", FAR, "--allow-http")


class Proxy(HTTPServer):
    """A proxy that records the URLs of requests, and answers them itself."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.address = f"http://127.0.0.1:{self.server_port}"


class ProxyHandler(BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        self.server.urls.append(self.path)
        self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"status": "ok"}')

    def log_message(self, format: str, *args: Any) -> None:
        """Keep stderr for the command."""


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join(10)


def test_environments_are_those_of_the_library() -> None:
    choices, _ = get_args(get_type_hints(ServiceOptions)["environment"])
    assert set(get_args(choices)) == set(ENVIRONMENTS)


@pytest.mark.parametrize("command", [["get", COMPLETED], ["wait", COMPLETED], ["whoami"]])
def test_a_wrong_key_exits_with_2_and_a_right_token_with_0(cli: Cli, serve: Serve, command: list[str]) -> None:
    url = serve(keys=["sk-right"]).url
    result = cli(*command, "--api-key", "sk-wrong", "--base-url", url)
    assert result.code == 2
    assert "invalid token" in result.err
    assert "CHAMELAION_API_KEY" in result.err
    assert cli(*command, "--bearer-token", "sk-right", "--base-url", url).code == 0


@pytest.mark.parametrize(
    "command",
    [
        *("get x", "wait x y", "download x", "list", "voices", "whoami", "translate http://x/v --to de"),
        *("generate http://x/v http://x/a", "run http://x/v http://x/a -o no-such-file.mp4"),
    ],
)
def test_a_missing_key_is_one_line_and_one_record(cli: Cli, command: str) -> None:
    error = "no API key; set CHAMELAION_API_KEY (a sandbox takes any value)"
    arguments = [*command.split(), "--base-url", NOWHERE]
    assert cli(*arguments) == Result(2, "", f"chamelaion-async: {error}\n")
    if command != "whoami":
        record = json.loads(cli(*arguments, "--json").out)
        assert (record["error"], record["message"]) == ("ConfigurationError", error)


@pytest.mark.parametrize(
    "arguments",
    [
        "get x --api-key sk-secret",
        "get x --api-key sk-secret --json",
        "wait x --bearer-token sk-secret",
        "get x --api-key sk-secret --base-url ftp://x",
        f"get x --api-key sk-secret --base-url {NOWHERE}",
        "get x --api-key 'sk-secret more'",
        "get x --api-key sk-secret --api-key sk-secret",
        "get --apikey=sk-secret x",
        "--api-key=sk-secret get x",
        "whoami --api-key sk-secret sk-secret",
        "get x --apikey sk-secret",
        "get x --apikey --bearertoken=sk-secret --key",
        f"get x --base-url {FAR} --allow-http --json --proxy http://user:sk-secret@127.0.0.1:1",
        "get x --proxy http://user:sk-secret@ --json",
        "get x --proxies=http://user:sk-secret@127.0.0.1:1",
        "get x --proxy socks5://user:sk-secret@127.0.0.1:1 --json",
    ],
)
def test_a_key_or_password_is_never_printed(cli: Cli, service: LocalSandbox, arguments: str) -> None:
    service.inject(Fault.status(401, {"error": "token sk-secret is no good"}), route=GET)
    result = cli(*shlex.split(arguments))
    assert result.code in (2, 3)
    assert "sk-secret" not in result.out + result.err
    assert "session" not in result.err  # advice on SOCKS in Python


def test_a_key_that_begins_like_another_leaves_no_rest(cli: Cli) -> None:
    err = cli("get", "--api-key=sk", "--apikey=sk-secret", COMPLETED).err
    assert err == "chamelaion-async: Unknown option: --apikey=***. Try --help.\n"


@pytest.mark.parametrize("variable", [None, "HTTP_PROXY", "http_proxy"])
def test_a_proxy_is_taken_from_the_option_or_the_environment(
    cli: Cli, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    monkeypatch.setenv(variable or "HTTP_PROXY", proxy.address if variable else NOWHERE)
    options = [] if variable else ["--proxy", proxy.address]
    assert cli("health", *TO_FAR, *options) == Result(0, "ok\n", "")
    monkeypatch.setenv("NO_PROXY", "api.test")
    assert cli("health", *TO_FAR, *options, "--timeout", "1").code == (3 if variable else 0)
    assert proxy.urls == [f"{FAR}/health"] * (1 if variable else 2)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("is_option", [True, False])
def test_a_service_on_this_machine_is_called_without_a_proxy(
    cli: Cli, service: LocalSandbox, monkeypatch: pytest.MonkeyPatch, host: str, is_option: bool
) -> None:
    """A proxy would read the key, which is sent there over plain http without --allow-http."""
    monkeypatch.setenv("HTTP_PROXY", NOWHERE)
    url = service.url.replace("127.0.0.1", host)
    monkeypatch.setenv("CHAMELAION_BASE_URL", "ftp://x" if is_option else url)
    assert cli("whoami", *(["--base-url", url] if is_option else [])).code == 0


@pytest.mark.parametrize(
    ("settings", "is_local"),
    [
        ({}, True),
        ({"environment": "staging"}, False),
        ({"base_url": "https://api.test"}, False),
        ({"base_url": "http://[::1]:80"}, True),
        ({"base_url": "http://[::1"}, False),
    ],
)
def test_the_address_that_is_called_decides_about_the_proxy(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], is_local: bool
) -> None:
    monkeypatch.setenv("CHAMELAION_BASE_URL", "http://127.0.0.1:8787/api")
    assert ServiceOptions(**settings)._is_local() is is_local


@pytest.mark.parametrize(("proxy", "repeated"), [(NOWHERE, NOWHERE), ("http://user:secret@127.0.0.1:1", None)])
def test_the_next_command_repeats_a_proxy_only_without_a_password(proxy: str, repeated: str | None) -> None:
    assert ServiceOptions(base_url=FAR, allow_http=True, proxy=proxy).for_next_command() == {
        "environment": None,
        "base_url": FAR,
        "allow_http": True,
        "proxy": repeated,
    }
