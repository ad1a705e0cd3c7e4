"""Commands with a time limit, and coming back after an outage."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from pathlib import Path

import pytest
import trustme

from chamelaion_async.redis.engine import Engine, EngineLost
from chamelaion_async.redis.engine import connection as engine_module
from chamelaion_async.redis.engine.connection import CONNECTIONS
from tests.support.engines import EngineServer

ECHO = "return {KEYS[1], ARGV[1]}"


async def live(engine: Engine, within: float) -> float:
    """Wait until an engine is live again, and return how long that took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    changed = asyncio.Event()
    end = engine.at_change(changed.set)
    async with asyncio.timeout(within):
        if not engine.is_live:
            await changed.wait()
    end()
    assert engine.is_live
    return loop.time() - began


async def test_a_script_is_run_with_its_keys_and_arguments(engine: Engine) -> None:
    assert await engine.run(ECHO, ["key"], [1.5]) == [b"key", b"1.5"]


async def test_a_script_that_the_engine_has_forgotten_is_sent_again(engine: Engine, server: EngineServer) -> None:
    await engine.run(ECHO, ["key"], ["a"])
    server.ask("SCRIPT FLUSH")
    assert await engine.run(ECHO, ["key"], ["b"]) == [b"key", b"b"]
    assert engine.is_live


async def test_more_commands_at_once_than_connections_wait_for_their_turn(engine: Engine) -> None:
    answers = await asyncio.gather(*(engine.run("return ARGV[1]", [], [n]) for n in range(300)))
    assert answers == [str(n).encode() for n in range(300)]
    assert len(engine._redis.connection_pool._available_connections) <= CONNECTIONS + 1  # type: ignore[union-attr]


async def test_cancelled_commands_leave_no_connection_in_use(engine: Engine) -> None:
    draw = random.Random(0)
    for _ in range(50):
        tasks = [asyncio.create_task(engine.run("return 1", [], [])) for _ in range(20)]
        await asyncio.sleep(draw.random() * 0.002)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert engine._turns.qsize() == CONNECTIONS
    assert not engine._redis.connection_pool._in_use_connections  # type: ignore[union-attr]
    assert await engine.run(ECHO, ["key"], ["a"]) == [b"key", b"a"]
    assert engine.is_live


async def test_a_script_that_fails_is_warned_of_once_and_does_not_end_the_others(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    failing = "redis.call('SET', KEYS[1], 'x') return redis.call('ZCARD', KEYS[1])"
    for _ in range(2):
        with pytest.raises(EngineLost, match="WRONGTYPE"):
            await engine.run(failing, ["{chamelaion:test}"], [])
    assert engine.is_live
    assert len(caplog.records) == 1


async def test_a_stopped_engine_costs_a_quarter_of_a_second_and_then_nothing(own_server: EngineServer) -> None:
    engine = Engine(own_server.url)
    await engine.open()
    loop = asyncio.get_running_loop()
    own_server.pause()
    began = loop.time()
    ends = await asyncio.gather(*(engine.run(ECHO, ["k"], ["a"]) for _ in range(100)), return_exceptions=True)
    assert {type(end) for end in ends} == {EngineLost}
    assert 0.25 <= loop.time() - began < 0.4
    began = loop.time()
    with pytest.raises(EngineLost, match="is gone"):
        await engine.run(ECHO, ["k"], ["a"])
    assert loop.time() - began < 0.01
    await engine.aclose()


async def test_an_engine_that_goes_and_comes_back_is_noticed_by_itself(
    own_server: EngineServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "chamelaion_async")
    engine = Engine(own_server.url)
    await engine.open()
    seen: list[bool] = []
    end = engine.at_change(lambda: seen.append(engine.is_live))
    own_server.kill()
    with pytest.raises(EngineLost):
        await engine.run(ECHO, ["k"], ["a"])
    own_server.start()
    await live(engine, within=2.0)
    assert await engine.run(ECHO, ["k"], ["a"]) == [b"k", b"a"]
    assert seen == [False, True]
    assert ["gone" in caplog.messages[0], "back" in caplog.messages[-1]] == [True, True]
    end()
    await engine.aclose()
    end()
    assert seen == [False, True]


async def test_closed_connections_are_replaced_at_once(own_server: EngineServer) -> None:
    engine = Engine(own_server.url)
    await engine.open()
    own_server.ask("CLIENT KILL TYPE normal")
    try:
        await engine.run(ECHO, ["k"], ["a"])
    except EngineLost:  # redis-py saw the end of the connection before it sent, or not
        assert await live(engine, within=0.5) < 0.2
    assert await engine.run(ECHO, ["k"], ["a"]) == [b"k", b"a"]
    await engine.aclose()


async def test_a_busy_thread_is_not_taken_for_an_engine_that_is_gone(engine: Engine) -> None:
    command = asyncio.create_task(engine.run(ECHO, ["k"], ["a"]))
    for _ in range(3):
        await asyncio.sleep(0)  # it is sent
    time.sleep(0.4)  # noqa: ASYNC251
    assert await command == [b"k", b"a"]
    assert engine.is_live


@pytest.mark.parametrize(
    ("outage", "pause"), [(0.0, 1.0), (5.0, 1.0), (8.0, 1.6), (20.0, 4.0), (40.0, 8.0), (4000.0, 8.0)]
)
def test_probes_come_every_fifth_of_the_outage(outage: float, pause: float) -> None:
    assert engine_module._pause(outage) == pytest.approx(pause)


async def test_an_engine_is_closed_twice_during_an_outage_and_leaves_nothing(own_server: EngineServer) -> None:
    engine = Engine(own_server.url)
    await engine.open()
    own_server.pause()
    with pytest.raises(EngineLost):
        await engine.run(ECHO, ["k"], ["a"])
    loop = asyncio.get_running_loop()
    began = loop.time()
    await engine.aclose()
    await engine.aclose()
    assert loop.time() - began < 0.1
    with pytest.raises(EngineLost):
        await engine.run(ECHO, ["k"], ["a"])


async def test_commands_under_way_end_when_the_engine_is_closed(own_server: EngineServer) -> None:
    engine = Engine(own_server.url)
    await engine.open()
    for paused in (False, True):
        if paused:
            engine = Engine(own_server.url)
            await engine.open()
            own_server.pause()
        commands = [asyncio.create_task(engine.run(ECHO, ["k"], ["a"])) for _ in range(100)]
        await asyncio.sleep(0.001)
        await engine.aclose()
        ends = await asyncio.gather(*commands, return_exceptions=True)
        assert {type(end) for end in ends} <= {list, EngineLost}


async def test_many_first_commands_over_tls_take_no_longer_than_they_may(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    files = ["--tls-cert-file", f"{tmp_path}/cert.pem", "--tls-key-file", f"{tmp_path}/key.pem"]
    more = ["--tls-ca-cert-file", f"{tmp_path}/ca.pem", "--tls-auth-clients", "no", "--bind", "127.0.0.1"]
    server = EngineServer("redis", "--tls-port", str(port), *files, *more)
    engine = Engine(f"rediss://localhost:{port}/0?ssl_ca_certs={tmp_path}/ca.pem")
    await engine.open()
    assert len(await asyncio.gather(*(engine.run("return 1", [], []) for _ in range(100)))) == 100
    assert engine.is_live
    await engine.aclose()
    server.end()
