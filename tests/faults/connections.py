"""Faults below HTTP: connections, silence, names and certificates."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Final

from chamelaion_async.sandbox import Fault

from . import network, rules
from .row import Row, row
from .rules import CONNECTION, NAMED, RECOVERS, TIMEOUT, UNCERTAIN, Pair, all_of, but
from .setup import Setup

_connection = partial(row, "The connection")
_silence = partial(row, "Silence")
_name = partial(row, "Names and certificates")


async def _refuse(setup: Setup) -> None:
    await setup.sandbox.stop()
    if not setup.stays:
        setup.later(0.2, setup.sandbox.start)


async def _restart(setup: Setup) -> None:
    """The service goes down in the middle of a request, and comes back on the same port."""
    setup.sandbox.inject(Fault.latency(1.0))
    setup.later(0.5, setup.sandbox.stop)
    if not setup.stays:
        setup.later(0.7, setup.sandbox.start)


async def _close_idle(setup: Setup) -> None:
    """The service closes the connections of an earlier call, and the client has had no time to notice."""
    accepted: list[asyncio.StreamWriter] = []

    async def on_connection(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        accepted.append(writer)
        return True

    times, setup.times = setup.times, None
    await network.relay(setup, on_connection)
    setup.times = times

    async def call_and_close() -> None:
        await setup.client.users.me()
        assert accepted
        for writer in accepted:
            # Not by its transport, which would take a turn of the loop.
            writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    setup.before.append(call_and_close)


def _lost_early(pair: Pair) -> Pair:
    """An upload that breaks off was not accepted, and that is certain."""
    return but(pair, always={"generate_with_media": CONNECTION})


# The first connection serves the read of the list, which a submission can do without.
_first_connection = but(
    _lost_early(rules.lost_before(CONNECTION)), {"generate_blind": UNCERTAIN, "generate_unnamed": UNCERTAIN}
)
_gone_between = but(
    rules.lost_before(CONNECTION), {"generate_blind": RECOVERS}, all_of(CONNECTION, *NAMED, "generate_blind")
)

_CONNECTIONS = (
    _connection("refused", _refuse, rules.never_sent(CONNECTION)),
    _connection(
        "reset as soon as it is made", partial(network.relay, on_connection=network.reset), _first_connection
    ),
    _connection(
        "closed as soon as it is made", partial(network.relay, on_connection=network.close), _first_connection
    ),
    _connection("reset before the request is served", Fault.reset(), _lost_early(rules.lost_before(CONNECTION))),
    _connection("reset after the request was served", Fault.reset("after"), rules.lost_after(CONNECTION)),
    _connection("closed before the request is served", Fault.close(), _lost_early(rules.lost_before(CONNECTION))),
    _connection("closed after the request was served", Fault.close("after"), rules.lost_after(CONNECTION)),
    _connection("closed unannounced after each whole answer", Fault.close("answered"), rules.harmless()),
    _connection("closed unannounced while it was idle", _close_idle, rules.only_once(rules.harmless())),
    _connection("service goes down and comes back on the same port", _restart, _gone_between),
)

_SILENCES = (
    _silence(
        "from the connection on",
        partial(network.relay, on_connection=network.keep_silent),
        but(rules.left_open(TIMEOUT), all_of(RECOVERS, *NAMED)),
    ),
    _silence("before the request is served", Fault.hang(), rules.left_open(TIMEOUT)),
    _silence("after the request was served", Fault.hang(when="after"), rules.lost_after(TIMEOUT)),
    _silence("of 70 s, then the answer", Fault.latency(70.0), rules.lost_after(TIMEOUT)),
    _silence(
        "of 2 s between any two bytes of the body",
        Fault.drip(2.0),
        but(rules.lost_after(TIMEOUT), always={"download": RECOVERS}),
    ),
)


def _tls(name: str, certificate: network.Certificate, expected: Pair) -> Row:
    return _name(name, partial(network.secured, certificate=certificate), expected)


async def _plain_for_tls(setup: Setup) -> None:
    setup.options["base_url"] = setup.sandbox.base_url.replace("http:", "https:")


_NAME_ROWS = (
    _name("name that does not exist", partial(network.named, how="unknown"), rules.never_sent(CONNECTION)),
    _name("name server that is silent", partial(network.named, how="silent"), rules.never_sent(TIMEOUT)),
    _name("name with a dead address first", partial(network.named, how="dead first"), rules.harmless()),
    _tls("certificate of a local CA that is trusted", "good", rules.harmless()),
    _name(
        "certificate of a local CA that is not trusted",
        partial(network.secured, certificate="good", trusts=False),
        rules.only_always(rules.never_sent(CONNECTION)),
    ),
    _tls("certificate of a stranger", "of a stranger", rules.never_sent(CONNECTION)),
    _tls("certificate that has expired", "expired", rules.never_sent(CONNECTION)),
    _tls("certificate of another host", "of another host", rules.never_sent(CONNECTION)),
    _tls("certificate of the client's is asked for", "and asks for the client's", _first_connection),
    _name("plain HTTP where TLS is expected", _plain_for_tls, rules.only_always(rules.never_sent(CONNECTION))),
    _name(
        "handshake that is reset",
        partial(network.relay, on_connection=network.reset, scheme="https"),
        rules.only_always(rules.never_sent(CONNECTION)),
    ),
    _name(
        "handshake that is never answered",
        partial(network.relay, on_connection=network.keep_silent, scheme="https"),
        rules.only_always(rules.never_sent(TIMEOUT)),
    ),
)

ROWS: Final = (*_CONNECTIONS, *_SILENCES, *_NAME_ROWS)
