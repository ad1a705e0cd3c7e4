"""Closing a client may itself be cancelled, and closes it all the same."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chamelaion_async import ClientClosedError
from chamelaion_async.sandbox import Fault
from tests.faults.setup import IDS, Setup

from .loops import LOOPS, Loop
from .point import Run
from .scenarios import Act, Scenario
from .walk import Walk


async def close(setup: Setup) -> None:
    await setup.client.aclose()


def let_calls_hang(setup: Setup) -> None:
    setup.sandbox.inject(Fault.hang(), route="GET *")


async def while_much_is_under_way(run: Run) -> None:
    client = run.setup.client
    calls = [
        asyncio.ensure_future(client.lipsync.requests.get(IDS[0])),
        asyncio.ensure_future(client.wait_until_finished(IDS[1])),
        asyncio.ensure_future(client.lipsync.requests.wait_all(IDS)),
    ]
    async with asyncio.timeout(5):
        while len(run.setup.sandbox.received) < 2:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)

    task = await run.act()

    assert task.cancelled() == run.steps.was_interrupted
    if run.steps.number == 0:
        await client.aclose()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [ClientClosedError] * len(calls)
    await run.check_nothing_is_left()
    session = client._transport.lifecycle._session
    assert session is not None
    assert session.closed
    await client.aclose()


@pytest.mark.parametrize("beside", [None, close], ids=["alone", "with another"])
@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.key)
def test_whoever_is_cancelled_while_closing_leaves_a_closed_client(
    loop: Loop, beside: Act | None, tmp_path: Path
) -> None:
    scenario = Scenario("aclose", close, beside=beside, prepare=let_calls_hang)
    walk = Walk(loop=loop, scenario=scenario, folder=tmp_path, perform=while_much_is_under_way)

    loop.run(walk.at_every_step_and_again())
    loop.run(walk.at_every_step_and_again(moment="when it is done"))

    assert walk.points >= 4
