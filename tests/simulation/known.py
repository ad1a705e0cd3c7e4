"""Worlds in which sharing once did harm, each as small as it went. What is due in them is what ``judge`` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .world import Fault, Habits, Job, Limit, Listing, Nudge, Post, Submit, User, World

__all__ = ["KNOWN"]


def _jobs(count: int, ended: float, *, listed: bool = True, shared: bool = False) -> tuple[Job, ...]:
    return tuple(
        Job(number=n, reference=f"group-{n // 2}" if shared else f"name-{n}", ended=ended, is_listed=listed)
        for n in range(count)
    )


def _each(count: int, first: int = 0) -> tuple[int, ...]:
    return tuple(range(first, first + count))


KNOWN: Final[Mapping[str, World]] = {
    "three who wait for one job while the list says to wait": World(
        seed=102,
        habits=Habits(timers="early"),
        jobs=(Job(number=0, reference="name-1", created=-129.32, started=-126.11, ended=10.55),),
        faults=(Fault(kind="refused", route="list", ends=1.38, value=5.0),),
        users=(User(), User(by_reference=True), User(at=1.0)),
    ),
    "references that cannot be read beside one that can": World(
        jobs=(*_jobs(4, 100.0), Job(number=4, reference="name-4", ended=5.0)),
        faults=(
            *(Fault(kind="status", target=n, value=500.0) for n in range(3)),
            Fault(kind="hang", target=3),
        ),
        users=(User(call="as_finished", targets=_each(5), by_reference=True),),
    ),
    "ten references that hang beside three that do not": World(
        jobs=(*_jobs(10, 100.0), *_jobs(13, 5.0)[10:]),
        faults=tuple(Fault(kind="hang", target=n) for n in range(10)),
        users=(User(call="as_finished", targets=_each(13), by_reference=True),),
    ),
    "references that cannot be read beside a batch": World(
        jobs=(*_jobs(4, 100.0), *_jobs(8, 5.0)[4:]),
        faults=(
            *(Fault(kind="status", target=n, value=500.0) for n in range(3)),
            Fault(kind="hang", target=3),
        ),
        users=(
            User(call="as_finished", targets=_each(5), by_reference=True),
            User(call="get_many", at=3.0, targets=(4, 5, 6, 7), by_reference=True),
        ),
    ),
    "a list that hangs": World(
        jobs=_jobs(2, -1.0),
        faults=(Fault(kind="hang", route="list"),),
        users=(
            User(call="as_finished", targets=(0, 1)),
            User(at=1.0),
            User(call="wait_all", at=1.0, targets=(0, 1), timeout=10.0),
            User(call="get_many", at=0.5, targets=(0, 1)),
        ),
    ),
    "a queue that is no outage": World(
        habits=Habits(max_rate=1.0),
        jobs=_jobs(300, 1000.0),
        horizon=1200.0,
        users=(User(call="as_finished", targets=_each(300), by_reference=True, timeout=300.0),),
    ),
    "one failure after a long queue": World(
        habits=Habits(max_rate=1.0),
        jobs=_jobs(200, 10.0),
        horizon=1200.0,
        faults=(Fault(kind="status", value=503.0, begins=130.0, ends=132.0),),
        users=(User(call="as_finished", targets=_each(200), by_reference=True),),
    ),
    "three pages that break under a rate": World(
        habits=Habits(max_rate=5.0),
        jobs=(*_jobs(200, 8.0), *_jobs(300, 900.0)[200:]),
        horizon=1500.0,
        faults=(Fault(kind="status", route="list", value=500.0, begins=5.0),),
        users=(User(call="as_finished", targets=_each(300)),),
    ),
    "a list that is limited for good": World(
        jobs=_jobs(2, 10.0),
        faults=(Fault(kind="refused", route="list", value=-1.0),),
        users=(User(), User(targets=(1,)), User(call="get_many", at=3.0, targets=(0, 1))),
    ),
    "a job that hangs, with a deadline": World(
        jobs=_jobs(1, 100.0),
        faults=(Fault(kind="hang"),),
        users=(User(call="wait_all", timeout=5.0), User(at=1.0, timeout=60.0)),
    ),
    "jobs that no list shows, in pairs of one reference": World(
        habits=Habits(max_rate=5.0),
        jobs=_jobs(60, 200.0, listed=False, shared=True),
        users=(User(call="as_finished", targets=_each(60)),),
    ),
    "many at once, of which half cannot be read": World(
        jobs=_jobs(20, 100.0),
        faults=tuple(Fault(kind="status", target=n, value=500.0) for n in range(10)),
        users=(User(call="get_many", targets=_each(20), by_reference=True),),
    ),
    "a name that is used again at once": World(
        kind="submissions",
        listing=Listing(lag=2.0),
        posts=(Post(), Post(is_accepted=False, answer="503")),
        submits=(Submit(), Submit(at=0.3)),
    ),
    "a name that is used again, without Date": World(
        kind="submissions",
        habits=Habits(date="none"),
        listing=Listing(lag=2.0),
        posts=(Post(), Post(is_accepted=False, answer="503")),
        submits=(Submit(), Submit(at=0.9)),
    ),
    "a quota that ends after an answer was lost": World(
        kind="submissions",
        listing=Listing(lag=8.0),
        posts=(Post(answer="503"), Post(is_accepted=False, answer="412")),
        submits=(Submit(),),
    ),
    "short timeouts beside slow pages": World(
        kind="crowds",
        habits=Habits(page=1.5),
        jobs=_jobs(100, 60.0),
        users=(
            User(call="as_finished", targets=_each(100)),
            *(User(at=0.3 + 5.1 * k, targets=(k % 2,), timeout=5.0) for k in range(11)),
            *(User(at=1.4 + 5.1 * k, targets=(2 + k % 2,), timeout=5.0) for k in range(11)),
        ),
    ),
    "a limit that says now": World(
        kind="limits",
        jobs=_jobs(300, 120.0, listed=False),
        horizon=900.0,
        limit=Limit(requests=20, seconds=1.0, retry_after=0.0),
        users=(User(call="as_finished", targets=_each(300), by_reference=True),),
    ),
    "a nudge while a page is under way": World(
        habits=Habits(page=1.0, most=60.0),
        jobs=(Job(number=0, created=-1000.0, ended=10.35), *_jobs(3, 10.0)[1:]),
        users=(User(call="as_finished", targets=_each(3)),),
        nudges=(Nudge(at=10.4, target=0),),
    ),
    "a limit by the window": World(
        kind="limits",
        jobs=_jobs(200, 500.0, listed=False),
        horizon=2500.0,
        limit=Limit(requests=30, seconds=10.0),
        users=(User(call="as_finished", targets=_each(200), by_reference=True),),
    ),
    "a record without an id": World(
        jobs=_jobs(2, 20.0),
        faults=(Fault(kind="blank", target=0, ends=5.0),),
        users=(User(), User(at=0.05, targets=(1,), by_reference=True)),
    ),
    "many who wait for a moment by reference": World(
        kind="crowds",
        jobs=_jobs(1, 200.0),
        users=(
            User(),
            *(User(at=round(0.2 * k, 1), by_reference=True, leaves=round(0.2 * k + 1.0, 1)) for k in range(500)),
        ),
    ),
    "a timer that goes off before Retry-After is over": World(
        habits=Habits(timers="early", most=1.0),
        jobs=_jobs(1, 20.0),
        faults=(Fault(kind="refused", value=10.0, ends=15.0),),
        users=(User(),),
    ),
    "many read at once while another read is under way": World(
        habits=Habits(get=1.0),
        jobs=_jobs(2, 0.7),
        users=(User(at=0.5), User(call="get_many", at=0.9), User(at=0.9, timeout=0.0)),
    ),
    "a record that a page spoils": World(
        habits=Habits(page=1.0),
        jobs=_jobs(4, 20.0),
        faults=(Fault(kind="malformed", route="list", target=0), Fault(kind="malformed", target=1, ends=8.0)),
        users=(User(call="as_finished", targets=(0, 1, 2, 3)), User(at=0.5), User(at=0.5, targets=(1,))),
    ),
}
