"""What the tests of the loader share: a service that lives in memory and counts what it is asked."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from chamelaion_async import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    InternalServerError,
    InvalidResponseError,
    LipsyncRequest,
    NotFoundError,
    Pace,
    PermissionDeniedError,
    PollPolicy,
    RateLimitError,
)
from chamelaion_async._connection import Connection, Scope
from chamelaion_async._pace import make_lanes
from chamelaion_async.models import Outcome, Pagination
from chamelaion_async.polling.batch import Batch
from chamelaion_async.polling.loader import Loader
from chamelaion_async.polling.reading import Answer, Reading
from chamelaion_async.polling.shape import Shape
from chamelaion_async.polling.state import make_terms
from chamelaion_async.polling.store import StatusStore
from chamelaion_async.polling.wait import wait_until_finished
from chamelaion_async.polling.watcher import Watcher

BEGINNING = datetime(2026, 4, 7, 10, tzinfo=UTC)
NEVER = float("inf")
STEADY = PollPolicy(jitter=0.0)
_KINDS = {401: AuthenticationError, 403: PermissionDeniedError, 404: NotFoundError, 429: RateLimitError}


def now() -> float:
    return asyncio.get_running_loop().time()


def refused_with(status: int, **details: Any) -> APIStatusError:
    """The error of an answer with this status."""
    kind = _KINDS.get(status, InternalServerError)
    words: dict[str, Any] = {
        "status": status,
        "message": "m",
        "headers": {},
        "body": None,
        "method": "GET",
        "path": "/x",
    }
    return kind(f"answered {status}", **words, **details)


def unreachable() -> APIConnectionError:
    return APIConnectionError("no answer", sent="maybe", method="GET", path="/x")


def garbage() -> InvalidResponseError:
    return InvalidResponseError("not JSON", method="GET", path="/x")


@attrs.define(kw_only=True)
class Record:
    """A job, as the service knows it. Times are the loop's."""

    id: str
    created: float
    appears: float = 0.0
    ends: float = NEVER
    reference: str | None = None
    is_listed: bool = True
    is_readable: bool = True
    is_readable_on_pages: bool = True

    def shown(self) -> LipsyncRequest:
        return LipsyncRequest(
            id=self.id,
            status="completed" if now() >= self.ends else "processing",
            created_at=BEGINNING + timedelta(seconds=self.created),
            reference_id=self.reference,
        )

    def shown_on_page(self) -> LipsyncRequest:
        if not self.is_readable_on_pages:
            raise ValueError("a record that is none")
        return self.shown()


@attrs.frozen(kw_only=True)
class Received:
    """A request that reached the service: of a job, or of a page."""

    at: float
    timeout: float
    id: str | None = None
    offset: int = 0
    filters: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def is_page(self) -> bool:
        return self.id is None


