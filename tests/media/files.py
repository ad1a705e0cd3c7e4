"""Files of the tests: synchronous functions, which coroutines may call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from pathlib import Path


def content(path: Path) -> bytes:
    return path.read_bytes()


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def is_there(path: Path) -> bool:
    return path.exists()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def pipe_at(path: Path) -> Path:
    os.mkfifo(path)
    return path


def socket_at(path: Path) -> Path:
    # The address of a socket holds some hundred bytes; the path of a temporary folder may be longer.
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path.name)
    return path


def linked(path: Path, to: Path) -> Path:
    path.symlink_to(to)
    return path


def link_of(path: Path) -> Path:
    return path.readlink()


def is_open_here(path: Path) -> bool:
    """Whether this process holds the file open."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if descriptor.readlink() == path:
                return True
    return False


async def is_closed_soon(path: Path) -> bool:
    """Whether the file is closed, at the latest when a read or write in progress has ended."""
    for _ in range(100):
        if not is_open_here(path):
            return True
        await asyncio.sleep(0.01)
    return False
