"""``--proxy`` and the variables that name one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from chamelaion_async.cli.options import Service

FAR = ("--base-url", "http://api.test/api", "--allow-http")
NOWHERE = "http://127.0.0.1:1"

Cli = Callable[..., Any]


class Proxy:
    """A proxy that notes the URLs it is asked for, and answers by itself."""

    def __init__(self) -> None:
        asked: list[str] = []
        self.asked = asked

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                asked.append(self.path)
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = json.dumps({"status": "ok", "request_id": "an-id"}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815 - as http.server calls them

            def log_message(self, format: str, *args: Any) -> None:
                """Keep stderr for the command."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    with made.server:
        thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.server.shutdown()
        thread.join(10)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAMELAION_API_KEY", "sk-test")


def test_a_proxy_is_used_for_every_call(cli: Cli, proxy: Proxy) -> None:
    result = cli("health", *FAR, "--proxy", proxy.address)
    assert (result.code, result.out) == (0, "ok\n")
    assert proxy.asked == ["http://api.test/api/health"]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_the_environment_may_name_it(cli: Cli, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, proxy.address)
    assert cli("health", *FAR).code == 0
    monkeypatch.setenv("NO_PROXY", "api.test")
    assert cli("health", *FAR, "--timeout", "1").code == 3
    assert len(proxy.asked) == 1


def test_the_option_beats_the_environment(cli: Cli, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", NOWHERE)
    assert cli("health", *FAR, "--proxy", proxy.address).code == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("is_option", [True, False])
def test_a_service_on_this_machine_is_reached_directly(
    cli: Cli, service: Any, monkeypatch: pytest.MonkeyPatch, host: str, is_option: bool
) -> None:
    """A proxy would read the key, which goes there over plain http without being asked for."""
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
def test_what_counts_is_the_address_that_is_called(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], is_local: bool
) -> None:
    monkeypatch.setenv("CHAMELAION_BASE_URL", "http://127.0.0.1:8787/api")
    assert Service(**settings)._is_local() is is_local


@pytest.mark.parametrize(
    "arguments",
    [
        ["--proxy", "http://user:secret@127.0.0.1:1"],
        ["--proxy", "http://user:secret@"],
        ["--proxies=http://user:secret@127.0.0.1:1"],
        ["--proxy", "socks5://user:secret@127.0.0.1:1"],
    ],
)
def test_a_password_is_never_printed(cli: Cli, arguments: list[str]) -> None:
    result = cli("get", "an-id", *FAR, *arguments, "--json")
    assert result.code in (2, 3)
    assert "secret" not in result.out + result.err
    assert "session" not in result.err


@pytest.mark.parametrize("credentials", ["", "user:secret@"])
def test_advice_names_a_proxy_without_a_password(cli: Cli, proxy: Proxy, credentials: str) -> None:
    through = proxy.address.replace("//", f"//{credentials}")
    result = cli("generate", "https://x.example/v", "https://x.example/a", *FAR, "--proxy", through)
    given = "" if credentials else f" --proxy {proxy.address}"
    assert result.err == f"to wait for it: chamelaion-async wait {' '.join(FAR)}{given} an-id\n"
