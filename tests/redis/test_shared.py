"""Opening and closing: nothing is left behind, and what cannot work is an error at once."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chamelaion_async import ConfigurationError
from chamelaion_async.redis import RedisShared
from chamelaion_async.sharing import Membership, Shared
from tests.redis.processes import BASE_URL, Processes, eventually
from tests.support.engines import EngineServer


def sockets() -> int:
    """Return how many sockets this process has open."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(str(link.readlink()).startswith("socket:") for link in links)


@pytest.fixture
def _no_socket_is_left() -> Iterator[None]:
    yield
    gc.collect()  # a connection that is dropped open warns, and warnings are errors


def join(shared: RedisShared) -> Membership:
    return shared.join(base_url=BASE_URL, credentials=b"key", max_rate=None)


async def test_it_is_what_a_client_takes(server: EngineServer) -> None:
    async with RedisShared(server.url) as opened:
        shared: Shared = opened
        member = shared.join(base_url=BASE_URL, credentials=b"key", max_rate=None)
        member.close()


def test_a_wrong_url_is_an_error_when_it_is_made() -> None:
    with pytest.raises(ConfigurationError, match="needs a URL such as"):
        RedisShared("cache:6379")


def test_the_repr_shows_where_the_engine_is_and_no_password() -> None:
    assert repr(RedisShared("redis://user:geheim@cache:7000/1")) == "<RedisShared at cache:7000>"


@pytest.mark.usefixtures("_no_socket_is_left")
async def test_closing_leaves_no_task_and_no_socket(server: EngineServer) -> None:
    before = sockets()
    shared = RedisShared(server.url)
    async with shared:
        member = join(shared)
        await eventually(lambda: next(iter(shared._replicas.values()))._is_connected)
        assert await asyncio.gather(*(member.claim(str(n)) for n in range(20)))
        assert sockets() > before
    await shared.aclose()
    assert sockets() == before
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not member.peers
    assert await member.claim("GET 1")
    member.publish("GET 1", b"{}", 0.0)
    member.nudge("dub-42")
    member.close()


async def test_closing_while_the_engine_is_stopped_takes_a_second_at_most(
    own_processes: Processes, own_server: EngineServer
) -> None:
    before = sockets()
    a, _ = await own_processes.start_together(2)
    assert await a.member.claim("GET 1")
    own_server.pause()
    loop = asyncio.get_running_loop()
    began = loop.time()
    a.member.release("GET 1")
    await asyncio.gather(*(shared.aclose() for shared in own_processes.made))
    assert loop.time() - began < 1.0
    assert sockets() == before


async def test_a_close_that_is_cancelled_leaves_nothing(own_processes: Processes, own_server: EngineServer) -> None:
    before = sockets()
    await own_processes.start_together(2)
    own_server.pause()
    for shared in own_processes.made:
        closing = asyncio.create_task(shared.aclose())
        await asyncio.sleep(0.02)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
    await asyncio.sleep(0)
    assert sockets() == before
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("after", [0, 0.001, 0.003, 0.01])
async def test_a_cancelled_start_leaves_nothing(server: EngineServer, after: float) -> None:
    before = sockets()
    shared = RedisShared(server.url)
    opening = asyncio.create_task(shared.__aenter__())
    await asyncio.sleep(after)
    opening.cancel()
    await asyncio.wait([opening])
    if not opening.cancelled():
        await shared.aclose()
    else:
        with pytest.raises(ConfigurationError, match="opened before"):
            await shared.__aenter__()
    assert sockets() == before
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_start_that_is_refused_leaves_nothing(own_server: EngineServer) -> None:
    before = sockets()
    own_server.ask("CONFIG SET requirepass geheim")
    with pytest.raises(ConfigurationError, match="refused the credentials"):
        async with RedisShared(f"{own_server.url}?password=wrong"):
            pass
    assert sockets() == before
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_it_is_opened_once(server: EngineServer) -> None:
    shared = RedisShared(server.url)
    with pytest.raises(ConfigurationError, match="is not open; use `async with RedisShared"):
        join(shared)
    async with shared:
        with pytest.raises(ConfigurationError, match="was opened before; make a new one"):
            await shared.__aenter__()
    with pytest.raises(ConfigurationError, match="is not open"):
        join(shared)
    with pytest.raises(ConfigurationError, match="was opened before"):
        await shared.__aenter__()


