"""A job and its life cycle, computed from the clock: nothing runs while a job runs."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import Factory, define, field

Family = Literal["lipsync", "video_translate"]

NOT_ACCESSIBLE = "video URL is not accessible"
"""The documented error_message of a job whose video cannot be fetched."""


@define(kw_only=True, slots=True)
class Upload:
    """A file that was uploaded with a form.

    Args:
        path: where the sandbox keeps it until it stops.
        filename: as the client sent it.
        content_type: as the client sent it.
        size: in bytes.
    """

    path: Path
    filename: str
    content_type: str
    size: int


@define(kw_only=True, eq=False)
class Job:
    """One lip sync or video translation request.

    Args:
        id: UUID in lower case.
        family: which API it belongs to.
        created_at: seconds since the epoch.
        queue_seconds: spent in queued, and for translations at most as long again in uploading.
        job_seconds: from created to finished.
        reference_id: the caller's own id, or None.
        error_message: what it fails with, None if it completes.
        listed_at: when lists begin to show it, in seconds since the epoch.
        payload: the fields of the generation call, as received.
        uploads: the files of the generation call, by form field.
        output: what to serve as the output video instead of the upload or the clip.
        output_name: name of the output under /output/.
        output_version: raised when the output changes, part of its ETag.
        output_changed_at: seconds since the epoch, None until it is changed.
        output_expired: whether the output's URL answers 403.
        webhook_url: where to report the end, or None.
        is_example: whether it is one of the documented examples, which are in no list.
        has_ended: whether it has ended whatever the clock says, as an example has.
    """

    id: str
    family: Family
    created_at: float
    queue_seconds: float
    job_seconds: float
    reference_id: str | None = None
    error_message: str | None = None
    listed_at: float = 0.0
    payload: Mapping[str, Any] = Factory(dict)
    uploads: Mapping[str, Upload] = Factory(dict)
    output: bytes | Path | None = None
    output_name: str = ""
    output_version: int = 1
    output_changed_at: float | None = None
    output_expired: bool = False
    webhook_url: str | None = None
    is_example: bool = False
    has_ended: bool = False
    # The end by hand is kept as it was: created_at + job_seconds may be a rounding error later.
    _ended_at: float | None = field(init=False, default=None)

    @property
    def started_at(self) -> float:
        """When it leaves the queue, in seconds since the epoch."""
        return self.created_at + self.queue_seconds

    @property
    def finished_at(self) -> float:
        """When it ends, in seconds since the epoch."""
        return self.created_at + self.job_seconds if self._ended_at is None else self._ended_at

    def is_finished(self, now: float) -> bool:
        """Return whether it has completed or failed by now."""
        # An example has ended at every time, also on a clock that starts before the example was created.
        return now >= self.finished_at or self.has_ended

    def is_started(self, now: float) -> bool:
        """Return whether it has left the queue by now."""
        return now >= self.started_at or self.is_finished(now)

    def status(self, now: float) -> str:
        """Return its status as the API names it.

        Args:
            now: seconds since the epoch.
        """
        if self.is_finished(now):
            return "completed" if self.error_message is None else "failed"
        if now < self.started_at:
            return "queued"
        upload_seconds = min(self.queue_seconds, (self.job_seconds - self.queue_seconds) / 2)
        if self.family == "video_translate" and now < self.started_at + upload_seconds:
            return "uploading"
        return "processing"

    def start(self, now: float) -> None:
        """Let the job leave the queue now, and last as long from here on as was planned.

        Args:
            now: seconds since the epoch.

        Raises:
            ValueError: if it has left the queue already.
        """
        if self.is_started(now):
            raise ValueError(f"job {self.id} has started already and is {self.status(now)}")
        if self.job_seconds < math.inf:
            self.job_seconds -= self.started_at - now
        self.queue_seconds = now - self.created_at

    def end(self, now: float, *, error_message: str | None) -> None:
        """End the job now, before or after the time that was planned.

        Args:
            now: seconds since the epoch.
            error_message: what it fails with, None to complete it.

        Raises:
            ValueError: if it has ended already.
        """
        if self.is_finished(now):
            raise ValueError(f"job {self.id} has ended already and is {self.status(now)}")
        self.job_seconds = now - self.created_at
        self.queue_seconds = min(self.queue_seconds, self.job_seconds)
        self.error_message = error_message
        self._ended_at = now
