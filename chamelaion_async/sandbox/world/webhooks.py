"""Webhooks of video translation: posted when the job ends, to loopback addresses only.

What the real service posts is not documented. Assumed: the request object as a GET would show it, once,
without a signature and without a retry. An address that is not loopback is never called, because a test must not
send requests to other machines; the delivery is recorded as skipped.
"""

import asyncio
import heapq
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from attrs import define, field, frozen

from .clock import Clock, ManualClock, WallClock
from .jobs import Job

_TIMEOUT = aiohttp.ClientTimeout(total=5.0)
_CHECK_SECONDS = 0.05


@frozen(kw_only=True)
class Delivery:
    """One webhook, delivered or not.

    Args:
        job_id: of the job that ended.
        url: the job's webhook_url.
        payload: the JSON that was posted.
        at: seconds since the epoch.
        status: of the receiver's answer, None if there was none.
        error: why there was none.
    """

    job_id: str
    url: str
    payload: dict[str, Any]
    at: float
    status: int | None = None
    error: str | None = None


def is_loopback(url: str) -> bool:
    """Return whether a URL's host is a loopback address or localhost."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@define(kw_only=True, eq=False)
class WebhookSender:
    """Posts webhooks when their jobs end: one task waits for the next end, and each post is a task of its own.

    Args:
        clock: the sandbox's; it decides when a job has ended.
        view: returns the JSON of a job at a time.
        deliveries: the webhooks that were delivered, failed or skipped.
    """

    clock: Clock
    view: Callable[[Job, float], dict[str, Any]]
    deliveries: list[Delivery] = field(init=False, factory=list)
    _due: list[tuple[float, int, Job]] = field(init=False, factory=list)
    _sequence: Iterator[int] = field(init=False, factory=count)
    _wake: asyncio.Event = field(init=False, factory=asyncio.Event)
    _session: aiohttp.ClientSession | None = field(init=False, default=None)
    _timer: asyncio.Task[None] | None = field(init=False, default=None)
    _posts: set[asyncio.Task[None]] = field(init=False, factory=set)

    def __attrs_post_init__(self) -> None:
        if isinstance(self.clock, (ManualClock, WallClock)):
            self.clock.subscribe(self._check)

    def start(self) -> None:
        """Begin to deliver, in the running loop."""
        self._wake = asyncio.Event()
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        self._timer = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Cancel the posts that are under way. What is not due yet is delivered after another start."""
        timer, self._timer = self._timer, None
        session, self._session = self._session, None
        tasks = [*self._posts, *([timer] if timer else ())]
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            if session is not None:
                await session.close()

    def schedule(self, job: Job) -> None:
        """Report a job's end if it has a webhook_url."""
        if job.webhook_url is not None:
            heapq.heappush(self._due, (job.finished_at, next(self._sequence), job))
            self._check()

    def reschedule(self, job: Job) -> None:
        """Report the end of a job at its new time, after a start or an end by hand."""
        self._due = [entry for entry in self._due if entry[2] is not job]
        heapq.heapify(self._due)
        self.schedule(job)

    async def settle(self) -> None:
        """Wait until every webhook that is due has been delivered, has failed, or was skipped."""
        self._send_due()
        while self._posts:
            await asyncio.gather(*self._posts, return_exceptions=True)

    def _check(self) -> None:
        self._wake.set()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            self._send_due()
            try:
                async with asyncio.timeout(self._until_next()):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _until_next(self) -> float | None:
        # A manual clock calls after each advance. How fast any other clock but the machine's runs is not known.
        if not self._due or isinstance(self.clock, ManualClock):
            return None
        if isinstance(self.clock, WallClock):
            return max(0.001, self._due[0][0] - self.clock.time())
        return _CHECK_SECONDS

    def _send_due(self) -> None:
        now = self.clock.time()
        while self._session is not None and self._due and self._due[0][0] <= now:
            job = heapq.heappop(self._due)[2]
            task = asyncio.create_task(self._post(self._session, job, now))
            self._posts.add(task)
            task.add_done_callback(self._posts.discard)

    async def _post(self, session: aiohttp.ClientSession, job: Job, now: float) -> None:
        url = job.webhook_url or ""
        payload = self.view(job, now)
        status = error = None
        if not is_loopback(url):
            error = "not a loopback address"
        else:
            try:
                async with session.post(url, json=payload, allow_redirects=False) as response:
                    status = response.status
            except (aiohttp.ClientError, TimeoutError, OSError) as failure:
                error = f"{type(failure).__name__}: {failure}"
        self.deliveries.append(Delivery(job_id=job.id, url=url, payload=payload, at=now, status=status, error=error))
