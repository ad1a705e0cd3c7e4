"""A service by a script: what becomes of each POST, and which jobs its list shows at which time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, repeat
from typing import Any, Final, Literal

import attrs

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
    UnprocessableEntityError,
)
from chamelaion_async.models import Job
from chamelaion_async.resources.baseline import ListedJobs
from chamelaion_async.resources.submission import Submissions

REFERENCE: Final = "dub-42"
NOON: Final = datetime(2026, 4, 7, 12, 0, tzinfo=UTC)

LOST: Final = ("reset", "500", "502", "503")
"""Troubles after which nothing was accepted, if the list shows nothing after a few seconds."""
AT_WORK: Final = ("timeout", "504", "unreadable")
"""Troubles after which the service may still process the job, or has accepted it."""
UNCERTAIN: Final = LOST + AT_WORK
REFUSED: Final = ("not sent", "connect timeout", "400", "401", "403", "409", "412", "422", "429")
"""Troubles after which nothing was accepted, whatever the list shows."""

_STATUSES: Final = {
    "400": BadRequestError,
    "401": AuthenticationError,
    "403": PermissionDeniedError,
    "409": ConflictError,
    "412": QuotaExceededError,
    "422": UnprocessableEntityError,
    "429": RateLimitError,
}

Filter = Literal["exact", "prefix", "any case", "ignored"]
_MATCHES: Final[dict[Filter, Callable[[str, str], bool]]] = {
    "exact": lambda asked, name: name == asked,
    "prefix": lambda asked, name: name.startswith(asked),
    "any case": lambda asked, name: name.lower() == asked.lower(),
    "ignored": lambda asked, name: True,
}


def failure(trouble: str) -> ChamelaionError:
    """A new error, whose text is the name of the trouble."""
    asked: Any = {"method": "POST", "path": "/generate"}
    if trouble.isdigit():
        kind = _STATUSES.get(trouble, InternalServerError)
        return kind(trouble, status=int(trouble), message="", headers={}, body=None, **asked)
    if trouble == "unreadable":
        return InvalidResponseError(trouble, status=200, **asked)
    unanswered = APITimeoutError if "timeout" in trouble else APIConnectionError
    return unanswered(trouble, sent="no" if trouble in REFUSED else "maybe", **asked)


@attrs.frozen
class Fate:
    """What becomes of one POST.

    Attributes:
        trouble: How its answer fails, or None.
        lag: Seconds from the start of the job until the list shows it; None starts none.
        starts: Seconds from the answer to the start of the job.
        takes: Seconds until the answer.
    """

    trouble: str | None = None
    lag: float | None = 0.0
    starts: float = 0.0
    takes: float = 0.0


def script(*fates: Fate) -> Iterator[Fate]:
    """The fates of POSTs that follow each other; the last one is that of every further POST."""
    return chain(fates, repeat(fates[-1]))


@attrs.define
class Started:
    """A job, when the list begins to show it, and the script that it was started by."""

    job: Job
    listed_at: float
    fates: Iterator[Fate] | None = None


@attrs.define(kw_only=True, eq=False)
class ScriptedService:
    """The API as submissions see it, on the running loop's time.

    Attributes:
        filter: What the list takes for a match.
        cap: Records on a page.
        has_date: Whether answers carry a time.
        ahead: Seconds by which jobs are stamped ahead of the answers' time.
        is_newest_first: The order of the list.
        counts_strangers: Whether the total counts what the filter lets through by mistake.
        as_listed: What the list makes of the jobs that it holds.
        list_takes: Seconds that a read of the list takes.
        list_troubles: How each read of the list fails, and None for a page; all others are pages.
    """

    filter: Filter = "ignored"
    cap: int = 100
    has_date: bool = True
    ahead: float = 0.0
    is_newest_first: bool = True
    counts_strangers: bool = True
    as_listed: Callable[[list[Job]], list[Job]] = list
    list_takes: float = 0.0
    list_troubles: list[str | None] = attrs.field(factory=list)
    jobs: list[Started] = attrs.field(factory=list)
    posts: int = 0
    reads: list[bool] = attrs.field(factory=list)
    clock: Callable[[], float] = attrs.field(factory=lambda: asyncio.get_running_loop().time)

    async def submit(
        self,
        submissions: Submissions,
        fates: Iterator[Fate],
        reference_id: str | None = REFERENCE,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> GenerateAccepted:
        return await submissions.submit(
            partial(self._post, fates, reference_id), reference_id=reference_id, list_jobs=self.list_jobs, sleep=sleep
        )

    async def _post(self, fates: Iterator[Fate], reference_id: str | None) -> GenerateAccepted:
        fate = next(fates)
        self.posts += 1
        id = f"job-{self.posts}"
        # A task of its own: the service starts the job even if the sender is cancelled meanwhile.
        served = asyncio.create_task(self._serve(id, fates, fate, reference_id))
        await asyncio.sleep(fate.takes)
        if fate.trouble is not None:
            raise failure(fate.trouble)
        await served
        return GenerateAccepted(request_id=id, status="success")

    async def _serve(self, id: str, fates: Iterator[Fate], fate: Fate, reference_id: str | None) -> None:
        if fate.lag is not None:
            await asyncio.sleep(fate.takes + fate.starts)
            self.add(id, lag=fate.lag, reference_id=reference_id, fates=fates)

    async def list_jobs(self, reference_id: str, *, once: bool) -> ListedJobs:
        number = len(self.reads)
        self.reads.append(once)
        await asyncio.sleep(self.list_takes)
        trouble = self.list_troubles[number] if number < len(self.list_troubles) else None
        if trouble is not None:
            raise failure(trouble)
        matches = _MATCHES[self.filter]
        shown = [
            started.job
            for started in self.jobs
            if started.listed_at <= self.clock() and matches(reference_id, started.job.reference_id or "")
        ]
        shown.sort(key=lambda job: job.created_at, reverse=self.is_newest_first)
        total = len([job for job in shown if self.counts_strangers or job.reference_id == reference_id])
        date = (NOON + timedelta(seconds=self.clock())).replace(microsecond=0)  # the Date header has no fraction
        return ListedJobs(self.as_listed(shown)[: self.cap], total, date if self.has_date else None)

    def add(
        self,
        id: str,
        *,
        ago: float = 0.0,
        lag: float = 0.0,
        reference_id: str | None = REFERENCE,
        fates: Iterator[Fate] | None = None,
    ) -> None:
        """Add a job that was created ``ago`` seconds before now, and that the list shows ``lag`` seconds from now."""
        created_at = NOON + timedelta(seconds=self.clock() + self.ahead - ago)
        job = Job(id=id, status="queued", created_at=created_at, reference_id=reference_id)
        self.jobs.append(Started(job, self.clock() + lag, fates))

    def add_older(self, number: int, *, apart: float = 60.0, reference_id: str = REFERENCE) -> None:
        """Add jobs that carried the reference before, the youngest of them two minutes ago."""
        for n in range(number):
            self.add(f"older-{reference_id}-{n}", ago=120.0 + apart * n, reference_id=reference_id)

    @property
    def started(self) -> list[str]:
        """Ids of the jobs that a POST has started."""
        return [started.job.id for started in self.jobs if started.fates is not None]
