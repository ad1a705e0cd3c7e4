"""SIGTERM and SIGINT, for clients that drain when the process is told to stop.

A server has handlers of its own for them, and installs them before or after a client is first used. So ours stands
before whichever is there, calls it afterwards, and is put back to the front when another has replaced it. Handlers
that a loop has by ``add_signal_handler`` are called by the loop, whatever stands before them.

A handler belongs to the process, so that all clients share one for each signal. Python runs handlers in the main
thread, and allows no other thread to install one.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

__all__ = ["SignalListener"]

logger: logging.Logger = logging.getLogger("chamelaion_async")

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_CHECK: Final = 1.0  # seconds until a handler that another has replaced is put back


class _Handler:
    """Notifies the listeners, and then does what the handler before it does.

    Each installation is an object of its own: a server may keep one as the handler that was there before its own, and
    call or restore it later, after another of ours was put in front.
    """

    def __init__(self, before: Any, notify: Callable[[], None]) -> None:
        self.before = before
        self._notify = notify

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._notify()
        if callable(self.before):
            self.before(number, frame)
        elif self.before == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)


class _StopSignals:
    """The handlers of the process, and the listeners that they notify."""

    def __init__(self) -> None:
        self._handlers: dict[int, _Handler] = {}
        self._listeners: dict[int, SignalListener] = {}

    def add(self, listener: SignalListener) -> bool:
        """Notify a listener from now on, and return whether any signal can be heard."""
        self._listeners[id(listener)] = listener
        self.put_in_front()
        return bool(self._handlers)

    def discard(self, listener: SignalListener) -> None:
        """Notify a listener no more; after the last one, restore the handlers that were there before."""
        self._listeners.pop(id(listener), None)
        if any(other.is_alive for other in self._listeners.values()) or not _is_main_thread():
            return
        for number, handler in self._handlers.items():
            before = handler.before
            if signal.getsignal(number) is handler:
                signal.signal(number, before)
        self._handlers.clear()
        self._listeners.clear()

    def put_in_front(self) -> None:
        """Install a handler for each signal whose handler is not ours.

        A signal that is ignored stays so, and a handler that was not installed from Python could not be called.
        """
        if not _is_main_thread():
            return
        for number in _SIGNALS:
            before = signal.getsignal(number)
            if before is not None and before is not self._handlers.get(number) and before != signal.SIG_IGN:
                self._handlers[number] = handler = _Handler(before, self._notify)
                signal.signal(number, handler)

    def _notify(self) -> None:
        for listener in [*self._listeners.values()]:
            listener.notify()


_stop_signals = _StopSignals()


class SignalListener:
    """Calls a method when the process is told to stop, as long as the method's object lives.

    Args:
        method: Called in the signal handler.
        loop: The running loop; it checks once a second that the handlers are in front.
    """

    def __init__(self, method: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        self._method = weakref.WeakMethod(method)
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        if _stop_signals.add(self):
            self._check()
        else:
            logger.warning(
                "drain_on_signals has no effect: SIGTERM and SIGINT are ignored, or this is not the main thread, "
                "where Python handles signals; call client.drain() when the process is told to stop"
            )

    @property
    def is_alive(self) -> bool:
        """Whether the method's object lives."""
        return self._method() is not None

    def notify(self) -> None:
        """Call the method."""
        method = self._method()
        if method is not None:
            method()

    def check(self) -> None:
        """Put the handlers back in front if others have replaced them."""
        _stop_signals.put_in_front()

    def _check(self) -> None:
        if not self.is_alive:
            self.close()
        else:
            self.check()
            self._timer = self._loop.call_later(_CHECK, self._check)

    def close(self) -> None:
        """Listen no more."""
        if self._timer is not None:
            self._timer.cancel()
        _stop_signals.discard(self)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
