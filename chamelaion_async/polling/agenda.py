"""What to read next: who asks for a look stands in line here, alone or with those whom the same page would answer."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final, Generic, TypeVar

from ..models import Job
from .entry import ALWAYS, SLICE, Entry
from .places import Bucket, ListView, Place, Search
from .reading import Reading

__all__ = ["Agenda", "doubled"]

J = TypeVar("J", bound=Job)

_LIST_PAUSE: Final = (5.0, 300.0)  # seconds without pages after a list that could not be read: first, longest
_SEARCH_PAUSE: Final = (15.0, 480.0)  # seconds until a request is searched for again: first, longest


def doubled(bounds: tuple[float, float], times: int) -> float:
    """Return the first bound, doubled so many times, but not beyond the second."""
    first, longest = bounds
    return min(first * 2.0 ** min(times, 60), longest)


class Agenda(Generic[J]):
    """Decides what to read.

    Args:
        clock: The loop's time.
        wake: Called when somebody has come to stand in line.
    """

    def __init__(self, clock: Callable[[], float], wake: Callable[[], None]) -> None:
        self._clock = clock
        self._wake = wake
        self._line: OrderedDict[Place[J], None] = OrderedDict()
        self._whole: ListView[J] = ListView({})
        self._newcomers: Search[J] = Search(self._whole)
        self._by_reference: dict[str, ListView[J]] = {}
        self._no_lists_until = ALWAYS
        self._list_failures = 0

    def __len__(self) -> int:
        """At most this many calls are to be made."""
        return len(self._line)

    # Standing in line

    def welcome(self, entry: Entry[J]) -> None:
        """Let an entry without a place be searched for, together with all who came since the last search began."""
        search_at = entry.special.search_at
        if search_at == ALWAYS or search_at <= self._clock():
            if self._newcomers.top is not None:
                self._newcomers = Search(self._whole)
            entry.move_to(self._newcomers)

    def ask(self, entry: Entry[J], *, first: bool = False) -> None:
        """Let an entry ask for a look."""
        entry.state = "asking"
        self._enqueue(entry, first=first)

    def ask_again(self, entries: Iterable[Entry[J]]) -> None:
        """Put those back in line, at its head, who have got no answer to their look."""
        for entry in entries:
            if entry.state == "reading" and entry.subscriber is not None:
                self.ask(entry, first=True)

    def clear(self) -> None:
        """Let nobody stand in line; those who ask are to be told why."""
        self._line.clear()

    def prefer(self, entry: Entry[J]) -> None:
        """Bring somebody who asks to the head of the line."""
        place = entry if entry.place is None else entry.place
        if place in self._line:
            self._line.move_to_end(place, last=False)

    def rest(self, entry: Entry[J]) -> None:
        """Take an entry out of the line."""
        if entry.state == "asking":
            self._unqueue(entry)
        entry.state = "idle"
        entry.patience = 0.0

    def relocate(self, entry: Entry[J], place: Bucket[J] | Search[J] | None) -> None:
        """Change a place, and with it the line that the entry may stand in."""
        if entry.state != "asking":
            entry.move_to(place)
            return
        self._unqueue(entry)
        entry.move_to(place)
        self._enqueue(entry)

    def _enqueue(self, entry: Entry[J], *, first: bool = False) -> None:
        if entry.place is None:
            self.welcome(entry)
        place = entry.place
        if place is None:
            self._line_up(entry, first=first)
            return
        place.asking[entry] = None
        is_served = place.is_under_way if isinstance(place, Bucket) else place.is_enough_under_way
        if not is_served:
            self._line_up(place, first=first)

    def _line_up(self, place: Place[J], *, first: bool) -> None:
        if not first and place in self._line:
            return
        self._line[place] = None
        if first:
            self._line.move_to_end(place, last=False)
        self._wake()

    def _unqueue(self, entry: Entry[J]) -> None:
        place = entry.place
        if place is None:
            self._line.pop(entry, None)
        else:
            place.asking.pop(entry, None)
            if not place.asking:
                self._line.pop(place, None)

    # Deciding

    def choose(self) -> Reading[J] | None:
        """Take what is to be read next out of the line."""
        now = self._clock()
        while self._line:
            place, _ = self._line.popitem(last=False)
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
        reading = _page(bucket.view, bucket.top, entries, entries)
        reading.bucket, bucket.is_under_way = bucket, True
        return reading

    def _next_page(self, search: Search[J]) -> Reading[J] | None:
        if search.is_exhausted and not search.under_way:
            self._end(search)
        if search.is_exhausted or not search.asking or search.is_enough_under_way:
            return None
        begun_at = search.advance()
        reading = _page(search.view, begun_at, [], islice(search.asking, search.view.size))
        reading.search, reading.begun_at = search, begun_at
        if not search.is_exhausted and not search.is_enough_under_way:
            self._line_up(search, first=True)
        return reading

    # Learning from what came of it

    def put_back(self, reading: Reading[J]) -> None:
        """Undo a decision that came to nothing."""
        if reading.search is not None:
            reading.search.failed(reading.begun_at)
            self._go_on(reading.search)
        self.ask_again(reading.entries)
        self._end_page(reading.bucket)

    def _end_page(self, bucket: Bucket[J] | None) -> None:
        """Let those stand in line again who asked while their page was read, and were not shown by it."""
        if bucket is not None:
            bucket.is_under_way = False
            if bucket.asking:
                self._line_up(bucket, first=True)

    def list_failed(self) -> None:
        """Do without pages for a while; what was under way and fails as well counts as the same failure."""
        now = self._clock()
        if now >= self._no_lists_until:
            self._no_lists_until = now + doubled(_LIST_PAUSE, self._list_failures)
            self._list_failures += 1

    def list_answered(self) -> None:
        """Trust pages again."""
        self._list_failures = 0

    def place(self, entry: Entry[J], view: ListView[J], rank: int) -> None:
        """Give an entry its place in a list, unless a shorter list shows it as well."""
        if view is not self._whole or entry.place is None or entry.place.view is view:
            is_asking = entry.state == "asking"
            if is_asking:
                self._unqueue(entry)
            if entry.special.misses:
                entry.note(misses=0)
            view.put(entry, rank)
            if is_asking:
                self._enqueue(entry)

    def missed(self, entries: Iterable[Entry[J]], *, has_grown: bool) -> None:
        """See to those whom a page was to show and did not: the list has grown meanwhile, or does not hold them."""
        for entry in entries:
            if entry.state != "reading":
                continue
            entry.note(misses=entry.special.misses + 1)
            if entry.special.misses > 1 or not has_grown:
                entry.note(search_at=self._clock() + _SEARCH_PAUSE[0])
                entry.move_to(None)
        self.ask_again(entries)

    def searched(self, reading: Reading[J], ranks: range, found: int) -> None:
        """Take note of an answered page, and let the search that it belongs to go on, or end."""
        self._end_page(reading.bucket)
        if reading.search is not None:
            reading.search.answered(reading.begun_at, ranks, found)
            self._go_on(reading.search)

    def _go_on(self, search: Search[J]) -> None:
        if search.is_exhausted:
            if not search.under_way:
                self._end(search)
        elif search.asking and not search.is_enough_under_way:
            self._line_up(search, first=True)

    def _end(self, search: Search[J]) -> None:
        """Let those whom a search did not find be read on their own, or searched for where they were before.

        They may be very many, so the rest stays for the next turn; and who does not ask, until it does.
        """
        now = self._clock()
        for entry in [*islice(search.asking, SLICE)]:
            if search.origin is None:
                # A reference stays what it is: no list can find it.
                special = entry.special
                again_at = max(special.search_at, now + doubled(_SEARCH_PAUSE, special.searches))
                entry.note(search_at=again_at, searches=special.searches + 1)
            self.relocate(entry, search.origin)
        if search.asking:
            self._line_up(search, first=False)

    def try_reference(
        self, shown: Sequence[Job], search: Search[J] | None, group: Callable[[str], set[Entry[J]]]
    ) -> None:
        """Turn to the list of one reference, where that may answer for more than what was just read.

        Args:
            shown: Requests that were waited for and just read, few at a time.
            search: The search that showed them, if it was one.
            group: Gives all who share a reference.
        """
        counts = Counter(request.reference_id for request in shown if request.reference_id is not None)
        for reference, _ in counts.most_common(1):
            sharing = group(reference)
            if not sharing or reference in self._by_reference:
                return
            waiting: Iterable[Place[J]] = self._line if search is None else search.asking
            unread = [place for place in waiting if isinstance(place, Entry) and place.packed is None]
            if min(len(sharing) + len(unread), self._whole.size) < 2 * len(shown):
                return
            view = self._by_reference[reference] = ListView({"reference_id": reference})
            narrow = Search(view)
            narrow.origin = search
            for entry in [*sharing, *unread]:
                self.relocate(entry, narrow)

    def forget_reference(self, reference_id: str) -> None:
        """Forget the list of a reference that nobody waits for any more."""
        self._by_reference.pop(reference_id, None)


def _page(view: ListView[J], top: int | None, entries: list[Entry[J]], asking: Iterable[Entry[J]]) -> Reading[J]:
    patience = max(entry.patience for entry in asking)
    return Reading(timeout=patience, entries=entries, view=view, offset=view.offset_below(top))
