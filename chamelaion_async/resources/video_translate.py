"""Video translation. Known from the vendor's published client; the API reference does not describe it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from .._http.addresses import Query, public_url
from .._http.answers import check_json
from .._http.call import Call
from .._http.transport import Transport
from .._media.uploads import MediaSource, Progress, Upload
from ..config import PollPolicy
from ..errors import ConfigurationError
from ..models import GenerateAccepted, Page, Subtitle, VideoTranslateRequest, Voice
from .generation import Generation, media_url
from .listing import check_range, walk
from .requests import Family, RequestsResource
from .submission import Submissions

if TYPE_CHECKING:
    from ..polling.polls import Polls

__all__ = ["VIDEO_TRANSLATE", "VideoTranslateRequests", "VideoTranslateResource", "VoicesResource"]

_SRT_TYPE = "application/x-subrip"
_BEFORE_TEXT: Final = "\ufeff \t\r\n"  # a byte order mark, and blanks


VIDEO_TRANSLATE: Final = Family(
    path="/v1/video-translate/requests", model=VideoTranslateRequest, page_model=Page[VideoTranslateRequest]
)


class VideoTranslateRequests(RequestsResource[VideoTranslateRequest]):
    """Translations: read them, list them, wait for them."""

    async def list(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        reference_id: str | None = None,
        status: str | None = None,
        source_language: str | None = None,
        target_language: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> Page[VideoTranslateRequest]:
        """Read one page of the account's translations (``GET /v1/video-translate/requests``).

        Args:
            limit: Page size, at least 1; the service may lower what is asked for.
            offset: Number of translations to skip.
            reference_id: Only translations with exactly this reference.
            status: Only translations in this status, such as ``RequestStatus.COMPLETED``.
            source_language: Only translations from this language.
            target_language: Only translations into this language.
            created_after: Only translations created after this time (aware).
            created_before: Only translations created before this time (aware).

        Returns:
            The page, in the service's order, which is not documented.

        Raises:
            ConfigurationError: ``limit`` is below 1, ``offset`` below 0, or a time has no zone; nothing was sent.
            ChamelaionError: Any other failure of the call.
        """
        filters = _filters(reference_id, status, source_language, target_language, created_after, created_before)
        return await self._page(filters, limit, offset)

    def iterate(
        self,
        *,
        reference_id: str | None = None,
        status: str | None = None,
        source_language: str | None = None,
        target_language: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        page_size: int | None = None,
    ) -> AsyncGenerator[VideoTranslateRequest, None]:
        """Walk through all of the account's translations, page after page, each once.

        Takes the filters of ``list``, and ``page_size``: 100 by default, fewer where the service refuses so many. The
        rest is as for lip sync requests.
        """
        filters = _filters(reference_id, status, source_language, target_language, created_after, created_before)
        return self._walk(filters, page_size)


class VoicesResource:
    """The voices that a translation can speak with."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        language: str | None = None,
        gender: str | None = None,
        application: str | None = None,
        favorite: bool | None = None,
        search: str | None = None,
    ) -> Page[Voice]:
        """Read one page of voices (``GET /v1/video-translate/voices``).

        Args:
            limit: Page size, at least 1; the service may lower what is asked for.
            offset: Number of voices to skip.
            language: Only voices of this language.
            gender: ``"Male"``, ``"Female"`` or ``"Other"``.
            application: Only voices for this application.
            favorite: Only favourites, or only the others.
            search: Text to search for.

        Returns:
            The page.

        Raises:
            ConfigurationError: ``limit`` is below 1 or ``offset`` below 0; nothing was sent.
            ChamelaionError: Any other failure of the call.
        """
        filters = _voice_filters(language, gender, application, favorite, search)
        return await self._page(filters, limit, offset)

    def iterate(
        self,
        *,
        language: str | None = None,
        gender: str | None = None,
        application: str | None = None,
        favorite: bool | None = None,
        search: str | None = None,
        page_size: int | None = None,
    ) -> AsyncGenerator[Voice, None]:
        """Walk through all voices, page after page, each once.

        Takes the filters of ``list``, and ``page_size``: 100 by default, fewer where the service refuses so many.
        """
        filters = _voice_filters(language, gender, application, favorite, search)

        async def fetch(limit: int | None, offset: int) -> Page[Voice]:
            return await self._page(filters, limit, offset)

        return walk(fetch, page_size=page_size, identity=lambda voice: voice.voice_id)

    async def _page(self, filters: Query, limit: int | None, offset: int | None) -> Page[Voice]:
        check_range(limit, offset)
        params = {**filters, "limit": limit, "offset": offset}
        call = Call(method="GET", path="/v1/video-translate/voices", params=params)
        page, _ = await self._transport.fetch(call, Page[Voice])
        return page


