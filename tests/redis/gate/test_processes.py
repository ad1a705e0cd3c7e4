"""The gate between real processes, in real time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import attrs

from tests.support.engines import EngineServer
from tests.support.limiters import TokenBucket

WORKER = Path(__file__).parents[2] / "support" / "gate_worker.py"
STARTS_IN = 0.1  # seconds after the last process is ready


@attrs.frozen
class Run:
    """What the processes got, each of them and together."""

    shares: list[int]
    times: list[float]
    commands: int


def run(url: str, *, skews: list[float], rate: float, callers: int, seconds: float) -> Run:
    options = {"url": url, "prefix": f"{{{time.monotonic()}}}", "rate": rate, "callers": callers, "seconds": seconds}
    started = [
        subprocess.Popen(
            [sys.executable, str(WORKER), json.dumps({**options, "skew": skew})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for skew in skews
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    begins = f"{time.monotonic() + STARTS_IN}\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write(begins)
        process.stdin.flush()
    found: list[dict[str, Any]] = [json.loads(process.communicate(timeout=60)[0]) for process in started]
    assert [process.returncode for process in started] == [0] * len(skews)
    times = sorted(moment for each in found for moment in each["times"])
    return Run([len(each["times"]) for each in found], times, sum(each["commands"] for each in found))


def test_processes_share_the_rate_equally_although_their_clocks_are_off(own_server: EngineServer) -> None:
    """A short form of 4 x 200 coroutines on 95 requests a second. A busy machine may delay processes, all alike."""
    found = run(own_server.url, skews=[0.0, 3.0, 0.0, -3.0], rate=95.0, callers=200, seconds=1.0)
    bucket = TokenBucket(100.0, 20.0)
    assert 50 <= len(found.times) <= 99
    assert max(found.shares) - min(found.shares) <= 10
    assert [moment for moment in found.times if bucket.take(moment)] == []
    assert found.commands <= 300
