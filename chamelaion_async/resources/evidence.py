"""What a page of the list proves about one submission: pure, without I/O.

Only a job with exactly the submission's ``reference_id`` counts. The API promises that the list's filter matches
exactly; a filter that matches prefixes, ignores case or is ignored must still never make one submission's job
another's. A page that shows such strangers shows that the filter is not exact, so that it proves no absence either.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import attrs

from ..models import Job

__all__ = ["Before", "Evidence", "Listing", "canonical"]

_SKEW: Final = timedelta(seconds=60)  # by which the clock in the headers and the one that stamps jobs may differ


class Listing(NamedTuple):
    """The newest jobs under one ``reference_id``.

    Attributes:
        jobs: Those on the page.
        total: How many there are in all.
        server_time: When the service answered, by its own clock.
    """

    jobs: list[Job]
    total: int
    server_time: datetime | None


class Evidence(NamedTuple):
    """What a page that was read after a submission proves.

    Attributes:
        new: Ids of the jobs that were certainly not there before.
        is_ambiguous: Whether it shows a job that may be the submission's or an older one.
        gap: Why a job that it does not show may exist all the same; empty where there is no such reason.
    """

    new: tuple[str, ...]
    is_ambiguous: bool
    gap: str


@attrs.frozen(kw_only=True)
class Before:
    """What the list showed before a submission.

    Attributes:
        reference_id: The submission's.
        ids: Those of the jobs that carried it, in canonical form.
        total: How many there were in all.
        is_whole: Whether all that carried it are among the ids.
        server_time: When the service answered, by its own clock.
    """

    reference_id: str
    ids: frozenset[str]
    total: int
    is_whole: bool
    server_time: datetime | None

    @classmethod
    def of(cls, reference_id: str, listing: Listing) -> Before:
        """Return what the page shows."""
        jobs = _named(reference_id, listing)
        return cls(
            reference_id=reference_id,
            ids=frozenset(jobs),
            total=listing.total,
            is_whole=not _has_strangers(reference_id, listing) and len(jobs) >= listing.total,
            server_time=listing.server_time,
        )

    def compare(self, listing: Listing, is_anothers: Callable[[str], bool]) -> Evidence:
        """Return what a later page proves.

        Args:
            listing: The page.
            is_anothers: Whether a job, by its canonical id, is known to be another submission's.
        """
        jobs = _named(self.reference_id, listing)
        unknown = {id: job for id, job in jobs.items() if id not in self.ids and not is_anothers(id)}
        new = [job for job in unknown.values() if self._is_new(job)]
        return Evidence(
            new=tuple(job.id for job in new),
            # A job without an id cannot be told from any other, nor be waited for.
            is_ambiguous="" in jobs or any(map(self._may_be_new, unknown.values())),
            gap=self._gap(listing, list(jobs.values())),
        )

    def _is_new(self, job: Job) -> bool:
        """Whether an unknown job was certainly not there, by the service's own clock where it tells one."""
        return self.is_whole if self.server_time is None else job.created_at >= self.server_time

    def _may_be_new(self, job: Job) -> bool:
        """Whether an unknown job may be either: not noted, and yet older than the note by the clock."""
        if self._is_new(job):
            return False
        return self.server_time is None or self.is_whole or job.created_at >= self.server_time - _SKEW

    def _gap(self, listing: Listing, jobs: list[Job]) -> str:
        if _has_strangers(self.reference_id, listing):
            return "the list shows jobs with another reference_id, so it does not tell what it leaves out"
        if len(jobs) >= listing.total:
            return ""
        times = [job.created_at for job in jobs]
        is_newest_end = (
            bool(times)
            and listing.total <= self.total  # or what it has grown by may be on another page
            and self.server_time is not None
            and times == sorted(times, reverse=True)
            and times[-1] < self.server_time - _SKEW
        )
        return "" if is_newest_end else "too many jobs carry its reference_id to tell that it is not among them"


def canonical(id: str) -> str:
    """Return an id in the one form in which it is compared: a UUID may come in either case (RFC 9562, section 4)."""
    try:
        return str(UUID(id))
    except ValueError:
        return id


def _named(reference_id: str, listing: Listing) -> dict[str, Job]:
    """Return the jobs with exactly this name, by id: a record that stands on a page twice is one job."""
    return {canonical(job.id): job for job in listing.jobs if job.reference_id == reference_id}


def _has_strangers(reference_id: str, listing: Listing) -> bool:
    return any(job.reference_id != reference_id for job in listing.jobs)
