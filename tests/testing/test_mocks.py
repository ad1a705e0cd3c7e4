"""aioresponses works under aiohttp 3.14 within the context, and is as before outside of it."""

from __future__ import annotations

import pytest
from aioresponses import aioresponses as Mocked  # noqa: N812
from aioresponses import core

from chamelaion_async import AsyncClient
from chamelaion_async.testing import patched_aioresponses

BASE_URL = "https://api.example.com/api"
ME = {"name": "studio"}


async def test_a_call_is_answered_by_the_mock() -> None:
    with patched_aioresponses() as mocked:
        mocked.get(f"{BASE_URL}/v1/users/me", payload=ME)
        async with AsyncClient("sk-test", base_url=BASE_URL) as client:
            assert (await client.users.me()).name == "studio"


async def test_the_fixture_does_the_same(chamelaion_aioresponses: Mocked) -> None:
    chamelaion_aioresponses.get(f"{BASE_URL}/v1/users/me", payload=ME)
    async with AsyncClient("sk-test", base_url=BASE_URL) as client:
        assert (await client.users.me()).name == "studio"


def test_aioresponses_is_as_before_after_the_context() -> None:
    before = vars(core)["ClientResponse"]
    with patched_aioresponses():
        assert vars(core)["ClientResponse"] is not before
    assert vars(core)["ClientResponse"] is before


async def test_options_are_those_of_aioresponses() -> None:
    with patched_aioresponses(passthrough=["http://127.0.0.1"]) as mocked:
        assert mocked._passthrough == ["http://127.0.0.1"]


@pytest.mark.virtual_time
async def test_a_mocked_wait_by_reference_moves_to_the_uuid() -> None:
    """As the docs say: the first answer is asked for by the reference, those after it by the UUID."""
    id = "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8"
    seen = {"id": id, "reference_id": "dub-42", "created_at": "2026-04-07T10:00:00Z"}
    with patched_aioresponses() as mocked:
        mocked.get(f"{BASE_URL}/v1/lipsync/requests/dub-42", payload={**seen, "status": "processing"})
        mocked.get(f"{BASE_URL}/v1/lipsync/requests/{id}", payload={**seen, "status": "failed"})
        async with AsyncClient("sk-test", base_url=BASE_URL) as client:
            assert (await client.wait_until_finished("dub-42")).is_failed
