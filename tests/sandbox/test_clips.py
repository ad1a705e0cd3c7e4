import io
import struct
import wave
from collections.abc import Iterator

import pytest

from chamelaion_async.sandbox import clips

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"ilst", b"\xa9nam", b"\xa9cmt"}


def boxes(data: bytes, path: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield each box of an MP4 (ISO/IEC 14496-12, 4.2) with its path."""
    while data:
        size, name = struct.unpack(">I4s", data[:8])
        assert 8 <= size <= len(data)
        where, body, data = f"{path}/{name.decode('latin-1')}", data[8:size], data[size:]
        yield where, body
        if name in CONTAINERS or name == b"meta":
            yield from boxes(body[4:] if name == b"meta" else body, where)


@pytest.mark.parametrize(
    ("video", "sentence"),
    [
        (clips.lipsync_video(), "SANDBOX - nothing was lip-synced"),
        (clips.translated_video(), "SANDBOX - nothing was translated"),
    ],
    ids=["lipsync", "translated"],
)
def test_a_clip_is_a_small_mp4_of_h264_and_aac_whose_title_says_that_nothing_was_done(
    video: bytes, sentence: str
) -> None:
    found = list(boxes(video))
    named = dict(found)

    codecs = [body[12:16] for where, body in found if where.endswith("/stsd")]
    assert codecs == [b"avc1", b"mp4a"]
    for tag in ("©nam", "©cmt"):
        assert named[f"/moov/udta/meta/ilst/{tag}/data"][8:].decode() == sentence
    timescale, duration = struct.unpack(">II", named["/moov/mvhd"][12:20])
    assert duration / timescale == pytest.approx(2, abs=0.1)
    assert [where for where, _ in found if where in {"/moov", "/mdat"}] == ["/moov", "/mdat"]  # plays while it loads
    assert len(video) < 10_000


def test_the_audio_is_two_seconds_of_silence() -> None:
    with wave.open(io.BytesIO(clips.silence())) as file:
        assert file.getnframes() == 2 * file.getframerate()
        assert set(file.readframes(file.getnframes())) == {0x80}  # the zero of 8 bits without a sign
