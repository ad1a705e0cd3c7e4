"""What the loader learns from reads that fail, and whom it tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
import pytest

from chamelaion_async import APITimeoutError, ChamelaionError, LipsyncRequest
from chamelaion_async.polling.entry import ALWAYS, SLICE, Entry
from chamelaion_async.polling.loader import Loader
from chamelaion_async.polling.reading import Reading

from .follower import Follower

pytestmark = pytest.mark.virtual_time


@attrs.define(eq=False)
class Room:
    """A loader whose reads are decided upon and failed by hand."""

    service: Any
    loader: Loader[LipsyncRequest] = attrs.field(init=False)
    holds: list[float] = attrs.Factory(list)

    def __attrs_post_init__(self) -> None:
        self.loader = self.service.loader

    def join(self, id: str, patience: float = 20.0) -> Follower:
        follower = Follower()
        follower.entry = self.loader.join(id, follower)
        self.loader.ask(follower.entry, patience)
        return follower

    def reading_of(self, *followers: Follower, page: bool = False) -> Reading[LipsyncRequest]:
        """Take the followers' requests out of the line, as a read of them does."""
        for follower in followers:
            self.loader._agenda.rest(follower.entry)
            follower.entry.state = "reading"
        view = self.loader._agenda._whole if page else None
        return Reading(timeout=20.0, entries=[follower.entry for follower in followers], view=view)

    def fail(self, error: ChamelaionError, *, page: bool = False) -> None:
        """Let a read fail that somebody new has asked for."""
        follower = self.join(f"job-{len(self.loader._registry.entries())}")
        self.loader._went_wrong(self.reading_of(follower, page=page), error)


@pytest.fixture
async def room(serve: Any, monkeypatch: pytest.MonkeyPatch) -> Room:
    room = Room(serve())
    monkeypatch.setattr(room.loader._crew, "hold", room.holds.append)
    monkeypatch.setattr(room.loader._crew, "wake", lambda: None)
    return room


Troubles = Mapping[str, Callable[[], ChamelaionError]]


@pytest.mark.parametrize("kind", ["503", "unreachable", "timeout", "garbage"])
@pytest.mark.parametrize("page", [False, True])
async def test_three_in_a_row_mean_that_the_service_is_out_of_reach(
    room: Room, trouble: Troubles, kind: str, page: bool
) -> None:
    held = []
    for _ in range(6):
        room.fail(trouble[kind](), page=page)
        held.append([*room.holds])
        room.holds.clear()
    assert held == [[], [], [0.25], [0.5], [0.5], [0.5]]


@pytest.mark.parametrize("kind", ["403", "404"])
async def test_a_clear_answer_shows_that_it_is_not(room: Room, trouble: Troubles, kind: str) -> None:
    for each in ("503", "503", kind, "503", "503"):
        room.fail(trouble[each]())
    assert room.holds == []
    room.fail(trouble["503"]())
    assert room.holds == [0.25]


async def test_so_does_a_good_one(room: Room, trouble: Troubles) -> None:
    (id,) = room.service.add()
    for _ in range(2):
        room.fail(trouble["503"]())
    follower = room.join(id)
    room.loader._answered(room.reading_of(follower), room.service._request(id))
    for _ in range(2):
        room.fail(trouble["503"]())
    assert room.holds == []
    room.fail(trouble["503"]())
    assert room.holds == [0.25]


async def test_all_who_ask_hear_of_it_and_nobody_before(room: Room, trouble: Troubles) -> None:
    asking, resting = room.join("asking"), room.join("resting")
    room.loader._agenda.rest(resting.entry)
    for _ in range(2):
        room.fail(trouble["503"]())
    assert asking.errors == []
    error = trouble["503"]()
    room.fail(error)
    assert (asking.errors, resting.errors) == ([error], [])


async def test_a_page_that_fails_is_nobodys_failure(room: Room, trouble: Troubles) -> None:
    followers = [room.join("a"), room.join("b")]
    room.loader._went_wrong(room.reading_of(*followers, page=True), trouble["503"]())
    assert [follower.errors for follower in followers] == [[], []]
    assert {follower.entry.state for follower in followers} == {"asking"}
    assert room.loader._agenda._no_lists_until == asyncio.get_running_loop().time() + 5.0


async def test_one_that_fails_alone_three_times_is_looked_for_on_pages(room: Room, trouble: Troubles) -> None:
    follower, until = room.join("a"), []
    for _ in range(4):
        room.loader._went_wrong(room.reading_of(follower), trouble["garbage"]())
        room.loader.ask(follower.entry, 20.0)
        until.append(follower.entry.special.prefers_page_until)
        await asyncio.sleep(1.0)
    began = asyncio.get_running_loop().time() - 4.0
    assert until == [ALWAYS, ALWAYS, began + 32.0, began + 33.0]
    assert len(follower.errors) == 4


