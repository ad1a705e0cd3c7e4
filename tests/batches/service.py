"""The API imitated behind aiohttp's session, without sockets and on the loop's own time: an hour takes milliseconds.

What it answers is what the API document says; there is no ``Date``, so a job is as old as it has been watched.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, Literal, Self, TypeVar
from uuid import UUID, uuid5

import aiohttp
import attrs

from chamelaion_async import AsyncClient, Outcome
from chamelaion_async.resources.requests import RequestsResource

__all__ = [
    "PATHS",
    "Answer",
    "Asked",
    "FamilyName",
    "Requests",
    "Service",
    "Trouble",
    "are_audits",
    "each",
    "end_what_hangs",
    "now",
    "outcomes_of",
    "refusal",
    "requests_of",
    "turns",
    "unfinished_timers",
    "uuid",
]

T = TypeVar("T")
FamilyName = Literal["lipsync", "video_translate"]
Requests = RequestsResource[Any]
Answer = tuple[int, Mapping[str, str], bytes]
Trouble = Callable[["Asked"], Answer | BaseException | None]

PATHS: Final[Mapping[FamilyName, str]] = {
    "lipsync": "/api/v1/lipsync/requests",
    "video_translate": "/api/v1/video-translate/requests",
}
_EXTRAS: Final[Mapping[FamilyName, Mapping[str, Any]]] = {
    "lipsync": {},
    "video_translate": {
        "target_languages": ["de"],
        "model": "expressive",
        "config": {},
        "disable_background_audio": False,
        "disable_lip_sync": False,
        "formality": False,
    },
}
_ENDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "completed": {"output_url": "https://cdn.example.com/out.mp4"},
    "failed": {"error_message": "audio is too short"},
}
_EPOCH: Final = datetime(2026, 4, 7, 10, tzinfo=UTC)
_NAMESPACE: Final = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
_PAGE: Final = 100


def now() -> float:
    return asyncio.get_running_loop().time()


def are_audits(gets: list[float]) -> bool:
    """Whether GETs are so rare as those that compare a page with what it shows: one each five seconds at most."""
    return all(later - earlier >= 5 for earlier, later in pairwise(gets))


async def turns(count: int) -> None:
    """Let the loop turn a few times, in no time."""
    for _ in range(count):
        await asyncio.sleep(0)


def unfinished_timers() -> list[asyncio.TimerHandle]:
    """What the loop would still do, if nothing else did anything."""
    scheduled: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined] # there is no public way
    own = end_what_hangs
    return [handle for handle in scheduled if not handle.cancelled() and handle._callback is not own]  # type: ignore[attr-defined] # likewise


def end_what_hangs() -> None:
    """Fail a test that would wait without end, once nothing but this is left to do."""
    for task in asyncio.all_tasks():
        task.cancel()


def uuid(name: str) -> str:
    """A UUID that is the same for the same name."""
    return str(uuid5(_NAMESPACE, name))


@attrs.frozen(kw_only=True)
class Asked:
    """One request as it came: seconds since the service began, and an id or a page."""

    at: float
    id: str | None
    offset: int | None


@attrs.define(kw_only=True)
class _Job:
    id: str
    created_at: datetime
    statuses: Mapping[float, str]
    reference: str | None
    extras: Mapping[str, Any]
    _encoded: dict[str, bytes] = attrs.field(init=False, factory=dict)

    def record(self, elapsed: float) -> bytes:
        status = next(status for since, status in reversed([*self.statuses.items()]) if since <= elapsed)
        if status not in self._encoded:
            record = {
                "id": self.id,
                "status": status,
                "created_at": self.created_at.isoformat(),
                "reference_id": self.reference,
                **_ENDS.get(status, {}),
                **self.extras,
            }
            self._encoded[status] = json.dumps(record).encode()
        return self._encoded[status]


class _Content:
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def readany(self) -> bytes:
        body, self._body = self._body, b""
        return body

    def at_eof(self) -> bool:
        return not self._body


class _Response:
    """As much of an answer of aiohttp's as the transport reads."""

    def __init__(self, answer: Answer) -> None:
        self.status, self.headers, body = answer
        self.content = _Content(body)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


