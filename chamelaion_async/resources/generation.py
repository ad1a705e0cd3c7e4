"""Submitting jobs: what lip sync and video translation have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from .._http.addresses import id_segment, public_url
from .._http.answers import server_time
from .._http.call import Call
from .._http.paging import PAGE_SIZE, read_page
from .._http.transport import ONCE, Transport
from .._media.form import Form
from .._media.threads import NoThreadError
from .._media.uploads import Media, MediaSource, Progress, open_media
from ..config import RetryPolicy, check_callback
from ..errors import APITimeoutError, InvalidResponseError
from ..models import GenerateAccepted, Job, Page, RawResponse
from .submission import Listing, Submissions

__all__ = ["Generation", "media_url"]

J = TypeVar("J", bound=Job)


class Generation(Generic[J]):
    """Submits the jobs of one family, each of them once."""

    def __init__(
        self, transport: Transport, submissions: Submissions, *, path: str, page_model: type[Page[J]]
    ) -> None:
        self._transport = transport
        self._submissions = submissions
        self._path = path
        self._page_model = page_model
        self._page_size: int | None = PAGE_SIZE

    async def submit_json(self, body: Mapping[str, Any], reference_id: str | None) -> GenerateAccepted:
        """Submit a job whose media the service fetches itself."""
        call = Call(method="POST", path=f"{self._path}/generate", json=_without_none(body))
        return await self._submit(call, reference_id)

    async def submit_form(
        self,
        fields: Mapping[str, str | bool | None],
        media: Sequence[tuple[str, MediaSource]],
        reference_id: str | None,
        on_progress: Progress | None,
    ) -> GenerateAccepted:
        """Submit a job whose media are uploaded."""
        check_callback("on_progress", on_progress)
        opened = [await self._opened(field, source) for field, source in media]
        texts = {name: _text(value) for name, value in _without_none(fields).items()}
        call = Call(
            method="POST",
            path=f"{self._path}/generate-with-media",
            form=partial(Form, texts, opened, on_progress),
        )
        return await self._submit(call, reference_id)

    async def _opened(self, field: str, source: MediaSource) -> Media:
        try:
            return await open_media(field, source, timeout=self._transport.timeout)
        except NoThreadError as error:
            raise APITimeoutError(
                f"{field} could not be examined: {error}. Nothing was submitted",
                sent="no",
                method="POST",
                path=f"{self._path}/generate-with-media",
            ) from error

    async def _submit(self, call: Call, reference_id: str | None) -> GenerateAccepted:
        if reference_id is not None:
            id_segment(reference_id)
        self._transport.lifecycle.check()  # from here on, a client that is closed leaves open what was sent
        return await self._submissions.submit(
            partial(self._post, call),
            reference_id=reference_id,
            list_jobs=self._list_jobs,
            sleep=self._transport.lifecycle.sleep,
        )

    async def _post(self, call: Call) -> GenerateAccepted:
        # The raw answer gets no name here: the error below would hold it.
        accepted = (await self._transport.fetch(call, GenerateAccepted))[0]
        if not accepted.request_id:
            raise InvalidResponseError(
                f"{call.method} {call.path} was answered with success, but the request_id is empty",
                method=call.method,
                path=call.path,
            )
        return accepted

    async def _list_jobs(self, reference_id: str, *, once: bool) -> Listing:
        fetch = partial(self._fetch_page, reference_id, ONCE if once else None)
        (page, response), self._page_size = await read_page(fetch, self._page_size)
        return Listing(
            jobs=list[Job](page.data),
            total=page.pagination.total,
            server_time=server_time(response.headers),
        )

    async def _fetch_page(
        self, reference_id: str, retry: RetryPolicy | None, limit: int | None
    ) -> tuple[Page[J], RawResponse]:
        call = Call(
            method="GET", path=f"{self._path}/requests", params={"reference_id": reference_id, "limit": limit}
        )
        return await self._transport.fetch(call, self._page_model, retry=retry)


def media_url(name: str, url: str) -> str:
    """Return the URL of a medium that the service is to fetch."""
    return public_url(name, url, "a file is uploaded with generate_with_media")


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _text(value: str | bool) -> str:
    return value if isinstance(value, str) else str(value).lower()
