"""The API as a world describes it. Its answers depend on the world, the request and the time, and on nothing else.

Rate limits are the exception, and what becomes of POSTs, which go by their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from email.utils import format_datetime
from functools import lru_cache
from json import dumps
from string import ascii_lowercase
from typing import Any, Final
from urllib.parse import parse_qs, unquote

import aiohttp
import attrs

from tests.support.api import EPOCH, FAMILY_FIELDS, PATHS, Response, page_body

from .loop import SimulatedLoop
from .trace import Received, Reply, Started
from .world import ACCOUNT, Job, Post, Status, World

_HOUR: Final = timedelta(hours=1)
_DATES: Final[Mapping[str, timedelta]] = {"true": timedelta(0), "behind": -_HOUR, "ahead": _HOUR}
_GARBAGE: Final = b"<html>Please wait</html>"
_NEVER: Final = 1e9  # seconds

Options = Mapping[str, Any]


@lru_cache(maxsize=50_000)
def _record(job: Job, status: Status, family: str, variant: str = "") -> bytes:
    record: dict[str, Any] = {
        "id": "" if variant == "blank" else job.id,
        "status": status,
        "created_at": _stamp(job.created),
        "reference_id": job.reference,
        "started_at": None if status == "queued" else _stamp(job.started),
        "finished_at": _stamp(job.ended) if status in {"completed", "failed"} else None,
        "error_message": "no face" if status == "failed" else None,
        **FAMILY_FIELDS[family],
    }
    if family == "lipsync":
        record["output_url"] = f"https://files.example.com/{job.id}.mp4" if status == "completed" else None
    if variant == "malformed":
        del record["created_at"]
    return dumps(record).encode()


def _stamp(at: float) -> str:
    return (EPOCH + timedelta(seconds=at)).isoformat()


@lru_cache(maxsize=10_000)
def _headers(seconds: int, date: str) -> Mapping[str, str]:
    if date == "none":
        return {}
    return {"Date": format_datetime(EPOCH + timedelta(seconds=seconds) + _DATES[date], usegmt=True)}


def _error(text: str) -> bytes:
    return b'{"error":"%s"}' % text.encode()


@attrs.define(kw_only=True)
class SimulatedApi:
    """Answers one client, or several that share its limits.

    Args:
        world: What there is and what goes wrong.
        loop: Whose time it goes by.
        is_awaited: Whether a call waits for a job, or for any if it is asked about ``ACCOUNT``.
        only_gets: Whether pages are empty, as they are for a wait that is to do without them.
    """

    world: World
    loop: SimulatedLoop
    is_awaited: Callable[[int], bool] = lambda _: True
    only_gets: bool = False
    received: list[Received] = attrs.field(init=False, factory=list)
    started: list[Started] = attrs.field(init=False, factory=list)
    under_way: int = attrs.field(init=False, default=0)
    _jobs: list[Job] = attrs.field(init=False)
    _numbers: dict[str, int] = attrs.field(init=False, factory=dict)
    _window: int = attrs.field(init=False, default=-1)
    _let_through: int = attrs.field(init=False, default=0)
    _posts: int = attrs.field(init=False, default=0)
    _order: list[Job] = attrs.field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        self._jobs = [*self.world.jobs]
        for job in self._jobs:
            self._index(job)
        self._sort()

    def _index(self, job: Job) -> None:
        self._numbers[job.id] = job.number
        if job.reference is not None and self.world.settings.family == "lipsync":
            self._numbers[job.reference] = job.number  # the newest has it

    def _sort(self) -> None:
        order = self.world.listing.order
        if order == "mixed":
            self._order = sorted(self._jobs, key=lambda job: job.id)
        else:
            self._order = sorted(self._jobs, key=lambda job: (job.created, job.number), reverse=order == "newest")

    async def request(self, method: str, url: Any, **options: Any) -> Response:
        """Answer in place of ``aiohttp.ClientSession._request``."""
        if method == "POST":
            return await self._post(options)
        at, settings, path = self.loop.elapsed, self.world.settings, unquote(url.raw_path)
        base, client = PATHS[settings.family], int(url.host.partition(".")[0].lstrip(ascii_lowercase))
        if path == base:
            received = Received(at=at, route="list", client=client, is_awaited=self.is_awaited(ACCOUNT))
            delay = settings.page_seconds
        else:
            id = path[len(base) + 1 :]
            number = self._numbers.get(id, -2)
            is_awaited = self.is_awaited(number)
            received = Received(at=at, route="get", target=number, id=id, client=client, is_awaited=is_awaited)
            delay = settings.get_seconds
        self.received.append(received)
        limit = self.world.limit
        if limit is not None and not self._lets_through(at):
            return await self._send(received, delay, options, 429, _error("slow down"), "refused", limit.retry_after)
        for fault in self.world.faults:
            if fault.begins <= at < fault.ends and fault.concerns(received.route, received.target):
                if fault.kind == "slow":
                    delay += fault.value
                elif not (self.only_gets and received.route == "list"):
                    return await self._fail(received, delay, options, fault.kind, fault.value)
        if received.route == "list":
            return await self._page(received, delay, options, url.raw_query_string)
        return await self._get(received, delay, options)

    def _lets_through(self, at: float) -> bool:
        limit = self.world.limit
        assert limit is not None
        window = int(at / limit.seconds)
        if window != self._window:
            self._window, self._let_through = window, 0
        self._let_through += 1
        return self._let_through <= limit.requests

    async def _fail(
        self, received: Received, delay: float, options: Options, kind: Any, value: float = 0.0
    ) -> Response:
        status, body, retry_after = 200, _GARBAGE, -1.0
        if kind == "hang":
            delay = _NEVER
        elif kind == "status":
            status, body = int(value), _error("broken")
        elif kind == "refused":
            status, body, retry_after = 429, _error("slow down"), value
        elif kind == "gateway":
            status, body = 404, b"no such page"
        elif kind == "missing":
            status, body = 404, _error("not found")
        elif kind in {"malformed", "blank"} and received.route != "list":
            job = self._jobs[max(received.target, 0)]
            body = _record(job, job.status(received.at), self.world.settings.family, kind)
        response = await self._send(received, delay, options, status, body, kind, retry_after)
        if kind == "reset":
            raise aiohttp.ServerDisconnectedError
        return response

    async def _send(
        self,
        received: Received,
        delay: float,
        options: Options,
        status: int,
        body: bytes,
        reply: Reply,
        retry_after: float = -1.0,
    ) -> Response:
        """Answer after a time, or let the client's own time run out."""
        total = options["timeout"].total
        received.timeout, received.delay = total, delay
        self.under_way += 1
        try:
            if total is not None and delay >= total:
                await self._run_out(received, total)
            await asyncio.sleep(delay)
        finally:
            self.under_way -= 1
        received.reply, received.answered = reply, self.loop.elapsed
        headers = _headers(int(received.answered), self.world.settings.date)
        if retry_after >= 0:
            headers = {**headers, "Retry-After": f"{retry_after:g}"}
        return Response(status, headers, body)

    async def _run_out(self, received: Received, total: float) -> None:
        """Let the client's time run out as aiohttp does: by a cancellation of the task that is taken back."""
        try:
            async with asyncio.timeout(total):
                await self.loop.create_future()
        except TimeoutError as error:
            received.reply, received.answered = "hang", self.loop.elapsed
            raise aiohttp.ServerTimeoutError from error

    async def _get(self, received: Received, delay: float, options: Options) -> Response:
        number = received.target
        if number < 0 or self._jobs[number].created > received.at:
            return await self._fail(received, delay, options, "missing")
        job = self._jobs[number]
        status = job.status(received.at)
        received.shown = ((number, status),)
        return await self._send(
            received, delay, options, 200, _record(job, status, self.world.settings.family), "good"
        )

    async def _page(self, received: Received, delay: float, options: Options, query: str) -> Response:
        listing, family = self.world.listing, self.world.settings.family
        asked = parse_qs(query)
        offset, limit = int(asked.get("offset", ["0"])[0]), min(int(asked.get("limit", ["20"])[0]), listing.cap)
        reference = asked.get("reference_id", [None])[0]
        as_of = min(received.at - listing.lag, listing.stands_still_at)
        spoilt = self._spoilt(received.at)
        jobs = [
            job
            for job in ([] if self.only_gets else self._order)
            if job.is_listed
            and job.created <= as_of
            and self._passes(job, reference)
            and spoilt.get(job.number) != "missing"
        ]
        begin = offset - 1 if listing.has_doubles and offset else offset
        page = [(job, job.status(as_of)) for job in jobs[begin : begin + limit]]
        records = [_record(job, status, family, spoilt.get(job.number, "")) for job, status in page]
        total = {"true": len(jobs), "none": 0, "huge": len(jobs) + 1000}[listing.total]
        body = page_body(records, limit=limit, offset=offset, total=total)
        received.shown = tuple([(job.number, status) for job, status in page if job.number not in spoilt])
        return await self._send(received, delay, options, 200, body, "good")

    def _spoilt(self, at: float) -> Mapping[int, str]:
        """Return the jobs that pages show wrongly or not at all, each with how."""
        kinds = {"malformed": 0, "blank": 1, "missing": 2}  # the last one of a job counts
        found = [
            (kinds[fault.kind], fault.target, fault.kind)
            for fault in self.world.faults
            if fault.kind in kinds and fault.route in {"list", "all"} and fault.target != ACCOUNT
            if fault.begins <= at < fault.ends
        ]
        return {target: kind for _, target, kind in sorted(found)}

    def _passes(self, job: Job, reference: str | None) -> bool:
        how = self.world.listing.filter
        if reference is None or how == "ignored":
            return True
        own = job.reference or ""
        if how == "prefix":
            return own.startswith(reference)
        return own.lower() == reference.lower() if how == "caseless" else own == reference

    async def _post(self, options: Options) -> Response:
        at, posts = self.loop.elapsed, self.world.posts
        post = posts[self._posts] if self._posts < len(posts) else Post()
        self._posts += 1
        body = options["json"]
        owner = int(body["inputs"][0]["url"].rpartition("/")[2].partition(".")[0])
        received = Received(at=at, route="post", target=owner)
        self.received.append(received)
        id = self._start(owner, body.get("reference_id"), at + post.after) if post.is_accepted else ""
        delay, answer = self.world.settings.get_seconds, post.answer
        if answer == "ok":
            accepted = dumps({"request_id": id, "status": "success"}).encode()
            return await self._send(received, delay, options, 200, accepted, "good")
        if answer.isdecimal():
            return await self._fail(received, delay, options, "status", float(answer))
        return await self._fail(received, delay, options, answer)

    def _start(self, owner: int, reference: str | None, at: float) -> str:
        job = Job(number=len(self._jobs), reference=reference, created=at, started=at, ended=at + 1e6)
        self._jobs.append(job)
        self._index(job)
        self._sort()
        self.started.append(Started(id=job.id, owner=owner, at=at))
        return job.id
