"""The same over real HTTP: what the other tests of this folder hold in memory is so with sockets as well."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from chamelaion_async import AsyncClient, PollPolicy
from chamelaion_async.sandbox import Fault, Sandbox
from tests.support.api import FamilyName, Requests, requests_of

OFTEN = PollPolicy(min_interval=0.01, max_interval=0.01)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Its jobs end when the test ends them."""
    async with Sandbox(job_seconds=math.inf) as served:
        yield served


@pytest.fixture
def requests(sandbox_client: AsyncClient, family: FamilyName) -> Requests:
    return requests_of(sandbox_client, family)


def add_jobs(sandbox: Sandbox, family: FamilyName, count: int) -> list[str]:
    extras: dict[str, Any] = {} if family == "lipsync" else {"target_languages": ["de"]}
    return [sandbox.add_job(family=family, **extras).id for _ in range(count)]


async def test_each_request_comes_when_it_has_finished(
    sandbox: Sandbox, requests: Requests, family: FamilyName
) -> None:
    ids = add_jobs(sandbox, family, 3)
    sandbox.finish(ids[2])
    came = []

    async for outcome in requests.as_finished(ids, polling=OFTEN, timeout=20):
        came.append((outcome.id, outcome.unwrap().status))
        if outcome.id == ids[2]:
            sandbox.fail(ids[0], "no face was found")
        elif outcome.id == ids[0]:
            sandbox.finish(ids[1])

    assert came == [(ids[2], "completed"), (ids[0], "failed"), (ids[1], "completed")]


async def test_ten_thousand_are_polled_with_little_more_than_a_hundred_requests(
    sandbox: Sandbox, requests: Requests, family: FamilyName
) -> None:
    ids = add_jobs(sandbox, family, 10_000)

    outcomes = await requests.get_many(ids)

    assert list(outcomes) == ids
    assert all(outcome.unwrap().id == id for id, outcome in outcomes.items())
    assert sandbox.count() <= 130


async def test_an_outage_is_ridden_out(sandbox: Sandbox, requests: Requests, family: FamilyName) -> None:
    ids = add_jobs(sandbox, family, 5)
    waiting = asyncio.create_task(requests.wait_all(ids, polling=OFTEN, timeout=20))
    while not sandbox.received:  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.001)
    await sandbox.stop()
    await asyncio.sleep(0.05)
    for id in ids:
        sandbox.finish(id)
    await sandbox.start()

    outcomes = await waiting

    assert all(outcome.unwrap().is_completed for outcome in outcomes.values())


async def test_leaving_closes_the_connection_that_is_not_answered(
    sandbox: Sandbox, sandbox_client: AsyncClient, requests: Requests, family: FamilyName
) -> None:
    ids = add_jobs(sandbox, family, 2)
    sandbox.finish(ids[0])

    async with aclosing(requests.as_finished(ids, polling=OFTEN, timeout=20)) as outcomes:
        async for _ in outcomes:
            hanging = sandbox.inject(Fault.hang())
            while not hanging.hits:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.001)
            under_way = connections_in_use(sandbox_client)
            break

    assert (under_way, connections_in_use(sandbox_client)) == (1, 0)


def connections_in_use(client: AsyncClient) -> int:
    connector = client._transport.lifecycle.session().connector
    assert connector is not None
    return len(connector._acquired)
