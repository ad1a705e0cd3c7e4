"""Who follows which request, under whichever name it was asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from ..models import Job
from .entry import ALWAYS, NEVER, Entry, Subscriber
from .shape import Shape
from .state import Sighting
from .store import StatusStore

__all__ = ["Registry"]

J = TypeVar("J", bound=Job)

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


class Registry(Generic[J]):
    """The requests that somebody follows.

    Args:
        store: Told which ids are of interest here.
        shape: Packs what is kept of a request.
        retire: Called with an entry whose followers have joined those of another.
    """

    def __init__(self, store: StatusStore[J], shape: Shape[J], retire: Callable[[Entry[J]], None]) -> None:
        self._store = store
        self._shape = shape
        self._retire = retire
        # A request stands in one of the first two, and may have a second name in the third.
        self._asked: dict[str, Entry[J]] = {}
        self._known: dict[str, Entry[J]] = {}
        self._aliases: dict[str, Entry[J]] = {}
        # Most references are one request's own, and a set for each would be dear.
        self._groups: dict[str, Entry[J] | set[Entry[J]]] = {}
        self._ids_are_uuids = False

    def __bool__(self) -> bool:
        """Whether anybody follows anything."""
        return bool(self._known or self._asked)

    def entries(self) -> list[Entry[J]]:
        """Return all that are followed."""
        return [*self._known.values(), *self._asked.values()]

    def join(self, id: str, subscriber: Subscriber[J]) -> Entry[J]:
        """Let somebody follow the request that ``id`` means.

        An alias is not taken for the request that it meant before: another one may carry the reference by now.
        """
        entry = self._known.get(id) or self._asked.get(id)
        if entry is not None:
            entry.add(subscriber)
            return entry
        entry = self._asked[id] = Entry(id, subscriber=subscriber)
        if self._ids_are_uuids and not _UUID.fullmatch(id):
            entry.note(search_at=NEVER)
        self._store.subscribe(id)
        return entry

    def drop(self, entry: Entry[J]) -> str | None:
        """Forget a request that nobody follows any more, and return its reference if nobody else shares it."""
        id = entry.id
        if self._known.get(id) is entry:
            del self._known[id]
        elif self._asked.get(id) is entry:
            del self._asked[id]
        for alias in entry.special.aliases:
            if self._aliases.get(alias) is entry:
                del self._aliases[alias]
        self._store.unsubscribe(id)
        reference = self._shape.reference_of(entry.packed) if entry.packed is not None else None
        if reference is None:
            return None
        group = self._groups.get(reference)
        if isinstance(group, set):
            group.discard(entry)
            if group:
                return None
        self._groups.pop(reference, None)
        return reference

    def named(self, name: str) -> list[Entry[J]]:
        """Return what is followed under an id, the name that it was asked for by, or a reference."""
        found = [names[name] for names in (self._known, self._asked, self._aliases) if name in names]
        group = self._groups.get(name, ())
        return list(dict.fromkeys([*found, *([group] if isinstance(group, Entry) else group)]))

    def resolve(self, id: str) -> Entry[J] | None:
        """Return the request that has this UUID, if it is followed; that an id is one is known from now on."""
        asked = self._asked.get(id)
        return self._known.get(id) if asked is None else self.identify(asked, id)

    def identify(self, entry: Entry[J], id: str) -> Entry[J]:
        """Note which request an entry means, and return the one under which that is followed.

        Who asked for a request by another name joins those who follow it already.
        """
        if self._asked.get(entry.id) is not entry:
            return entry
        del self._asked[entry.id]
        known = self._known.setdefault(id, entry)
        if known is entry and entry.id == id:
            return entry
        self._store.unsubscribe(entry.id)
        if entry.id != id:
            entry.note(aliases=(entry.id,), search_at=ALWAYS)
            entry.id = id
            if known is entry:
                self._store.subscribe(id)
        if known is not entry:
            known.note(aliases=known.special.aliases + entry.special.aliases)
            for subscriber in entry.subscribers:
                subscriber.entry = known
                known.add(subscriber)
            entry.subscriber = None
            entry.note(others=None)
            self._retire(entry)
            entry.move_to(None)
        for alias in entry.special.aliases:
            self._aliases[alias] = known
        return known

    def learn_shape(self, ids: Iterable[str]) -> list[Entry[J]]:
        """Learn from a list whether a reference can be told from an id, and return whom no list can find then.

        Only the service itself can say which request a reference means.
        """
        if self._ids_are_uuids or not all(_UUID.fullmatch(id) for id in ids):
            return []
        self._ids_are_uuids = True
        references = [entry for entry in self._asked.values() if not _UUID.fullmatch(entry.id)]
        for entry in references:
            entry.note(search_at=NEVER)
        return references

    def saw(self, entry: Entry[J], sighting: Sighting[J]) -> None:
        """Note how a request stands."""
        reference = sighting.request.reference_id
        if entry.packed is None and reference is not None:
            group = self._groups.setdefault(reference, entry)
            if isinstance(group, set):
                group.add(entry)
            elif group is not entry:
                self._groups[reference] = {group, entry}
        entry.packed, entry.look = sighting.packed(self._shape), sighting.look

    def group(self, reference_id: str) -> set[Entry[J]]:
        """Return the requests that share a reference, as far as they have been read; none if it is one's own."""
        group = self._groups.get(reference_id)
        return group if isinstance(group, set) else set()
