"""What is remembered is remembered for an hour, and never without bounds."""

from __future__ import annotations

import attrs
import pytest

from chamelaion_async.resources.expiring_set import CAPACITY, LIFETIME, ExpiringSet


@attrs.define
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recent(clock: Clock) -> ExpiringSet:
    return ExpiringSet(clock)


def test_what_was_added_is_a_member(recent: ExpiringSet) -> None:
    recent.add("a")

    assert ("a" in recent, "b" in recent) == (True, False)


@pytest.mark.parametrize(("later", "is_member"), [(0.0, True), (LIFETIME - 1, True), (LIFETIME, False), (1e9, False)])
def test_a_member_is_kept_for_its_lifetime(recent: ExpiringSet, clock: Clock, later: float, is_member: bool) -> None:
    recent.add("a")
    clock.now += later

    assert ("a" in recent) == is_member


def test_a_member_that_is_added_again_lives_from_then_on(recent: ExpiringSet, clock: Clock) -> None:
    recent.add("a")
    recent.add("b")
    clock.now += LIFETIME - 1
    recent.add("a")
    clock.now += 1

    assert ("a" in recent, "b" in recent) == (True, False)


def test_the_newest_members_are_kept(recent: ExpiringSet) -> None:
    for number in range(CAPACITY + 2):
        recent.add(str(number))

    assert [str(number) in recent for number in (0, 1, 2, CAPACITY + 1)] == [False, False, True, True]


def test_a_member_that_is_added_again_takes_no_more_room(recent: ExpiringSet) -> None:
    recent.add("a")
    for number in range(CAPACITY - 1):
        recent.add(str(number))
    recent.add("0")

    assert "a" in recent


def test_what_is_too_old_is_let_go_of(recent: ExpiringSet, clock: Clock) -> None:
    """Not only hidden: a client that lives for months would hold it."""
    for number in range(100):
        recent.add(str(number))
    clock.now += LIFETIME
    recent.add("new")

    assert list(recent._added) == ["new"]
