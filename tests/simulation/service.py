"""The service in memory. What it answers depends on the world, the request and the time, and on nothing else.

Rate limits are the exception, and what becomes of POSTs, which go by their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from json import dumps
from typing import Any, Final, Self
from urllib.parse import parse_qs, unquote

import aiohttp
import attrs

from .loop import SimulatedLoop
from .trace import Ask, Started
from .world import ACCOUNT, Job, Post, Stage, World

__all__ = ["EPOCH", "PATHS", "Service"]

PATHS: Final[Mapping[str, str]] = {
    "lipsync": "/api/v1/lipsync/requests",
    "video_translate": "/api/v1/video-translate/requests",
}
EPOCH: Final = datetime(2026, 4, 7, 10, tzinfo=UTC)
_HOUR: Final = timedelta(hours=1)
_DATES: Final[Mapping[str, timedelta]] = {"true": timedelta(0), "behind": -_HOUR, "ahead": _HOUR}
_EXTRAS: Final[Mapping[str, Mapping[str, Any]]] = {
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
_GARBAGE: Final = b"<html>Please wait</html>"
_CAP: Final = 100


class _Content:
    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def readany(self) -> bytes:
        body, self._body = self._body, b""
        return body

    def at_eof(self) -> bool:
        return not self._body


class _Response:
    """As much of an answer of aiohttp's as the client reads."""

    __slots__ = ("content", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self.content = status, headers, _Content(body)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


@lru_cache(maxsize=50_000)
def _record(job: Job, stage: Stage, family: str, variant: str = "") -> bytes:
    record: dict[str, Any] = {
        "id": "" if variant == "blank" else job.id,
        "status": stage,
        "created_at": _stamp(job.created),
        "reference_id": job.reference,
        "started_at": None if stage == "queued" else _stamp(job.started),
        "finished_at": _stamp(job.ended) if stage in {"completed", "failed"} else None,
        "error_message": "no face" if stage == "failed" else None,
        **_EXTRAS[family],
    }
    if family == "lipsync":
        record["output_url"] = f"https://files.example.com/{job.id}.mp4" if stage == "completed" else None
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
class Service:
    """Answers for one client, or for several that share its limits.

    Args:
        world: What there is and what goes wrong.
        loop: Whose time it goes by.
        is_wanted: Whether anyone waits for a job, or for any if it is asked about ``ACCOUNT``.
        only_gets: Whether pages are empty, as they are for a wait that is to do without them.
    """

    world: World
    loop: SimulatedLoop
    is_wanted: Callable[[int], bool] = lambda _: True
    only_gets: bool = False
    asks: list[Ask] = attrs.field(init=False, factory=list)
    started: list[Started] = attrs.field(init=False, factory=list)
    under_way: int = attrs.field(init=False, default=0)
    _jobs: list[Job] = attrs.field(init=False)
    _numbers: dict[str, int] = attrs.field(init=False, factory=dict)
    _window: int = attrs.field(init=False, default=-1)
    _passed: int = attrs.field(init=False, default=0)
    _posts: int = attrs.field(init=False, default=0)
    _order: list[Job] = attrs.field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        self._jobs = [*self.world.jobs]
        for job in self._jobs:
            self._index(job)
        self._sort()

    def _index(self, job: Job) -> None:
        self._numbers[job.id] = job.number
        if job.reference is not None and self.world.habits.family == "lipsync":
            self._numbers[job.reference] = job.number  # the newest has it

    def _sort(self) -> None:
        order = self.world.listing.order
        if order == "mixed":
            self._order = sorted(self._jobs, key=lambda job: job.id)
        else:
            self._order = sorted(self._jobs, key=lambda job: (job.created, job.number), reverse=order == "newest")

    # One request

    async def request(self, method: str, url: Any, options: Mapping[str, Any]) -> _Response:
        """Stand in for ``aiohttp.ClientSession._request``."""
        at = self.loop.elapsed
        path = unquote(url.raw_path)
        if method == "POST":
            return await self._post(at, options)
        base = PATHS[self.world.habits.family]
        habits = self.world.habits
        if path == base:
            ask = Ask(at=at, route="list", is_wanted=self.is_wanted(ACCOUNT))
            delay = habits.page
        else:
            id = path[len(base) + 1 :]
            number = self._numbers.get(id, -2)
            ask = Ask(at=at, route="get", target=number, id=id, is_wanted=self.is_wanted(number))
            delay = habits.get
        self.asks.append(ask)
        limit = self.world.limit
        if limit is not None and not self._lets_through(at):
            return await self._send(ask, delay, options, 429, _error("slow down"), "refused", limit.retry_after)
        for fault in self.world.faults:
            if fault.begins <= at < fault.ends and fault.concerns(ask.route, ask.target):
                if fault.kind == "slow":
                    delay += fault.value
                elif not (self.only_gets and ask.route == "list"):
                    return await self._fail(ask, delay, options, fault.kind, fault.value)
        if ask.route == "list":
            return await self._page(ask, delay, options, url.raw_query_string)
        return await self._get(ask, delay, options)

    def _lets_through(self, at: float) -> bool:
        limit = self.world.limit
        assert limit is not None
        window = int(at / limit.seconds)
        if window != self._window:
            self._window, self._passed = window, 0
        self._passed += 1
        return self._passed <= limit.requests

    async def _fail(self, ask: Ask, delay: float, options: Mapping[str, Any], kind: Any, value: float) -> _Response:
        if kind == "hang":
            return await self._send(ask, 1e9, options, 500, b"", kind)
        if kind == "reset":
            await self._send(ask, delay, options, 500, b"", kind)
            raise aiohttp.ServerDisconnectedError
        if kind == "status":
            return await self._send(ask, delay, options, int(value), _error("broken"), kind)
        if kind == "refused":
            return await self._send(ask, delay, options, 429, _error("slow down"), kind, value)
        if kind == "gateway":
            return await self._send(ask, delay, options, 404, b"no such page", kind)
        if kind == "missing":
            return await self._send(ask, delay, options, 404, _error("not found"), kind)
        if kind == "garbage" or ask.route == "list":
            return await self._send(ask, delay, options, 200, _GARBAGE, kind)
        job = self._jobs[ask.target] if ask.target >= 0 else self._jobs[0]
        body = _record(job, job.stage(ask.at), self.world.habits.family, kind)
        return await self._send(ask, delay, options, 200, body, kind)

    async def _send(
        self,
        ask: Ask,
        delay: float,
        options: Mapping[str, Any],
        status: int,
        body: bytes,
        reply: Any,
        retry_after: float = -1.0,
    ) -> _Response:
        """Answer after a time, or let the client's own time run out."""
        total = options["timeout"].total
        ask.patience, ask.delay = total, delay
        self.under_way += 1
        try:
            if total is not None and delay >= total:
                await self._run_out(ask, total)
            await asyncio.sleep(delay)
        finally:
            self.under_way -= 1
        ask.reply, ask.answered = reply, self.loop.elapsed
        headers = _headers(int(ask.answered), self.world.habits.date)
        if retry_after >= 0:
            headers = {**headers, "Retry-After": f"{retry_after:g}"}
        return _Response(status, headers, body)

    async def _run_out(self, ask: Ask, total: float) -> None:
        """Let the client's time run out as aiohttp does: by a cancellation of the task that is taken back."""
        try:
            async with asyncio.timeout(total):
                await self.loop.create_future()
        except TimeoutError as error:
            ask.reply, ask.answered = "hang", self.loop.elapsed
            raise aiohttp.ServerTimeoutError from error

    # Good answers

    async def _get(self, ask: Ask, delay: float, options: Mapping[str, Any]) -> _Response:
        number = ask.target
        if number < 0 or self._jobs[number].created > ask.at:
            return await self._send(ask, delay, options, 404, _error("not found"), "missing")
        job = self._jobs[number]
        stage = job.stage(ask.at)
        ask.shown = ((number, stage),)
        return await self._send(ask, delay, options, 200, _record(job, stage, self.world.habits.family), "good")

    async def _page(self, ask: Ask, delay: float, options: Mapping[str, Any], query: str) -> _Response:
        listing, family = self.world.listing, self.world.habits.family
        asked = parse_qs(query)
        offset, limit = int(asked.get("offset", ["0"])[0]), min(int(asked.get("limit", ["20"])[0]), listing.cap)
        reference = asked.get("reference_id", [None])[0]
        as_of = min(ask.at - listing.lag, listing.stands_still_at)
        hidden = self._of_faults("missing", ask.at)
        spoilt = {number: kind for kind in ("malformed", "blank") for number in self._of_faults(kind, ask.at)}
        jobs = [
            job
            for job in self._order
            if job.is_listed and job.created <= as_of and self._passes(job, reference) and job.number not in hidden
        ]
        if self.only_gets:
            jobs = []
        begin = offset - 1 if listing.has_doubles and offset else offset
        page = [(job, job.stage(as_of)) for job in jobs[begin : begin + limit]]
        body = b",".join([_record(job, stage, family, spoilt.get(job.number, "")) for job, stage in page])
        total = {"true": len(jobs), "none": 0, "huge": len(jobs) + 1000}[listing.total]
        body = b'{"data":[%s],"pagination":{"limit":%d,"offset":%d,"total":%d}}' % (body, limit, offset, total)
        ask.shown = tuple([(job.number, stage) for job, stage in page if job.number not in spoilt])
        return await self._send(ask, delay, options, 200, body, "good")

    def _of_faults(self, kind: str, at: float) -> Collection[int]:
        return {
            fault.target
            for fault in self.world.faults
            if fault.kind == kind
            and fault.route in {"list", "all"}
            and fault.target != ACCOUNT
            and fault.begins <= at < fault.ends
        }

    def _passes(self, job: Job, reference: str | None) -> bool:
        how = self.world.listing.filter
        if reference is None or how == "ignored":
            return True
        own = job.reference or ""
        if how == "prefix":
            return own.startswith(reference)
        return own.lower() == reference.lower() if how == "caseless" else own == reference

    # Submissions

    async def _post(self, at: float, options: Mapping[str, Any]) -> _Response:
        posts = self.world.posts
        post = posts[self._posts] if self._posts < len(posts) else Post()
        self._posts += 1
        body = options["json"]
        owner = int(body["inputs"][0]["url"].rpartition("/")[2].partition(".")[0])
        ask = Ask(at=at, route="post", target=owner)
        self.asks.append(ask)
        id = ""
        if post.is_accepted:
            id = self._start(owner, body.get("reference_id"), at + post.after)
        delay = self.world.habits.get
        if post.answer == "hang":
            return await self._send(ask, 1e9, options, 500, b"", "hang")
        if post.answer == "reset":
            await self._send(ask, delay, options, 500, b"", "reset")
            raise aiohttp.ServerDisconnectedError
        if post.answer == "garbage":
            return await self._send(ask, delay, options, 200, _GARBAGE, "garbage")
        if post.answer != "ok":
            return await self._send(ask, delay, options, int(post.answer), _error("broken"), "status")
        answer = dumps({"request_id": id, "status": "success"}).encode()
        return await self._send(ask, delay, options, 200, answer, "good")

    def _start(self, owner: int, reference: str | None, at: float) -> str:
        job = Job(number=len(self._jobs), reference=reference, created=at, started=at, ended=at + 1e6)
        self._jobs.append(job)
        self._index(job)
        self._sort()
        self.started.append(Started(id=job.id, owner=owner, at=at))
        return job.id
