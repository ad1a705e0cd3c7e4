"""Print the part of the lock that one session installs: `python .ci/locked.py nox`.

It needs nothing but Python, because the workflows run it before anything is installed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

LOCK = Path(__file__).with_name("lock.txt")
_ENTRY = re.compile(r"^(?P<pin>[^\s#].*\\\n(?:    --hash=.*\n)+)    # for (?P<sets>.+)\n", re.MULTILINE)


def part(lock: str, name: str) -> str:
    """Return the pins, with their hashes, of the set of packages `name`."""
    pins = [entry["pin"] for entry in _ENTRY.finditer(lock) if name in entry["sets"].split()]
    if not pins:
        raise LookupError(f"no package in the lock is for {name!r}")
    return "".join(pins)


if __name__ == "__main__":
    sys.stdout.write(part(LOCK.read_text("utf-8"), sys.argv[1]))
