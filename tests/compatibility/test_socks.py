"""aiohttp-socks: calls go through a SOCKS proxy, and its errors are errors of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import attrs
import pytest
from aiohttp_socks import ProxyConnector

from chamelaion_async import APIConnectionError, AsyncClient, PollPolicy, RetryPolicy, WaitUnreachableError
from chamelaion_async.sandbox import Sandbox
from tests.support.raw_server import serve

ONCE = RetryPolicy(attempts=1)


@attrs.define
class Socks5:
    """A SOCKS 5 proxy (RFC 1928) without authentication that connects, refuses with a reply or never answers."""

    reply: int | None = 0
    asked: int = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        self.asked += 1
        if self.reply is None:
            await asyncio.get_running_loop().create_future()
        writer.write(b"\x05\x00")
        _, _, _, kind = await reader.readexactly(4)
        length = 4 if kind == 1 else (await reader.readexactly(1))[0]
        address, port = await reader.readexactly(length), int.from_bytes(await reader.readexactly(2), "big")
        writer.write(bytes([5, self.reply or 0, 0, 1, 0, 0, 0, 0, 0, 0]))
        if self.reply:
            return
        host = ".".join(map(str, address)) if kind == 1 else address.decode()
        there, back = await asyncio.open_connection(host, port)
        try:
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        finally:
            back.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def behind(proxy: Socks5 | None, sandbox: Sandbox, **settings: object) -> AsyncIterator[AsyncClient]:
    """A client behind a SOCKS proxy; None for one at an address where nothing listens."""
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serve(proxy or Socks5()))
        if proxy is None:
            await stack.aclose()
        connector = ProxyConnector.from_url(f"socks5://127.0.0.1:{port}")
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        client = AsyncClient("sk-key", base_url=sandbox.base_url, session=session, **settings)  # type: ignore[arg-type] # whatever a test passes
        yield await stack.enter_async_context(client)


async def test_calls_go_through_the_proxy(sandbox: Sandbox) -> None:
    proxy = Socks5()
    async with behind(proxy, sandbox) as client:
        assert (await client.users.me()).name == "production-key"

    assert (proxy.asked, sandbox.count()) == (1, 1)


PROXIES = {"that cannot be reached": None, "that refuses": 2, "whose target is unreachable": 5}


@pytest.mark.parametrize("reply", PROXIES.values(), ids=PROXIES)
async def test_a_proxy_that_makes_no_connection_means_that_nothing_was_sent(
    sandbox: Sandbox, reply: int | None
) -> None:
    proxy = None if reply is None else Socks5(reply)
    async with behind(proxy, sandbox, retry=ONCE) as client:
        with pytest.raises(APIConnectionError, match=r"Proxy.*it was not sent") as caught:
            await client.lipsync.generate(video="https://cdn.test/42.mp4", audio="https://cdn.test/42.wav")

    assert (caught.value.sent, sandbox.count()) == ("no", 0)


async def test_a_proxy_that_is_silent_means_that_nothing_was_sent(sandbox: Sandbox) -> None:
    async with behind(Socks5(None), sandbox, retry=ONCE, timeout=0.1) as client:
        with pytest.raises(APIConnectionError) as caught:
            await client.lipsync.generate(video="https://cdn.test/42.mp4", audio="https://cdn.test/42.wav")

    assert caught.value.sent == "no"


async def test_a_wait_rides_out_a_proxy_that_refuses(sandbox: Sandbox) -> None:
    proxy = Socks5(1)
    policy = PollPolicy(min_interval=0.01, max_interval=0.01)

    async def recover() -> None:
        while proxy.asked < 3:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)
        proxy.reply = 0

    async with behind(proxy, sandbox, polling=policy) as client, asyncio.TaskGroup() as group:
        group.create_task(recover())
        assert (await client.wait_until_finished("dub-episode-42", timeout=30)).is_completed


async def test_a_wait_gives_up_on_a_proxy_that_refuses_after_its_budget(sandbox: Sandbox) -> None:
    async with behind(Socks5(1), sandbox, polling=PollPolicy(outage_budget=0)) as client:
        with pytest.raises(WaitUnreachableError, match="ProxyError"):
            await client.wait_until_finished("dub-episode-42")
