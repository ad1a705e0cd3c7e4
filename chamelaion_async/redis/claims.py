"""Claims: which member reads what, among those of this process and of all others.

A claim is a key with the process's name as its value and a lease. The outbox renews the leases of what is held with
each of its commands. Questions of one turn of the loop go out in one command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import attrs

from .account import Account
from .engine import Argument, EngineLost

__all__ = ["LEASE", "Claims"]

LEASE: Final = 2.0
"""Seconds for which a claim holds without being renewed: those who wait for a member that has died wait no longer."""

_MOST: Final = 500  # questions of one command

# A key without an end is none of ours, and would refuse the reading to all processes.
_CLAIM: Final = """
local answers = {}
for i, key in ipairs(KEYS) do
  local holder = redis.call('SET', key, ARGV[1], 'NX', 'GET', 'PX', ARGV[2])
  if holder and redis.call('PTTL', key) == -1 then
    redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
    holder = false
  end
  answers[i] = (not holder or holder == ARGV[1]) and 1 or 0
end
return answers
"""

Run = Callable[[str, Sequence[str], Sequence[Argument]], Awaitable[Any]]


@attrs.define(kw_only=True, eq=False)
class _Question:
    """A claim that the engine has not answered yet."""

    reading: str
    claimant: object
    answer: asyncio.Future[bool]
    waiting: int = 0


class Claims:
    """The claims of the members of this process.

    Args:
        run: Runs a script at the engine.
        account: Names the keys.
        process: The name of this process, the value of its claims.
        on_late: Called with a reading that was granted when it was wanted no longer.
    """

    def __init__(self, run: Run, account: Account, process: bytes, on_late: Callable[[str], None]) -> None:
        self._run = run
        self._account = account
        self._process = process
        self._on_late = on_late
        self._held: dict[str, object] = {}
        self._open: dict[str, _Question] = {}
        self._batch: list[_Question] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def held_keys(self) -> list[str]:
        """Return the keys whose leases are to be renewed."""
        return [self._account.claim_key(reading) for reading in self._held]

    def held_by(self, claimant: object) -> list[str]:
        """Return what a member has claimed."""
        return [reading for reading, holder in self._held.items() if holder is claimant]

    async def ask(self, reading: str, claimant: object, *, is_shared: bool) -> bool:
        """Claim a reading, and return whether the member is to read it.

        Args:
            reading: What is to be read.
            claimant: The member that would read it.
            is_shared: Whether other processes are asked, or only the members of this one.
        """
        holder = self._held.get(reading)
        if holder is not None and holder is not claimant:
            return False
        question = self._open.get(reading)
        if question is None:
            if holder is claimant:
                return True
            self._held[reading] = claimant
            if not is_shared:
                return True
            question = self._ask_engine(reading, claimant)
        return await self._wait(question)

    def end(self, reading: str, claimant: object) -> bool:
        """End a claim, and return whether the member had one."""
        if self._held.get(reading) is not claimant:
            return False
        del self._held[reading]
        return True

    async def aclose(self) -> None:
        """Wait for the answers that are on their way: a quarter of a second at most."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _ask_engine(self, reading: str, claimant: object) -> _Question:
        loop = asyncio.get_running_loop()
        question = _Question(reading=reading, claimant=claimant, answer=loop.create_future())
        self._open[reading] = question
        if not self._batch or len(self._batch) == _MOST:
            self._batch = []
            task = loop.create_task(self._ask_batch(self._batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._batch.append(question)
        return question

    async def _ask_batch(self, batch: list[_Question]) -> None:
        # The task starts in the next turn of the loop: until then, questions are added to its batch.
        if batch is self._batch:
            self._batch = []
        keys = [self._account.claim_key(question.reading) for question in batch]
        try:
            answers = await self._run(_CLAIM, keys, [self._process, round(LEASE * 1000)])
        except EngineLost:
            answers = [1] * len(batch)  # each process goes on alone
        for question, answer in zip(batch, answers, strict=True):
            self._take(question, is_granted=answer == 1)

    def _take(self, question: _Question, *, is_granted: bool) -> None:
        reading = question.reading
        if self._open.get(reading) is question:
            del self._open[reading]
        is_wanted = question.waiting > 0 and self._held.get(reading) is question.claimant
        if not (is_granted and is_wanted):
            self.end(reading, question.claimant)
        if is_granted and not is_wanted:
            self._on_late(reading)
        question.answer.set_result(is_granted)

    async def _wait(self, question: _Question) -> bool:
        question.waiting += 1
        try:
            return await asyncio.shield(question.answer)
        except asyncio.CancelledError:
            question.waiting -= 1
            # The answer came in the same turn of the loop.
            is_late = question.waiting == 0 and question.answer.done() and question.answer.result()
            if is_late and self.end(question.reading, question.claimant):
                self._on_late(question.reading)
            raise
