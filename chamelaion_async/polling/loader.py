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
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any, Final, Generic, TypeVar

from .._frames import let_go
from .._retry import is_passing
from ..errors import (
    APITimeoutError,
    AuthenticationError,
    ChamelaionError,
    ClientClosedError,
    ConfigurationError,
    InvalidResponseError,
    RateLimitError,
)
from ..models import Job, Pagination
from .agenda import Agenda, doubled
from .crew import Crew
from .entry import ALWAYS, NEVER, SLICE, Entry, Subscriber
from .places import ListView
from .reading import Answer, Reading, Source
from .registry import Registry
from .shape import Shape
from .state import Look, Sighting
from .store import LocalStore, StatusStore

__all__ = ["Loader"]

J = TypeVar("J", bound=Job)

_SERVICE_PAUSE: Final = (0.25, 0.5)  # seconds without any read while the service is out of reach: first, longest
_OUT_OF_REACH: Final = 3  # failures in a row, of whatever reads, that mean that it is
_UNREADABLE_ALONE: Final = 3  # failures in a row after which a request is looked for on pages
_PREFERS_PAGE: Final = 30.0  # seconds for which it is
_LONG: Final = 10.0  # seconds of a Retry-After that everybody has to hear of who asks
_NOT_YET: Final = datetime.max.replace(tzinfo=UTC)
_LEASE: Final = 5.0  # seconds after which a read that another process had claimed is believed lost


