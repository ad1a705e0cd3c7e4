"""Run the benchmarks, print a table of each with its goals, write benchmarks.json and draw the charts.

Machines are noisy: compare ratios of one run, not times. A full run takes about a quarter of an hour.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import charts
import environment
import vendor
from catalogue import CATALOGUE
from tables import table

ENVIRONMENT, BENCHMARKS = "environment", "benchmarks"


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"run only these: {', '.join(CATALOGUE)}")
    parser.add_argument(
        "--short", action="store_true", help="smaller and fewer, so that goals say little; nothing is written"
    )
    parser.add_argument("--output", type=Path, default=Path("benchmarks.json"), metavar="FILE")
    parser.add_argument("--charts", type=Path, default=Path("docs", "charts"), metavar="FOLDER")
    parser.add_argument("--charts-from", type=Path, metavar="FILE", help="run nothing, draw the charts from this")
    options = parser.parse_args()
    if unknown := set(options.names) - CATALOGUE.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(CATALOGUE)}")
    return options


def _run(name: str, *, short: bool) -> dict[str, Any]:
    benchmark = CATALOGUE[name]
    print(f"{benchmark.title} ({name})", flush=True)
    began = time.perf_counter()
    rows = benchmark.measure(short)
    goals = [goal.row() for goal in benchmark.goals(rows)]
    print(table(rows), *([table(goals)] if goals else []), "", sep="\n\n", flush=True)
    return {
        "title": benchmark.title,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - began),
        "rows": rows,
        "goals": goals,
    }


def _keep(name: str, result: dict[str, Any], file: Path) -> dict[str, Any]:
    """Add a result to those of the same versions and machine in the file, and return all."""
    described = environment.describe()
    written = json.loads(file.read_text()) if file.exists() else {}
    earlier = written[BENCHMARKS] if written.get(ENVIRONMENT) == described else {}
    merged = {**earlier, name: result}
    ordered = {each: merged[each] for each in CATALOGUE if each in merged}
    file.write_text(json.dumps({ENVIRONMENT: described, BENCHMARKS: ordered}, indent=2) + "\n")
    return ordered


def main() -> None:
    options = _parsed()
    if options.charts_from:
        charts.draw(json.loads(options.charts_from.read_text())[BENCHMARKS], options.charts)
        return
    names = options.names or list(CATALOGUE)
    # First, so that a missing package does not end the run after minutes.
    if any(CATALOGUE[name].needs_vendor for name in names):
        vendor.require()
    missed: list[str] = []
    for name in names:
        result = _run(name, short=options.short)
        missed += [goal["what"] for goal in result["goals"] if not goal["reached"]]
        if not options.short:
            # Now, so that a later benchmark that fails does not lose it.
            charts.draw(_keep(name, result, options.output), options.charts)
    print("Missed: " + "; ".join(missed) if missed else "Every goal is reached.")


if __name__ == "__main__":
    main()
