"""The state behind the endpoints: jobs, limits, keys, and the settings that shape them."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from attrs import define, field

from .answers import ApiError
from .clock import Clock
from .examples import lipsync_examples, translate_examples
from .jobs import Family, Job, Upload
from .lanes import Lanes
from .spool import Spool
from .store import JobStore
from .webhooks import Courier


def _stores() -> dict[Family, JobStore]:
    return {"lipsync": JobStore(lipsync_examples()), "video_translate": JobStore(translate_examples())}


@define(kw_only=True, eq=False)
class Service:
    """What the handlers work on.

    Args:
        clock: tells the time.
        lanes: the rate limits.
        courier: delivers webhooks.
        keys: display names by accepted key, None to accept any.
        job_seconds: from created to finished.
        queue_seconds: the part of it spent in queued.
        list_lag: seconds before a job shows up in lists.
        list_stale: seconds by which lists are behind in what they tell of a job.
        page_cap: largest page.
        token_limit: number of generation calls that the plan allows, None for no end.
        origin: scheme, host and port, known once the sandbox listens.
    """

    clock: Clock
    lanes: Lanes
    courier: Courier
    keys: Mapping[str, str] | None
    job_seconds: float
    queue_seconds: float
    list_lag: float
    list_stale: float
    page_cap: int
    token_limit: int | None
    origin: str = ""
    revoked: set[str] = field(init=False, factory=set)
    stores: dict[Family, JobStore] = field(init=False, factory=_stores)
    spool: Spool = field(init=False, factory=Spool)
    _accepted: int = field(init=False, default=0)

    def accept(
        self,
        family: Family,
        *,
        now: float,
        reference_id: str | None,
        error_message: str | None,
        payload: Mapping[str, Any],
        uploads: Mapping[str, Upload],
        webhook_url: str | None = None,
    ) -> Job:
        """Start a job for a generation call.

        Raises:
            ApiError: 412, if the plan's quota is used up.
        """
        if self.token_limit is not None and self._accepted >= self.token_limit:
            raise ApiError(412, "token limit reached")
        self._accepted += 1
        return self.add(
            family,
            now=now,
            created_at=now,
            reference_id=reference_id,
            error_message=error_message,
            payload=payload,
            uploads=uploads,
            webhook_url=webhook_url,
        )

    def add(
        self,
        family: Family,
        *,
        now: float,
        created_at: float,
        reference_id: str | None,
        error_message: str | None,
        payload: Mapping[str, Any],
        uploads: Mapping[str, Upload],
        webhook_url: str | None = None,
        id: str | None = None,
        job_seconds: float | None = None,
        queue_seconds: float | None = None,
        output: bytes | Path | None = None,
    ) -> Job:
        """Start a job, whatever the quota."""
        id = (id or str(uuid4())).lower()
        if queue_seconds is None:
            queue_seconds = self.queue_seconds if job_seconds is None else job_seconds * self._queue_share
        if job_seconds is None:
            job_seconds = self.job_seconds
        job = Job(
            id=id,
            family=family,
            created_at=created_at,
            queue_seconds=queue_seconds,
            job_seconds=job_seconds,
            reference_id=reference_id,
            error_message=error_message,
            listed_at=created_at + self.list_lag,
            payload=payload,
            uploads=uploads,
            output=output,
            output_name=f"{id}.mp4" if family == "lipsync" else id,
            webhook_url=webhook_url,
        )
        self.stores[family].add(job, now=now)
        self.courier.watch(job)
        return job

    @property
    def _queue_share(self) -> float:
        return self.queue_seconds / self.job_seconds if 0 < self.job_seconds < math.inf else 0.0

    def find(self, name: str) -> Job:
        """Return a job of either family by its UUID or reference_id.

        Raises:
            KeyError: if there is none, or only one of the documented examples, which never change.
        """
        for store in self.stores.values():
            job = store.find(name)
            if job is not None and not job.is_example:
                return job
        raise KeyError(name)
