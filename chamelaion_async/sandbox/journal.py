"""What the sandbox was asked: the latest requests in full, and how many there were of each kind."""

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from attrs import define, field

from .lanes import Lane


@define(kw_only=True, eq=False)
class Received:
    """One request as it came in.

    Args:
        method: HTTP method.
        path: as asked for, percent-encoding untouched, without the query.
        route: method and template, such as "GET /v1/lipsync/requests/{id}"; None where nothing is served.
        query_string: percent-encoding untouched.
        headers: looked up without regard to case.
        at: seconds since the epoch, by the sandbox's clock.
        lane: which rate limit counts it, None for neither.
        status: of the answer; None until it is given, and for ever if a fault swallowed it.
        job_id: of the job that it started.
        body: of a generation call: the JSON, or the form with files as {"filename", "content_type", "size"}.
        faults: kinds of the faults that struck it.
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
    received: deque[Received] = field(init=False)
    _counts: Counter[_Kind] = field(init=False, factory=Counter)

    @received.default
    def _empty(self) -> deque[Received]:
        return deque(maxlen=self.size)

    def open(self, received: Received) -> None:
        """Write down a request that has come in."""
        self.received.append(received)
        self._counts[received.method, received.route, received.lane, None] += 1

    def close(self, received: Received, status: int) -> None:
        """Write down the status with which a request is answered."""
        received.status = status
        self._counts[received.method, received.route, received.lane, None] -= 1
        self._counts[received.method, received.route, received.lane, status] += 1

    def count(self, *, route: str | None, method: str | None, lane: str | None, status: int | None) -> int:
        """Return how many requests there were, since the beginning; None matches any."""
        return sum(
            number
            for (its_method, its_route, its_lane, its_status), number in self._counts.items()
            if (route is None or its_route == route)
            and (method is None or its_method == method)
            and (lane is None or its_lane == lane)
            and (status is None or its_status == status)
        )

    def clear(self) -> None:
        """Forget what was received so far."""
        self.received.clear()
        self._counts.clear()
