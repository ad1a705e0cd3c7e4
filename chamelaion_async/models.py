"""What the API answers, as immutable attrs classes.

Fields are named as on the wire. A field that the API may leave out is None where it is absent, and fields that this
release does not know are ignored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeAlias, TypeVar

import attrs

from ._base.job import Job, RequestStatus
from ._base.record import Record
from .errors import ChamelaionError

__all__ = [
    "Artifacts",
    "GenerateAccepted",
    "Health",
    "Job",
    "LipsyncRequest",
    "OnUpdate",
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

J = TypeVar("J", bound=Job)
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

OnUpdate = Callable[[J], Awaitable[None] | None]
"""Called with a request at first sight and whenever it has changed."""


@attrs.frozen(kw_only=True)
class LipsyncRequest(Job):
    """One lip sync job."""

    output_url: str | None = None
    """Where the finished video is, once the job is completed."""


@attrs.frozen(kw_only=True)
class Artifacts(Record):
    """The results of a translation into one language, as URLs."""

    video: str
    """The translated video."""
    audio: str
    """Its audio track."""
    srt: str
    """Its subtitles, as SRT."""


@attrs.frozen(kw_only=True)
class VideoTranslateRequest(Job):
    """One video translation job."""

    target_languages: list[str]
    """Languages asked for."""
    model: str
    """``expressive`` or ``classic``."""
    config: Mapping[str, Any]
    """Further settings."""
    disable_background_audio: bool
    """Whether the background sound is left out."""
    disable_lip_sync: bool
    """Whether the lips are left as they are."""
    formality: bool
    """Whether formal speech was asked for."""
    outputs: Mapping[str, Artifacts] | None = None
    """Results by target language, once there are any."""
    source_language: str | None = None
    """Language of the original, if known."""
    webhook_url: str | None = None
    """Where the service reports the end of the job, if asked to."""


@attrs.frozen(kw_only=True)
class GenerateAccepted(Record):
    """The answer to a submission."""

    request_id: str
    """UUID of the new job."""
    status: str
    """``success``."""


@attrs.frozen(kw_only=True)
class Pagination(Record):
    """The position of a page in its list."""

    limit: int
    """Page size that the service applied, which may be below the one asked for."""
    offset: int
    """Number of records before the page."""
    total: int
    """Number of matching records."""


def _key_of(page: Page[Any]) -> str:
    return "voices" if page.data and isinstance(page.data[0], Voice) else "data"


@attrs.frozen(kw_only=True)
class Page(Record, Generic[T_co]):
    """One page of a list."""

    data: list[T_co]
    """The records, in the service's order."""
    pagination: Pagination
    """Its position in the list."""
    _key: str = attrs.field(init=False, default=attrs.Factory(_key_of, takes_self=True), eq=False, repr=False)
    """Where the answer had the records. Decoding sets it: an empty page does not show what it is a page of."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as data for JSON, as every model does; voices are under ``voices``, as in the API."""
        fields = super().to_dict()
        return {self._key: fields["data"], "pagination": fields["pagination"]}


@attrs.frozen(kw_only=True)
class Voice(Record):
    """A voice that a translation can speak with."""

    voice_id: str
    """What ``generate`` takes as a voice."""
    name: str
    """Name in the account."""
    default_name: str
    """Name that it came with."""
    description: str
    """What it sounds like, in the service's words."""
    language: str
    """Language that it speaks."""
    application: str
    """What it is meant for."""
    gender: str
    """Gender that it sounds like."""
    is_favorite: bool
    """Whether the account has marked it."""


@attrs.frozen(kw_only=True)
class Subtitle(Record):
    """Subtitles for a translation."""

    content: str
    """SRT text. Blank text and WebVTT are refused with ``ConfigurationError`` before anything is sent."""
    file_name: str | None = None
    """Name to send it under."""
    language: str | None = None
    """Its language."""


@attrs.frozen(kw_only=True)
class User(Record):
    """The identity behind the credentials."""

    name: str
    """Display name of the API token."""


@attrs.frozen(kw_only=True)
class Health(Record):
    """The state of the service."""

    status: str
    """``ok`` while it runs."""


@attrs.frozen(kw_only=True)
class RawResponse:
    """An answer before it is decoded."""

    status: int
    """HTTP status code, 2xx."""
    headers: Mapping[str, str]
    """Headers of the answer; names ignore case."""
    body: bytes
    """The body after decompression."""
    attempts: int
    """How many times the call was tried."""


if TYPE_CHECKING:

    @attrs.frozen(kw_only=True)
    class RequestOutcome(Record, Generic[T_co]):
        """An outcome with a request."""

        id: str
        request: T_co
        error: None = None

        def unwrap(self) -> T_co:
            """Return the request."""
            return self.request

    @attrs.frozen(kw_only=True)
    class ErrorOutcome(Record):
        """An outcome with an error."""

        id: str
        error: ChamelaionError
        request: None = None

        def unwrap(self) -> NoReturn:
            """Raise the error."""
            raise self.error

    Outcome: TypeAlias = RequestOutcome[T] | ErrorOutcome
    """The result for one id among many: a request or an error, never both.

    To a type checker it is one of two classes, so that ``if outcome.error is None`` tells it that ``outcome.request``
    is there. A union cannot be called; typed code makes an outcome with one of the two.
    """

else:

    @attrs.frozen(kw_only=True)
    class Outcome(Record, Generic[T_co]):
        """The result for one id among many: a request or an error, never both.

        ``if outcome.error is None`` tells type checkers that ``outcome.request`` is there.
        """

        id: str
        """The id as it was given."""
        request: T_co | None = None
        """The request, or None where ``error`` is set."""
        error: ChamelaionError | None = None
        """The error, or None where ``request`` is set."""

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

    RequestOutcome = ErrorOutcome = Outcome
