"""The API in memory, behind a lane as a client has one: a ``Source`` that counts what it is asked."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any

import attrs

from chamelaion_async import APIStatusError, LipsyncRequest, Pace, PollPolicy, RateLimitError
from chamelaion_async._http.lanes import make_lanes
from chamelaion_async._http.lifecycle import CancelScope, Lifecycle
from chamelaion_async._http.paging import PAGE_SIZE
from chamelaion_async.loading.entries import Read
from chamelaion_async.loading.loader import Loader
from chamelaion_async.loading.reads import Answer, SendRead
from chamelaion_async.models import Outcome, Pagination
from chamelaion_async.polling.batch import Batch
from chamelaion_async.polling.iteration import BatchIterator
from chamelaion_async.polling.plan import make_plan
from chamelaion_async.polling.state import PollState
from chamelaion_async.polling.subscription import WaitSubscription
from chamelaion_async.polling.wait import poll_until_finished

from .api import EPOCH, now
from .errors import status_error, timed_out, unreadable

NEVER = float("inf")
STEADY = PollPolicy(jitter=0.0)
FIXED = PollPolicy(min_interval=1.0, max_interval=1.0, jitter=0.0)


def outcomes_of(
    batch: Batch[LipsyncRequest], ids: Iterable[str]
) -> BatchIterator[LipsyncRequest, Outcome[LipsyncRequest]]:
    """Iterate over the outcomes of a batch as they are."""
    return BatchIterator(batch, ids, show=lambda outcome: outcome)


@attrs.define(kw_only=True)
class Record:
    """A job, as the service knows it. Times are the loop's.

    Attributes:
        page_lag: Seconds by which pages show an older state.
        page_shows_output: Whether a page shows the output as well.
    """

    id: str
    created: float
    appears: float = 0.0
    ends: float = NEVER
    reference: str | None = None
    is_listed: bool = True
    is_readable: bool = True
    is_readable_on_pages: bool = True
    page_lag: float = 0.0
    page_shows_output: bool = True

    def shown(self) -> LipsyncRequest:
        return self._as_of(now())

    def shown_on_page(self) -> LipsyncRequest:
        if not self.is_readable_on_pages:
            raise ValueError("a record that is none")
        shown = self._as_of(now() - self.page_lag)
        return shown if self.page_shows_output else attrs.evolve(shown, output_url=None)

    def _as_of(self, time: float) -> LipsyncRequest:
        has_ended = time >= self.ends
        return LipsyncRequest(
            id=self.id,
            status="completed" if has_ended else "processing",
            created_at=EPOCH + timedelta(seconds=self.created),
            reference_id=self.reference,
            output_url=f"https://files.example.com/{self.id}.mp4" if has_ended else None,
        )


@attrs.frozen(kw_only=True)
class Received:
    """A request that reached the service: of a job, or of a page."""

    at: float
    timeout: float
    id: str | None = None
    offset: int = 0

    @property
    def is_page(self) -> bool:
        return self.id is None


@attrs.define(kw_only=True, eq=False, repr=False)
class MemorySource:
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
        on_request: Called with each request as it arrives.
        alter: Changes what it says of a page.
        ignores_offset: Whether each page begins at the start of the list.
        bears: Requests after which something must be wrong.
        lingers: Seconds that a request which is cancelled takes to end.
    """

    cap: int = PAGE_SIZE
    says: int | None = None
    is_newest_first: bool = True
    lag: float = 0.0
    latency: float | Callable[[Received], float] = 0.0
    rate: float | None = None
    at_once: int = 100
    refuse: Callable[[Received], Exception | None] = lambda _: None
    on_request: Callable[[Received], object] = lambda _: None
    alter: Callable[[Pagination], Pagination] = lambda pagination: pagination
    ignores_offset: bool = False
    bears: int = 8000
    lingers: float = 0.0

    began: float = attrs.field(init=False, factory=now)
    jobs: list[Record] = attrs.field(init=False, factory=list)
    received: list[Received] = attrs.field(init=False, factory=list)
    under_way: int = attrs.field(init=False, default=0)
    most_under_way: int = attrs.field(init=False, default=0)
    lifecycle: Lifecycle = attrs.field(init=False, factory=Lifecycle)
    loader: Loader[LipsyncRequest] = attrs.field(init=False)
    _lane: Any = attrs.field(init=False)
    _by_name: dict[str, Record] = attrs.field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self._lane = make_lanes(Pace(max_rate=self.rate, max_concurrency=self.at_once))["status"]
        self.loader = Loader(self, random=lambda: 0.5, read_timeout=20.0)
        self.lifecycle.at_close(self.loader.close)

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

    async def wait(
        self, id: str, *, timeout: float | None = 600.0, policy: PollPolicy = STEADY, **options: Any
    ) -> LipsyncRequest:
        """Wait as ``requests.wait_until_finished`` does."""
        plan = make_plan(timeout, policy, lambda: 0.5, started=now())
        state: PollState[LipsyncRequest] = PollState(id=id, plan=plan)
        subscription = WaitSubscription(self.loader, state, self.lifecycle.sleep)
        try:
            return await poll_until_finished(state, subscription, **options)
        finally:
            await subscription.aclose()

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
        batch = self.batch(timeout=timeout, policy=policy, attempts=attempts)
        async with aclosing(outcomes_of(batch, ids)) as outcomes:
            return {outcome.id: outcome async for outcome in outcomes}

    def batch(
        self,
        *,
        timeout: float | None = None,
        policy: PollPolicy = STEADY,
        attempts: int | None = None,
        every_change: bool = False,
    ) -> Batch[LipsyncRequest]:
        plan = make_plan(timeout, policy, lambda: 0.5, attempts=attempts)
        return Batch(self.loader, plan, check=str, every_change=every_change)

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
    def polls(self) -> list[float]:
        """When it was asked, in seconds since it began."""
        return [round(each.at - self.began, 6) for each in self.received]

    @property
    def most_at_once(self) -> int:
        return self.at_once

    @property
    def clients(self) -> int:
        return 1

    @property
    def is_throttled(self) -> bool:
        return bool(self._lane.is_throttled)

    def was_refused(self, read: Read[LipsyncRequest], error: RateLimitError) -> None:
        self._lane.throttled(error.retry_after, read.began)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[SendRead[LipsyncRequest]]:
        """Wait for the lane, as ``StatusTurn`` does."""
        with CancelScope(self.lifecycle):
            if not self._lane.try_acquire():
                await self._lane.acquire()
            turn = _Turn(self)
            try:
                yield turn.send
            finally:
                if not turn.was_used:
                    self._lane.release()

    async def exchange(self, read: Read[LipsyncRequest]) -> Answer[LipsyncRequest]:
        """Make a read in the slot of the lane, as ``Transport.exchange_in`` does."""
        sent, path = now(), None if read.is_page else read.id
        try:
            answer = await self._answer_to(read)
        except RateLimitError as error:
            if not read.is_page:
                self._lane.throttled(error.retry_after, sent, path)
            raise
        except APIStatusError as error:
            if error.status < 500:
                self._lane.answered(sent, path)
            raise
        else:
            self._lane.answered(sent, path)
            return answer
        finally:
            self._lane.release()

    async def _answer_to(self, read: Read[LipsyncRequest]) -> Answer[LipsyncRequest]:
        id = None if read.is_page else read.id
        received = Received(at=now(), timeout=read.timeout, id=id, offset=read.offset)
        self.received.append(received)
        if len(self.received) > self.bears:
            raise AssertionError("asked far too often")
        self.on_request(received)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            async with asyncio.timeout(read.timeout):
                await asyncio.sleep(self.latency(received) if callable(self.latency) else self.latency)
        except TimeoutError as error:
            raise timed_out() from error
        except asyncio.CancelledError:
            await asyncio.sleep(self.lingers)
            raise
        finally:
            self.under_way -= 1
        refusal = self.refuse(received)
        if refusal is not None:
            raise refusal
        return self._request(id) if id is not None else self._page(received)

    def _request(self, id: str) -> Answer[LipsyncRequest]:
        record = self._by_name.get(id)
        if record is None:
            raise status_error(404)
        if not record.is_readable:
            raise unreadable()
        return self._answer([record], Record.shown, None)

    def _page(self, received: Received) -> Answer[LipsyncRequest]:
        offset = 0 if self.ignores_offset else received.offset
        time = now()
        listed = [job for job in self.jobs if job.is_listed and job.appears + self.lag <= time]
        if self.is_newest_first:
            listed.reverse()
        limit = min(self.cap, PAGE_SIZE)
        says = Pagination(limit=limit if self.says is None else self.says, offset=received.offset, total=len(listed))
        return self._answer(listed[offset : offset + limit], Record.shown_on_page, self.alter(says))

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
            server_time=EPOCH + timedelta(seconds=now()),
        )


@attrs.define(eq=False)
class _Turn:
    """The permission of the lane to send one read."""

    source: MemorySource
    was_used: bool = False

    async def send(self, read: Read[LipsyncRequest]) -> Answer[LipsyncRequest]:
        self.was_used = True
        return await self.source.exchange(read)
