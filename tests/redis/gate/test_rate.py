"""The rate that the gate learns: the same traffic on ``rate.lua`` and on ``AdaptiveRate`` gives the same."""

from __future__ import annotations

import inspect
import json
import math
import re
from importlib import resources
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chamelaion_async.redis.gate
from chamelaion_async._http import rate as adaptive
from chamelaion_async._http.rate import AdaptiveRate
from tests.support.engines import EngineServer

RATE = resources.files(chamelaion_async.redis.gate).joinpath("rate.lua").read_text("utf-8")
PLAY = """
local traffic = cjson.decode(ARGV[1])
local g, seen = {}, {}
for field, default in pairs(FIELDS) do g[field] = default end
g.limit = traffic.limit or INF
for i, event in ipairs(traffic.events) do
  if event.is_take then
    take(g, event.now)
  else
    throttled(g, event.now, event.seconds, event.answered, event.lately, event.span)
  end
  local fields = {}
  for _, number in ipairs({ g.opens_at, rate_at(g, event.now), rate_at(g, event.now + 30), rate_at(g, 1e5) }) do
    fields[#fields + 1] = string.format("%.17g", number)
  end
  fields[#fields + 1] = is_throttled(g, event.now) and "1" or "0"
  seen[i] = table.concat(fields, " ")
end
return seen
"""

Event = dict[str, Any]


def on_engine(client: redis.Redis, limit: float | None, events: list[Event]) -> list[float]:
    argument: dict[str, Any] = {"events": events}
    if limit is not None:
        argument["limit"] = limit
    seen = client.eval(RATE + PLAY, 0, json.dumps(argument))
    return [float(number) for line in seen for number in line.split()]


def here(limit: float | None, events: list[Event]) -> list[float]:
    rate = AdaptiveRate(math.inf if limit is None else limit)
    found: list[float] = []
    for event in events:
        now = event["now"]
        if event["is_take"]:
            rate.take(now)
        else:
            lately = (event["lately"], event["span"])
            rate.throttled(now, event.get("seconds"), event.get("answered"), lately)
        found += [rate.opens_at, *(rate.at(time) for time in (now, now + 30, 1e5)), float(rate.is_throttled(now))]
    return found


def event_of(
    now: float, is_take: bool, seconds: float | None, answered: int | None, lately: int, span: float
) -> Event:
    made = {"now": now, "is_take": is_take, "seconds": seconds, "answered": answered, "lately": lately, "span": span}
    return {name: value for name, value in made.items() if value is not None}


steps = st.lists(
    st.tuples(
        st.floats(0.001, 30),
        st.integers(1, 5).map(lambda n: n > 1),
        st.none() | st.floats(0.001, 100),
        st.none() | st.integers(0, 99),
        st.integers(0, 200),
        st.floats(0, 10),
    ),
    max_size=60,
)


@pytest.fixture
def client(server: EngineServer) -> Any:
    made = redis.Redis.from_url(server.url)
    yield made
    made.close()


def test_both_have_the_same_constants(client: redis.Redis) -> None:
    names = re.findall(r"^_([A-Z_]+): Final = [^-]", inspect.getsource(adaptive), re.MULTILINE)
    of_log = {"LONG_WINDOW", "REMEMBERED"}  # of AnswerLog, which has no part in this
    names = [name for name in names if name not in {*of_log, "CLIMB"}]
    script = f"{RATE} return cjson.encode({{ {', '.join([*names, 'CLIMB_LEAST', 'CLIMB_MOST'])} }})"
    assert len(names) == 18
    expected = [*(getattr(adaptive, f"_{name}") for name in names), *adaptive._CLIMB]
    assert json.loads(client.eval(script, 0)) == expected


@given(st.none() | st.floats(0.5, 100), steps)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_traffic_teaches_the_same_rate(
    client: redis.Redis, limit: float | None, traffic: list[tuple[Any, ...]]
) -> None:
    now, events = 0.0, []
    for pause, *rest in traffic:
        now += pause
        events.append(event_of(now, *rest))
    assert on_engine(client, limit, events) == pytest.approx(here(limit, events), rel=1e-9)


@pytest.mark.parametrize("answered", [0, 2, 40], ids=lambda answered: f"{answered} answered")
@pytest.mark.parametrize("seconds", [None, 0.1, 30.0], ids=lambda seconds: f"retry after {seconds}")
def test_a_long_run_of_refusals_and_permits_teaches_the_same_rate(
    client: redis.Redis, answered: int, seconds: float | None
) -> None:
    """A steady stream with a refusal of each kind after another, through outages, searches and proven levels."""
    events, now = [event_of(0.0, False, seconds, answered, answered, 5.0)], 0.0
    for number in range(900):
        now += 0.11 if number % 300 > 40 else 9.0
        counted = (0, 0, answered, None)[number % 4]
        events.append(event_of(now, number % 29 > number // 250, seconds, counted, 2 * answered, 4.0))
    assert on_engine(client, None, events) == pytest.approx(here(None, events), rel=1e-9)
