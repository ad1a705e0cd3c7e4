"""The jobs of one family: found by id at once, listed newest first without sorting."""

import heapq
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from types import MappingProxyType

from attrs import define, field

from .jobs import Job


def _created_at(job: Job) -> float:
    return job.created_at


@define(eq=False)
class _Shelf:
    """Jobs in order of creation, all together and by reference_id."""

    jobs: list[Job] = field(init=False, factory=list)
    by_reference: dict[str, list[Job]] = field(init=False, factory=dict)

    def put(self, job: Job) -> None:
        insort(self.jobs, job, key=_created_at)
        if job.reference_id is not None:
            insort(self.by_reference.setdefault(job.reference_id, []), job, key=_created_at)

    def oldest_first(self, reference_id: str | None) -> Sequence[Job]:
        return self.jobs if reference_id is None else self.by_reference.get(reference_id, ())


@define(eq=False)
class JobStore:
    """Every job of one family.

    Args:
        examples: jobs that answer by id and reference_id, and stand in no list: strangers there would make
            every page and every total of a test wrong.
    """

    examples: Iterable[Job] = ()
    _by_id: dict[str, Job] = field(init=False, factory=dict)
    _known: _Shelf = field(init=False, factory=_Shelf)
    _listed: _Shelf = field(init=False, factory=_Shelf)
    _unlisted: list[tuple[float, int, Job]] = field(init=False, factory=list)
    _sequence: Iterator[int] = field(init=False, factory=count)
    _examples: dict[str, Job] = field(init=False, factory=dict)
    _example_references: dict[str, Job] = field(init=False, factory=dict)
    _example_outputs: dict[str, Job] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        for example in self.examples:
            self._examples[example.id] = example
            self._example_outputs[example.output_name] = example
            if example.reference_id is not None:
                self._example_references[example.reference_id] = example

    @property
    def by_id(self) -> Mapping[str, Job]:
        """The jobs by id, in the order in which they were added, without the examples."""
        return MappingProxyType(self._by_id)

    def add(self, job: Job, *, now: float) -> None:
        """Take in a job.

        Args:
            job: with an id that is new.
            now: seconds since the epoch.

        Raises:
            ValueError: if there is a job with this id.
        """
        if job.id in self._by_id or job.id in self._examples:
            message = f"there is a job {job.id} already"
            raise ValueError(message)
        self._by_id[job.id] = job
        self._known.put(job)
        if job.listed_at <= now:
            self._listed.put(job)
        else:
            heapq.heappush(self._unlisted, (job.listed_at, next(self._sequence), job))

    def find(self, name: str) -> Job | None:
        """Return the job with this UUID in any case, else the newest one with this reference_id.

        Args:
            name: UUID, or reference_id to the letter.
        """
        job = self._by_id.get(name.lower())
        if job is not None:
            return job
        same_reference = self._known.by_reference.get(name)
        if same_reference:
            return same_reference[-1]
        return self._examples.get(name.lower()) or self._example_references.get(name)

    def find_output(self, name: str) -> Job | None:
        """Return the job whose output has this name."""
        job = self._by_id.get(name.removesuffix(".mp4").lower()) or self._example_outputs.get(name)
        return job if job is not None and job.output_name == name else None

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
            offset: how many to leave out.
            reference_id: only jobs that carry exactly this one.
            keep: further filter; with it, every listed job is looked at.
        """
        while self._unlisted and self._unlisted[0][0] <= now:
            self._listed.put(heapq.heappop(self._unlisted)[2])
        jobs = self._listed.oldest_first(reference_id)
        if keep is not None:
            jobs = [job for job in jobs if keep(job)]
        end = len(jobs) - offset
        return list(reversed(jobs[max(0, end - limit) : end])) if end > 0 else [], len(jobs)
