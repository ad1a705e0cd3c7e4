"""The standard streams as a command needs them: written whole, and an error names the stream that failed."""

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

__all__ = ["OutputError", "abandon_stdout", "require_reader", "standard_streams"]


class OutputError(OSError):
    """stdout did not take what was printed.

    A class of its own, since an ``OSError`` may come from any file, and since Rich ends the process with code 1 at a
    ``BrokenPipeError``.
    """

    @property
    def is_reader_gone(self) -> bool:
        """Whether a pipe or socket has lost its reader, as after ``| head -1``."""
        return self.errno in (errno.EPIPE, errno.ECONNRESET)


class _WholeWriter(io.FileIO):
    """Waits where the stream is full, even if it was set non-blocking.

    The flag belongs to the pipe and not to this process: a parent such as Node.js sets it for its own end of a shared
    description, at any time. Buffers above would raise ``BlockingIOError`` and lose what did not fit.
    """

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some of the data, at least one byte."""
        # typeshed does not know that FileIO returns None where the call would block.
        count: int | None = super().write(data)
        while count is None:
            select.select([], [self], [])
            count = super().write(data)
        return count


class _Results(_WholeWriter):
    """stdout: what it does not take is lost, so that the command must end with an error."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some of the data.

        Raises:
            OutputError: It cannot be written.
        """
        try:
            return super().write(data)
        except OSError as error:
            raise OutputError(error.errno, error.strerror) from error


class _Remarks(_WholeWriter):
    """stderr: what it does not take is dropped, since there is no other place to say so; the exit code remains."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some of the data, or drop all of it."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


@contextmanager
def standard_streams() -> Iterator[None]:
    """Put streams with the rules of this module in place of ``sys.stdout`` and ``sys.stderr``.

    A closed stderr becomes one that drops everything: ``print(file=None)`` would put errors on stdout. A closed
    stdout stays None, since what to do about that is not decided here.
    """
    _hold_descriptors()
    out, err = sys.stdout, sys.stderr
    with ExitStack() as stack:
        if err is None:
            sys.stderr = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123 - no path
        else:
            sys.stderr = _over(err, _Remarks)
        if out is not None:
            sys.stdout = _over(out, _Results)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = out, err


def require_reader() -> None:
    """Make certain that stdout has not lost its reader, which a pipe tells before anything is written.

    Raises:
        OutputError: It has.
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


def abandon_stdout() -> None:
    """Point stdout at nothing, so that what is left in its buffer does not fail once more on the way out."""
    with suppress(OSError, ValueError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)


def _hold_descriptors() -> None:
    """Fill the places of closed standard streams, or the first file or socket that is opened takes one of them.

    An output on disk as descriptor 2 would receive what C code prints when it aborts.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _over(stream: TextIO, writer: Callable[..., _WholeWriter]) -> TextIO:
    """Return a stream on the same descriptor that writes with the given class, where there is a descriptor."""
    # A character that the encoding lacks is spelled out instead of ending the command.
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
