"""What is to be submitted: URLs that the service fetches, or files to upload."""

from __future__ import annotations

from pathlib import Path

from ..client import AsyncClient
from ..errors import ConfigurationError
from ..models import GenerateAccepted, Subtitle
from .transfers import transfer

__all__ = ["are_urls", "pairs", "read_subtitle", "submit_lipsync"]


def are_urls(*media: str) -> bool:
    """Return whether the media are URLs; otherwise all of them are files.

    Raises:
        ConfigurationError: They are some of each.
    """
    kinds = {medium.lower().startswith(("http://", "https://")) for medium in media}
    if len(kinds) > 1:
        raise ConfigurationError("video and audio must be both URLs or both files; upload one or download the other")
    return kinds.pop()


async def submit_lipsync(
    client: AsyncClient, video: str, audio: str, *, reference_id: str | None, no_speaker_detection: bool
) -> GenerateAccepted:
    """Submit a lip sync job, and show how the upload gets on if there is one."""
    disable = True if no_speaker_detection else None
    if are_urls(video, audio):
        return await client.lipsync.generate(
            video=video, audio=audio, reference_id=reference_id, disable_active_speaker_detection=disable
        )
    with transfer("uploaded", f"{Path(video).name}, {Path(audio).name}") as on_progress:
        return await client.lipsync.generate_with_media(
            video=Path(video),
            audio=Path(audio),
            reference_id=reference_id,
            disable_active_speaker_detection=disable,
            on_progress=on_progress,
        )


def pairs(option: str, texts: list[str] | None) -> dict[str, str]:
    """Return what was given as ``NAME=VALUE``.

    Raises:
        ConfigurationError: One has another form, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in texts or []:
        name, _, value = text.partition("=")
        if not name or not value:
            raise ConfigurationError(f"{option} takes NAME=VALUE, not {text!r}")
        if name in found:
            raise ConfigurationError(f"{option} was given twice for {name!r}")
        found[name] = value
    return found


def read_subtitle(path: Path, language: str | None) -> Subtitle:
    """Read subtitles that go along with a URL.

    Raises:
        ConfigurationError: They cannot be read, or are not UTF-8.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigurationError(
            f"subtitles {str(path)!r} cannot be read: {reason}. Nothing was submitted"
        ) from error
    return Subtitle(content=content, file_name=path.name, language=language)
