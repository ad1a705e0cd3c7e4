"""What a client must have back once nothing is under way: its slots, its connections, and its waits' places."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from chamelaion_async import AsyncClient
from chamelaion_async.loading.loader import Loader
from chamelaion_async.resources.family import FamilyState


def of_client(client: AsyncClient) -> list[str]:
    """Return what a client still holds that it should hold no longer."""
    return [*_of_calls(client), *_of_lanes(client), *_of_waits(client)]


def of_queues(client: AsyncClient) -> list[str]:
    """Return who stands in a queue still although he waits no longer."""
    lanes = client._transport.lanes
    queues: list[Any] = [lane._queue for lane in lanes.values()]
    queues += [lane._budget._gates[name]._queue for name, lane in lanes.items()]  # type: ignore[attr-defined]
    return [repr(waiter) for queue in queues for waiter in queue if waiter.done()]


def of_reads(client: AsyncClient) -> list[str]:
    """Return the reads of waits that have begun and not ended."""
    return [repr(task) for loader in _loaders(client) for task in loader._reads._reads if not task.done()]


def of_timers(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Return the client's timers, where the loop shows them."""
    return [
        repr(timer)
        for timer in getattr(loop, "_scheduled", ())
        if not timer.cancelled() and _is_ours(getattr(timer._callback, "__module__", ""))
    ]


def _is_ours(module: str) -> bool:
    return module.startswith("chamelaion_async.") and not module.startswith("chamelaion_async.sandbox")


def _of_calls(client: AsyncClient) -> Iterator[str]:
    lifecycle = client._transport.lifecycle
    if lifecycle._scopes:
        yield f"{len(lifecycle._scopes)} calls under way"
    if lifecycle._sleepers:
        yield f"{len(lifecycle._sleepers)} pauses"
    if not all(family.submissions.is_idle for family in _families(client)):
        yield "submissions under way"
    session = lifecycle._session
    connector = None if session is None else session.connector
    if connector is not None:
        if connector._acquired:
            yield f"{len(connector._acquired)} connections in use"
        if connector._waiters:
            yield "waiters for a connection"


def _of_lanes(client: AsyncClient) -> Iterator[str]:
    for name, lane in client._transport.lanes.items():
        if lane._under_way or lane._queue or lane._judging is not None:
            yield f"lane {name}: {lane._under_way} slots taken, {len(lane._queue)} queueing, timer {lane._judging}"
        gate = lane._budget._gates[name]  # type: ignore[attr-defined]  # the local budget's
        if gate._queue or gate._timer is not None:
            yield f"lane {name}: {len(gate._queue)} wait for a permit, timer {gate._timer}"


def _of_waits(client: AsyncClient) -> Iterator[str]:
    for loader in _loaders(client):
        yield from _of_loader(loader)


def _loaders(client: AsyncClient) -> Iterator[Loader[Any]]:
    for family in _families(client):
        if "polls" in vars(family):  # made by the first wait
            yield family.polls._loader


def _families(client: AsyncClient) -> list[FamilyState[Any]]:
    return [client._common.lipsync, client._common.translations]


def _of_loader(loader: Loader[Any]) -> Iterator[str]:
    pool, queue = loader._pool, loader._queue
    if loader._registry:
        yield f"waited for still: {loader._registry.entries()}"
    if len(queue) or queue._audits:
        yield f"{len(queue)} reads in the queue, audits: {[*queue._audits]}"
    scan = queue._newcomers
    if scan.members or scan.asking or scan.under_way:
        yield f"scan: {scan}"
    if queue.index._buckets:
        yield f"buckets: {queue.index._buckets}"
    if queue._pages_under_way or queue._probe is not None:
        yield f"{queue._pages_under_way} pages under way, probe: {queue._probe}"
    if loader._reads._reads:
        yield f"{len(loader._reads._reads)} reads under way"
    if loader._reads._timer is not None:
        yield f"a timer for overdue reads: {loader._reads._timer}"
    if pool._size or pool._choosing or pool._handle is not None:
        yield f"{pool._size} readers, {len(pool._choosing)} of them choosing, to start: {pool._handle}"
