"""The sandbox: its settings, its start and stop, and what tests change while it runs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from attrs import define, field

from .endpoints.routes import ROUTES
from .endpoints.views import translate_view
from .front.auth import Keys
from .front.faults import Fault
from .front.injections import Injection, Injections
from .front.lanes import Lanes, window
from .front.listener import Listener
from .front.pipeline import Pipeline
from .front.routing import RouteTable
from .world.jobs import NOT_ACCESSIBLE, Family, Job
from .world.journal import Journal, Received
from .world.settings import Settings
from .world.webhooks import Delivery, WebhookSender
from .world.world import World


@define(kw_only=True, eq=False)
class Sandbox(Settings):
    """The whole Chamelaion API, imitated on loopback.

    Use it as an async context manager, or call `start` and `stop`. After a stop it can be started again: it
    comes back on the same port with the jobs it had, as a service does after an outage, without the uploads.

    Args:
        job_seconds: from a job's creation to its end; infinity for jobs that only `finish` and `fail` end.
        queue_seconds: the part of it spent in queued; default a tenth.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        keys: accepted keys, or display names by key; None accepts any key that is not empty.
        rate_limit: status requests a second, None for no limit. A request beyond it is answered 429.
        generate_limit: generation requests a minute, None for no limit; 60 is documented.
        retry_after: the Retry-After of a 429: "auto" for the seconds to wait, None for no header, anything else
            as it is.
        page_cap: largest page; a larger limit is lowered to it.
        token_limit: number of generation calls before "token limit reached", None for no limit.
        clock: anything with a time() in seconds since the epoch; default the wall clock.
        list_lag: seconds before lists begin to show a new job.
        list_stale: lists show each job as it was so many seconds ago, and filter by that. A job that is younger is
            shown in queued; only list_lag keeps it out of a list.
        seed: of the probability of faults, so that a test can be repeated.
        remember: how many requests `received` holds.
    """

    _world: World = field(init=False, repr=False)
    _pipeline: Pipeline = field(init=False, repr=False)
    _listener: Listener = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        webhooks = WebhookSender(
            clock=self.clock, view=lambda job, now: translate_view(job, now=now, origin=self._world.origin)
        )
        self._world = World(settings=self, webhooks=webhooks)
        self._pipeline = Pipeline(
            world=self._world,
            table=RouteTable(ROUTES),
            keys=Keys(self.keys),
            lanes=Lanes(
                status=window(self.rate_limit, seconds=1.0),
                generate=window(self.generate_limit, seconds=60.0),
                retry_after=self.retry_after,
            ),
            injections=Injections(random=Random(self.seed)),  # noqa: S311 - no secret depends on it
            journal=Journal(size=self.remember),
        )
        self._listener = Listener(pipeline=self._pipeline, host=self.host, port=self.port)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: if the address is taken or not this machine's.
            RuntimeError: if it listens already.
        """
        if self._listener.is_open:
            raise RuntimeError("the sandbox has been started already")
        await self._listener.open()
        host = f"[{self.host}]" if ":" in self.host else self.host
        self._world.origin = f"http://{host}:{self._listener.port}"
        self._world.webhooks.start()

    async def stop(self) -> None:
        """Close every connection, cancel what is under way, remove uploads. May be called more than once.

        A cancellation of this call leaves none of it out.
        """
        try:
            await self._listener.close()
        finally:
            try:
                await self._world.webhooks.stop()
            finally:
                await self._world.spool.close()

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL, such as http://127.0.0.1:40123/api.

        Raises:
            RuntimeError: if the sandbox has never been started, since the port is not known until then.
        """
        if not self._world.origin:
            raise RuntimeError("the sandbox has no base URL before it is started")
        return f"{self._world.origin}/api"

    @property
    def received(self) -> Sequence[Received]:
        """The latest requests, oldest first, as many as `remember` says."""
        return tuple(self._pipeline.journal.received)

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """The webhooks that were delivered, failed or skipped, oldest first."""
        return tuple(self._world.webhooks.deliveries)

    @property
    def jobs(self) -> Mapping[str, Job]:
        """All jobs by id, without the documented examples: lip sync first, then translations."""
        stores = self._world.stores
        return {**stores["lipsync"].by_id, **stores["video_translate"].by_id}

    def count(
        self,
        route: str | None = None,
        *,
        method: str | None = None,
        lane: str | None = None,
        status: int | None = None,
    ) -> int:
        """Return how many requests there were since the beginning, also those no longer in `received`.

        Args:
            route: such as "GET /v1/lipsync/requests/{id}"; None for any, unknown paths included.
            method: HTTP method, None for any.
            lane: "status" or "generate", None for any.
            status: of the answer, None for any and for requests without one.

        Raises:
            ValueError: if there is no such route.
        """
        if route is not None and all(each.name != route for each in ROUTES):
            raise ValueError(f"there is no route {route!r}")
        return self._pipeline.journal.count(route=route, method=method, lane=lane, status=status)

    def forget(self) -> None:
        """Empty `received` and set every count to zero."""
        self._pipeline.journal.clear()

    def inject(
        self,
        fault: Fault,
        *,
        route: str = "*",
        times: int | None = None,
        after: int = 0,
        probability: float = 1.0,
    ) -> Injection:
        """Let requests meet a fault.

        Several faults may be injected: latencies add up, and of the others the one injected first is applied.

        Args:
            fault: what goes wrong.
            route: "*" for all, "GET *" for a method, "GET /v1/lipsync/requests/{id}" for an endpoint, or
                a path such as "/v1/lipsync/requests/dub-42" for one resource; the method may be left out.
            times: how many requests it is applied to; None for all.
            after: how many matching requests pass before the first.
            probability: of being applied to a matching request.

        Returns:
            A handle with the number of `hits` so far and `remove()`.

        Raises:
            ValueError: if nothing is served under the route, or a number is out of range.
        """
        if not self._pipeline.table.covers(route):
            raise ValueError(f"nothing is served under {route!r}")
        injection = Injection(fault=fault, route=route, times=times, after=after, probability=probability)
        self._pipeline.injections.add(injection)
        return injection

    def clear_faults(self) -> None:
        """Remove every fault."""
        self._pipeline.injections.clear()

    def revoke(self, key: str) -> None:
        """Answer this key with 401 "unauthorized" from now on."""
        self._pipeline.keys.revoked.add(key)

    def add_job(
        self,
        *,
        family: Family = "lipsync",
        id: str | None = None,
        job_seconds: float | None = None,
        queue_seconds: float | None = None,
        fails: bool | str = False,
        reference_id: str | None = None,
        created_at: datetime | float | None = None,
        output: bytes | Path | None = None,
        webhook_url: str | None = None,
        **payload: Any,
    ) -> Job:
        """Create a job without HTTP; no limit or quota applies.

        Args:
            family: "lipsync" or "video_translate".
            id: UUID; default a random one.
            job_seconds: from creation to end; default the sandbox's.
            queue_seconds: the part spent in queued; default the same share as the sandbox's.
            fails: True or an error_message for a job that fails.
            reference_id: the caller's own id.
            created_at: aware datetime or seconds since the epoch, not in the future; default now.
            output: what is served as its output video; default a clip that says that nothing was done.
            webhook_url: where to report the end of a translation.
            payload: further fields of a generation body, such as target_languages.

        Raises:
            ValueError: if the id is taken, the family unknown or a time naive, out of range or in the future.
        """
        return self._world.add_job(
            family,
            id=id,
            job_seconds=job_seconds,
            queue_seconds=queue_seconds,
            error_message=(NOT_ACCESSIBLE if fails is True else fails) or None,
            reference_id=reference_id,
            created_at=created_at,
            payload=payload,
            output=output,
            webhook_url=webhook_url,
        )

    def finish(self, id: str) -> Job:
        """Complete a job now.

        Args:
            id: UUID or reference_id.

        Raises:
            KeyError: if there is no such job.
            ValueError: if it has ended already.
        """
        return self._world.end_job(id, None)

    def fail(self, id: str, error_message: str = NOT_ACCESSIBLE) -> Job:
        """Fail a job now.

        Args:
            id: UUID or reference_id.
            error_message: what it fails with.

        Raises:
            KeyError: if there is no such job.
            ValueError: if it has ended already.
        """
        return self._world.end_job(id, error_message)

    def status(self, id: str) -> str:
        """Return the status of a job now.

        Args:
            id: UUID or reference_id.

        Raises:
            KeyError: if there is no such job.
        """
        return self._world.find(id).status(self.clock.time())

    async def settle(self) -> None:
        """Wait until every webhook that is due has been delivered, has failed, or was skipped."""
        await self._world.webhooks.settle()

    def expire_output(self, id: str) -> None:
        """Answer the output URLs of a job with 403 from now on.

        Args:
            id: UUID or reference_id.

        Raises:
            KeyError: if there is no such job.
        """
        self._world.find(id).output_expired = True

    def change_output(self, id: str, output: bytes | Path | None = None) -> None:
        """Give the output of a job a new ETag and Last-Modified.

        Args:
            id: UUID or reference_id.
            output: its new content; None leaves the content as it is.

        Raises:
            KeyError: if there is no such job.
        """
        job = self._world.find(id)
        job.output_version += 1
        job.output_changed_at = self.clock.time()
        if output is not None:
            job.output = output
