"""What is refused at the start, with what to do about it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from chamelaion_async import ConfigurationError
from chamelaion_async.redis.engine import Engine, startup
from tests.support.engines import ENGINES, EngineServer
from tests.support.raw_server import serve


@pytest.fixture(params=ENGINES)
def own_server(request: pytest.FixtureRequest) -> Iterator[EngineServer]:
    """Each engine, since each words its refusals in its own way."""
    made = EngineServer(request.param)
    yield made
    made.resume()
    made.end()


async def refusal(url: str) -> str:
    """Open an engine that cannot be used, and return what is said."""
    with pytest.raises(ConfigurationError) as caught:
        await Engine(url).open()
    return str(caught.value)


async def test_each_engine_is_accepted(server: EngineServer) -> None:
    engine = Engine(server.url)
    await engine.open()
    assert engine.is_live
    await engine.aclose()


async def test_nothing_listens(tmp_path: Path) -> None:
    said = await refusal(f"unix://{tmp_path}/none")
    assert f"{tmp_path}/none cannot be used" in said
    assert "check the URL of RedisShared and that the server runs" in said


async def test_no_such_host() -> None:
    assert "none.invalid:6379 cannot be used" in await refusal("redis://none.invalid")


async def test_a_server_that_does_not_answer(own_server: EngineServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "START_LIMIT", 0.1)
    own_server.pause()
    assert "did not answer in 0 s; check the URL" in await refusal(own_server.url)


@pytest.mark.parametrize(
    ("commands", "url_options", "said"),
    [
        (["CONFIG SET requirepass geheim"], "", "refused the credentials (Authentication required.)"),
        (["CONFIG SET requirepass geheim"], "?password=wrong", "refused the credentials (invalid"),
        (
            ["ACL SETUSER dubs on >p ~* &* +@all -publish"],
            "?username=dubs&password=p",
            "its user needs ~{chamelaion:* &{chamelaion:*",
        ),
        (["ACL SETUSER dubs on >p ~other:* &* +@all"], "?username=dubs&password=p", "its user needs ~"),
        (["ACL SETUSER dubs on >p ~* &other:* +@all"], "?username=dubs&password=p", "its user needs ~"),
        (["REPLICAOF 127.0.0.1 1"], "", "is a replica, which is only read; give RedisShared the URL of the primary"),
        (["CONFIG SET maxmemory 1"], "", "refuses what RedisShared needs"),
    ],
)
async def test_a_server_that_refuses(
    own_server: EngineServer, commands: list[str], url_options: str, said: str
) -> None:
    for command in commands:
        assert own_server.ask(command) == b"+OK\r\n"
    assert said in await refusal(own_server.url + url_options)


async def test_the_user_that_the_message_asks_for_is_enough(own_server: EngineServer) -> None:
    rights = startup._RIGHTS.partition("needs ")[2].replace(" and ", " ")
    assert own_server.ask(f"ACL SETUSER dubs on >p {rights}") == b"+OK\r\n"
    engine = Engine(f"{own_server.url}?username=dubs&password=p")
    await engine.open()
    await engine.aclose()


async def test_a_replica_without_the_right_to_info_is_noticed_by_writing(own_server: EngineServer) -> None:
    own_server.ask("ACL SETUSER dubs on >p ~* &* +@all -info")
    own_server.ask("REPLICAOF 127.0.0.1 1")
    assert "is a replica" in await refusal(f"{own_server.url}?username=dubs&password=p")


async def test_a_node_of_a_cluster() -> None:
    node = EngineServer("redis", "--cluster-enabled", "yes")
    assert "is a node of a cluster" in await refusal(node.url)
    node.ask("ACL SETUSER dubs on >p ~* &* +@all -info")
    assert "is a node of a cluster" in await refusal(f"{node.url}?username=dubs&password=p")
    node.end()


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ("redis_version:6.2.14\r\n", "runs Redis 6.2.14; RedisShared needs Redis 7.0 or Valkey 7.2, or newer"),
        ("redis_version:7.2.4\r\nvalkey_version:7.1.0\r\n", "runs Valkey 7.1.0"),
        ("redis_version:unstable\r\n", "runs Redis unstable"),
        ("server_name:other\r\n", "runs Redis of an unknown version"),
    ],
)
async def test_a_server_that_is_too_old(info: str, said: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"INFO\r\n")
        writer.write(f"${len(info)}\r\n{info}\r\n".encode())
        await writer.drain()

    async with serve(talk) as port:
        assert said in await refusal(f"redis://127.0.0.1:{port}")


async def test_a_server_that_still_loads() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"INFO\r\n")
        writer.write(b"-LOADING Redis is loading the dataset in memory\r\n")
        await writer.drain()

    async with serve(talk) as port:
        assert "still loads its data; start again" in await refusal(f"redis://127.0.0.1:{port}")


async def test_something_that_is_no_redis() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with serve(talk) as port:
        assert "cannot be used" in await refusal(f"redis://127.0.0.1:{port}")


async def test_a_cancelled_start_leaves_nothing(own_server: EngineServer) -> None:
    own_server.pause()
    engine = Engine(own_server.url)
    opening = asyncio.create_task(engine.open())
    await asyncio.sleep(0.02)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert engine._redis is None
    assert not engine.is_live
