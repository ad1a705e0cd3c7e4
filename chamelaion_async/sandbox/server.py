"""The sandbox itself: settings in, base URL out, and what tests do to it while it runs."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from attrs import define, field
from attrs.validators import ge, gt, instance_of, optional

from .clock import Clock, ManualClock, WallClock
from .edge import Edge
from .faults import Fault
from .injections import Faults, Injection
from .jobs import NOT_ACCESSIBLE, Family, Job
from .journal import Journal, Received
from .lanes import Lanes, window
from .listener import Listener
from .routes import ROUTES
from .routing import RouteTable
from .service import Service
from .views import translate_view
from .webhooks import Courier, Delivery


def _names(keys: Iterable[str] | Mapping[str, str] | None) -> dict[str, str] | None:
    if keys is None:
        return None
    if isinstance(keys, str):
        raise TypeError("keys must be a collection of keys, not one key")
    if isinstance(keys, Mapping):
        return dict(keys)
    return {key: f"key-{number}" for number, key in enumerate(keys, 1)}


@define(kw_only=True, eq=False)
class Sandbox:
    """The whole Chamelaion API, imitated on loopback.

    Use it as an async context manager, or call `start` and `stop`. After a stop it can be started again: it
    comes back on the same port with the jobs it had, as a service does after an outage, without the uploads.

    Args:
        job_seconds: from a job's creation to its end; infinity for jobs that only `finish` and `fail` end.
        queue_seconds: the part of it spent in queued; default a tenth.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        keys: accepted keys, or display names by key; None accepts any key that is not empty.
        rate_limit: status requests a second, None for no limit. Beyond it comes a 429.
        generate_limit: generation requests a minute, None for no limit; 60 is documented.
        retry_after: what the Retry-After of a 429 says: "auto" for the seconds to wait, None for no header,
            anything else as it is.
        page_cap: largest page; a larger limit is lowered to it.
        token_limit: number of generation calls after which "token limit reached" comes, None for no end.
        clock: anything with a time() in seconds since the epoch; default the wall clock.
        list_lag: seconds before a new job shows up in lists.
        list_stale: seconds by which lists are behind: they show each job as it was so long ago, and filter by that.
            A job that is younger is shown as it was when it was new, in queued; list_lag keeps it out altogether.
        seed: makes the chance of faults repeatable.
        remember: how many requests `received` holds.
    """

    job_seconds: float = field(default=2.0, validator=ge(0))
    queue_seconds: float | None = field(default=None, validator=optional(ge(0)))
    host: str = field(default="127.0.0.1", validator=instance_of(str))
    port: int = field(default=0, validator=[instance_of(int), ge(0)])
    keys: Iterable[str] | Mapping[str, str] | None = field(default=None, repr=False)
    rate_limit: float | None = field(default=None, validator=optional(gt(0)))
    generate_limit: float | None = field(default=None, validator=optional(gt(0)))
    retry_after: float | str | None = "auto"
    page_cap: int = field(default=100, validator=[instance_of(int), gt(0)])
    token_limit: int | None = field(default=None, validator=optional(ge(0)))
    clock: Clock = field(factory=WallClock)
    list_lag: float = field(default=0.0, validator=ge(0))
    list_stale: float = field(default=0.0, validator=ge(0))
    seed: int = 0
    remember: int = field(default=10_000, validator=ge(0))
    _service: Service = field(init=False, repr=False)
    _journal: Journal = field(init=False, repr=False)
    _faults: Faults = field(init=False, repr=False)
    _table: RouteTable = field(init=False, repr=False)
    _courier: Courier = field(init=False, repr=False)
    _listener: Listener = field(init=False, repr=False)

    @queue_seconds.validator
    def _within_job(self, _attribute: object, value: float | None) -> None:
        if value is not None and value > self.job_seconds:
            raise ValueError("'queue_seconds' must not exceed 'job_seconds'")

    def __attrs_post_init__(self) -> None:
        self._courier = Courier(clock=self.clock, view=self._view)
        if isinstance(self.clock, ManualClock):
            self.clock.subscribe(self._courier.look)
        self._service = Service(
            clock=self.clock,
            lanes=Lanes(
                status=None if self.rate_limit is None else window(self.rate_limit, seconds=1.0),
                generate=None if self.generate_limit is None else window(self.generate_limit, seconds=60.0),
                retry_after=self.retry_after,
            ),
            courier=self._courier,
            keys=_names(self.keys),
            job_seconds=self.job_seconds,
            queue_seconds=self.job_seconds / 10 if self.queue_seconds is None else self.queue_seconds,
            list_lag=self.list_lag,
            list_stale=self.list_stale,
            page_cap=self.page_cap,
            token_limit=self.token_limit,
        )
        self._journal = Journal(size=self.remember)
        self._faults = Faults(random=Random(self.seed))  # noqa: S311 - chance of faults, not a secret
        self._table = RouteTable(ROUTES)
        edge = Edge(service=self._service, table=self._table, faults=self._faults, journal=self._journal)
        self._listener = Listener(edge=edge, host=self.host, port=self.port)

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
        self._service.origin = f"http://{host}:{self._listener.port}"
        self._courier.start()

    async def stop(self) -> None:
        """Drop every connection, cancel what is under way, remove uploads. May be called more than once.

        A cancellation does not keep any of it from being done.
        """
        try:
            await self._listener.close()
        finally:
            try:
                await self._courier.stop()
            finally:
                await self._service.spool.close()

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL, such as http://127.0.0.1:40123/api.

        Raises:
            RuntimeError: if the sandbox has never been started, since the port is not known until then.
        """
        if not self._service.origin:
            raise RuntimeError("the sandbox has no base URL before it is started")
        return f"{self._service.origin}/api"

    @property
    def received(self) -> Sequence[Received]:
        """The latest requests, oldest first, as many as `remember` says."""
        return tuple(self._journal.received)

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """The webhooks that were delivered, failed or skipped, oldest first."""
        return tuple(self._courier.deliveries)

    @property
    def jobs(self) -> Mapping[str, Job]:
        """All jobs by id, without the documented examples: lip sync first, then translations."""
        stores = self._service.stores
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
            message = f"there is no route {route!r}"
            raise ValueError(message)
        return self._journal.count(route=route, method=method, lane=lane, status=status)

    def forget(self) -> None:
        """Empty `received` and set every count to zero."""
        self._journal.clear()

    def inject(
        self,
        fault: Fault,
        *,
        route: str = "*",
        times: int | None = None,
        after: int = 0,
        probability: float = 1.0,
    ) -> Injection:
        """Put a fault to work.

        Several may be: latencies add up, and of the others the one injected first strikes.

        Args:
            fault: what is to happen.
            route: "*" for all, "GET *" for a method, "GET /v1/lipsync/requests/{id}" for an endpoint, or
                a path such as "/v1/lipsync/requests/dub-42" for one resource; the method may be left out.
            times: how often it strikes; None for ever.
            after: how many matching requests pass unharmed first.
            probability: of striking, for each matching request.

        Returns:
            A handle with the number of `hits` so far and `remove()`.

        Raises:
            ValueError: if nothing is served under the route, or a number is out of range.
        """
        if not self._table.covers(route):
            message = f"nothing is served under {route!r}"
            raise ValueError(message)
        injection = Injection(fault=fault, route=route, times=times, after=after, probability=probability)
        self._faults.add(injection)
        return injection

    def clear_faults(self) -> None:
        """Remove every fault."""
        self._faults.clear()

    def revoke(self, key: str) -> None:
        """Answer this key with 401 "unauthorized" from now on."""
        self._service.revoked.add(key)

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
        if family not in {"lipsync", "video_translate"}:
            message = f"there is no family {family!r}"
            raise ValueError(message)
        now = self.clock.time()
        if isinstance(created_at, datetime):
            if created_at.tzinfo is None:
                raise ValueError("created_at must be aware of its time zone")
            created_at = created_at.timestamp()
        if created_at is not None and created_at > now:
            raise ValueError("created_at must not be in the future")
        whole = self.job_seconds if job_seconds is None else job_seconds
        if whole < 0 or not 0 <= (queue_seconds or 0) <= whole:
            raise ValueError("queue_seconds must lie between zero and job_seconds")
        if family == "video_translate":
            payload.setdefault("target_languages", ["de"])
        return self._service.add(
            family,
            now=now,
            created_at=now if created_at is None else created_at,
            reference_id=reference_id,
            error_message=(NOT_ACCESSIBLE if fails is True else fails) or None,
            payload=payload,
            uploads={},
            webhook_url=webhook_url,
            id=id,
            job_seconds=job_seconds,
            queue_seconds=queue_seconds,
            output=output,
        )

    def finish(self, id: str) -> Job:
        """Complete a job now.

        Args:
            id: UUID or reference_id.

        Raises:
            KeyError: if there is no such job.
            ValueError: if it has ended before.
        """
        return self._end(id, None)

    def fail(self, id: str, error_message: str = NOT_ACCESSIBLE) -> Job:
        """Let a job fail now.

        Args:
            id: UUID or reference_id.
            error_message: what it fails with.

        Raises:
            KeyError: if there is no such job.
            ValueError: if it has ended before.
        """
        return self._end(id, error_message)

    def status(self, id: str) -> str:
        """Return where a job stands now.

        Args:
            id: UUID or reference_id.

        Raises:
            KeyError: if there is no such job.
        """
        return self._service.find(id).status(self.clock.time())

    def _end(self, id: str, error_message: str | None) -> Job:
        job = self._service.find(id)
        job.end(self.clock.time(), error_message=error_message)
        self._courier.hurry(job)
        return job

    def _view(self, job: Job, now: float) -> dict[str, Any]:
        return translate_view(job, now=now, origin=self._service.origin)

    async def settle(self) -> None:
        """Wait until every webhook that is due has been delivered, skipped or given up."""
        await self._courier.settle()

    def expire_output(self, id: str) -> None:
        """Answer the output URLs of a job with 403 from now on.

        Args:
            id: UUID or reference_id.

        Raises:
            KeyError: if there is no such job.
        """
        self._service.find(id).output_expired = True

    def change_output(self, id: str, output: bytes | Path | None = None) -> None:
        """Give the output of a job a new ETag and Last-Modified.

        Args:
            id: UUID or reference_id.
            output: its new content; None leaves the content as it is.

        Raises:
            KeyError: if there is no such job.
        """
        job = self._service.find(id)
        job.output_version += 1
        job.output_changed_at = self.clock.time()
        if output is not None:
            job.output = output
