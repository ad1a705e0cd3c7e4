"""One client that waits for the jobs of one sandbox, each in its own process, and the row of figures of it."""

from __future__ import annotations

import statistics
from typing import Any

from attrs import asdict, frozen
from child import Child


@frozen(kw_only=True)
class Work:
    """The jobs of a conversation, and the limit of the server.

    Args:
        jobs: How many.
        earliest: Seconds after which the first may finish.
        latest: Seconds after which all have finished.
        older: Jobs in the list that finished long ago.
        rate_limit: Requests a second, or None.
        latency: Seconds that an answer takes.
    """

    jobs: int
    earliest: float = 5.0
    latest: float = 30.0
    older: int = 500
    rate_limit: float | None = 20.0
    latency: float = 0.0


def run(way: str, work: Work, *, cut_off: float) -> dict[str, Any]:
    """Return how many jobs a way to wait has found, when, and with how many requests.

    The delay is from finished to known, over the jobs that were found.
    """
    with Child("waiting_client.py", {"way": way, "cut_off": cut_off}) as client:
        client.receive()
        with Child("job_server.py", asdict(work)) as server:
            found = client.ask(server.receive())
            counts = server.ask("counts")
    delays: list[float] = found["delays"]
    return {
        "way": way,
        "jobs": work.jobs,
        "found": len(delays),
        "seconds": round(found["seconds"], 1),
        **counts,
        "delay_mean_s": round(statistics.fmean(delays), 3) if delays else None,
        "delay_median_s": round(statistics.median(delays), 3) if delays else None,
        "delay_max_s": round(max(delays), 3) if delays else None,
        "cut_off": found["cut_off"],
    }
