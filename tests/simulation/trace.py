"""What was seen while a world was played: plain values that the invariants read."""

from __future__ import annotations

import math
from typing import Any, Literal

import attrs

from chamelaion_async import ChamelaionError

from .world import Stage, Submit, User

__all__ = ["Ask", "Call", "Result", "Started", "Submission", "Trace"]

Reply = Literal[
    "good", "status", "refused", "reset", "hang", "garbage", "gateway", "malformed", "blank", "missing", "left"
]


@attrs.define(kw_only=True)
class Ask:
    """One request as it arrived at the service.

    Attributes:
        at: When.
        route: ``get``, ``list`` or ``post``.
        target: The number of the job whose GET it is, -1 for others.
        id: As it was asked for.
        answered: When the answer, or the failure, was with the client.
        reply: What came of it; ``left`` if the client gave it up.
        patience: Seconds that the client allowed for it.
        delay: Seconds that the service took, or would have taken.
        shown: The jobs that a good answer shows, and how.
        is_wanted: Whether anyone was waiting for what it asks for.
    """

    at: float
    route: Literal["get", "list", "post"]
    target: int = -1
    id: str = ""
    answered: float = math.inf
    reply: Reply = "left"
    patience: float = 20.0
    delay: float = 0.0
    shown: tuple[tuple[int, Stage], ...] = ()
    is_wanted: bool = True


@attrs.frozen(kw_only=True)
class Result:
    """What a call told of one target.

    Attributes:
        at: When.
        id: Of the outcome, as it was told.
        request: The job, if that was it.
        error: The error, if that was it.
    """

    at: float
    id: str
    request: Any = None
    error: ChamelaionError | None = None


@attrs.define(kw_only=True)
class Call:
    """One call of a user.

    Attributes:
        user: Who.
        names: The ids that were passed.
        began: When it was made.
        ended: When it returned.
        results: What it told, in its order.
        raised: What it raised as a whole.
        was_left: Whether it ended by the user's own cancellation.
    """

    user: User
    names: tuple[str, ...]
    began: float = math.inf
    ended: float = math.inf
    results: list[Result] = attrs.field(factory=list)
    raised: BaseException | None = None
    was_left: bool = False


@attrs.frozen(kw_only=True)
class Started:
    """A job that a submission started.

    Attributes:
        id: Its UUID.
        owner: The number of the submission.
        at: When.
    """

    id: str
    owner: int
    at: float


@attrs.define(kw_only=True)
class Submission:
    """One call of ``generate``."""

    submit: Submit
    number: int
    began: float = math.inf
    ended: float = math.inf
    request_id: str | None = None
    error: BaseException | None = None


@attrs.define(kw_only=True)
class Trace:
    """All that was seen of a world.

    Attributes:
        asks: Requests, in the order of their arrival.
        calls: The users' calls, in the order of the users.
        submissions: The same of submissions.
        started: The jobs that these started.
        held: Why the loop did not get on, if so.
        left_over: What was still there once all calls had returned.
        kept: In how many places the client held names at some moments, and how many waits and jobs there were then;
            and the same of the name that it held in the most places.
    """

    asks: list[Ask] = attrs.field(factory=list)
    calls: list[Call] = attrs.field(factory=list)
    submissions: list[Submission] = attrs.field(factory=list)
    started: list[Started] = attrs.field(factory=list)
    held: str | None = None
    left_over: list[str] = attrs.field(factory=list)
    kept: list[tuple[int, int]] = attrs.field(factory=list)
