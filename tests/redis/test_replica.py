"""Several processes on one account: claims, messages, presence, and what they do when the engine fails."""

from __future__ import annotations

import asyncio
import secrets
import time

import pytest

from chamelaion_async.redis.account import Account
from chamelaion_async.redis.messages import Kind, Message
from chamelaion_async.redis.replica import Replica
from tests.redis.processes import BASE_URL, Process, Processes, eventually
from tests.support.engines import EngineServer


def replica_of(process: Process) -> Replica:
    return next(iter(process.shared._replicas.values()))


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_process_without_others_is_alone_and_claims_nothing(
    processes: Processes, server: EngineServer
) -> None:
    only = await processes.start()
    await eventually(lambda: replica_of(only)._is_connected)
    assert not only.member.peers
    assert await only.member.claim("GET 1")
    assert replica_of(only).held_keys() == []


async def test_processes_find_each_other_at_once(processes: Processes) -> None:
    four = [await processes.start() for _ in range(4)]
    assert await processes.together(four) < 0.3
    await eventually(lambda: {replica_of(one).processes for one in four} == {4})


async def test_an_answer_reaches_the_others_and_ends_the_claim(processes: Processes) -> None:
    a, b, c = await processes.start_together(3)
    assert await a.member.claim("GET 1")
    assert not await b.member.claim("GET 1")
    a.member.publish("GET 1", b'{"id": "1"}', now())
    await eventually(lambda: bool(b.heard.answers and c.heard.answers))
    assert b.heard.answers == c.heard.answers == [("GET 1", b'{"id": "1"}')]
    assert a.heard.answers == []
    assert await b.member.claim("GET 1")


async def test_an_answer_without_a_claim_is_sent_too(processes: Processes) -> None:
    a, b = await processes.start_together(2)
    a.member.publish("GET 1", b"{}", now())
    await eventually(lambda: b.heard.answers == [("GET 1", b"{}")])


async def test_when_a_read_began_is_never_told_later_than_it_was(processes: Processes) -> None:
    a, b = await processes.start_together(2)
    began = now() - 0.2
    a.member.publish("GET 1", b"{}", began)
    await eventually(lambda: bool(b.heard.began))
    assert began - 0.1 < b.heard.began[0] <= began


async def test_a_clock_of_the_engine_that_was_set_back_makes_no_answer_younger(processes: Processes) -> None:
    a, b = await processes.start_together(2)
    await eventually(lambda: not replica_of(a)._outbox._messages)
    clock = a.shared._engine.clock
    clock.note(now(), now(), clock.stamp(now()) + 3.0)  # what this process knows is of before
    began = now() - 0.2
    a.member.publish("GET 1", b"{}", began)
    await eventually(lambda: bool(b.heard.began))
    assert began - 0.05 < b.heard.began[0] < began + 0.05


async def test_a_release_lets_another_read(processes: Processes) -> None:
    a, b = await processes.start_together(2)
    assert await a.member.claim("GET 1")
    assert not await b.member.claim("GET 1")
    a.member.release("GET 1")
    await eventually(lambda: b.heard.answers == [("GET 1", None)])
    assert await b.member.claim("GET 1")
    assert not await a.member.claim("GET 1")


async def test_releasing_what_was_not_claimed_tells_no_one(processes: Processes) -> None:
    a, b = await processes.start_together(2)
    a.member.release("GET 1")
    a.member.nudge("after")
    await eventually(lambda: b.heard.nudges == ["after"])
    assert b.heard.answers == []


async def test_a_nudge_reaches_the_others(processes: Processes) -> None:
    a, b, c = await processes.start_together(3)
    a.member.nudge("dub-42")
    await eventually(lambda: b.heard.nudges == c.heard.nudges == ["dub-42"])
    assert a.heard.nudges == []


