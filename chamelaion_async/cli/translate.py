"""``translate``: submit a video translation."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ..client import AsyncClient
from ..models import GenerateAccepted
from .acceptance import conclude, submission
from .media import are_urls, pairs, read_subtitle
from .options import Flag, Service, WaitTimeout
from .records import recording
from .transfers import transfer

__all__ = ["translate"]


async def translate(
    video: str,
    /,
    *,
    to: Annotated[list[str], Parameter(negative="")],
    source: Annotated[str | None, Parameter(name="--from")] = None,
    model: Literal["expressive", "classic"] | None = None,
    reference_id: str | None = None,
    source_srt: Path | None = None,
    target_srt: Annotated[list[str] | None, Parameter(negative="")] = None,
    voice: Annotated[list[str] | None, Parameter(negative="")] = None,
    no_lip_sync: Flag = False,
    no_background_audio: Flag = False,
    formality: Flag = False,
    webhook: str | None = None,
    wait: Flag = False,
    timeout: WaitTimeout = 600.0,
    json: Flag = False,
    service: Service | None = None,
) -> int:
    """Submit a video translation. This costs money.

    Output and exit codes are those of *generate*.

    Args:
        video: URL (http or https) that the service fetches, or a file to upload.
        to: Language to translate into, such as de; may be repeated.
        source: Language of the original. Default: the service finds out.
        model: How to translate. Default: the service's.
        reference_id: Your own id for the job. With one, a lost answer can be found again.
        source_srt: File with the subtitles of the original.
        target_srt: LANGUAGE=FILE: subtitles in a target language; may be repeated.
        voice: SPEAKER=VOICE_ID, such as 0=VOICE_ID: the voice of a speaker; may be repeated.
        no_lip_sync: Leave the lips as they are.
        no_background_audio: Leave out the background sound.
        formality: Ask for formal speech.
        webhook: URL to be called when the job ends.
        wait: Wait until the job is finished.
        timeout: Seconds to wait in all, with --wait; inf waits without end.
        json: Print one JSON object with request_id and status; with --wait the finished request instead.
        service: Which service to call, and with which credentials.
    """
    service = service or Service()
    with recording(reference_id, json=json):
        options: dict[str, Any] = {
            "target_languages": to,
            "source_language": source,
            "model": model,
            "speaker_voices": pairs("--voice", voice) or None,
            "disable_background_audio": no_background_audio or None,
            "disable_lip_sync": no_lip_sync or None,
            "formality": formality or None,
            "reference_id": reference_id,
            "webhook_url": webhook,
        }
        targets = {language: Path(path) for language, path in pairs("--target-srt", target_srt).items()}
        async with service.client() as client:
            with submission("translate", service, reference_id):
                accepted = await _submit(client, video, source_srt, targets, options)
            return await conclude(client, accepted, "translate", service, wait=wait, timeout=timeout, json=json)


async def _submit(
    client: AsyncClient, video: str, source: Path | None, targets: dict[str, Path], options: dict[str, Any]
) -> GenerateAccepted:
    if are_urls(video):
        language = options["source_language"]
        original = None if source is None else await asyncio.to_thread(read_subtitle, source, language)
        srts = {name: await asyncio.to_thread(read_subtitle, path, name) for name, path in targets.items()}
        return await client.video_translate.generate(
            video=video, source_srt=original, target_srts=srts or None, **options
        )
    with transfer("uploaded", Path(video).name) as on_progress:
        return await client.video_translate.generate_with_media(
            video=Path(video), source_srt=source, target_srts=targets, on_progress=on_progress, **options
        )
