"""The sandbox with jobs that finish on their own, under a rate limit.

At the start it is given a ``conversation.Work``. It answers each message with its counts.
"""

from __future__ import annotations

import asyncio
import time
from random import Random

from child import arguments, messages, tell

from chamelaion_async.sandbox import Fault, Sandbox

HOUR = 3600.0


async def serve(
    *, jobs: int, earliest: float, latest: float, older: int, rate_limit: float | None, latency: float
) -> None:
    # The same number of jobs finishes at the same seconds for each client.
    random = Random(jobs)
    async with Sandbox(rate_limit=rate_limit, page_cap=100, remember=0) as sandbox:
        if latency:
            sandbox.inject(Fault.latency(latency))
        for age in range(older):
            sandbox.add_job(created_at=time.time() - HOUR - age, job_seconds=60.0)
        ids = [sandbox.add_job(job_seconds=random.uniform(earliest, latest)).id for _ in range(jobs)]
        tell({"base_url": sandbox.base_url, "ids": ids})
        async for _ in messages():
            pages = sandbox.count("GET /v1/lipsync/requests")
            tell({"requests": sandbox.count(), "pages": pages, "status_429": sandbox.count(status=429)})


if __name__ == "__main__":
    asyncio.run(serve(**arguments()))
