"""Claims of readings, within a process and among several."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from chamelaion_async.redis.account import Account
from chamelaion_async.redis.claims import LEASE, Claims
from chamelaion_async.redis.engine import Argument, Engine, EngineLost

ACCOUNT = Account.of("https://api.example.com/api", b"key")


class ScriptedEngine:
    """Answers questions when the test says so."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.answer: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()

    async def run(self, script: str, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        self.asked.append([*keys])
        return await asyncio.shield(self.answer)


@pytest.fixture
async def scripted() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def late() -> list[str]:
    """Readings that were granted when they were wanted no longer."""
    return []


@pytest.fixture
def claims(scripted: ScriptedEngine, late: list[str]) -> Claims:
    return Claims(scripted.run, ACCOUNT, b"process1", late.append)


async def test_questions_of_one_turn_go_out_in_one_command(claims: Claims, scripted: ScriptedEngine) -> None:
    scripted.answer.set_result([1, 0, 1])
    asked = [claims.ask(reading, "a", is_shared=True) for reading in ("1", "2", "3")]
    assert await asyncio.gather(*asked) == [True, False, True]
    assert scripted.asked == [[ACCOUNT.claim_key(reading) for reading in ("1", "2", "3")]]
    assert claims.held_by("a") == ["1", "3"]


async def test_more_questions_than_one_command_takes_need_several(claims: Claims, scripted: ScriptedEngine) -> None:
    async def grant(script: str, keys: Sequence[str], args: Sequence[Argument]) -> list[int]:
        scripted.asked.append([*keys])
        return [1] * len(keys)

    claims._run = grant
    assert all(await asyncio.gather(*(claims.ask(str(n), "a", is_shared=True) for n in range(1200))))
    assert [len(keys) for keys in scripted.asked] == [500, 500, 200]


async def test_an_own_claim_is_answered_without_a_question(claims: Claims, scripted: ScriptedEngine) -> None:
    scripted.answer.set_result([1])
    assert await claims.ask("1", "a", is_shared=True)
    assert await claims.ask("1", "a", is_shared=True)
    assert len(scripted.asked) == 1


async def test_another_member_of_the_process_is_refused_without_a_question(
    claims: Claims, scripted: ScriptedEngine
) -> None:
    first = asyncio.create_task(claims.ask("1", "a", is_shared=True))
    await asyncio.sleep(0)
    assert not await claims.ask("1", "b", is_shared=True)
    scripted.answer.set_result([1])
    assert await first
    assert not await claims.ask("1", "b", is_shared=True)
    assert len(scripted.asked) == 1


async def test_the_same_question_twice_at_once_is_asked_once(claims: Claims, scripted: ScriptedEngine) -> None:
    scripted.answer.set_result([0])
    both = await asyncio.gather(*(claims.ask("1", "a", is_shared=True) for _ in range(2)))
    assert both == [False, False]
    assert len(scripted.asked) == 1
    assert claims.held_keys() == []


async def test_without_other_processes_nothing_is_asked(claims: Claims, scripted: ScriptedEngine) -> None:
    assert await claims.ask("1", "a", is_shared=False)
    assert not await claims.ask("1", "b", is_shared=False)
    assert scripted.asked == []


async def test_an_engine_that_goes_refuses_no_claim(claims: Claims, scripted: ScriptedEngine) -> None:
    scripted.answer.set_exception(EngineLost("gone"))
    assert await claims.ask("1", "a", is_shared=True)


@pytest.mark.parametrize("when", ["before the answer", "in its turn of the loop"])
async def test_a_claim_that_is_granted_to_a_cancelled_member_is_released(
    claims: Claims, scripted: ScriptedEngine, late: list[str], when: str
) -> None:
    asking = asyncio.create_task(claims.ask("1", "a", is_shared=True))
    await asyncio.sleep(0.001)
    if when == "before the answer":
        asking.cancel()
        await asyncio.wait([asking])
        assert not await claims.ask("1", "b", is_shared=True)  # the engine may have granted it by now
        scripted.answer.set_result([1])
    else:
        scripted.answer.set_result([1])
        for _ in range(3):
            await asyncio.sleep(0)
            if "1" not in claims._open:  # answered, and the member does not know it yet
                break
        asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await claims.aclose()
    assert late == ["1"]
    assert claims.held_keys() == []


async def test_a_claim_that_is_refused_to_a_cancelled_member_is_none(
    claims: Claims, scripted: ScriptedEngine, late: list[str]
) -> None:
    asking = asyncio.create_task(claims.ask("1", "a", is_shared=True))
    await asyncio.sleep(0.001)
    asking.cancel()
    scripted.answer.set_result([0])
    await asyncio.wait([asking])
    await claims.aclose()
    assert late == []
    assert claims.held_keys() == []


async def test_one_of_two_who_ask_the_same_may_be_cancelled(
    claims: Claims, scripted: ScriptedEngine, late: list[str]
) -> None:
    first, second = (asyncio.create_task(claims.ask("1", "a", is_shared=True)) for _ in range(2))
    await asyncio.sleep(0.001)
    first.cancel()
    scripted.answer.set_result([1])
    assert await second
    assert late == []


async def test_a_claim_that_ends_before_it_is_granted_is_released(
    claims: Claims, scripted: ScriptedEngine, late: list[str]
) -> None:
    asking = asyncio.create_task(claims.ask("1", "a", is_shared=True))
    await asyncio.sleep(0.001)
    assert claims.end("1", "a")
    scripted.answer.set_result([1])
    assert await asking
    assert late == ["1"]


async def test_only_the_holder_ends_a_claim(claims: Claims, scripted: ScriptedEngine) -> None:
    scripted.answer.set_result([1])
    await claims.ask("1", "a", is_shared=True)
    assert not claims.end("1", "b")
    assert claims.end("1", "a")
    assert not claims.end("1", "a")


async def test_one_process_of_two_gets_a_claim(engine: Engine) -> None:
    first, second = (Claims(engine.run, ACCOUNT, name, lambda _: None) for name in (b"process1", b"process2"))
    assert await first.ask("race", "a", is_shared=True)
    assert not await second.ask("race", "a", is_shared=True)
    first.end("race", "a")
    assert await first.ask("race", "a", is_shared=True)  # its key is still there


async def test_a_claim_has_a_lease(engine: Engine) -> None:
    await Claims(engine.run, ACCOUNT, b"process1", lambda _: None).ask("lease", "a", is_shared=True)
    left = await engine.run("return redis.call('PTTL', KEYS[1])", [ACCOUNT.claim_key("lease")], [])
    assert LEASE * 1000 - 200 < left <= LEASE * 1000


async def test_a_foreign_key_without_an_end_refuses_nothing(engine: Engine) -> None:
    await engine.run("redis.call('SET', KEYS[1], 'x')", [ACCOUNT.claim_key("foreign")], [])
    assert await Claims(engine.run, ACCOUNT, b"process1", lambda _: None).ask("foreign", "a", is_shared=True)
    assert not await Claims(engine.run, ACCOUNT, b"process2", lambda _: None).ask("foreign", "a", is_shared=True)
