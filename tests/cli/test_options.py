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


class Proxy:
    """A proxy that records the URLs of requests, and answers them itself."""

    def __init__(self) -> None:
        urls: list[str] = []
        self.urls = urls

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                urls.append(self.path)
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = json.dumps({"status": "ok", "request_id": "an-id"}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815 - the names of http.server

            def log_message(self, format: str, *args: Any) -> None:
                """Keep stderr for the command."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setenv("CHAMELAION_API_KEY", "sk-test")
    made = Proxy()
    with made.server:
        thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.server.shutdown()
        thread.join(10)


def test_environments_are_those_of_the_library() -> None:
    choices, _ = get_args(get_type_hints(ServiceOptions)["environment"])
    assert set(get_args(choices)) == set(ENVIRONMENTS)


@pytest.mark.parametrize("command", [["get", COMPLETED], ["wait", COMPLETED], ["whoami"]])
def test_wrong_credentials_exit_with_2(cli: Cli, serve: Serve, command: list[str]) -> None:
    result = cli(*command, "--api-key", "sk-wrong", "--base-url", serve(keys=["sk-right"]).url)
    assert result.code == 2
    assert "invalid token" in result.err
    assert "CHAMELAION_API_KEY" in result.err


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


def test_a_bearer_token_replaces_the_key(cli: Cli, serve: Serve) -> None:
    url = serve(keys=["a-token"]).url
    assert cli("get", COMPLETED, "--bearer-token", "a-token", "--base-url", url).code == 0


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


def test_a_proxy_receives_every_call(cli: Cli, proxy: Proxy) -> None:
    result = cli("health", *TO_FAR, "--proxy", proxy.address)
    assert (result.code, result.out) == (0, "ok\n")
    assert proxy.urls == ["http://api.test/api/health"]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_a_proxy_of_the_environment_is_used(
    cli: Cli, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, proxy.address)
    assert cli("health", *TO_FAR).code == 0
    monkeypatch.setenv("NO_PROXY", "api.test")
    assert cli("health", *TO_FAR, "--timeout", "1").code == 3
    assert len(proxy.urls) == 1


def test_the_option_overrides_the_environment(cli: Cli, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", NOWHERE)
    assert cli("health", *TO_FAR, "--proxy", proxy.address).code == 0


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


@pytest.mark.parametrize("credentials", ["", "user:secret@"])
def test_advice_repeats_a_proxy_only_without_a_password(cli: Cli, proxy: Proxy, credentials: str) -> None:
    through = proxy.address.replace("//", f"//{credentials}")
    result = cli("generate", "https://x.example/v", "https://x.example/a", *TO_FAR, "--proxy", through)
    given = "" if credentials else f" --proxy {proxy.address}"
    assert result.err == f"to wait for it: chamelaion-async wait {' '.join(TO_FAR)}{given} an-id\n"
