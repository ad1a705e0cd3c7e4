"""stdout and stderr that write everything they are given, and raise an error of their own where they cannot."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["OutputError", "discard_stdout", "require_reader", "standard_streams"]


class OutputError(OSError):
    """stdout did not accept the output.

    A class of its own, since an ``OSError`` may come from any file, and since Rich ends the process with code 1 at a
    ``BrokenPipeError``.
    """

    @property
    def is_reader_gone(self) -> bool:
        """Whether a pipe or socket has lost its reader, as after ``| head -1``."""
        return self.errno in (errno.EPIPE, errno.ECONNRESET)


class _Stdout(io.FileIO):
    """Waits while the stream is full, even if it is non-blocking.

    The non-blocking flag belongs to the pipe and not to this process: a parent such as Node.js can set it at its own
    end at any time. The buffers of ``io`` raise ``BlockingIOError`` then, and lose the rest of the data.
    """

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some of the data, at least one byte.

        Raises:
            OutputError: It cannot be written.
        """
        try:
            # typeshed does not know that FileIO returns None where the call would block.
            count: int | None = super().write(data)
            while count is None:
                select.select([], [self], [])
                count = super().write(data)
        except OSError as error:
            raise OutputError(error.errno, error.strerror) from error
        return count


class _Stderr(_Stdout):
    """Drops what it cannot write: there is no other place for it, and the exit code remains."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some of the data, or drop all of it."""
        try:
            return super().write(data)
        except OutputError:
            return memoryview(data).nbytes


@contextmanager
def standard_streams() -> Iterator[None]:
    """Replace ``sys.stdout`` and ``sys.stderr`` by streams of this module inside the block.

    A closed stderr becomes a stream that drops everything: ``print(file=None)`` would print errors on stdout. A
    closed stdout stays None, for the caller to decide.
    """
    _fill_closed_descriptors()
    out, err = sys.stdout, sys.stderr
    with ExitStack() as stack:
        if err is None:
            sys.stderr = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123 - no path
        else:
            sys.stderr = _rewrapped(err, _Stderr)
        if out is not None:
            sys.stdout = _rewrapped(out, _Stdout)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = out, err


def require_reader() -> None:
    """Raise if stdout is a pipe without a reader, which the system reports before anything is written.

    Raises:
        OutputError: There is no reader.
    """
    if not hasattr(select, "poll"):
        return
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):  # a stream in memory
        return
    poll = select.poll()
    poll.register(descriptor, 0)
    if any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0)):
        raise OutputError(errno.EPIPE, os.strerror(errno.EPIPE))


def discard_stdout() -> None:
    """Point stdout at the null device, so that flushing its buffer at exit does not fail again."""
    with suppress(OSError, ValueError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)


def _fill_closed_descriptors() -> None:
    """Open the null device for each closed standard stream.

    Otherwise the next file that is opened gets the descriptor: a download as descriptor 2 would receive what C code
    prints when it aborts.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _rewrapped(stream: TextIO, writer: Callable[..., _Stdout]) -> TextIO:
    """Return a stream on the same descriptor that writes with the given class, where there is a descriptor."""
    # A character that the encoding lacks is written as its escape, such as \u7b2c.
    errors = "backslashreplace"
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)
    if type(raw) is not io.FileIO:  # in memory, or a Windows console, which has a writer of its own
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(writer(raw.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors=errors,
        line_buffering=True,
    )
