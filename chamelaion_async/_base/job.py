"""A job: its status, what all kinds of jobs have in common, and the error of one that failed."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import attrs

from .record import Record
from .root_error import ChamelaionError

__all__ = ["Job", "RequestFailedError", "RequestStatus"]


class RequestFailedError(ChamelaionError):
    """The job failed. Raised by ``request.raise_for_failure()`` only.

    Attributes:
        request: The request as it was last read; ``request.error_message`` says why.
    """

    def __init__(self, text: str, *, request: Job) -> None:
        super().__init__(text)
        self.request = request


class RequestStatus(StrEnum):
    """The statuses that are known. The API's status is an open string: compare with these, do not convert."""

    QUEUED = "queued"
    UPLOADING = "uploading"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


# Plain strings: these are compared with each status of very many requests, and enum members take longer.
_COMPLETED, _FAILED = RequestStatus.COMPLETED.value, RequestStatus.FAILED.value
_FINISHED = frozenset({_COMPLETED, _FAILED})
_UNFINISHED = frozenset(status.value for status in RequestStatus) - _FINISHED


@attrs.frozen(kw_only=True)
class Job(Record):
    """What lip sync requests and translations have in common."""

    id: str
    """The service's UUID."""
    status: str
    """The status as the API words it; see ``RequestStatus`` for the known ones."""
    created_at: datetime
    """When the service accepted the job (UTC, as all times here)."""
    reference_id: str | None = None
    """The caller's own id for it, or None. Several jobs may carry the same."""
    started_at: datetime | None = None
    """When work on it began, or None while it is queued."""
    finished_at: datetime | None = None
    """When it ended, or None while it has not."""
    error_message: str | None = None
    """Why it failed, in the service's words."""

    @property
    def is_completed(self) -> bool:
        """Whether it ended with a result."""
        return self.status == _COMPLETED

    @property
    def is_failed(self) -> bool:
        """Whether it ended with an error."""
        return self.status == _FAILED

    @property
    def is_finished(self) -> bool:
        """Whether it will not change any more.

        An unknown status counts once ``finished_at`` is set, and not before ``created_at``: some languages write a
        time that is not known yet as the first of all.
        """
        if self.status in _FINISHED:
            return True
        if self.status in _UNFINISHED:
            return False
        return self.finished_at is not None and self.finished_at >= self.created_at

    @property
    def duration(self) -> timedelta | None:
        """Time from start to end, or None while either is unknown."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at

    @property
    def queue_time(self) -> timedelta | None:
        """Time from acceptance to start, or None while it has not started."""
        return None if self.started_at is None else self.started_at - self.created_at

    def raise_for_failure(self) -> None:
        """Raise if the job ended without a result; nothing happens while it is still under way.

        Raises:
            RequestFailedError: It failed, or ended in a state that is neither known nor ``completed``.
        """
        if not self.is_finished or self.is_completed:
            return
        named = f" (reference_id {self.reference_id})" if self.reference_id is not None else ""
        reason = self.error_message or "the service gave no reason"
        raise RequestFailedError(
            f"request {self.id}{named} ended as {self.status}: {reason}. "
            "Waiting will not change it; fix the cause and submit a new job.",
            request=self,
        )
