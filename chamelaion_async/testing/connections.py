"""The sockets of a loop on virtual time: how long to listen to them before time may jump.

Where both ends of a connection belong to one loop, as those of a client and of the sandbox do, it can be seen whether
all that one end has sent has arrived at the other. What comes from another thread or process cannot be foreseen.
"""

from __future__ import annotations

import selectors
import socket
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

__all__ = ["Connections"]

_Ends = tuple[Any, Any]
"""The address of a socket and that of its peer."""

_UNTIL_IT_ARRIVES: Final = 1.0  # real seconds; it takes microseconds unless the machine is overloaded
_SHORT: Final = 0.001  # real seconds where the system does not tell what has arrived
# bytes_acked and bytes_received in struct tcp_info of linux/tcp.h, since Linux 4.1.
_COUNTERS: Final = struct.Struct("QQ")
_COUNTERS_AT: Final = 120
_SIOCOUTQ: Final = 0x5411  # asks for the bytes that were sent and not acknowledged (tcp(7))
_SYN: Final = 1  # the end that connects counts its SYN as a byte


class Connections:
    """The sockets that a selector watches, by file descriptor.

    Args:
        patience: Real seconds to listen to what is outside of the loop.
        counts_bytes: Whether the system tells how many bytes have arrived.
    """

    def __init__(self, patience: float, *, counts_bytes: bool = sys.platform == "linux") -> None:
        self._patience = patience
        self._counts_bytes = counts_bytes
        self._ends: dict[int, _Ends] = {}
        self._own: frozenset[int] = frozenset()

    def leave_out(self, fds: Iterable[int]) -> None:
        """Leave out the sockets by which the loop wakes itself."""
        self._own = frozenset(fds)

    def forget(self, fd: int) -> None:
        """Forget a socket that is no longer watched; its number may come back as that of another one."""
        self._ends.pop(fd, None)

    def patience(self, watched: Mapping[Any, selectors.SelectorKey]) -> float:
        """Return for how many real seconds something may still come: 0 if all that was sent has arrived.

        Args:
            watched: What the selector watches, none of it ready.
        """
        by_ends: dict[_Ends, selectors.SelectorKey] = {}
        patience = 0.0
        for key in watched.values():
            if key.fd in self._own:
                continue
            ends = self._ends.get(key.fd) or self._look_up(key.fd)
            if ends is None:
                patience = self._patience
            elif ends:
                by_ends[ends] = key
        for (own, peer), key in by_ends.items():
            receiver = by_ends.get((peer, own))
            if receiver is None:
                patience = max(patience, self._patience)
            elif receiver.events & selectors.EVENT_READ:
                if not self._counts_bytes:
                    patience = max(patience, _SHORT)
                elif _is_behind(key.fd, receiver.fd):
                    patience = max(patience, _UNTIL_IT_ARRIVES)
        return patience

    def _look_up(self, fd: int) -> _Ends | tuple[()] | None:
        """Return both ends of a connection, () for a socket that listens, or None where anything may come."""
        try:
            with _borrowed(fd) as connected:
                if connected.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    return ()
                if connected.family not in {socket.AF_INET, socket.AF_INET6}:
                    return None
                ends = connected.getsockname(), connected.getpeername()
        except OSError:
            return None  # a pipe, or a connection that is being made
        self._ends[fd] = ends
        return ends


@contextmanager
def _borrowed(fd: int) -> Iterator[socket.socket]:
    borrowed = socket.socket(fileno=fd)
    try:
        yield borrowed
    finally:
        borrowed.detach()


def _is_behind(sender: int, receiver: int) -> bool:
    """Whether bytes that one end has sent have not arrived at the other."""
    from fcntl import ioctl  # noqa: PLC0415 - there is none on Windows

    try:
        with _borrowed(sender) as sending, _borrowed(receiver) as receiving:
            (unacknowledged,) = struct.unpack("i", ioctl(sender, _SIOCOUTQ, bytes(4)))
            acknowledged, _ = _counters(sending)
            _, received = _counters(receiving)
    except (OSError, struct.error):
        return True  # closed meanwhile, or an old kernel
    # What is not acknowledged may have arrived all the same: the acknowledgement may be delayed by 40 ms.
    return bool(acknowledged + unacknowledged > received + _SYN)


def _counters(connected: socket.socket) -> tuple[int, int]:
    info = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _COUNTERS_AT + _COUNTERS.size)
    acknowledged, received = _COUNTERS.unpack_from(info, _COUNTERS_AT)
    return acknowledged, received
