"""What a finished job serves where nothing was uploaded: two seconds of video, of audio and of subtitles.

Each video shows the sentence that is also its title, with a soft tone. They were drawn for this package and encoded
by ffmpeg 5.1 as H.264 (Constrained Baseline) and AAC (LC), which browsers play.
"""

from functools import cache
from importlib.resources import files


@cache
def _read(name: str) -> bytes:
    return files(__name__).joinpath(name).read_bytes()


def lipsync_video() -> bytes:
    """Return an MP4 that says that nothing was lip-synced."""
    return _read("nothing_was_lip_synced.mp4")


def translated_video() -> bytes:
    """Return an MP4 that says that nothing was translated."""
    return _read("nothing_was_translated.mp4")


def silence() -> bytes:
    """Return a WAV file without a sound."""
    return _read("silence.wav")


def subtitles(language: str) -> bytes:
    """Return one SRT subtitle that says that nothing was translated.

    Args:
        language: of the translation that was requested.
    """
    return f"1\n00:00:00,000 --> 00:00:02,000\nSANDBOX - nothing was translated ({language})\n".encode()
