"""Rows: the jobs of a list."""

from __future__ import annotations

import attrs

from .._ui.options import Family

__all__ = ["Content", "Row", "is_same_work", "is_url", "scheme_of"]

Content = dict[str, "str | list[str]"]
"""What a job is made from: two rows with equal contents order the same work."""


@attrs.frozen(kw_only=True)
class Row:
    """One job to do.

    Attributes:
        line: Line of the list, from 1.
        video: URL or file, as it is in the list.
        audio: URL or file; None for a translation.
        languages: Languages to translate into; none for lip sync.
        source_language: Language of the video of a translation.
        voices: Voice ids of a translation by speaker, as ``SPEAKER=VOICE_ID``.
        source_srt: File of the subtitles of its video.
        target_srts: Files of its subtitles by language, as ``LANGUAGE=FILE``.
        reference_id: The one in the list, or None.
        out: File to write below the folder, for a translation a folder.
    """

    line: int
    video: str
    audio: str | None = None
    languages: tuple[str, ...] = ()
    source_language: str | None = None
    voices: tuple[str, ...] = ()
    source_srt: str | None = None
    target_srts: tuple[str, ...] = ()
    reference_id: str | None = None
    out: str

    @property
    def family(self) -> Family:
        """The family of its job."""
        return "translate" if self.languages else "lipsync"

    @property
    def content(self) -> Content:
        """What its job is made from."""
        given = {
            "video": self.video,
            "audio": self.audio,
            "languages": list(self.languages) or None,
            "source_language": self.source_language,
            "voices": list(self.voices) or None,
            "source_srt": self.source_srt,
            "target_srts": list(self.target_srts) or None,
        }
        return {name: value for name, value in given.items() if value is not None}


def is_same_work(one: Content, other: Content) -> bool:
    """Whether two contents order the same work, apart from the queries of URLs, which may be signed each time."""
    return _unsigned(one) == _unsigned(other)


def _unsigned(content: Content) -> Content:
    return {
        name: value.partition("?")[0] if isinstance(value, str) and is_url(value) else value
        for name, value in content.items()
    }


def is_url(medium: str) -> bool:
    """Whether a medium is a URL and not a file; a scheme ignores case (RFC 3986, section 3.1)."""
    return scheme_of(medium) in ("http", "https")


def scheme_of(medium: str) -> str:
    """Return the scheme of ``scheme://…`` in lower case, empty for a path."""
    scheme, found, _ = medium.partition("://")
    return scheme.lower() if found else ""
