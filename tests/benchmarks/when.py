"""Polls where the end is likely: the delay of each way to space polls, and what it costs in polls.

Time is virtual and chance seeded, so that every run gives the same figures. Only ``cost`` is real time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from statistics import mean
from typing import Any

from goals import Goal

from chamelaion_async import LipsyncRequest, PollPolicy
from chamelaion_async.polling.durations import Durations, kind_of
from chamelaion_async.polling.intervals import spacing

POLICY = PollPolicy()
FIXED_PAUSE = 5.0
START = datetime(2026, 1, 1, tzinfo=UTC)
LIPSYNC = kind_of("LipsyncRequest")
NUMBERS = count()

Draw = Callable[[Random], float]
Pause = Callable[[float, float], float]
"""From the age of a job and a number between 0 and 1 to the seconds until its next poll."""

BROAD = "log-normal, 600 s, sigma 0.8"
"""Durations of which so little can be known that the delay is never halved."""

KINDS: dict[str, Draw] = {
    "85 ± 5 s": lambda draw: 85 + draw.uniform(-5, 5),
    "log-normal, 90 s, sigma 0.4": lambda draw: 90 * math.exp(draw.gauss(0, 0.4)),
    "half 20 ± 3 s, half 300 ± 30 s": lambda draw: draw.gauss(20, 3) if draw.random() < 0.5 else draw.gauss(300, 30),
    "exponential, 60 s": lambda draw: draw.expovariate(1 / 60),
    "uniform, 5 to 30 s": lambda draw: draw.uniform(5, 30),
    BROAD: lambda draw: 600 * math.exp(draw.gauss(0, 0.8)),
}
GOALS = {10: (0.35, 0.60, 0.60, 0.90, 0.90, 1.10), 100: (0.20, 0.35, 0.40, 0.70, 0.70, 0.90)}
AFTER_DOUBLING = {"next 50": 1.2, "after 200": 0.5}


def by_age(age: float, draw: float) -> float:
    return spacing(age, POLICY, draw)


def fixed(_age: float, _draw: float) -> float:
    return FIXED_PAUSE


def learned(durations: Durations) -> Pause:
    def pause(age: float, draw: float) -> float:
        return spacing(age, POLICY, draw, durations.pause(LIPSYNC, POLICY, age, is_processing=True))

    return pause


def finished(durations: Durations, took: float) -> None:
    end = START + timedelta(seconds=took)
    durations.add(
        LipsyncRequest(id=f"{next(NUMBERS)}", status="completed", created_at=START, started_at=START, finished_at=end)
    )


def polled(took: float, pause: Pause, draw: Random) -> tuple[float, int]:
    """Return how late the end of a job is known, and after how many polls."""
    age, polls = 0.0, 1
    while age < took:
        age += pause(age, draw.random())
        polls += 1
    return age - took, polls


def ages_of_polls(pause: Pause, until: float) -> list[float]:
    """Return the ages at which a job that takes so long is polled, without jitter."""
    ages = [0.0]
    while ages[-1] < until:
        ages.append(ages[-1] + pause(ages[-1], 0.5))
    return ages[:-1]


def shares(kind: Draw, draw: Random, until: float, parts: int) -> list[float]:
    """Return which share of many jobs ends in each of equal parts of the time."""
    counted, jobs = [0] * parts, 20_000
    for _ in range(jobs):
        place = int(kind(draw) / until * parts)
        if 0 <= place < parts:
            counted[place] += 1
    return [each / jobs for each in counted]


def durations_of(kind: Draw, draw: Random, samples: int) -> Durations:
    durations = Durations()
    for _ in range(samples):
        finished(durations, max(kind(draw), 0.5))
    return durations


def steady(kind: str, samples: int, rounds: int, jobs: int) -> dict[str, Any]:
    """Compare the three ways after so many finished jobs of a kind; nothing is learned meanwhile."""
    draw = Random(f"{kind} {samples}")
    seen: dict[str, list[tuple[float, int]]] = {"learned": [], "by age": [], "every 5 s": []}
    for _ in range(rounds):
        ways = {
            "learned": learned(durations_of(KINDS[kind], draw, samples)),
            "by age": by_age,
            "every 5 s": fixed,
        }
        for _ in range(jobs):
            took = max(KINDS[kind](draw), 0.5)
            for way, pause in ways.items():
                seen[way].append(polled(took, pause, draw))
    return _row(kind, f"{samples} samples", seen)


def doubled(kind: str, rounds: int) -> list[dict[str, Any]]:
    """Compare the ways while jobs take twice as long as the 100 before; each is learned as it ends."""
    draw = Random(kind)
    phases: dict[str, dict[str, list[tuple[float, int]]]] = {
        name: {"learned": [], "by age": [], "every 5 s": []} for name in AFTER_DOUBLING
    }
    for _ in range(rounds):
        durations = durations_of(KINDS[kind], draw, 100)
        ways = {"learned": learned(durations), "by age": by_age, "every 5 s": fixed}
        for number in range(250):
            took = 2 * max(KINDS[kind](draw), 0.5)
            for way, pause in ways.items():
                delay = polled(took, pause, draw)
                if number < 50:
                    phases["next 50"][way].append(delay)
                elif number >= 200:
                    phases["after 200"][way].append(delay)
            finished(durations, took)
    return [_row(kind, f"doubled, {name}", seen) for name, seen in phases.items()]


def _row(kind: str, after: str, seen: dict[str, list[tuple[float, int]]]) -> dict[str, Any]:
    delays = {way: mean(delay for delay, _ in found) for way, found in seen.items()}
    polls = {way: mean(count for _, count in found) for way, found in seen.items()}
    return {
        "durations": kind,
        "after": after,
        "delay_s": round(delays["learned"], 2),
        "by_age_s": round(delays["by age"], 2),
        "fixed_s": round(delays["every 5 s"], 2),
        "polls": round(polls["learned"], 1),
        "by_age_polls": round(polls["by age"], 1),
        "fixed_polls": round(polls["every 5 s"], 1),
        "delay_ratio": round(delays["learned"] / delays["by age"], 2),
        "polls_ratio": round(polls["learned"] / polls["by age"], 2),
    }


def cost() -> dict[str, Any]:
    """Return what a poll costs, learning included: each job is polled 30 times and then learned from."""
    durations, draw, polls = durations_of(KINDS["log-normal, 90 s, sigma 0.4"], Random(1), 200), Random(2), 30
    ends = [max(KINDS["log-normal, 90 s, sigma 0.4"](draw), 0.5) for _ in range(1000)]
    began = time.process_time()
    for took in ends:
        for poll in range(polls):
            durations.pause(LIPSYNC, POLICY, took * poll / polls, is_processing=True)
        finished(durations, took)
    seconds = time.process_time() - began
    return {"durations": "log-normal, 90 s", "after": "200 samples", "us_a_poll": round(seconds / polls * 1e3, 2)}


def measure(short: bool) -> list[dict[str, Any]]:
    """Return a row for each kind of duration and each state of knowledge."""
    rounds, jobs = (2, 20) if short else (30, 80)
    rows = [steady(kind, samples, rounds, jobs) for samples in GOALS for kind in KINDS]
    return [*rows, *(row for kind in KINDS for row in doubled(kind, max(rounds // 3, 1))), cost()]


def goals(rows: list[dict[str, Any]]) -> list[Goal]:
    """Return the bounds of the delay, as a ratio to today's spacing by age, and of the polls."""
    found = []
    bounds = {
        **{
            (kind, f"{samples} samples"): bound
            for samples, each in GOALS.items()
            for kind, bound in zip(KINDS, each, strict=True)
        },
        **{(kind, f"doubled, {name}"): bound for kind in KINDS for name, bound in AFTER_DOUBLING.items()},
    }
    for row in rows:
        if row["durations"] == BROAD and row["after"] == "doubled, after 200":
            continue
        if bound := bounds.get((row["durations"], row["after"])):
            what = f"{row['durations']}, {row['after']}"
            found.append(Goal(what=f"{what}: delay over that by age", measured=row["delay_ratio"], at_most=bound))
            if "samples" in row["after"]:
                found.append(Goal(what=f"{what}: polls over those by age", measured=row["polls_ratio"], at_most=1.05))
        elif "us_a_poll" in row:
            found.append(Goal(what="microseconds a poll", measured=row["us_a_poll"], at_most=2.0))
    return found
