"""One read of 10,000 requests: ``get_many`` beside gathered GETs by hand, and under a rate limit."""

from __future__ import annotations

import contextlib
import math
import statistics
from typing import Any

from child import Child
from goals import Goal

OURS, BY_HAND = "chamelaion_async", "aiohttp by hand"
IDS, PAGE, ROUNDS = 10_000, 100, 9
ALLOWED_RATE = 20.0


def _row(client: str, ids: int, rate_limit: float | None, seconds: float, requests: int) -> dict[str, Any]:
    return {
        "client": client,
        "ids": ids,
        "rate_limit": rate_limit,
        "requests": requests,
        "seconds": round(seconds, 3),
        "ids_per_s": round(ids / seconds, 1),
    }


def _unlimited(ids: int, rounds: int) -> list[dict[str, Any]]:
    taken: dict[str, list[float]] = {OURS: [], BY_HAND: []}
    requests: dict[str, int] = {}
    with Child("record_server.py", {"records": ids, "finished": True}) as server:
        served = server.receive()
        with contextlib.ExitStack() as stack:
            clients = {
                client: stack.enter_context(Child("reading_client.py", {"client": client, **served}))
                for client in taken
            }
            for child in clients.values():
                child.receive()
            for client, child in [*clients.items()] * rounds:
                before = server.ask("counts")["requests"]
                times, seconds = child.ask("all")
                taken[client].append(seconds / times)
                needed = math.ceil((server.ask("counts")["requests"] - before) / times)
                requests[client] = max(requests.get(client, 0), needed)
    ratio = statistics.median(theirs / mine for mine, theirs in zip(taken[OURS], taken[BY_HAND], strict=True))
    rows = [
        _row(client, ids, None, statistics.median(seconds), requests[client]) for client, seconds in taken.items()
    ]
    rows[0]["over_by_hand"] = round(ratio, 2)
    return rows


def _limited(ids: int) -> dict[str, Any]:
    work = {"jobs": ids, "earliest": 0.0, "latest": 0.0, "older": 0, "rate_limit": ALLOWED_RATE}
    with Child("job_server.py", work) as server:
        with Child("reading_client.py", {"client": OURS, **server.receive()}) as client:
            client.receive()
            _, seconds = client.ask("all")  # once: it takes longer than a second
        counts = server.ask("counts")
    row = _row(OURS, ids, ALLOWED_RATE, seconds, counts["requests"])
    row["over_pages"] = round(seconds / (ids / PAGE / ALLOWED_RATE), 2)
    return row


def measure(short: bool) -> list[dict[str, Any]]:
    """Return the median seconds to read all and the most requests that this needed, without a limit and with one.

    ``over_by_hand`` is the median over rounds of its ids a second over those by hand. ``over_pages`` is its time over
    that of its pages at the allowed rate.
    """
    ids = IDS // 10 if short else IDS
    return [*_unlimited(ids, 2 if short else ROUNDS), _limited(ids)]


def goals(rows: list[dict[str, Any]]) -> list[Goal]:
    """Return what should hold for 10,000 ids in pages of 100."""
    free, _, limited = rows
    pages = free["ids"] / PAGE
    return [
        Goal(what="requests of get_many, no limit", measured=free["requests"], at_most=1.3 * pages),
        Goal(what="requests of get_many, 20 a second", measured=limited["requests"], at_most=1.3 * pages),
        Goal(what="ids a second over GETs by hand", measured=free["over_by_hand"], at_least=10.0),
        Goal(what="time over that of the pages, 20 a second", measured=limited["over_pages"], at_most=1.3),
    ]
