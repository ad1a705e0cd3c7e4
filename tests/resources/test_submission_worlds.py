"""Paid once in any interleaving: calls at will, under few names, on a service that hides, mixes up and refuses.

What holds in every world of the scripted service below:

a. No call returns a job that another submission started.
b. A call that returns has started one job, as long as the list shows each within the time for which it is read.
c. An error other than ``SubmissionUncertainError`` means that the call started no job.
d. ``SubmissionUncertainError`` names the reference, and its cause is what the service answered last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chamelaion_async import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ChamelaionError,
    ConflictError,
    GenerateAccepted,
    InternalServerError,
    InvalidResponseError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    SubmissionUncertainError,
    UnprocessableEntityError,
)
from chamelaion_async.models import Job
from chamelaion_async.resources.submission import LOOKS, Listing, Submissions
from tests.support.loops import VirtualTimeLoop

NOON: Final = datetime(2026, 4, 7, 12, 0, tzinfo=UTC)
PROMISED: Final = sum(LOOKS)
"""Seconds after a lost answer for which the list is read."""

Filter = Literal["exact", "prefix", "any case", "ignored"]
MATCHES: Final[dict[Filter, Callable[[str, str], bool]]] = {
    "exact": lambda asked, name: name == asked,
    "prefix": lambda asked, name: name.startswith(asked),
    "any case": lambda asked, name: name.lower() == asked.lower(),
    "ignored": lambda asked, name: True,
}
STATUSES: Final = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    409: ConflictError,
    412: QuotaExceededError,
    422: UnprocessableEntityError,
    429: RateLimitError,
    500: InternalServerError,
    502: InternalServerError,
    503: InternalServerError,
    504: InternalServerError,
}
REFUSALS: Final = ("not sent", 400, 401, 403, 409, 412, 422, 429)
LOSSES: Final = ("reset", 500, 502, 503, "timeout", "unreadable", 504)
Trouble = int | str


def error_of(trouble: Trouble) -> ChamelaionError:
    asked: Any = {"method": "POST", "path": "/generate"}
    if isinstance(trouble, int):
        return STATUSES[trouble](str(trouble), status=trouble, message="", headers={}, body=None, **asked)
    if trouble == "unreadable":
        return InvalidResponseError(trouble, status=200, **asked)
    kind = APITimeoutError if trouble == "timeout" else APIConnectionError
    return kind(trouble, sent="no" if trouble == "not sent" else "maybe", **asked)


@attrs.frozen(kw_only=True)
class Fate:
    """What becomes of one POST.

    Attributes:
        trouble: How it fails, or None if it is answered.
        starts: Seconds from the answer to the start of a job; None starts none.
        lag: Seconds from there until the list shows it.
        takes: Seconds until the answer.
    """

    trouble: Trouble | None = None
    starts: float | None = 0.0
    lag: float = 0.0
    takes: float = 0.0


@attrs.frozen(kw_only=True)
class Call:
    """One submission: after ``at`` seconds, and cancelled after ``leaves`` more, unless that is None."""

    name: str = "talk-4"
    at: float = 0.0
    fates: tuple[Fate, ...] = (Fate(),)
    leaves: float | None = None


@attrs.frozen(kw_only=True)
class World:
    """A service and those who call it.

    Attributes:
        calls: The submissions, all of one client.
        filter: What the list takes for a match.
        cap: Records on a page.
        has_date: Whether answers tell the time.
        ahead: Seconds by which jobs are stamped ahead of the answers' time.
        is_newest_first: The order of the list.
        older: Jobs that carry each name before.
        foreign: Names and times of jobs that another process starts, under names that no call has.
        list_takes: Seconds that a read of the list takes.
        list_troubles: What becomes of each read of the list, and None for a page; all others are pages.
    """

    calls: tuple[Call, ...]
    filter: Filter = "exact"
    cap: int = 100
    has_date: bool = True
    ahead: float = 0.0
    is_newest_first: bool = True
    older: int = 0
    foreign: tuple[tuple[str, float], ...] = ()
    list_takes: float = 0.0
    list_troubles: tuple[Trouble | None, ...] = ()


@attrs.frozen
class Started:
    """A job, and when the list begins to show it."""

    job: Job
    listed_at: float
    is_late: bool


@attrs.define(eq=False)
class Play:
    """One world, played on virtual time."""

    world: World
    jobs: list[Started] = attrs.field(factory=list)
    reads: int = 0
    submissions: Submissions = attrs.field(init=False)
    _loop: asyncio.AbstractEventLoop = attrs.field(init=False, factory=asyncio.get_running_loop)

    def __attrs_post_init__(self) -> None:
        self.submissions = Submissions(self._loop.time)
        for name in {call.name for call in self.world.calls}:
            for number in range(self.world.older):
                self._start(name, self._loop.time() - 120.0 - number, 0.0, is_late=False)

    async def run(self) -> None:
        await asyncio.gather(*map(self._play, self.world.calls), *map(self._start_foreign, self.world.foreign))

    async def _start_foreign(self, foreign: tuple[str, float]) -> None:
        name, at = foreign
        await asyncio.sleep(at)
        self._start(name, self._loop.time(), 0.0, is_late=False)

    async def _play(self, call: Call) -> None:
        own: list[Started] = []
        answers: list[ChamelaionError] = []
        await asyncio.sleep(call.at)
        result: str | BaseException
        try:
            async with asyncio.timeout(call.leaves):
                result = (await self._submit(call, own, answers)).request_id
        except (ChamelaionError, TimeoutError) as error:
            result = error
        await asyncio.sleep(600.0)  # what the service is still at
        self._judge(call, result, own, answers)

    def _judge(
        self, call: Call, result: str | BaseException, own: list[Started], answers: list[ChamelaionError]
    ) -> None:
        ids = [started.job.id for started in own]
        if isinstance(result, str):
            assert result in ids, "a: another submission's job"
            assert len(ids) == 1 or any(started.is_late for started in own), "b: two jobs for one call"
        elif isinstance(result, SubmissionUncertainError):
            assert (result.reference_id, result.__cause__) == (call.name, answers[-1]), "d: not its name or cause"
        elif isinstance(result, ChamelaionError):
            assert not ids, "c: an error that is certain, although there is a job"

    async def _submit(self, call: Call, own: list[Started], answers: list[ChamelaionError]) -> GenerateAccepted:
        fates = iter(call.fates)
        fate = Fate()

        async def post() -> GenerateAccepted:
            nonlocal fate
            fate = next(fates, fate)  # the last one is that of every further attempt
            accepted = self._loop.create_task(self._serve(call.name, fate, own))
            await asyncio.sleep(fate.takes)
            if fate.trouble is None:
                return GenerateAccepted(request_id=await accepted, status="success")
            answers.append(error_of(fate.trouble))
            raise answers[-1]

        return await self.submissions.submit(post, reference_id=call.name, list_jobs=self._list, sleep=asyncio.sleep)

    async def _serve(self, name: str, fate: Fate, own: list[Started]) -> str:
        """Start the job of a POST, whatever its sender does meanwhile."""
        if fate.starts is None:
            return ""
        await asyncio.sleep(fate.takes + fate.starts)
        is_late = fate.starts + fate.lag > PROMISED
        own.append(self._start(name, self._loop.time(), fate.lag, is_late=is_late))
        return own[-1].job.id

    def _start(self, name: str, now: float, lag: float, *, is_late: bool) -> Started:
        job = Job(
            id=f"job-{len(self.jobs)}",
            status="queued",
            created_at=NOON + timedelta(seconds=now + self.world.ahead),
            reference_id=name,
        )
        self.jobs.append(Started(job, now + lag, is_late))
        return self.jobs[-1]

    async def _list(self, reference_id: str, *, once: bool) -> Listing:
        world, number = self.world, self.reads
        self.reads += 1
        await asyncio.sleep(world.list_takes)
        trouble = world.list_troubles[number] if number < len(world.list_troubles) else None
        if trouble is not None:
            raise error_of(trouble)
        now = self._loop.time()
        matches = MATCHES[world.filter]
        shown = [
            started.job
            for started in self.jobs
            if started.listed_at <= now and matches(reference_id, started.job.reference_id or "")
        ]
        shown.sort(key=lambda job: job.created_at, reverse=world.is_newest_first)
        date = (NOON + timedelta(seconds=now)).replace(microsecond=0)  # the Date header has no fraction
        return Listing(jobs=shown[: world.cap], total=len(shown), server_time=date if world.has_date else None)


def play(world: World) -> None:
    async def main() -> None:
        await Play(world).run()

    run(main())


def run(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main)


seconds = st.sampled_from([0.0, 0.3, 0.8, 1.0, 2.0, 4.9]) | st.floats(0, 8)
lags = seconds | st.just(30.0)
answered = st.builds(Fate, lag=lags, takes=seconds)
refused = st.builds(Fate, trouble=st.sampled_from(REFUSALS), starts=st.none(), takes=seconds)
lost = st.builds(
    Fate,
    trouble=st.sampled_from(LOSSES),
    starts=st.none() | st.just(0.0) | lags,
    lag=lags,
    takes=seconds,
)
calls = st.builds(
    Call,
    name=st.sampled_from(["talk-4", "talk-4", "talk-42", "TALK-4"]),
    at=seconds | st.floats(0, 60),
    fates=st.lists(answered | lost | lost | refused, min_size=1, max_size=3).map(tuple),
    leaves=st.none() | seconds,
)
worlds = st.builds(
    World,
    calls=st.lists(calls, min_size=1, max_size=4).map(tuple),
    filter=st.sampled_from(["exact", *MATCHES]),
    cap=st.sampled_from([100, 100, 3, 1]),
    has_date=st.booleans(),
    ahead=st.sampled_from([0.0, 2.0, -2.0]) | st.floats(-5, 5),
    is_newest_first=st.booleans(),
    older=st.sampled_from([0, 0, 1, 5]),
    foreign=st.lists(st.tuples(st.sampled_from(["talk-421", "Talk-4", "talk"]), seconds), max_size=2).map(tuple),
    list_takes=st.sampled_from([0.0, 0.1, 1.5]),
    list_troubles=st.lists(st.none() | st.sampled_from([*REFUSALS, *LOSSES]), max_size=8).map(tuple),
)
LOST_BUT_STARTED = Fate(trouble="reset", lag=30.0)
NOT_STARTED = Fate(trouble=503, starts=None)


@settings(max_examples=400, derandomize=True)
@given(worlds)
@example(World(calls=(Call(fates=(LOST_BUT_STARTED, Fate(trouble=412, starts=None))),)))
@example(World(calls=(Call(fates=(Fate(lag=2.0),)), Call(at=0.9, fates=(NOT_STARTED, Fate()))), has_date=False))
@example(World(calls=(Call(fates=(Fate(lag=2.0),)), Call(at=0.9, fates=(NOT_STARTED, Fate()))), ahead=2.0))
@example(World(calls=(Call(fates=(NOT_STARTED, Fate())),), foreign=(("talk-42", 0.1),), filter="prefix"))
@example(World(calls=(Call(fates=(Fate(trouble="reset"),)),), foreign=(("talk-42", 0.1),), filter="ignored", cap=1))
@example(World(calls=(Call(fates=(Fate(lag=2.0, takes=1.0),), leaves=0.5), Call(at=1.1, fates=(NOT_STARTED,)))))
def test_in_no_interleaving_a_job_is_mistaken_or_paid_for_twice_or_denied(world: World) -> None:
    play(world)


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (Call(fates=(Fate(trouble=400, starts=0.0),)), "c: "),
        (Call(fates=(Fate(trouble="not sent", starts=1.0),)), "c: "),
    ],
)
def test_a_world_that_breaks_its_word_is_found_out(call: Call, complaint: str) -> None:
    """Without this, the property might hold because nothing is ever judged."""
    with pytest.raises(AssertionError, match=complaint):
        play(World(calls=(call,)))
