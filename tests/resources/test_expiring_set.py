"""A member is kept for an hour, and the newest 4096 at most."""

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
def members(clock: Clock) -> ExpiringSet:
    return ExpiringSet(clock)


@pytest.mark.parametrize(("later", "is_member"), [(0.0, True), (LIFETIME - 1, True), (LIFETIME, False), (1e9, False)])
def test_a_member_is_kept_for_its_lifetime(members: ExpiringSet, clock: Clock, later: float, is_member: bool) -> None:
    members.add("a")
    clock.now += later

    assert ("a" in members) == is_member


def test_adding_a_member_again_starts_its_lifetime_again(members: ExpiringSet, clock: Clock) -> None:
    members.add("a")
    members.add("b")
    clock.now += LIFETIME - 1
    members.add("a")
    clock.now += 1

    assert ("a" in members, "b" in members) == (True, False)


def test_the_newest_members_are_kept(members: ExpiringSet) -> None:
    for number in range(CAPACITY + 2):
        members.add(str(number))

    assert [str(number) in members for number in (0, 1, 2, CAPACITY + 1)] == [False, False, True, True]


def test_a_member_that_is_added_again_takes_no_more_room(members: ExpiringSet) -> None:
    members.add("a")
    for number in range(CAPACITY - 1):
        members.add(str(number))
    members.add("0")

    assert "a" in members


def test_expired_members_are_freed(members: ExpiringSet, clock: Clock) -> None:
    """Not only hidden: a client may run for months."""
    for number in range(100):
        members.add(str(number))
    clock.now += LIFETIME
    members.add("new")

    assert list(members._added) == ["new"]
