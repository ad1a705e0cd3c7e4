"""Faults below HTTP: connections, silence, names and certificates."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Final

from chamelaion_async.sandbox import Fault

from . import rules, wire
from .row import Row, row
from .rules import CONNECTION, NAMED, RECOVERS, TIMEOUT, UNCERTAIN, Pair, all_of, but
from .stage import Stage

_CONNECTION: Final = "The connection"
_SILENCE: Final = "Silence"
_NAMES: Final = "Names and certificates"


async def _refuse(stage: Stage) -> None:
    await stage.sandbox.stop()
    if not stage.is_for_good:
        stage.later(0.2, stage.sandbox.start)


async def _restart(stage: Stage) -> None:
    """The service goes down in the middle of a request, and comes back on the same port."""
    stage.sandbox.inject(Fault.latency(1.0))
    stage.later(0.5, stage.sandbox.stop)
    if not stage.is_for_good:
        stage.later(0.7, stage.sandbox.start)


async def _close_idle(stage: Stage) -> None:
    """The service closes the connections of an earlier call, and the client has had no time to notice."""
    accepted: list[asyncio.StreamWriter] = []

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        accepted.append(writer)
        return True

    times, stage.times = stage.times, None
    await wire.relay(stage, greet)
    stage.times = times

    async def call_and_close() -> None:
        await stage.client.users.me()
        assert accepted
        for writer in accepted:
            # Not by its transport, which would take a turn of the loop.
            writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    stage.before.append(call_and_close)


def _lost_early(pair: Pair) -> Pair:
    """An upload that breaks off was not accepted, and that is certain."""
    return but(pair, always={"generate_with_media": CONNECTION})


# The first connection serves the look into the list, which a submission can do without.
_first_connection = but(
    _lost_early(rules.lost_before(CONNECTION)), {"generate_blind": UNCERTAIN, "generate_unnamed": UNCERTAIN}
)
_gone_between = but(
    rules.lost_before(CONNECTION), {"generate_blind": RECOVERS}, all_of(CONNECTION, *NAMED, "generate_blind")
)

_CONNECTIONS = (
    row(_CONNECTION, "refused", _refuse, rules.never_sent(CONNECTION)),
    row(_CONNECTION, "reset as soon as it is made", partial(wire.relay, greet=wire.reset), _first_connection),
    row(_CONNECTION, "closed as soon as it is made", partial(wire.relay, greet=wire.close), _first_connection),
    row(_CONNECTION, "reset before the request is served", Fault.reset(), _lost_early(rules.lost_before(CONNECTION))),
    row(_CONNECTION, "reset after the request was served", Fault.reset("after"), rules.lost_after(CONNECTION)),
    row(
        _CONNECTION, "closed before the request is served", Fault.close(), _lost_early(rules.lost_before(CONNECTION))
    ),
    row(_CONNECTION, "closed after the request was served", Fault.close("after"), rules.lost_after(CONNECTION)),
    row(
        _CONNECTION,
        "closed unannounced after each whole answer",
        Fault.close("answered"),
        rules.harmless(),
    ),
    row(_CONNECTION, "closed unannounced while it was idle", _close_idle, rules.passing(rules.harmless())),
    row(_CONNECTION, "service goes down and comes back on the same port", _restart, _gone_between),
)

_SILENCES = (
    row(
        _SILENCE,
        "from the connection on",
        partial(wire.relay, greet=wire.keep_silent),
        but(rules.left_open(TIMEOUT), all_of(RECOVERS, *NAMED)),
    ),
    row(_SILENCE, "before the request is served", Fault.hang(), rules.left_open(TIMEOUT)),
    row(_SILENCE, "after the request was served", Fault.hang(when="after"), rules.lost_after(TIMEOUT)),
    row(_SILENCE, "of 70 s, then the answer", Fault.latency(70.0), rules.lost_after(TIMEOUT)),
    row(
        _SILENCE,
        "of 2 s between any two bytes of the body",
        Fault.drip(2.0),
        but(rules.lost_after(TIMEOUT), always={"download": RECOVERS}),
    ),
)


def _tls(name: str, certificate: wire.Certificate, expected: Pair) -> Row:
    return row(_NAMES, name, partial(wire.secured, certificate=certificate), expected)


async def _plain_for_tls(stage: Stage) -> None:
    stage.options["base_url"] = stage.sandbox.base_url.replace("http:", "https:")


_NAME_ROWS = (
    row(_NAMES, "name that nobody knows", partial(wire.named, how="unknown"), rules.never_sent(CONNECTION)),
    row(_NAMES, "name server that is silent", partial(wire.named, how="silent"), rules.never_sent(TIMEOUT)),
    row(_NAMES, "name with a dead address first", partial(wire.named, how="dead first"), rules.harmless()),
    _tls("certificate of a local CA that is trusted", "good", rules.harmless()),
    row(
        _NAMES,
        "certificate of a local CA that is not trusted",
        partial(wire.secured, certificate="good", trusts=False),
        rules.for_good(rules.never_sent(CONNECTION)),
    ),
    _tls("certificate of a stranger", "of a stranger", rules.never_sent(CONNECTION)),
    _tls("certificate that has expired", "expired", rules.never_sent(CONNECTION)),
    _tls("certificate of another host", "of another host", rules.never_sent(CONNECTION)),
    _tls("certificate of the client's is asked for", "and asks for the client's", _first_connection),
    row(_NAMES, "plain HTTP where TLS is expected", _plain_for_tls, rules.for_good(rules.never_sent(CONNECTION))),
    row(
        _NAMES,
        "handshake that is reset",
        partial(wire.relay, greet=wire.reset, scheme="https"),
        rules.for_good(rules.never_sent(CONNECTION)),
    ),
    row(
        _NAMES,
        "handshake that is never answered",
        partial(wire.relay, greet=wire.keep_silent, scheme="https"),
        rules.for_good(rules.never_sent(TIMEOUT)),
    ),
)

ROWS: Final = (*_CONNECTIONS, *_SILENCES, *_NAME_ROWS)
