"""Faults around the conversation: clocks, and the program that the client is used in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Final

import aiohttp

from chamelaion_async.sandbox import Fault
from chamelaion_async.sandbox.endpoints.answers import Answer

from . import rules, wire
from .row import row
from .rules import CONNECTION, NAMED, RECOVERS, TIMEOUT, UNCERTAIN, Pair, all_of, but
from .stage import Stage
from .ways import Head, body_of, spoken

_CLOCKS: Final = "Clocks"
_PROGRAM: Final = "The program around the client"
_HOUR: Final = 3600.0
_YEAR: Final = 365 * 86400.0


async def _set_clock(stage: Stage, seconds: float) -> None:
    stage.clock.offset = seconds


async def _sleep_for_an_hour(stage: Stage) -> None:
    """The machine sleeps, in the middle of a request."""
    latency = stage.sandbox.inject(Fault.latency(2.0), route=stage.route, times=stage.times, after=stage.after)
    stage.slack = _HOUR

    async def leap() -> None:
        while not latency.hits:  # noqa: ASYNC110 - the sandbox tells nobody
            await asyncio.sleep(0.5)
        asyncio.get_running_loop()._advance(_HOUR)  # type: ignore[attr-defined]  # the loop of tests/conftest.py

    stage.later(1.0, leap)


def _dated(date: str | None) -> Fault:
    def words(answer: Answer, now: float) -> Iterator[bytes]:
        yield bytes(Head.of(answer, now, date=date)) + body_of(answer)

    return spoken(words, "go on")


async def _date(stage: Stage, seconds: float) -> None:
    stage.inject(_dated(stage.date(seconds)))


async def _lose_while_undated(stage: Stage) -> None:
    """The answer to a submission is lost, and the list that would tell carries no date."""
    stage.sandbox.inject(_dated(None), route="GET *")
    stage.inject(Fault.reset("after"))


async def _lose_while_misdated(stage: Stage, seconds: float) -> None:
    """The answer to a submission is lost, and the list that would tell is dated wrong."""
    stage.sandbox.inject(_dated(stage.date(seconds)), route="GET *")
    stage.inject(Fault.reset("after"))


_lost = rules.only(rules.lost_after(CONNECTION), *NAMED)
# By that date the job is older than the submission, and may be another one that the list was late to show.
_in_doubt = but(_lost, *[all_of(UNCERTAIN, *NAMED)] * 2)
# The deadline has passed meanwhile, but a batch still hears the answers that came at its last moment.
_slept = but(rules.lost_after(TIMEOUT), {**all_of("WaitTimeoutError", "wait", "watch"), "generate_blind": RECOVERS})
_CLOCK_ROWS = (
    row(
        _CLOCKS,
        "service's clock is a year slow",
        partial(_set_clock, seconds=-_YEAR),
        rules.for_good(rules.harmless()),
    ),
    row(
        _CLOCKS,
        "service's clock is a year fast",
        partial(_set_clock, seconds=_YEAR),
        rules.for_good(rules.harmless()),
    ),
    row(_CLOCKS, "no `Date`", _dated(None), rules.harmless()),
    row(_CLOCKS, "`Date` is nonsense", _dated("yesterday"), rules.harmless()),
    row(_CLOCKS, "`Date` is an hour fast", partial(_date, seconds=_HOUR), rules.harmless()),
    row(_CLOCKS, "`Date` is an hour slow", partial(_date, seconds=-_HOUR), rules.harmless()),
    row(_CLOCKS, "answer lost, and no `Date`", _lose_while_undated, _lost),
    row(_CLOCKS, "answer lost, and `Date` an hour fast", partial(_lose_while_misdated, seconds=_HOUR), _in_doubt),
    row(_CLOCKS, "answer lost, and `Date` an hour slow", partial(_lose_while_misdated, seconds=-_HOUR), _lost),
    row(
        _CLOCKS,
        "machine sleeps for an hour during a call",
        _sleep_for_an_hour,
        rules.passing(_slept),
    ),
)


async def _fill_pool(stage: Stage) -> None:
    """The session has a single connection, which somebody else holds."""
    stage.sandbox.inject(Fault.hang(), route="GET /health")
    session = await wire.share_session(stage, aiohttp.TCPConnector(limit=1))
    holder = asyncio.get_running_loop().create_task(_hold(session, stage.sandbox.base_url))

    async def release() -> None:
        holder.cancel()
        await asyncio.gather(holder, return_exceptions=True)

    stage.stack.push_async_callback(release)
    if not stage.is_for_good:
        stage.later(3.0, release)
    while not stage.sandbox.received:  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0)


async def _hold(session: aiohttp.ClientSession, base_url: str) -> None:
    async with session.get(f"{base_url}/health"):
        pass


async def _close_session_before(stage: Stage) -> None:
    session = await wire.share_session(stage, aiohttp.TCPConnector())
    await session.close()


async def _close_session_meanwhile(stage: Stage) -> None:
    session = await wire.share_session(stage, aiohttp.TCPConnector())
    stage.sandbox.inject(Fault.latency(2.0))
    stage.later(1.0, session.close)


async def _close_client_meanwhile(stage: Stage) -> None:
    stage.sandbox.inject(Fault.latency(2.0))

    async def close() -> None:
        await stage.client.aclose()  # it is made later than this

    stage.later(1.0, close)


async def _bind_elsewhere(stage: Stage) -> None:
    """The client has been used in the loop of another thread."""
    runner = asyncio.Runner()

    async def end() -> None:
        await asyncio.to_thread(runner.run, stage.client.aclose())
        await asyncio.to_thread(runner.close)

    stage.stack.push_async_callback(end)
    stage.is_bound_elsewhere = True
    stage.before.append(lambda: asyncio.to_thread(runner.run, stage.client.health.check()))


def _all(error: str) -> Pair:
    return {}, dict.fromkeys(rules.ALL_WELL, error)


_PROGRAM_ROWS = (
    row(_PROGRAM, "pool of connections is used up", _fill_pool, rules.never_sent(TIMEOUT)),
    row(_PROGRAM, "session was closed before", _close_session_before, _all("ClientClosedError")),
    row(_PROGRAM, "session is closed during a call", _close_session_meanwhile, _all("ClientClosedError")),
    row(_PROGRAM, "client is closed during a call", _close_client_meanwhile, _all("ClientClosedError")),
    row(_PROGRAM, "client belongs to the loop of another thread", _bind_elsewhere, _all("ConfigurationError")),
)

ROWS: Final = (*_CLOCK_ROWS, *_PROGRAM_ROWS)
