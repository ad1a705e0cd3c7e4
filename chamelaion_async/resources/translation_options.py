"""The options of a translation, checked before a job is paid for, in the form in which the API takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .._http.addresses import public_url
from .._http.answers import check_json
from .._media.uploads import MediaSource, Upload
from ..errors import ConfigurationError
from ..models import Subtitle

__all__ = ["make_config", "make_options", "subtitle_files"]

_SRT_TYPE: Final = "application/x-subrip"
_BEFORE_TEXT: Final = "\ufeff \t\r\n"  # a byte order mark, and blanks


def make_options(
    *, target_languages: Sequence[str], webhook_url: str | None, **others: str | bool | Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the options by their names in the API; ``others`` are taken as they are.

    Raises:
        ConfigurationError: There is no usable target language, or the webhook is not an http(s) URL.
    """
    if webhook_url is not None:
        public_url("webhook_url", webhook_url, "it is called when the job ends")
    return {"target_languages": _languages(target_languages), "webhook_url": webhook_url, **others}


def make_config(
    config: Mapping[str, Any] | None,
    speaker_voices: Mapping[str, str] | None,
    source_srt: Subtitle | None = None,
    target_srts: Mapping[str, Subtitle] | None = None,
) -> dict[str, Any] | None:
    """Return the ``config`` of a call: the caller's, with the settings that have arguments of their own over it.

    Raises:
        ConfigurationError: It cannot be sent as JSON, or subtitles cannot be SRT.
    """
    merged = dict(config or {})
    if speaker_voices is not None:
        merged["speaker_voices"] = {str(speaker): voice for speaker, voice in speaker_voices.items()}
    if source_srt is not None:
        merged["source_srt"] = _subtitle_fields("source_srt", source_srt)
    if target_srts is not None:
        merged["target_srts"] = {
            language: _subtitle_fields(f"target_srts[{language!r}]", subtitle)
            for language, subtitle in target_srts.items()
        }
    check_json("config", merged)
    return merged or None


def subtitle_files(
    source_srt: Subtitle | MediaSource | None, target_srts: Mapping[str, Subtitle | MediaSource] | None
) -> list[tuple[str, MediaSource]]:
    """Return the subtitles of a form, by field.

    Raises:
        ConfigurationError: A language cannot be one, or subtitles cannot be SRT.
    """
    files = []
    if source_srt is not None:
        files.append(("source_srt", _subtitle_file("source_srt", source_srt, "source.srt")))
    for language, subtitle in (target_srts or {}).items():
        _languages([language])
        name = f"target_srts[{language!r}]"
        files.append((f"target_srt.{language}", _subtitle_file(name, subtitle, f"{language}.srt")))
    return files


def _languages(languages: Sequence[str]) -> list[str]:
    if isinstance(languages, str):
        raise ConfigurationError(f"target_languages must be a list of languages, such as [{languages!r}]")
    chosen = list(languages)
    # A language is part of a field's name in a form, so it must be printable.
    if not chosen or not all(isinstance(item, str) and item.isprintable() and item.strip() for item in chosen):
        raise ConfigurationError(f"target_languages must name at least one language, not {chosen!r}")
    return chosen


def _subtitle_fields(name: str, subtitle: Subtitle) -> dict[str, str]:
    if not isinstance(subtitle, Subtitle):
        raise ConfigurationError(f"{name} must be a Subtitle(content=…), not {type(subtitle).__name__}")
    _check_srt(name, subtitle.content)
    fields = {"content": subtitle.content, "file_name": subtitle.file_name, "language": subtitle.language}
    return {field: value for field, value in fields.items() if value is not None}


def _subtitle_file(name: str, subtitle: Subtitle | MediaSource, file_name: str) -> MediaSource:
    if isinstance(subtitle, Subtitle):
        _check_srt(name, subtitle.content)
        content = subtitle.content.encode()
        return Upload(content, file_name=subtitle.file_name or file_name, content_type=_SRT_TYPE)
    if isinstance(subtitle, Upload):
        return subtitle
    if isinstance(subtitle, bytes):
        return Upload(subtitle, file_name=file_name, content_type=_SRT_TYPE)
    return Upload(subtitle, content_type=_SRT_TYPE)


def _check_srt(name: str, content: object) -> None:
    """Refuse what cannot be SRT: a job that is paid for would ignore it or fail."""
    if not isinstance(content, str):
        raise ConfigurationError(f"the content of {name} must be SRT text, not {type(content).__name__}")
    text = content.lstrip(_BEFORE_TEXT)
    if not text.strip():
        raise ConfigurationError(f"the content of {name} is blank; leave {name} out to send no subtitles")
    if text.startswith("WEBVTT"):
        raise ConfigurationError(f"the content of {name} is WebVTT, but the service takes SRT; convert it first")
