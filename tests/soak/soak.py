"""A long run against a service that breaks all the time: every waiter gets the true end of its job, exactly once.

One in ten answers is a fault, beyond twenty requests a second there is 429, one waiter in five is cancelled at a
random moment, and new jobs come in while others finish. Run it as a program for as long as you like:
``soak.py --seconds 600``.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from contextlib import aclosing

import attrs

from chamelaion_async import AsyncClient, LipsyncRequest, PollPolicy
from chamelaion_async.sandbox import Fault, Sandbox

FAULTS = (
    Fault.status(500),
    Fault.status(503, "<html>down</html>"),
    Fault.reset(),
    Fault.reset(when="after"),
    Fault.truncate(20),
    Fault.garbage(),
    Fault.body(b"\xff not JSON"),
    Fault.close(),
    Fault.rate_limited(retry_after=None),
    Fault.rate_limited(retry_after=1),
)
FAULTY = 0.1  # part of all answers
CANCELLED = 0.2  # part of all waiters
RATE = 20  # requests a second
POLICY = PollPolicy(request_timeout=5.0, outage_budget=60.0, not_found_grace=5.0)


@attrs.define
class Tally:
    """What came of the run."""

    jobs: int = 0
    ends: Counter[str] = attrs.Factory(Counter)
    cancelled: int = 0
    wrong: list[str] = attrs.Factory(list)
    requests: int = 0
    refused: int = 0
    faults: int = 0
    leftovers: list[str] = attrs.Factory(list)

    @property
    def is_good(self) -> bool:
        """Whether every waiter that stayed got what it was promised."""
        seen = sum(self.ends.values()) + self.cancelled
        return not self.wrong and not self.leftovers and seen == self.jobs


class Soak:
    """Waiters of every kind, on one client.

    Args:
        sandbox: The service.
        seed: Makes jobs, kinds of waiters and cancellations come again.
        longest: Seconds that a job may take.
    """

    def __init__(self, sandbox: Sandbox, seed: int, longest: float) -> None:
        self._sandbox = sandbox
        self._longest = longest
        self._random = random.Random(seed)
        self._awaited: set[str] = set()
        self.tally = Tally()

    def _submit(self, count: int) -> list[str]:
        jobs = [
            self._sandbox.add_job(
                job_seconds=self._random.uniform(0.5, self._longest),
                fails=self._random.random() < 0.2,
                reference_id=f"soak-{self.tally.jobs + number}" if self._random.random() < 0.1 else None,
            )
            for number in range(count)
        ]
        self.tally.jobs += count
        return [job.reference_id or job.id for job in jobs]

    def _take(self, id: str, request: LipsyncRequest) -> None:
        truth = self._sandbox.status(id)
        if id in self._awaited:
            self.tally.wrong.append(f"{id} came twice")
        if request.status != truth or not request.is_finished or id not in (request.id, request.reference_id):
            self.tally.wrong.append(f"{id} came as {request.status} and is {truth}")
        self._awaited.add(id)
        self.tally.ends[request.status] += 1

    async def _wait(self, client: AsyncClient, id: str) -> None:
        self._take(id, await client.wait_until_finished(id, polling=POLICY))

    async def _watch(self, client: AsyncClient, id: str) -> None:
        last = None
        async with aclosing(client.lipsync.requests.watch(id, polling=POLICY)) as changes:
            async for request in changes:
                if request == last:
                    self.tally.wrong.append(f"{id} was reported without a change")
                last = request
        if last is not None:
            self._take(id, last)

    async def _batch(self, client: AsyncClient, ids: list[str]) -> None:
        async with aclosing(client.lipsync.requests.as_finished(ids, polling=POLICY)) as outcomes:
            async for outcome in outcomes:
                self._take(outcome.id, outcome.unwrap())

    def _start(self, client: AsyncClient, group: asyncio.TaskGroup, count: int) -> None:
        ids = self._submit(count)
        batch = ids[: count // 3]
        group.create_task(self._batch(client, batch))
        loop = asyncio.get_running_loop()
        for id in ids[len(batch) :]:
            follow = self._watch if self._random.random() < 0.3 else self._wait
            task = group.create_task(follow(client, id))
            if self._random.random() < CANCELLED:
                loop.call_later(self._random.uniform(0, self._longest), task.cancel)
                task.add_done_callback(self._count_cancelled)

    def _count_cancelled(self, task: asyncio.Task[None]) -> None:
        self.tally.cancelled += task.cancelled()

    async def run(self, seconds: float, jobs: int) -> None:
        """Submit ``jobs`` jobs over so many seconds, and follow all of them to their ends."""
        waves = max(int(seconds // 2), 1)
        async with AsyncClient("sk-soak", base_url=self._sandbox.base_url) as client:
            async with asyncio.TaskGroup() as group:
                for wave in range(waves):
                    self._start(client, group, jobs // waves + (wave < jobs % waves))
                    await asyncio.sleep(seconds / waves)
            self._look_around()

    def _look_around(self) -> None:
        current = asyncio.current_task()
        for task in asyncio.all_tasks():
            if (
                task is not current
                and "chamelaion_async/sandbox" not in repr(task)
                and "aiohttp/web" not in repr(task)
            ):
                self.tally.leftovers.append(repr(task))


async def soak(seconds: float, jobs: int, seed: int, longest: float = 20.0) -> Tally:
    """Run for about ``seconds`` and return what came of it."""
    async with Sandbox(rate_limit=RATE, seed=seed, remember=1_000_000) as sandbox:
        handles = [sandbox.inject(fault, route="GET *", probability=FAULTY / len(FAULTS)) for fault in FAULTS]
        run = Soak(sandbox, seed, longest)
        await run.run(seconds, jobs)
        run.tally.requests, run.tally.refused = sandbox.count(), sandbox.count(status=429)
        run.tally.faults = sum(handle.hits for handle in handles)
        return run.tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began = time.monotonic()
    tally = asyncio.run(soak(options.seconds, options.jobs, options.seed))
    sys.stdout.write(f"{time.monotonic() - began:.0f} s: {tally}\n")
    sys.exit(not tally.is_good)


if __name__ == "__main__":
    main()
