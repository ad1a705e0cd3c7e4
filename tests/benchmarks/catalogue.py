"""The benchmarks: what each measures, and what is expected of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import few
import get_many
import imports
import many
import media
import memory
import overhead
import replicas
import throughput
import when
import workers
from attrs import frozen
from goals import Goal

Rows = list[dict[str, Any]]


@frozen
class Benchmark:
    """One benchmark. ``measure`` takes whether to run a short form."""

    title: str
    measure: Callable[[bool], Rows]
    goals: Callable[[Rows], list[Goal]]
    needs_vendor: bool = False


CATALOGUE = {
    "overhead": Benchmark("CPU of one get", overhead.measure, overhead.goals),
    "imports": Benchmark("CPU of the import", imports.measure, imports.goals),
    "media": Benchmark("Large files up and down", lambda short: media.measure(64 if short else 1024), media.goals),
    "throughput": Benchmark("Single requests read a second", throughput.measure, throughput.goals, needs_vendor=True),
    "get_many": Benchmark("One read of 10,000 requests", get_many.measure, get_many.goals),
    "memory": Benchmark("Memory and the event loop with very many waits", memory.measure, memory.goals),
    "few": Benchmark("50 jobs, no rate limit", few.measure, few.goals),
    "many": Benchmark("Many jobs, 20 requests a second, pages of 100", many.measure, many.goals, needs_vendor=True),
    "replicas": Benchmark(
        "Replicas that share through Valkey, 0.3 s for an answer", replicas.measure, replicas.goals
    ),
    "workers": Benchmark("Workers of a web server, 100 visitors of one job", workers.measure, workers.goals),
    "when": Benchmark("Delay and polls of one job, by what is known of durations", when.measure, when.goals),
}
