"""One scene, cancelled at one point: what comes out, what is left, and whether the client goes on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import attrs

from chamelaion_async import AsyncClient, PollPolicy
from chamelaion_async.sandbox import Sandbox
from tests.faults.stage import IDS, KEY, LoopClock, Stage

from . import leftovers, threads
from .files import MEDIUM, TRANSLATION
from .loops import Loop
from .scenes import FAST_RETRY, Act, Scene
from .steps import Steps, StepTraces

_POLLING: Final = PollPolicy(
    min_interval=0.002, max_interval=0.002, jitter=0.0, request_timeout=5.0, not_found_grace=0.0
)
_JOB_SECONDS: Final = (0.003, 0.005, 0.001)
_PATIENCE: Final = 20.0  # seconds of the loop
_TURNS: Final = 8


@attrs.define(kw_only=True, eq=False)
class Play:
    """A scene that is being played.

    Attributes:
        scene: What is done.
        stage: What it is done on.
        steps: Counts its steps, and strikes.
        traces: See what is made and not cleared away.
        outlasting: Reads that went on when the operation had come to its end.
    """

    scene: Scene
    stage: Stage
    steps: Steps
    traces: StepTraces
    outlasting: list[str] = attrs.field(init=False, factory=list)

    @property
    def may_end_later(self) -> bool:
        """Whether what works for the operation may come to its end a little later."""
        return bool(self.steps.more) or self.scene.beside is not None or self.scene.ends_later

    async def act(self, act: Act | None = None) -> asyncio.Task[Any]:
        """Do it, or what stands for it, and return the task of that once it and what is beside it are done."""
        scene, stage = self.scene, self.stage

        async def begin(stage: Stage) -> object:
            self.steps.task = asyncio.current_task()
            try:
                return await (act or scene.act)(stage)
            finally:
                self.outlasting = leftovers.of_reads(stage.client)

        beside: list[asyncio.Task[Any]] = []
        if scene.beside is not None and scene.is_beside_first:
            beside.append(_start(scene.beside, stage))
            await _turns(1)
        task = _start(begin, stage)
        if self.steps.number == 0:
            self.steps.task = task
            self.steps.was_reached = self.steps.has_struck = task.cancel()
        if scene.beside is not None and not scene.is_beside_first:
            beside.append(_start(scene.beside, stage))
        await _finish(task)
        queued = leftovers.of_queues(stage.client)
        assert queued == [], queued
        if beside:
            await _finish(*beside)
            beside[0].result()
        return task

    async def check_nothing_is_left(self, but: asyncio.Task[Any] | None = None) -> None:
        """Fail unless all is as if nothing had been done; a task that goes on is named."""
        if self.may_end_later:
            # Who is cancelled once more has no time to wait for what ends by itself.
            for _ in range(_TURNS):
                await threads.all_done()
        await _turns(2)  # an answer is told to all in a turn of its own, which nobody waits for
        tasks = [each for each in self.traces.tasks() if each != repr(but)]
        assert tasks == [], tasks
        await threads.all_done()
        left = leftovers.of_client(self.stage.client)
        left += leftovers.of_timers(asyncio.get_running_loop())
        assert left == [], left

    async def check_it_goes_on(self) -> None:
        """Fail unless the same client does the same once more, and as much at once as ever."""
        self.steps.is_over = True
        task = _start(self.scene.act, self.stage)
        await _finish(task)
        task.result()
        others = [_start(_look, self.stage) for _ in range(3)]
        await _finish(*others)
        for other in others:
            other.result()


async def be_cancelled(play: Play) -> None:
    """Be cancelled: that is what comes out, nothing is left, and the client serves on."""
    task = await play.act()
    if not play.steps.has_struck:
        assert not play.steps.is_told
        task.result()
        return
    assert task.cancelled(), f"what came out was {task.exception() or task.result()!r}"
    # Nobody took it back for his own: the blocks around count on that.
    assert task.cancelling() == 1 + play.steps.struck_again
    if not play.may_end_later:
        assert play.outlasting == [], play.outlasting
    await play.check_nothing_is_left()
    play.scene.check(play.stage)
    await play.check_it_goes_on()
    await play.check_nothing_is_left()


async def play(
    loop: Loop, scene: Scene, folder: Path, steps: Steps, perform: Callable[[Play], Awaitable[object]]
) -> None:
    """Set the stage of a scene, perform on it, and see to it that nothing is left once it is cleared."""
    random.seed(scene.key)
    with StepTraces(steps, is_eager=loop.is_eager) as traces:
        async with asyncio.timeout(4 * _PATIENCE), AsyncExitStack() as stack:
            stage = await _set_stage(scene, folder, stack)
            with traces.client_at_work():
                await perform(Play(scene=scene, stage=stage, steps=steps, traces=traces))
        steps.task = None  # it refers to all that it has worked with
        del stage
        left = await traces.rest()
        assert left == [], left


async def _set_stage(scene: Scene, folder: Path, stack: AsyncExitStack) -> Stage:
    clock = LoopClock()
    sandbox = await stack.enter_async_context(Sandbox(clock=clock, job_seconds=_JOB_SECONDS[0]))
    for number, (id, seconds) in enumerate(zip(IDS, _JOB_SECONDS, strict=True)):
        sandbox.add_job(id=id, reference_id=f"dub-{number}", job_seconds=seconds, output=MEDIUM)
    sandbox.add_job(
        family="video_translate",
        id=TRANSLATION,
        reference_id="tr-42",
        job_seconds=_JOB_SECONDS[0],
        output=MEDIUM,
        target_languages=["de"],
    )
    options = {"base_url": sandbox.base_url, "polling": _POLLING, "retry": FAST_RETRY, **scene.options}
    stage = Stage(
        sandbox=sandbox, clock=clock, folder=folder, route="*", times=None, after=0, stack=stack, options=options
    )
    scene.prepare(stage)
    stage.client = AsyncClient(KEY, **options)
    stack.push_async_callback(stage.client.aclose)
    return stage


def _start(act: Act, stage: Stage) -> asyncio.Task[Any]:
    async def do() -> object:
        return await act(stage)

    return asyncio.get_running_loop().create_task(do())


async def _finish(*tasks: asyncio.Task[Any]) -> None:
    _, late = await asyncio.wait(tasks, timeout=_PATIENCE)
    assert not late, f"it goes on and on: {late}"


async def _look(stage: Stage) -> object:
    return await stage.client.users.me()


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)
