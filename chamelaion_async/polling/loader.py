"""Group commit for polling: every status read of a wait goes through here, and one page answers for many.

Looks that are asked for gather while the lane is busy. What to read is decided only when the lane lets the next call
through, from what is asked for by then: one request on its own, or a page of the list where that answers more. A
client that is alone with its service therefore polls with the lowest delay, and one under a rate limit turns
thousands of waits into a handful of pages, with nothing to configure.

Who asks here, and when, is not known here: waits and batches follow a request as subscribers, ask for a look when
they want one, and hear whatever is read of it, also what somebody else asked for.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, Generic, Protocol, TypeVar

import attrs

from .._retry import is_passing
from ..errors import (
    AuthenticationError,
    ChamelaionError,
    ClientClosedError,
    ConfigurationError,
    InvalidResponseError,
    RateLimitError,
)
from ..models import Job, Pagination
from .places import NEVER, Bucket, Entry, ListView, Place, Search, Subscriber
from .state import Sighting
from .store import LocalStore, StatusStore

__all__ = ["Answer", "Loader", "Reading", "Source"]

J = TypeVar("J", bound=Job)

_MOST_AT_ONCE: Final = 64  # reads under way; reached only step by step, one more for each that succeeds
_LIST_PAUSE: Final = (5.0, 300.0)  # seconds without pages after a list that could not be read: first, longest
_SEARCH_PAUSE: Final = (15.0, 480.0)  # seconds until a request is searched for again: first, longest
_SERVICE_PAUSE: Final = (0.5, 4.0)  # seconds without any read while the service is out of reach: first, longest
_OUT_OF_REACH: Final = 3  # failures in a row, of whatever reads, that mean that it is
_UNREADABLE_ALONE: Final = 3  # failures in a row after which a request is looked for on pages
_PREFERS_PAGE: Final = 30.0  # seconds for which a request whose read failed is looked for on pages
_FOREVER: Final = float("inf")
_LEASE: Final = 5.0  # seconds after which a read that somebody else had claimed is believed lost
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


@attrs.define(kw_only=True, eq=False)
class Reading(Generic[J]):
    """One call that was decided upon: a request on its own, or a page.

    Attributes:
        timeout: Seconds for an answer.
        entries: Who asked for it, and gets no other answer.
        view: The list of a page, or None for a request on its own.
        offset: Where the page begins.
        search: The search that a page belongs to.
        begun_at: Where in that search.
    """

    timeout: float
    entries: list[Entry[J]]
    view: ListView[J] | None = None
    offset: int = 0
    search: Search[J] | None = None
    begun_at: int | None = None

    def is_only_for(self, entry: Entry[J]) -> bool:
        """Whether nobody else will hear of it."""
        return self.view is None and self.entries == [entry]


@attrs.frozen(kw_only=True)
class Answer(Generic[J]):
    """What came back. Records are made on demand: most of a page may be of no concern.

    Attributes:
        records: Id and undecoded record, in the order of the list.
        make: Makes a request of a record; ValueError if it is not what the API promises.
        pagination: Where a page lies in its list, or None for a request on its own.
        is_newest_first: The order that a page shows, or None where it shows none.
        server_time: When the service answered, by its own clock.
    """

    records: Sequence[tuple[str, Any]]
    make: Callable[[Any], J]
    pagination: Pagination | None
    is_newest_first: bool | None
    server_time: datetime | None


class Source(Protocol[J]):
    """Carries a reading out."""

    async def read(self, choose: Callable[[], Awaitable[Reading[J] | None]]) -> Answer[J] | None:
        """Wait until a call may be sent, let ``choose`` decide which one, and make it.

        Returns:
            The answer, or None where there was nothing to read any more.
        """


class Loader(Generic[J]):
    """Reads for everybody who follows a request of one family.

    Args:
        source: Carries readings out.
        random: Draws the jitter of answers.
        nudge_timeout: Seconds that a look may take which is nobody's but a nudge's.
        store: Shares with other processes.
    """

    def __init__(
        self,
        source: Source[J],
        *,
        random: Callable[[], float],
        nudge_timeout: float,
        store: StatusStore[J] | None = None,
    ) -> None:
        self._source = source
        self._random = random
        self._nudge_timeout = nudge_timeout
        self._store: StatusStore[J] = store if store is not None else LocalStore()
        self._store.attach(self._hear)
        # A request stands in one of the first two, and may have a second name in the third.
        self._asked: dict[str, Entry[J]] = {}
        self._known: dict[str, Entry[J]] = {}
        self._aliases: dict[str, Entry[J]] = {}
        self._queue: OrderedDict[Place[J], None] = OrderedDict()
        self._main: ListView[J] = ListView({})
        self._newcomers: Search[J] = Search(self._main)
        self._shared: dict[str, ListView[J]] = {}
        self._groups: dict[str, Entry[J] | set[Entry[J]]] = {}
        self._ids_are_uuids = False
        self._width = 1
        self._staff = 0
        self._decided = 0
        self._readings: dict[asyncio.Task[Any], Reading[J] | None] = {}
        self._dispatch_handle: asyncio.Handle | None = None
        self._failures = 0
        self._held_until = NEVER
        self._list_failures = 0
        self._no_lists_until = NEVER

    # What those who follow a request call

    def join(self, id: str, subscriber: Subscriber[J]) -> Entry[J]:
        """Begin to follow ``id``."""
        entry = self._known.get(id) or self._asked.get(id)
        if entry is not None:
            entry.subscribers.append(subscriber)
            return entry
        entry = self._asked[id] = Entry(id, subscribers=[subscriber])
        if self._ids_are_uuids and not _UUID.fullmatch(id):
            entry.search_at = _FOREVER  # only the service can say which request a reference means
        self._store.subscribe(id)
        return entry

    def leave(self, entry: Entry[J], subscriber: Subscriber[J]) -> None:
        """Cease to follow. The last one out ends what is under way for it; see ``settled``."""
        entry.subscribers.remove(subscriber)
        if not entry.subscribers:
            self._drop(entry)

    async def settled(self) -> None:
        """Return once every read that nobody wants any more has ended."""
        ending = [task for task in self._readings if task.cancelling()]
        if ending:
            await asyncio.wait(ending)

    def current(self, entry: Entry[J]) -> Sighting[J] | None:
        """Return how a request stood when others last looked, unless they are about to look again."""
        return entry.last if entry.state == "idle" and _now() < entry.due else None

    def ask(self, entry: Entry[J], timeout: float) -> None:
        """Ask for a look, of at most ``timeout`` seconds; whoever follows the request hears of it."""
        entry.patience = max(entry.patience, timeout)
        if entry.state == "idle":
            entry.state = "asking"
            self._enqueue(entry)

    def nudge(self, id: str) -> None:
        """Bring the next look at ``id`` forward, if anybody follows it."""
        entry = self._known.get(id) or self._asked.get(id) or self._aliases.get(id)
        if entry is None:
            return
        if entry.state == "reading":
            entry.is_nudged = True  # what is under way may have begun before
            return
        self.ask(entry, self._nudge_timeout)
        place = entry if entry.place is None else entry.place
        if place in self._queue:
            self._queue.move_to_end(place, last=False)

    def close(self, error: ClientClosedError) -> None:
        """Tell everybody that there will be no more news."""
        self._fail(self._entries(), error)

    # Who follows what

    def _entries(self) -> list[Entry[J]]:
        return [*self._known.values(), *self._asked.values()]

    def _find(self, id: str) -> Entry[J] | None:
        asked = self._asked.get(id)
        return self._known.get(id) if asked is None else self._resolve(asked, id)

    def _resolve(self, entry: Entry[J], id: str) -> Entry[J]:
        """Note which request an id means, and follow each request only once."""
        if entry.is_resolved:
            return entry
        del self._asked[entry.id]
        entry.is_resolved = True
        if entry.id != id:
            self._store.unsubscribe(entry.id)
            entry.alias, entry.id, entry.search_at = entry.id, id, NEVER
        known = self._known.setdefault(id, entry)
        if entry.alias is not None:
            self._aliases[entry.alias] = known
            if known is entry:
                self._store.subscribe(id)
        if known is not entry:
            # Who asked under the other name joins those who follow the request already.
            self._rest(entry)
            entry.move_to(None)
            known.alias = entry.alias
            for subscriber in entry.subscribers:
                subscriber.entry = known
            known.subscribers += entry.subscribers
            entry.subscribers = []
        return known

    def _drop(self, entry: Entry[J]) -> None:
        """Forget a request that nobody follows any more."""
        was_reading = entry.state == "reading"
        self._rest(entry)
        entry.move_to(None)
        self._leave_group(entry)
        (self._known if entry.is_resolved else self._asked).pop(entry.id, None)
        if entry.alias is not None and self._aliases.get(entry.alias) is entry:
            del self._aliases[entry.alias]
        self._store.unsubscribe(entry.id)
        is_last = not self._known and not self._asked
        if is_last and self._dispatch_handle is not None:
            self._dispatch_handle.cancel()
            self._dispatch_handle = None
        if is_last or was_reading:
            current = asyncio.current_task()
            for task, reading in self._readings.items():
                if task is not current and (is_last or (reading is not None and reading.is_only_for(entry))):
                    task.cancel()

    # Who stands in line

    def _enqueue(self, entry: Entry[J], *, first: bool = False) -> None:
        """Let somebody who asks stand in line, alone or with those who stand at the same place."""
        if entry.place is None:
            if entry.search_at > _now():
                self._line_up(entry, first=first)
                return
            if self._newcomers.top is not None:
                self._newcomers = Search(self._main)
            entry.move_to(self._newcomers)
        place = entry.place
        assert place is not None  # noqa: S101 - for the type checker: it was given just now
        place.asking[entry] = None
        if not (isinstance(place, Search) and place.is_enough_under_way):
            self._line_up(place, first=first)

    def _line_up(self, place: Place[J], *, first: bool = False) -> None:
        self._queue[place] = None
        if first:
            self._queue.move_to_end(place, last=False)
        self._wake()

    def _unqueue(self, entry: Entry[J]) -> None:
        place = entry.place
        if place is None:
            self._queue.pop(entry, None)
        else:
            place.asking.pop(entry, None)
            if not place.asking:
                self._queue.pop(place, None)

    def _rest(self, entry: Entry[J]) -> None:
        if entry.state == "asking":
            self._unqueue(entry)
        entry.state = "idle"
        entry.patience = 0.0

    def _relocate(self, entry: Entry[J], place: Bucket[J] | Search[J] | None) -> None:
        """Change a place, and with it the line that the entry may stand in."""
        if entry.state != "asking":
            entry.move_to(place)
            return
        self._unqueue(entry)
        entry.move_to(place)
        self._enqueue(entry)

    # Reading

    def _wake(self) -> None:
        """Decide in the next round of the loop, so that what is asked for in this one is gathered."""
        if self._queue and self._dispatch_handle is None:
            loop = asyncio.get_running_loop()
            if self._held_until > loop.time():
                self._dispatch_handle = loop.call_at(self._held_until, self._dispatch)
            else:
                self._dispatch_handle = loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._dispatch_handle = None
        while self._staff - self._decided < len(self._queue) and self._staff < self._width:
            self._staff += 1
            task = asyncio.get_running_loop().create_task(self._work())
            task.add_done_callback(self._work_ended)

    def _work_ended(self, _: asyncio.Task[None]) -> None:
        self._staff -= 1
        self._wake()

    async def _work(self) -> None:
        await self._take_turn()
        while self._queue and self._staff <= self._width and self._held_until <= _now():
            await self._take_turn()

    async def _take_turn(self) -> None:
        """Read once. What, is decided when the lane lets it through."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: this runs as a task
        reading: Reading[J] | None = None
        decided = 0

        async def choose() -> Reading[J] | None:
            nonlocal reading, decided
            decided = 1
            self._decided += 1
            while (reading := self._choose()) is not None and not await self._claim(reading):
                pass
            self._readings[task] = reading
            return reading

        self._readings[task] = None
        try:
            answer = await self._source.read(choose)
            if reading is not None and answer is not None:
                await self._store.publish(self._answered(reading, answer))
        except ChamelaionError as error:
            self._read_failed(reading, error)
        except asyncio.CancelledError:
            self._put_back(reading)
            raise
        except Exception as error:  # noqa: BLE001 - a defect must end the waits, not leave them waiting
            self._fail(self._entries(), error)
        finally:
            self._decided -= decided
            del self._readings[task]

    async def _claim(self, reading: Reading[J]) -> bool:
        """Leave to other processes what they are about to read, and return whether anything remains."""
        if not reading.entries:
            return True  # a page of a search: whom it will show, nobody knows
        ids = [entry.id for entry in reading.entries]
        claimed = await self._store.claim(ids)
        if len(claimed) == len(ids):
            return True
        others = [entry for entry in reading.entries if entry.id not in claimed]
        asyncio.get_running_loop().call_later(_LEASE, self._ask_again, others)
        reading.entries = [entry for entry in reading.entries if entry.id in claimed]
        return bool(reading.entries)

    def _ask_again(self, entries: Iterable[Entry[J]]) -> None:
        """Put back in line who asked and has got no answer."""
        for entry in entries:
            if entry.state == "reading" and entry.subscribers:
                entry.state = "asking"
                self._enqueue(entry, first=True)

    def _hear(self, sightings: Iterable[Sighting[J]]) -> None:
        """Take what another process has read."""
        for sighting in sightings:
            entry = self._find(sighting.request.id)
            if entry is not None:
                self._deliver(entry, sighting)

    # Deciding what to read

    def _choose(self) -> Reading[J] | None:
        now = _now()
        while self._queue:
            place, _ = self._queue.popitem(last=False)
            reading: Reading[J] | None
            if isinstance(place, Entry):
                reading = self._alone(place)
            elif now < self._no_lists_until or not place.is_worth_a_page(now):
                reading = self._one_of(place)
            elif isinstance(place, Bucket):
                reading = self._page_of(place)
            else:
                reading = self._next_page(place)
            if reading is not None:
                return reading
        return None

    def _alone(self, entry: Entry[J]) -> Reading[J]:
        entry.state = "reading"
        return Reading(timeout=entry.patience, entries=[entry])

    def _one_of(self, place: Bucket[J] | Search[J]) -> Reading[J] | None:
        entry = next(iter(place.asking), None)
        if entry is None:
            return None
        del place.asking[entry]
        if place.asking:
            self._line_up(place, first=True)
        return self._alone(entry)

    def _page_of(self, bucket: Bucket[J]) -> Reading[J] | None:
        entries = list(bucket.asking)
        if not entries:
            return None
        bucket.asking.clear()
        for entry in entries:
            entry.state = "reading"
        return _page(bucket.view, bucket.top, entries, entries)

    def _next_page(self, search: Search[J]) -> Reading[J] | None:
        if search.is_exhausted and not search.under_way:
            self._end(search)
        if search.is_exhausted or not search.asking or search.is_enough_under_way:
            return None
        begun_at = search.advance()
        reading = _page(search.view, begun_at, [], list(islice(search.asking, search.view.size)))
        reading.search, reading.begun_at = search, begun_at
        if not search.is_exhausted and not search.is_enough_under_way:
            self._line_up(search, first=True)
        return reading

    def _end(self, search: Search[J]) -> None:
        """Let those whom a search did not find be read on their own, or searched for where they were before."""
        now = _now()
        for entry in [*search.asking, *(search.members - search.asking.keys())]:
            if search.origin is None:
                entry.search_at = now + _doubled(_SEARCH_PAUSE, entry.searches)
                entry.searches += 1
            self._relocate(entry, search.origin)

    # What came of it

    def _answered(self, reading: Reading[J], answer: Answer[J]) -> list[Sighting[J]]:
        self._failures = 0
        self._width = min(self._width + 1, _MOST_AT_ONCE)
        if reading.view is None or answer.pagination is None:
            return self._answered_alone(reading, answer)
        return self._answered_with_page(reading, reading.view, answer, answer.pagination)

    def _answered_alone(self, reading: Reading[J], answer: Answer[J]) -> list[Sighting[J]]:
        ((_, record),) = answer.records
        sighting = Sighting(
            request=answer.make(record), server_time=answer.server_time, at=_now(), chance=self._random()
        )
        (asked,) = reading.entries
        if asked.subscribers:
            entry = self._resolve(asked, sighting.request.id)
            entry.failures_alone, entry.prefers_page_until = 0, NEVER
            self._deliver(entry, sighting)
            if entry.place is None:
                self._try_reference([sighting])
        return [sighting]

    def _answered_with_page(
        self, reading: Reading[J], view: ListView[J], answer: Answer[J], pagination: Pagination
    ) -> list[Sighting[J]]:
        self._list_failures = 0
        records, search, total = answer.records, reading.search, view.total
        if view.learn(pagination, len(records), answer.is_newest_first):
            for displaced in view.entries():
                self._relocate(displaced, None)
        self._learn_shape(records)
        now, chance = _now(), self._random()
        sightings: list[Sighting[J]] = []
        ranks = view.ranks(pagination.offset, len(records))
        found = 0
        for rank, (id, record) in zip(ranks, records, strict=True):
            entry = self._find(id)
            if entry is None:
                continue
            try:
                request = answer.make(record)
            except ValueError:
                continue  # a read on its own will tell what is wrong with it
            found += entry.place is search
            self._rest(entry)
            if view is not self._main or entry.place is None or entry.place.view is view:
                view.put(entry, rank)
            sighting = Sighting(request=request, server_time=answer.server_time, at=now, chance=chance)
            sightings.append(sighting)
            self._deliver(entry, sighting)
        self._missed(reading.entries, ranks, has_grown=view.total > total)
        if search is not None:
            search.answered(reading.begun_at, ranks, found)
        if len(sightings) * 2 < view.size and view is self._main:
            self._try_reference(sightings, search)
        if search is not None:
            self._go_on(search)
        return sightings

    def _learn_shape(self, records: Sequence[tuple[str, Any]]) -> None:
        """Learn whether a request can be told from a reference by its id, which no list can find."""
        if records and not self._ids_are_uuids and all(_UUID.fullmatch(id) for id, _ in records):
            self._ids_are_uuids = True
            for entry in [*self._asked.values()]:
                if not _UUID.fullmatch(entry.id):
                    entry.search_at = _FOREVER
                    self._relocate(entry, None)

    def _deliver(self, entry: Entry[J], sighting: Sighting[J]) -> None:
        self._rest(entry)
        if entry.last is None:
            self._join_group(entry, sighting.request.reference_id)
        entry.last, entry.due = sighting, _FOREVER
        for subscriber in tuple(entry.subscribers):
            subscriber.news(sighting)
        if entry.is_nudged:
            entry.is_nudged = False
            self.nudge(entry.id)

    def _missed(self, entries: Iterable[Entry[J]], ranks: range, *, has_grown: bool) -> None:
        """See to those whom a page was to show and did not: the list has shifted, or does not hold them."""
        missed = [entry for entry in entries if entry.state == "reading"]
        for entry in missed:
            if not has_grown or entry.rank in ranks:
                entry.search_at = _now() + _SEARCH_PAUSE[0]
                entry.move_to(None)
        self._ask_again(missed)

    def _go_on(self, search: Search[J]) -> None:
        if search.is_exhausted:
            if not search.under_way:
                self._end(search)
        elif search.asking and not search.is_enough_under_way:
            self._line_up(search, first=True)

    def _read_failed(self, reading: Reading[J] | None, error: ChamelaionError) -> None:
        if reading is None or isinstance(error, (AuthenticationError, ClientClosedError, ConfigurationError)):
            self._put_back(reading)
            self._fail(self._entries(), error)  # it would be the same for everybody
            return
        now = _now()
        if isinstance(error, RateLimitError):
            self._width = max(self._width // 2, 1)
            concerned = reading.entries
            if reading.search is not None:
                concerned = list(islice(reading.search.asking, reading.search.view.size))
                self._put_back(reading)
            self._fail(concerned, error)
            return
        may_be_down = is_passing(error) or isinstance(error, InvalidResponseError)
        self._failures = self._failures + 1 if may_be_down else 0
        if reading.view is not None:
            self._no_lists_until = now + _doubled(_LIST_PAUSE, self._list_failures)
            self._list_failures += 1
            self._put_back(reading)
        else:
            (entry,) = reading.entries
            entry.failures_alone += may_be_down
            if entry.failures_alone >= _UNREADABLE_ALONE:
                entry.prefers_page_until = now + _PREFERS_PAGE
            self._fail(reading.entries, error)
        if self._failures >= _OUT_OF_REACH:
            self._width = 1
            self._held_until = now + _doubled(_SERVICE_PAUSE, self._failures - _OUT_OF_REACH)
            self._fail([entry for entry in self._entries() if entry.state == "asking"], error)

    def _put_back(self, reading: Reading[J] | None) -> None:
        """Undo a decision that came to nothing."""
        if reading is None:
            return
        if reading.search is not None:
            reading.search.failed(reading.begun_at)
            self._go_on(reading.search)
        self._ask_again(reading.entries)

    def _fail(self, entries: Iterable[Entry[J]], error: Exception) -> None:
        for entry in entries:
            self._rest(entry)
            entry.is_nudged = False
            for subscriber in tuple(entry.subscribers):
                subscriber.failed(error)

    # Requests that share a reference_id

    def _join_group(self, entry: Entry[J], reference_id: str | None) -> None:
        if reference_id is None:
            return
        group = self._groups.setdefault(reference_id, entry)
        if isinstance(group, set):
            group.add(entry)
        elif group is not entry:
            self._groups[reference_id] = {group, entry}

    def _leave_group(self, entry: Entry[J]) -> None:
        reference_id = entry.last.request.reference_id if entry.last is not None else None
        if reference_id is None:
            return
        group = self._groups.get(reference_id)
        if isinstance(group, set):
            group.discard(entry)
        if not isinstance(group, set) or not group:
            self._groups.pop(reference_id, None)
            self._shared.pop(reference_id, None)

    def _try_reference(self, sightings: Sequence[Sighting[J]], search: Search[J] | None = None) -> None:
        """Turn to the list of one reference, where that may answer for more than what was just read."""
        references = [sighting.request.reference_id for sighting in sightings]
        counts = Counter(reference for reference in references if reference is not None)
        for reference, _ in counts.most_common(1):
            group = self._groups[reference]
            if not isinstance(group, set) or reference in self._shared:
                return
            waiting: Iterable[Place[J]] = self._queue if search is None else search.asking
            unread = [place for place in waiting if isinstance(place, Entry) and place.last is None]
            if min(len(group) + len(unread), self._main.size) < 2 * len(references):
                return
            view = self._shared[reference] = ListView({"reference_id": reference})
            narrow = Search(view)
            narrow.origin = search
            for entry in [*group, *unread]:
                self._relocate(entry, narrow)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _doubled(bounds: tuple[float, float], times: int) -> float:
    first, longest = bounds
    return min(first * 2.0 ** min(times, 60), longest)


def _page(view: ListView[J], top: int | None, entries: list[Entry[J]], asking: Iterable[Entry[J]]) -> Reading[J]:
    patience = max(entry.patience for entry in asking)
    return Reading(timeout=patience, entries=entries, view=view, offset=view.offset_below(top))
