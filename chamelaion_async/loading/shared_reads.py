"""Reads that the processes on one account share: one process sends each, and publishes its answer to all others.

A read waits for another process's answer for as long as that answer usually takes, and is sent by this process
afterwards. So what a wait learns beside other processes comes no later than two answers' time after what it would
learn alone, whatever becomes of them.

::

    HttpSource._send --> SharedReads.fetch --claim--> Membership
                              ^  granted: send, publish
                              '- refused: leave the lane; on_published brings the answer, or it is sent late
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar

import attrs

from .._http.clock import loop_time
from ..errors import ChamelaionError
from ..models import RawResponse
from ..sharing import Membership
from .entries import Read

__all__ = ["SharedReads", "SharedTurn"]

T = TypeVar("T")

_LEASE: Final = 2.0  # seconds until the claim of a process that died ends; a shorter read is not worth a claim
_MOMENT: Final = 0.001  # seconds; less is not waited for
_VERSION: Final = b"1"  # of what is published
_OK: Final = 200


class SharedTurn(Protocol):
    """A turn of the lane that can be left and waited for once more."""

    def leave(self) -> None:
        """Give back the slot and the permit."""

    async def enter(self) -> None:
        """Wait for them again."""


@attrs.frozen
class _Heard:
    response: RawResponse
    began: float


class SharedReads:
    """Claims the reads of one family, and receives the answers of other processes.

    Args:
        membership: This client among those on the account.
        path: Path of the list; tells the readings of this family from those of others.
    """

    def __init__(self, membership: Membership, path: str) -> None:
        self._membership = membership
        self._prefix = f"{path} "
        self._parked: dict[str, list[asyncio.Future[_Heard | None]]] = {}
        self._hear: Callable[[str, float, RawResponse], None] | None = None
        self._nudge: Callable[[str], None] | None = None

    def listen(self, *, hear: Callable[[str, float, RawResponse], None], nudge: Callable[[str], None]) -> None:
        """Begin to receive what other processes tell.

        Args:
            hear: Receives an answer that no read of this process waits for: what was read, when that was sent, and
                the response.
            nudge: Polls a request now.
        """
        self._hear, self._nudge = hear, nudge
        self._membership.attach(self)

    @property
    def peers(self) -> int:
        """How many other clients these reads are shared with."""
        return self._membership.peers

    def nudge(self, id: str) -> None:
        """Tell the other processes to poll a request now."""
        self._membership.nudge(self._prefix + id)

    async def fetch(
        self,
        read: Read[Any],
        reading: str,
        turn: SharedTurn,
        send: Callable[[], Awaitable[RawResponse]],
        decode: Callable[[RawResponse], Awaitable[T]],
    ) -> T:
        """Return what ``decode`` makes of the answer to a read, whoever sends it.

        Args:
            read: The read. Its ``began`` is set to the time at which the answered call was sent.
            reading: What it reads, in words that are the same in each process.
            turn: The turn of the lane in which it is sent; left while another process reads.
            send: Makes one attempt.
            decode: Decodes a response, and raises if it is not what was asked for. Only what it accepts is published.
        """
        if not self._membership.peers:
            return await decode(await send())
        key = self._prefix + reading
        if read.timeout >= _LEASE:
            heard = await self._from_others(read, key, turn)
            if heard is not None:
                try:
                    decoded = await decode(heard.response)
                except ChamelaionError:
                    read.is_here, read.is_queued = False, True
                    await turn.enter()  # it makes sense to the other process alone
                else:
                    read.began, read.is_heard = min(read.began, heard.began), True
                    return decoded
        began = read.began = loop_time()
        if read.is_queued:
            read.is_queued = False
            read.overdue_at = max(read.overdue_at, began + read.late_after)
        try:
            response = await send()
            decoded = await decode(response)
        except BaseException:
            self._membership.release(key)
            raise
        self._membership.publish(key, _packed(response), began)
        return decoded

    async def _from_others(self, read: Read[Any], key: str, turn: SharedTurn) -> _Heard | None:
        """Return the answer of another process, or None, in a turn of the lane, if this one is to send the read."""
        # Without the time in the queue of the lane, which a read of its own takes as well.
        patience = read.late_after
        while True:
            # Registered before the claim is asked for: the answer may come before the refusal does.
            with self._registered(key) as parked:
                if await self._membership.claim(key):
                    return None
                if patience < _MOMENT or not self._membership.peers:
                    return None
                turn.leave()
                began = loop_time()
                await asyncio.wait([parked], timeout=min(patience, _LEASE))
                patience -= loop_time() - began
            read.is_queued = True
            heard = _result(parked) or await self._heard_before(turn, key)
            if heard is not None:
                return heard

    async def _heard_before(self, turn: SharedTurn, key: str) -> _Heard | None:
        """Wait for the turn, and return an answer that another process has published before it came, if any."""
        entering: asyncio.Future[Any] = asyncio.ensure_future(turn.enter())
        try:
            while not entering.done():
                with self._registered(key) as parked:
                    await asyncio.wait([entering, parked], return_when=asyncio.FIRST_COMPLETED)
                if (heard := _result(parked)) is not None:
                    return heard
            await entering
            return None
        finally:
            if not entering.done():
                entering.cancel()
                await asyncio.wait([entering])

    @contextmanager
    def _registered(self, key: str) -> Iterator[asyncio.Future[_Heard | None]]:
        """Have the answer to a reading, or None if it has none, in a future."""
        parked: asyncio.Future[_Heard | None] = asyncio.get_running_loop().create_future()
        self._parked.setdefault(key, []).append(parked)
        try:
            yield parked
        finally:
            waiting = self._parked.get(key, [])
            if parked in waiting:
                waiting.remove(parked)
                if not waiting:
                    del self._parked[key]

    def on_published(self, reading: str, payload: bytes | None, began: float) -> None:
        """Receive the answer to a reading of another process, or None if it has none."""
        if not reading.startswith(self._prefix):
            return
        response = None if payload is None else _unpacked(payload)
        heard = None if response is None else _Heard(response, began)
        waiting = [parked for parked in self._parked.pop(reading, []) if not parked.done()]
        for parked in waiting:
            parked.set_result(heard)
        if not waiting and response is not None and self._hear is not None:
            self._hear(reading.removeprefix(self._prefix), began, response)

    def on_nudge(self, id: str) -> None:
        """Poll a request now. What is left of another family's name is no id that any wait has."""
        if self._nudge is not None:
            self._nudge(id.removeprefix(self._prefix))

    def on_lost(self) -> None:
        """Send all reads that wait for another process: its answer may have been lost."""
        parked, self._parked = self._parked, {}
        for waiting in parked.values():
            for each in waiting:
                if not each.done():
                    each.set_result(None)


def _result(parked: asyncio.Future[_Heard | None]) -> _Heard | None:
    return parked.result() if parked.done() else None


def _packed(response: RawResponse) -> bytes:
    date = response.headers.get("Date", "")
    return b"\n".join([_VERSION, date.encode("latin-1", "replace"), response.body])


def _unpacked(payload: bytes) -> RawResponse | None:
    """Return the response in a payload, or None if another version of this package has packed it."""
    version, _, rest = payload.partition(b"\n")
    date, newline, body = rest.partition(b"\n")
    if version != _VERSION or not newline:
        return None
    headers = {"Date": date.decode("latin-1")} if date else {}
    return RawResponse(status=_OK, headers=headers, body=body, attempts=1)
