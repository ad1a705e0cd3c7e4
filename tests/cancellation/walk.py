"""The walk through a scenario: interrupted at its first suspension, at its second, and so on to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path

import attrs

from .loops import Loop
from .point import Run, be_cancelled, play
from .scenarios import Scenario
from .steps import Moment, Steps


@attrs.define(kw_only=True)
class Walk:
    """A walk through a scenario.

    Attributes:
        loop: On what loop.
        scenario: Through what.
        folder: For files, empty.
        perform: Plays the scenario up to the point at which it is interrupted, and checks what comes of that.
        points: How many points there were.
    """

    loop: Loop
    scenario: Scenario
    folder: Path
    perform: Callable[[Run], Awaitable[object]] = be_cancelled
    points: int = 0
    _folders: Iterator[int] = attrs.field(init=False, factory=count)

    async def at_every_step(self, *, moment: Moment = "at once", first: int = 1, stride: int = 1) -> None:
        """Interrupt at every suspension, or at some of them."""
        for number in count(first, stride):
            steps = Steps(number=number, moment=moment)
            await self._play(steps)
            if not steps.was_reached:
                return

    async def at_every_step_and_again(self, *, moment: Moment = "at once", stride: int = 1) -> None:
        """Cancel at every suspension, and once more at the first one after that, at the first two, and so on.

        A task may also be cancelled before it has begun, unless it begins while it is being made.
        """
        for number in count(0 if moment == "at once" and not self.loop.is_eager else 1, stride):
            steps = Steps(number=number, moment=moment)
            await self._play(steps)
            if not steps.was_reached:
                return
            for more in range(1, steps.awaited_after + 1):
                await self._play(Steps(number=number, moment=moment, more=more))

    def _make_folder(self) -> Path:
        folder = self.folder / str(next(self._folders))
        folder.mkdir()
        return folder

    async def _play(self, steps: Steps) -> None:
        try:
            await play(self.loop, self.scenario, self._make_folder(), steps, self.perform)
        except Exception as error:
            where = f"{self.scenario.key}, {steps.moment} at step {steps.number}, {steps.more} times more"
            raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error
        self.points += steps.was_interrupted