class Loader(Generic[J]):
    """Reads for everybody who follows a request of one family.

    Args:
        source: Carries readings out.
        shape: Packs requests, as many may be kept.
        random: Draws the jitter of answers.
        nudge_timeout: Seconds that a look may take which is nobody's but a nudge's.
        store: Shares with other processes.
    """

    def __init__(
        self,
        source: Source[J],
        shape: Shape[J],
        *,
        random: Callable[[], float],
        nudge_timeout: float,
        store: StatusStore[J] | None = None,
    ) -> None:
        self._source = source
        self.shape = shape
        self._random = random
        self._nudge_timeout = nudge_timeout
        self._store: StatusStore[J] = store if store is not None else LocalStore()
        self._store.attach(self._hear)
        self._agenda: Agenda[J] = Agenda(_now, self._wake)
        self._registry: Registry[J] = Registry(self._store, shape, self._agenda.rest)
        self._crew = Crew(self._agenda, self._take_turn)
        self._readings: dict[asyncio.Task[Any], Reading[J] | None] = {}
        self._failures = 0

    # What those who follow a request call

    def join(self, id: str, subscriber: Subscriber[J]) -> Entry[J]:
        """Begin to follow ``id``."""
        entry = self._registry.join(id, subscriber)
        if entry.place is None and entry.state == "idle":
            self._agenda.welcome(entry)
        return entry

    def leave(self, entry: Entry[J], subscriber: Subscriber[J]) -> None:
        """Cease to follow. The last one out ends what is under way for it; see ``settled``."""
        entry.discard(subscriber)
        if entry.subscriber is not None:
            return
        was_reading = entry.state == "reading"
        if entry.state != "idle":
            self._agenda.rest(entry)
        entry.move_to(None)
        reference = self._registry.drop(entry)
        if reference is not None:
            self._agenda.forget_reference(reference)
        was_last = not self._registry
        if was_last:
            self._crew.rest()
        if was_reading or was_last:
            current = asyncio.current_task()
            for task, reading in self._readings.items():
                is_unwanted = was_last or (reading is not None and reading.is_only_for(entry))
                if is_unwanted and task is not current:
                    task.cancel()

    async def settled(self) -> None:
        """Return once every read that nobody wants any more has ended."""
        ending = [task for task in self._readings if task.cancelling()]
        if ending:
            await asyncio.wait(ending)

    def current(self, entry: Entry[J]) -> Sighting[J] | None:
        """Return how a request stood when others last looked, unless they are about to look again."""
        if entry.packed is None or entry.look is None or entry.state != "idle" or _now() >= entry.due:
            return None
        return Sighting(self.shape.unpack(entry.packed), entry.look)

    def ask(self, entry: Entry[J], timeout: float) -> None:
        """Ask for a look, of at most ``timeout`` seconds; whoever follows the request hears of it."""
        entry.patience = max(entry.patience, timeout)
        if entry.state == "idle":
            self._agenda.ask(entry)

    def nudge(self, id: str) -> None:
        """Bring the next look at whatever is followed under this id or reference forward."""
        for entry in self._registry.named(id):
            if entry.state == "reading":
                entry.note(is_nudged=True)  # what is under way may have begun before
            else:
                self.ask(entry, self._nudge_timeout)
                self._agenda.prefer(entry)

    def close(self, error: ClientClosedError) -> None:
        """Tell everybody that there will be no more news."""
        self._fail_all(error)

    # Reading

    def _wake(self) -> None:
        self._crew.wake()

    async def _take_turn(self, take_up: Callable[[], None]) -> None:
        """Read once. What, is decided when the lane lets it through."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: this runs as a task
        reading: Reading[J] | None = None

        async def choose() -> Reading[J] | None:
            nonlocal reading
            take_up()
            while (reading := self._agenda.choose()) is not None and not await self._claim(reading):
                pass
            self._readings[task] = reading
            return reading

        self._readings[task] = None
        try:
            answer = await self._source.read(choose)
            if reading is not None and answer is not None:
                sightings = self._answered(reading, answer)
                reading = None
                del self._readings[task]  # whoever leaves now must not stop what others are to be told
                await self._store.publish(sightings)
        except ChamelaionError as error:
            let_go(error)  # this frame would live as long as the error, which very many may be given
            self._read_failed(reading, error)
        except asyncio.CancelledError:
            if reading is not None:
                self._agenda.put_back(reading)
            raise
        except Exception as error:  # noqa: BLE001 - a defect must end the waits, not leave them waiting
            if reading is not None:
                self._agenda.put_back(reading)
            self._fail_all(error)
        finally:
            self._readings.pop(task, None)

    async def _claim(self, reading: Reading[J]) -> bool:
        """Leave to other processes what they are about to read, and return whether anything remains."""
        if not reading.entries:
            return True  # a page of a search: whom it will show, nobody knows
        ids = [entry.id for entry in reading.entries]
        claimed = await self._store.claim(ids)
        if len(claimed) == len(ids):
            return True
        others = [entry for entry in reading.entries if entry.id not in claimed]
        asyncio.get_running_loop().call_later(_LEASE, self._lease_ended, others)
        reading.entries = [entry for entry in reading.entries if entry.id in claimed]
        if not reading.entries:
            self._agenda.put_back(reading)
        return bool(reading.entries)

    def _lease_ended(self, entries: Iterable[Entry[J]]) -> None:
        """Read what another process had claimed and has not told, unless it is being read."""
        busy = {entry for reading in self._readings.values() if reading is not None for entry in reading.entries}
        self._agenda.ask_again([entry for entry in entries if entry not in busy])

    def _hear(self, sightings: Iterable[Sighting[J]]) -> None:
        """Take what another process has read."""
        for sighting in sightings:
            entry = self._registry.resolve(sighting.request.id)
            if entry is not None:
                self._deliver(entry, sighting)

    # What came of it

    def _answered(self, reading: Reading[J], answer: Answer[J]) -> list[Sighting[J]]:
        self._failures = 0
        self._crew.widen()
        look = Look(server_time=answer.server_time, at=_now(), chance=self._random())
        if reading.view is None or answer.pagination is None:
            return [self._shown_alone(reading.entries[0], answer, look)]
        return self._shown_on_page(reading, reading.view, answer, answer.pagination, look)

    def _shown_alone(self, entry: Entry[J], answer: Answer[J], look: Look) -> Sighting[J]:
        ((_, record),) = answer.records
        sighting = Sighting(answer.make(record), look)
        if entry.subscriber is not None:
            entry = self._registry.identify(entry, sighting.request.id)
            if entry.special.failures_alone:
                entry.note(failures_alone=0, prefers_page_until=ALWAYS)
            self._deliver(entry, sighting)
            if entry.place is None:
                self._agenda.try_reference([sighting.request], None, self._registry.group)
        return sighting

    def _shown_on_page(
        self, reading: Reading[J], view: ListView[J], answer: Answer[J], pagination: Pagination, look: Look
    ) -> list[Sighting[J]]:
        agenda, records, total = self._agenda, answer.records, view.total
        agenda.list_answered()
        if view.learn(pagination, len(records), answer.is_newest_first):
            for displaced in view.entries():
                agenda.relocate(displaced, None)
        if records:
            for reference in self._registry.learn_shape(id for id, _ in records):
                agenda.relocate(reference, None)
        ranks = view.ranks(pagination.offset, len(records))
        shown: list[tuple[Entry[J], Sighting[J], int]] = []
        found = 0
        for rank, (id, record) in zip(ranks, records, strict=True):
            entry = self._registry.resolve(id)
            if entry is None:
                continue
            try:
                sighting = Sighting(answer.make(record), look)
            except ValueError:
                continue  # a read on its own will tell what is wrong with it
            shown.append((entry, sighting, rank))
            found += entry.place is reading.search
        for entry, sighting, rank in sorted(shown, key=_end_of):
            self._deliver(entry, sighting)
            if entry.subscriber is not None:
                agenda.place(entry, view, rank)
        agenda.missed(reading.entries, has_grown=view.total > total)
        if not view.filters and len(shown) * 2 < view.size:
            requests = [sighting.request for _, sighting, _ in shown]
            agenda.try_reference(requests, reading.search, self._registry.group)
        agenda.searched(reading, ranks, found)
        return [sighting for _, sighting, _ in shown]

    def _deliver(self, entry: Entry[J], sighting: Sighting[J]) -> None:
        self._agenda.rest(entry)
        if entry.subscriber is None:
            return  # it was let go of while others on the same page were told
        entry.due = NEVER
        for subscriber in entry.subscribers:
            subscriber.news(sighting)
        if entry.subscriber is not None:  # most that have finished are of no further interest
            self._registry.saw(entry, sighting)
        if entry.special.is_nudged:
            entry.note(is_nudged=False)
            self.nudge(entry.id)

    def _read_failed(self, reading: Reading[J] | None, error: ChamelaionError) -> None:
        if reading is None or isinstance(error, (AuthenticationError, ClientClosedError, ConfigurationError)):
            if reading is not None:
                self._agenda.put_back(reading)
            self._fail_all(error)  # it would be the same for everybody
        elif isinstance(error, RateLimitError):
            self._crew.narrow()
            concerned = reading.entries
            if reading.search is not None:
                # Those whom the page might have shown; the others go on with the next one.
                concerned = list(islice(reading.search.asking, reading.search.view.size))
            self._fail(concerned, error)
            self._agenda.put_back(reading)
            if (error.retry_after or 0.0) > _LONG:
                self._fail_asking(error)
        else:
            self._went_wrong(reading, error)

    def _went_wrong(self, reading: Reading[J], error: ChamelaionError) -> None:
        """Try another way after a failure that may be this one's only, and pause when no way is left."""
        may_be_down = is_passing(error) or isinstance(error, InvalidResponseError)
        self._failures = self._failures + 1 if may_be_down else 0
        if reading.view is not None:
            self._agenda.list_failed()
            self._agenda.put_back(reading)
        else:
            (entry,) = reading.entries
            if isinstance(error, APITimeoutError) and entry.patience > reading.timeout:
                self._agenda.put_back(reading)  # somebody has joined who has more time
                return
            failures = entry.special.failures_alone + may_be_down
            entry.note(failures_alone=failures)
            if failures >= _UNREADABLE_ALONE:
                entry.note(prefers_page_until=_now() + _PREFERS_PAGE)
            self._fail(reading.entries, error)
        if self._failures >= _OUT_OF_REACH:
            self._crew.hold(doubled(_SERVICE_PAUSE, self._failures - _OUT_OF_REACH))
            self._fail_asking(error)

    def _fail_all(self, error: Exception) -> None:
        """Tell everybody, those who ask and those who do not."""
        self._agenda.clear()
        self._fail(self._registry.entries(), error)

    def _fail_asking(self, error: ChamelaionError) -> None:
        """Tell all who ask that nobody will be answered for now."""
        self._fail([entry for entry in self._registry.entries() if entry.state == "asking"], error)

    def _fail(self, entries: Iterable[Entry[J]], error: Exception) -> None:
        """Tell of an error; there may be very many to tell, who then take turns with others."""
        rest = iter(entries)
        for entry in islice(rest, SLICE):
            self._agenda.rest(entry)
            if entry.special.is_nudged:
                entry.note(is_nudged=False)
            for subscriber in entry.subscribers:
                subscriber.missed(error)
        if next_one := next(rest, None):
            asyncio.get_running_loop().call_soon(self._fail, chain([next_one], rest), error)


def _end_of(shown: tuple[Entry[J], Sighting[J], int]) -> datetime:
    """Order what one page shows by when it finished."""
    return shown[1].request.finished_at or _NOT_YET


def _now() -> float:
    return asyncio.get_running_loop().time()
