"""A request that somebody follows, and those who do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Protocol, TypeVar

import attrs

from ..models import Job
from .shape import Packed
from .state import Look, Sighting

if TYPE_CHECKING:
    from .places import Bucket, Search

__all__ = ["ALWAYS", "NEVER", "SLICE", "Entry", "Special", "Subscriber"]

J = TypeVar("J", bound=Job)

ALWAYS: Final = float("-inf")
"""A time of the loop that has always passed."""

NEVER: Final = float("inf")
"""A time of the loop that will not come."""

SLICE: Final = 250
"""Requests that are seen to before others get their turn of the loop."""


class Subscriber(Protocol[J]):
    """Somebody who follows a request.

    Attributes:
        entry: What is followed; another one once two ids turn out to mean the same request.
    """

    entry: Entry[J]

    def news(self, sighting: Sighting[J]) -> None:
        """Hear how the request stands."""

    def missed(self, error: Exception) -> None:
        """Hear why a look at it failed; of no concern to those who did not ask."""


@attrs.frozen(kw_only=True)
class Special(Generic[J]):
    """What is so for few of the requests that are followed, and would be dear to hold for each of very many.

    Attributes:
        others: Who follows it besides the first.
        aliases: Ids as it was asked for, where these were others.
        misses: Pages in a row that were to show it, and did not.
        search_at: When it may be searched for again, after a search in vain.
        searches: How many searches were in vain.
        failures_alone: Failures in a row of reading it on its own.
        prefers_page_until: Until when pages are to be tried even for it alone, because of these.
        is_nudged: Whether a look was asked for while another was under way.
    """

    others: dict[Subscriber[J], None] | None = None
    aliases: tuple[str, ...] = ()
    misses: int = 0
    search_at: float = ALWAYS
    searches: int = 0
    failures_alone: int = 0
    prefers_page_until: float = ALWAYS
    is_nudged: bool = False


_USUAL: Final[Special[Any]] = Special()


@attrs.define(eq=False, weakref_slot=False)
class Entry(Generic[J]):
    """A request that somebody follows. There may be very many, and the garbage collector goes over each attribute.

    Attributes:
        id: The id as it was asked for, and the request's UUID once that is known.
        subscriber: Who follows it.
        state: ``idle``, ``asking`` for a look, or ``reading`` while one is under way.
        packed: The request as it was last read.
        look: When that was.
        patience: Seconds that the next look may take.
        due: When the next look is wanted, by the loop's clock.
        place: Where it stands, or None if it has to be read on its own.
        special: What sets it apart from most.
    """

    id: str
    subscriber: Subscriber[J] | None = None
    state: Literal["idle", "asking", "reading"] = "idle"
    packed: Packed | None = None
    look: Look | None = None
    patience: float = 0.0
    due: float = ALWAYS
    place: Bucket[J] | Search[J] | None = None
    special: Special[J] = _USUAL

    def note(self, **what: Any) -> None:
        """Note what sets the request apart; see ``Special``."""
        self.special = attrs.evolve(self.special, **what)

    @property
    def subscribers(self) -> tuple[Subscriber[J], ...]:
        """All who follow it, at this moment."""
        if self.subscriber is None:
            return ()
        others = self.special.others
        return (self.subscriber,) if others is None else (self.subscriber, *others)

    def add(self, subscriber: Subscriber[J]) -> None:
        """Let somebody follow."""
        if self.subscriber is None:
            self.subscriber = subscriber
        elif self.special.others is None:
            self.note(others={subscriber: None})
        else:
            self.special.others[subscriber] = None

    def discard(self, subscriber: Subscriber[J]) -> None:
        """Let somebody go."""
        others = self.special.others
        if self.subscriber is subscriber:
            self.subscriber = others.popitem()[0] if others else None
        elif others is not None:
            others.pop(subscriber, None)

    def wants_a_look(self, now: float) -> bool:
        """Whether a look would be worth its while: asked for, or half of the pause since the last one is over."""
        if self.state != "idle":
            return self.state == "asking"
        return self.look is None or now - self.look.at >= self.due - now

    def move_to(self, place: Bucket[J] | Search[J] | None) -> None:
        """Stand somewhere else, or nowhere."""
        if self.place is not None:
            self.place.remove(self)
        self.place = place
        if place is not None:
            place.members.add(self)
