"""``health`` and ``whoami``."""

from __future__ import annotations

from chamelaion_async.sandbox import Fault

from .conftest import Serve
from .running import Cli, LocalSandbox


def test_health_needs_no_key(cli: Cli, serve: Serve) -> None:
    result = cli("health", "--base-url", serve().url)
    assert (result.code, result.out) == (0, "ok\n")


def test_any_other_answer_than_ok_is_a_failure(cli: Cli, service: LocalSandbox) -> None:
    service.inject(Fault.body(b'{"status": "degraded"}'), route="GET /health")
    result = cli("health")
    assert (result.code, result.out) == (1, "degraded\n")


def test_whoami_shows_the_name_of_the_key(cli: Cli, serve: Serve) -> None:
    url = serve(keys={"sk-1": "the\x1b name"}).url
    assert cli("whoami", "--api-key", "sk-1", "--base-url", url).out == "the\\x1b name\n"