class VideoTranslateResource:
    """Video translations.

    Attributes:
        requests: The translations that were submitted.
        voices: The voices that they can speak with.
    """

    def __init__(
        self,
        transport: Transport,
        polling: PollPolicy,
        polls: Callable[[], Polls[VideoTranslateRequest]],
        submissions: Submissions,
    ) -> None:
        self.requests = VideoTranslateRequests(transport, polling, VIDEO_TRANSLATE, polls)
        self.voices = VoicesResource(transport)
        self._generation = Generation(
            transport, submissions, path="/v1/video-translate", page_model=Page[VideoTranslateRequest]
        )

    async def generate(
        self,
        *,
        video: str,
        target_languages: Sequence[str],
        source_language: str | None = None,
        model: str | None = None,
        speaker_voices: Mapping[str, str] | None = None,
        source_srt: Subtitle | None = None,
        target_srts: Mapping[str, Subtitle] | None = None,
        disable_background_audio: bool | None = None,
        disable_lip_sync: bool | None = None,
        formality: bool | None = None,
        reference_id: str | None = None,
        webhook_url: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> GenerateAccepted:
        """Submit a video that the service fetches for translation (``POST /v1/video-translate/generate``).

        This costs money and is never repeated blindly; all that ``lipsync.generate`` says of it holds here too.
        Options left at None are not sent, so that the service's own defaults apply.

        Args:
            video: http(s) URL of the video.
            target_languages: Languages to translate into, at least one, such as ``["de"]``.
            source_language: Language of the original.
            model: ``"expressive"`` or ``"classic"``.
            speaker_voices: Voice id by speaker index, such as ``{"0": voice.voice_id}``.
            source_srt: Subtitles of the original.
            target_srts: Subtitles by target language.
            disable_background_audio: Leave out the background sound.
            disable_lip_sync: Leave the lips as they are.
            formality: Ask for formal speech.
            reference_id: Your own id for the job. Give every submission one of its own.
            webhook_url: http(s) URL to be called when the job ends. Payload and signature are not documented, so
                do not trust what it says: read the job.
            config: Further settings, merged below the ones above.

        Returns:
            The acceptance with the ``request_id`` to wait for.

        Raises:
            ConfigurationError: An argument cannot work; nothing was sent.
            BadRequestError: The service refuses the inputs.
            QuotaExceededError: The plan's quota is used up.
            SubmissionUncertainError: It may or may not have been accepted; the text says what to check.
            ClientClosedError: The client was closed meanwhile, which leaves open whether a job was started.
            ChamelaionError: Any other failure; no attempt started a job.
        """
        body = {
            "inputs": [{"type": "video", "url": media_url("video", video)}],
            "target_languages": _languages(target_languages),
            "config": _config(config, speaker_voices, source_srt, target_srts),
            "disable_background_audio": disable_background_audio,
            "disable_lip_sync": disable_lip_sync,
            "formality": formality,
            "model": model,
            "reference_id": reference_id,
            "source_language": source_language,
            "webhook_url": _webhook(webhook_url),
        }
        return await self._generation.submit_json(body, reference_id)

    async def generate_with_media(
        self,
        *,
        video: MediaSource,
        target_languages: Sequence[str],
        source_language: str | None = None,
        model: str | None = None,
        speaker_voices: Mapping[str, str] | None = None,
        source_srt: Subtitle | MediaSource | None = None,
        target_srts: Mapping[str, Subtitle | MediaSource] | None = None,
        disable_background_audio: bool | None = None,
        disable_lip_sync: bool | None = None,
        formality: bool | None = None,
        reference_id: str | None = None,
        webhook_url: str | None = None,
        config: Mapping[str, Any] | None = None,
        on_progress: Progress | None = None,
    ) -> GenerateAccepted:
        """Submit a video to upload for translation (``POST /v1/video-translate/generate-with-media``).

        The options are those of ``generate``, the upload is that of ``lipsync.generate_with_media``.

        Args:
            video: The video: a path (``str`` or ``Path``), an open binary file, bytes, a file of a form such as
                FastAPI's ``UploadFile``, or an ``Upload``.
            target_languages: Languages to translate into, at least one.
            source_language: Language of the original.
            model: ``"expressive"`` or ``"classic"``.
            speaker_voices: Voice id by speaker index.
            source_srt: Subtitles of the original, as ``Subtitle`` or as a file.
            target_srts: Subtitles by target language, likewise.
            disable_background_audio: Leave out the background sound.
            disable_lip_sync: Leave the lips as they are.
            formality: Ask for formal speech.
            reference_id: Your own id for the job.
            webhook_url: http(s) URL to be called when the job ends.
            config: Further settings.
            on_progress: Called with the bytes sent and the bytes in all, after each chunk.

        Returns:
            The acceptance with the ``request_id`` to wait for.

        Raises:
            ConfigurationError: An argument or a file cannot work; nothing was submitted.
            SubmissionUncertainError: It may or may not have been accepted; the text says what to check.
            ClientClosedError: The client was closed meanwhile, which leaves open whether a job was started.
            ChamelaionError: Any other failure; no attempt started a job.
        """
        settings = _config(config, speaker_voices, None, None)
        fields = {
            "target_languages": json.dumps(_languages(target_languages)),
            "config": None if settings is None else json.dumps(settings),
            "disable_background_audio": disable_background_audio,
            "disable_lip_sync": disable_lip_sync,
            "formality": formality,
            "model": model,
            "reference_id": reference_id,
            "source_language": source_language,
            "webhook_url": _webhook(webhook_url),
        }
        media: list[tuple[str, MediaSource]] = [("video", video)]
        if source_srt is not None:
            media.append(("source_srt", _srt("source_srt", source_srt, "source.srt")))
        for language, subtitle in (target_srts or {}).items():
            _languages([language])
            media.append((f"target_srt.{language}", _srt(f"target_srts[{language!r}]", subtitle, f"{language}.srt")))
        return await self._generation.submit_form(fields, media, reference_id, on_progress)


def _webhook(url: str | None) -> str | None:
    return None if url is None else public_url("webhook_url", url, "it is called when the job ends")


def _languages(languages: Sequence[str]) -> list[str]:
    if isinstance(languages, str):
        raise ConfigurationError(f"target_languages must be a list of languages, such as [{languages!r}]")
    chosen = list(languages)
    if not chosen or not all(isinstance(item, str) and item.isprintable() and item.strip() for item in chosen):
        raise ConfigurationError(f"target_languages must name at least one language, not {chosen!r}")
    return chosen


def _config(
    config: Mapping[str, Any] | None,
    speaker_voices: Mapping[str, str] | None,
    source_srt: Subtitle | None,
    target_srts: Mapping[str, Subtitle] | None,
) -> dict[str, Any] | None:
    merged = dict(config or {})
    if speaker_voices is not None:
        merged["speaker_voices"] = {str(speaker): voice for speaker, voice in speaker_voices.items()}
    if source_srt is not None:
        merged["source_srt"] = _subtitle("source_srt", source_srt)
    if target_srts is not None:
        merged["target_srts"] = {
            language: _subtitle(f"target_srts[{language!r}]", subtitle) for language, subtitle in target_srts.items()
        }
    check_json("config", merged)
    return merged or None


def _subtitle(name: str, subtitle: Subtitle) -> dict[str, str]:
    if not isinstance(subtitle, Subtitle):
        raise ConfigurationError(f"{name} must be a Subtitle(content=…), not {type(subtitle).__name__}")
    _check_srt(name, subtitle.content)
    fields = {"content": subtitle.content, "file_name": subtitle.file_name, "language": subtitle.language}
    return {name: value for name, value in fields.items() if value is not None}


def _check_srt(name: str, content: object) -> None:
    """Refuse what cannot be SRT, before a job is paid for that would ignore it or fail."""
    if not isinstance(content, str):
        raise ConfigurationError(f"the content of {name} must be SRT text, not {type(content).__name__}")
    text = content.lstrip(_BEFORE_TEXT)
    if not text.strip():
        raise ConfigurationError(f"the content of {name} is blank; leave {name} out to send no subtitles")
    if text.startswith("WEBVTT"):
        raise ConfigurationError(f"the content of {name} is WebVTT, but the service takes SRT; convert it first")


def _srt(name: str, subtitle: Subtitle | MediaSource, file_name: str) -> MediaSource:
    if isinstance(subtitle, Subtitle):
        _check_srt(name, subtitle.content)
        content = subtitle.content.encode()
        return Upload(content, file_name=subtitle.file_name or file_name, content_type=_SRT_TYPE)
    if isinstance(subtitle, Upload):
        return subtitle
    if isinstance(subtitle, bytes):
        return Upload(subtitle, file_name=file_name, content_type=_SRT_TYPE)
    return Upload(subtitle, content_type=_SRT_TYPE)


def _filters(
    reference_id: str | None,
    status: str | None,
    source_language: str | None,
    target_language: str | None,
    created_after: datetime | None,
    created_before: datetime | None,
) -> dict[str, str | None]:
    return {
        "reference_id": reference_id,
        "status": status,
        "source_language": source_language,
        "target_language": target_language,
        "created_after": _time("created_after", created_after),
        "created_before": _time("created_before", created_before),
    }


def _voice_filters(
    language: str | None, gender: str | None, application: str | None, favorite: bool | None, search: str | None
) -> dict[str, str | bool | None]:
    return {
        "language": language,
        "gender": gender,
        "application": application,
        "favorite": favorite,
        "search": search,
    }


def _time(name: str, time: datetime | None) -> str | None:
    if time is None:
        return None
    if time.utcoffset() is None:
        raise ConfigurationError(f"{name} {time} has no time zone; pass an aware datetime")
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
