"""The audio and subtitles that stand in for a translation's."""

import io
import wave
from functools import cache

from .clip import NOT_TRANSLATED

SECONDS = 2
_RATE = 8000


@cache
def silence() -> bytes:
    """Return two seconds of silence as WAV, 16 bit, mono."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(bytes(2 * _RATE * SECONDS))
    return buffer.getvalue()


def subtitles(language: str) -> bytes:
    """Return one subtitle that says that nothing was translated, as SRT.

    Args:
        language: what it was to be translated into.
    """
    return f"1\n00:00:00,000 --> 00:00:02,000\n{NOT_TRANSLATED} ({language})\n".encode()
