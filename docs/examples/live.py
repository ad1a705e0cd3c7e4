"""What both applications do for their pages: submit a job, and say how jobs are doing. Knows no web framework.

An event is a name and data for JSON:

- ``job``: a job as it is now.
- ``problem``: what is wrong, in words.
- ``end``: nothing more will come. Without it, the browser opens a stream that has ended again.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, TypeVar

from problems import NO_ANSWER, explain

from chamelaion_async import (
    AsyncClient,
    ChamelaionError,
    ClientClosedError,
    ConfigurationError,
    LipsyncRequest,
    MediaSource,
    PollPolicy,
)

T = TypeVar("T")
Event = tuple[str, dict[str, Any]]
NoFile = str | bytes | bytearray | None  # what else a form may hold

# Visitors are told of an outage after eight seconds. Their pages come back, so no job is lost by such a small budget.
POLLING = PollPolicy(outage_budget=8, not_found_grace=3)
PATIENCE = 5.0  # seconds until a stream begins without a job; longer than not_found_grace, or a 404 would be too late
HEARTBEAT = 15.0  # seconds; proxies close connections that are silent, most of them after 60
END: Event = ("end", {})


async def submit(client: AsyncClient, video: MediaSource | NoFile, audio: MediaSource | NoFile) -> str:
    """Submit a job with what a form holds under ``video`` and ``audio``, and return its id."""
    reference_id = f"web-{uuid.uuid4()}"
    if isinstance(video, str) and isinstance(audio, str):
        accepted = await client.lipsync.generate(video=video, audio=audio, reference_id=reference_id)
    elif isinstance(video, NoFile) or isinstance(audio, NoFile):
        # A str would be a path to generate_with_media, and visitors must not choose among the files of this server.
        raise ConfigurationError("give two addresses, or two files")
    else:
        accepted = await client.lipsync.generate_with_media(video=video, audio=audio, reference_id=reference_id)
    return accepted.request_id


def view(client: AsyncClient, job: LipsyncRequest) -> dict[str, Any]:
    """Return what a page shows of a job."""
    elapsed = (job.finished_at or datetime.now(UTC)) - job.created_at
    remaining = None if job.is_finished else client.lipsync.requests.forecast(job).remaining
    return {
        **job.to_dict(),
        "finished": job.is_finished,
        "elapsed": max(0, round(elapsed.total_seconds())),
        "remaining": remaining and round(remaining),
    }


async def one(client: AsyncClient, id: str) -> AsyncGenerator[Event]:
    """Follow one job."""
    job = None
    async with aclosing(client.lipsync.requests.watch(id, every=HEARTBEAT)) as changes:
        async for job in patiently(changes):
            yield ("job", view(client, job)) if job else ("problem", NO_ANSWER.to_dict())
    # drain() ends the changes as well. The job goes on, and the browser comes back to the next process.
    if job and job.is_finished:
        yield END


async def many(client: AsyncClient, ids: Iterable[str]) -> AsyncGenerator[Event]:
    """Follow many jobs in one stream: over HTTP/1.1, a browser opens six to a host, in all of its tabs together."""
    unfinished = set(ids)
    async with aclosing(client.lipsync.requests.watch_many(unfinished.copy(), every=HEARTBEAT)) as outcomes:
        async for outcome in patiently(outcomes):
            if outcome is None:
                yield "problem", NO_ANSWER.to_dict()
            elif outcome.error is None:
                yield "job", {**view(client, outcome.request), "id": outcome.id}
                if outcome.request.is_finished:
                    unfinished.discard(outcome.id)
            else:
                problem = explain(outcome.error)
                yield "job", {**problem.to_dict(), "id": outcome.id}
                if not problem.passes:
                    unfinished.discard(outcome.id)
    if not unfinished:
        yield END


async def patiently(items: AsyncGenerator[T]) -> AsyncGenerator[T | None]:
    """Yield the items; if the first one takes too long, yield None before it."""
    try:
        async with asyncio.timeout(PATIENCE):
            first: T | None = await anext(items)
    except StopAsyncIteration:
        return
    except TimeoutError:
        first = None  # the cancelled anext has lost nothing, and the next one goes on
    yield first
    async for item in items:
        yield item


async def begin(events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
    """Return the events once the first one is there: what is raised until then can be answered with its status."""
    first = await anext(events, None)
    if first is None:
        raise ClientClosedError("the client was drained before the first event")
    return _in_words(first, events)


async def _in_words(first: Event, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
    async with aclosing(events):
        yield first
        try:
            async for event in events:
                yield event
        except ChamelaionError as error:
            problem = explain(error)
            yield "problem", problem.to_dict()
            if not problem.passes:
                yield END
