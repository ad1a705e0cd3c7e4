"""Draws worlds from seeds, of six kinds. The same seed gives the same world on every machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

import attrs

from .world import ACCOUNT, Fault, Job, Limit, Listing, Nudge, Post, Replicas, Settings, Submit, User, World

_STATUSES: Final = (500.0, 502.0, 503.0, 504.0, 408.0)


def draw(kind: str, seed: int) -> World:
    """Return the world of a seed."""
    return attrs.evolve(KINDS[kind](Random(f"{kind} {seed}")), kind=kind, seed=seed)


def _settings(rng: Random, **more: Any) -> Settings:
    least, most = rng.choice([(1.0, 1.0), (1.0, 2.0), (0.5, 4.0), (1.0, 12.0), (2.0, 5.0)])
    drawn: dict[str, Any] = {
        "min_interval": least,
        "max_interval": most,
        "timers": rng.choice(["exact", "exact", "early", "late"]),
        "date": rng.choice(["true", "true", "true", "none", "behind", "ahead"]),
        "get_seconds": rng.choice([0.03, 0.1, 0.1, 0.4, 1.2]),
        "page_seconds": rng.choice([0.05, 0.1, 0.3, 1.5, 4.0]),
        "family": "lipsync" if rng.random() < 0.85 else "video_translate",
        "outage_budget": rng.choice([120.0, 120.0, 30.0]),
    }
    return Settings(**drawn | more)


def _jobs(rng: Random, count: int, *, until: float, listed: float = 1.0, grouped: float = 0.0) -> tuple[Job, ...]:
    """Draw jobs, some of which are over before anyone received."""
    jobs = []
    for number in range(count):
        created = round(-rng.choice([0.0, 1.0, 30.0, 400.0]) * rng.random(), 2)
        started = round(created + rng.random() * 5.0, 2)
        ended = round(max(started + 0.1, rng.random() * until - 2.0), 2)
        shares = rng.random() < grouped
        jobs.append(
            Job(
                number=number,
                reference=f"group-{number // 2}" if shares else f"name-{number}",
                created=created,
                started=started,
                ended=ended,
                final="failed" if rng.random() < 0.15 else "completed",
                is_listed=rng.random() < listed,
            )
        )
    return tuple(jobs)


def _may_refer(world_jobs: tuple[Job, ...], targets: tuple[int, ...], family: str) -> bool:
    references = [job.reference for job in world_jobs]
    return family == "lipsync" and all(references.count(references[target]) == 1 for target in targets)


def _user(
    rng: Random, jobs: tuple[Job, ...], settings: Settings, *, by_reference: float = 0.3, most: int = 12
) -> User:
    call: Any = rng.choice(["wait", "wait", "wait", "watch", "wait_all", "as_finished", "as_finished", "get_many"])
    targets: tuple[int, ...] = (rng.randrange(len(jobs)),)
    if call not in {"wait", "watch"}:
        size = min(rng.randint(1, most), len(jobs))
        targets = tuple(rng.sample(range(len(jobs)), size))
    at = round(rng.choice([0.0, rng.random(), rng.random() * 10.0, rng.random() * 40.0]), 2)
    timeout: float | None = None
    if call != "get_many":
        timeout = rng.choice([None, None, None, 0.0, 1.0, 5.0, 10.0, round(rng.random() * 60.0 + 1.0, 1), 300.0])
    cancelled_at = round(at + rng.random() * 15.0, 2) if rng.random() < 0.12 else None
    refers = rng.random() < by_reference and _may_refer(jobs, targets, settings.family)
    return User(call=call, at=at, targets=targets, by_reference=refers, timeout=timeout, cancelled_at=cancelled_at)


def _fault(rng: Random, jobs: int, *, route: Any, until: float, longest: float, target: int | None = None) -> Fault:
    kinds: list[Any] = ["status", "status", "refused", "reset", "hang", "garbage", "slow", "gateway"]
    if route != "list":
        kinds += ["malformed", "blank", "missing"]
    kind = rng.choice(kinds)
    if target is None:
        target = rng.randrange(jobs) if rng.random() < 0.7 else ACCOUNT
    if route == "list":
        target = ACCOUNT
        if rng.random() < 0.3:
            kind, target = rng.choice(["malformed", "blank", "missing"]), rng.randrange(jobs)
    if kind in {"malformed", "blank", "missing"} and target == ACCOUNT:
        target = rng.randrange(jobs)
    value = 0.0
    if kind == "status":
        value = rng.choice(_STATUSES)
    elif kind == "refused":
        value = rng.choice([-1.0, 0.0, 1.0, 5.0, 30.0])
    elif kind == "slow":
        value = rng.choice([0.5, 2.0, 6.0])
    begins = round(rng.choice([0.0, rng.random() * until]), 2)
    lasts = rng.choice([rng.random() * 2.0, rng.random() * longest, math.inf])
    if kind == "missing":
        lasts = rng.random() * 3.0
    return Fault(kind=kind, route=route, target=target, begins=begins, ends=round(begins + lasts, 2), value=value)


def _world(settings: Settings, jobs: tuple[Job, ...], **more: Any) -> World:
    """Give a world time enough: all jobs end, all that goes wrong ends or is given up, and all queues go by."""
    ended = max((job.ended for job in jobs), default=0.0)
    faults: tuple[Fault, ...] = more.get("faults", ())
    over = max((fault.ends for fault in faults if fault.ends < math.inf), default=0.0)
    users: tuple[User, ...] = more.get("users", ())
    count = len({target for user in users for target in user.targets})
    horizon = max(ended, over, max((user.at for user in users), default=0.0)) + 4 * settings.outage_budget + 200.0
    if settings.max_rate is not None:
        horizon += 6 * count / settings.max_rate
    limit: Limit | None = more.get("limit")
    if limit is not None:
        horizon += 12 * count * limit.seconds / limit.requests
    return World(settings=settings, jobs=jobs, horizon=round(horizon), **more)


# Kinds


def _waits(rng: Random) -> World:
    """A few who wait for a few jobs, some of which cannot always be read."""
    settings = _settings(rng)
    jobs = _jobs(rng, rng.randint(1, 7), until=rng.choice([5.0, 30.0, 60.0]))
    users = [_user(rng, jobs, settings) for _ in range(rng.randint(1, 6))]
    if rng.random() < 0.2:
        users += [attrs.evolve(users[0], at=round(users[0].at + rng.random(), 2)) for _ in range(2)]
    if rng.random() < 0.1:
        users.append(User(at=rng.random() * 5.0, targets=(len(jobs),), timeout=rng.choice([3.0, 20.0])))
    faults = [
        _fault(rng, len(jobs), route=rng.choice(["get", "get", "list"]), until=20.0, longest=20.0)
        for _ in range(rng.choice([0, 0, 1, 1, 2, 3]))
    ]
    nudges = [_nudge(rng, jobs) for _ in range(rng.choice([0, 0, 1, 3]))]
    return _world(settings, jobs, users=tuple(users), faults=tuple(faults), nudges=tuple(nudges))


def _nudge(rng: Random, jobs: tuple[Job, ...]) -> Nudge:
    target = rng.randrange(len(jobs))
    ended = jobs[target].ended
    at = rng.choice([ended + 0.01, ended + rng.random(), rng.random() * 60.0])
    return Nudge(at=round(max(at, 0.0), 2), target=target, by_reference=rng.random() < 0.3)


def _outages(rng: Random) -> World:
    """The service is out of reach for a while, as a whole or for some jobs."""
    settings = _settings(rng)
    jobs = _jobs(rng, rng.randint(1, 14), until=60.0)
    users = [_user(rng, jobs, settings, by_reference=rng.choice([0.0, 0.3, 1.0])) for _ in range(rng.randint(1, 5))]
    faults = [
        _fault(rng, len(jobs), route="all", until=40.0, longest=rng.choice([10.0, 60.0, 200.0]), target=ACCOUNT)
        for _ in range(rng.choice([0, 1, 1, 2]))
    ]
    # After an outage that never ends there would be nothing to check.
    faults = [attrs.evolve(f, ends=min(f.ends, f.begins + settings.outage_budget * 1.5)) for f in faults]
    if rng.random() < 0.6:
        kind: Any = rng.choice(["status", "reset", "hang", "garbage"])
        for target in rng.sample(range(len(jobs)), rng.randint(0, len(jobs))):
            begins = rng.choice([0.0, round(rng.random() * 20.0, 2)])
            ends = rng.choice([math.inf, math.inf, begins + round(rng.random() * 40.0, 2)])
            faults.append(Fault(kind=kind, target=target, begins=begins, ends=ends, value=500.0))
    nudges = [_nudge(rng, jobs) for _ in range(rng.choice([0, 0, 2]))]
    return _world(settings, jobs, users=tuple(users), faults=tuple(faults), nudges=tuple(nudges))


def _listing(rng: Random) -> Listing:
    listing = Listing(order=rng.choice(["newest", "newest", "oldest", "mixed"]), cap=rng.choice([100, 20, 7, 1]))
    oddity = rng.randrange(8)
    if oddity == 0:
        return attrs.evolve(listing, lag=rng.choice([2.0, 10.0, 60.0]))
    if oddity == 1:
        return attrs.evolve(listing, stands_still_at=round(rng.random() * 20.0, 2))
    if oddity == 2:
        return attrs.evolve(listing, filter=rng.choice(["ignored", "prefix", "caseless"]))
    if oddity == 3:
        return attrs.evolve(listing, total=rng.choice(["none", "huge"]))
    if oddity == 4:
        return attrs.evolve(listing, has_doubles=True)
    return listing


def _lists(rng: Random) -> World:
    """Pages that are odd, slow, broken or of no use, and many who wait."""
    settings = _settings(rng, max_rate=rng.choice([None, None, None, 5.0, 20.0]))
    count = rng.choice([6, 15, 30, 60]) if rng.random() < 0.97 else 150
    jobs = _jobs(
        rng,
        count,
        until=rng.choice([10.0, 40.0, 80.0]),
        listed=rng.choice([1.0, 1.0, 0.7, 0.0]),
        grouped=rng.choice([0.0, 0.0, 0.5, 1.0]),
    )
    users = [_user(rng, jobs, settings, by_reference=rng.choice([0.0, 0.0, 1.0]), most=count) for _ in range(3)]
    if rng.random() < 0.6:
        call: Any = rng.choice(["wait_all", "as_finished", "get_many"])
        users.append(User(call=call, targets=tuple(range(count))))
    faults = [_fault(rng, len(jobs), route="list", until=10.0, longest=60.0) for _ in range(rng.choice([0, 1, 1, 2]))]
    if rng.random() < 0.2:
        faults.append(_fault(rng, len(jobs), route="get", until=20.0, longest=60.0))
    nudges = [_nudge(rng, jobs) for _ in range(rng.choice([0, 0, 0, 4]))]
    return _world(
        settings, jobs, listing=_listing(rng), users=tuple(users), faults=tuple(faults), nudges=tuple(nudges)
    )


def _limits(rng: Random) -> World:
    """A rate that the service or the client keeps, and more waits than it has room for."""
    is_ours = rng.random() < 0.5
    rate = rng.choice([1.0, 2.0, 5.0, 20.0])
    settings = _settings(rng, max_rate=rate if is_ours else None, get_seconds=0.1, page_seconds=0.2)
    limit = None
    if not is_ours:
        limit = Limit(
            requests=rng.choice([20, 30, 50]) if rng.random() < 0.5 else int(5 * rate),
            seconds=rng.choice([1.0, 5.0, 10.0]),
            retry_after=rng.choice([-1.0, -1.0, 0.0, 1.0, 5.0, 30.0]),
        )
    count = rng.choice([5, 20, 60]) if rng.random() < 0.97 else 200
    jobs = _jobs(
        rng,
        count,
        until=rng.choice([20.0, 100.0, 400.0]),
        listed=rng.choice([1.0, 0.0, 0.0]),
        grouped=rng.choice([0.0, 0.0, 1.0]),
    )
    call: Any = rng.choice(["wait_all", "as_finished", "as_finished", "get_many"])
    refers = rng.random() < 0.4 and _may_refer(jobs, tuple(range(count)), settings.family)
    timeout = rng.choice([None, None, 60.0, 300.0]) if call != "get_many" else None
    users = [User(call=call, targets=tuple(range(count)), by_reference=refers, timeout=timeout)]
    users += [_user(rng, jobs, settings) for _ in range(rng.randint(0, 3))]
    faults = []
    if rng.random() < 0.4:
        route: Any = rng.choice(["get", "list", "list", "all"])
        faults.append(_fault(rng, count, route=route, until=40.0, longest=30.0))
    return _world(settings, jobs, limit=limit, users=tuple(users), faults=tuple(faults))


def _crowds(rng: Random) -> World:
    """Hundreds of ids, and people who come, leave, nudge and ask again all the time."""
    settings = _settings(rng, page_seconds=rng.choice([0.1, 0.3, 1.5]))
    count = rng.choice([30, 60, 100]) if rng.random() < 0.95 else 300
    until = rng.choice([20.0, 40.0])
    jobs = _jobs(rng, count, until=until, listed=rng.choice([1.0, 1.0, 0.5]))
    users = [_user(rng, jobs, settings, most=min(count, 40)) for _ in range(rng.randint(1, 5))]
    if rng.random() < 0.7:
        call: Any = rng.choice(["as_finished", "wait_all"])
        users.append(User(call=call, targets=tuple(range(count))))
    # Handlers that ask with a short timeout, all the time.
    for _ in range(rng.choice([0, 1, 2])):
        target, timeout = rng.randrange(count), rng.choice([0.0, 1.0, 5.0])
        gap = max(timeout, 1.0) + 0.1
        users += [User(at=round(k * gap, 2), targets=(target,), timeout=timeout) for k in range(int(until / gap))]
    # Many who wait for a moment by reference.
    if rng.random() < 0.4 and settings.family == "lipsync":
        users += [
            User(
                at=round(rng.random() * 10.0, 2), targets=(target,), by_reference=True, timeout=rng.choice([0.0, 1.0])
            )
            for target in rng.sample(range(count), count // 2)
        ]
    # Many who wait for the same job for a moment, by its reference, beside one who waits by its UUID.
    if rng.random() < 0.2 and settings.family == "lipsync":
        target = rng.randrange(count)
        users.append(User(targets=(target,)))
        times = [round(rng.random() * until, 2) for _ in range(150)]
        users += [User(at=at, targets=(target,), by_reference=True, cancelled_at=round(at + 0.5, 2)) for at in times]
    for _ in range(rng.choice([0, 10, 30])):
        at = round(rng.random() * until, 2)
        users.append(User(at=at, targets=(rng.randrange(count),), cancelled_at=round(at + rng.random() * 5.0, 2)))
    faults = []
    if rng.random() < 0.3:
        faults.append(_fault(rng, count, route=rng.choice(["get", "list"]), until=20.0, longest=20.0))
    nudges = [_nudge(rng, jobs) for _ in range(rng.choice([0, 5, 20]))]
    return _world(settings, jobs, users=tuple(users), faults=tuple(faults), nudges=tuple(nudges))


def _submissions(rng: Random) -> World:
    """POSTs that get lost, and lists that show late or wrongly which job a name belongs to."""
    names: list[str | None] = rng.choice([["name"], ["name"], ["name", "name-2"], ["name", "NAME"], ["a", "b", None]])
    clients = 1 if names == ["name"] else rng.choice([1, 2])
    submits = []
    for _ in range(rng.randint(1, 4)):
        name = rng.choice(names)
        client = 0 if clients == 1 or name is None else names.index(name) % clients  # a name is one client's own
        at = round(rng.choice([0.0, rng.random() * 2.0, rng.random() * 20.0]), 2)
        submits.append(Submit(at=at, client=client, reference=name))
    answers: list[Any] = [
        "ok",
        "ok",
        "reset",
        "hang",
        "garbage",
        "500",
        "502",
        "503",
        "504",
        "429",
        "412",
        "409",
        "400",
    ]
    posts = []
    for _ in range(rng.randint(1, 6)):
        answer = rng.choice(answers)
        refuses = answer in {"429", "412", "409", "400"}
        accepted = answer == "ok" or (not refuses and rng.random() < 0.5)
        # The service may still be at it when its gateway gives up; what is answered otherwise is settled.
        after = rng.choice([0.0, 3.0]) if answer in {"hang", "504"} and accepted else 0.0
        posts.append(Post(is_accepted=accepted, answer=answer, after=after))
    faults = []
    if rng.random() < 0.3:
        kind: Any = rng.choice(["status", "reset", "garbage"])
        begins = round(rng.random() * 10.0, 2)
        ends = round(begins + rng.random() * 10.0, 2)
        faults.append(Fault(kind=kind, route="list", begins=begins, ends=ends, value=503.0))
    listing = Listing(
        order=rng.choice(["newest", "newest", "oldest"]),
        lag=rng.choice([0.0, 0.0, 1.0, 2.0, 4.0]),
        filter=rng.choice(["exact", "exact", "ignored", "prefix", "caseless"]),
    )
    if rng.random() < 0.1:
        # Accepted and not shown for longer than one may wait for it; what is refused then must not hide that.
        posts = [Post(answer=rng.choice(["500", "503", "reset", "garbage"]))]
        posts += [Post(is_accepted=False, answer=rng.choice(["412", "409", "400"]))] * 6
        submits, listing = submits[:1], attrs.evolve(listing, lag=8.0)
    older = rng.randint(0, 2)
    jobs = tuple(
        Job(number=n, reference=rng.choice(names), created=-round(10.0 + rng.random() * 100.0, 2), ended=1e6)
        for n in range(older)
    )
    settings = Settings(
        date=rng.choice(["true", "true", "none", "behind", "ahead"]), timers=rng.choice(["exact", "early", "late"])
    )
    return World(
        settings=settings,
        horizon=900.0,
        jobs=jobs,
        listing=listing,
        submits=tuple(submits),
        posts=tuple(posts),
        faults=tuple(faults),
    )


def _replicas(rng: Random) -> World:
    """Any of these worlds, with clients that share their polls, and with what they share through."""
    world = rng.choice([_waits, _waits, _outages, _lists, _limits])(rng)
    count = rng.choice([2, 2, 3, 4])
    last = max((user.at for user in world.users), default=0.0) + 20.0
    outages: tuple[tuple[float, float], ...] = ()
    if rng.random() < 0.3:
        begins = round(rng.random() * last, 2)
        outages = ((begins, round(begins + rng.choice([0.5, 5.0, 60.0]), 2)),)
    deaths: tuple[tuple[int, float], ...] = ()
    if rng.random() < 0.25:
        deaths = ((count - 1, round(rng.random() * last, 2)),)
    users = []
    died_at = dict(deaths)
    for user in world.users:
        client = rng.randrange(count)
        if user.at > died_at.get(client, math.inf):
            client = 0
        leaves = min(died_at.get(client, math.inf), math.inf if user.cancelled_at is None else user.cancelled_at)
        users.append(attrs.evolve(user, client=client, cancelled_at=leaves if leaves < math.inf else None))
        if rng.random() < 0.4:
            users.append(attrs.evolve(user, client=(client + 1) % max(count - len(deaths), 1), cancelled_at=None))
    return attrs.evolve(
        world,
        users=tuple(users),
        replicas=Replicas(
            count=count,
            latency=rng.choice([0.001, 0.001, 0.02]),
            lost=rng.choice([0.0, 0.0, 0.0, 0.1, 1.0]),
            outages=outages,
            deaths=deaths,
        ),
    )


KINDS: Final[Mapping[str, Callable[[Random], World]]] = {
    "waits": _waits,
    "outages": _outages,
    "lists": _lists,
    "limits": _limits,
    "crowds": _crowds,
    "submissions": _submissions,
    "replicas": _replicas,
}
