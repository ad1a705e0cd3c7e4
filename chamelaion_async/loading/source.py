"""Sends the loader's reads over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, Generic, TypeVar

import attrs

from .._http.addresses import Query, id_segment
from .._http.answers import server_time, structure_hook
from .._http.call import Call
from .._http.paging import PAGE_SIZE
from .._http.retry import is_foreign
from .._http.status_turn import StatusTurn
from .._http.transport import Transport
from ..errors import APIStatusError, ConfigurationError, InvalidResponseError, RateLimitError
from ..models import Job, Pagination, RawResponse
from .entries import Bucket, Read
from .reads import Answer, SendRead
from .registry import is_same_request
from .shared_reads import SharedReads

__all__ = ["HttpSource"]

J = TypeVar("J", bound=Job)

_GET: Final = "GET "  # before the id, in the name of a reading


@attrs.frozen(kw_only=True)
class HttpSource(Generic[J]):
    """Reads the requests of one family.

    Attributes:
        transport: Carries the calls.
        path: Path of the list; a request is below it.
        model: The class of a request.
        shared: Shares the reads with other processes on the account, if any.
    """

    transport: Transport
    path: str
    model: type[J]
    shared: SharedReads | None = None
    _decoding: asyncio.Lock = attrs.field(init=False, factory=asyncio.Lock)

    @property
    def most_at_once(self) -> int:
        """How many reads may be under way at once."""
        return self.transport.lanes["status"].max_concurrency

    @property
    def is_throttled(self) -> bool:
        """Whether 429s hold reads back at present."""
        return self.transport.lanes["status"].is_throttled

    @property
    def clients(self) -> int:
        """How many clients share the answers, this one included."""
        return 1 if self.shared is None else 1 + self.shared.peers

    def was_refused(self, read: Read[J], error: RateLimitError) -> None:
        """Slow all reads down after a 429 to a page that turned out to concern them all."""
        self.transport.refused(self.transport.lanes["status"], error, read.began)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[SendRead[J]]:
        """Wait until the lane admits a read."""
        async with StatusTurn(self.transport) as turn:
            yield partial(self._send, turn)

    async def _send(self, turn: StatusTurn, read: Read[J]) -> Answer[J]:
        call = self.call_of(read)
        send = partial(self._exchange, turn, call, read)
        decode = partial(self._decode, read, call)
        if self.shared is None:
            return await decode(await send())
        return await self.shared.fetch(read, self.reading_of(read), turn, send, decode)

    async def _exchange(self, turn: StatusTurn, call: Call, read: Read[J]) -> RawResponse:
        try:
            return await turn.send(call, read.timeout, is_page=read.is_page)
        except APIStatusError as error:
            if is_foreign(error):
                raise _not_the_api(error) from None
            raise

    async def _decode(self, read: Read[J], call: Call, response: RawResponse) -> Answer[J]:
        read.is_here = True
        await self._own_round()
        return self.page_of(call, response) if read.is_page else self.request_of(read, call, response)

    def reading_of(self, read: Read[J]) -> str:
        """Return what a read reads, in words that are the same in each process on the account."""
        if not read.is_page:
            return f"{_GET}{read.id}"
        if isinstance(read.group, Bucket):
            return f"page {read.group.number}"  # from the old end, since each new job moves the offsets
        return f"scan {read.begun_at}"

    def heard(self, reading: str, began: float, response: RawResponse) -> tuple[Read[J], Answer[J]]:
        """Return what another process has read, as a read of no request of this one.

        Raises:
            InvalidResponseError: It is not what the reading says.
        """
        id = reading.removeprefix(_GET) if reading.startswith(_GET) else ""
        read: Read[J] = Read(began=began, timeout=0.0, id=id, is_heard=True)
        if not id:
            return read, self.page_of(Call(method="GET", path=self.path), response)
        return read, self.request_of(read, Call(method="GET", path=self.path), response)

    def call_of(self, read: Read[J]) -> Call:
        """Return the call that makes a read."""
        if not read.is_page:
            return Call(method="GET", path=f"{self.path}/{id_segment(read.id)}")
        params: Query = {"limit": PAGE_SIZE, "offset": read.offset}
        return Call(method="GET", path=self.path, params=params)

    async def _own_round(self) -> None:
        """Wait for a round of the loop in which no other answer is decoded, since decoding a page takes time."""
        await self._decoding.acquire()
        asyncio.get_running_loop().call_soon(self._decoding.release)

    def request_of(self, read: Read[J], call: Call, response: RawResponse) -> Answer[J]:
        """Decode the answer of a GET.

        Raises:
            InvalidResponseError: It is not a request, or not the one that was asked for.
        """
        request = self.transport.structure(call, response, self.model)
        try:
            id_segment(request.id)
        except ConfigurationError as error:
            raise self.transport.invalid(call, response, f"a request whose id cannot be one: {error}") from None
        if not is_same_request(read.must_be or read.id, request):
            raise self.transport.invalid(call, response, f"another request, {request.id}")
        return Answer(
            records=[(request.id, request)],
            make=_as_it_is,
            pagination=None,
            is_newest_first=None,
            server_time=server_time(response.headers),
        )

    def page_of(self, call: Call, response: RawResponse) -> Answer[J]:
        """Split a page into records, and leave them undecoded: one bad record must not affect the others.

        Raises:
            InvalidResponseError: It is not a page.
        """
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
            server_time=server_time(response.headers),
        )


def _not_the_api(error: APIStatusError) -> InvalidResponseError:
    """Return the error for a refusal that is not the API's: an answer that does not show the request."""
    return InvalidResponseError(
        f"{error.method} {error.path} was answered {error.status}, but not by the API, which would say why in "
        f'{{"error": …}}: {error.message}. Check base_url and what stands between',
        method=error.method,
        path=error.path,
        status=error.status,
        attempts=error.attempts,
    )


def _as_it_is(request: Any) -> Any:
    return request


def _id_of(record: Any) -> str:
    id = record.get("id") if isinstance(record, dict) else None
    return id if isinstance(id, str) else ""


def _is_newest_first(records: list[tuple[str, Any]], make: Callable[[Any], Job]) -> bool | None:
    """Return the order of a page, by the times of its first and last record."""
    if len(records) < 2:
        return None
    try:
        first, last = (make(records[end][1]).created_at for end in (0, -1))
    except ValueError:
        return None
    # Jobs of the same time may come in any order.
    return None if first == last else first > last
