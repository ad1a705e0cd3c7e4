"""What was seen while a world was played: plain values that the invariants read. Times are seconds of the world."""

from __future__ import annotations

import math
from typing import Any, Literal

import attrs

from chamelaion_async import ChamelaionError

from .world import Status, Submit, User

Reply = Literal[
    "good", "status", "refused", "reset", "hang", "garbage", "gateway", "malformed", "blank", "missing", "cancelled"
]


@attrs.define(kw_only=True)
class Received:
    """One request that arrived at the service.

    Attributes:
        target: The number of the job whose GET it is, -1 for others.
        id: The id in its path.
        answered: When the client had the answer or the failure.
        reply: What came of it; ``cancelled`` if the client gave it up.
        timeout: Seconds that the client allowed for it.
        delay: Seconds that the service took, or would have taken.
        shown: The jobs that a good answer shows, and their statuses.
        is_awaited: Whether a call was waiting for what it asks for.
        client: Which of several clients sent it.
    """

    at: float
    route: Literal["get", "list", "post"]
    target: int = -1
    id: str = ""
    answered: float = math.inf
    reply: Reply = "cancelled"
    timeout: float = 20.0
    delay: float = 0.0
    shown: tuple[tuple[int, Status], ...] = ()
    is_awaited: bool = True
    client: int = 0


@attrs.frozen(kw_only=True)
class Result:
    """What a call returned or raised for one id: the job or the error."""

    at: float
    id: str
    request: Any = None
    error: ChamelaionError | None = None


@attrs.define(kw_only=True)
class Call:
    """One call of a user.

    Attributes:
        names: The ids that were passed.
        results: What it returned for each id, in its order.
        raised: What it raised as a whole.
        was_cancelled: Whether its user cancelled it.
    """

    user: User
    names: tuple[str, ...]
    began: float = math.inf
    ended: float = math.inf
    results: list[Result] = attrs.field(factory=list)
    raised: BaseException | None = None
    was_cancelled: bool = False


@attrs.frozen(kw_only=True)
class Started:
    """A job that a submission started; ``owner`` is the number of the submission."""

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
        received: Requests, in the order of their arrival.
        calls: The users' calls, in the order of the users.
        submissions: The same of submissions.
        started: The jobs that these started.
        stuck: Why the loop made no progress, if it did not.
        leftovers: What was still there once all calls had returned.
        held_names: In how many places the client held names at some moments, and how many waits and jobs there were
            then; and the same of the name that it held in the most places.
    """

    received: list[Received] = attrs.field(factory=list)
    calls: list[Call] = attrs.field(factory=list)
    submissions: list[Submission] = attrs.field(factory=list)
    started: list[Started] = attrs.field(factory=list)
    stuck: str | None = None
    leftovers: list[str] = attrs.field(factory=list)
    held_names: list[tuple[int, int]] = attrs.field(factory=list)
