from __future__ import annotations

import aiohttp
import pytest

from chamelaion_async.sandbox import Sandbox

from .calling import Caller


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/lipsync/requests/", "/api/api/health", "/apiv1/users/me", "/v2/users/me", "/output/"],
)
async def test_an_unknown_path_is_a_json_404(call: Caller, path: str) -> None:
    assert (await call(path)).answer == (404, {"error": "not found"})


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("DELETE v1/users/me", "GET"),
        ("GET v1/lipsync/generate", "POST"),
        ("POST v1/lipsync/requests/dub-episode-42", "GET"),
        ("HEAD v1/lipsync/requests", "GET"),
        ("PUT output/6f82a2d8.mp4", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_answered_with_the_allowed_ones(call: Caller, target: str, allowed: str) -> None:
    reply = await call(target)

    assert (reply.status, reply.headers["Allow"]) == (405, allowed)
    assert reply.body == (b"" if target.startswith("HEAD") else b'{"error": "method not allowed"}')


@pytest.mark.parametrize("path", ["/v1/users/me", "/api/v1/users/me"])
async def test_the_api_is_served_with_and_without_its_prefix(call: Caller, path: str) -> None:
    assert (await call(path)).status == 200


async def test_a_defect_in_the_sandbox_is_answered_with_the_documented_500(
    sandbox: Sandbox, call: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sandbox._world, "stores", None)

    assert (await call("v1/lipsync/requests")).answer == (500, {"error": "internal error"})
    assert "GET /api/v1/lipsync/requests failed" in caplog.text


async def test_a_long_path_is_served(call: Caller) -> None:
    reply = await call(f"v1/lipsync/requests/{'x' * 20_000}")

    assert reply.answer == (404, {"error": "lipsync request not found"})


async def test_a_connection_lost_in_an_endpoint_is_no_defect(
    call: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def lost(_: object) -> None:
        raise ConnectionResetError

    monkeypatch.setattr("chamelaion_async.sandbox.endpoints.bodies.invite_body", lost)

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await call("POST v1/lipsync/generate", json={})
    assert not caplog.records
