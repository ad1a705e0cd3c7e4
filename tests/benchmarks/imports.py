"""What importing the package costs above importing aiohttp alone: CPU time in fresh interpreters, in turn."""

from __future__ import annotations

import statistics
import subprocess
import sys

ROUNDS = 15
PROGRAM = "import time; began = time.process_time(); import {}; print(time.process_time() - began)"


def _cpu(module: str) -> float:
    program = [sys.executable, "-c", PROGRAM.format(module)]
    return float(subprocess.run(program, capture_output=True, check=True, text=True).stdout)


def measure() -> list[dict[str, float]]:
    """Return CPU milliseconds of both imports, and the median ratio of paired rounds."""
    pairs = [(_cpu("aiohttp"), _cpu("chamelaion_async")) for _ in range(ROUNDS)]
    aiohttp, package = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(mine / theirs for theirs, mine in pairs)
    return [{"aiohttp_ms": round(aiohttp * 1e3, 1), "package_ms": round(package * 1e3, 1), "ratio": round(ratio, 3)}]
