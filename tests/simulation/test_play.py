"""Worlds are drawn and played the same each time, the comparison with lone waits is fair, and worlds shrink."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from . import loop as looping
from . import play as playing
from .dominance import pairs_alone, worse_than_alone
from .draw import KINDS, draw
from .play import alone, play, play_alone
from .service import SimulatedApi
from .shrink import shrink
from .trace import Call, Trace
from .world import Fault, Job, Listing, Nudge, Replicas, Settings, User, World, describe


def values_of(calls: list[Call]) -> list[Any]:
    """Return the results of calls, as values that can be compared."""
    return [(call.ended, [(r.at, r.id, r.request, type(r.error)) for r in call.results]) for call in calls]


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_world_and_the_same_trace(kind: str) -> None:
    world = draw(kind, 3)
    assert world == draw(kind, 3)
    first, second = play(world), play(world)
    assert first.received == second.received
    assert values_of(first.calls) == values_of(second.calls)


@pytest.mark.parametrize("kind", ["waits", "outages", "lists"])
def test_a_lone_wait_is_no_worse_than_itself(kind: str) -> None:
    """Played alone in the world as it is, by other draws of chance, a wait keeps all bounds of the comparison."""
    for seed in range(25):
        world = draw(kind, seed)
        users = [alone(user, target) for user in world.users for target in user.targets if user.cancelled_at is None][
            :20
        ]
        pairs = [(call, call.user.targets[0]) for call in play_alone(attrs.evolve(world, seed=seed + 1000), users)]
        assert [str(violation) for violation in worse_than_alone(world, pairs, pairs_alone(world, pairs))] == []


def test_a_lone_wait_reads_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    apis: list[SimulatedApi] = []

    def made(**options: Any) -> SimulatedApi:
        apis.append(SimulatedApi(**options))
        return apis[-1]

    monkeypatch.setattr(playing, "SimulatedApi", made)
    jobs = tuple(Job(number=number, ended=3.0 * number) for number in range(5))
    calls = play_alone(World(jobs=jobs), [User(targets=(number,)) for number in range(5)])
    assert all(call.results[0].request.is_completed for call in calls)
    assert len(apis) == 5
    assert {received.route for api in apis for received in api.received} == {"get"}


def test_the_service_shows_what_the_world_says() -> None:
    world = World(
        jobs=(Job(number=0, started=1.0, ended=4.0, final="failed"), Job(number=1, ended=2.0)),
        listing=Listing(lag=0.5),
        users=(User(call="watch"), User(call="as_finished", targets=(0, 1))),
    )
    trace = play(world)
    assert [result.request.status for result in trace.calls[0].results] == ["queued", "processing", "failed"]
    assert [result.request.status for result in trace.calls[1].results] == ["completed", "failed"]
    assert trace.leftovers == []


def test_a_world_shrinks_to_what_matters() -> None:
    world = World(
        settings=Settings(max_interval=3.0, get_seconds=0.4),
        jobs=tuple(Job(number=number, ended=10.0 + number / 7) for number in range(6)),
        faults=(
            Fault(kind="reset", target=4),
            Fault(kind="hang", target=2, begins=3.0),
            Fault(kind="slow", value=2.0),
        ),
        users=tuple(User(at=number / 3, targets=(number, 4), call="wait_all", timeout=50.0) for number in range(4)),
        nudges=(Nudge(at=3.0, target=1), Nudge(at=4.0, target=4)),
    )

    def has_a_hang_that_one_meets(tried: World) -> bool:
        hung = {fault.target for fault in tried.faults if fault.kind == "hang"}
        return any(target in hung for user in tried.users for target in user.targets)

    small = shrink(world, has_a_hang_that_one_meets)
    assert (len(small.jobs), len(small.faults), len(small.users), small.nudges) == (1, 1, 1, ())
    assert small.users[0].targets == (small.faults[0].target,) == (0,)
    assert small.settings == Settings()
    assert small.faults[0].begins == 0.0
    assert has_a_hang_that_one_meets(small)


@pytest.mark.parametrize("kind", KINDS)
def test_a_printed_world_can_be_played_again(kind: str) -> None:
    names = {made.__name__: made for made in (World, Job, Fault, User, Nudge, Settings, Listing, Replicas)}
    world = attrs.evolve(draw(kind, 1), limit=None, posts=(), submits=(), users=draw(kind, 1).users[:40])
    small = attrs.evolve(world, jobs=world.jobs[:40], faults=world.faults[:40], nudges=world.nudges[:40])
    again = eval(describe(small), {**names, "inf": float("inf")})
    assert again.users == small.users
    assert again.settings == small.settings
    assert [job.number for job in again.jobs] == [job.number for job in small.jobs]


def test_a_loop_that_is_stuck_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looping, "_STEPS", 10)
    world = World(jobs=tuple(Job(number=number) for number in range(3)), users=(User(),) * 3)
    monkeypatch.setattr(looping, "_STEPS_FOR_EACH", 0)
    trace: Trace = play(world)
    assert trace.stuck is not None
    assert "steps in one instant" in trace.stuck
