"""A family of jobs, lip sync or translations: where its endpoints are, and what the views of a client share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

from .._http.transport import Transport
from ..models import Job, Page
from ..polling.durations import Durations
from ..sharing import Membership
from .submission import Submissions

if TYPE_CHECKING:
    from ..polling.polls import Polls

__all__ = ["Family", "FamilyState"]

J = TypeVar("J", bound=Job)


@attrs.frozen(kw_only=True)
class Family(Generic[J]):
    """Where the endpoints of a family are, and what they answer.

    Attributes:
        path: What their paths begin with.
        model: A request of the family.
        page_model: A page of them.
        requests_path: The path of the list; an id follows for a single request.
    """

    path: str
    model: type[J]
    page_model: type[Page[J]]
    requests_path: str = attrs.field(init=False)

    @requests_path.default
    def _path_below(self) -> str:
        return f"{self.path}/requests"


class FamilyState(Generic[J]):
    """What all views of one client share for a family: its submissions, and the polls of its waits.

    Args:
        family: The family.
        transport: Carries the reads of the waits.
        durations: How long the jobs of all families took.
        membership: The client among those that share an account, if any.
        read_timeout: Seconds for the answer of a page, or of a GET that only a nudge has asked for.
    """

    def __init__(
        self,
        family: Family[J],
        transport: Transport,
        *,
        durations: Durations,
        membership: Membership | None,
        read_timeout: float,
    ) -> None:
        self.family = family
        self.durations = durations
        self.submissions: Submissions = Submissions()
        self._transport = transport
        self._membership = membership
        self._read_timeout = read_timeout

    @property
    def name(self) -> str:
        """What the family is called in paths and in telemetry, such as ``lipsync``."""
        return self.family.path.rpartition("/")[2]

    @property
    def has_polls(self) -> bool:
        """Whether a wait or a batch has begun."""
        return "polls" in self.__dict__

    @cached_property
    def polls(self) -> Polls[J]:
        """What waits and batches go through, made with the first of them."""
        # Imported here, since not every program waits, and this is a good part of the package's import time.
        from ..polling.polls import Polls  # noqa: PLC0415

        return self.make_polls(Polls)

    def make_polls(self, make: Callable[..., Polls[J]]) -> Polls[J]:
        """Return new polls of this family, of the class ``Polls`` or one that adds to it."""
        return make(
            self._transport,
            path=self.family.requests_path,
            model=self.family.model,
            durations=self.durations,
            membership=self._membership,
            read_timeout=self._read_timeout,
        )
