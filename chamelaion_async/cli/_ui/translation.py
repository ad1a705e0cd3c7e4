"""Options of a translation as text: pairs of a name and a value, and files of subtitles."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ...errors import ConfigurationError
from ...models import Subtitle

__all__ = ["read_subtitle", "split_pairs"]


def split_pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Split texts of the form ``NAME=VALUE``.

    Raises:
        ConfigurationError: One has another form, or a name occurs twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if not name or not value:
            raise ConfigurationError(f"{option} takes NAME=VALUE, not {text!r}")
        if name in found:
            raise ConfigurationError(f"{option} was given twice for {name!r}")
        found[name] = value
    return found


def read_subtitle(path: Path, language: str | None) -> Subtitle:
    """Read a file of subtitles, which are sent as text.

    Raises:
        ConfigurationError: It cannot be read, or is not UTF-8.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")  # editors on Windows write a byte order mark
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigurationError(f"subtitles {str(path)!r} cannot be read: {reason}") from error
    return Subtitle(content=content, file_name=path.name, language=language)
