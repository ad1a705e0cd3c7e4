"""An endpoint, and the call that it is given."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from attrs import field, frozen

from ..world.jobs import Family, Job, Upload
from ..world.journal import Lane, Received
from ..world.world import World
from .answers import Answer, ApiError, json_answer
from .validation import failure_of


@frozen(kw_only=True)
class Call:
    """One request on its way to its endpoint.

    Args:
        world: the state of the sandbox.
        request: headers and body.
        received: its entry in the journal.
        tail: the decoded last segment of a path with a parameter, else empty.
        now: seconds since the epoch, when the request arrived.
        caller: display name of the key, empty if the endpoint needs none.
    """

    world: World
    request: web.BaseRequest
    received: Received
    tail: str
    now: float
    caller: str

    def job(self, family: Family) -> Job:
        """Return the job that the path names by its id or reference_id.

        That the reference_id of a translation is accepted, too, is assumed.

        Raises:
            ApiError: 404, if there is none.
        """
        job = self.world.stores[family].find(self.tail)
        if job is None:
            raise ApiError(404, f"{family.replace('_', ' ')} request not found")
        return job

    def start_job(
        self,
        family: Family,
        *,
        video: str,
        payload: Mapping[str, Any],
        uploads: Mapping[str, Upload] | None = None,
        webhook_url: str | None = None,
    ) -> Answer:
        """Start the job that the call asks for, and accept the call.

        Args:
            family: which API it belongs to.
            video: URL or filename of the video, which decides whether the job fails.
            payload: the fields of the call, with its reference_id.
            uploads: files that came with it, by form field.
            webhook_url: where to report the end.

        Raises:
            ApiError: 412, if the plan's quota is used up.
        """
        world = self.world
        if world.settings.token_limit is not None and world.generation_calls >= world.settings.token_limit:
            raise ApiError(412, "token limit reached")
        world.generation_calls += 1
        job = world.add_job(
            family,
            reference_id=payload.get("reference_id") or None,
            error_message=failure_of(video),
            payload=payload,
            uploads=uploads,
            webhook_url=webhook_url,
        )
        self.received.job_id = job.id
        return json_answer({"status": "success", "request_id": job.id})


Endpoint = Callable[[Call], Awaitable[Answer]]


@frozen(kw_only=True)
class Route:
    """Where an endpoint is served.

    Args:
        method: HTTP method.
        template: path below the base URL, such as /v1/lipsync/requests/{id}.
        endpoint: answers it.
        lane: which rate limit counts it.
        needs_key: whether it answers 401 without a key.
        name: method and template.
    """

    method: str
    template: str
    endpoint: Endpoint
    lane: Lane | None = None
    needs_key: bool = True
    name: str = field(init=False)

    @name.default
    def _full(self) -> str:
        return f"{self.method} {self.template}"