@attrs.define
class Service:
    """Jobs of one family whose statuses follow the loop's time.

    Attributes:
        family: Which one.
        latency: Seconds that an answer takes.
        trouble: Answers or fails in place of the service, if it returns something.
        asked: Each request, in the order of their arrival.
        under_way: Requests that have arrived and were not answered.
    """

    family: FamilyName
    latency: float = 0.0
    trouble: Trouble | None = None
    began: float = attrs.field(init=False, factory=now)
    asked: list[Asked] = attrs.field(init=False, factory=list)
    under_way: int = attrs.field(init=False, default=0)
    _jobs: dict[str, _Job] = attrs.field(init=False, factory=dict)

    # What there is to read

    def add(
        self,
        name: str,
        *,
        finishes: float | None = None,
        as_: str = "completed",
        statuses: Mapping[float, str] | None = None,
        reference: str | None = None,
    ) -> str:
        """Add a job that is processing until ``finishes``, or goes through ``statuses``; return its id."""
        stages = dict(statuses or {float("-inf"): "processing"})
        if finishes is not None:
            stages[finishes] = as_
        created_at = _EPOCH + timedelta(milliseconds=len(self._jobs))
        extras = _EXTRAS[self.family]
        made = _Job(id=uuid(name), created_at=created_at, statuses=stages, reference=reference, extras=extras)
        self._jobs[made.id] = made
        return made.id

    def add_many(self, count: int, *, finishes: float | None = None) -> list[str]:
        return [self.add(f"many-{number}", finishes=finishes) for number in range(count)]

    def finish(self, ids: Sequence[str]) -> None:
        """End some jobs now."""
        for id in ids:
            self._jobs[id].statuses = {float("-inf"): "completed"}

    # What was read

    @property
    def elapsed(self) -> float:
        return round(now() - self.began, 6)

    @property
    def polls(self) -> list[float]:
        """When it was asked, in seconds since it began."""
        return [asked.at for asked in self.asked]

    @property
    def pages(self) -> list[float]:
        """When it was asked for pages."""
        return [asked.at for asked in self.asked if asked.id is None]

    @property
    def gets(self) -> list[float]:
        """When it was asked for single requests."""
        return [asked.at for asked in self.asked if asked.id is not None]

    async def until(self, elapsed: float) -> None:
        """Sleep until so many seconds after it began."""
        await asyncio.sleep(self.began + elapsed - now())

    def meanwhile(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Let something go on beside the test."""
        return asyncio.get_running_loop().create_task(coroutine)

    # Answering

    async def request(self, method: str, url: Any, **options: Any) -> _Response:
        """Stand in for ``aiohttp.ClientSession._request``."""
        assert method == "GET"
        path = url.path.removeprefix(PATHS[self.family])
        offset = int(url.query["offset"]) if not path else None
        asked = Asked(at=self.elapsed, id=path.removeprefix("/") or None, offset=offset)
        self.asked.append(asked)
        self.under_way += 1
        try:
            async with asyncio.timeout(options["timeout"].total):
                await asyncio.sleep(self.latency)  # an answer never comes within the same turn of the loop
        except TimeoutError as error:
            raise aiohttp.ServerTimeoutError from error
        finally:
            self.under_way -= 1
        answer = self.trouble(asked) if self.trouble is not None else None
        if isinstance(answer, BaseException):
            raise answer
        return _Response(answer or self._answer(asked, url.query))

    def _answer(self, asked: Asked, query: Mapping[str, str]) -> Answer:
        if asked.id is None:
            return self._page(query)
        job = self._jobs.get(asked.id) or self._latest_of(asked.id)
        return refusal(404, "not found") if job is None else (200, {}, job.record(self.elapsed))

    def _page(self, query: Mapping[str, str]) -> Answer:
        reference, offset = query.get("reference_id"), int(query["offset"])
        limit = min(int(query["limit"]), _PAGE)
        jobs = [job for job in self._jobs.values() if reference in {None, job.reference}]
        jobs.reverse()
        shown = b",".join(job.record(self.elapsed) for job in jobs[offset : offset + limit])
        pagination = json.dumps({"limit": limit, "offset": offset, "total": len(jobs)}).encode()
        return 200, {}, b'{"data":[%s],"pagination":%s}' % (shown, pagination)

    def _latest_of(self, reference: str) -> _Job | None:
        if self.family != "lipsync":
            return None
        return next((job for job in reversed(self._jobs.values()) if job.reference == reference), None)


def refusal(status: int, message: str = "no", **headers: str) -> Answer:
    """An answer that is an error; ``Retry_After`` stands for the header of that name."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, json.dumps({"error": message}).encode()


def requests_of(client: AsyncClient, family: FamilyName) -> Requests:
    """The requests of one family through a client of the test's own."""
    return client.lipsync.requests if family == "lipsync" else client.video_translate.requests


async def each(stream: AsyncIterable[T], see: Callable[[T], object]) -> None:
    """Show each item as it comes, up to the error that may end the stream."""
    async for item in stream:
        see(item)


async def outcomes_of(requests: Requests, call: str, ids: Any) -> list[Outcome[Any]]:
    """Make one of the three calls for many ids."""
    if call == "as_finished":
        return [outcome async for outcome in requests.as_finished(ids)]
    return list((await getattr(requests, call)(ids)).values())
