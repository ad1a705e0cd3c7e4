"""Video translation. Known from the vendor's published client; the API reference does not describe it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from typing import Any, Final

from .._http.transport import Transport
from .._media.uploads import MediaSource, Progress
from ..config import PollPolicy
from ..errors import ConfigurationError
from ..models import GenerateAccepted, Page, Subtitle, VideoTranslateRequest
from .family import Family, FamilyState
from .generate import GenerateCalls
from .listing import walk
from .requests import RequestsResource
from .translation_options import make_config, make_options, subtitle_files
from .voices import VoicesResource

__all__ = ["VIDEO_TRANSLATE", "VideoTranslateRequests", "VideoTranslateResource"]

VIDEO_TRANSLATE: Final = Family(
    path="/v1/video-translate", model=VideoTranslateRequest, page_model=Page[VideoTranslateRequest]
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
        return await self._read_list(
            limit=limit,
            offset=offset,
            reference_id=reference_id,
            status=status,
            source_language=source_language,
            target_language=target_language,
            created_after=_utc("created_after", created_after),
            created_before=_utc("created_before", created_before),
        )

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
        """Read all of the account's translations, page after page, and yield each once.

        Takes the filters of ``list``, and ``page_size``: 100 by default, fewer where the service refuses so many. The
        rest is as for lip sync requests.
        """
        fetch = partial(
            self.list,
            reference_id=reference_id,
            status=status,
            source_language=source_language,
            target_language=target_language,
            created_after=created_after,
            created_before=created_before,
        )
        return walk(fetch, page_size=page_size, identity=attrgetter("id"))


class VideoTranslateResource:
    """Video translations.

    Attributes:
        requests: The translations that were submitted.
        voices: The voices that they can speak with.
    """

    def __init__(self, transport: Transport, polling: PollPolicy, state: FamilyState[VideoTranslateRequest]) -> None:
        self.requests: VideoTranslateRequests = VideoTranslateRequests(transport, polling, state)
        self.voices: VoicesResource = VoicesResource(transport)
        self._calls = GenerateCalls(transport, state)

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

        This costs money. It is repeated only as ``lipsync.generate`` is, and a lost answer is searched for in the
        same way. Options left at None are not sent, so that the service's own defaults apply.

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
        options = make_options(
            target_languages=target_languages,
            source_language=source_language,
            model=model,
            config=make_config(config, speaker_voices, source_srt, target_srts),
            disable_background_audio=disable_background_audio,
            disable_lip_sync=disable_lip_sync,
            formality=formality,
            reference_id=reference_id,
            webhook_url=webhook_url,
        )
        return await self._calls.submit_json({"video": video}, options)

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
        options = make_options(
            target_languages=target_languages,
            source_language=source_language,
            model=model,
            config=make_config(config, speaker_voices),
            disable_background_audio=disable_background_audio,
            disable_lip_sync=disable_lip_sync,
            formality=formality,
            reference_id=reference_id,
            webhook_url=webhook_url,
        )
        media = [("video", video), *subtitle_files(source_srt, target_srts)]
        return await self._calls.submit_form(media, options, on_progress)


def _utc(name: str, time: datetime | None) -> str | None:
    """Return a time as RFC 3339 text in UTC."""
    if time is None:
        return None
    if time.utcoffset() is None:
        raise ConfigurationError(f"{name} {time} has no time zone; pass an aware datetime")
    # ``Z`` needs no quoting, while a ``+`` that a server unquotes carelessly becomes a space.
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
