from __future__ import annotations

import aiohttp
import pytest

from chamelaion_async.sandbox import Sandbox

from .calling import Caller, Reply, Serve


async def call(sandbox: Sandbox, headers: dict[str, str], target: str = "v1/users/me") -> Reply:
    async with aiohttp.ClientSession(f"{sandbox.base_url}/", headers=headers) as session:
        return await Caller(session)(target)


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
async def test_each_cause_of_a_refusal_has_its_documented_text(
    serve: Serve, headers: dict[str, str], text: str
) -> None:
    sandbox, _ = await serve(keys=["known", "revoked"])
    sandbox.revoke("revoked")

    assert (await call(sandbox, headers)).answer == (401, {"error": text})


@pytest.mark.parametrize("token", ["known", "My Bearer Token", "a  b", "tab\tin it"])
@pytest.mark.parametrize(
    ("header", "prefix"), [("Authorization", "Bearer "), ("authorization", "bearer  "), ("x-api-key", "")]
)
async def test_an_accepted_key_is_read_from_either_header_with_its_blanks(
    serve: Serve, header: str, prefix: str, token: str
) -> None:
    sandbox, _ = await serve(keys={token: "staging-key"})

    assert (await call(sandbox, {header: f"{prefix}{token}"})).answer == (200, {"name": "staging-key"})


async def test_any_key_is_accepted_if_none_are_given(sandbox: Sandbox) -> None:
    assert (await call(sandbox, {"x-api-key": "made up"})).answer == (200, {"name": "production-key"})


async def test_one_key_is_not_taken_for_a_collection_of_letters() -> None:
    with pytest.raises(TypeError, match="collection of keys"):
        Sandbox(keys="secret")


@pytest.mark.parametrize("path", ["health", "/health"])
async def test_health_answers_without_a_key(sandbox: Sandbox, path: str) -> None:
    assert (await call(sandbox, {}, path)).answer == (200, {"status": "ok"})


def test_keys_do_not_show_in_the_repr() -> None:
    assert "secret" not in repr(Sandbox(keys=["secret"]))
