"""The checks of a generation call, with the documented text of each refusal.

The order of the checks is not documented; assumed is: content type, shape of the body, type of each input,
one video, one audio. It is also assumed that a URL must be an absolute http(s) one, and that unknown fields are
ignored.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from ..world.jobs import NOT_ACCESSIBLE
from .answers import ApiError
from .bodies import invalid_body

MODELS = ("expressive", "classic")
_TTS_MODELS = ("eleven_v4", "eleven_multilingual_v2")
TRANSLATE_FLAGS = ("disable_background_audio", "disable_lip_sync", "formality")
TRANSLATE_TEXTS = ("reference_id", "source_language", "webhook_url")


def check_lipsync(body: Mapping[str, Any]) -> None:
    """Refuse a lip sync call that is not valid.

    Raises:
        ApiError: 400.
    """
    kinds = _input_kinds(body)
    if any(kind not in {"video", "audio"} for kind in kinds):
        raise ApiError(400, 'input type must be "video" or "audio"')
    if kinds.count("video") != 1:
        raise ApiError(400, "expected exactly one video input")
    if kinds.count("audio") != 1:
        raise ApiError(400, "expected exactly one audio input")
    _check_type(body, "reference_id", str)
    _check_type(body, "disable_active_speaker_detection", bool)


def check_translate(body: Mapping[str, Any]) -> None:
    """Refuse a translation call that is not valid.

    Assumed: anything but exactly one input of type video is refused with the text that lip sync has for it.

    Raises:
        ApiError: 400.
    """
    if _input_kinds(body) != ["video"]:
        raise ApiError(400, "expected exactly one video input")
    check_translate_options(body)


def check_translate_options(body: Mapping[str, Any]) -> None:
    """Refuse missing target languages and mistyped options of a translation call."""
    languages = body.get("target_languages")
    if not isinstance(languages, list) or not languages or not all(_is_text(each) for each in languages):
        raise invalid_body()
    for name in TRANSLATE_TEXTS:
        _check_type(body, name, str)
    for name in TRANSLATE_FLAGS:
        _check_type(body, name, bool)
    if body.get("model", MODELS[0]) not in MODELS:
        raise invalid_body()
    if "webhook_url" in body and not is_web_url(body["webhook_url"]):
        raise invalid_body()
    _check_type(body, "config", dict)
    _check_config(body.get("config") or {})


def is_web_url(text: object) -> bool:
    """Return whether a value is an absolute http(s) URL."""
    if not isinstance(text, str):
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def failure_of(video_url: str) -> str | None:
    """Return the error_message that a job with this video fails with, None if it completes."""
    return NOT_ACCESSIBLE if "missing" in unquote(urlsplit(video_url).path) else None


def video_url(body: Mapping[str, Any]) -> str:
    """Return the URL of the one video input of a body that has been checked."""
    return next(str(each["url"]) for each in body["inputs"] if each["type"] == "video")


def _input_kinds(body: Mapping[str, Any]) -> list[str]:
    inputs = body.get("inputs")
    if not isinstance(inputs, Sequence) or isinstance(inputs, str):
        raise invalid_body()
    for each in inputs:
        if not isinstance(each, dict) or not isinstance(each.get("type"), str) or not is_web_url(each.get("url")):
            raise invalid_body()
    return [each["type"] for each in inputs]


def _check_config(config: Mapping[str, Any]) -> None:
    if config.get("tts_model", _TTS_MODELS[0]) not in _TTS_MODELS:
        raise invalid_body()
    voices = config.get("speaker_voices", {})
    subtitles = config.get("target_srts", {})
    if not isinstance(voices, dict) or not all(isinstance(voice, str) for voice in voices.values()):
        raise invalid_body()
    if not isinstance(subtitles, dict):
        raise invalid_body()
    sources = [config["source_srt"]] if "source_srt" in config else []
    for subtitle in (*sources, *subtitles.values()):
        if not isinstance(subtitle, dict) or not isinstance(subtitle.get("content"), str):
            raise invalid_body()
        _check_type(subtitle, "file_name", str)
        _check_type(subtitle, "language", str)


def _check_type(body: Mapping[str, Any], name: str, kind: type) -> None:
    if name in body and not isinstance(body[name], kind):
        raise invalid_body()


def _is_text(value: object) -> bool:
    # A lone surrogate, which JSON can spell, would fit into no URL of an output.
    return isinstance(value, str) and bool(value) and not re.search("[\ud800-\udfff]", value)
