"""freezegun and time-machine: waits go on while the wall clock stands still."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import freezegun
import time_machine

from chamelaion_async import AsyncClient, LipsyncRequest, PollPolicy
from chamelaion_async.sandbox import Fault, Sandbox

PAUSED = PollPolicy(min_interval=0.01, max_interval=0.01)
MOMENT = datetime(2020, 1, 1, tzinfo=UTC)


async def waited(sandbox: Sandbox) -> LipsyncRequest:
    """Wait for a job that is finished by hand, with pauses and a rate limit on the way."""
    job = sandbox.add_job(job_seconds=1_000_000)
    sandbox.inject(Fault.rate_limited(0.01), times=1, after=1)
    async with AsyncClient("sk-key", base_url=sandbox.base_url, polling=PAUSED) as client:
        seen = asyncio.Event()
        task = asyncio.create_task(client.wait_until_finished(job.id, on_update=lambda _: seen.set()))
        await seen.wait()
        sandbox.finish(job.id)
        return await asyncio.wait_for(task, 10)


async def test_a_wait_goes_on_while_freezegun_holds_the_clock(sandbox: Sandbox) -> None:
    with freezegun.freeze_time(MOMENT, real_asyncio=True):
        request = await waited(sandbox)

    assert request.is_completed


async def test_a_wait_goes_on_while_time_machine_holds_the_clock(sandbox: Sandbox) -> None:
    with time_machine.travel(MOMENT, tick=False):
        request = await waited(sandbox)

    assert request.is_completed
