import aiohttp
import pytest

from chamelaion_async.sandbox import Sandbox


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/lipsync/requests/", "/api/api/health", "/apiv1/users/me", "/v2/users/me", "/output/"],
)
async def test_a_path_that_leads_nowhere_is_a_json_404(
    sandbox: Sandbox, session: aiohttp.ClientSession, path: str
) -> None:
    async with session.get(sandbox.base_url.removesuffix("/api") + path) as response:
        assert (response.status, await response.json()) == (404, {"error": "not found"})


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "v1/users/me", "GET"),
        ("GET", "v1/lipsync/generate", "POST"),
        ("POST", "v1/lipsync/requests/dub-episode-42", "GET"),
        ("HEAD", "v1/lipsync/requests", "GET"),
        ("PUT", "output/6f82a2d8.mp4", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    session: aiohttp.ClientSession, method: str, path: str, allowed: str
) -> None:
    async with session.request(method, path) as response:
        assert response.status == 405
        assert response.headers["Allow"] == allowed
        if method != "HEAD":
            assert await response.json() == {"error": "method not allowed"}


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_the_api_is_served_with_and_without_its_prefix(
    sandbox: Sandbox, session: aiohttp.ClientSession, prefix: str
) -> None:
    async with session.get(sandbox.base_url.removesuffix("/api") + f"{prefix}/v1/users/me") as response:
        assert response.status == 200


async def test_a_defect_in_the_sandbox_looks_like_the_documented_500(
    sandbox: Sandbox,
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sandbox._world, "stores", None)

    async with session.get("v1/lipsync/requests") as response:
        assert (response.status, await response.json()) == (500, {"error": "internal error"})
    assert "GET /api/v1/lipsync/requests failed" in caplog.text


async def test_a_long_path_is_answered_like_any_other(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    async with session.get(f"v1/lipsync/requests/{'x' * 20_000}") as response:
        assert (response.status, await response.json()) == (404, {"error": "lipsync request not found"})


async def test_a_connection_lost_in_a_handler_is_no_defect(
    sandbox: Sandbox,
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def lost(_: object) -> None:
        raise ConnectionResetError

    monkeypatch.setattr("chamelaion_async.sandbox.endpoints.bodies.invite_body", lost)

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await session.post("v1/lipsync/generate", json={})
    assert not caplog.records
