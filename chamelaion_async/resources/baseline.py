"""Whether the list of jobs shows the job of a submission: pure, without I/O.

A job is the submission's if it carries exactly its ``reference_id`` and was not in the list before. The API promises
that the list's filter matches exactly. A filter that matches prefixes, ignores case or is ignored must still never
give one submission the job of another; so jobs with another reference are left out here, and a page that holds one
proves no absence either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import attrs

from ..models import Job

__all__ = ["Baseline", "Comparison", "ListedJobs", "canonical_id"]

_SKEW: Final = timedelta(seconds=60)  # by which the clock in the headers and the one that stamps jobs may differ


class ListedJobs(NamedTuple):
    """The first page of the list under one ``reference_id``.

    Attributes:
        jobs: Those on the page.
        total: How many there are in all.
        server_time: When the service answered, by its own clock.
    """

    jobs: Sequence[Job]
    total: int
    server_time: datetime | None


class Comparison(NamedTuple):
    """What a page that was read after a submission proves.

    Attributes:
        new: Ids of the jobs that were certainly not there before.
        is_ambiguous: Whether it shows a job that may be the submission's or an older one.
        gap: Why a job that the page does not show may exist all the same; empty where there is no such reason.
    """

    new: tuple[str, ...]
    is_ambiguous: bool
    gap: str


@attrs.frozen(kw_only=True)
class Baseline:
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
    def of(cls, reference_id: str, listed: ListedJobs) -> Baseline:
        """Return the baseline that a page is."""
        jobs = _with_reference(reference_id, listed)
        return cls(
            reference_id=reference_id,
            ids=frozenset(jobs),
            total=listed.total,
            is_whole=not _has_strangers(reference_id, listed) and len(jobs) >= listed.total,
            server_time=listed.server_time,
        )

    def compare(self, listed: ListedJobs, is_known: Callable[[str], bool]) -> Comparison:
        """Return what a later page proves.

        Args:
            listed: The page.
            is_known: Whether a job, by its canonical id, belongs to another submission.
        """
        jobs = _with_reference(self.reference_id, listed)
        unknown = {id: job for id, job in jobs.items() if id not in self.ids and not is_known(id)}
        return Comparison(
            new=tuple(job.id for job in unknown.values() if self._is_new(job)),
            # A job without an id cannot be distinguished from any other, nor be waited for.
            is_ambiguous="" in jobs or any(map(self._may_be_new, unknown.values())),
            gap=self._gap(listed, list(jobs.values())),
        )

    def _is_new(self, job: Job) -> bool:
        """Whether an unknown job was certainly not there, by the service's own clock where an answer has one."""
        return self.is_whole if self.server_time is None else job.created_at >= self.server_time

    def _may_be_new(self, job: Job) -> bool:
        """Whether an unknown job may be either: not in the baseline, and yet older than it by the clock."""
        if self._is_new(job):
            return False
        return self.server_time is None or self.is_whole or job.created_at >= self.server_time - _SKEW

    def _gap(self, listed: ListedJobs, jobs: Sequence[Job]) -> str:
        if _has_strangers(self.reference_id, listed):
            return "the list shows jobs with another reference_id, so it may leave out the one in question"
        if len(jobs) >= listed.total:
            return ""
        times = [job.created_at for job in jobs]
        # One page of several shows the newest job if the list begins with it. That is not documented, so the page
        # itself must show it. Jobs of one second are in no order, and a longer list may have grown on another page.
        is_newest_end = (
            bool(times)
            and listed.total <= self.total
            and self.server_time is not None
            and times == sorted(times, reverse=True)
            and times[0] > times[-1]
            and times[-1] < self.server_time - _SKEW
        )
        return "" if is_newest_end else "too many jobs carry its reference_id to exclude that it is among them"


def canonical_id(id: str) -> str:
    """Return an id in the one form in which it is compared: a UUID may come in either case (RFC 9562, section 4)."""
    try:
        return str(UUID(id))
    except ValueError:
        return id


def _with_reference(reference_id: str, listed: ListedJobs) -> dict[str, Job]:
    """Return the jobs with exactly this reference, by id: a record that is on a page twice is one job."""
    return {canonical_id(job.id): job for job in listed.jobs if job.reference_id == reference_id}


def _has_strangers(reference_id: str, listed: ListedJobs) -> bool:
    return any(job.reference_id != reference_id for job in listed.jobs)
