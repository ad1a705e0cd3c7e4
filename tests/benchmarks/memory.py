"""What very many waits cost, each case in a fresh process: memory for each id, and how long they hold the loop."""

from __future__ import annotations

from typing import Any

from child import Child
from goals import Goal

CASES = (
    ("as_finished", 100_000, "finish"),
    ("as_finished", 100_000, "deadline"),
    ("as_finished", 100_000, "cancelled"),
    ("separate_waits", 10_000, "finish"),
    ("separate_waits", 10_000, "cancelled"),
)


def measure(short: bool) -> list[dict[str, Any]]:
    """Return bytes for each id, once all have been read, and the longest time that the loop was held in the wait."""
    rows = []
    for way, ids, ending in CASES:
        with Child("memory_client.py", {"way": way, "ids": ids // 10 if short else ids, "ending": ending}) as client:
            rows.append(client.receive())
    return rows


def goals(rows: list[dict[str, Any]]) -> list[Goal]:
    """Return the bounds for each id, and for holding the loop with 100,000 at once."""
    bounds = {"as_finished": 2_000, "separate_waits": 12_000}
    found = [
        Goal(
            what=f"bytes per id, {row['way']}, {row['measured_by']}, {row['ending']}",
            measured=row["bytes_per_id"],
            at_most=bounds[row["way"]],
        )
        for row in rows
    ]
    found += [
        Goal(
            what=f"longest hold of the loop in ms, {row['way']}, {row['ending']}",
            measured=row["longest_hold_ms"],
            at_most=100.0,
        )
        for row in rows
        if row["way"] == "as_finished" and row["longest_hold_ms"] is not None
    ]
    return found
