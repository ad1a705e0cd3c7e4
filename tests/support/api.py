"""The API in memory, behind aiohttp's session: no sockets, and the loop's own time: an hour takes milliseconds.

It answers what the API document says, without ``Date``: to the client a job is as old as the time it has seen of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, Literal, Self, TypeVar
from uuid import UUID, uuid5

import aiohttp
import attrs

from chamelaion_async import AsyncClient, Outcome
from chamelaion_async._http.paging import PAGE_SIZE
from chamelaion_async.resources.requests import RequestsResource

T = TypeVar("T")
FamilyName = Literal["lipsync", "video_translate"]
Requests = RequestsResource[Any]
Answer = tuple[int, Mapping[str, str], bytes]
Trouble = Callable[["Asked"], Answer | BaseException | None]

EPOCH: Final = datetime(2026, 4, 7, 10, tzinfo=UTC)
PATHS: Final[Mapping[str, str]] = {
    "lipsync": "/api/v1/lipsync/requests",
    "video_translate": "/api/v1/video-translate/requests",
}
_OPTIONS: Final = {"disable_background_audio": False, "disable_lip_sync": False, "formality": False, "config": {}}
FAMILY_FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "lipsync": {},
    "video_translate": {"target_languages": ["de"], "model": "expressive", **_OPTIONS},
}
"""What a record of each family has beyond the common fields."""

_RESULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "completed": {"output_url": "https://cdn.example.com/out.mp4"},
    "failed": {"error_message": "audio is too short"},
}
_NAMESPACE: Final = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")


class _Content:
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def readany(self) -> bytes:
        body, self._body = self._body, b""
        return body

    def at_eof(self) -> bool:
        return not self._body


class Response:
    """As much of an answer of aiohttp's as the transport reads."""

    connection = None  # given back with the end of the body

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self.content = status, headers, _Content(body)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


@contextmanager
def answering(request: Callable[..., Coroutine[Any, Any, Response]]) -> Iterator[None]:
    """Let a coroutine function answer in place of ``aiohttp.ClientSession._request``, without the session."""

    async def answer(_: aiohttp.ClientSession, method: str, url: Any, **options: Any) -> Response:
        return await request(method, url, **options)

    original = aiohttp.ClientSession._request
    aiohttp.ClientSession._request = answer  # type: ignore[assignment,method-assign] # there is no public way
    try:
        yield
    finally:
        aiohttp.ClientSession._request = original  # type: ignore[method-assign] # as above


def page_body(records: Iterable[bytes], *, limit: int, offset: int, total: int) -> bytes:
    """Return the body of a list page of records that are JSON already."""
    pagination = b'{"limit":%d,"offset":%d,"total":%d}' % (limit, offset, total)
    return b'{"data":[%s],"pagination":%s}' % (b",".join(records), pagination)


def now() -> float:
    return asyncio.get_running_loop().time()


def are_audits(gets: list[float]) -> bool:
    """Whether GETs are as rare as those that compare a page with its jobs: at most one each five seconds."""
    return all(later - earlier >= 5 for earlier, later in pairwise(gets))


def unfinished_timers() -> list[asyncio.TimerHandle]:
    """The timers that the loop has yet to call, without the watchdog of the test."""
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
    """One request as it arrived: seconds since the API was made, and an id or a page."""

    at: float
    id: str | None
    offset: int | None


@attrs.define(kw_only=True)
class _Job:
    id: str
    created_at: datetime
    statuses: Mapping[float, str]
    reference: str | None
    family: str
    _encoded: dict[str, bytes] = attrs.field(init=False, factory=dict)

    def record(self, elapsed: float) -> bytes:
        status = next(status for since, status in reversed([*self.statuses.items()]) if since <= elapsed)
        if status not in self._encoded:
            created_at = self.created_at.isoformat()
            record = {"id": self.id, "status": status, "created_at": created_at, "reference_id": self.reference}
            self._encoded[status] = json.dumps(
                {**record, **_RESULTS.get(status, {}), **FAMILY_FIELDS[self.family]}
            ).encode()
        return self._encoded[status]


@attrs.define
class MemoryApi:
    """Jobs of one family whose statuses follow the loop's time.

    Attributes:
        family: Which one.
        latency: Seconds that an answer takes.
        trouble: Answers or fails in place of the API, if it returns something.
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
        statuses = dict(statuses or {float("-inf"): "processing"}) | ({} if finishes is None else {finishes: as_})
        created_at = EPOCH + timedelta(milliseconds=len(self._jobs))
        job = _Job(id=uuid(name), created_at=created_at, statuses=statuses, reference=reference, family=self.family)
        self._jobs[job.id] = job
        return job.id

    def add_many(self, count: int, *, finishes: float | None = None) -> list[str]:
        return [self.add(f"many-{number}", finishes=finishes) for number in range(count)]

    def finish(self, ids: Sequence[str]) -> None:
        """End some jobs now."""
        for id in ids:
            self._jobs[id].statuses = {float("-inf"): "completed"}

    @property
    def elapsed(self) -> float:
        return round(now() - self.began, 6)

    @property
    def polls(self) -> list[float]:
        """When requests arrived, in seconds since the API was made."""
        return [asked.at for asked in self.asked]

    @property
    def pages(self) -> list[float]:
        """When requests for pages arrived."""
        return [asked.at for asked in self.asked if asked.id is None]

    @property
    def gets(self) -> list[float]:
        """When requests for single jobs arrived."""
        return [asked.at for asked in self.asked if asked.id is not None]

    async def until(self, elapsed: float) -> None:
        """Sleep until so many seconds after the API was made."""
        await asyncio.sleep(self.began + elapsed - now())

    def meanwhile(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Let something run beside the test."""
        return asyncio.get_running_loop().create_task(coroutine)

    async def request(self, method: str, url: Any, **options: Any) -> Response:
        """Answer in place of ``aiohttp.ClientSession._request``; see ``answering``."""
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
        return Response(*(answer or self._answer(asked, url.query)))

    def _answer(self, asked: Asked, query: Mapping[str, str]) -> Answer:
        if asked.id is None:
            return self._page(query)
        job = self._jobs.get(asked.id) or self._latest_of(asked.id)
        return refusal(404, "not found") if job is None else (200, {}, job.record(self.elapsed))

    def _page(self, query: Mapping[str, str]) -> Answer:
        reference, offset, limit = query.get("reference_id"), int(query["offset"]), int(query["limit"])
        assert limit <= PAGE_SIZE
        jobs = [job for job in reversed(self._jobs.values()) if reference in {None, job.reference}]
        shown = [job.record(self.elapsed) for job in jobs[offset : offset + limit]]
        return 200, {}, page_body(shown, limit=limit, offset=offset, total=len(jobs))

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
