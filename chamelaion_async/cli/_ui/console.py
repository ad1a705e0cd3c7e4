"""A Python prompt on the running event loop, with ``await`` at the top level."""

from __future__ import annotations

import ast
import asyncio
import code
import contextvars
import io
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext, suppress
from types import CodeType, FrameType, FunctionType
from typing import Any, Final

from .exits import ExitCode
from .streams import OutputError

__all__ = ["AsyncConsole"]

_INTERRUPTED: Final = "\nKeyboardInterrupt\n"
_AT_PROMPT: Final = "\nKeyboardInterrupt; Ctrl-D or exit() ends the shell\n"


@contextmanager
def _terminal_restored() -> Iterator[None]:
    """Restore the modes of the terminal after the block: at a SIGTERM, readline may have left it without echo."""
    try:
        import termios  # noqa: PLC0415 - not on Windows
    except ImportError:
        yield
        return
    before = termios.tcgetattr(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


class AsyncConsole(code.InteractiveConsole):
    """Reads statements in a thread, and runs each as a task of the loop in the main thread.

    So tasks go on while the user types, and Ctrl-C stops both what is awaited and code that awaits nothing.
    ``python -m asyncio`` is made the same way (Lib/asyncio/__main__.py).

    Args:
        names: What statements find as global names.
        is_interactive: Whether to prompt on a terminal, and to survive Ctrl-C; otherwise stdin is read to its end.
    """

    def __init__(self, names: Mapping[str, object], *, is_interactive: bool) -> None:
        super().__init__({"__name__": "__console__", "__doc__": None, **names}, "<stdin>")
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._is_interactive = is_interactive
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[int | OutputError] = self._loop.create_future()
        self._context = contextvars.copy_context()  # a variable that one statement sets is seen by the next
        self._task: asyncio.Task[None] | None = None
        self._is_interrupted = False

    async def run(self, banner: str) -> int:
        """Run statements until the input ends, and return the exit code.

        Args:
            banner: What an interactive console prints first.

        Raises:
            OutputError: stdout does not accept what a statement prints.
        """
        with _terminal_restored() if self._is_interactive else nullcontext():
            # Not a thread of an executor, and a daemon: it may wait for a line when the process is to end.
            threading.Thread(target=self._read, args=(banner,), daemon=True).start()
            before = signal.signal(signal.SIGINT, self._on_signal)
            try:
                end = await self._end
            finally:
                signal.signal(signal.SIGINT, before)
                if self._task is not None and not self._task.done():
                    self._task.cancel()
                    await asyncio.wait([self._task])
        if isinstance(end, OutputError):
            raise end
        return end

    def runcode(self, code: CodeType) -> None:
        """Run a statement on the loop, and wait for its end in the thread of the prompt."""
        done: Future[None] = Future()
        self._loop.call_soon_threadsafe(self._start, code, done)
        done.result()
        if self._end.done():
            raise SystemExit  # ends this thread

    def _start(self, code: CodeType, done: Future[None]) -> None:
        self._is_interrupted = False
        self._task = self._loop.create_task(self._execute(code), context=self._context)
        self._task.add_done_callback(lambda _: done.set_result(None))

    async def _execute(self, code: CodeType) -> None:
        try:
            result: Any = FunctionType(code, self.locals)()
            if asyncio.iscoroutine(result):
                await result
        except SystemExit as exit:
            self._exit(exit)
        except OutputError as error:
            self._finish(error)
        except asyncio.CancelledError:
            if self._is_interrupted:
                self.write(_INTERRUPTED)
            elif not self._end.done():
                self.showtraceback()
        except KeyboardInterrupt:
            self.write(_INTERRUPTED)
        except BaseException:  # noqa: BLE001 - whatever a statement raises, the next one can be typed
            self.showtraceback()

    def _exit(self, exit: SystemExit) -> None:
        if exit.code is None or isinstance(exit.code, int):
            self._finish(exit.code or 0)
        else:
            self.write(f"{exit.code}\n")
            self._finish(1)

    def _finish(self, end: int | OutputError) -> None:
        if not self._end.done():
            self._end.set_result(end)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        """Handle Ctrl-C, and SIGTERM, which is passed on with its number."""
        task = self._task
        if number != signal.SIGINT or not self._is_interactive:
            self._loop.call_soon_threadsafe(self._finish, ExitCode.INTERRUPTED)
        elif task is None or task.done():
            self._loop.call_soon_threadsafe(self._prompt_again)
        elif asyncio.current_task(self._loop) is task:  # runs code at this moment, and awaits nothing
            raise KeyboardInterrupt
        else:
            self._is_interrupted = True
            task.cancel()
            self._loop.call_soon_threadsafe(int)  # wakes the loop

    def _prompt_again(self) -> None:
        self.resetbuffer()
        self.write(f"{_AT_PROMPT}{getattr(sys, 'ps1', '')}")
        sys.stderr.flush()

    def _read(self, banner: str) -> None:
        end: int = ExitCode.OK
        with suppress(SystemExit):
            if self._is_interactive:
                self.interact(banner, "")
            elif not self._read_lines():
                end = ExitCode.FAILED
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._finish, end)

    def _read_lines(self) -> bool:
        """Run the lines of stdin; return whether the last statement is whole."""
        # Past sys.stdin, whose lock this thread would hold at the end of the process.
        with io.FileIO(0, closefd=False) as stdin:
            while line := stdin.readline():
                self.push(line.decode("utf-8", "replace").rstrip("\n"))
        if self.buffer and self.push(""):
            self.write("the input ends in the middle of a statement\n")
            return False
        return True
