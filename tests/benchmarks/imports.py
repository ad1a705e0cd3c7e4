"""CPU time of importing the package, beside importing aiohttp alone, in fresh interpreters and alternating rounds."""

from __future__ import annotations

import statistics
import subprocess
import sys

from goals import Goal

ROUNDS = 15
PROGRAM = "import time; began = time.process_time(); import {}; print(time.process_time() - began)"


def _cpu(module: str) -> float:
    program = [sys.executable, "-c", PROGRAM.format(module)]
    return float(subprocess.run(program, capture_output=True, check=True, text=True).stdout)


def measure(_short: bool = False) -> list[dict[str, float]]:
    """Return CPU milliseconds of both imports, and the median ratio of paired rounds."""
    pairs = [(_cpu("aiohttp"), _cpu("chamelaion_async")) for _ in range(ROUNDS)]
    aiohttp, package = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(mine / theirs for theirs, mine in pairs)
    return [{"aiohttp_ms": round(aiohttp * 1e3, 1), "package_ms": round(package * 1e3, 1), "ratio": round(ratio, 3)}]


def goals(rows: list[dict[str, float]]) -> list[Goal]:
    """Return the bound for the ratio."""
    return [Goal(what="CPU of the import over that of aiohttp", measured=row["ratio"], at_most=1.25) for row in rows]
