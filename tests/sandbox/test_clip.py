import io
import struct
import wave

import pytest

from chamelaion_async.sandbox.clip import FRAMES, NOT_SYNCED, NOT_TRANSLATED, clip
from chamelaion_async.sandbox.lettering import dots
from chamelaion_async.sandbox.silence import SECONDS, silence
from chamelaion_async.sandbox.still import ACROSS, DOWN, still

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"ilst", b"\xa9nam", b"\xa9cmt"}


def boxes(data: bytes, path: str = "") -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    while data:
        size, name = struct.unpack(">I4s", data[:8])
        assert 8 <= size <= len(data)
        body, data = data[8:size], data[size:]
        where = f"{path}/{name.decode('latin-1')}"
        found[where] = body
        if name == b"meta":
            found |= boxes(body[4:], where)
        elif name in CONTAINERS:
            found |= boxes(body, where)
    return found


@pytest.mark.parametrize("sentence", [NOT_SYNCED, NOT_TRANSLATED])
def test_the_title_says_that_nothing_was_done(sentence: str) -> None:
    found = boxes(clip(sentence))

    assert found["/moov/udta/meta/ilst/©nam/data"][8:].decode() == sentence
    assert found["/moov/udta/meta/ilst/©cmt/data"][8:].decode() == sentence
    assert "nothing was" in sentence


def test_the_sample_table_leads_to_the_frames() -> None:
    data = clip(NOT_SYNCED)
    table = "/moov/trak/mdia/minf/stbl"
    found = boxes(data)
    sizes = struct.unpack(f">{FRAMES}I", found[f"{table}/stsz"][12:])
    (position,) = struct.unpack(">I", found[f"{table}/stco"][8:])

    kinds = []
    for size in sizes:
        (length,) = struct.unpack(">I", data[position : position + 4])
        assert length == size - 4
        kinds.append(data[position + 4] & 0x1F)
        position += size

    assert kinds == [5] + [1] * (FRAMES - 1)  # one key frame, then frames that refer to it
    assert position == len(data)
    assert sum(sizes) == len(found["/mdat"])


def test_no_frame_holds_bytes_that_would_need_escaping() -> None:
    data = clip(NOT_SYNCED)
    frames = boxes(data)["/mdat"]
    position = 0
    while position < len(frames):
        (length,) = struct.unpack(">I", frames[position : position + 4])
        frame = frames[position + 4 : position + 4 + length]
        assert not any(frame.count(bytes([0, 0, last])) for last in range(4))
        position += 4 + length


def test_the_stream_is_the_one_that_ffmpeg_was_seen_to_decode_without_a_complaint() -> None:
    picture = still(["A"])

    assert [each.hex() for each in picture.parameters] == ["6742c01eda050664", "68ce3c80"]
    assert [each.hex() for each in picture.repeat[:2]] == ["419a228078c0", "419a428078c0"]
    assert picture.picture[:5].hex() == "658884a0d0"
    # The key frame: its header, two bytes before each further macroblock, 384 pixels each, and the stop bit.
    assert len(picture.picture) == 5 + 2 * (ACROSS * DOWN - 1) + 384 * ACROSS * DOWN + 1


def test_the_picture_shows_the_letters() -> None:
    art = [[" "] * 11 for _ in range(7)]
    for column, row in dots(["LI"]):
        art[row][column] = "#"

    assert ["".join(row) for row in art] == [
        "#      ### ",
        "#       #  ",
        "#       #  ",
        "#       #  ",
        "#       #  ",
        "#       #  ",
        "#####  ### ",
    ]


def test_the_audio_is_silence() -> None:
    with wave.open(io.BytesIO(silence())) as file:
        assert file.getnframes() == SECONDS * file.getframerate()
        assert not any(file.readframes(file.getnframes()))
