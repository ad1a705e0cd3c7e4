"""Faults around the conversation: clocks, and the program that the client is used in."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

import aiohttp

from chamelaion_async.sandbox import Fault

from . import network, rules
from .custom_faults import by_hand, true_answer
from .row import row
from .rules import CONNECTION, NAMED, RECOVERS, TIMEOUT, UNCERTAIN, Pair, all_of, but
from .setup import Setup

_clock = partial(row, "Clocks")
_program = partial(row, "The program around the client")
_HOUR: Final = 3600.0
_YEAR: Final = 365 * 86400.0


async def _set_clock(setup: Setup, seconds: float) -> None:
    setup.clock.offset = seconds


async def _sleep_for_an_hour(setup: Setup) -> None:
    """The machine sleeps, in the middle of a request."""
    latency = setup.sandbox.inject(Fault.latency(2.0), route=setup.route, times=setup.times, after=setup.after)
    setup.slack = _HOUR

    async def leap() -> None:
        while not latency.hits:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.5)
        asyncio.get_running_loop()._advance(_HOUR)  # type: ignore[attr-defined]  # the loop on virtual time

    setup.later(1.0, leap)


def _dated(date: str | None) -> Fault:
    return by_hand(true_answer(date=date), "go on")


async def _date(setup: Setup, seconds: float) -> None:
    setup.inject(_dated(setup.date(seconds)))


async def _lose_answer(setup: Setup, seconds: float | None) -> None:
    """The answer to a submission is lost, and the list that shows the job has no date, or a wrong one."""
    setup.sandbox.inject(_dated(None if seconds is None else setup.date(seconds)), route="GET *")
    setup.inject(Fault.reset("after"))


_lost = rules.only(rules.lost_after(CONNECTION), *NAMED)
# By that date the job is older than the submission, and may be another one that the list was late to show.
_in_doubt = but(_lost, *[all_of(UNCERTAIN, *NAMED)] * 2)
# The deadline has passed meanwhile, but a batch still takes the answers that came at its last moment.
_slept = but(rules.lost_after(TIMEOUT), {**all_of("WaitTimeoutError", "wait", "watch"), "generate_blind": RECOVERS})
_CLOCK_ROWS = (
    _clock(
        "service's clock is a year slow", partial(_set_clock, seconds=-_YEAR), rules.only_always(rules.harmless())
    ),
    _clock("service's clock is a year fast", partial(_set_clock, seconds=_YEAR), rules.only_always(rules.harmless())),
    _clock("no `Date`", _dated(None), rules.harmless()),
    _clock("`Date` is nonsense", _dated("yesterday"), rules.harmless()),
    _clock("`Date` is an hour fast", partial(_date, seconds=_HOUR), rules.harmless()),
    _clock("`Date` is an hour slow", partial(_date, seconds=-_HOUR), rules.harmless()),
    _clock("answer lost, and no `Date`", partial(_lose_answer, seconds=None), _lost),
    _clock("answer lost, and `Date` an hour fast", partial(_lose_answer, seconds=_HOUR), _in_doubt),
    _clock("answer lost, and `Date` an hour slow", partial(_lose_answer, seconds=-_HOUR), _lost),
    _clock("machine sleeps for an hour during a call", _sleep_for_an_hour, rules.only_once(_slept)),
)


async def _fill_pool(setup: Setup) -> None:
    """The session has a single connection, which another call holds."""
    setup.sandbox.inject(Fault.hang(), route="GET /health")
    session = await network.share_session(setup, aiohttp.TCPConnector(limit=1))
    holder = asyncio.get_running_loop().create_task(_hold(session, setup.sandbox.base_url))

    async def release() -> None:
        holder.cancel()
        await asyncio.gather(holder, return_exceptions=True)

    setup.stack.push_async_callback(release)
    if not setup.stays:
        setup.later(3.0, release)
    while not setup.sandbox.received:  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0)


async def _hold(session: aiohttp.ClientSession, base_url: str) -> None:
    async with session.get(f"{base_url}/health"):
        pass


async def _close_session_before(setup: Setup) -> None:
    session = await network.share_session(setup, aiohttp.TCPConnector())
    await session.close()


async def _close_session_meanwhile(setup: Setup) -> None:
    session = await network.share_session(setup, aiohttp.TCPConnector())
    setup.sandbox.inject(Fault.latency(2.0))
    setup.later(1.0, session.close)


async def _close_client_meanwhile(setup: Setup) -> None:
    setup.sandbox.inject(Fault.latency(2.0))

    async def close() -> None:
        await setup.client.aclose()  # it is made later than this

    setup.later(1.0, close)


async def _bind_elsewhere(setup: Setup) -> None:
    """The client has been used in the loop of another thread."""
    runner = asyncio.Runner()

    async def end() -> None:
        await asyncio.to_thread(runner.run, setup.client.aclose())
        await asyncio.to_thread(runner.close)

    setup.stack.push_async_callback(end)
    setup.is_bound_elsewhere = True
    setup.before.append(lambda: asyncio.to_thread(runner.run, setup.client.health.check()))


def _all(error: str) -> Pair:
    return {}, dict.fromkeys(rules.ALL_WELL, error)


_PROGRAM_ROWS = (
    _program("pool of connections is used up", _fill_pool, rules.never_sent(TIMEOUT)),
    _program("session was closed before", _close_session_before, _all("ClientClosedError")),
    _program("session is closed during a call", _close_session_meanwhile, _all("ClientClosedError")),
    _program("client is closed during a call", _close_client_meanwhile, _all("ClientClosedError")),
    _program("client belongs to the loop of another thread", _bind_elsewhere, _all("ConfigurationError")),
)

ROWS: Final = (*_CLOCK_ROWS, *_PROGRAM_ROWS)
