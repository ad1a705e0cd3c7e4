"""The checks of a generation call, with the documented text of each refusal.

The order of the checks is not documented; assumed is: content type, shape of the body, type of each input,
one video, one audio. It is also assumed that a URL must be an absolute http(s) one, and that unknown fields are
ignored.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from ..world.jobs import NOT_ACCESSIBLE
from .answers import ApiError
from .bodies import invalid_body

TRANSLATE_TEXTS = ("model", "reference_id", "source_language", "webhook_url")
TRANSLATE_FLAGS = ("disable_background_audio", "disable_lip_sync", "formality")
_MODELS = ("expressive", "classic")
_TTS_MODELS = ("eleven_v4", "eleven_multilingual_v2")


def check_lipsync(body: Mapping[str, Any]) -> None:
    """Refuse a lip sync call that is not valid.

    Raises:
        ApiError: 400.
    """
    kinds = _input_kinds(body)
    if not {"video", "audio"}.issuperset(kinds):
        raise ApiError(400, 'input type must be "video" or "audio"')
    for kind in ("video", "audio"):
        if kinds.count(kind) != 1:
            raise ApiError(400, f"expected exactly one {kind} input")
    _check_types(body, str, "reference_id")
    _check_types(body, bool, "disable_active_speaker_detection")


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
    """Refuse missing target languages and mistyped options of a translation call.

    Raises:
        ApiError: 400.
    """
    languages = body.get("target_languages")
    _check(isinstance(languages, list) and languages and all(map(_is_name, languages)))
    _check_types(body, str, *TRANSLATE_TEXTS)
    _check_types(body, bool, *TRANSLATE_FLAGS)
    _check_types(body, dict, "config")
    _check(body.get("model", _MODELS[0]) in _MODELS)
    _check("webhook_url" not in body or _is_web_url(body["webhook_url"]))
    config = body.get("config", {})
    _check(config.get("tts_model", _TTS_MODELS[0]) in _TTS_MODELS)
    _check_types(config, dict, "speaker_voices", "target_srts", "source_srt")
    voices = config.get("speaker_voices", {})
    _check_types(voices, str, *voices)
    sources = [config["source_srt"]] if "source_srt" in config else []
    for subtitle in (*sources, *config.get("target_srts", {}).values()):
        _check(isinstance(subtitle, dict) and "content" in subtitle)
        _check_types(subtitle, str, "content", "file_name", "language")


def failure_of(video: str) -> str | None:
    """Return the error_message that a job fails with, None if it completes.

    Args:
        video: URL or filename of its video.
    """
    return NOT_ACCESSIBLE if "missing" in unquote(urlsplit(video).path) else None


def video_url(body: Mapping[str, Any]) -> str:
    """Return the URL of the one video input of a body that has been checked."""
    return next(str(each["url"]) for each in body["inputs"] if each["type"] == "video")


def _input_kinds(body: Mapping[str, Any]) -> list[str]:
    inputs: Any = body.get("inputs")
    _check(isinstance(inputs, list))
    for each in inputs:
        _check(isinstance(each, dict) and isinstance(each.get("type"), str) and _is_web_url(each.get("url")))
    return [each["type"] for each in inputs]


def _check(is_valid: object) -> None:
    if not is_valid:
        raise invalid_body()


def _check_types(fields: Mapping[str, Any], kind: type, *names: str) -> None:
    for name in names:
        _check(name not in fields or isinstance(fields[name], kind))


def _is_web_url(text: object) -> bool:
    try:
        parts = urlsplit(text if isinstance(text, str) else "")
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _is_name(value: object) -> bool:
    # JSON can hold a lone surrogate, which the URL of an output cannot.
    return isinstance(value, str) and bool(value) and not re.search("[\ud800-\udfff]", value)
