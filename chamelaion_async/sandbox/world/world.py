"""The state behind the endpoints: the settings, the jobs and the uploads."""

import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from attrs import define, field

from .examples import example_jobs
from .jobs import Family, Job, Upload
from .settings import Settings
from .spool import Spool
from .store import JobStore
from .timestamps import seconds_of
from .webhooks import WebhookSender


def _stores() -> dict[Family, JobStore]:
    return {family: JobStore(examples) for family, examples in example_jobs().items()}


@define(kw_only=True, eq=False)
class World:
    """What the endpoints work on.

    Args:
        settings: of the sandbox.
        webhooks: posts the ends of translations.
        origin: scheme, host and port, empty until the sandbox listens.
        generation_calls: how many were accepted.
    """

    settings: Settings
    webhooks: WebhookSender
    origin: str = ""
    generation_calls: int = 0
    stores: Mapping[Family, JobStore] = field(init=False, factory=_stores)
    spool: Spool = field(init=False, factory=Spool)

    def now(self) -> float:
        """Return the time of the service in seconds since the epoch."""
        return self.settings.clock.time()

    def add_job(
        self,
        family: Family,
        *,
        id: str | None = None,
        job_seconds: float | None = None,
        queue_seconds: float | None = None,
        error_message: str | None = None,
        reference_id: str | None = None,
        created_at: datetime | float | None = None,
        payload: Mapping[str, Any],
        uploads: Mapping[str, Upload] | None = None,
        output: bytes | Path | None = None,
        webhook_url: str | None = None,
    ) -> Job:
        """Start a job; the quota is not checked.

        Raises:
            ValueError: if the id is taken, the family unknown or a time naive, out of range or in the future.
        """
        if family not in self.stores:
            raise ValueError(f"there is no family {family!r}")
        now = self.now()
        created = now if created_at is None else seconds_of(created_at, "created_at")
        if created > now:
            raise ValueError("created_at must not be in the future")
        whole, queued = self.settings.job_seconds, self.settings.queue_seconds
        default = whole / 10 if queued is None else queued
        if job_seconds is None:
            job_seconds = whole
        else:  # the same share of it
            default = job_seconds * (default / whole if 0 < whole < math.inf else 0.0)
        if job_seconds < 0 or not 0 <= (queue_seconds or 0) <= job_seconds:
            raise ValueError("queue_seconds must lie between zero and job_seconds")
        id = (id or str(uuid4())).lower()
        job = Job(
            id=id,
            family=family,
            created_at=created,
            queue_seconds=default if queue_seconds is None else queue_seconds,
            job_seconds=job_seconds,
            reference_id=reference_id,
            error_message=error_message,
            listed_at=created + self.settings.list_lag,
            payload={"target_languages": ["de"], **payload} if family == "video_translate" else payload,
            uploads=uploads or {},
            output=output,
            output_name=f"{id}.mp4" if family == "lipsync" else id,
            webhook_url=webhook_url,
        )
        self.stores[family].add(job, now=now)
        self.webhooks.schedule(job)
        return job

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

    def known(self, name: str) -> Job | None:
        """Return a job of either family by its UUID or reference_id, a documented example too, or None."""
        return next((job for store in self.stores.values() if (job := store.find(name)) is not None), None)

    def start_job(self, name: str) -> Job:
        """Let a job leave the queue now.

        Raises:
            KeyError: if there is no such job.
            ValueError: if it has left the queue already.
        """
        job = self.find(name)
        job.start(self.now())
        self.webhooks.reschedule(job)
        return job

    def end_job(self, name: str, error_message: str | None) -> Job:
        """End a job now; None completes it.

        Raises:
            KeyError: if there is no such job.
            ValueError: if it has ended already.
        """
        job = self.find(name)
        job.end(self.now(), error_message=error_message)
        self.webhooks.reschedule(job)
        return job