async def test_a_404_alone_is_no_reason_for_that(room: Room, trouble: Troubles) -> None:
    follower = room.join("a")
    for _ in range(5):
        room.loader._went_wrong(room.reading_of(follower), trouble["404"]())
        room.loader.ask(follower.entry, 20.0)
    assert follower.entry.special.failures_alone == 0
    assert follower.entry.special.prefers_page_until == ALWAYS


@pytest.mark.parametrize(("patience", "is_told"), [(20.0, True), (20.5, False)])
async def test_one_that_took_too_long_is_read_again_for_who_has_more_time(
    room: Room, patience: float, is_told: bool
) -> None:
    follower = room.join("a")
    reading = room.reading_of(follower)
    room.loader.ask(follower.entry, patience)
    error = APITimeoutError("too slow", sent="maybe", method="GET", path="/x")
    room.loader._went_wrong(reading, error)
    assert (follower.errors == [error]) is is_told
    assert follower.entry.state == ("idle" if is_told else "asking")
    assert follower.entry.special.failures_alone == is_told


async def test_very_many_are_told_in_turns(room: Room, trouble: Troubles) -> None:
    followers = [room.join(str(number)) for number in range(2 * SLICE + 1)]
    error, told = trouble["503"](), []
    room.loader._fail([follower.entry for follower in followers], error)
    for _ in range(4):
        told.append(sum(follower.errors == [error] for follower in followers))
        await asyncio.sleep(0)
    assert told == [SLICE, 2 * SLICE, 2 * SLICE + 1, 2 * SLICE + 1]


async def test_who_is_told_is_not_looked_at_once_more_for_a_nudge_of_before(room: Room, trouble: Troubles) -> None:
    follower = room.join("a")
    reading = room.reading_of(follower)
    room.loader.nudge("a")
    assert follower.entry.special.is_nudged is True
    room.loader._went_wrong(reading, trouble["404"]())
    assert (follower.entry.state, follower.entry.special.is_nudged) == ("idle", False)


async def test_one_that_was_read_alone_after_all_is_as_any_other(serve: Any, trouble: Troubles) -> None:
    service = serve()
    service.refuse = lambda _: trouble["garbage"]() if len(service.received) <= 3 else None
    (id,) = service.add(is_listed=False, lasts=200.0)
    waiting = service.start(id, timeout=300.0)
    seen = []
    while len(service.gets) < 4:
        await asyncio.sleep(0.25)
        (entry,) = service.loader._registry.entries()
        seen.append(entry.special)
    await asyncio.sleep(1.0)
    (entry,) = service.loader._registry.entries()
    assert max(special.failures_alone for special in seen) == 3
    assert max(special.prefers_page_until for special in seen) > 0
    assert (entry.special.failures_alone, entry.special.prefers_page_until) == (0, ALWAYS)
    waiting.cancel()


@pytest.mark.parametrize(("retry_after", "told"), [(9.0, 100), (10.0, 100), (10.5, 300), (None, 100)])
async def test_a_429_to_a_page_concerns_those_whom_it_might_have_shown_or_all(
    serve: Any, refused: Any, monkeypatch: pytest.MonkeyPatch, retry_after: float | None, told: int
) -> None:
    service, concerned = serve(rate=1.0), list[set[str]]()
    fail = service.loader._fail

    def note(entries: Iterable[Entry[LipsyncRequest]], error: Exception) -> None:
        known = [*entries]
        concerned.append({entry.id for entry in known})
        fail(known, error)

    monkeypatch.setattr(service.loader, "_fail", note)
    service.refuse = lambda _: refused(429, retry_after=retry_after)
    following = asyncio.create_task(service.follow(service.add(300)))
    await asyncio.sleep(0.5)
    assert len(set[str]().union(*concerned)) == told
    following.cancel()


async def test_what_is_known_is_how_it_stood_until_a_look_is_due(room: Room) -> None:
    (id,) = room.service.add()
    follower = room.join(id)
    loader, entry, now = room.loader, follower.entry, asyncio.get_running_loop().time()
    loader._agenda.rest(entry)
    assert loader.current(entry) is None  # it was never read

    room.reading_of(follower)
    loader._answered(Reading(timeout=20.0, entries=[entry]), room.service._request(id))
    known = []
    for state, due in (("idle", now + 1.0), ("idle", now), ("asking", now + 1.0), ("reading", now + 1.0)):
        entry.state, entry.due = state, due
        known.append(loader.current(entry))
    assert known[0] is not None
    assert known[0].request == room.service.job(id).shown()
    assert known[1:] == [None, None, None]