async def test_messages_come_in_the_order_in_which_they_were_sent(processes: Processes) -> None:
    a, b = await processes.start_together(2)
    for n in range(500):
        a.member.publish(f"GET {n}", b"{}" * 50, now())
        if n % 50 == 0:
            await asyncio.sleep(0)
    await eventually(lambda: len(b.heard.answers) == 500)
    assert [reading for reading, _ in b.heard.answers] == [f"GET {n}" for n in range(500)]
    assert b.heard.losses == 0


async def test_a_claim_that_is_held_is_renewed(own_processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chamelaion_async.redis.claims.LEASE", 0.3)
    monkeypatch.setattr("chamelaion_async.redis.outbox._LEASE_MS", 300)
    monkeypatch.setattr("chamelaion_async.redis.outbox.BEAT", 0.1)
    a, b = await own_processes.start_together(2)
    assert await a.member.claim("GET 1")
    await asyncio.sleep(0.6)
    assert not await b.member.claim("GET 1")


async def test_the_claim_of_a_process_that_has_died_ends_with_its_lease(
    own_processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chamelaion_async.redis.claims.LEASE", 0.3)
    a, b = await own_processes.start_together(2)
    assert await a.member.claim("GET 1")
    replica_of(a)._outbox._task.cancel()  # type: ignore[union-attr]  # as if it were killed
    assert not await b.member.claim("GET 1")
    await asyncio.sleep(0.35)
    assert await b.member.claim("GET 1")


async def test_a_process_that_ends_leaves_no_claim_and_is_counted_no_longer(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chamelaion_async.redis.replica.SEEN", 0.0)
    a, b = await processes.start_together(2)
    assert await a.member.claim("GET 1")
    a.member.close()
    await a.shared.aclose()
    await eventually(lambda: b.heard.answers == [("GET 1", None)])
    await eventually(lambda: not b.member.peers)
    assert replica_of(b).processes == 1


async def test_clients_of_one_process_hear_each_other_without_the_engine(processes: Processes) -> None:
    a = await processes.start()
    b = processes.join(a.shared)
    assert a.member.peers
    assert await a.member.claim("GET 1")
    assert not await b.member.claim("GET 1")
    began = now()
    a.member.publish("GET 1", b"{}", began)
    a.member.nudge("dub-42")
    assert b.heard.answers == []  # not from within publish
    await asyncio.sleep(0)
    assert (b.heard.answers, b.heard.began, b.heard.nudges) == ([("GET 1", b"{}")], [began], ["dub-42"])
    assert (a.heard.answers, a.heard.nudges) == ([], [])
    b.member.close()
    assert not a.member.peers


async def test_accounts_hear_nothing_of_each_other(processes: Processes) -> None:
    a, b = await processes.start_together(2)
    other = a.shared.join(base_url=BASE_URL, credentials=b"another account", max_rate=None)
    other.nudge("theirs")
    a.member.nudge("ours")
    await eventually(lambda: b.heard.nudges == ["ours"])
    assert not other.peers
    other.close()


async def test_an_account_that_is_joined_again_is_heard(processes: Processes) -> None:
    a, b = await processes.start_together(2)
    a.member.close()
    again = processes.join(a.shared)
    await processes.together([again, b])
    b.member.nudge("dub-42")
    await eventually(lambda: again.heard.nudges == ["dub-42"])


# The rate.


async def test_a_429_of_one_process_is_known_to_the_others_at_once(processes: Processes) -> None:
    a, b = await processes.start_together(2)
    assert not b.member.budget.is_throttled("status")
    await b.member.budget.acquire("status")
    a.member.budget.throttled("status", 5.0, 10)
    assert await eventually(lambda: b.member.budget.is_throttled("status")) < 0.2
    assert not b.member.budget.is_throttled("generation")


async def test_a_429_closes_the_lane_for_all_clients_of_a_process(
    processes: Processes,
) -> None:
    a = await processes.start()
    b = a.shared.join(base_url=BASE_URL, credentials=processes.credentials, max_rate=50.0)
    await b.budget.acquire("status")
    await a.member.budget.acquire("status")
    b.budget.throttled("status", 5.0, 10)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(a.member.budget.acquire("status"), 0.3)
    assert a.member.budget.is_throttled("status")


async def test_the_clients_of_one_process_with_one_bound_have_one_budget(processes: Processes) -> None:
    a = await processes.start()
    assert processes.join(a.shared).member.budget is a.member.budget


async def test_a_message_about_a_lane_that_is_not_known_is_ignored(processes: Processes) -> None:
    a, b = await processes.start_together(2)
    replica_of(a)._outbox.send(Kind.THROTTLED, "another")
    a.member.nudge("after")
    await eventually(lambda: b.heard.nudges == ["after"])


# What fails.


async def test_a_lost_message_is_noticed_by_the_next_one(processes: Processes) -> None:
    a, b = await processes.start_together(2)
    a.member.nudge("1")
    await eventually(lambda: b.heard.nudges == ["1"])
    replica_of(a)._outbox._number += 1  # one that went astray
    a.member.nudge("3")
    await eventually(lambda: b.heard.losses == 1)
    assert b.heard.nudges == ["1", "3"]


async def test_the_loss_of_the_last_message_is_noticed_by_a_pulse(processes: Processes) -> None:
    a, b = await processes.start_together(2)
    a.member.nudge("1")
    await eventually(lambda: b.heard.nudges == ["1"])
    replica_of(a)._outbox._number += 1
    assert await eventually(lambda: b.heard.losses == 1) < 0.7


async def test_one_message_in_ten_dropped_is_one_loss_told_for_each(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = await processes.start_together(2)
    hear, dropped = replica_of(b).on_message, [0]
    subscriber = b.shared._subscription._wanted[replica_of(b)._account.channel.encode()]

    def drop(data: bytes) -> None:
        message = replica_of(b)._account.seal.unpack(data)
        if message is not None and message.kind is Kind.NUDGE and message.number % 10 == 0:
            dropped[0] += 1
        else:
            hear(data)

    monkeypatch.setattr(subscriber, "on_message", drop)
    for n in range(100):
        a.member.nudge(str(n))
        await asyncio.sleep(0)
    await eventually(lambda: len(b.heard.nudges) + dropped[0] == 100 and b.heard.losses == dropped[0], within=2.0)
    assert dropped[0] == 10


async def test_all_dropped_subscriptions_are_made_again_and_a_loss_is_told(
    own_processes: Processes, own_server: EngineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chamelaion_async.redis.engine.subscription.PING", 0.1)
    a, b = await own_processes.start_together(2)
    await asyncio.sleep(0.15)  # a connection that fails at once is not made again at once
    own_server.ask("CLIENT KILL TYPE pubsub")
    await eventually(lambda: a.heard.losses == b.heard.losses == 1, within=0.5)
    await own_processes.together([a, b], within=0.5)
    a.member.nudge("dub-42")
    await eventually(lambda: b.heard.nudges == ["dub-42"])


@pytest.mark.parametrize("way", ["killed", "stopped"])
async def test_without_the_engine_each_goes_on_alone_and_comes_back_by_itself(
    own_processes: Processes, own_server: EngineServer, way: str
) -> None:
    a, b = await own_processes.start_together(2)
    assert await a.member.claim("GET 1")
    own_server.kill() if way == "killed" else own_server.pause()
    await eventually(lambda: not a.member.peers and not b.member.peers)
    await eventually(lambda: a.heard.losses == b.heard.losses == 1)
    assert replica_of(a).processes == 2  # for the part of the rate
    began = now()
    assert await b.member.claim("GET 1")
    a.member.publish("GET 1", b"{}", began)
    b.member.release("GET 1")
    a.member.nudge("dub-42")
    assert now() - began < 0.01
    own_server.start() if way == "killed" else own_server.resume()
    assert await own_processes.together([a, b], within=2.0) < 2.0
    assert await a.member.claim("GET 2")
    assert not await b.member.claim("GET 2")
    a.member.publish("GET 2", b"{}", now())
    await eventually(lambda: ("GET 2", b"{}") in b.heard.answers)


async def test_a_presence_key_of_another_type_is_replaced(processes: Processes, server: EngineServer) -> None:
    presence = Account.of(BASE_URL, processes.credentials).presence
    server.ask(f"SET {presence} x")
    await processes.start_together(2)


async def test_foreign_messages_are_ignored_with_one_warning(
    processes: Processes, server: EngineServer, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = await processes.start_together(2)
    channel = Account.of(BASE_URL, processes.credentials).channel
    for text in ("x", "x" * 99, "\\x02" * 99):
        for _ in range(2):
            server.ask(f'PUBLISH {channel} "{text}"')
    forged = Account.of(BASE_URL, b"another").seal.pack(Message(kind=Kind.NUDGE, sender=b"stranger", number=1))
    server.ask(f'PUBLISH {channel} "' + "".join(f"\\x{byte:02x}" for byte in forged) + '"')
    a.member.nudge("dub-42")
    await eventually(lambda: b.heard.nudges == ["dub-42"])
    assert b.heard.losses == 0
    assert len(caplog.messages) == 2 * 3  # in each process: damaged, another version, other credentials


async def test_a_message_sent_again_by_another_is_ignored(processes: Processes, server: EngineServer) -> None:
    a, b = await processes.start_together(2)
    a.member.nudge("1")
    await eventually(lambda: b.heard.nudges == ["1"])
    seal, process = replica_of(a)._account.seal, replica_of(a)._process
    again = seal.pack(Message(kind=Kind.NUDGE, sender=process, number=1, name="1"))
    replica_of(b).on_message(again)
    await asyncio.sleep(0)
    assert b.heard.nudges == ["1"]


async def test_an_answer_that_is_too_large_is_released(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chamelaion_async.redis.outbox.MAX_MESSAGE", 500)
    a, b = await processes.start_together(2)
    assert await a.member.claim("GET 1")
    a.member.publish("GET 1", secrets.token_bytes(1000), now())
    await eventually(lambda: b.heard.answers == [("GET 1", None)])
    assert await b.member.claim("GET 1")


async def test_an_engine_that_is_back_and_has_forgotten_the_others_does_not_change_their_number(
    processes: Processes,
) -> None:
    a, _ = await processes.start_together(2)
    replica = replica_of(a)
    replica.on_told(None)
    replica.on_told(1)
    assert replica.processes == 2
    replica.on_told(3)
    assert replica.processes == 3


async def test_a_process_that_may_not_listen_any_more_goes_on_alone(
    own_processes: Processes, own_server: EngineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chamelaion_async.redis.engine.subscription.PING", 0.1)
    a, b = await own_processes.start_together(2)
    own_server.ask("ACL SETUSER default -subscribe")
    own_server.ask("CLIENT KILL TYPE pubsub")
    await eventually(lambda: not a.member.peers and not b.member.peers)
    await eventually(lambda: a.heard.losses == b.heard.losses == 1)
    assert replica_of(a).is_live
    assert await a.member.claim("GET 1")
    assert await b.member.claim("GET 1")
    own_server.ask("ACL SETUSER default +subscribe")
    await own_processes.together([a, b])


async def test_what_is_told_faster_than_the_engine_takes_it_is_dropped_and_noticed(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chamelaion_async.redis.outbox._MOST_BYTES", 1000)
    a, b = await processes.start_together(2)
    a.member.nudge("first")
    await eventually(lambda: b.heard.nudges == ["first"])
    for n in range(100):
        a.member.nudge(str(n))
    await eventually(lambda: b.heard.losses == 1)
    assert b.heard.nudges[-1] == "99"
    assert len(b.heard.nudges) < 50


async def test_a_busy_thread_loses_nothing(own_processes: Processes) -> None:
    a, b = await own_processes.start_together(2)
    time.sleep(0.6)  # noqa: ASYNC251
    await asyncio.sleep(0.2)
    assert a.member.peers
    assert b.member.peers
    assert (a.heard.losses, b.heard.losses) == (0, 0)
