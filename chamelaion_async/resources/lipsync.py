"""Lip sync."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from operator import attrgetter
from typing import Final

from .._http.transport import Transport
from .._media.uploads import MediaSource, Progress
from ..config import PollPolicy
from ..models import GenerateAccepted, LipsyncRequest, Page
from .family import Family, FamilyState
from .generate import GenerateCalls
from .listing import walk
from .requests import RequestsResource

__all__ = ["LIPSYNC", "LipsyncRequests", "LipsyncResource"]

LIPSYNC: Final = Family(path="/v1/lipsync", model=LipsyncRequest, page_model=Page[LipsyncRequest])


class LipsyncRequests(RequestsResource[LipsyncRequest]):
    """Lip sync requests: read them, list them, wait for them."""

    async def list(
        self, *, limit: int | None = None, offset: int | None = None, reference_id: str | None = None
    ) -> Page[LipsyncRequest]:
        """Read one page of the account's requests (``GET /v1/lipsync/requests``).

        Args:
            limit: Page size, at least 1; the service's default is 20, and it may lower what is asked for.
            offset: Number of requests to skip.
            reference_id: Only requests with exactly this reference; several may carry the same.

        Returns:
            The page, in the service's order, which is not documented.

        Raises:
            ConfigurationError: ``limit`` is below 1 or ``offset`` below 0; nothing was sent.
            ChamelaionError: Any other failure of the call.
        """
        return await self._read_list(limit=limit, offset=offset, reference_id=reference_id)

    def iterate(
        self, *, reference_id: str | None = None, page_size: int | None = None
    ) -> AsyncGenerator[LipsyncRequest, None]:
        """Read all of the account's requests, page after page, and yield each once.

        Jobs that are submitted meanwhile shift the pages; they may be missed, but no request comes twice.

        Args:
            reference_id: Only requests with exactly this reference.
            page_size: Requests to ask for at a time, 100 by default; fewer where the service refuses so many.

        Returns:
            An async iterator of requests. It keeps nothing open between pages and can be left at any time.

        Raises:
            ConfigurationError: ``page_size`` is below 1.
            ChamelaionError: A page could not be read.
        """
        fetch = partial(self.list, reference_id=reference_id)
        return walk(fetch, page_size=page_size, identity=attrgetter("id"))


class LipsyncResource:
    """Lip sync jobs.

    Attributes:
        requests: The jobs that were submitted.
    """

    def __init__(self, transport: Transport, polling: PollPolicy, state: FamilyState[LipsyncRequest]) -> None:
        self.requests: LipsyncRequests = LipsyncRequests(transport, polling, state)
        self._calls = GenerateCalls(transport, state)

    async def generate(
        self,
        *,
        video: str,
        audio: str,
        reference_id: str | None = None,
        disable_active_speaker_detection: bool | None = None,
    ) -> GenerateAccepted:
        """Submit a lip sync job for a video and an audio that the service fetches (``POST /v1/lipsync/generate``).

        This costs money. It is sent again only when it was certainly not accepted: not sent, or refused with 429.
        When the answer is lost and there is a ``reference_id``, the list of requests decides: a new job with exactly
        this reference is returned; if there is none after a 5xx or a broken connection, the submission is repeated.
        For that, the requests that carry the reference already are read beforehand. A job that this client has
        returned is not returned again.

        Args:
            video: http(s) URL of the video.
            audio: http(s) URL of the audio.
            reference_id: Your own id for the job, by which it can be read too. Give every submission one of its own.
            disable_active_speaker_detection: Skip speaker detection and use max-face mode; the default is the
                service's (false).

        Returns:
            The acceptance with the ``request_id`` to wait for.

        Raises:
            ConfigurationError: An argument cannot work; nothing was sent.
            BadRequestError: The service refuses the inputs.
            QuotaExceededError: The plan's quota is used up.
            SubmissionUncertainError: An attempt may or may not have been accepted; the text says what to check, and
                ``__cause__`` is the last failure.
            ClientClosedError: The client was closed meanwhile, which leaves open whether a job was started.
            ChamelaionError: Any other failure; no attempt started a job.

        A cancellation after sending leaves open whether a job was started. It passes as ``CancelledError``, with a
        note that says what to check.
        """
        return await self._calls.submit_json(
            {"video": video, "audio": audio},
            {
                "reference_id": reference_id,
                "disable_active_speaker_detection": disable_active_speaker_detection,
            },
        )

    async def generate_with_media(
        self,
        *,
        video: MediaSource,
        audio: MediaSource,
        reference_id: str | None = None,
        disable_active_speaker_detection: bool | None = None,
        on_progress: Progress | None = None,
    ) -> GenerateAccepted:
        """Submit a lip sync job for a video and an audio to upload (``POST /v1/lipsync/generate-with-media``).

        The files are streamed in constant memory. It is repeated as ``generate`` is; an upload that broke off before
        its end was certainly not accepted. The client's ``timeout`` bounds the time without progress, not the whole
        upload.

        Args:
            video: The video (MP4): a path (``str`` or ``Path``), an open binary file, bytes, a file of a form such as
                FastAPI's ``UploadFile``, or an ``Upload``. A file that is passed open stays open and is rewound to
                where it was.
            audio: The audio (WAV or MP3), likewise.
            reference_id: Your own id for the job.
            disable_active_speaker_detection: Skip speaker detection and use max-face mode.
            on_progress: Called with the bytes sent and the bytes in all, after each chunk; a new attempt begins at
                0 again. What it raises ends the upload and reaches the caller.

        Returns:
            The acceptance with the ``request_id`` to wait for.

        Raises:
            ConfigurationError: A file is missing, empty, a directory or unreadable, or changed its size while it was
                sent. Nothing was submitted.
            SubmissionUncertainError: It may or may not have been accepted; the text says what to check.
            ClientClosedError: The client was closed meanwhile, which leaves open whether a job was started.
            ChamelaionError: Any other failure; no attempt started a job.
        """
        return await self._calls.submit_form(
            [("video", video), ("audio", audio)],
            {
                "reference_id": reference_id,
                "disable_active_speaker_detection": disable_active_speaker_detection,
            },
            on_progress,
        )
