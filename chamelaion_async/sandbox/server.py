"""The sandbox: its settings, its start and stop, and the faults that tests inject while it runs."""

from collections.abc import Coroutine
from random import Random
from types import TracebackType
from typing import Any, Self, overload

from attrs import define, field

from .checks import Checks
from .endpoints.routes import ROUTES
from .endpoints.views import translate_view
from .front.auth import Keys
from .front.faults import Fault
from .front.injections import Injection, Injections
from .front.lanes import Lanes, window
from .front.listener import Listener
from .front.pipeline import Pipeline
from .front.routing import RouteTable
from .world.jobs import Job
from .world.journal import Journal
from .world.webhooks import WebhookSender
from .world.world import World


@define(kw_only=True, eq=False)
class Sandbox(Checks):
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

    _pipeline: Pipeline = field(init=False, repr=False)
    _listener: Listener = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        webhooks = WebhookSender(
            clock=self.clock, view=lambda job, now: translate_view(job, now=now, origin=self._world.origin)
        )
        self._world = World(settings=self, webhooks=webhooks)
        self._journal = Journal(size=self.remember)
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
            journal=self._journal,
        )
        self._listener = Listener(pipeline=self._pipeline, host=self.host, port=self.port)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @overload
    def start(self) -> Coroutine[Any, Any, None]: ...

    @overload
    def start(self, id: str) -> Job: ...

    def start(self, id: str | None = None) -> Coroutine[Any, Any, None] | Job:
        """Listen: `await sandbox.start()`. With an id, let that job leave the queue now: `sandbox.start(id)`.

        A job that was started lasts as long from then on as was planned.

        Args:
            id: UUID or reference_id of a queued job.

        Raises:
            OSError: if the address is taken or not this machine's.
            RuntimeError: if it listens already.
            KeyError: if there is no such job.
            ValueError: if the job has left the queue already.
        """
        return self._listen() if id is None else self._world.start_job(id)

    async def _listen(self) -> None:
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

    async def settle(self) -> None:
        """Wait until every webhook that is due has been delivered, has failed, or was skipped."""
        await self._world.webhooks.settle()
