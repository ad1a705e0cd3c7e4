"""Workers of one web server: the reads for a hundred visitors of one job, and a webhook that any worker receives."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
from attrs import asdict, evolve, frozen
from child import Child
from conversation import Work
from engine import Engine
from goals import Goal

VISITORS: Final = 100
JOB: Final = Work(jobs=1, earliest=20.0, latest=20.0, rate_limit=None, latency=0.3)
PATIENCE: Final = 30.0
"""Seconds for the server to start."""
_HOOK_AFTER: Final = 0.05  # seconds after the end of the job


@frozen(kw_only=True)
class Case:
    """A web server, and whether its workers share.

    Args:
        what: In words.
        workers: How many.
        shares: Whether they share.
        hooks: Whether a webhook comes when the job ends.
    """

    what: str
    workers: int = 4
    shares: bool = True
    hooks: bool = False


ONE: Final = "one worker"
SHARING: Final = "4 workers, sharing"
HOOKED: Final = "4 workers, sharing, with a webhook"
CASES: Final = (
    Case(what=ONE, workers=1, shares=False),
    Case(what="4 workers", shares=False),
    Case(what=SHARING),
    Case(what="4 workers, with a webhook", shares=False, hooks=True),
    Case(what=HOOKED, hooks=True),
)


def measure(short: bool) -> list[dict[str, Any]]:
    """Return a row for each case."""
    if short:
        return [_run(case, evolve(JOB, earliest=2.0, latest=2.0), visitors=8) for case in CASES[2:3]]
    return [_run(case, JOB, visitors=VISITORS) for case in CASES]


def _run(case: Case, job: Work, *, visitors: int) -> dict[str, Any]:
    with Engine() as engine, tempfile.TemporaryDirectory() as folder, Child("job_server.py", asdict(job)) as service:
        known = service.receive()
        ends = time.time() + job.latest
        environment = {"BASE_URL": known["base_url"], "ENGINE": engine.url if case.shares else ""}
        socket = f"{folder}/socket"
        with _server(socket, case.workers, environment):
            (id,) = known["ids"]
            delays = asyncio.run(_visit(socket, id, visitors, ends if case.hooks else None))
        counts = service.ask("counts")
    return {
        "what": case.what,
        "workers": case.workers,
        "visitors": len(delays),
        "reads": counts["requests"],
        "first_known_s": round(min(delays), 3),
        "last_known_s": round(max(delays), 3),
    }


@contextmanager
def _server(socket: str, workers: int, environment: dict[str, str]) -> Iterator[None]:
    options = ["--uds", socket, "--workers", str(workers), "--log-level", "error", "--lifespan", "on"]
    command = [sys.executable, "-m", "uvicorn", *options, "worker_app:app"]
    folder = Path(__file__).parent
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, **environment})
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


async def _visit(socket: str, id: str, visitors: int, hook_at: float | None) -> list[float]:
    """Return how many seconds after the end of the job each visitor knew of it."""
    connector = aiohttp.UnixConnector(path=socket, limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(None)) as session:
        await _answers(session)
        following = asyncio.gather(*(_follow(session, id) for _ in range(visitors)))
        if hook_at is not None:
            await asyncio.sleep(hook_at + _HOOK_AFTER - time.time())
            async with session.get(f"http://workers/webhook/{id}"):
                pass
        return await following


async def _answers(session: aiohttp.ClientSession) -> None:
    """Wait until the server answers. A webhook for which there is no wait costs the service nothing."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            async with session.get("http://workers/webhook/none"):
                return
        except aiohttp.ClientConnectionError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.05)


async def _follow(session: aiohttp.ClientSession, id: str) -> float:
    async with session.get(f"http://workers/events/{id}") as response:
        async for line in response.content:
            status, _, finished_at = line.decode().partition(" ")
            if status == "completed":
                return time.time() - float(finished_at)
    raise RuntimeError("the stream of a visitor ended before the job")


def goals(rows: Sequence[dict[str, Any]]) -> list[Goal]:
    """Return the bounds."""
    by_case = {row["what"]: row for row in rows}
    if ONE not in by_case:
        return []
    ratio = by_case[SHARING]["reads"] / by_case[ONE]["reads"]
    return [
        Goal(what=f"{SHARING}: reads over {ONE}", measured=round(ratio, 2), at_most=1.2),
        Goal(what=f"{HOOKED}: last known after s", measured=by_case[HOOKED]["last_known_s"], at_most=1.0),
    ]
