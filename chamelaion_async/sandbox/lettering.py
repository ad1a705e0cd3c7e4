"""Capital letters as dots, for the few words that the clip shows."""

from collections.abc import Iterator, Sequence

HEIGHT = 7
ADVANCE = 6
"""Dots from one letter to the next: five and a gap."""

_ROWS = {
    " ": "00000 00000 00000 00000 00000 00000 00000",
    "-": "00000 00000 00000 11111 00000 00000 00000",
    "A": "01110 10001 10001 11111 10001 10001 10001",
    "B": "11110 10001 10001 11110 10001 10001 11110",
    "C": "01110 10001 10000 10000 10000 10001 01110",
    "D": "11110 10001 10001 10001 10001 10001 11110",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "G": "01110 10001 10000 10111 10001 10001 01110",
    "H": "10001 10001 10001 11111 10001 10001 10001",
    "I": "01110 00100 00100 00100 00100 00100 01110",
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "N": "10001 11001 10101 10011 10001 10001 10001",
    "O": "01110 10001 10001 10001 10001 10001 01110",
    "P": "11110 10001 10001 11110 10000 10000 10000",
    "R": "11110 10001 10001 11110 10100 10010 10001",
    "S": "01111 10000 10000 01110 00001 00001 11110",
    "T": "11111 00100 00100 00100 00100 00100 00100",
    "W": "10001 10001 10001 10101 10101 11011 10001",
    "X": "10001 01010 00100 00100 00100 01010 10001",
    "Y": "10001 01010 00100 00100 00100 00100 00100",
}


def dots(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the column and row of every dot of lines that are centred above one another.

    Args:
        lines: of capital letters, hyphens and spaces.
    """
    width = max(len(line) for line in lines) * ADVANCE
    for number, line in enumerate(lines):
        left = (width - len(line) * ADVANCE) // 2
        top = number * (HEIGHT + 4)
        for position, letter in enumerate(line):
            for row, pattern in enumerate(_ROWS[letter].split()):
                for column, dot in enumerate(pattern):
                    if dot == "1":
                        yield left + position * ADVANCE + column, top + row
