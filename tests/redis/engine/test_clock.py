"""The engine's clock in terms of the loop's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chamelaion_async.redis.engine.clock import MARGIN, ServerClock

OFFSET = 1_700_000_000.0  # by how much the engine's clock is ahead


@given(
    sent=st.floats(0, 1e6),
    there=st.floats(0, 0.25),
    back=st.floats(0, 0.25),
    later=st.floats(0, 100),
)
def test_a_time_is_never_converted_to_a_later_one(sent: float, there: float, back: float, later: float) -> None:
    clock = ServerClock()
    clock.note(sent, sent + there + back, sent + there + OFFSET)
    moment = sent + later
    assert clock.earliest(moment + OFFSET) <= moment
    assert clock.stamp(moment) <= moment + OFFSET


def test_the_error_is_the_time_that_the_command_took_and_a_margin() -> None:
    clock = ServerClock()
    clock.note(10.0, 10.3, 10.1 + OFFSET)
    assert clock.earliest(20.0 + OFFSET) == pytest.approx(19.9 - MARGIN, abs=1e-6)
    assert clock.stamp(20.0) == pytest.approx(19.8 - MARGIN + OFFSET, abs=1e-6)


def test_only_the_last_command_counts_since_the_clock_may_be_set() -> None:
    clock = ServerClock()
    clock.note(10.0, 10.0, 10.0 + OFFSET)
    clock.note(20.0, 20.0, 20.0 + OFFSET - 3600)
    assert clock.earliest(20.0 + OFFSET - 3600) == pytest.approx(20.0 - MARGIN, abs=1e-6)


def test_without_a_command_every_time_is_as_early_as_can_be() -> None:
    assert ServerClock().earliest(OFFSET) == float("-inf")
    assert ServerClock().stamp(1.0) == float("-inf")
