"""Replicas on one account: requests and delay beside those of one process, and what failures cost.

The service takes 0.3 s for an answer. The replicas share through Valkey over a Unix socket, or not at all.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Final, Literal

from attrs import asdict, evolve, frozen
from child import Child, ChildError
from conversation import Work
from engine import Engine
from goals import Goal

WORK: Final = Work(jobs=1000, earliest=0.0, latency=0.3)
SLOW: Final = evolve(WORK, rate_limit=5.0)
SAME: Final = evolve(WORK, jobs=500)

Trouble = Callable[[Engine, list[Child]], None]


@frozen(kw_only=True)
class Case:
    """Some replicas, and what they wait for.

    Args:
        what: In words.
        count: How many replicas.
        shares: Whether they share.
        work: The jobs and the limit of the service.
        max_rate: The rate that they are told, or None if they learn it.
        ids: Whether each waits for its own part of the jobs, or all for the same.
        trouble: What goes wrong after some seconds.
        lost: The part of messages that get lost.
        over: The case with one process beside it.
        bounds: Upper bounds, by figure; ``requests`` and ``delay_mean_s`` as ratios to one process.
    """

    what: str
    count: int = 4
    shares: bool = True
    work: Work = WORK
    max_rate: float | None = 19.0
    ids: Literal["parts", "same"] = "parts"
    trouble: Trouble | None = None
    lost: float = 0.0
    over: str = ""
    bounds: tuple[tuple[str, float], ...] = ()


def _after(seconds: float, *actions: Callable[[Engine, list[Child]], None], pause: float = 8.0) -> Trouble:
    def trouble(engine: Engine, replicas: list[Child]) -> None:
        time.sleep(seconds)
        for number, action in enumerate(actions):
            if number:
                time.sleep(pause)
            action(engine, replicas)

    return trouble


def _kill_first(_: Engine, replicas: list[Child]) -> None:
    replicas[0].kill()


def _drop_all(engine: Engine, _: list[Child]) -> None:
    engine.ask("CLIENT KILL TYPE pubsub")


ONE, ONE_SAME = "one process", "one process, 500 jobs"
ONE_SLOW, ONE_LEARNS = "one process, 5 a second", "one process, 5 a second, limit learned"
CASES: Final = (
    Case(what=ONE, count=1, shares=False),
    Case(what="2 x 500, not shared", count=2, shares=False, max_rate=None, over=ONE),
    Case(what="2 x 500", count=2, over=ONE),
    Case(what="4 x 250, not shared", shares=False, max_rate=None, over=ONE),
    Case(what="4 x 250", over=ONE, bounds=(("requests", 1.1), ("delay_mean_s", 1.1), ("status_429", 0))),
    Case(what="8 x 125, not shared", count=8, shares=False, max_rate=None, over=ONE),
    Case(what="8 x 125", count=8, over=ONE),
    Case(what=ONE_SAME, count=1, shares=False, work=SAME),
    Case(what="4 x the same 500, not shared", shares=False, max_rate=None, ids="same", work=SAME, over=ONE_SAME),
    Case(
        what="4 x the same 500", ids="same", work=SAME, over=ONE_SAME, bounds=(("requests", 1.1), ("status_429", 0))
    ),
    Case(what=ONE_SLOW, count=1, shares=False, work=SLOW, max_rate=4.75),
    Case(what=ONE_LEARNS, count=1, shares=False, work=SLOW, max_rate=None),
    Case(what="4 x 250, 5 a second, not shared", shares=False, work=SLOW, max_rate=None, over=ONE_SLOW),
    Case(
        what="4 x 250, 5 a second, limit learned",
        work=SLOW,
        max_rate=None,
        over=ONE_LEARNS,
        bounds=(("delay_mean_s", 1.15), ("status_429", 20)),
    ),
    Case(
        what="8 x 125, 5 a second",
        count=8,
        work=SLOW,
        max_rate=4.75,
        over=ONE_SLOW,
        bounds=(("delay_mean_s", 1.4), ("status_429", 0)),
    ),
    Case(
        what="engine killed for 8 s",
        trouble=_after(8.0, lambda engine, _: engine.kill(), lambda engine, _: engine.restart()),
        over=ONE,
        bounds=(("delay_mean_s", 1.3), ("status_429", 0)),
    ),
    Case(
        what="engine stopped for 8 s",
        trouble=_after(8.0, lambda engine, _: engine.stop(), lambda engine, _: engine.go_on()),
        over=ONE,
        bounds=(("delay_mean_s", 1.3), ("status_429", 0)),
    ),
    Case(
        what="all subscriptions dropped, five times",
        trouble=_after(5.0, *([_drop_all] * 5), pause=4.0),
        over=ONE,
        bounds=(("delay_mean_s", 1.3), ("status_429", 0)),
    ),
    Case(
        what="one of 4 x the same 500 killed",
        work=SAME,
        ids="same",
        trouble=_after(8.0, _kill_first),
        over=ONE_SAME,
        bounds=(("delay_mean_s", 1.1), ("status_429", 0)),
    ),
    Case(what="10 % of messages lost", lost=0.1, over=ONE, bounds=(("delay_mean_s", 1.3), ("status_429", 0))),
    Case(what="all messages lost", lost=1.0, over=ONE, bounds=(("delay_mean_s", 2.5), ("status_429", 0))),
)


PAIRS: Final = {"2 x 500, not shared": "2 x 500", "4 x 250, not shared": "4 x 250", "8 x 125, not shared": "8 x 125"}
"""What the chart compares."""


def measure(short: bool) -> list[dict[str, Any]]:
    """Return a row for each case."""
    if short:
        cases = [case for case in CASES if case.what in {ONE, "4 x 250, not shared", "4 x 250"}]
        return [_run(evolve(case, work=evolve(case.work, jobs=40, latest=4.0))) for case in cases]
    return [_run(case) for case in CASES]


def _run(case: Case) -> dict[str, Any]:
    with ExitStack() as stack:
        engine = stack.enter_context(Engine())
        server = stack.enter_context(Child("job_server.py", asdict(case.work)))
        options = {"url": engine.url if case.shares else None, "max_rate": case.max_rate, "lost": case.lost}
        replicas = [stack.enter_context(Child("replica_client.py", options)) for _ in range(case.count)]
        for replica in replicas:
            replica.receive()
        jobs = server.receive()
        for number, replica in enumerate(replicas):
            ids = jobs["ids"] if case.ids == "same" else jobs["ids"][number :: case.count]
            replica.send({"base_url": jobs["base_url"], "ids": ids})
        # A server that is started again ends with the thread that has started it, so that thread lives on.
        troubles = stack.enter_context(ThreadPoolExecutor(1))
        trouble = None if case.trouble is None else troubles.submit(case.trouble, engine, replicas)
        with ThreadPoolExecutor(case.count) as pool:
            seen = list(pool.map(_listen, replicas))
        if trouble is not None:
            trouble.result()
        counts = server.ask("counts")
    delays = [delay for found, _ in seen for delay in found.values()]
    return {
        "what": case.what,
        "replicas": case.count,
        "shared": case.shares,
        "found": len(delays),
        **counts,
        "delay_mean_s": round(statistics.fmean(delays), 3),
        "delay_max_s": round(max(delays), 3),
        "cpu_ms_a_wait": round(1000 * sum(cpu for _, cpu in seen) / len(delays), 2),
    }


def _listen(replica: Child) -> tuple[dict[str, float], float]:
    found: dict[str, float] = {}
    try:
        while "id" in (message := replica.receive()):
            found[message["id"]] = message["delay"]
    except ChildError:
        if replica.was_killed:
            return found, 0.0
        raise
    return found, message["cpu"]


def goals(rows: Sequence[dict[str, Any]]) -> list[Goal]:
    """Return the bounds of the cases, as ratios to one process where that is what counts."""
    by_case = {row["what"]: row for row in rows}
    found = []
    for case in CASES:
        row, one = by_case.get(case.what), by_case.get(case.over)
        if row is None or one is None:
            continue
        for figure, bound in case.bounds:
            is_ratio = figure != "status_429"
            measured = round(row[figure] / one[figure], 3) if is_ratio else row[figure]
            what = f"{case.what}: {figure}" + (" over one process" if is_ratio else "")
            found.append(Goal(what=what, measured=measured, at_most=bound))
    return found
