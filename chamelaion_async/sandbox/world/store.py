"""The jobs of one family: a dict finds them by id, and lists show the newest first without sorting."""

import heapq
from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from itertools import count

from attrs import define, field

from .jobs import Job


def _created_at(job: Job) -> float:
    return job.created_at


@define(eq=False)
class _Ordered:
    """Jobs in order of creation, all together and by reference_id."""

    jobs: list[Job] = field(init=False, factory=list)
    by_reference: dict[str, list[Job]] = field(init=False, factory=dict)

    def add(self, job: Job) -> None:
        insort(self.jobs, job, key=_created_at)
        if job.reference_id is not None:
            insort(self.by_reference.setdefault(job.reference_id, []), job, key=_created_at)

    def oldest_first(self, reference_id: str | None) -> Sequence[Job]:
        return self.jobs if reference_id is None else self.by_reference.get(reference_id, ())


@define(eq=False)
class JobStore:
    """Every job of one family.

    Args:
        examples: jobs that answer by id and reference_id, and are in no list: a test that counts its own jobs
            would find too many there.
        by_id: the other jobs, in the order in which they were added.
    """

    examples: Sequence[Job]
    by_id: dict[str, Job] = field(init=False, factory=dict)
    _known: _Ordered = field(init=False, factory=_Ordered)
    _listed: _Ordered = field(init=False, factory=_Ordered)
    _unlisted: list[tuple[float, int, Job]] = field(init=False, factory=list)
    _sequence: Iterator[int] = field(init=False, factory=count)

    def add(self, job: Job, *, now: float) -> None:
        """Add a job.

        Args:
            job: with an id that is new.
            now: seconds since the epoch.

        Raises:
            ValueError: if there is a job with this id.
        """
        if job.id in self.by_id or any(job.id == example.id for example in self.examples):
            raise ValueError(f"there is a job {job.id} already")
        self.by_id[job.id] = job
        self._known.add(job)
        if job.listed_at <= now:
            self._listed.add(job)
        else:
            heapq.heappush(self._unlisted, (job.listed_at, next(self._sequence), job))

    def find(self, name: str) -> Job | None:
        """Return the job with this UUID in any case, else the newest one with this reference_id.

        Args:
            name: UUID, or reference_id in the case in which it was given.
        """
        id = name.lower()
        if id in self.by_id:
            return self.by_id[id]
        if name in self._known.by_reference:
            return self._known.by_reference[name][-1]
        return next((each for each in self.examples if id == each.id or name == each.reference_id), None)

    def find_output(self, name: str) -> Job | None:
        """Return the job whose output has this name."""
        job = self.by_id.get(name.removesuffix(".mp4").lower())
        candidates = self.examples if job is None else (job,)
        return next((each for each in candidates if each.output_name == name), None)

    def page(
        self,
        *,
        now: float,
        limit: int,
        offset: int,
        reference_id: str | None = None,
        keep: Callable[[Job], bool] | None = None,
    ) -> tuple[list[Job], int]:
        """Return a page of the jobs that are listed by now, newest first, and how many match in all.

        Args:
            now: seconds since the epoch.
            limit: page size.
            offset: how many to skip.
            reference_id: only jobs that carry exactly this one.
            keep: further filter; it is called for every listed job.
        """
        while self._unlisted and self._unlisted[0][0] <= now:
            self._listed.add(heapq.heappop(self._unlisted)[2])
        jobs = self._listed.oldest_first(reference_id)
        if keep is not None:
            jobs = [job for job in jobs if keep(job)]
        end = len(jobs) - offset
        return list(reversed(jobs[max(0, end - limit) : end])) if end > 0 else [], len(jobs)
