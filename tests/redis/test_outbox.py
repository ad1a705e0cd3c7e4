"""What a process tells the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from chamelaion_async.redis.account import Account
from chamelaion_async.redis.engine import Argument, Engine
from chamelaion_async.redis.messages import Kind
from chamelaion_async.redis.outbox import BEAT, SEEN, Outbox
from tests.redis.processes import eventually
from tests.support.engines import EngineServer


class Told:
    """Keeps what the outbox reports."""

    def __init__(self) -> None:
        self.processes: list[int | None] = []
        self.held: list[str] = []

    def held_keys(self) -> list[str]:
        return self.held

    def on_told(self, processes: int | None) -> None:
        self.processes.append(processes)


@pytest.fixture
async def own_engine(own_server: EngineServer) -> AsyncIterator[Engine]:
    made = Engine(own_server.url)
    await made.open()
    yield made
    await made.aclose()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def outbox(own_engine: Engine, told: Told) -> AsyncIterator[Outbox]:
    made = Outbox(own_engine, Account.of("https://api", b"key"), b"process1", told)
    yield made
    await made.aclose()


@pytest.fixture
def commands(own_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[list[Argument]]:
    """The arguments of each command that is sent."""
    run, made = own_engine.run, list[list[Argument]]()

    async def count(script: str, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        made.append([*args])
        return await run(script, keys, args)

    monkeypatch.setattr(own_engine, "run", count)
    return made


async def test_presence_is_told_at_once_and_then_every_half_second(outbox: Outbox, told: Told) -> None:
    outbox.start()
    await eventually(lambda: told.processes == [1])
    assert BEAT * 0.9 < await eventually(lambda: told.processes == [1, 1]) < BEAT * 1.2
    assert BEAT * 4 < SEEN


async def test_messages_of_one_turn_go_out_in_one_command(outbox: Outbox, commands: list[list[Argument]]) -> None:
    outbox.start()
    await eventually(lambda: len(commands) == 1)
    for n in range(30):
        outbox.send(Kind.NUDGE, str(n))
    await eventually(lambda: len(commands) == 2)
    assert len(commands[1]) == 5 + 30
    await asyncio.sleep(0.02)
    assert len(commands) == 2


async def test_two_pulses_follow_the_last_message(
    outbox: Outbox, commands: list[list[Argument]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chamelaion_async.redis.outbox.BEAT", 0.02)
    outbox.send(Kind.NUDGE, "dub-42")
    outbox.start()
    await eventually(lambda: len(commands) == 5)
    assert [len(command) - 5 for command in commands] == [1, 1, 1, 0, 0]


async def test_an_ended_claim_is_deleted_after_all_messages(
    outbox: Outbox, own_engine: Engine, own_server: EngineServer, told: Told
) -> None:
    await own_engine.run("redis.call('SET', KEYS[1], 'process1')", ["claim"], [])
    await own_engine.run("redis.call('SET', KEYS[1], 'another')", ["theirs"], [])
    for n in range(150):
        outbox.send(Kind.NUDGE, str(n))
    outbox.end_claim("claim")
    outbox.end_claim("theirs")
    assert await outbox._tell()
    assert own_server.ask("EXISTS claim") == b":1\r\n"
    assert await outbox._tell()
    assert own_server.ask("EXISTS claim") == b":0\r\n"
    assert own_server.ask("EXISTS theirs") == b":1\r\n"


async def test_only_an_own_claim_is_renewed(
    outbox: Outbox, own_engine: Engine, own_server: EngineServer, told: Told
) -> None:
    for key, value in (("ours", "process1"), ("theirs", "another")):
        await own_engine.run("redis.call('SET', KEYS[1], ARGV[1], 'PX', 1000)", [key], [value])
    told.held = ["ours", "theirs", "gone"]
    assert await outbox._tell()
    assert int(own_server.ask("PTTL ours")[1:]) > 1000
    assert int(own_server.ask("PTTL theirs")[1:]) <= 1000
    assert own_server.ask("EXISTS gone") == b":0\r\n"


async def test_an_engine_that_is_gone_is_not_told_all_the_time(
    outbox: Outbox, own_server: EngineServer, told: Told, commands: list[list[Argument]]
) -> None:
    outbox.start()
    await eventually(lambda: told.processes == [1])
    own_server.kill()
    for _ in range(50):
        outbox.send(Kind.NUDGE, "dub-42")
        await asyncio.sleep(0.01)
    assert told.processes[1:] == [None]
    assert len(commands) == 2
    assert len(outbox._messages) <= 50


async def test_a_process_that_leaves_says_so(outbox: Outbox, own_server: EngineServer, told: Told) -> None:
    outbox.start()
    await eventually(lambda: told.processes == [1])
    presence = Account.of("https://api", b"key").presence
    assert own_server.ask(f"ZCARD {presence}") == b":1\r\n"
    await outbox.aclose()
    assert own_server.ask(f"ZCARD {presence}") == b":0\r\n"


async def test_what_waits_is_sent_before_it_ends(outbox: Outbox, commands: list[list[Argument]]) -> None:
    outbox.start()
    for n in range(250):
        outbox.send(Kind.NUDGE, str(n))
    await outbox.aclose()
    assert [len(command) - 5 for command in commands if len(command) > 5] == [100, 100, 50]


@pytest.mark.parametrize("off", [-3600, 3600])
async def test_a_presence_of_another_time_is_not_counted(
    outbox: Outbox, own_server: EngineServer, told: Told, off: int
) -> None:
    seconds = int(own_server.ask("TIME").split(b"\r\n")[2])
    own_server.ask(f"ZADD {Account.of('https://api', b'key').presence} {(seconds + off) * 1000} dead")
    await outbox._tell()
    assert told.processes == [1]
