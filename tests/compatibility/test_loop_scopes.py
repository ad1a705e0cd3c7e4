"""pytest-asyncio: one client for many tests, where fixtures and tests share a loop."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from chamelaion_async import AsyncClient, ConfigurationError
from chamelaion_async.sandbox import Sandbox


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[AsyncClient]:
    async with Sandbox() as sandbox, AsyncClient("sk-key", base_url=sandbox.base_url) as client:
        await client.users.me()
        yield client


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("number", [1, 2])
async def test_a_client_serves_all_tests_of_its_loop_scope(shared: AsyncClient, number: int) -> None:
    assert (await shared.users.me()).name == "production-key"


async def test_a_test_in_a_loop_of_its_own_is_told_that_the_client_belongs_to_another(shared: AsyncClient) -> None:
    with pytest.raises(ConfigurationError, match="belongs to another event loop"):
        await shared.users.me()
