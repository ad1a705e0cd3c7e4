"""What a test does to the jobs of a sandbox: add them, let them start and end, and move the clock."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import define, field

from .world.clock import ManualClock, WallClock
from .world.jobs import NOT_ACCESSIBLE, Family, Job
from .world.settings import Settings
from .world.world import World


@define(kw_only=True, eq=False)
class JobControl(Settings):
    """The jobs of a sandbox."""

    _world: World = field(init=False, repr=False)

    @property
    def jobs(self) -> Mapping[str, Job]:
        """All jobs by id, without the documented examples: lip sync first, then translations."""
        stores = self._world.stores
        return {**stores["lipsync"].by_id, **stores["video_translate"].by_id}

    def add_job(
        self,
        *,
        family: Family = "lipsync",
        id: str | None = None,
        job_seconds: float | None = None,
        queue_seconds: float | None = None,
        fails: bool | str = False,
        reference_id: str | None = None,
        created_at: datetime | float | None = None,
        output: bytes | Path | None = None,
        webhook_url: str | None = None,
        **payload: Any,
    ) -> Job:
        """Create a job without HTTP; no limit or quota applies.

        Args:
            family: "lipsync" or "video_translate".
            id: UUID; default a random one.
            job_seconds: from creation to end; default the sandbox's.
            queue_seconds: the part spent in queued; default the same share as the sandbox's.
            fails: True or an error_message for a job that fails.
            reference_id: the caller's own id.
            created_at: aware datetime or seconds since the epoch, not in the future; default now.
            output: what is served as its output video; default a clip that says that nothing was done.
            webhook_url: where to report the end of a translation.
            payload: further fields of a generation body, such as target_languages.

        Raises:
            ValueError: if the id is taken, the family unknown or a time naive, out of range or in the future.
        """
        return self._world.add_job(
            family,
            id=id,
            job_seconds=job_seconds,
            queue_seconds=queue_seconds,
            error_message=(NOT_ACCESSIBLE if fails is True else fails) or None,
            reference_id=reference_id,
            created_at=created_at,
            payload=payload,
            output=output,
            webhook_url=webhook_url,
        )

    def finish(self, id: str) -> Job:
        """Complete a job now.

        Args:
            id: UUID or reference_id.

        Raises:
            KeyError: if there is no such job.
            ValueError: if it has ended already.
        """
        return self._world.end_job(id, None)

    def fail(self, id: str, error_message: str = NOT_ACCESSIBLE) -> Job:
        """Fail a job now.

        Args:
            id: UUID or reference_id.
            error_message: what it fails with.

        Raises:
            KeyError: if there is no such job.
            ValueError: if it has ended already.
        """
        return self._world.end_job(id, error_message)

    def status(self, id: str) -> str:
        """Return the status of a job now.

        Args:
            id: UUID or reference_id.

        Raises:
            KeyError: if there is no such job.
        """
        return self._world.find(id).status(self.clock.time())

    def advance(self, seconds: float) -> None:
        """Move the clock of the service forward: jobs, timestamps, `Date` headers and rate limits.

        The pauses of a client go by the event loop's time, which this leaves as it is: a wait learns of the change
        with its next poll.

        Args:
            seconds: how far, zero or more.

        Raises:
            ValueError: if seconds is negative or not finite.
            TypeError: if `clock` is one of your own, which only you can move.
        """
        if not isinstance(self.clock, (ManualClock, WallClock)):
            raise TypeError(f"the sandbox cannot move {self.clock!r}: advance that clock yourself")
        self.clock.advance(seconds)

    def expire_output(self, id: str) -> None:
        """Answer the output URLs of a job with 403 from now on.

        Args:
            id: UUID or reference_id.

        Raises:
            KeyError: if there is no such job.
        """
        self._world.find(id).output_expired = True

    def change_output(self, id: str, output: bytes | Path | None = None) -> None:
        """Give the output of a job a new ETag and Last-Modified.

        Args:
            id: UUID or reference_id.
            output: its new content; None leaves the content as it is.

        Raises:
            KeyError: if there is no such job.
        """
        job = self._world.find(id)
        job.output_version += 1
        job.output_changed_at = self.clock.time()
        if output is not None:
            job.output = output
