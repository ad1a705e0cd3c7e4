"""Worlds in which sharing once did harm, each as small as it went. What is due in them is what ``check`` returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .world import Fault, FaultKind, Job, Limit, Listing, Nudge, Post, Settings, Submit, User, World


def _jobs(count: int, ended: float, *, listed: bool = True, shared: bool = False) -> tuple[Job, ...]:
    return tuple(
        Job(number=n, reference=f"group-{n // 2}" if shared else f"name-{n}", ended=ended, is_listed=listed)
        for n in range(count)
    )


def _all(count: int, **more: Any) -> User:
    """One call of ``as_finished`` for all jobs."""
    return User(call="as_finished", targets=tuple(range(count)), **more)


def _get_many(at: float, *targets: int, **more: Any) -> User:
    return User(call="get_many", at=at, targets=targets, **more)


def _each(kind: FaultKind, *targets: int, **more: Any) -> tuple[Fault, ...]:
    return tuple(Fault(kind=kind, target=target, **more) for target in targets)


def _lost(
    answer: Any, *again: Post, submits: tuple[float, ...] = (0.0,), lag: float = 2.0, date: Any = "true"
) -> World:
    """Submissions with one name, to a list that is behind."""
    return World(
        kind="submissions",
        settings=Settings(date=date),
        listing=Listing(lag=lag),
        posts=(Post(answer=answer), *again),
        submits=tuple(Submit(at=at) for at in submits),
    )


_UNREADABLE: Final = (*_each("status", 0, 1, 2, value=500.0), *_each("hang", 3))
_SLOW: Final = Settings(max_rate=1.0)
_UNAVAILABLE: Final = Post(is_accepted=False, answer="503")

KNOWN: Final[Mapping[str, World]] = {
    "three waits for one job while the list answers 429": World(
        seed=102,
        settings=Settings(timers="early"),
        jobs=(Job(number=0, reference="name-1", created=-129.32, started=-126.11, ended=10.55),),
        faults=(Fault(kind="refused", route="list", ends=1.38, value=5.0),),
        users=(User(), User(by_reference=True), User(at=1.0)),
    ),
    "references that cannot be read beside one that can": World(
        jobs=(*_jobs(4, 100.0), *_jobs(5, 5.0)[4:]), faults=_UNREADABLE, users=(_all(5, by_reference=True),)
    ),
    "ten references that hang beside three that do not": World(
        jobs=(*_jobs(10, 100.0), *_jobs(13, 5.0)[10:]),
        faults=_each("hang", *range(10)),
        users=(_all(13, by_reference=True),),
    ),
    "references that cannot be read beside a batch": World(
        jobs=(*_jobs(4, 100.0), *_jobs(8, 5.0)[4:]),
        faults=_UNREADABLE,
        users=(_all(5, by_reference=True), _get_many(3.0, 4, 5, 6, 7, by_reference=True)),
    ),
    "a list that hangs": World(
        jobs=_jobs(2, -1.0),
        faults=(Fault(kind="hang", route="list"),),
        users=(
            _all(2),
            User(at=1.0),
            User(call="wait_all", at=1.0, targets=(0, 1), timeout=10.0),
            _get_many(0.5, 0, 1),
        ),
    ),
    "a queue that is no outage": World(
        settings=_SLOW, jobs=_jobs(300, 1000.0), horizon=1200.0, users=(_all(300, by_reference=True, timeout=300.0),)
    ),
    "one failure after a long queue": World(
        settings=_SLOW,
        jobs=_jobs(200, 10.0),
        horizon=1200.0,
        faults=(Fault(kind="status", value=503.0, begins=130.0, ends=132.0),),
        users=(_all(200, by_reference=True),),
    ),
    "three pages that break under a rate": World(
        settings=Settings(max_rate=5.0),
        jobs=(*_jobs(200, 8.0), *_jobs(300, 900.0)[200:]),
        horizon=1500.0,
        faults=(Fault(kind="status", route="list", value=500.0, begins=5.0),),
        users=(_all(300),),
    ),
    "a list that is limited for good": World(
        jobs=_jobs(2, 10.0),
        faults=(Fault(kind="refused", route="list", value=-1.0),),
        users=(User(), User(targets=(1,)), _get_many(3.0, 0, 1)),
    ),
    "a job that hangs, with a deadline": World(
        jobs=_jobs(1, 100.0),
        faults=(Fault(kind="hang"),),
        users=(User(call="wait_all", timeout=5.0), User(at=1.0, timeout=60.0)),
    ),
    "jobs that no list shows, in pairs of one reference": World(
        settings=Settings(max_rate=5.0), jobs=_jobs(60, 200.0, listed=False, shared=True), users=(_all(60),)
    ),
    "many at once, of which half cannot be read": World(
        jobs=_jobs(20, 100.0),
        faults=_each("status", *range(10), value=500.0),
        users=(_get_many(0.0, *range(20), by_reference=True),),
    ),
    "a name that is used again at once": _lost("ok", _UNAVAILABLE, submits=(0.0, 0.3)),
    "a name that is used again, without Date": _lost("ok", _UNAVAILABLE, submits=(0.0, 0.9), date="none"),
    "a quota that ends after an answer was lost": _lost("503", Post(is_accepted=False, answer="412"), lag=8.0),
    "short timeouts beside slow pages": World(
        kind="crowds",
        settings=Settings(page_seconds=1.5),
        jobs=_jobs(100, 60.0),
        users=(
            _all(100),
            *(User(at=0.3 + 5.1 * k, targets=(k % 2,), timeout=5.0) for k in range(11)),
            *(User(at=1.4 + 5.1 * k, targets=(2 + k % 2,), timeout=5.0) for k in range(11)),
        ),
    ),
    "a limit with Retry-After: 0": World(
        kind="limits",
        jobs=_jobs(300, 120.0, listed=False),
        horizon=900.0,
        limit=Limit(requests=20, seconds=1.0, retry_after=0.0),
        users=(_all(300, by_reference=True),),
    ),
    "a nudge while a page is under way": World(
        settings=Settings(page_seconds=1.0, max_interval=60.0),
        jobs=(Job(number=0, created=-1000.0, ended=10.35), *_jobs(3, 10.0)[1:]),
        users=(_all(3),),
        nudges=(Nudge(at=10.4, target=0),),
    ),
    "a limit by the window": World(
        kind="limits",
        jobs=_jobs(200, 500.0, listed=False),
        horizon=2500.0,
        limit=Limit(requests=30, seconds=10.0),
        users=(_all(200, by_reference=True),),
    ),
    **{
        f"{len(refused)} of {count} jobs that are always answered 429": World(
            settings=Settings(max_interval=1.0, max_rate=20.0),
            jobs=_jobs(count, 8.0, listed=False),
            faults=_each("refused", *refused),
            users=(_get_many(0.0, *range(count)), _get_many(31.0, *range(count))),
        )
        for count, refused in ((10, (5,)), (16, (5, 6, 7)))
    },
    "a single poll beside a list that lags": World(
        kind="lists",
        listing=Listing(lag=10.0),
        jobs=(Job(number=0, ended=4.0), Job(number=1, created=-364.39, started=-362.87, ended=-0.53)),
        users=(User(call="wait_all", targets=(1, 0), timeout=0.0),),
    ),
    "a list that stands still, and jobs that a page shows together": World(
        kind="lists",
        seed=880,
        listing=Listing(stands_still_at=9.75),
        jobs=(Job(number=0, created=-324.77, started=-320.94, ended=24.66), Job(number=1, ended=66.0)),
        users=(User(call="as_finished", targets=(0, 1)),),
    ),
    "a first page that hangs, and slow answers": World(
        kind="lists",
        settings=Settings(get_seconds=1.2),
        jobs=(Job(number=0, created=-16.57, started=-14.93, ended=30.3), Job(number=1, ended=1.0)),
        faults=(Fault(kind="hang", route="list"),),
        users=(User(), User(at=2.35, targets=(1,))),
    ),
    "a batch beside a wait with less time for a GET that hangs": World(
        kind="outages",
        seed=1197,
        jobs=(Job(number=0, ended=27.0), Job(number=1, reference="name-12", ended=55.0)),
        faults=_each("hang", 1),
        users=(_get_many(0.0, 1, 0, by_reference=True), User(targets=(1,), by_reference=True)),
    ),
    "a wait with less time for a GET than a batch while all hangs": World(
        kind="outages",
        jobs=(Job(number=0, created=-164.8, started=-164.09, ended=23.39),),
        faults=(Fault(kind="hang", route="all", ends=45.0),),
        users=(User(), _get_many(1.0, 0)),
    ),
    "slow pages that are tested beside GETs": World(
        seed=3566,
        settings=Settings(max_interval=1.0, get_seconds=1.2, page_seconds=4.0),
        jobs=(
            Job(number=0, reference="name-0", created=-25.63, started=-25.49, ended=26.84),
            Job(number=1, reference="name-1", created=-339.24, started=-338.51, ended=18.07, final="failed"),
            Job(number=2, reference="name-2", created=-0.15, started=4.6, ended=22.48, final="failed"),
        ),
        users=(
            _get_many(2.0, 1, 0, by_reference=True),
            User(call="as_finished", targets=(2, 1, 0), by_reference=True, timeout=300.0),
        ),
    ),
    "slow answers, and pages that are slower": World(
        kind="outages",
        seed=705,
        settings=Settings(min_interval=0.5, page_seconds=1.5),
        jobs=(Job(number=0, ended=1.0), Job(number=1, ended=16.0), Job(number=2, ended=5.0)),
        faults=(Fault(kind="slow", route="all", value=2.0),),
        users=(_all(3),),
    ),
    "a reference that turns out to be an id whose GETs hang": World(
        kind="outages",
        seed=3471,
        settings=Settings(outage_budget=30.0),
        jobs=(Job(number=0, reference="name-2", created=-20.72, started=-18.27, ended=26.24),),
        faults=(Fault(kind="hang", route="all", ends=45.0),),
        users=(User(at=6.0, by_reference=True), User(call="as_finished", at=0.86)),
    ),
    "a GET that hangs for two waits, and the one with more time leaves": World(
        settings=Settings(outage_budget=30.0),
        jobs=_jobs(1, 60.0),
        faults=_each("hang", 0),
        users=(User(call="as_finished"), _get_many(0.0, 0, cancelled_at=5.0)),
    ),
    "a record without an id": World(
        jobs=_jobs(2, 20.0),
        faults=_each("blank", 0, ends=5.0),
        users=(User(), User(at=0.05, targets=(1,), by_reference=True)),
    ),
    "many short waits by reference": World(
        kind="crowds",
        jobs=_jobs(1, 200.0),
        users=(
            User(),
            *(User(at=round(k / 5, 1), by_reference=True, cancelled_at=round(k / 5 + 1, 1)) for k in range(500)),
        ),
    ),
    "a timer that goes off before Retry-After is over": World(
        settings=Settings(timers="early", max_interval=1.0),
        jobs=_jobs(1, 20.0),
        faults=(Fault(kind="refused", value=10.0, ends=15.0),),
        users=(User(),),
    ),
    "many read at once while another read is under way": World(
        settings=Settings(get_seconds=1.0),
        jobs=_jobs(2, 0.7),
        users=(User(at=0.5), _get_many(0.9, 0), User(at=0.9, timeout=0.0)),
    ),
    "a nudge by a reference whose id another wait has": World(
        seed=5098,
        horizon=695,
        settings=Settings(date="ahead", get_seconds=0.4),
        jobs=(Job(number=0, reference="name-0", ended=0.89),),
        users=(User(at=0.57), User(at=0.56, by_reference=True)),
        nudges=(Nudge(at=0.9, target=0, by_reference=True),),
    ),
    "a slow GET by reference that began before what a page has shown": World(
        settings=Settings(get_seconds=1.2),
        jobs=(*_jobs(2, 22.0), Job(number=2, reference="name-2", started=0.39, ended=42.68)),
        users=(
            User(call="watch", targets=(2,)),
            User(call="as_finished", at=0.56, targets=(1, 0)),
            User(targets=(2,), by_reference=True),
        ),
    ),
    "a record that a page spoils": World(
        settings=Settings(page_seconds=1.0),
        jobs=_jobs(4, 20.0),
        faults=(Fault(kind="malformed", route="list", target=0), *_each("malformed", 1, ends=8.0)),
        users=(_all(4), User(at=0.5), User(at=0.5, targets=(1,))),
    ),
}
