"""``demo``: five jobs waited for at once, on a sandbox in this very process."""

from __future__ import annotations

import time
from typing import Final

import attrs

from ..client import AsyncClient
from ..config import PollPolicy
from ..models import LipsyncRequest, Outcome
from ..sandbox import Sandbox
from . import exits
from .boards import Board
from .exits import ExitCode
from .follow import all_of, follow, make_board
from .output import say

__all__ = ["demo"]

_POLLING: Final = PollPolicy(min_interval=0.2, max_interval=0.5)
"""The default polls once a second at first, which is right for jobs of minutes and coarse for these."""

_TIMEOUT: Final = 12.0
_KEY: Final = "demo-key"


@attrs.frozen(kw_only=True)
class _Part:
    """A job of the demo: what it goes by, the name of its video, and its times in seconds."""

    name: str
    video: str
    is_bound_to_fail: bool = False
    queued: float
    seconds: float


_PARTS: Final = (
    _Part(name="demo-trailer", video="trailer.mp4", queued=0.3, seconds=1.6),
    _Part(name="demo-scene-1", video="scene-1.mp4", queued=0.5, seconds=3.2),
    _Part(name="demo-scene-2", video="missing.mp4", is_bound_to_fail=True, queued=0.7, seconds=1.2),
    _Part(name="demo-scene-3", video="scene-3.mp4", queued=0.9, seconds=4.4),
    _Part(name="demo-credits", video="credits.mp4", queued=1.1, seconds=2.4),
)


async def demo() -> int:
    """Run five jobs against a sandbox and wait for all of them at once. Needs no key and no network.

    One job is made to fail, to show what happens then.
    """
    began = time.monotonic()
    say("Five lip sync jobs on a sandbox, which is the Chamelaion API imitated inside")
    say("this process: no key, no network, no cost. One is bound to fail, since its video")
    say("cannot be fetched.")
    say()
    async with (
        Sandbox() as sandbox,
        # Both credentials are given, so that none of the environment is sent here.
        AsyncClient(_KEY, bearer_token=_KEY, base_url=sandbox.base_url, polling=_POLLING) as client,
    ):
        with make_board([part.name for part in _PARTS]) as board:
            outcomes = await all_of(_run(part, client, sandbox, board) for part in _PARTS)
    codes = [exits.of_outcome(outcome) for outcome in outcomes]
    completed = codes.count(ExitCode.OK)
    say()
    say(
        f"{len(codes)} jobs in {time.monotonic() - began:.1f} s: {completed} completed, {len(codes) - completed} "
        "failed. The URLs went with the sandbox."
    )
    say("In code, each of these waits was")
    say("    request = await client.wait_until_finished(request_id)")
    say("To go on:")
    say("    chamelaion-async sandbox    serve a sandbox for code of your own")
    say("    chamelaion-async --help     list the other commands")
    return exits.worst(
        code
        for part, code in zip(_PARTS, codes, strict=True)
        if not (part.is_bound_to_fail and code is ExitCode.FAILED)
    )


async def _run(part: _Part, client: AsyncClient, sandbox: Sandbox, board: Board) -> Outcome[LipsyncRequest]:
    accepted = await client.lipsync.generate(
        video=f"https://cdn.example.com/{part.video}",
        audio="https://cdn.example.com/dub.wav",
        reference_id=part.name,
    )
    id = accepted.request_id
    job = sandbox.jobs[id]
    job.queue_seconds, job.job_seconds = part.queued, part.seconds
    return await follow(client.lipsync.requests, board, id, timeout=_TIMEOUT, name=part.name)
