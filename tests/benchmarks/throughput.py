"""Single requests that each client reads a second, in alternating rounds."""

from __future__ import annotations

import contextlib
import statistics
from typing import Any

from child import Child
from goals import Goal

RECORDS = 1000
CLIENTS = OURS, BY_HAND, VENDOR_AIOHTTP, VENDOR_HTTPX = (
    "chamelaion_async",
    "aiohttp by hand",
    "vendor on aiohttp",
    "vendor on httpx",
)


WINDOWS = {32: (0.5, 1.5), 500: (1.0, 2.0)}
"""Seconds of one round, of warm-up and of measuring, by how many reads are under way at once."""
SLOW_WINDOW = (4.0, 8.0)
"""For the vendor on httpx with 500 at once, which holds its loop for three seconds at a time."""
ROUNDS = 5


def _round(clients: dict[str, Child], at_once: int) -> dict[str, float]:
    rates = {}
    for name, client in clients.items():
        is_slow = (name, at_once) == (VENDOR_HTTPX, 500)
        warm_up, seconds = SLOW_WINDOW if is_slow else WINDOWS[at_once]
        rates[name] = client.ask({"at_once": at_once, "warm_up": warm_up, "seconds": seconds})
    return rates


def _row(client: str, at_once: int, rounds: list[dict[str, float]]) -> dict[str, Any]:
    return {
        "client": client,
        "at_once": at_once,
        "reads_per_s": round(statistics.median(rates[client] for rates in rounds), 1),
        "ours_over_it": round(statistics.median(rates[OURS] / rates[client] for rates in rounds), 2),
    }


def measure(short: bool) -> list[dict[str, Any]]:
    """Return the median reads a second of each client, and the median ratio of ours to it in the same round."""
    rows = []
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Child("record_server.py", {"records": RECORDS, "finished": True}))
        served = server.receive()
        clients = {
            name: stack.enter_context(Child("reading_client.py", {"client": name, **served})) for name in CLIENTS
        }
        for client in clients.values():
            client.receive()
        for at_once in WINDOWS:
            rounds = [_round(clients, at_once) for _ in range(1 if short else ROUNDS)]
            rows += [_row(name, at_once, rounds) for name in CLIENTS]
    return rows


def goals(rows: list[dict[str, Any]]) -> list[Goal]:
    """Return how many times faster ours should be."""
    ratios = {(row["client"], row["at_once"]): row["ours_over_it"] for row in rows}
    bounds = {
        (BY_HAND, 32): 0.85,
        (BY_HAND, 500): 0.85,
        (VENDOR_AIOHTTP, 32): 3.5,
        (VENDOR_AIOHTTP, 500): 3.5,
        (VENDOR_HTTPX, 500): 80.0,
    }
    return [
        Goal(what=f"reads over {client}, {at_once} at once", measured=ratios[client, at_once], at_least=bound)
        for (client, at_once), bound in bounds.items()
    ]
