"""The clip that stands in for an output: an MP4 that says plainly that nothing was done.

The boxes are those of ISO/IEC 14496-12 and, for H.264, 14496-15.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache

from .still import HIGH, WIDTH, still

FRAMES = 10
FRAME_SECONDS = 0.2
_TIMESCALE = 1000
_FRAME_TICKS = int(FRAME_SECONDS * _TIMESCALE)
_TICKS = FRAMES * _FRAME_TICKS
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)

NOT_SYNCED = "SANDBOX - nothing was lip-synced"
NOT_TRANSLATED = "SANDBOX - nothing was translated"


@lru_cache(maxsize=8)
def clip(sentence: str) -> bytes:
    """Return two seconds of MP4 that show and are titled with a sentence.

    Args:
        sentence: of letters, spaces and hyphens.
    """
    picture = still(_lines(sentence))
    samples = [picture.picture, *(picture.repeat[number % 16] for number in range(FRAMES - 1))]
    samples = [struct.pack(">I", len(sample)) + sample for sample in samples]
    kind = _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2avc1mp41")
    # The size of moov does not depend on the offset that it holds, so that a first one made without knows it.
    start = len(kind) + len(_movie(sentence, picture.parameters, samples, 0)) + 8
    return kind + _movie(sentence, picture.parameters, samples, start) + _box(b"mdat", *samples)


def _lines(sentence: str) -> list[str]:
    head, _, rest = sentence.upper().partition(" - ")
    words = rest.split()
    return [head, " ".join(words[:-1]), words[-1]]


def _movie(sentence: str, parameters: tuple[bytes, bytes], samples: Sequence[bytes], start: int) -> bytes:
    return _box(
        b"moov",
        _full_box(
            b"mvhd",
            struct.pack(">IIII", 0, 0, _TIMESCALE, _TICKS),
            struct.pack(">IHHII", 0x10000, 0x100, 0, 0, 0),
            _MATRIX,
            bytes(24),
            struct.pack(">I", 2),
        ),
        _track(parameters, samples, start),
        _box(b"udta", _metadata(sentence)),
    )


def _track(parameters: tuple[bytes, bytes], samples: Sequence[bytes], start: int) -> bytes:
    return _box(
        b"trak",
        _full_box(
            b"tkhd",
            struct.pack(">IIIII", 0, 0, 1, 0, _TICKS),
            bytes(16),
            _MATRIX,
            struct.pack(">II", WIDTH << 16, HIGH << 16),
            flags=3,
        ),
        _box(
            b"mdia",
            # The language is "und", undetermined: three letters of five bits.
            _full_box(b"mdhd", struct.pack(">IIIIHH", 0, 0, _TIMESCALE, _TICKS, 0x55C4, 0)),
            _full_box(b"hdlr", bytes(4), b"vide", bytes(12), b"video\0"),
            _box(
                b"minf",
                _full_box(b"vmhd", bytes(8), flags=1),
                _box(b"dinf", _full_box(b"dref", struct.pack(">I", 1), _full_box(b"url ", flags=1))),
                _sample_table(parameters, samples, start),
            ),
        ),
    )


def _sample_table(parameters: tuple[bytes, bytes], samples: Sequence[bytes], start: int) -> bytes:
    sizes = struct.pack(f">{len(samples)}I", *map(len, samples))
    return _box(
        b"stbl",
        _full_box(b"stsd", struct.pack(">I", 1), _sample_entry(parameters)),
        _full_box(b"stts", struct.pack(">III", 1, len(samples), _FRAME_TICKS)),
        _full_box(b"stss", struct.pack(">II", 1, 1)),
        _full_box(b"stsc", struct.pack(">IIII", 1, 1, len(samples), 1)),
        _full_box(b"stsz", struct.pack(">II", 0, len(samples)), sizes),
        _full_box(b"stco", struct.pack(">II", 1, start)),
    )


def _sample_entry(parameters: tuple[bytes, bytes]) -> bytes:
    sequence, picture = parameters
    decoder = _box(
        b"avcC",
        b"\x01" + sequence[1:4] + b"\xff\xe1",
        struct.pack(">H", len(sequence)),
        sequence,
        b"\x01",
        struct.pack(">H", len(picture)),
        picture,
    )
    return _box(
        b"avc1",
        struct.pack(">6xH16x", 1),
        struct.pack(">HHIIIH", WIDTH, HIGH, 0x480000, 0x480000, 0, 1),
        bytes(32),
        struct.pack(">Hh", 24, -1),
        decoder,
    )


def _metadata(sentence: str) -> bytes:
    data = _box(b"data", struct.pack(">II", 1, 0), sentence.encode())
    return _full_box(
        b"meta",
        _full_box(b"hdlr", bytes(4), b"mdirappl", bytes(9)),
        _box(b"ilst", _box(b"\xa9nam", data), _box(b"\xa9cmt", data)),
    )


def _box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + name + body


def _full_box(name: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return _box(name, struct.pack(">I", flags), *parts)
