"""Run the benchmarks, print a table of each and write benchmarks.json.

Each comparison is made within one run, since machines are noisy: believe the ratios, not the times.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imports
import media
import overhead

BENCHMARKS: dict[str, Callable[[], list[Any]]] = {
    "CPU of one get (goal: ratio at most 1.18)": overhead.measure,
    "CPU of the import (goal: ratio at most 1.25)": imports.measure,
    "1 GiB up and down (goals: growth below 32 MiB, loop gap below 50 ms)": media.measure,
}


def main() -> None:
    results: dict[str, object] = {"python": platform.python_version(), "machine": platform.machine()}
    for title, measure in BENCHMARKS.items():
        rows = results[title] = measure()
        print(title)
        print("  " + "  ".join(f"{name:>12}" for name in rows[0]))
        for row in rows:
            print("  " + "  ".join(f"{value:>12}" for value in row.values()))
    Path("benchmarks.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