@attrs.define(kw_only=True, eq=False, repr=False)
class Service:
    """Jobs in memory, behind a lane as a client has one.

    Attributes:
        cap: Records that it puts on a page.
        says: What it says that its pages hold, if it lies.
        is_newest_first: The order of its lists.
        lag: Seconds until a new job appears in lists.
        latency: Seconds that an answer takes.
        rate: Requests a second that the client may send.
        at_once: Requests that may be under way at once.
        refuse: Gives the error that a request is answered with, or None.
        heed: Called with each request as it arrives.
        mend: Changes what it says of a page.
        ignores: Of ``offset`` and ``filters``, what it does not heed.
        store: What the loader shares its reads through.
        bears: Requests after which something must be wrong.
        lingers: Seconds that a request which is cancelled takes to end.
    """

    cap: int = 100
    says: int | None = None
    is_newest_first: bool = True
    lag: float = 0.0
    latency: float | Callable[[Received], float] = 0.0
    rate: float | None = None
    at_once: int = 100
    refuse: Callable[[Received], Exception | None] = lambda _: None
    heed: Callable[[Received], object] = lambda _: None
    mend: Callable[[Pagination], Pagination] = lambda pagination: pagination
    ignores: frozenset[str] = frozenset()
    store: StatusStore[LipsyncRequest] | None = None
    bears: int = 8000
    lingers: float = 0.0

    began: float = attrs.field(init=False, factory=now)
    jobs: list[Record] = attrs.field(init=False, factory=list)
    received: list[Received] = attrs.field(init=False, factory=list)
    under_way: int = attrs.field(init=False, default=0)
    most_under_way: int = attrs.field(init=False, default=0)
    connection: Connection = attrs.field(init=False, factory=Connection)
    loader: Loader[LipsyncRequest] = attrs.field(init=False)
    _lane: Any = attrs.field(init=False)
    _by_name: dict[str, Record] = attrs.field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self._lane = make_lanes(Pace(max_rate=self.rate, max_concurrency=self.at_once))["status"]
        self.loader = Loader(self, Shape(LipsyncRequest), random=lambda: 0.5, nudge_timeout=20.0, store=self.store)
        self.connection.at_close(self.loader.close)

    # What it holds

    def add(self, count: int = 1, *, age: float = 0.0, lasts: float = NEVER, **details: Any) -> list[str]:
        """Accept jobs that end ``lasts`` seconds from now, and return their ids, oldest first."""
        ids = []
        for _ in range(count):
            number = len(self.jobs)
            id = details.get("id", str(uuid.UUID(int=number + 1)))
            created = now() - age + number * 1e-6
            times = {"created": created, "appears": now() - age, "ends": now() + lasts}
            record = Record(**{"id": id, **times, **details})
            self.jobs.append(record)
            self._by_name[id] = record
            if record.reference is not None:
                self._by_name[record.reference] = record
            ids.append(id)
        return ids

    def job(self, id: str) -> Record:
        return self._by_name[id]

    # What is asked of it

    async def wait(
        self, id: str, *, timeout: float | None = 600.0, policy: PollPolicy = STEADY, **options: Any
    ) -> LipsyncRequest:
        """Wait as ``requests.wait_until_finished`` does."""
        watcher = Watcher(self.loader, id, self.connection.sleep)
        try:
            return await wait_until_finished(
                watcher.read,
                id,
                timeout=timeout,
                policy=policy,
                sleep=watcher.sleep,
                random=lambda: 0.5,
                **options,
            )
        finally:
            await watcher.aclose()

    def start(self, id: str, *, at: float = 0.0, **options: Any) -> asyncio.Task[LipsyncRequest]:
        """Begin a wait ``at`` seconds after the service began."""

        async def begin() -> LipsyncRequest:
            await asyncio.sleep(max(self.began + at - now(), 0.0))
            return await self.wait(id, **options)

        return asyncio.create_task(begin())

    async def wait_for(self, ids: Iterable[str], **options: Any) -> list[Any]:
        """Wait for each on its own, and return what became of them."""
        return await asyncio.gather(*(self.start(id, **options) for id in ids), return_exceptions=True)

    async def follow(
        self,
        ids: Iterable[str],
        *,
        timeout: float | None = None,
        policy: PollPolicy = STEADY,
        attempts: int | None = None,
    ) -> dict[str, Outcome[LipsyncRequest]]:
        """Follow all in one batch, and return what became of them."""
        terms = make_terms(timeout, policy, lambda: 0.5, attempts=attempts)
        batch: Batch[LipsyncRequest] = Batch(self.loader, terms, check=str)
        async with aclosing(batch.follow(ids)) as outcomes:
            return {outcome.id: outcome async for outcome in outcomes}

    # What it was asked

    @property
    def elapsed(self) -> float:
        return now() - self.began

    @property
    def gets(self) -> list[Received]:
        return [each for each in self.received if not each.is_page]

    @property
    def pages(self) -> list[Received]:
        return [each for each in self.received if each.is_page]

    @property
    def looks(self) -> list[float]:
        """When it was asked, in seconds since it began."""
        return [round(each.at - self.began, 6) for each in self.received]

    # How it answers

    async def read(
        self, choose: Callable[[], Awaitable[Reading[LipsyncRequest] | None]]
    ) -> Answer[LipsyncRequest] | None:
        """Take a reading through the lane, as ``Transport.send_in_turn`` does."""
        with Scope(self.connection):
            if not self._lane.try_acquire():
                await self._lane.acquire()
            try:
                reading = await choose()
                return None if reading is None else await self._exchange(reading)
            except RateLimitError as error:
                self._lane.throttled(1.0 if error.retry_after is None else error.retry_after)
                raise
            finally:
                self._lane.release()

    async def _exchange(self, reading: Reading[LipsyncRequest]) -> Answer[LipsyncRequest]:
        if reading.view is None:
            (entry,) = reading.entries
            received = Received(at=now(), timeout=reading.timeout, id=entry.id)
        else:
            filters = reading.view.filters
            received = Received(at=now(), timeout=reading.timeout, offset=reading.offset, filters=filters)
        self.received.append(received)
        if len(self.received) > self.bears:
            raise AssertionError("asked far too often")
        self.heed(received)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            async with asyncio.timeout(reading.timeout):
                await asyncio.sleep(self.latency(received) if callable(self.latency) else self.latency)
        except TimeoutError as error:
            raise APITimeoutError("too slow", sent="maybe", method="GET", path="/x") from error
        except asyncio.CancelledError:
            await asyncio.sleep(self.lingers)
            raise
        finally:
            self.under_way -= 1
        refusal = self.refuse(received)
        if refusal is not None:
            raise refusal
        self._lane.answered()
        return self._request(received.id) if received.id is not None else self._page(received)

    def _request(self, id: str) -> Answer[LipsyncRequest]:
        record = self._by_name.get(id)
        if record is None:
            raise refused_with(404)
        if not record.is_readable:
            raise garbage()
        return self._answer([record], Record.shown, None)

    def _page(self, received: Received) -> Answer[LipsyncRequest]:
        filters = {} if "filters" in self.ignores else received.filters
        offset = 0 if "offset" in self.ignores else received.offset
        reference = filters.get("reference_id")
        time = now()
        listed = [
            job
            for job in self.jobs
            if job.is_listed and job.appears + self.lag <= time and reference in (None, job.reference)
        ]
        if self.is_newest_first:
            listed.reverse()
        limit = min(self.cap, 100) if self.says is None else self.says
        says = Pagination(limit=limit, offset=received.offset, total=len(listed))
        return self._answer(listed[offset : offset + self.cap], Record.shown_on_page, self.mend(says))

    def _answer(
        self, records: list[Record], make: Callable[[Record], LipsyncRequest], pagination: Pagination | None
    ) -> Answer[LipsyncRequest]:
        is_newest_first = None
        if pagination is not None and len(records) > 1:
            is_newest_first = records[0].created > records[-1].created
        return Answer(
            records=[(record.id, record) for record in records],
            make=make,
            pagination=pagination,
            is_newest_first=is_newest_first,
            server_time=BEGINNING + timedelta(seconds=now()),
        )


@pytest.fixture
def serve() -> type[Service]:
    """Make a service; called in the running loop, with what is special about it."""
    return Service


@pytest.fixture
def refused() -> Callable[..., APIStatusError]:
    """Make the error of an answer with a status."""
    return refused_with


@pytest.fixture
def trouble() -> Mapping[str, Callable[[], Exception]]:
    """Make what a call that is in trouble raises, by the name of the trouble."""
    return {
        "503": lambda: refused_with(503),
        "403": lambda: refused_with(403),
        "404": lambda: refused_with(404),
        "garbage": garbage,
        "unreachable": unreachable,
        "timeout": lambda: APITimeoutError("too slow", sent="maybe", method="GET", path="/x"),
    }
