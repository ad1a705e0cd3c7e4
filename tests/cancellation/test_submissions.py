"""A submission that was cancelled leaves open whether it started a job, and misleads no other about theirs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import pytest

from chamelaion_async import SubmissionUncertainError
from chamelaion_async.sandbox import Fault
from tests.faults.stage import REFERENCE, Stage

from .loops import DEFAULT
from .point import Play
from .scenes import Scene
from .steps import Moment
from .walk import Walk

_ROUTE: Final = "POST /v1/lipsync/generate"
_AUDIO: Final = "https://cdn.example.com/42.wav"
_FIRST: Final = "https://cdn.example.com/first.mp4"
_SECOND: Final = "https://cdn.example.com/second.mp4"


async def submit(video: str, stage: Stage) -> None:
    """Submit a job; where it is told which one it is, that has to be it."""
    try:
        accepted = await stage.client.lipsync.generate(video=video, audio=_AUDIO, reference_id=REFERENCE)
    except SubmissionUncertainError:
        return
    assert _video_of(stage, accepted.request_id) == video


def _video_of(stage: Stage, id: str) -> str:
    (video,) = (each["url"] for each in stage.sandbox.jobs[id].payload["inputs"] if each["type"] == "video")
    return str(video)


def _count(stage: Stage, video: str) -> int:
    return [_video_of(stage, id) for id, job in stage.sandbox.jobs.items() if "inputs" in job.payload].count(video)


def lose(fault: Fault, after: int, stage: Stage) -> None:
    stage.sandbox.inject(fault, route=_ROUTE, times=1, after=after)


LOSSES = [
    pytest.param(Fault.reset("after"), id="answer"),
    pytest.param(Fault.reset("before"), id="request"),
]


async def before_another(fault: Fault, play: Play) -> None:
    """The next submission with the same reference is lost, or the answer to it."""
    stage = play.stage
    task = await play.act()
    assert task.cancelled() == play.steps.has_struck
    await play.check_nothing_is_left()
    assert _count(stage, _FIRST) <= 1
    stage.sandbox.clear_faults()
    lose(fault, 0, stage)

    play.steps.is_over = True
    await submit(_SECOND, stage)

    assert _count(stage, _FIRST) <= 1
    assert _count(stage, _SECOND) <= 1


async def beside_another(play: Play) -> None:
    task = await play.act()

    assert task.cancelled() == play.steps.has_struck
    await play.check_nothing_is_left()
    assert _count(play.stage, _FIRST) <= 1
    assert _count(play.stage, _SECOND) <= 1


@pytest.mark.parametrize("moment", ["at once", "when it is done"])
@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("fault", LOSSES)
@pytest.mark.parametrize("is_first", [True, False])
def test_one_that_goes_on_beside_it_is_not_misled(
    is_first: bool, fault: Fault, after: int, moment: Moment, tmp_path: Path
) -> None:
    scene = Scene(
        key="generate, another beside it",
        act=partial(submit, _FIRST),
        beside=partial(submit, _SECOND),
        is_beside_first=is_first,
        prepare=partial(lose, fault, after),
    )
    walk = Walk(loop=DEFAULT, scene=scene, folder=tmp_path, perform=beside_another)

    DEFAULT.run(walk.at_every_step(moment=moment))

    assert walk.points >= 3


@pytest.mark.parametrize("moment", ["at once", "when it is done"])
@pytest.mark.parametrize("fault", LOSSES)
@pytest.mark.parametrize("is_lost", [True, False])
def test_one_that_follows_it_is_not_misled(is_lost: bool, fault: Fault, moment: Moment, tmp_path: Path) -> None:
    scene = Scene(
        key="generate, another after it",
        act=partial(submit, _FIRST),
        prepare=partial(lose, fault, 0) if is_lost else (lambda _: None),
    )
    walk = Walk(loop=DEFAULT, scene=scene, folder=tmp_path, perform=partial(before_another, fault))

    DEFAULT.run(walk.at_every_step(moment=moment))

    assert walk.points >= 3
