"""A submission that was cancelled leaves open whether it started a job, and misleads no other about theirs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import pytest

from chamelaion_async import SubmissionUncertainError
from chamelaion_async.sandbox import Fault
from tests.faults.setup import REFERENCE, Setup

from .loops import DEFAULT
from .point import Run
from .scenarios import Scenario
from .steps import Moment
from .walk import Walk

_ROUTE: Final = "POST /v1/lipsync/generate"
_AUDIO: Final = "https://cdn.example.com/42.wav"
_FIRST: Final = "https://cdn.example.com/first.mp4"
_SECOND: Final = "https://cdn.example.com/second.mp4"


async def submit(video: str, setup: Setup) -> None:
    """Submit a job; where it is raised which one it is, that has to be it."""
    try:
        accepted = await setup.client.lipsync.generate(video=video, audio=_AUDIO, reference_id=REFERENCE)
    except SubmissionUncertainError:
        return
    assert _video_of(setup, accepted.request_id) == video


def _video_of(setup: Setup, id: str) -> str:
    (video,) = (each["url"] for each in setup.sandbox.jobs[id].payload["inputs"] if each["type"] == "video")
    return str(video)


def _count(setup: Setup, video: str) -> int:
    return [_video_of(setup, id) for id, job in setup.sandbox.jobs.items() if "inputs" in job.payload].count(video)


def lose(fault: Fault, after: int, setup: Setup) -> None:
    setup.sandbox.inject(fault, route=_ROUTE, times=1, after=after)


LOSSES = [pytest.param(Fault.reset("after"), id="answer"), pytest.param(Fault.reset("before"), id="request")]


async def before_another(fault: Fault, run: Run) -> None:
    """The next submission with the same reference is lost, or the answer to it."""
    setup = run.setup
    task = await run.act()
    assert task.cancelled() == run.steps.was_interrupted
    await run.check_nothing_is_left()
    assert _count(setup, _FIRST) <= 1
    setup.sandbox.clear_faults()
    lose(fault, 0, setup)

    run.steps.is_over = True
    await submit(_SECOND, setup)

    assert _count(setup, _FIRST) <= 1
    assert _count(setup, _SECOND) <= 1


async def beside_another(run: Run) -> None:
    task = await run.act()

    assert task.cancelled() == run.steps.was_interrupted
    await run.check_nothing_is_left()
    assert _count(run.setup, _FIRST) <= 1
    assert _count(run.setup, _SECOND) <= 1


@pytest.mark.parametrize("moment", ["at once", "when it is done"])
@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("fault", LOSSES)
@pytest.mark.parametrize("is_first", [True, False])
def test_one_that_goes_on_beside_it_is_not_misled(
    is_first: bool, fault: Fault, after: int, moment: Moment, tmp_path: Path
) -> None:
    scenario = Scenario(
        "generate, another beside it",
        partial(submit, _FIRST),
        beside=partial(submit, _SECOND),
        is_beside_first=is_first,
        prepare=partial(lose, fault, after),
    )
    walk = Walk(loop=DEFAULT, scenario=scenario, folder=tmp_path, perform=beside_another)

    DEFAULT.run(walk.at_every_step(moment=moment))

    assert walk.points >= 3


@pytest.mark.parametrize("moment", ["at once", "when it is done"])
@pytest.mark.parametrize("fault", LOSSES)
@pytest.mark.parametrize("is_lost", [True, False])
def test_one_that_follows_it_is_not_misled(is_lost: bool, fault: Fault, moment: Moment, tmp_path: Path) -> None:
    scenario = Scenario(
        "generate, another after it",
        partial(submit, _FIRST),
        prepare=partial(lose, fault, 0) if is_lost else (lambda _: None),
    )
    walk = Walk(loop=DEFAULT, scenario=scenario, folder=tmp_path, perform=partial(before_another, fault))

    DEFAULT.run(walk.at_every_step(moment=moment))

    assert walk.points >= 3
