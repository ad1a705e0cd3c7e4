"""A request as one answer showed it, and when that answer came."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

import attrs

from ..models import Job
from .packing import Packed, pack

__all__ = ["ReadStamp", "Snapshot"]

J = TypeVar("J", bound=Job)


@attrs.frozen(kw_only=True)
class ReadStamp:
    """When an answer came. One answer may show many requests.

    Attributes:
        began: When the read was sent, by the loop's clock. The answer may not show what happened after that.
        at: When the answer arrived, by the loop's clock.
        server_time: When the service answered, by its own clock (``Date``), or None if the answer does not say.
        jitter_draw: A number between 0 and 1, drawn once for each answer. All waits for the request jitter their next
            poll by this number, so those polls fall due together and share one read.
        is_page: Whether the answer was a page of the list, which may lag behind the request itself.
        is_heard: Whether another client on the account has read it; ``began`` may then be early, and ``at`` late.
    """

    began: float
    at: float
    server_time: datetime | None
    jitter_draw: float
    is_page: bool = False
    is_heard: bool = False


@attrs.define
class Snapshot(Generic[J]):
    """A request as one answer showed it.

    Attributes:
        request: The request.
        stamp: The answer.
    """

    request: J
    stamp: ReadStamp
    _packed: Packed | None = attrs.field(init=False, default=None, eq=False, repr=False)

    @property
    def packed(self) -> Packed:
        """The request packed. All that keep it share one tuple."""
        if self._packed is None:
            self._packed = pack(self.request)
        return self._packed
