"""One lane's place before its gate: callers that wait, and the times that the gate has handed out to this process.

One task asks the gate, one question after the other: what came up while a question was under way is in the next one.
A timer lets the callers go when their times come. While the engine is gone, another task takes permits of this
process alone.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from ..._http.clock import loop_time
from ...sharing import LaneName
from ..engine import EngineLost
from .alone import Alone
from .news import News
from .script import AHEAD, GATE, Answer, ScriptEngine

__all__ = ["LaneGate"]

_FRESH: Final = 1.2 * AHEAD  # seconds for which an answer is believed when a time comes; a timer may be late
_ALONE: Final = 1.0  # seconds for which a gate that could not be asked is left alone, if the engine answers others
_NEVER: Final = -math.inf


class LaneGate:
    """The permits of one lane.

    Args:
        engine: Runs the gate.
        lane: Which lane it is.
        key: Where its state is.
        member: Tells this process from others.
        max_rate: The user's bound in requests a second, or None.
        tell: Called after a 429 has closed the lane for all.
        warn: Called with the lowest bound of all processes, if this one's is another.
        draw: Returns a number from 0 to 1, by chance.
    """

    def __init__(
        self,
        engine: ScriptEngine,
        *,
        lane: LaneName,
        key: str,
        member: str,
        max_rate: float | None,
        tell: Callable[[LaneName], None],
        warn: Callable[[float], None],
        draw: Callable[[], float],
    ) -> None:
        self._engine, self._lane, self._key, self._max_rate = engine, lane, key, max_rate
        self._tell, self._warn, self._draw = tell, warn, draw
        self._queue: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._times: deque[tuple[float, int]] = deque()  # when each is due, and what the gate calls it; in order
        self._news = News(member, max_rate)
        self._opens_at = self._closed_until = _NEVER
        self._is_free = False  # permits need no question for now
        self._is_held = False  # a 429 is not answered yet
        self._asking: asyncio.Task[None] | None = None
        self._serving: asyncio.Task[None] | None = None
        self._opening: asyncio.TimerHandle | None = None
        self._reporting: asyncio.TimerHandle | None = None
        self._alone: Alone | None = None
        self._alone_until = _NEVER
        self._is_closed = False
        self._ignore_changes = engine.at_change(self._engine_changed)

    @property
    def is_throttled(self) -> bool:
        """Whether 429s held the lane back when the gate was last asked."""
        if self._is_held or self._news.is_throttled:
            return True
        return self._alone is not None and self._alone.is_throttled

    def try_acquire(self) -> bool:
        """Take one permit if no limit is known, or if this process is alone and the permit is due."""
        if self._queue:
            return False
        if self._is_free:
            self._news.used += 1  # no clock, no command: most clients, most of the time
            return True
        return self._alone is not None and self._is_alone and self._alone.try_acquire()

    async def acquire(self) -> None:
        """Return once a request may start. A cancelled caller leaves the queue, and its time goes back."""
        if self.try_acquire():
            return
        waiter = asyncio.get_running_loop().create_future()
        self._queue[waiter] = None
        self._go_on()
        try:
            await waiter
        except asyncio.CancelledError:
            self._queue.pop(waiter, None)
            if not waiter.cancelled():
                self.give_back()  # the permit came in the same turn of the loop
            self._release_surplus()
            raise

    def give_back(self) -> None:
        """Give the last permit to the next caller in the queue, or its time back to the gate."""
        if self._alone is not None and self._is_alone:
            self._alone.give_back()
        elif self._is_free:
            self._news.used = max(self._news.used - 1, 0)
        elif self._queue and not self._is_held and loop_time() >= self._closed_until:
            self._let_go()
            self._release_surplus()
        else:
            self._news.give_back_last(loop_time())
            self._go_on()

    def throttled(
        self, seconds: float | None, answered: int | None, lately: tuple[int, float], sent: float | None
    ) -> None:
        """Record a 429. Nothing starts before the gate has answered that."""
        self._news.refused(loop_time(), seconds, answered, lately, sent)
        self._is_free, self._is_held = False, True
        self._go_on()

    def refresh(self) -> None:
        """Ask the gate for news."""
        if self._queue or self._is_free:
            self._news.is_urgent = True
            self._is_free = False
            self._go_on()

    def close(self) -> None:
        """Ask the gate no more. Idempotent."""
        if self._is_closed:
            return
        self._ignore_changes()
        self._is_closed, self._is_free = True, False
        if self._reporting is not None:
            self._reporting.cancel()
        if self._asking is not None:
            self._asking.cancel()
        self._go_on()

    async def wait_closed(self) -> None:
        """Return once no question is under way."""
        if self._asking is not None:
            await asyncio.wait([self._asking])

    @property
    def _is_alone(self) -> bool:
        return self._is_closed or not self._engine.is_live or loop_time() < self._alone_until

    def _go_on(self) -> None:
        """Start whatever task is needed now."""
        loop = asyncio.get_running_loop()
        if self._is_alone:
            self._settle_alone()
            if self._queue and self._serving is None:
                self._serving = loop.create_task(self._serve_alone(self._begin_alone()))
                self._serving.add_done_callback(self._served)
        elif self._asking is None and self._has_to_ask:
            self._asking = loop.create_task(self._ask())
            self._asking.add_done_callback(self._asked)

    @property
    def _has_to_ask(self) -> bool:
        if self._news.is_due:
            return True
        share = 1 if self._news.answer is None else self._news.answer.share
        return len(self._queue) > len(self._times) and len(self._times) <= share // 2

    async def _ask(self) -> None:
        while self._has_to_ask and not self._is_alone:
            now = loop_time()
            held, closed = len(self._times), max(self._closed_until - now, 0.0)
            wanted = max(len(self._queue) - held, 0)
            processes = self._engine.processes
            question = self._news.question(now, wanted=wanted, held=held, closed=closed, processes=processes)
            try:
                answer = Answer.of(await self._engine.run(GATE, [self._key], [question.to_json()]))
            except (EngineLost, ValueError, TypeError):
                self._alone_until = loop_time() + _ALONE
                self._news.lost(question)
            else:
                self._hear(answer, wanted, is_refused=bool(question.refusals))

    def _asked(self, _: asyncio.Task[None]) -> None:
        self._asking = None
        self._go_on()

    def _hear(self, answer: Answer, wanted: int, *, is_refused: bool) -> None:
        now = loop_time()
        has_closed = self._news.heard(now, answer)
        self._alone = None
        self._closed_until, self._opens_at = now + answer.closed, now + answer.opens
        self._is_held = bool(self._news.refusals)
        held = [] if has_closed else self._times  # what was handed out before the lane closed is void
        times = ((now + (time - answer.now) / 1e6, time) for time in answer.times)
        self._times = deque(sorted([*held, *times]))
        if has_closed and is_refused:
            self._tell(self._lane)
        if answer.limit != (math.inf if self._max_rate is None else self._max_rate):
            self._warn(answer.limit)
        self._is_free = answer.is_free and not self._is_held
        if self._is_free:
            self._let_all_go(wanted)
        self._release_surplus()
        self._open()

    def _let_all_go(self, counted: int) -> None:
        if self._reporting is None:
            self._reporting = asyncio.get_running_loop().call_later(AHEAD, self._report)
        self._news.used += max(len(self._queue) - counted, 0)
        while self._let_go():
            pass

    def _report(self) -> None:
        """Tell how many permits were used, and so learn of a limit; without any, the next caller asks first."""
        self._reporting = None
        if self._is_free:
            self._is_free = self._news.is_urgent = self._news.used > 0
            self._go_on()

    def _let_go(self) -> bool:
        """Let the first caller in the queue go, and return whether there was one."""
        while self._queue:
            waiter, _ = self._queue.popitem(last=False)
            if not waiter.done():
                waiter.set_result(None)
                return True
        return False

    def _open(self) -> None:
        """Let callers go whose time has come, and set the timer for the next one."""
        self._cancel_timer()
        now = loop_time()
        while self._queue and self._times and not self._is_held:
            if self._times[0][0] > now:
                self._opening = asyncio.get_running_loop().call_at(self._times[0][0], self._open)
                break
            if now > self._news.answered_at + _FRESH and not self._is_alone:
                self._news.is_urgent = True  # the lane may have been closed since; the answer comes back here
                break
            _, time = self._times.popleft()
            if self._let_go():
                self._news.started(now, time)
            else:
                self._news.give_back([time])
        self._go_on()

    def _cancel_timer(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None

    def _release_surplus(self) -> None:
        """Give back the times that no caller waits for."""
        while len(self._times) > len(self._queue):
            self._news.give_back([self._times.pop()[1]])
        if not self._queue:
            self._cancel_timer()
            if self._serving is not None:
                self._serving.cancel()
        self._go_on()

    def _begin_alone(self) -> Alone:
        if self._alone is None:
            answer = self._news.answer
            rate = (self._max_rate or math.inf) if answer is None else answer.rate
            opens_at = max(loop_time(), self._opens_at)
            processes = max(self._engine.processes, 1)
            self._alone = Alone(self._lane, rate=rate, processes=processes, opens_at=opens_at, chance=self._draw())
        return self._alone

    def _settle_alone(self) -> None:
        """Turn what was meant for the gate to this process alone."""
        for refusal in self._news.drop():
            self._begin_alone().throttled(refusal)
        self._is_free = False
        if self._is_held:
            self._is_held = False
            self._open()

    async def _serve_alone(self, alone: Alone) -> None:
        while self._queue and self._is_alone:
            await alone.acquire()
            if not self._let_go():
                alone.give_back()

    def _served(self, _: asyncio.Task[None]) -> None:
        self._serving = None
        self._go_on()

    def _engine_changed(self) -> None:
        if self._engine.is_live:
            self._alone_until = _NEVER
            if self._serving is not None:
                self._serving.cancel()  # its end lets those who wait ask the gate
        self._go_on()
