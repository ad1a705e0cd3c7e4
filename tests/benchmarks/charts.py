"""The charts, from the figures of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import get_many
import many
import replicas
import throughput
import when
from dot_chart import Dot, dot_chart
from line_chart import Point, Series, line_chart
from pair_chart import Pair, pair_chart
from schedule_chart import Panel, schedule_chart

Results = Mapping[str, Mapping[str, Any]]

WAYS = {
    many.OURS: "as_finished",
    many.WAITS: "separate wait_until_finished",
    many.SWEEP: "sweep of list pages by hand",
    many.GETS: "GET loops on aiohttp",
    many.VENDOR_AIOHTTP: "GET loops on vendor, aiohttp",
    many.VENDOR_HTTPX: "GET loops on vendor, httpx",
}
CLIENTS = {throughput.OURS: 0, throughput.BY_HAND: 3, throughput.VENDOR_AIOHTTP: 4, throughput.VENDOR_HTTPX: 5}
CONDITIONS = (
    "Jobs finish after 5 to 30 s; 20 requests a second allowed, list pages of 100, 500 older jobs in the list"
)
FOOT = "The sweep knows the allowed rate, the others do not. Loops of GETs were not tried with 10,000 jobs."
IN_LEGEND = 1000  # jobs
SHOWN = {"85 ± 5 s": (110.0, 10.0), "half 20 ± 3 s, half 300 ± 30 s": (400.0, 50.0)}
"""The kinds of jobs whose polls are drawn, up to which age and with how far apart the numbers of the axis."""
KNOWN = 100  # jobs
PARTS = 110  # of the time in which ends are counted


def _against_jobs(results: Results, *, figure: str, title: str, y_title: str, unit: str, hollow: str) -> str:
    rows = [row for row in results["many"]["rows"] if row[figure]]
    series = [
        Series(
            name=name,
            dash="5 4" if way == many.SWEEP else "",
            points=[
                Point(x=row["jobs"], y=row[figure], note=f"{row['found']:,} found" if row["cut_off"] else "")
                for row in rows
                if row["way"] == way
            ],
        )
        for way, name in WAYS.items()
    ]
    return line_chart(
        title=title,
        subtitle=CONDITIONS,
        series=series,
        x_title="jobs",
        y_title=y_title,
        unit=unit,
        in_legend=IN_LEGEND,
        foot=(f"Hollow: cut off after {many.CUT_OFF:g} s; {hollow}", FOOT),
    )


def delay(results: Results) -> str:
    """Draw the mean delay from finished to known against the number of jobs."""
    return _against_jobs(
        results,
        figure="delay_mean_s",
        title="Mean delay from finished to known",
        y_title="seconds",
        unit=" s",
        hollow="the mean is over the jobs found, and would have grown.",
    )


def requests(results: Results) -> str:
    """Draw the number of requests against the number of jobs."""
    return _against_jobs(
        results,
        figure="requests",
        title="Requests until all jobs are known to have finished",
        y_title="requests, with those refused",
        unit="",
        hollow="more would have followed.",
    )


def reads(results: Results) -> str:
    """Draw the single requests read a second."""
    rows = results["throughput"]["rows"]
    return dot_chart(
        title="Single requests read a second",
        subtitle="One client process at a time, server on the same machine; median of alternating rounds",
        groups={
            f"{at_once} at once": [
                Dot(name=row["client"], value=row["reads_per_s"], series=CLIENTS[row["client"]])
                for row in rows
                if row["at_once"] == at_once
            ]
            for at_once in dict.fromkeys(row["at_once"] for row in rows)
        },
        x_title="requests a second",
    )


def batches(results: Results) -> str:
    """Draw how many requests of many are read a second."""
    rows = results["get_many"]["rows"]
    names = {get_many.OURS: "get_many", get_many.BY_HAND: "GETs by hand"}

    def heading(row: Mapping[str, Any]) -> str:
        return f"{row['rate_limit']:g} requests a second" if row["rate_limit"] else "no rate limit"

    return dot_chart(
        title=f"One read of {rows[0]['ids']:,} requests",
        subtitle="List pages of 100; median of alternating rounds",
        groups={
            group: [
                Dot(
                    name=f"{names[row['client']]}, {row['requests']:,} requests",
                    value=row["ids_per_s"],
                    series=CLIENTS[row["client"]],
                )
                for row in rows
                if heading(row) == group
            ]
            for group in dict.fromkeys(map(heading, rows))
        },
        x_title="ids a second",
    )


def schedule(_: Results) -> str:
    """Draw when two kinds of jobs are polled. Computed now, since nothing of it depends on a machine."""
    panels = []
    for kind, (until, step) in SHOWN.items():
        draw = when.KINDS[kind]
        known = when.durations_of(draw, Random(f"{kind} {KNOWN}"), KNOWN)
        panels.append(
            Panel(
                name=f"Jobs that take {kind}",
                until=until,
                step=step,
                ends=when.shares(draw, Random(kind), until, PARTS),
                polls={
                    "learned": when.ages_of_polls(when.learned(known), until),
                    "by age": when.ages_of_polls(when.by_age, until),
                },
            )
        )
    return schedule_chart(
        title="The polls of a job that does not end",
        subtitle=f"Each stroke is a poll; learned from {KNOWN} finished jobs, and by age; default policy, no jitter",
        panels=panels,
        x_title="age of the job in seconds",
    )


def spacing(results: Results) -> str:
    """Draw the delay against the polls of a job, by age and learned."""
    rows = [row for row in results["when"]["rows"] if row["after"] == f"{KNOWN} samples"]
    return pair_chart(
        title="Delay from finished to known against polls",
        subtitle=f"Hollow: by age. Full: learned from {KNOWN} finished jobs. Virtual time, default policy",
        pairs=[
            Pair(
                name=row["durations"],
                before=(row["by_age_polls"], row["by_age_s"]),
                after=(row["polls"], row["delay_s"]),
            )
            for row in rows
        ],
        x_title="polls",
        y_title="mean delay in seconds",
        foot=("Mean polls and mean delay of a job, for six kinds of durations.",),
    )


def sharing(results: Results) -> str:
    """Draw the delay against the requests of replicas, without sharing and with it."""
    rows = {row["what"]: (row["requests"], round(row["delay_mean_s"], 2)) for row in results["replicas"]["rows"]}
    one = rows[replicas.ONE]
    return pair_chart(
        title="1,000 jobs, 20 requests a second allowed: what replicas cost",
        subtitle="Hollow: not shared. Full: shared through Valkey. Service with 0.3 s, jobs that finish over 30 s",
        pairs=[
            Pair(name=replicas.ONE, before=one, after=one),
            *(Pair(name=after, before=rows[before], after=rows[after]) for before, after in replicas.PAIRS.items()),
        ],
        x_title="requests",
        y_title="mean delay from finished to known, in seconds",
        foot=("Requests of all replicas together, with those answered 429.",),
        names=("not shared", "shared"),
    )


CHARTS: dict[str, tuple[str, Callable[[Results], str]]] = {
    "delay.svg": ("many", delay),
    "requests.svg": ("many", requests),
    "throughput.svg": ("throughput", reads),
    "get-many.svg": ("get_many", batches),
    "schedule.svg": ("when", schedule),
    "spacing.svg": ("when", spacing),
    "replicas.svg": ("replicas", sharing),
}
"""The benchmark that each file shows, and how it is drawn."""


def draw(results: Results, folder: Path) -> None:
    """Write a chart of each benchmark that was run."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, (benchmark, chart) in CHARTS.items():
        if benchmark in results:
            folder.joinpath(file).write_text(chart(results), encoding="utf-8")
