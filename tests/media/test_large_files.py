"""Large files: constant memory, and an event loop that is not blocked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import chamelaion_async

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "media.py"


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, float]]:
    """What an upload and a download of 64 MiB cost in a process of their own."""
    program = [sys.executable, str(BENCHMARK), "--mib", "64"]
    # Its modules lie beside it, where a safe path does not look; the package is the one that is tested.
    path = os.pathsep.join([str(BENCHMARK.parent), str(Path(chamelaion_async.__file__).parents[1])])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(program, capture_output=True, check=True, env=environment, text=True, timeout=60)
    return {row["what"]: row for row in json.loads(done.stdout)}


@pytest.mark.parametrize("what", ["upload", "download"])
def test_a_large_file_takes_constant_memory(rows: dict[str, dict[str, float]], what: str) -> None:
    assert rows[what]["peak_growth_mib"] < 32


@pytest.mark.parametrize("what", ["upload", "download"])
def test_a_large_file_does_not_block_the_loop(rows: dict[str, dict[str, float]], what: str) -> None:
    """Machines under load make any process wait, so the bound of the worst gap is generous."""
    assert rows[what]["gap_p50_ms"] < 50
    assert rows[what]["gap_max_ms"] < 250
