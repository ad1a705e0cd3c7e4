"""``translate``: submit a video translation."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ..client import AsyncClient
from ..models import GenerateAccepted
from ._ui.json_records import error_as_record
from ._ui.options import Flag, ServiceOptions, WaitTimeout
from ._ui.progress import show_progress
from ._ui.submission import are_urls, finish_submission, submission_guard
from ._ui.translation import read_subtitle, split_pairs

__all__ = ["translate"]


async def translate(
    video: str,
    /,
    *,
    to: Annotated[list[str], Parameter(negative="")],
    source: Annotated[str | None, Parameter(name="--from")] = None,
    model: Annotated[Literal["expressive", "classic"] | None, Parameter(show_choices=False)] = None,
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
    service: ServiceOptions | None = None,
) -> int:
    """Submit a video translation. This costs money.

    Output and exit codes are those of generate. Example: chamelaion-async translate in.mp4 --to de --to fr

    Args:
        video: URL (http or https) of the video, or a file to upload.
        to: Target language; may be repeated.
        source: Language of the video, by default detected.
        model: expressive or classic.
        reference_id: Your own id, by which a lost answer is found.
        source_srt: Subtitles in the language of the video.
        target_srt: LANGUAGE=FILE: other subtitles; may be repeated.
        voice: SPEAKER=VOICE_ID, from 0; may be repeated.
        no_lip_sync: Do not lip-sync the video.
        no_background_audio: Leave out the background audio.
        formality: Use formal language.
        webhook: URL that the service calls at the end.
        wait: Wait until the job is finished.
        timeout: Seconds for --wait, by default 600; inf is no limit.
        json: Print one JSON object instead of lines.
        service: The service to call, and its credentials.
    """
    service = service or ServiceOptions()
    with error_as_record(reference_id, json=json):
        options: dict[str, Any] = {
            "target_languages": to,
            "source_language": source,
            "model": model,
            "speaker_voices": split_pairs("--voice", voice or ()) or None,
            "disable_background_audio": no_background_audio or None,
            "disable_lip_sync": no_lip_sync or None,
            "formality": formality or None,
            "reference_id": reference_id,
            "webhook_url": webhook,
        }
        targets = {language: Path(path) for language, path in split_pairs("--target-srt", target_srt or ()).items()}
        async with service.client() as client:
            with submission_guard("translate", service, reference_id):
                accepted = await _submit(client, video, source_srt, targets, options)
            return await finish_submission(
                client, accepted, "translate", service, wait=wait, timeout=timeout, json=json
            )


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
    with show_progress("uploaded", Path(video).name) as on_progress:
        return await client.video_translate.generate_with_media(
            video=Path(video), source_srt=source, target_srts=targets, on_progress=on_progress, **options
        )
