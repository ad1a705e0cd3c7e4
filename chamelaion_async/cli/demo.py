"""``demo``: five jobs at once against a sandbox in this process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import attrs

from ..client import AsyncClient
from ..config import PollPolicy
from ._ui.board import make_board
from ._ui.exits import ExitCode, worst
from ._ui.printing import print_line
from ._ui.waiting import of_outcome, run_together, wait_for_all

if TYPE_CHECKING:
    from ..sandbox import Sandbox

__all__ = ["demo"]

_POLLING: Final = PollPolicy(min_interval=0.2, max_interval=0.5)
"""The default interval of one second suits jobs of minutes, and is too long for these."""

_INTRODUCTION: Final = """\
Five lip sync jobs on a sandbox, an imitation of the Chamelaion API inside this
process: no key, no network, no cost. One job fails on purpose: its video cannot
be fetched.
"""
_NEXT_STEPS: Final = """\
In code, each of these waits is
    request = await client.wait_until_finished(request_id)
Next steps:
    chamelaion-async sandbox    serve a sandbox for your own code
    chamelaion-async --help     list the other commands"""

_TIMEOUT: Final = 12.0
_KEY: Final = "demo-key"


@attrs.frozen(kw_only=True)
class _DemoJob:
    """A job of the demo: its name, the name of its video, and its times in seconds."""

    name: str
    video: str
    fails: bool = False
    queued: float
    seconds: float


_JOBS: Final = (
    _DemoJob(name="demo-trailer", video="trailer.mp4", queued=0.3, seconds=1.6),
    _DemoJob(name="demo-scene-1", video="scene-1.mp4", queued=0.5, seconds=3.2),
    _DemoJob(name="demo-scene-2", video="missing.mp4", fails=True, queued=0.7, seconds=1.2),
    _DemoJob(name="demo-scene-3", video="scene-3.mp4", queued=0.9, seconds=4.4),
    _DemoJob(name="demo-credits", video="credits.mp4", queued=1.1, seconds=2.4),
)


async def demo() -> int:
    """Run five jobs on a sandbox in this process.

    Needs no key and no network. One job fails on purpose, to show what a failure looks like.
    """
    from ..sandbox import Sandbox  # noqa: PLC0415 - completion imports this module, and needs no server

    start = time.monotonic()
    print_line(_INTRODUCTION)
    async with (
        Sandbox() as sandbox,
        # Both credentials are given, so that none from the environment is sent.
        AsyncClient(_KEY, bearer_token=_KEY, base_url=sandbox.base_url, polling=_POLLING) as client,
    ):
        await run_together(_submit(job, client, sandbox) for job in _JOBS)
        names = [job.name for job in _JOBS]  # their reference ids, by which a wait finds them
        board = make_board(names)
        outcomes = await wait_for_all(client.lipsync.requests, board, names, timeout=_TIMEOUT, polling=_POLLING)
    codes = [of_outcome(outcome) for outcome in outcomes]
    completed = codes.count(ExitCode.OK)
    print_line()
    print_line(
        f"{len(codes)} jobs in {time.monotonic() - start:.1f} s: {completed} completed, {len(codes) - completed} "
        "failed. The sandbox has stopped, and its URLs with it."
    )
    print_line(_NEXT_STEPS)
    return worst(code for job, code in zip(_JOBS, codes, strict=True) if not (job.fails and code is ExitCode.FAILED))


async def _submit(demo_job: _DemoJob, client: AsyncClient, sandbox: Sandbox) -> None:
    accepted = await client.lipsync.generate(
        video=f"https://cdn.example.com/{demo_job.video}",
        audio="https://cdn.example.com/dub.wav",
        reference_id=demo_job.name,
    )
    job = sandbox.jobs[accepted.request_id]
    job.queue_seconds, job.job_seconds = demo_job.queued, demo_job.seconds
