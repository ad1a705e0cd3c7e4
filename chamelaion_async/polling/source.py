"""Carries the loader's readings out over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import attrs

from .. import _wire
from .._transport import Call, Transport, structure_hook
from ..listing import PAGE_SIZE
from ..models import Job, Pagination, RawResponse
from .reading import Answer, Reading

__all__ = ["HttpSource"]

J = TypeVar("J", bound=Job)


@attrs.frozen(kw_only=True)
class HttpSource(Generic[J]):
    """Reads the requests of one family.

    Attributes:
        transport: Carries the calls.
        path: Where the requests lie.
        model: What one of them is.
    """

    transport: Transport
    path: str
    model: type[J]
    _turns: asyncio.Lock = attrs.field(init=False, factory=asyncio.Lock)

    async def read(self, choose: Callable[[], Awaitable[Reading[J] | None]]) -> Answer[J] | None:
        """Wait until the lane lets a call through, let ``choose`` decide which, and make one attempt."""
        reading: Reading[J] | None = None

        async def decide() -> tuple[Call, float] | None:
            nonlocal reading
            reading = await choose()
            return None if reading is None else (self._call(reading), reading.timeout)

        sent = await self.transport.send_in_turn(decide)
        if sent is None or reading is None:
            return None
        await self._turn()
        return self._request(*sent) if reading.view is None else self._page(*sent)

    async def _turn(self) -> None:
        """Let each of the answers that come in the same moment have a turn of the loop: a page is some work."""
        await self._turns.acquire()
        asyncio.get_running_loop().call_soon(self._turns.release)

    def _call(self, reading: Reading[J]) -> Call:
        if reading.view is None:
            (entry,) = reading.entries
            return Call(method="GET", path=f"{self.path}/{_wire.id_segment(entry.id)}")
        params: _wire.Query = {**reading.view.filters, "limit": PAGE_SIZE, "offset": reading.offset}
        return Call(method="GET", path=self.path, params=params)

    def _request(self, call: Call, response: RawResponse) -> Answer[J]:
        request = self.transport.structure(call, response, self.model)
        return Answer(
            records=[(request.id, request)],
            make=_as_it_is,
            pagination=None,
            is_newest_first=None,
            server_time=_wire.server_time(response.headers),
        )

    def _page(self, call: Call, response: RawResponse) -> Answer[J]:
        """Take a page apart, and leave its records undecoded: one bad record must not spoil the others."""
        page = self.transport.decode(call, response)
        try:
            records = [(_id_of(record), record) for record in page["data"]]
            pagination: Pagination = structure_hook(Pagination)(page["pagination"])
        except (KeyError, TypeError, ValueError) as error:
            raise self.transport.invalid(call, response, f"not a page of requests: {error!r}") from None
        make = structure_hook(self.model)
        return Answer(
            records=records,
            make=make,
            pagination=pagination,
            is_newest_first=_is_newest_first(records, make),
            server_time=_wire.server_time(response.headers),
        )


def _as_it_is(request: Any) -> Any:
    return request


def _id_of(record: Any) -> str:
    id = record.get("id") if isinstance(record, dict) else None
    return id if isinstance(id, str) else ""


def _is_newest_first(records: list[tuple[str, Any]], make: Callable[[Any], Job]) -> bool | None:
    """Tell the order of a page by its two ends."""
    if len(records) < 2:
        return None
    try:
        first, last = (make(records[end][1]).created_at for end in (0, -1))
    except ValueError:
        return None
    return None if first == last else first > last
