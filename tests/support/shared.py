"""What processes on one account share, in memory: an engine whose members are clients of one loop, and its faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import attrs

from chamelaion_async._http.lanes import LocalBudget
from chamelaion_async.sharing import Budget, Listener

LEASE = 2.0
Message = tuple[str, str, bytes | None, float]


def now() -> float:
    return asyncio.get_running_loop().time()


@attrs.define(eq=False)
class MemoryMember:
    """One client of the engine."""

    engine: MemoryShared
    budget: Budget
    listeners: list[Listener] = attrs.Factory(list)
    claims: dict[str, asyncio.TimerHandle] = attrs.Factory(dict)
    is_dead: bool = False

    @property
    def peers(self) -> int:
        return len(self.engine.members) - 1 if self.engine.is_up else 0

    async def claim(self, reading: str) -> bool:
        self.engine.claimed.append(reading)
        await asyncio.sleep(self.engine.latency)
        if not self.peers or reading in self.claims:
            return True
        holder, until = self.engine.claims.get(reading, (self, 0.0))
        if holder is not self and until > now():
            return False
        self._renew(reading)
        return True

    def _renew(self, reading: str) -> None:
        self.engine.claims[reading] = self, now() + LEASE
        self.claims[reading] = asyncio.get_running_loop().call_later(LEASE / 2, self._renew, reading)

    def publish(self, reading: str, payload: bytes, began: float) -> None:
        self._end(reading)
        self.engine.send(self, ("published", reading, self.engine.alter(payload), began))

    def release(self, reading: str) -> None:
        if self._end(reading):
            self.engine.send(self, ("published", reading, None, now()))

    def nudge(self, id: str) -> None:
        self.engine.send(self, ("nudge", id, None, now()))

    def attach(self, listener: Listener) -> None:
        self.listeners.append(listener)

    def close(self) -> None:
        for reading in list(self.claims):
            self.release(reading)
        if self in self.engine.members:
            self.engine.members.remove(self)

    def die(self) -> None:
        """End without a word, as a process that is killed: its claims stay until their lease ends."""
        self.is_dead = True
        self._forget()
        self.engine.members.remove(self)

    def lose(self) -> None:
        """Have no claim any more, and tell what waits for others."""
        self._forget()
        for listener in self.listeners:
            listener.on_lost()

    def _forget(self) -> None:
        for timer in self.claims.values():
            timer.cancel()
        self.claims.clear()

    def _end(self, reading: str) -> bool:
        if self.is_dead or reading not in self.claims:
            return False
        self.claims.pop(reading).cancel()
        self.engine.claims.pop(reading, None)
        return True


@attrs.define(eq=False, kw_only=True)
class MemoryShared:
    """An engine in memory.

    Attributes:
        latency: Seconds that a command or a message takes.
        max_rate: Requests a second of all members together.
        is_up: Whether it can be reached.
        drops: Whether a message to a member is lost.
        alter: Changes what is published.
        claimed: The readings of all claims that were asked for.
        sent: The messages that were sent.
    """

    latency: float = 0.0
    max_rate: float | None = None
    is_up: bool = True
    drops: Callable[[Message], bool] = lambda _: False
    alter: Callable[[bytes], bytes] = lambda payload: payload
    members: list[MemoryMember] = attrs.Factory(list)
    claims: dict[str, tuple[MemoryMember, float]] = attrs.Factory(dict)
    claimed: list[str] = attrs.Factory(list)
    sent: list[Message] = attrs.Factory(list)
    _budget: LocalBudget | None = attrs.field(init=False, default=None)

    def join(self, *, base_url: str, credentials: bytes, max_rate: float | None) -> MemoryMember:
        if self._budget is None:
            self._budget = LocalBudget(self.max_rate)
        member = MemoryMember(self, self._budget)
        self.members.append(member)
        return member

    def send(self, sender: MemoryMember, message: Message) -> None:
        if not self.is_up or sender.is_dead or len(self.members) < 2:
            return
        self.sent.append(message)
        loop = asyncio.get_running_loop()
        for listener in list(self._others(sender)):
            if not self.drops(message):
                loop.call_later(self.latency, _tell, listener, message)

    def _others(self, sender: MemoryMember) -> Iterator[Listener]:
        for member in self.members:
            if member is not sender:
                yield from member.listeners

    def fail(self) -> None:
        """Go away: claims are forgotten, and the members are told that messages may be lost."""
        self.is_up = False
        self.claims.clear()
        for member in self.members:
            member.lose()

    def come_back(self) -> None:
        self.is_up = True


def _tell(listener: Listener, message: Message) -> None:
    kind, what, payload, began = message
    if kind == "nudge":
        listener.on_nudge(what)
    else:
        listener.on_published(what, payload, began)