async def test_what_was_never_opened_is_closed_without_an_error(server: EngineServer) -> None:
    await RedisShared(server.url).aclose()


async def test_it_stays_in_its_loop(server: EngineServer) -> None:
    errors: list[str] = []

    async def use(shared: RedisShared) -> None:
        for call in (shared.aclose(), shared.__aenter__()):
            with pytest.raises(ConfigurationError) as caught:
                await call
            errors.append(str(caught.value))
        with pytest.raises(ConfigurationError) as caught:
            join(shared)
        errors.append(str(caught.value))

    def without_a_loop(shared: RedisShared) -> None:
        with pytest.raises(ConfigurationError) as caught:
            join(shared)
        errors.append(str(caught.value))

    async with RedisShared(server.url) as shared:
        for target in (lambda: asyncio.run(use(shared)), lambda: without_a_loop(shared)):
            thread = threading.Thread(target=target)
            thread.start()
            await asyncio.to_thread(thread.join)
        join(shared).close()
    assert ["belongs to another event loop" in error for error in errors] == [True, False, True, True]
    assert "was opened before" in errors[1]


async def test_an_account_without_clients_is_told_no_longer(processes: Processes, server: EngineServer) -> None:
    a, b = await processes.start_together(2)
    a.member.close()
    await eventually(lambda: not a.shared._leaving)
    assert a.shared._replicas == {}
    assert b.member is not None
    channel = next(iter(b.shared._replicas.values()))._account.channel
    await eventually(lambda: b":1\r\n" in server.ask(f"PUBSUB NUMSUB {channel}"))


async def test_one_serves_many_clients_and_accounts(processes: Processes) -> None:
    a = await processes.start()
    more = [processes.join(a.shared) for _ in range(3)]
    other = a.shared.join(base_url=BASE_URL, credentials=b"other", max_rate=None)
    assert len(a.shared._replicas) == 2
    for client in (*more, a):
        client.member.close()
    assert len(a.shared._replicas) == 1
    other.close()


async def test_the_engine_holds_leases_and_presence_only(own_processes: Processes, own_server: EngineServer) -> None:
    a, b = await own_processes.start_together(2)
    assert await a.member.claim("GET dub-of-jane")
    a.member.publish("GET other", b'{"reference_id": "dub-of-jane"}', 0.0)
    await eventually(lambda: bool(b.heard.answers))
    keys = own_server.ask("KEYS *")
    assert keys.count(b"{chamelaion:") == keys.count(b"$")
    assert b"jane" not in keys
    for key in (line for line in keys.split(b"\r\n") if line.startswith(b"{")):
        assert int(own_server.ask(f"PTTL {key.decode()}")[1:]) > 0  # all of it ends by itself


@pytest.mark.parametrize(
    ("missing", "said"),
    [("redis", "pip install 'chamelaion-async[redis]'"), ("attr", "import of attr halted")],
)
def test_without_the_extra_the_import_says_what_to_install(missing: str, said: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import chamelaion_async.redis"
    answer = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert said in answer.stderr


async def test_a_caller_that_waits_for_a_permit_goes_on_alone_when_it_is_closed(processes: Processes) -> None:
    a = await processes.start()
    slow = a.shared.join(base_url=BASE_URL, credentials=processes.credentials, max_rate=4.0)
    waiting = [asyncio.create_task(slow.budget.acquire("status")) for _ in range(3)]
    await waiting[0]
    await a.shared.aclose()
    async with asyncio.timeout(1.0):
        await asyncio.gather(*waiting)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_caller_that_waits_for_a_permit_may_be_cancelled_while_it_is_closed(processes: Processes) -> None:
    a = await processes.start()
    slow = a.shared.join(base_url=BASE_URL, credentials=processes.credentials, max_rate=0.5)
    waiting = [asyncio.create_task(slow.budget.acquire("status")) for _ in range(3)]
    await waiting[0]
    closing = asyncio.create_task(a.shared.aclose())
    await asyncio.sleep(0)
    for task in waiting[1:]:
        task.cancel()
    await asyncio.wait([*waiting, closing])
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
