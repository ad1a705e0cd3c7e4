"""Makes a world that violates an invariant smaller, as long as it still does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from time import monotonic
from typing import TypeVar

import attrs

from .world import ACCOUNT, Fault, Listing, Replicas, Settings, User, World

S = TypeVar("S", Settings, Listing, Replicas)

_PARTS = ("users", "faults", "nudges", "posts", "submits")


def shrink(world: World, still_fails: Callable[[World], bool], *, seconds: float = 20.0) -> World:
    """Return a world as small as greedy tries make it in some seconds of real time."""
    ends = monotonic() + seconds
    is_smaller = True
    while is_smaller and monotonic() < ends:
        is_smaller = False
        for smaller in _smaller(world):
            if monotonic() >= ends:
                break
            if still_fails(smaller):
                world, is_smaller = smaller, True
                break
    return world


def _smaller(world: World) -> Iterator[World]:
    """Give worlds with less in them, the largest cuts first."""
    for size in (1 / 2, 1 / 4, 0.0):
        for name in _PARTS:
            parts = getattr(world, name)
            step = max(int(len(parts) * size), 1)
            if size and step == 1:
                continue
            for begin in range(0, len(parts), step):
                yield attrs.evolve(world, **{name: parts[:begin] + parts[begin + step :]})
        yield from _with_fewer_targets(world, size)
        yield from _with_fewer_jobs(world, size)
    yield from _plainer(world)
    yield from _earlier(world)


def _with_fewer_targets(world: World, size: float) -> Iterator[World]:
    for place, user in enumerate(world.users):
        count = len(user.targets)
        step = max(int(count * size), 1)
        if count < 2 or (size and step == 1):
            continue
        for begin in range(0, count, step):
            targets = user.targets[:begin] + user.targets[begin + step :]
            if targets:
                yield _with_user(world, place, attrs.evolve(user, targets=targets))


def _with_user(world: World, place: int, user: User) -> World:
    return attrs.evolve(world, users=(*world.users[:place], user, *world.users[place + 1 :]))


def _with_fewer_jobs(world: World, size: float) -> Iterator[World]:
    count = len(world.jobs)
    step = max(int(count * size), 1)
    if size and step == 1:
        return
    for begin in range(0, count, step):
        yield _without_jobs(world, set(range(begin, min(begin + step, count))))


def _without_jobs(world: World, gone: set[int]) -> World:
    """Return a world without some jobs, and without what concerns these alone."""
    remaining = [job for job in world.jobs if job.number not in gone]
    numbers = {job.number: number for number, job in enumerate(remaining)}
    numbers[ACCOUNT] = ACCOUNT
    users = []
    for user in world.users:
        targets = tuple(numbers.get(target, len(remaining) + target) for target in user.targets if target not in gone)
        if targets:
            users.append(attrs.evolve(user, targets=targets))
    return attrs.evolve(
        world,
        jobs=tuple(attrs.evolve(job, number=numbers[job.number]) for job in remaining),
        users=tuple(users),
        faults=tuple(attrs.evolve(f, target=numbers[f.target]) for f in world.faults if f.target in numbers),
        nudges=tuple(attrs.evolve(n, target=numbers[n.target]) for n in world.nudges if n.target in numbers),
    )


def _plainer(world: World) -> Iterator[World]:
    """Give worlds with plainer settings."""
    if world.limit is not None:
        yield attrs.evolve(world, limit=None)
    if world.settings != Settings():
        yield attrs.evolve(world, settings=Settings())
        yield from (attrs.evolve(world, settings=settings) for settings in _with_defaults(world.settings))
    if world.listing != Listing():
        yield attrs.evolve(world, listing=Listing())
        yield from (attrs.evolve(world, listing=listing) for listing in _with_defaults(world.listing))
    yield from (attrs.evolve(world, replicas=replicas) for replicas in _with_defaults(world.replicas))
    for place, user in enumerate(world.users):
        if user.client:
            yield _with_user(world, place, attrs.evolve(user, client=0))
        if user.call not in {"wait", "get_many"} and len(user.targets) == 1:
            yield _with_user(world, place, attrs.evolve(user, call="wait"))
        if user.timeout is not None:
            yield _with_user(world, place, attrs.evolve(user, timeout=None))
        if user.cancelled_at is not None:
            yield _with_user(world, place, attrs.evolve(user, cancelled_at=None))
        if user.by_reference:
            yield _with_user(world, place, attrs.evolve(user, by_reference=False))
        if user.at:
            yield _with_user(world, place, attrs.evolve(user, at=0.0))
            yield _with_user(world, place, attrs.evolve(user, at=float(round(user.at))))
    for place, fault in enumerate(world.faults):
        for other in (attrs.evolve(fault, ends=math.inf), attrs.evolve(fault, begins=0.0)):
            if other != fault:
                yield _with_fault(world, place, other)


def _with_defaults(settings: S) -> Iterator[S]:
    """Give the settings with one of them left out."""
    for field in attrs.fields(type(settings)):
        if getattr(settings, field.name) != field.default:
            yield attrs.evolve(settings, **{field.name: field.default})


def _with_fault(world: World, place: int, fault: Fault) -> World:
    return attrs.evolve(world, faults=(*world.faults[:place], fault, *world.faults[place + 1 :]))


def _earlier(world: World) -> Iterator[World]:
    """Give worlds with rounder times, jobs as plain as possible, and an earlier end."""
    for job in world.jobs:
        for other in (
            attrs.evolve(job, created=0.0, started=0.0, ended=max(float(round(job.ended)), 1.0), final="completed"),
            attrs.evolve(job, created=0.0, started=0.0),
            attrs.evolve(job, is_listed=True),
            attrs.evolve(job, reference=None),
        ):
            if other != job:
                yield attrs.evolve(world, jobs=tuple(other if each is job else each for each in world.jobs))
