"""What one large upload and one large download cost this process: memory, time, and how late the loop comes back.

From a shell: ``python tests/benchmarks/media.py --mib 64``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import filecmp
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from child import Child
from goals import Goal

from chamelaion_async import AsyncClient

MiB = 1024 * 1024
Row = dict[str, Any]


def _peak() -> float:
    """Return the most memory that was resident since `_forget_peak`, in MiB."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = MiB if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


async def _gaps(into: list[float]) -> None:
    """Note how much later than asked for the loop comes back, until cancelled."""
    clock = time.perf_counter
    while True:
        began = clock()
        await asyncio.sleep(0.001)
        into.append(clock() - began - 0.001)


async def _observed(what: str, mib: int, work: Callable[[], Awaitable[object]]) -> Row:
    gaps: list[float] = []
    _forget_peak()
    before = _peak()
    ticker = asyncio.create_task(_gaps(gaps))
    began = time.perf_counter()
    await work()
    seconds = time.perf_counter() - began
    ticker.cancel()
    gaps.sort()
    return {
        "what": what,
        "mib": mib,
        "peak_growth_mib": round(_peak() - before, 1),
        "gap_p50_ms": round(gaps[len(gaps) // 2] * 1e3, 2),
        "gap_p99_ms": round(gaps[int(len(gaps) * 0.99)] * 1e3, 2),
        "gap_max_ms": round(gaps[-1] * 1e3, 1),
        "seconds": round(seconds, 2),
        "mb_per_s": round(mib * MiB / 1e6 / seconds, 1),
    }


def _make(film: Path, mib: int) -> None:
    with film.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MiB))


async def _measure(base_url: str, film: Path, mib: int, only: str | None) -> list[Row]:
    copy, sound = film.with_name("copy.mp4"), film.with_name("sound.wav")
    sound.write_bytes(b"sound")
    rows: list[Row] = []
    async with AsyncClient("key", base_url=base_url) as client:
        # A small one first, so that what is loaded and set up on first use is not counted.
        small = await client.lipsync.generate_with_media(video=sound, audio=sound)
        await client.download(await client.wait_until_finished(small.request_id), copy)
        if only != "download":
            upload = partial(client.lipsync.generate_with_media, video=film, audio=sound)
            rows.append(await _observed("upload", mib, upload))
        if only != "upload":
            request = await client.lipsync.requests.get("film")
            rows.append(await _observed("download", mib, partial(client.download, request, copy, overwrite=True)))
            if not filecmp.cmp(film, copy, shallow=False):
                raise AssertionError("what was downloaded is not what was served")
    return rows


def measure(mib: int = 1024, only: str | None = None) -> list[Row]:
    """Return what an upload and a download of so many MiB cost, or one of them.

    The growth is that of the peak resident memory above what the process held just before. The gap is how much later
    than asked for a task that sleeps for a millisecond comes back.
    """
    with tempfile.TemporaryDirectory(prefix="chamelaion-media-") as folder:
        film = Path(folder, "film.mp4")
        _make(film, mib)
        with Child("film_server.py", {"film": str(film)}) as server:
            return asyncio.run(_measure(server.receive(), film, mib, only))


def goals(rows: list[Row]) -> list[Goal]:
    """Return the bounds for memory and for the latest return of the loop."""
    bounds = {"peak_growth_mib": 32.0, "gap_max_ms": 50.0}
    return [
        Goal(what=f"{row['what']}, {figure}", measured=row[figure], at_most=bound)
        for row in rows
        for figure, bound in bounds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--only", choices=["upload", "download"])
    options = parser.parse_args()
    print(json.dumps(measure(options.mib, options.only), indent=2))


if __name__ == "__main__":
    main()
