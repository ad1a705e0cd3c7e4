"""The subscription to all channels, on one connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chamelaion_async.redis.engine import Engine, Subscription
from chamelaion_async.redis.engine import subscription as subscription_module
from tests.redis.processes import eventually
from tests.support.engines import EngineServer


class Heard:
    """A subscriber that keeps what it receives."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_message(self, data: bytes) -> None:
        self.events.append(data)

    def on_subscribed(self) -> None:
        self.events.append("subscribed")

    def on_unsubscribed(self) -> None:
        self.events.append("unsubscribed")


@pytest.fixture
async def own_engine(own_server: EngineServer) -> AsyncIterator[Engine]:
    made = Engine(own_server.url)
    await made.open()
    yield made
    await made.aclose()


@pytest.fixture
async def subscription(own_engine: Engine) -> AsyncIterator[Subscription]:
    made = Subscription(own_engine)
    made.start()
    yield made
    await made.aclose()


async def test_a_channel_is_heard_from_when_it_says_so(subscription: Subscription, own_server: EngineServer) -> None:
    heard = Heard()
    subscription.add("channel", heard)
    await eventually(lambda: heard.events == ["subscribed"])
    own_server.ask("PUBLISH channel one")
    own_server.ask("PUBLISH other two")
    own_server.ask("PUBLISH channel three")
    await eventually(lambda: heard.events == ["subscribed", b"one", b"three"])


async def test_a_channel_that_is_removed_is_heard_no_longer(
    subscription: Subscription, own_server: EngineServer
) -> None:
    first, second = Heard(), Heard()
    subscription.add("first", first)
    subscription.add("second", second)
    await eventually(lambda: bool(first.events and second.events))
    subscription.remove("first", first)
    await eventually(lambda: own_server.ask("PUBSUB NUMSUB first").endswith(b":0\r\n"))
    own_server.ask("PUBLISH second one")
    await eventually(lambda: second.events == ["subscribed", b"one"])


async def test_a_new_subscriber_of_the_same_channel_is_told_too(subscription: Subscription) -> None:
    first, second = Heard(), Heard()
    subscription.add("channel", first)
    await eventually(lambda: first.events == ["subscribed"])
    subscription.add("channel", second)
    subscription.remove("channel", first)
    await eventually(lambda: second.events == ["subscribed"])


async def test_a_connection_that_is_silent_is_given_up(
    own_engine: Engine, own_server: EngineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription_module, "PING", 0.05)
    subscription = Subscription(own_engine)
    subscription.start()
    heard = Heard()
    subscription.add("channel", heard)
    await eventually(lambda: heard.events == ["subscribed"])
    monkeypatch.setattr(subscription_module, "_CONNECT_LIMIT", 0.1)
    own_server.pause()
    await eventually(lambda: heard.events == ["subscribed", "unsubscribed"])
    own_server.resume()
    await eventually(lambda: heard.events[-1] == "subscribed", within=2.0)
    await subscription.aclose()


async def test_an_idle_connection_is_kept(own_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription_module, "PING", 0.03)
    monkeypatch.setattr(subscription_module, "_CONNECT_LIMIT", 0.1)
    subscription = Subscription(own_engine)
    subscription.start()
    heard = Heard()
    subscription.add("channel", heard)
    await asyncio.sleep(0.4)
    assert heard.events == ["subscribed"]
    await subscription.aclose()


async def test_a_refused_subscription_is_warned_of_once(
    own_server: EngineServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription_module, "PING", 0.02)
    own_server.ask("ACL SETUSER dubs on >p ~* &* +@all -subscribe")
    engine = Engine(f"{own_server.url}?username=dubs&password=p")
    await engine.open()
    subscription = Subscription(engine)
    subscription.start()
    heard = Heard()
    subscription.add("channel", heard)
    await eventually(lambda: len(heard.events) > 2)
    assert set(heard.events) == {"unsubscribed"}
    assert ["the subscription was refused" in text for text in caplog.messages] == [True]
    own_server.ask("ACL SETUSER dubs +subscribe")
    await eventually(lambda: heard.events[-1] == "subscribed")
    await subscription.aclose()
    await engine.aclose()


async def test_connections_that_end_at_once_are_not_made_in_a_row(
    subscription: Subscription, own_server: EngineServer
) -> None:
    heard = Heard()
    subscription.add("channel", heard)
    for _ in range(20):
        own_server.ask("CLIENT KILL TYPE pubsub")
        await asyncio.sleep(0.01)
    assert len(heard.events) <= 2


async def test_a_message_that_cannot_be_taken_leaves_the_others_their_messages(
    subscription: Subscription,
    own_server: EngineServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subscription_module, "PING", 0.1)

    class Broken(Heard):
        def on_message(self, data: bytes) -> None:
            raise LookupError(data)

    broken, heard = Broken(), Heard()
    subscription.add("broken", broken)
    subscription.add("channel", heard)
    await eventually(lambda: bool(broken.events and heard.events))
    own_server.ask("PUBLISH broken one")
    await eventually(lambda: heard.events == ["subscribed", "unsubscribed", "subscribed"], within=2.0)
    own_server.ask("PUBLISH channel two")
    await eventually(lambda: heard.events[-1] == b"two")
    assert ["the subscription failed: LookupError" in text for text in caplog.messages] == [True]
