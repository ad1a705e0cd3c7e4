from __future__ import annotations

import time

import pytest

from chamelaion_async.sandbox import ManualClock, WallClock


def test_a_manual_clock_moves_only_forward() -> None:
    clock = ManualClock(1000.0)
    clock.advance(2.5)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)
    assert clock.time() == 1002.5


def test_a_listener_is_called_after_every_advance_until_it_unsubscribes() -> None:
    clock, calls = ManualClock(), []
    unsubscribe = clock.subscribe(lambda: calls.append(clock.time()))
    clock.advance(1)
    unsubscribe()
    clock.advance(1)
    assert calls == [clock.start + 1]


def test_the_wall_clock_is_the_clock_of_the_machine() -> None:
    assert abs(WallClock().time() - time.time()) < 5
