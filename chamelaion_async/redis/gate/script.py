"""The gate of a lane, as a script on the server: it hands out the times at which calls may start.

One command asks for times, gives others back, reports permits that were used, and reports refusals, whatever of that
there is. The permits are those of the generic cell rate algorithm (ITU-T I.371): one every ``1 / rate`` seconds, none
saved up. A time may lie a little ahead, so that one command fetches several. The clock is the server's alone: a
process learns how long from now each time is, and no process's clock counts.

The rate is the lowest ``max_rate`` of all processes, or what 429s taught. ``rate.lua`` learns as
``_http.rate.AdaptiveRate`` does, and ``gate.lua`` tells it of the permits of all processes instead of one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any, Final, Protocol

import attrs

__all__ = ["AHEAD", "GATE", "Answer", "Question", "Refusal", "ScriptEngine"]

AHEAD: Final = 0.25
"""Seconds for which an answer of the gate is taken as true, and for which times are handed out at most, if there are
several in them."""


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


GATE: Final = _read("rate.lua") + _read("gate.lua")
"""The script. Its key is a hash with the state of one lane, its argument a question as JSON."""


class ScriptEngine(Protocol):
    """What a gate needs of the engine."""

    @property
    def is_live(self) -> bool:
        """Whether commands are sent."""

    @property
    def processes(self) -> int:
        """How many processes on the account were seen lately, this one included."""

    def at_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call a function whenever ``is_live`` has changed, and return the function that ends that."""

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str]) -> Any:
        """Run a script, and return what it returns.

        Raises:
            EngineLost: No answer came.
        """


@attrs.frozen(kw_only=True)
class Refusal:
    """A 429; see ``Budget.throttled``.

    Attributes:
        age: Seconds since the call was sent.
        own: Permits of this process in the last ten seconds. As many of them as ``lately`` were answered well,
            and probably the same part of other processes' permits.
    """

    seconds: float | None
    answered: int | None
    lately: int
    span: float
    age: float
    own: int


@attrs.frozen(kw_only=True)
class Question:
    """What a process tells the gate, and asks of it.

    Attributes:
        member: Tells this process from others.
        epoch: That of the last answer.
        limit: The user's bound in requests a second, or None.
        wanted: Times that there is use for.
        held: Times that are still to come of those handed out before.
        used: Permits that this process took without asking, since the gate knew no limit.
        back: Times of which no use is made, as they were handed out.
        refusals: The 429s since the last question.
        rate: The rate that the gate has learned, for one that lost its state, or None.
        closed: Seconds that the lane was still closed then.
        processes: How many processes there were when the engine was last reached, this one included.
    """

    member: str
    epoch: int
    limit: float | None = None
    wanted: int = 0
    held: int = 0
    used: int = 0
    back: Sequence[int] = ()
    refusals: Sequence[Refusal] = ()
    rate: float | None = None
    closed: float = 0.0
    processes: int = 1

    def to_json(self) -> str:
        """Return the script's argument. What is None is left out, since Lua takes JSON's null for true."""
        return json.dumps(attrs.asdict(self, filter=lambda _, value: value is not None), allow_nan=False)


@attrs.frozen(kw_only=True)
class Answer:
    """What the gate answers.

    Attributes:
        now: The server's time, in microseconds.
        epoch: How often the lane was closed. One that is new makes all earlier refusals old news.
        is_throttled: Whether 429s hold the lane back.
        rate: Requests a second of all processes, or infinity.
        limit: The lowest ``max_rate`` of all processes, or infinity.
        closed: Seconds until the lane is open.
        opens: Seconds until the first time that is not handed out.
        share: Times that this process may hold at once.
        times: When calls may start, by the server's time, in microseconds; none where the rate is infinite.
    """

    now: int
    epoch: int
    is_throttled: bool
    rate: float
    limit: float
    closed: float
    opens: float
    share: int
    times: tuple[int, ...]

    @classmethod
    def of(cls, raw: Any) -> Answer:
        """Return what the script returned."""
        now, epoch, is_throttled, rate, limit, closed, opens, share, times = raw
        return cls(
            now=int(now),
            epoch=int(epoch),
            is_throttled=bool(int(is_throttled)),
            rate=float(rate),
            limit=float(limit),
            closed=int(closed) / 1e6,
            opens=int(opens) / 1e6,
            share=int(share),
            times=tuple(int(time) for time in times),
        )

    @property
    def is_free(self) -> bool:
        """Whether no limit is known."""
        return math.isinf(self.rate)
