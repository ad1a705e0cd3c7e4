"""The requests that the sandbox received: the latest ones in full, and how many there were of each kind."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import parse_qsl

from attrs import Factory, define, field

Lane = Literal["status", "generate"]
"""A rate limit of its own: reading, or starting jobs."""


@define(kw_only=True, eq=False)
class Received:
    """One request as it came in.

    Args:
        method: HTTP method.
        path: percent-encoded as it was sent, without the query.
        route: method and template, such as "GET /v1/lipsync/requests/{id}"; None if there is no such endpoint.
        query_string: percent-encoded as it was sent.
        headers: looked up without regard to case.
        at: seconds since the epoch, by the sandbox's clock.
        lane: which rate limit counts it, None for neither.
        status: of the answer; None until it is sent, and still None if a fault sent none.
        job_id: of the job that it started.
        listed: ids of the jobs on the page that it was answered with.
        body: of a generation call: the JSON, or the form with files as {"filename", "content_type", "size"}.
        faults: kinds of the faults that were applied to it.
    """

    method: str
    path: str
    route: str | None
    query_string: str
    headers: Mapping[str, str]
    at: float
    lane: Lane | None
    status: int | None = None
    job_id: str | None = None
    listed: tuple[str, ...] = ()
    body: Any = None
    faults: tuple[str, ...] = ()

    @property
    def query(self) -> dict[str, str]:
        """The query, decoded; of a name that comes twice the last."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True))


_Kind = tuple[str, str | None, Lane | None, int | None]


@define(kw_only=True, eq=False)
class Journal:
    """The requests received.

    Args:
        size: how many to keep in full.
    """

    size: int
    received: deque[Received] = field(
        init=False, default=Factory(lambda self: deque(maxlen=self.size), takes_self=True)
    )
    _counts: Counter[_Kind] = field(init=False, factory=Counter)
    _listeners: list[Callable[[Received], None]] = field(init=False, factory=list)

    def open(self, received: Received) -> None:
        """Record a request when it arrives."""
        self.received.append(received)
        self._counts[received.method, received.route, received.lane, None] += 1

    def close(self, received: Received, status: int | None) -> None:
        """Record the status that a request is answered with, None if a fault lets no answer out."""
        received.status = status
        self._counts[received.method, received.route, received.lane, None] -= 1
        self._counts[received.method, received.route, received.lane, status] += 1
        for listener in tuple(self._listeners):
            listener(received)

    @contextmanager
    def listening(self, listener: Callable[[Received], None]) -> Iterator[None]:
        """Call a function with each request when its answer is made, within the context."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def count(self, *, route: str | None, method: str | None, lane: str | None, status: int | None) -> int:
        """Return how many requests there were, since the beginning; None matches any."""
        wanted = (method, route, lane, status)
        return sum(
            number
            for kind, number in self._counts.items()
            if all(want in {None, own} for want, own in zip(wanted, kind, strict=True))
        )

    def clear(self) -> None:
        """Drop all requests and counts."""
        self.received.clear()
        self._counts.clear()
