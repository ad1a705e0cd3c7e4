"""One scenario, cancelled at one point: what comes out, what is left, and whether the client goes on."""

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
from tests.faults.setup import IDS, KEY, LoopClock, Setup

from . import client_leftovers, threads
from .files import MEDIUM, TRANSLATION
from .loops import Loop
from .scenarios import FAST_RETRY, Act, Scenario
from .steps import StepLeftovers, Steps

_POLLING: Final = PollPolicy(
    min_interval=0.002, max_interval=0.002, jitter=0.0, request_timeout=5.0, not_found_grace=0.0
)
_JOB_SECONDS: Final = (0.003, 0.005, 0.001)
_PATIENCE: Final = 20.0  # seconds of the loop
_TURNS: Final = 8


@attrs.define(kw_only=True, eq=False)
class Run:
    """A scenario that is being played.

    Attributes:
        scenario: What is done.
        setup: What it is done on.
        steps: Counts its steps, and interrupts.
        leftovers: See what is made and not cleared away.
        outlasting: Reads that went on when the operation had come to its end.
    """

    scenario: Scenario
    setup: Setup
    steps: Steps
    leftovers: StepLeftovers
    outlasting: list[str] = attrs.field(init=False, factory=list)

    @property
    def may_end_later(self) -> bool:
        """Whether what works for the operation may come to its end a little later."""
        return bool(self.steps.more) or self.scenario.beside is not None or self.scenario.ends_later

    async def act(self, act: Act | None = None) -> asyncio.Task[Any]:
        """Do it, or what stands for it, and return the task of that once it and what is beside it are done."""
        scenario, setup = self.scenario, self.setup

        async def begin(setup: Setup) -> object:
            self.steps.task = asyncio.current_task()
            try:
                return await (act or scenario.act)(setup)
            finally:
                self.outlasting = client_leftovers.of_reads(setup.client)

        beside: list[asyncio.Task[Any]] = []
        if scenario.beside is not None and scenario.is_beside_first:
            beside.append(_start(scenario.beside, setup))
            await _turns(1)
        task = _start(begin, setup)
        if self.steps.number == 0:
            self.steps.task = task
            self.steps.was_reached = self.steps.was_interrupted = task.cancel()
        if scenario.beside is not None and not scenario.is_beside_first:
            beside.append(_start(scenario.beside, setup))
        await _finish(task)
        queued = client_leftovers.of_queues(setup.client)
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
        await _turns(2)  # an answer is handed on in a turn of its own, which no task awaits
        tasks = [each for each in self.leftovers.tasks() if each != repr(but)]
        assert tasks == [], tasks
        await threads.all_done()
        left = client_leftovers.of_client(self.setup.client)
        left += client_leftovers.of_timers(asyncio.get_running_loop())
        assert left == [], left

    async def check_it_goes_on(self) -> None:
        """Fail unless the same client does the same once more, and as much at once as ever."""
        self.steps.is_over = True
        task = _start(self.scenario.act, self.setup)
        await _finish(task)
        task.result()
        others = [_start(_look, self.setup) for _ in range(3)]
        await _finish(*others)
        for other in others:
            other.result()


async def be_cancelled(run: Run) -> None:
    """Be cancelled: that is what comes out, nothing is left, and the client serves on."""
    task = await run.act()
    if not run.steps.was_interrupted:
        assert not run.steps.was_raised
        task.result()
        return
    assert task.cancelled(), f"what came out was {task.exception() or task.result()!r}"
    # The client has taken back no cancellation: the blocks around count on that.
    assert task.cancelling() == 1 + run.steps.cancelled_again
    if not run.may_end_later:
        assert run.outlasting == [], run.outlasting
    await run.check_nothing_is_left()
    run.scenario.check(run.setup)
    await run.check_it_goes_on()
    await run.check_nothing_is_left()


async def play(
    loop: Loop, scenario: Scenario, folder: Path, steps: Steps, perform: Callable[[Run], Awaitable[object]]
) -> None:
    """Set the setup of a scenario, perform on it, and see to it that nothing is left once it is cleared."""
    random.seed(scenario.key)
    with StepLeftovers(steps, is_eager=loop.is_eager) as leftovers:
        async with asyncio.timeout(4 * _PATIENCE), AsyncExitStack() as stack:
            setup = await _set_up(scenario, folder, stack)
            with leftovers.client_at_work():
                await perform(Run(scenario=scenario, setup=setup, steps=steps, leftovers=leftovers))
        steps.task = None  # it refers to all that it has worked with
        del setup
        left = await leftovers.rest()
        assert left == [], left


async def _set_up(scenario: Scenario, folder: Path, stack: AsyncExitStack) -> Setup:
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
    options = {"base_url": sandbox.base_url, "polling": _POLLING, "retry": FAST_RETRY, **scenario.options}
    setup = Setup(
        sandbox=sandbox, clock=clock, folder=folder, route="*", times=None, after=0, stack=stack, options=options
    )
    scenario.prepare(setup)
    setup.client = AsyncClient(KEY, **options)
    stack.push_async_callback(setup.client.aclose)
    return setup


def _start(act: Act, setup: Setup) -> asyncio.Task[Any]:
    async def do() -> object:
        return await act(setup)

    return asyncio.get_running_loop().create_task(do())


async def _finish(*tasks: asyncio.Task[Any]) -> None:
    _, late = await asyncio.wait(tasks, timeout=_PATIENCE)
    assert not late, f"it goes on and on: {late}"


async def _look(setup: Setup) -> object:
    return await setup.client.users.me()


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)
