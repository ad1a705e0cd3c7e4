"""One client among those on the same account."""

from __future__ import annotations

import asyncio

from chamelaion_async.sharing import Membership
from tests.redis.processes import Processes, Recorder, eventually


async def test_a_membership_has_what_the_protocol_asks_for(processes: Processes) -> None:
    member: Membership = (await processes.start()).member
    assert isinstance(member.peers, int)
    await member.budget.acquire("status")
    assert not member.budget.is_throttled("status")


async def test_every_listener_is_called(processes: Processes) -> None:
    a, b = await processes.start_together(2)
    second = Recorder()
    b.member.attach(second)
    a.member.nudge("dub-42")
    await eventually(lambda: b.heard.nudges == second.nudges == ["dub-42"])


async def test_a_listener_that_raises_keeps_no_other_from_hearing(processes: Processes) -> None:
    class Broken(Recorder):
        def on_nudge(self, id: str) -> None:
            raise LookupError(id)

    raised: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context["exception"]))
    a, b = await processes.start_together(2)
    b.member.attach(Broken())
    after = Recorder()
    b.member.attach(after)
    for id in ("1", "2"):
        a.member.nudge(id)
    await eventually(lambda: after.nudges == ["1", "2"])
    assert len(raised) == 2


async def test_a_closed_membership_hears_nothing_and_goes_on_alone(processes: Processes) -> None:
    a, b, c = await processes.start_together(3)
    a.member.nudge("1")
    await eventually(lambda: b.heard.nudges == c.heard.nudges == ["1"])
    b.member.close()
    b.member.close()
    assert not b.member.peers
    assert await b.member.claim("GET 1")
    b.member.publish("GET 1", b"{}", 0.0)
    b.member.release("GET 1")
    b.member.nudge("2")
    a.member.nudge("3")
    await eventually(lambda: c.heard.nudges == ["1", "3"])
    assert b.heard.nudges == ["1"]
    assert c.heard.answers == []


async def test_what_was_on_its_way_when_it_closed_is_not_delivered(processes: Processes) -> None:
    a = await processes.start()
    b = processes.join(a.shared)
    a.member.nudge("1")
    b.member.close()
    await asyncio.sleep(0)
    assert b.heard.nudges == []


async def test_a_nudge_from_another_thread_reaches_the_others(processes: Processes) -> None:
    a, b = await processes.start_together(2)
    await asyncio.to_thread(a.member.nudge, "dub-42")
    await eventually(lambda: b.heard.nudges == ["dub-42"])


async def test_closing_releases_all_claims(processes: Processes) -> None:
    a, b = await processes.start_together(2)
    for reading in ("GET 1", "GET 2"):
        assert await a.member.claim(reading)
    a.member.close()
    await eventually(lambda: sorted(b.heard.answers) == [("GET 1", None), ("GET 2", None)])
    assert await b.member.claim("GET 1")
    assert await b.member.claim("GET 2")


async def test_a_claim_that_is_granted_while_the_client_closes_is_released(processes: Processes) -> None:
    a, b = await processes.start_together(2)
    asking = asyncio.create_task(a.member.claim("GET 1"))
    await asyncio.sleep(0)
    a.member.close()
    await asking
    await eventually(lambda: ("GET 1", None) in b.heard.answers)
    assert await b.member.claim("GET 1")
