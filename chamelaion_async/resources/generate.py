"""The generate calls: JSON that holds URLs, or a form that holds files, submitted once."""

from __future__ import annotations

import json
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
from .baseline import ListedJobs
from .family import FamilyState

__all__ = ["GenerateCalls"]

J = TypeVar("J", bound=Job)


class GenerateCalls(Generic[J]):
    """The two generate calls of a family.

    Options are given under the names of the API, those at None are left out, and ``reference_id`` is one of them.
    """

    def __init__(self, transport: Transport, state: FamilyState[J]) -> None:
        self._transport = transport
        self._family = state.family
        self._upload_path = f"{state.family.path}/generate-with-media"
        self._state = state
        self._page_size: int | None = PAGE_SIZE

    async def submit_json(self, inputs: Mapping[str, str], options: Mapping[str, Any]) -> GenerateAccepted:
        """Submit a job whose media, URLs by type, the service fetches."""
        reference_id = _checked_reference(options)
        advice = "a file is uploaded with generate_with_media"
        media = [{"type": type, "url": public_url(type, url, advice)} for type, url in inputs.items()]
        call = Call(method="POST", path=f"{self._family.path}/generate", json={"inputs": media, **_given(options)})
        return await self._submit(call, reference_id)

    async def submit_form(
        self, media: Sequence[tuple[str, MediaSource]], options: Mapping[str, Any], on_progress: Progress | None
    ) -> GenerateAccepted:
        """Submit a job whose media are uploaded."""
        reference_id = _checked_reference(options)
        check_callback("on_progress", on_progress)
        opened = [await self._open(field, source) for field, source in media]
        texts = {
            name: value if isinstance(value, str) else json.dumps(value) for name, value in _given(options).items()
        }
        call = Call(method="POST", path=self._upload_path, form=partial(Form, texts, opened, on_progress))
        return await self._submit(call, reference_id)

    async def _open(self, field: str, source: MediaSource) -> Media:
        try:
            return await open_media(field, source, timeout=self._transport.timeout)
        except NoThreadError as error:
            raise APITimeoutError(
                f"{field} could not be examined: {error}. Nothing was submitted",
                sent="no",
                method="POST",
                path=self._upload_path,
            ) from error

    async def _submit(self, call: Call, reference_id: str | None) -> GenerateAccepted:
        self._transport.lifecycle.check()  # from here on, a client that is closed leaves open what was sent
        return await self._state.submissions.submit(
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

    async def _list_jobs(self, reference_id: str, *, once: bool) -> ListedJobs:
        fetch = partial(self._fetch_page, reference_id, ONCE if once else None)
        (page, response), self._page_size = await read_page(fetch, self._page_size)
        return ListedJobs(page.data, page.pagination.total, server_time(response.headers))

    async def _fetch_page(
        self, reference_id: str, retry: RetryPolicy | None, limit: int | None
    ) -> tuple[Page[J], RawResponse]:
        params = {"reference_id": reference_id, "limit": limit}
        call = Call(method="GET", path=self._family.requests_path, params=params)
        return await self._transport.fetch(call, self._family.page_model, retry=retry)


def _checked_reference(options: Mapping[str, Any]) -> str | None:
    """Return the ``reference_id``, which must be one that a request can be read by: part of a path."""
    reference_id: str | None = options["reference_id"]
    if reference_id is not None:
        id_segment(reference_id)
    return reference_id


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
