"""What the API answers, as immutable attrs classes.

Fields are named as on the wire. A field that the API may leave out is None where it is absent, and fields that this
release does not know are ignored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

import attrs

from .errors import ChamelaionError, RequestFailedError

__all__ = [
    "Artifacts",
    "GenerateAccepted",
    "Health",
    "LipsyncRequest",
    "Outcome",
    "Page",
    "Pagination",
    "RawResponse",
    "RequestStatus",
    "Subtitle",
    "User",
    "VideoTranslateRequest",
    "Voice",
]

DownloadProgress = Callable[[int, "int | None"], object]
"""Called with the bytes on disk so far and the bytes in all, or None where the server does not say."""

J = TypeVar("J", bound="Job")
T_co = TypeVar("T_co", covariant=True)

OnUpdate = Callable[[J], Awaitable[None] | None]
"""Called with a request at first sight and whenever it has changed."""


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
class Job:
    """What lip sync requests and translations have in common.

    Attributes:
        id: The service's UUID.
        status: The status as the API words it; see ``RequestStatus`` for the known ones.
        created_at: When the service accepted the job (UTC, as all times here).
        reference_id: The caller's own id for it, or None. Several jobs may carry the same.
        started_at: When work on it began, or None while it is queued.
        finished_at: When it ended, or None while it has not.
        error_message: Why it failed, in the service's words.
    """

    id: str
    status: str
    created_at: datetime
    reference_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error_message: str | None = None

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


@attrs.frozen(kw_only=True)
class LipsyncRequest(Job):
    """One lip sync job.

    Attributes:
        output_url: Where the finished video is, once the job is completed.
    """

    output_url: str | None = None


@attrs.frozen(kw_only=True)
class Artifacts:
    """The results of a translation into one language, as URLs."""

    video: str
    audio: str
    srt: str


@attrs.frozen(kw_only=True)
class VideoTranslateRequest(Job):
    """One video translation job.

    Attributes:
        target_languages: Languages asked for.
        model: ``expressive`` or ``classic``.
        config: Further settings.
        disable_background_audio: Whether the background sound is left out.
        disable_lip_sync: Whether the lips are left as they are.
        formality: Whether formal speech was asked for.
        outputs: Results by target language, once there are any.
        source_language: Language of the original, if known.
        webhook_url: Where the service reports the end of the job, if asked to.
    """

    target_languages: list[str]
    model: str
    config: Mapping[str, Any]
    disable_background_audio: bool
    disable_lip_sync: bool
    formality: bool
    outputs: Mapping[str, Artifacts] | None = None
    source_language: str | None = None
    webhook_url: str | None = None


@attrs.frozen(kw_only=True)
class GenerateAccepted:
    """The answer to a submission: ``request_id`` is the UUID of the new job, and ``status`` is ``success``."""

    request_id: str
    status: str


@attrs.frozen(kw_only=True)
class Pagination:
    """The position of a page in its list.

    Attributes:
        limit: Page size that the service applied, which may be below the one asked for.
        offset: Number of records before the page.
        total: Number of matching records.
    """

    limit: int
    offset: int
    total: int


@attrs.frozen(kw_only=True)
class Page(Generic[T_co]):
    """One page of a list.

    Attributes:
        data: The records, in the service's order.
        pagination: Its position in the list.
    """

    data: list[T_co]
    pagination: Pagination


@attrs.frozen(kw_only=True)
class Voice:
    """A voice that a translation can speak with."""

    voice_id: str
    name: str
    default_name: str
    description: str
    language: str
    application: str
    gender: str
    is_favorite: bool


@attrs.frozen(kw_only=True)
class Subtitle:
    """Subtitles for a translation.

    Attributes:
        content: SRT text. Blank text and WebVTT are refused with ``ConfigurationError`` before anything is sent.
        file_name: Name to send it under.
        language: Its language.
    """

    content: str
    file_name: str | None = None
    language: str | None = None


@attrs.frozen(kw_only=True)
class User:
    """The identity behind the credentials: ``name`` is the display name of the API token."""

    name: str


@attrs.frozen(kw_only=True)
class Health:
    """The state of the service: ``status`` is ``ok`` while it runs."""

    status: str


@attrs.frozen(kw_only=True)
class RawResponse:
    """An answer before it is decoded.

    Attributes:
        status: HTTP status code, 2xx.
        headers: Headers of the answer; names ignore case.
        body: The body after decompression.
        attempts: How many times the call was tried.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    attempts: int


@attrs.frozen(kw_only=True)
class Outcome(Generic[T_co]):
    """The result for one id among many: a request or an error, never both.

    Attributes:
        id: The id as it was given.
        request: The request, or None where ``error`` is set.
        error: The error, or None where ``request`` is set.
    """

    id: str
    request: T_co | None = None
    error: ChamelaionError | None = None

    def unwrap(self) -> T_co:
        """Return the request, or raise the error.

        Raises:
            ChamelaionError: The error that this outcome holds.
        """
        if self.error is not None:
            raise self.error
        if self.request is None:
            raise ValueError(f"the outcome of {self.id} holds neither a request nor an error")
        return self.request
