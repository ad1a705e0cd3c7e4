"""The gate's script, question by question, on a real engine whose clock the test sets."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
import redis

from chamelaion_async.redis.engine import Engine
from chamelaion_async.redis.gate import SharedBudget
from chamelaion_async.redis.gate.script import GATE, Answer, Question, Refusal
from tests.support.engines import EngineServer

keys = itertools.count()


class Gate:
    """A gate at a time that the test sets."""

    def __init__(self, client: redis.Redis) -> None:
        script = GATE.replace('redis.call("TIME")', "{ ARGV[2], ARGV[3] }")
        self.key = f"gate:{next(keys)}"
        self.client = client
        self.now = 1.7e9
        self._script = client.register_script(script)

    def ask(self, member: str = "a", **question: Any) -> Answer:
        asked = Question(member=member, epoch=question.pop("epoch", 0), **question)
        seconds, fraction = divmod(self.now, 1)
        return Answer.of(self._script([self.key], [asked.to_json(), int(seconds), round(fraction * 1e6)]))

    def take(self, wanted: int = 1, member: str = "a", **question: Any) -> list[float]:
        """Return the times that were handed out, in seconds from now."""
        answer = self.ask(member, wanted=wanted, **question)
        return [(time - answer.now) / 1e6 for time in answer.times]

    def refuse(self, seconds: float | None, answered: int | None = 0, **question: Any) -> Answer:
        refusal = Refusal(seconds=seconds, answered=answered, lately=0, span=0.0, age=0.0, own=0)
        return self.ask(refusals=[refusal], **question)


@pytest.fixture
def client(server: EngineServer) -> Iterator[redis.Redis]:
    made = redis.Redis.from_url(server.url)
    yield made
    made.flushall()
    made.close()


@pytest.fixture
def gate(client: redis.Redis) -> Gate:
    return Gate(client)


def test_a_process_that_is_new_gets_a_quarter_of_its_share_and_then_all_of_it(gate: Gate) -> None:
    assert gate.take(100, limit=160.0) == pytest.approx([n / 160 for n in range(10)], abs=2e-6)
    assert len(gate.take(100, held=10, limit=160.0)) == 30


def test_processes_that_ask_share_the_times_ahead(gate: Gate) -> None:
    for member in ("a", "b", "a", "b"):
        gate.take(1, member, limit=160.0)
    assert len(gate.take(100, "a", limit=160.0)) == 20


def test_each_process_gets_one_time_at_least(gate: Gate) -> None:
    found = [gate.take(9, member, limit=2.0) for member in ("a", "b", "c")]
    assert found == [pytest.approx([0.5 * n], abs=1e-6) for n in range(3)]


def test_a_gate_that_has_lost_its_state_leaves_the_part_of_those_that_have_not_come_back(gate: Gate) -> None:
    due = {"a": gate.now, "b": gate.now}

    def granted(*members: str) -> int:
        """Count what these use in half a second, of the twenty a second of four processes."""
        count = 0
        for _ in range(100):
            gate.now += 0.005
            for member in members:
                if gate.now >= due[member]:
                    (after,) = gate.take(1, member, limit=20.0, processes=4)
                    due[member] = gate.now + after
                    count += 1
        return count

    assert granted("a") == pytest.approx(3, abs=1)
    assert granted("a", "b") == pytest.approx(5, abs=1)
    assert granted("a", "b") == pytest.approx(10, abs=1)  # a second later, there are two


def test_a_process_that_holds_its_share_gets_no_more(gate: Gate) -> None:
    gate.take(1, limit=2.0)
    assert gate.take(9, held=1, limit=2.0) == []


@pytest.mark.parametrize(("later", "found"), [(0.14, 0.0), (0.16, 0.14)])
def test_a_time_that_is_given_back_is_used_until_half_of_the_pause_after_it(
    gate: Gate, later: float, found: float
) -> None:
    times = [gate.ask(member, wanted=1, limit=10.0).times[0] for member in "abc"]
    gate.ask("b", back=[times[1]], limit=10.0)
    gate.now += later
    assert gate.take(1, "d", limit=10.0) == pytest.approx([found], abs=2e-6)


def test_the_last_times_that_are_given_back_make_the_gate_open_earlier(gate: Gate) -> None:
    times = [gate.ask(member, wanted=1, limit=1.0).times[0] for member in "abcd"]
    assert gate.ask(back=[times[3], times[1], times[2]], limit=1.0).opens == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("time", [0, 1, 2**50], ids=["never", "long ago", "in years"])
def test_a_time_that_was_not_handed_out_is_not_taken_back(gate: Gate, time: int) -> None:
    gate.refuse(0.1, 10)
    gate.now += 0.2
    gate.take(1)
    assert gate.take(1, "b", back=[time]) == pytest.approx([1 / 9], abs=0.01)


def test_a_closure_forgets_the_times_that_were_given_back(gate: Gate) -> None:
    times = [gate.ask(member, wanted=1, limit=1.0).times[0] for member in "abc"]
    gate.ask("b", back=[times[1]], limit=1.0)
    gate.refuse(5.0, 10, limit=1.0)
    assert gate.take(1, limit=1.0) == pytest.approx([5.0], abs=1e-5)


def test_a_server_whose_clock_is_set_back_goes_on_where_it_was(gate: Gate) -> None:
    gate.refuse(30.0, 10)
    gate.now += 10.0
    gate.take(1)
    gate.now -= 3600.0
    answer = gate.ask(wanted=1, member="b")
    assert answer.closed == pytest.approx(20.0, abs=1e-5)
    assert (answer.times[0] - answer.now) / 1e6 == pytest.approx(20.0 + 1 / 9, rel=0.1)


def test_a_server_whose_clock_is_set_forward_hands_out_no_two_times_at_once(gate: Gate) -> None:
    gate.take(1, limit=2.0)
    gate.now += 3600.0
    assert [*gate.take(1, limit=2.0), *gate.take(1, "b", limit=2.0)] == pytest.approx([0.0, 0.5], abs=1e-6)


def test_its_state_is_forgotten_ten_minutes_after_its_last_use(gate: Gate) -> None:
    gate.refuse(100.0, 10)
    assert gate.client.pttl(gate.key) == pytest.approx(700_000, abs=2000)


def test_its_state_stays_small(gate: Gate) -> None:
    for number in range(500):
        gate.now += 0.3
        gate.take(3, f"member {number}", limit=20.0)
    assert len(gate.client.hgetall(gate.key)) < 40
    assert (gate.client.memory_usage(gate.key) or 0) < 4096


@pytest.mark.parametrize("text", ["", "nan", "abc", "{}"])
def test_fields_that_are_damaged_count_as_missing(gate: Gate, text: str) -> None:
    gate.take(1, limit=5.0)
    gate.client.hset(gate.key, mapping=dict.fromkeys(gate.client.hkeys(gate.key), text))
    assert gate.take(1, "b", limit=5.0) == [0.0]


def test_nothing_of_the_question_but_the_member_is_kept_as_text(gate: Gate) -> None:
    gate.take(1, limit=5.0)
    assert [field for field in gate.client.hkeys(gate.key) if b":" in field] == [b"active:a"]


def test_a_refusal_of_a_call_from_before_the_last_closure_is_old_news(gate: Gate) -> None:
    assert gate.refuse(0.1, 10).epoch == 1
    gate.now += 0.2
    gate.take(1, epoch=1)
    answer = gate.refuse(None, 10, epoch=0)
    assert (answer.epoch, answer.closed) == (1, 0.0)


def test_what_was_used_before_a_closure_is_no_answer_after_it(gate: Gate) -> None:
    rates = []
    for used in (0, 50):
        gate.key = f"gate:{next(keys)}"
        gate.refuse(0.1, 10)
        gate.now += 0.2
        gate.ask("b", epoch=0, used=used)  # without a limit until now, it had not asked
        gate.take(4, epoch=1, limit=None)
        gate.now += 1.0
        rates.append(gate.refuse(None, 1, epoch=1).rate)
    assert rates[0] == rates[1] < 10.0


async def test_a_key_of_another_kind_is_warned_of_once_and_the_process_goes_on_alone(
    engine: Engine, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    client.set("{foreign}:gate:status", "not ours")

    @attrs.define
    class Counting:
        engine: Engine
        processes: int = 2
        is_live: bool = True

        def at_change(self, callback: Any) -> Any:
            return self.engine.at_change(callback)

        async def run(self, script: str, names: Any, args: Any) -> Any:
            return await self.engine.run(script, names, args)

    budget = SharedBudget(Counting(engine), "{foreign}", 100.0)
    async with asyncio.timeout(5):
        for _ in range(10):
            await budget.acquire("status")
    budget.close()
    await budget.wait_closed()
    assert len(caplog.records) == 1
    assert client.get("{foreign}:gate:status") == b"not ours"
