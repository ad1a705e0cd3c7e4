"""What a world is made of: plain values that can be drawn, played, made smaller and printed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, Literal
from uuid import UUID

import attrs

Status = Literal["queued", "processing", "completed", "failed"]
Route = Literal["get", "list", "all"]
FaultKind = Literal[
    "status", "refused", "reset", "hang", "garbage", "slow", "gateway", "malformed", "blank", "missing"
]

ACCOUNT: Final = -1
"""The target of a fault that concerns every job."""


@lru_cache(maxsize=10_000)
def _uuid(number: int) -> str:
    return str(UUID(int=(number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))


@attrs.frozen(kw_only=True, cache_hash=True)
class Job:
    """One job of the account. Times are seconds since the world began.

    Attributes:
        number: Its place among all jobs, which makes its UUID.
        reference: Its ``reference_id``.
        created: When the service accepted it; negative for older jobs.
        started: When work on it begins.
        ended: When it ends.
        final: How it ends.
        is_listed: Whether list pages show it.
    """

    number: int
    reference: str | None = None
    created: float = 0.0
    started: float = 0.0
    ended: float = 10.0
    final: Literal["completed", "failed"] = "completed"
    is_listed: bool = True

    @property
    def id(self) -> str:
        return _uuid(self.number)

    def status(self, at: float) -> Status:
        """Return the status at a time."""
        if at >= self.ended:
            return self.final
        return "processing" if at >= self.started else "queued"


@attrs.frozen(kw_only=True)
class Fault:
    """What goes wrong with requests that arrive in a span of time.

    Attributes:
        kind: ``status`` answers with the status in ``value``, ``refused`` with 429 and ``Retry-After: value`` (left
            out if it is below zero), ``slow`` takes ``value`` seconds more, ``gateway`` is a 404 in plain text,
            ``malformed`` leaves a field out of the record, ``blank`` answers with the id ``""``, ``missing`` is the
            API's own 404.
        route: Which requests.
        target: The number of the job whose GET it is, or ``ACCOUNT``.
        begins: First moment.
        ends: First moment after it.
        value: See ``kind``.
    """

    kind: FaultKind
    route: Route = "get"
    target: int = ACCOUNT
    begins: float = 0.0
    ends: float = math.inf
    value: float = 0.0

    def concerns(self, route: str, target: int) -> bool:
        """Whether a request is one of those; ``target`` is a job's number, or ``ACCOUNT`` for a page."""
        return self.route in {route, "all"} and self.target in {ACCOUNT, target}


@attrs.frozen(kw_only=True)
class Limit:
    """How many requests the service lets through.

    Attributes:
        requests: So many...
        seconds: ...in each window of so many seconds.
        retry_after: Seconds in the 429's header, below zero for none.
    """

    requests: int
    seconds: float
    retry_after: float = -1.0


@attrs.frozen(kw_only=True)
class Listing:
    """How the list of jobs behaves.

    Attributes:
        order: Of a page.
        cap: Most records of a page.
        lag: Seconds by which it is behind.
        stands_still_at: Time from which on it shows nothing new.
        filter: What the service makes of ``reference_id=``.
        total: What ``pagination.total`` says.
        has_doubles: Whether each page begins with the last record of the page before.
    """

    order: Literal["newest", "oldest", "mixed"] = "newest"
    cap: int = 100
    lag: float = 0.0
    stands_still_at: float = math.inf
    filter: Literal["exact", "ignored", "prefix", "caseless"] = "exact"
    total: Literal["true", "none", "huge"] = "true"
    has_doubles: bool = False


@attrs.frozen(kw_only=True)
class User:
    """One call that is made.

    Attributes:
        call: Which; ``wait`` and ``watch`` take one target.
        at: When.
        targets: Numbers of jobs; a number beyond all jobs is an id that the service does not know.
        by_reference: Whether the references are passed instead of the UUIDs.
        timeout: Of the call; None for none.
        cancelled_at: When, if it is.
        client: Which of the account's clients makes it.
    """

    call: Literal["wait", "watch", "wait_all", "as_finished", "get_many"] = "wait"
    at: float = 0.0
    targets: tuple[int, ...] = (0,)
    by_reference: bool = False
    timeout: float | None = None
    cancelled_at: float | None = None
    client: int = 0


@attrs.frozen(kw_only=True)
class Nudge:
    """One call of ``nudge``."""

    at: float
    target: int
    by_reference: bool = False


@attrs.frozen(kw_only=True)
class Post:
    """What becomes of one POST, in the order of their arrival.

    Attributes:
        is_accepted: Whether a job is started.
        answer: What is answered then.
        after: Seconds until the job is started.
    """

    is_accepted: bool = True
    answer: Literal["ok", "reset", "hang", "garbage", "500", "502", "503", "504", "412", "409", "429", "400"] = "ok"
    after: float = 0.0


