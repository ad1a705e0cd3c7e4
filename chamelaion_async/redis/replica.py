"""This process as one of those on an account: what it hears, what it claims, and how many others there are.

::

    RedisShared --join--> RedisMembership --> Replica --> Claims --> Engine      one Replica for each account
                                ^               |  `----> Outbox --> Engine
                                `--- answers ---'<------- Subscription
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, get_args

from ..sharing import LaneName
from .account import Account
from .claims import Claims
from .engine import Argument, Engine, Subscription
from .gate import SharedBudget
from .messages import Kind, Message, Numbers, Seal
from .outbox import SEEN, Outbox

__all__ = ["Member", "Replica"]


class Member(Protocol):
    """A client of this process."""

    def hear_answer(self, reading: str, payload: bytes | None, began: float) -> None:
        """Receive an answer of another member, or that it released its claim."""

    def hear_nudge(self, id: str) -> None:
        """Receive that a request is to be polled now."""

    def hear_loss(self) -> None:
        """Receive that messages may have been lost."""


class Replica:
    """The members of this process on one account, and what they share with other processes.

    Attributes:
        processes: How many processes there were when the engine last said so, this one included.
    """

    def __init__(self, engine: Engine, subscription: Subscription, account: Account) -> None:
        self._engine = engine
        self._subscription = subscription
        self._account = account
        self._process = secrets.token_bytes(8)
        self._members: list[Member] = []
        self._budgets: dict[float | None, SharedBudget] = {}
        self._numbers = Numbers()
        self._outbox = Outbox(engine, account, self._process, self)
        self._claims = Claims(engine.run, account, self._process, self._release_late)
        self._is_subscribed = False
        self._reached_at: float | None = None
        self._was_connected = False
        self._unwatch = engine.at_change(self._on_engine_change)
        self.processes: int = 1

    def start(self) -> None:
        """Begin to tell and to listen."""
        self._subscription.add(self._account.channel, self)
        self._outbox.start()

    async def aclose(self) -> None:
        """Say that this process leaves, and end."""
        self._subscription.remove(self._account.channel, self)
        self._unwatch()
        self._is_subscribed = False
        for budget in self._budgets.values():
            budget.close()
        await asyncio.gather(*(budget.wait_closed() for budget in self._budgets.values()))
        await self._claims.aclose()
        await self._outbox.aclose()

    def budget(self, max_rate: float | None) -> SharedBudget:
        """Return the budget of all clients of this process with the same ``max_rate``."""
        budget = self._budgets.get(max_rate)
        if budget is None:
            tell = partial(self._tell_throttled, max_rate)
            budget = self._budgets[max_rate] = SharedBudget(self, self._account.tag, max_rate, tell=tell)
        return budget

    def at_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call a function whenever ``is_live`` has changed; see ``Engine.at_change``."""
        return self._engine.at_change(callback)

    async def run(self, script: str, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Run a script at the engine; see ``Engine.run``."""
        return await self._engine.run(script, keys, args)

    @property
    def is_live(self) -> bool:
        """Whether the engine answers."""
        return self._engine.is_live

    @property
    def has_members(self) -> bool:
        """Whether a client of this process is left."""
        return bool(self._members)

    @property
    def peers(self) -> int:
        """How many others each member has: clients of this process, and processes, as far as they are reached."""
        return max(len(self._members) - 1, 0) + (self.processes - 1 if self._has_others else 0)

    @property
    def _is_connected(self) -> bool:
        return self._engine.is_live and self._is_subscribed and self._reached_at is not None

    @property
    def _has_others(self) -> bool:
        return self.processes > 1 and self._is_connected

    # What members do.

    def enter(self, member: Member) -> None:
        """Count a client of this process."""
        self._members.append(member)

    def leave(self, member: Member) -> None:
        """Release all claims of a client, and count it no longer."""
        for reading in self._claims.held_by(member):
            self.release(reading, member)
        self._members.remove(member)

    async def claim(self, reading: str, member: Member) -> bool:
        """Claim a reading; see ``Membership.claim``."""
        if not self.peers:
            return True
        return await self._claims.ask(reading, member, is_shared=self._has_others)

    def publish(self, reading: str, payload: bytes, began: float, member: Member) -> None:
        """Send an answer to all others; see ``Membership.publish``."""
        is_claimed = self._claims.end(reading, member)
        for other in self._others(member):
            other.hear_answer(reading, payload, began)
        if self._has_others:
            self._outbox.send(Kind.ANSWER, reading, payload, began)
        if is_claimed:
            self._outbox.end_claim(self._account.claim_key(reading))

    def release(self, reading: str, member: Member) -> None:
        """End a claim without an answer; see ``Membership.release``."""
        if self._claims.end(reading, member):
            self._tell_released(reading, member)

    def nudge(self, id: str, member: Member) -> None:
        """Tell all others to poll a request."""
        for other in self._others(member):
            other.hear_nudge(id)
        if self._has_others:
            self._outbox.send(Kind.NUDGE, id)

    def _tell_throttled(self, max_rate: float | None, lane: LaneName) -> None:
        for other, budget in self._budgets.items():
            if other != max_rate:
                budget.refresh(lane)
        if self._has_others:
            self._outbox.send(Kind.THROTTLED, lane)

    def _others(self, member: Member | None) -> Iterator[Member]:
        return (other for other in [*self._members] if other is not member)

    def _release_late(self, reading: str) -> None:
        self._tell_released(reading, None)

    def _tell_released(self, reading: str, member: Member | None) -> None:
        now = asyncio.get_running_loop().time()
        for other in self._others(member):
            other.hear_answer(reading, None, now)
        if self._has_others:
            self._outbox.send(Kind.RELEASED, reading)
        self._outbox.end_claim(self._account.claim_key(reading))

    # What the outbox reports.

    def held_keys(self) -> list[str]:
        """Return the keys of the claims that go on."""
        return self._claims.held_keys()

    def on_told(self, processes: int | None) -> None:
        """Receive how many processes there are, or None if the engine did not answer."""
        if processes is None:
            self._reached_at = None
            self._note_connection()
            return
        now = asyncio.get_running_loop().time()
        if self._reached_at is None:
            self._reached_at = now
        if now - self._reached_at < SEEN:
            # An engine that is back has forgotten the others, until each has told it again.
            self.processes = max(processes, self.processes)
        else:
            self.processes = processes
        self._note_connection()

    # What comes from the engine.

    def on_subscribed(self) -> None:
        """Receive that messages come from now on."""
        self._numbers.clear()
        if self._was_connected:
            self._lose()
        self._is_subscribed = True
        self._note_connection()

    def on_unsubscribed(self) -> None:
        """Receive that no messages come for the time being."""
        self._is_subscribed = False
        self._note_connection()

    def on_message(self, data: bytes) -> None:
        """Receive a message."""
        if Seal.sender_of(data) == self._process:
            return
        message = self._account.seal.unpack(data)
        if message is None:
            return
        if not self._numbers.is_known(message.sender):
            self._outbox.wake()  # a process that has just come: count again
        is_new, is_one_missing = self._numbers.note(message)
        if is_new:
            self._deliver(message)
        if is_one_missing:
            self._lose()

    def _deliver(self, message: Message) -> None:
        if message.kind is Kind.THROTTLED:
            for lane in get_args(LaneName):
                for budget in self._budgets.values() if lane == message.name else ():
                    budget.refresh(lane)
        for member in [*self._members]:
            if message.kind is Kind.ANSWER:
                member.hear_answer(message.name, message.payload, self._began(message))
            elif message.kind is Kind.RELEASED:
                member.hear_answer(message.name, None, asyncio.get_running_loop().time())
            elif message.kind is Kind.NUDGE:
                member.hear_nudge(message.name)

    def _began(self, message: Message) -> float:
        # By the age alone, it would be too late by the time that the message took. The age counts if the engine's
        # clock was set back meanwhile.
        now = asyncio.get_running_loop().time()
        return min(self._engine.clock.earliest(message.began), now - max(message.age, 0.0))

    def _on_engine_change(self) -> None:
        self._reached_at = None
        self._note_connection()
        self._outbox.wake()

    def _note_connection(self) -> None:
        if self._was_connected and not self._is_connected:
            self._lose()
        self._was_connected = self._is_connected

    def _lose(self) -> None:
        for member in [*self._members]:
            member.hear_loss()
