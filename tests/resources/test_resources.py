"""Reading one request, the service's health and the identity behind the credentials."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from chamelaion_async import AsyncClient, ConfigurationError, Health, LipsyncRequest, NotFoundError, User
from chamelaion_async.sandbox import Sandbox

COMPLETED = "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8"
FAILED = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
PREFIX = "/api/v1/lipsync/requests/"

REFUSED_IDS = ["", ".", "..", "\ud800", "dub-\udfff", "x" * 600, "ü" * 600]
ODD_IDS = [
    "../users/me",
    "..\\users\\me",
    "a/b",
    "/",
    "//evil.example/x",
    "%2e%2e",
    "%2E%2E/users/me",
    "..%2fusers%2fme",
    "%",
    "%zz",
    "%00",
    "...",
    ".hidden",
    "dub 42",
    " ",
    "dub+42",
    "dub?limit=1",
    "dub#42",
    "dub;v=1",
    "dub&a=b",
    "a:b@c",
    "dub\n42",
    "dub\r\nx-injected: 1",
    "dub\x00",
    "\x7f",
    "日本語",
    "ünïcödé",
    "e\u0301",  # not normalised to one character
    "🎬",
    "\u202e",
    "x" * 512,
    "http://evil.example/",
    "~-._!$'()*",
]


@pytest.mark.parametrize("id", [COMPLETED, "dub-episode-42"])
async def test_get_reads_a_request_by_its_uuid_or_reference_id(sandbox_client: AsyncClient, id: str) -> None:
    request = await sandbox_client.lipsync.requests.get(id)

    assert (request.id, request.reference_id, request.status) == (COMPLETED, "dub-episode-42", "completed")
    assert (request.created_at, request.queue_time, request.duration) == (
        datetime(2026, 4, 7, 10, 0, tzinfo=UTC),
        timedelta(seconds=5),
        timedelta(seconds=85),
    )
    assert (request.output_url or "").startswith("http")


async def test_a_failed_request_is_a_result_with_the_reason_in_it(sandbox_client: AsyncClient) -> None:
    request = await sandbox_client.lipsync.requests.get(FAILED)

    assert (request.is_failed, request.error_message) == (True, "video URL is not accessible")


async def test_get_of_a_running_job_is_the_request_as_it_stands(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    job = sandbox.add_job(job_seconds=3600)

    request = await sandbox_client.lipsync.requests.get(job.id)

    assert (request.id, request.is_finished, request.finished_at) == (job.id, False, None)


async def test_an_unknown_id_is_not_found(sandbox_client: AsyncClient) -> None:
    with pytest.raises(NotFoundError, match="lipsync request not found"):
        await sandbox_client.lipsync.requests.get("unknown")


async def test_get_asks_once_and_for_nothing_else(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    await sandbox_client.lipsync.requests.get(COMPLETED)

    assert [(r.method, r.path, r.query_string, r.body) for r in sandbox.received] == [
        ("GET", PREFIX + COMPLETED, "", None)
    ]


@pytest.mark.parametrize("id", REFUSED_IDS, ids=ascii)
async def test_an_impossible_id_is_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, id: str
) -> None:
    for call in (sandbox_client.lipsync.requests.get, sandbox_client.video_translate.requests.get):
        with pytest.raises(ConfigurationError):
            await call(id)
    with pytest.raises(ConfigurationError):
        await sandbox_client.wait_until_finished(id)

    assert sandbox.received == ()


@pytest.mark.parametrize("id", [None, 42, b"dub-42", ["dub-42"], True], ids=repr)
async def test_an_id_that_is_not_a_str_is_refused_before_anything_is_sent(
    sandbox: Sandbox, sandbox_client: AsyncClient, id: Any
) -> None:
    with pytest.raises(ConfigurationError, match="must be a str"):
        await sandbox_client.lipsync.requests.get(id)

    assert sandbox.received == ()


async def test_the_text_about_an_overlong_id_is_short(sandbox_client: AsyncClient) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await sandbox_client.lipsync.requests.get("x" * 100_000)

    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("id", ODD_IDS, ids=ascii)
async def test_an_odd_id_arrives_as_exactly_that_id(sandbox: Sandbox, sandbox_client: AsyncClient, id: str) -> None:
    with pytest.raises(NotFoundError):
        await sandbox_client.lipsync.requests.get(id)

    assert [(r.route, unquote(r.path.removeprefix(PREFIX))) for r in sandbox.received] == [
        ("GET /v1/lipsync/requests/{id}", id)
    ]


@pytest.mark.parametrize("id", ["../users/me", "a/b", "%2e%2e", "dub 42?x#y", "日本語", "e\u0301"], ids=ascii)
async def test_an_odd_reference_id_finds_its_job(sandbox: Sandbox, sandbox_client: AsyncClient, id: str) -> None:
    job = sandbox.add_job(reference_id=id)

    assert (await sandbox_client.lipsync.requests.get(id)).id == job.id


async def test_an_odd_id_injects_no_header(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    with pytest.raises(NotFoundError):
        await sandbox_client.lipsync.requests.get("x HTTP/1.1\r\nx-injected: 1\r\n\r\n")

    assert "x-injected" not in sandbox.received[0].headers


async def test_health_needs_no_credentials_and_sends_none(sandbox: Sandbox) -> None:
    for client in (
        AsyncClient(base_url=sandbox.base_url),
        AsyncClient("sk-key", bearer_token="tok", base_url=sandbox.base_url),
    ):
        async with client:
            assert await client.health.check() == Health(status="ok")

    for received in sandbox.received:
        assert {"x-api-key", "authorization"}.isdisjoint(name.lower() for name in received.headers)


async def test_me_is_the_name_behind_the_key() -> None:
    async with (
        Sandbox(keys={"sk-key": "staging-key"}) as sandbox,
        AsyncClient("sk-key", base_url=sandbox.base_url) as client,
    ):
        assert await client.users.me() == User(name="staging-key")


async def test_the_client_waits_as_its_lipsync_requests_do(sandbox_client: AsyncClient) -> None:
    seen: list[LipsyncRequest] = []

    request = await sandbox_client.wait_until_finished(COMPLETED, timeout=0, on_update=seen.append)

    assert (request.id, seen) == (COMPLETED, [request])
