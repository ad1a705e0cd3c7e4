"""A still picture as H.264 written by hand: raw macroblocks, then frames that change nothing.

The syntax is that of ITU-T H.264, clauses 7.3 and 9.1, in the Baseline profile, which every player decodes.
"""

from collections.abc import Sequence

from attrs import define, field, frozen

from .lettering import ADVANCE, HEIGHT, dots

WIDTH, ACROSS = 320, 20
HIGH, DOWN = 192, 12
"""Width and height in pixels and in macroblocks of 16."""

_DARK, _LIGHT, _GREY = 32, 220, 128
_SCALE = 4
# Each macroblock without prediction is mb_type 25 (I_PCM), then zero bits up to the next byte, then pixels.
_I_PCM = 25


@define(eq=False)
class _Bits:
    """Bits on their way to bytes."""

    _text: list[str] = field(init=False, factory=list)

    def u(self, value: int, width: int) -> None:
        self._text.append(format(value, f"0{width}b"))

    def ue(self, *values: int) -> None:
        """Write unsigned Exp-Golomb codes."""
        for value in values:
            binary = format(value + 1, "b")
            self._text.append("0" * (len(binary) - 1) + binary)

    def padded(self, *, stop: bool) -> bytes:
        """Return the bytes, filled up with zero bits, after a stop bit where one is due."""
        text = "".join(self._text) + ("1" if stop else "")
        text += "0" * (-len(text) % 8)
        return int(text, 2).to_bytes(len(text) // 8, "big")


@frozen(kw_only=True)
class Still:
    """A picture that stands still.

    Args:
        parameters: sequence and picture parameter set.
        picture: the frame that shows it.
        repeat: frames that leave it as it is, to be used in turn.
    """

    parameters: tuple[bytes, bytes]
    picture: bytes
    repeat: Sequence[bytes]


def still(lines: Sequence[str]) -> Still:
    """Return a picture of some words.

    Args:
        lines: of capital letters, hyphens and spaces, at most thirteen to a line.
    """
    return Still(
        parameters=(_sequence_parameters(), _picture_parameters()),
        picture=_picture(_luma(lines)),
        repeat=[_unchanged((number + 1) % 16) for number in range(16)],
    )


def _luma(lines: Sequence[str]) -> list[bytearray]:
    rows = [bytearray([_DARK]) * WIDTH for _ in range(HIGH)]
    left = (WIDTH - max(len(line) for line in lines) * ADVANCE * _SCALE) // 2
    top = (HIGH - (len(lines) * (HEIGHT + 4) - 4) * _SCALE) // 2
    for column, row in dots(lines):
        x, y = left + column * _SCALE, top + row * _SCALE
        for line in rows[y : y + _SCALE]:
            line[x : x + _SCALE] = bytes([_LIGHT]) * _SCALE
    return rows


def _sequence_parameters() -> bytes:
    bits = _Bits()
    bits.u(0x67, 8)
    bits.u(66, 8)  # profile_idc: Baseline
    bits.u(0xC0, 8)
    bits.u(30, 8)  # level_idc: 3.0
    bits.ue(0, 0, 2, 1)  # id, log2_max_frame_num - 4, pic_order_cnt_type, max_num_ref_frames
    bits.u(0, 1)
    bits.ue(ACROSS - 1, DOWN - 1)
    bits.u(0b1100, 4)  # frames only, direct 8x8 inference, no cropping, no VUI
    return bits.padded(stop=True)


def _picture_parameters() -> bytes:
    bits = _Bits()
    bits.u(0x68, 8)
    bits.ue(0, 0)
    bits.u(0b00, 2)  # CAVLC
    bits.ue(0, 0, 0)
    bits.u(0b000, 3)
    bits.ue(0, 0, 0)
    bits.u(0b100, 3)  # deblocking can be switched off, so that raw pixels stay as they are
    return bits.padded(stop=True)


def _picture(luma: list[bytearray]) -> bytes:
    bits = _Bits()
    bits.u(0x65, 8)
    bits.ue(0, 7, 0)  # first_mb_in_slice, slice_type: all I, parameter set
    bits.u(0, 4)  # frame_num
    bits.ue(0)  # idr_pic_id
    bits.u(0b00, 2)
    bits.ue(0, 1)  # slice_qp_delta, disable_deblocking_filter_idc
    bits.ue(_I_PCM)
    data = bytearray(bits.padded(stop=False))
    further = _Bits()
    further.ue(_I_PCM)
    head = further.padded(stop=False)
    chroma = bytes([_GREY]) * 128
    for down in range(DOWN):
        for across in range(ACROSS):
            if down or across:
                data += head
            for row in luma[down * 16 : down * 16 + 16]:
                data += row[across * 16 : across * 16 + 16]
            data += chroma
    # No three bytes in here read 000000 to 000003, since no pixel is zero: nothing needs to be escaped.
    return bytes(data + b"\x80")


def _unchanged(frame_number: int) -> bytes:
    bits = _Bits()
    bits.u(0x41, 8)
    bits.ue(0, 5, 0)  # first_mb_in_slice, slice_type: all P, parameter set
    bits.u(frame_number, 4)
    bits.u(0b000, 3)
    bits.ue(0, 1)  # slice_qp_delta, disable_deblocking_filter_idc
    bits.ue(ACROSS * DOWN)  # mb_skip_run: all of them
    return bits.padded(stop=True)