@attrs.frozen(kw_only=True)
class Submit:
    """One submission.

    Attributes:
        at: When.
        client: Which of the account's clients makes it.
        reference: Under which name, or none.
    """

    at: float = 0.0
    client: int = 0
    reference: str | None = "name"


@attrs.frozen(kw_only=True)
class Settings:
    """Settings of the client (those of ``PollPolicy`` and ``Pace`` have their names there), its loop and the clocks.

    Attributes:
        timers: Whether timers go off in time, up to 0.5 ms early (uvloop) or up to 1 ms late (epoll).
        date: What the service's ``Date`` header says: ``true``, none, or an hour less than its ``created_at``.
        get_seconds: What a GET takes.
        page_seconds: What a page takes.
        family: Which jobs.
    """

    min_interval: float = 1.0
    max_interval: float = 12.0
    request_timeout: float = 20.0
    outage_budget: float = 120.0
    max_rate: float | None = None
    max_concurrency: int = 100
    timers: Literal["exact", "early", "late"] = "exact"
    date: Literal["true", "none", "behind", "ahead"] = "true"
    get_seconds: float = 0.1
    page_seconds: float = 0.1
    family: Literal["lipsync", "video_translate"] = "lipsync"


@attrs.frozen(kw_only=True)
class Replicas:
    """Clients that share their polls, as if each were in a process of its own, and what they share through.

    Attributes:
        count: How many; nudges reach one after the other.
        latency: Seconds that a command or a message takes.
        lost: The part of messages that get lost.
        outages: When the engine goes and comes back.
        deaths: Which client ends without a word, and when. Its users have left by then.
    """

    count: int = 1
    latency: float = 0.001
    lost: float = 0.0
    outages: tuple[tuple[float, float], ...] = ()
    deaths: tuple[tuple[int, float], ...] = ()


@attrs.frozen(kw_only=True)
class World:
    """Everything that decides what happens."""

    kind: str = "waits"
    seed: int = 0
    horizon: float = 600.0
    settings: Settings = Settings()
    listing: Listing = Listing()
    limit: Limit | None = None
    replicas: Replicas = Replicas()
    jobs: tuple[Job, ...] = ()
    faults: tuple[Fault, ...] = ()
    users: tuple[User, ...] = ()
    nudges: tuple[Nudge, ...] = ()
    posts: tuple[Post, ...] = ()
    submits: tuple[Submit, ...] = ()

    def reference(self, target: int) -> str | None:
        """Return the reference of a job, None if it has none."""
        return self.jobs[target].reference if target < len(self.jobs) else f"unknown-{target}"

    def name(self, target: int, by_reference: bool) -> str:
        """Return the id by which a user received for a job."""
        if target >= len(self.jobs):
            return Job(number=target).id
        job = self.jobs[target]
        return job.reference if by_reference and job.reference is not None else job.id


AnyPart = Job | Fault | User | Nudge | Post | Submit


def with_longer_faults(world: World, by: float) -> World:
    """Return a world in which each fault begins earlier and ends later: nothing in it goes better.

    What a wait reads in it, it reads in the world itself too, even if its polls come up to ``by`` seconds earlier or
    later.
    """
    faults = [attrs.evolve(fault, begins=fault.begins - by, ends=fault.ends + by) for fault in world.faults]
    # Of several faults at once the first counts, so those that take the most time come first.
    faults.sort(key=lambda fault: {"hang": -math.inf, "refused": -fault.value}.get(fault.kind, math.inf))
    return attrs.evolve(world, faults=tuple(faults))


def describe(world: World) -> str:
    """Return a world in words that are short enough to read and complete enough to play it again."""
    head = f"World(kind={world.kind!r}, seed={world.seed}, horizon={world.horizon:g}"
    if world.limit is not None:
        head += f", limit={_shown(world.limit)}"
    if world.replicas != Replicas():
        head += f", replicas={_shown(world.replicas)}"
    lines = [f"{head}, settings={_shown(world.settings)}, listing={_shown(world.listing)},"]
    for name in ("jobs", "faults", "users", "nudges", "posts", "submits"):
        parts: Sequence[AnyPart] = getattr(world, name)
        if parts:
            lines.append(f"  {name}=(")
            lines += [f"    {_shown(part)}," for part in parts[:40]]
            if len(parts) > 40:
                lines.append(f"    # ...and {len(parts) - 40} more")
            lines.append("  ),")
    return "\n".join([*lines, ")"])


def _shown(part: Any) -> str:
    return f"{type(part).__name__}({', '.join(_differing(part))})"


def _differing(part: Any) -> Iterator[str]:
    for field in attrs.fields(type(part)):
        value = getattr(part, field.name)
        if value != field.default:
            shown = f"{value:g}" if isinstance(value, float) and math.isfinite(value) else repr(value)
            yield f"{field.name}={shown}"
