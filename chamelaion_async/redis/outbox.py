"""What this process tells the engine: its messages in their order, its presence, and that its claims go on.

All of it goes out in one command, the next one as soon as the last is answered, and one every half second if there is
nothing to tell. Messages that were sent one by one through a pool would overtake each other, and each gap in their
numbers would look like a loss.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, Protocol

import attrs

from .account import Account
from .claims import LEASE
from .engine import Engine, EngineLost
from .messages import MAX_MESSAGE, Kind, Message

__all__ = ["BEAT", "SEEN", "Outbox"]

BEAT: Final = 0.5
"""Seconds between two commands that say that this process is there."""

SEEN: Final = 2.5
"""Seconds for which a process counts after its last command."""

_SEEN_MS: Final = round(SEEN * 1000)
_LEASE_MS: Final = round(LEASE * 1000)
_MOST_MESSAGES: Final = 100  # of one command
_MOST_BYTES: Final = 4 * MAX_MESSAGE  # that wait for the engine
_PULSES: Final = 2  # after the last message; two, since one may be lost as well

# A presence key of another type is none of ours. Times that lie in the future are those of a clock that was set back.
_TELL: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local process, channel, seen, lease = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local renewed = tonumber(ARGV[5])
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - seen)
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + seen, '+inf')
redis.call('ZADD', KEYS[1], now, process)
redis.call('PEXPIRE', KEYS[1], seen)
for i = 2, #KEYS do
  if redis.call('GET', KEYS[i]) == process then
    if i <= renewed + 1 then redis.call('PEXPIRE', KEYS[i], lease) else redis.call('DEL', KEYS[i]) end
  end
end
for i = 6, #ARGV do redis.call('PUBLISH', channel, ARGV[i]) end
return {time[1], time[2], redis.call('ZCARD', KEYS[1])}
"""
_LEAVE: Final = "redis.call('ZREM', KEYS[1], ARGV[1])"


class Reporter(Protocol):
    """What the outbox reports to, and what it asks."""

    def held_keys(self) -> list[str]:
        """Return the keys of the claims that go on."""

    def on_told(self, processes: int | None) -> None:
        """Receive how many processes there are, or None if the engine did not answer."""


class Outbox:
    """Sends what one process tells all others of its account.

    Args:
        engine: What it is sent through.
        account: Names the keys, and seals the messages.
        process: The name of this process.
        reporter: Hears of each command.
    """

    def __init__(self, engine: Engine, account: Account, process: bytes, reporter: Reporter) -> None:
        self._engine = engine
        self._account = account
        self._process = process
        self._reporter = reporter
        self._number = 0
        self._messages: list[bytes] = []
        self._size = 0
        self._ended: list[str] = []
        self._pulses = 1  # the first one says that this process is there
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def wake(self) -> None:
        """Send a command now, whether there is something to tell or not."""
        self._wake.set()

    def send(self, kind: Kind, name: str, payload: bytes = b"", began: float | None = None) -> None:
        """Send a message to all other processes, or lose it if the engine is gone or too slow.

        Args:
            kind: What it says.
            name: The reading or the id.
            payload: The answer.
            began: When the answer's read was sent, by this loop's clock.
        """
        self._number += 1
        data = self._pack(kind, name, payload, began)
        if len(data) > MAX_MESSAGE:
            data = self._pack(Kind.RELEASED, name, b"", None)
        if self._size + len(data) > _MOST_BYTES:
            self.drop()
        self._messages.append(data)
        self._size += len(data)
        self._pulses = _PULSES
        self._wake.set()

    def end_claim(self, key: str) -> None:
        """Delete the key of a claim, if it is still this process's, after the messages so far."""
        self._ended.append(key)
        self._wake.set()

    def drop(self) -> None:
        """Forget what waits. The others see from the numbers that messages are missing."""
        self._messages.clear()
        self._ended.clear()
        self._size = 0

    async def aclose(self) -> None:
        """Send what waits, say that this process leaves, and end: half a second later at most."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        while self._engine.is_live and (self._messages or self._ended):
            await self._tell()
        with suppress(EngineLost):
            await self._engine.run(_LEAVE, [self._account.presence], [self._process])

    def _pack(self, kind: Kind, name: str, payload: bytes, began: float | None) -> bytes:
        message = Message(kind=kind, sender=self._process, number=self._number, name=name, payload=payload)
        if began is not None:
            age = asyncio.get_running_loop().time() - began
            message = attrs.evolve(message, began=self._engine.clock.stamp(began), age=age)
        return self._account.seal.pack(message)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            if not self._engine.is_live:
                self.drop()
            elif await self._tell() and (self._messages or self._ended):
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT):
                    await self._wake.wait()

    async def _tell(self) -> bool:
        """Send one command, and return whether it was answered."""
        messages, self._messages = self._messages[:_MOST_MESSAGES], self._messages[_MOST_MESSAGES:]
        self._size -= sum(map(len, messages))
        if not messages and self._pulses:
            self._pulses -= 1
            messages = [self._pack(Kind.PULSE, "", b"", None)]
        # A claim ends with its answer, not before.
        ended, self._ended = ([], self._ended) if self._messages else (self._ended, [])
        renewed = self._reporter.held_keys()
        loop = asyncio.get_running_loop()
        sent = loop.time()
        try:
            seconds, microseconds, processes = await self._engine.run(
                _TELL,
                [self._account.presence, *renewed, *ended],
                [
                    self._process,
                    self._account.channel,
                    _SEEN_MS,
                    _LEASE_MS,
                    len(renewed),
                    *messages,
                ],
            )
        except EngineLost:
            self.drop()
            self._pulses = _PULSES
            self._reporter.on_told(None)
            return False
        self._engine.clock.note(sent, loop.time(), int(seconds) + int(microseconds) / 1e6)
        self._reporter.on_told(int(processes))
        return True
