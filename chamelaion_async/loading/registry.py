"""Which requests have subscribers, and under which names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Generic, TypeVar

import attrs

from ..models import Job
from .entries import Entry, Subscriber
from .packing import reference_of
from .snapshot import Snapshot

__all__ = ["Registry", "is_same_request"]

J = TypeVar("J", bound=Job)

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


def is_same_request(id: str, request: Job) -> bool:
    """Whether a request may be the answer to a GET of ``id``: its UUID in any case, or else a reference."""
    return _key(request.id) == _key(id) or not _UUID.fullmatch(id) or request.reference_id == id


def _key(id: str) -> str:
    """Return the same for two spellings of one UUID (RFC 9562, section 4: compared without regard to case).

    An id in lower case is its own key. Callers that see very many ids check that first, which spares this call.
    """
    return id.lower() if not id.islower() and _UUID.fullmatch(id) else id


class Registry(Generic[J]):
    """The requests that have subscribers."""

    def __init__(self) -> None:
        # A request is in one of the first two, and may have further names in the third.
        self._asked: dict[str, Entry[J]] = {}
        self._known: dict[str, Entry[J]] = {}
        self._aliases: dict[str, Entry[J]] = {}
        # Most references belong to one request; a set for each would take too much memory.
        self._by_reference: dict[str, Entry[J] | set[Entry[J]]] = {}
        self._ids_are_uuids = False

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._known or self._asked)

    def entries(self) -> list[Entry[J]]:
        """Return all of them."""
        return [*self._known.values(), *self._asked.values()]

    def join(self, subscriber: Subscriber[J]) -> Entry[J]:
        """Subscribe to the request that the subscriber's id means.

        A reference makes an entry of its own until a GET shows its request: by now, a newer job may carry it.
        """
        id = subscriber.id
        key = id if id.islower() else _key(id)
        entry = self._known.get(key) or self._asked.get(key)
        if entry is not None:
            _add(entry, subscriber)
            return entry
        entry = self._asked[key] = Entry(subscriber.id, subscriber=subscriber)
        return entry

    def leave(self, entry: Entry[J], subscriber: Subscriber[J]) -> None:
        """Unsubscribe, and remove the request with its last subscriber."""
        others, aliases = entry.rare.others, entry.rare.aliases
        if entry.subscriber is subscriber:
            entry.subscriber = others.popitem()[0] if others else None
        elif others is not None:
            others.pop(subscriber, None)
        if aliases is not None and (name := _key(subscriber.id)) in aliases:
            aliases[name] -= 1
            if not aliases[name]:
                del aliases[name]
                if self._aliases.get(name) is entry:
                    del self._aliases[name]
        if entry.subscriber is None:
            self._remove(entry)

    def _remove(self, entry: Entry[J]) -> None:
        if self._asked.get(entry.id) is entry:
            del self._asked[entry.id]  # most of a batch that is read once
        else:
            key = entry.id if entry.id.islower() else _key(entry.id)
            for entries in (self._known, self._asked):
                if entries.get(key) is entry:
                    del entries[key]
        if entry.packed is not None and (reference := reference_of(entry.packed)) is not None:
            group = self._by_reference.get(reference)
            if isinstance(group, set):
                group.discard(entry)
            if not isinstance(group, set) or not group:
                self._by_reference.pop(reference, None)

    def named(self, name: str) -> list[Entry[J]]:
        """Return the requests with this id, this reference, or a subscriber that was given this name."""
        key = _key(name)
        found = [names[key] for names in (self._known, self._asked, self._aliases) if key in names]
        group = self._by_reference.get(name, ())
        return list(dict.fromkeys([*found, *([group] if isinstance(group, Entry) else group)]))

    def find(self, id: str) -> Entry[J] | None:
        """Return the request with this id, as a page shows it."""
        entry = self._asked.get(id) or self._known.get(id)
        if entry is not None or id.islower():
            return entry
        key = _key(id)
        return self._asked.get(key) or self._known.get(key)

    def identify(self, entry: Entry[J], id: str) -> Entry[J]:
        """Set the service's id of an entry's request, and return the entry of that request.

        If another entry has that id, it is returned: it takes over the subscribers, and this entry has none.
        """
        key = id if id.islower() else _key(id)
        asked_as = key if entry.id == id else _key(entry.id)
        if self._asked.get(asked_as) is not entry:
            return entry
        del self._asked[asked_as]
        known = self._known.get(key)
        if known is None:
            # Another wait may have asked by this id, and its own reads have not been answered yet.
            known = self._known[key] = self._asked.pop(key, entry)
        entry.id = id
        if known is entry and asked_as == key:
            return entry
        if asked_as != key:
            aliases = known.rare.aliases
            if aliases is None:
                aliases = {}
                known.note(aliases=aliases)
            aliases[asked_as] = aliases.get(asked_as, 0) + len(entry.subscribers)
            self._aliases[asked_as] = known
        if known is not entry:
            for subscriber in entry.subscribers:
                subscriber.entry = known
                _add(known, subscriber)
            entry.subscriber = None
            entry.note(others=None)
        return known

    def learn_ids(self, ids: Iterable[str]) -> list[Entry[J]]:
        """Learn from a page that ids are UUIDs, and return the entries that turn out to be references by that."""
        if self._ids_are_uuids or not all(_UUID.fullmatch(id) for id in ids):
            return []
        self._ids_are_uuids = True
        return [entry for entry in self._asked.values() if self.is_reference(entry)]

    def is_reference(self, entry: Entry[J]) -> bool:
        """Whether no page can show an entry, since only a GET can tell which request a reference means."""
        if not self._ids_are_uuids or _UUID.fullmatch(entry.id):
            return False
        return self._asked.get(entry.id) is entry

    def keep(self, entry: Entry[J], snapshot: Snapshot[J]) -> None:
        """Keep the request as a read showed it."""
        reference = snapshot.request.reference_id
        if entry.packed is None and reference is not None:
            group = self._by_reference.setdefault(reference, entry)
            if isinstance(group, set):
                group.add(entry)
            elif group is not entry:
                self._by_reference[reference] = {group, entry}
        stamp = snapshot.stamp
        if entry.stamp is not None and entry.stamp.began > stamp.began:
            # An earlier read has confirmed what a later one showed; what began in between may still show less.
            stamp = attrs.evolve(stamp, began=entry.stamp.began)
        entry.packed, entry.stamp = snapshot.packed, stamp


def _add(entry: Entry[J], subscriber: Subscriber[J]) -> None:
    # The first subscriber made the entry, which is removed with the last: it has one.
    if entry.rare.others is None:
        entry.note(others={subscriber: None})
    else:
        entry.rare.others[subscriber] = None
