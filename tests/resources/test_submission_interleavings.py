"""Submissions in any interleaving: at any time, under few references, on a service that lags, mixes up and refuses.

What holds in every world of the scripted service below:

a. No call returns a job that another submission started.
b. A call that returns has started one job, as long as the list shows each within the time for which it is read.
c. An error other than ``SubmissionUncertainError`` means that the call started no job.
d. ``SubmissionUncertainError`` names the reference, and its cause is what the service answered last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, Final

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chamelaion_async import ChamelaionError, SubmissionUncertainError
from chamelaion_async.resources.submission import SEARCH_PAUSES, Submissions
from chamelaion_async.testing import VirtualTimeLoop

from .scripted import REFUSED, UNCERTAIN, Fate, Filter, ScriptedService, script

PROMISED: Final = sum(SEARCH_PAUSES)
"""Seconds after a lost answer for which the list is read."""


@attrs.frozen(kw_only=True)
class Call:
    """One submission: after ``at`` seconds, and cancelled after ``leaves`` more, unless that is None."""

    name: str = "talk-4"
    at: float = 0.0
    fates: tuple[Fate, ...] = (Fate(),)
    leaves: float | None = None


@attrs.frozen(kw_only=True)
class World:
    """A service and those who call it.

    Attributes:
        calls: The submissions, all of one client.
        filter: What the list takes for a match.
        cap: Records on a page.
        has_date: Whether answers tell the time.
        ahead: Seconds by which jobs are stamped ahead of the answers' time.
        is_newest_first: The order of the list.
        older: Jobs that carry each name before.
        apart: Seconds between those.
        foreign: Names and times of jobs that another process starts, under names that no call has.
        list_takes: Seconds that a read of the list takes.
        list_troubles: What becomes of each read of the list, and None for a page; all others are pages.
    """

    calls: tuple[Call, ...]
    filter: Filter = "exact"
    cap: int = 100
    has_date: bool = True
    ahead: float = 0.0
    is_newest_first: bool = True
    older: int = 0
    apart: float = 60.0
    foreign: tuple[tuple[str, float], ...] = ()
    list_takes: float = 0.0
    list_troubles: tuple[str | None, ...] = ()


async def play(world: World) -> None:
    service = ScriptedService(
        filter=world.filter,
        cap=world.cap,
        has_date=world.has_date,
        ahead=world.ahead,
        is_newest_first=world.is_newest_first,
        list_takes=world.list_takes,
        list_troubles=[*world.list_troubles],
    )
    submissions = Submissions(service.clock)
    for name in {call.name for call in world.calls}:
        service.add_older(world.older, apart=world.apart, reference_id=name)
    foreign = [start_foreign(service, f"foreign-{n}", *each) for n, each in enumerate(world.foreign)]
    await asyncio.gather(*(play_call(call, service, submissions) for call in world.calls), *foreign)


async def start_foreign(service: ScriptedService, id: str, name: str, at: float) -> None:
    await asyncio.sleep(at)
    service.add(id, reference_id=name)


async def play_call(call: Call, service: ScriptedService, submissions: Submissions) -> None:
    """Make a call, and judge its end by the jobs that it has started."""
    posted: list[Fate] = []

    def noted() -> Iterator[Fate]:
        for fate in script(*call.fates):
            posted.append(fate)
            yield fate

    fates = noted()
    await asyncio.sleep(call.at)
    result: str | BaseException
    try:
        async with asyncio.timeout(call.leaves):
            result = (await service.submit(submissions, fates, call.name)).request_id
    except (ChamelaionError, TimeoutError) as error:
        result = error
    await asyncio.sleep(600.0)  # until the service has started what it may still start
    ids = [started.job.id for started in service.jobs if started.fates is fates]
    if isinstance(result, str):
        assert result in ids, "a: another submission's job"
        is_late = any(fate.lag is not None and fate.starts + fate.lag > PROMISED for fate in posted)
        assert len(ids) == 1 or is_late, "b: two jobs for one call"
    elif isinstance(result, SubmissionUncertainError):
        assert (result.reference_id, str(result.__cause__)) == (call.name, posted[-1].trouble), (
            "d: not its name or cause"
        )
    elif isinstance(result, ChamelaionError):
        assert not ids, "c: an error that is certain, although there is a job"


def run(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main)


seconds = st.sampled_from([0.0, 0.3, 0.8, 1.0, 2.0, 4.9]) | st.floats(0, 8)
lags = seconds | st.just(30.0)
answered = st.builds(Fate, lag=lags, takes=seconds)
refused = st.builds(Fate, st.sampled_from(REFUSED), st.none(), takes=seconds)
lost = st.builds(Fate, st.sampled_from(UNCERTAIN), st.none() | lags, starts=st.just(0.0) | lags, takes=seconds)
calls = st.builds(
    Call,
    name=st.sampled_from(["talk-4", "talk-4", "talk-42", "TALK-4"]),
    at=seconds | st.floats(0, 60),
    fates=st.lists(answered | lost | lost | refused, min_size=1, max_size=3).map(tuple),
    leaves=st.none() | seconds,
)
worlds = st.builds(
    World,
    calls=st.lists(calls, min_size=1, max_size=4).map(tuple),
    filter=st.sampled_from(["exact", "exact", "prefix", "any case", "ignored"]),
    cap=st.sampled_from([100, 100, 3, 1]),
    has_date=st.booleans(),
    ahead=st.sampled_from([0.0, 2.0, -2.0]) | st.floats(-5, 5),
    is_newest_first=st.booleans(),
    older=st.sampled_from([0, 0, 1, 5]),
    apart=st.sampled_from([0.0, 0.1, 60.0]),
    foreign=st.lists(st.tuples(st.sampled_from(["talk-421", "Talk-4", "talk"]), seconds), max_size=2).map(tuple),
    list_takes=st.sampled_from([0.0, 0.1, 1.5]),
    list_troubles=st.lists(st.none() | st.sampled_from(REFUSED + UNCERTAIN), max_size=8).map(tuple),
)
NOT_STARTED = Fate("503", None)


@settings(max_examples=400, derandomize=True)
@given(worlds)
@example(World(calls=(Call(fates=(Fate("reset", 30.0), Fate("412", None))),)))
@example(World(calls=(Call(fates=(Fate(lag=2.0),)), Call(at=0.9, fates=(NOT_STARTED, Fate()))), has_date=False))
@example(World(calls=(Call(fates=(Fate(lag=2.0),)), Call(at=0.9, fates=(NOT_STARTED, Fate()))), ahead=2.0))
@example(World(calls=(Call(fates=(NOT_STARTED, Fate())),), foreign=(("talk-42", 0.1),), filter="prefix"))
@example(World(calls=(Call(fates=(Fate("reset"),)),), foreign=(("talk-42", 0.1),), filter="ignored", cap=1))
@example(World(calls=(Call(fates=(Fate(lag=2.0, takes=1.0),), leaves=0.5), Call(at=1.1, fates=(NOT_STARTED,)))))
def test_in_no_interleaving_a_job_is_mistaken_or_paid_for_twice_or_denied(world: World) -> None:
    run(play(world))


@pytest.mark.parametrize("fate", [Fate("400"), Fate("not sent", starts=1.0)])
def test_a_service_that_starts_a_job_and_refuses_it_is_found_out(fate: Fate) -> None:
    """Without this, the property might hold because nothing is ever judged."""
    with pytest.raises(AssertionError, match="c: "):
        run(play(World(calls=(Call(fates=(fate,)),))))
