from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from chamelaion_async.sandbox import Sandbox

Serve = Callable[..., Awaitable[tuple[Sandbox, aiohttp.ClientSession]]]


async def me(sandbox: Sandbox, headers: dict[str, str]) -> tuple[int, object]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{sandbox.base_url}/v1/users/me", headers=headers) as response,
    ):
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({}, "missing authorization header"),
        ({"Authorization": "Basic YTpi"}, "invalid authorization format"),
        ({"Authorization": "known"}, "invalid authorization format"),
        ({"Authorization": "Basic two words"}, "invalid authorization format"),
        ({"Authorization": "Bearer: known"}, "invalid authorization format"),
        ({"Authorization": "Bearer two words"}, "invalid token"),
        ({"Authorization": "Bearer"}, "missing token"),
        ({"Authorization": "Bearer "}, "missing token"),
        ({"x-api-key": ""}, "missing token"),
        ({"Authorization": "Bearer stranger"}, "invalid token"),
        ({"x-api-key": "stranger"}, "invalid token"),
        ({"x-api-key": "known", "Authorization": "Bearer stranger"}, "invalid token"),
        ({"x-api-key": "revoked"}, "unauthorized"),
        ({"Authorization": "Bearer revoked"}, "unauthorized"),
    ],
)
async def test_each_way_to_be_refused_has_its_documented_text(
    serve: Serve, headers: dict[str, str], text: str
) -> None:
    sandbox, _ = await serve(keys=["known", "revoked"])
    sandbox.revoke("revoked")

    assert await me(sandbox, headers) == (401, {"error": text})


@pytest.mark.parametrize(
    "headers", [{"x-api-key": "known"}, {"Authorization": "Bearer known"}, {"Authorization": "bearer  known"}]
)
async def test_an_accepted_key_may_travel_in_either_header(serve: Serve, headers: dict[str, str]) -> None:
    sandbox, _ = await serve(keys={"known": "staging-key"})

    assert await me(sandbox, headers) == (200, {"name": "staging-key"})


async def test_any_key_is_accepted_where_none_are_given(sandbox: Sandbox) -> None:
    assert await me(sandbox, {"x-api-key": "made up"}) == (200, {"name": "production-key"})


@pytest.mark.parametrize("token", ["My Bearer Token", "a  b", "tab\tin it"])
@pytest.mark.parametrize("header", ["Authorization", "x-api-key"])
async def test_a_key_may_hold_blanks(serve: Serve, header: str, token: str) -> None:
    sandbox, _ = await serve(keys={token: "with blanks"})
    value = f"Bearer {token}" if header == "Authorization" else token

    assert await me(sandbox, {header: value}) == (200, {"name": "with blanks"})


async def test_one_key_is_not_mistaken_for_a_collection_of_letters() -> None:
    with pytest.raises(TypeError, match="collection of keys"):
        Sandbox(keys="secret")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/users/me"),
        ("POST", "/v1/lipsync/generate"),
        ("POST", "/v1/lipsync/generate-with-media"),
        ("GET", "/v1/lipsync/requests"),
        ("GET", "/v1/lipsync/requests/dub-episode-42"),
        ("POST", "/v1/video-translate/generate"),
        ("POST", "/v1/video-translate/generate-with-media"),
        ("GET", "/v1/video-translate/requests"),
        ("GET", "/v1/video-translate/requests/9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55"),
        ("GET", "/v1/video-translate/voices"),
    ],
)
async def test_every_endpoint_but_health_needs_a_key(sandbox: Sandbox, method: str, path: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{sandbox.base_url}{path}") as response,
    ):
        assert response.status == 401
        assert await response.json() == {"error": "missing authorization header"}


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_health_answers_without_a_key(sandbox: Sandbox, prefix: str) -> None:
    url = sandbox.base_url.removesuffix("/api") + f"{prefix}/health"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        assert await response.json() == {"status": "ok"}


def test_keys_do_not_show_in_the_repr() -> None:
    assert "secret" not in repr(Sandbox(keys=["secret"]))
