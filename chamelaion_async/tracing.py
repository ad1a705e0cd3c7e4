"""OpenTelemetry: a span for each wait and each submission, and metrics of what waiting costs.

Needs the extra ``otel``, which is ``opentelemetry-api`` alone. A client that is not passed to ``instrument`` pays
nothing, and nothing of this is imported. Calls get no spans here: those are the task of the instrumentation of
aiohttp, whose spans become children of ours where a wait or a submission causes the call.
"""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeVar

import attrs
from opentelemetry import metrics, trace

from ._http.status_turn import StatusTurn
from ._version import __version__
from .client import AsyncClient
from .errors import ChamelaionError, ConfigurationError, RateLimitError
from .loading.entries import Read
from .loading.reads import Answer
from .loading.snapshot import Snapshot
from .loading.source import HttpSource
from .models import GenerateAccepted, Job, Outcome
from .polling.batch import Batch
from .polling.iteration import BatchIterator
from .polling.member import Member
from .polling.plan import WaitPlan
from .polling.polls import Polls
from .polling.state import PollState
from .resources.baseline import ListedJobs
from .resources.family import FamilyState
from .resources.submission import ListJobs, Submissions

__all__ = ["instrument"]

J = TypeVar("J", bound=Job)
T = TypeVar("T")

_NAME: Final = "chamelaion_async"


def instrument(
    client: AsyncClient,
    *,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
) -> None:
    """Trace the waits and submissions of a client and of all its views.

    Spans: ``chamelaion wait`` (events ``poll``, ``change``, ``rate_limited`` and ``poll_failed``), ``chamelaion wait
    for many``, and ``chamelaion submit`` (events ``attempt``, ``look_up`` and ``rate_limited``). Metrics:
    ``chamelaion.reads`` by ``chamelaion.read`` (``get`` or ``page``), ``chamelaion.rate_limited``, and
    ``chamelaion.wait.delay``, seconds from the end of a job to the answer that showed it, by the service's clock. A
    wait that had read the job before, alone or among many, adds to it once. No attribute holds a credential, a URL or
    a query.

    Args:
        client: Before its first wait.
        tracer_provider: Default the global one.
        meter_provider: Default the global one.

    Raises:
        ConfigurationError: The client has waited already, or is instrumented already.
    """
    families = client._common.families  # noqa: SLF001 - not for users
    if any(family.has_polls for family in families):
        raise ConfigurationError(
            "the client has waited or is instrumented already; instrument it once, when it is made"
        )
    meter = metrics.get_meter(_NAME, __version__, meter_provider)
    for family in families:
        telemetry = _Telemetry(
            tracer=trace.get_tracer(_NAME, __version__, tracer_provider),
            attributes={"chamelaion.family": family.name},
            reads=meter.create_counter("chamelaion.reads", unit="{read}", description="Status reads of waits"),
            refusals=meter.create_counter("chamelaion.rate_limited", unit="{answer}", description="Answers of 429"),
            delay=meter.create_histogram(
                "chamelaion.wait.delay", unit="s", description="From the end of a job to the answer that showed it"
            ),
        )
        _observe(family, telemetry)


def _observe(family: FamilyState[J], telemetry: _Telemetry) -> None:
    family.polls = family.make_polls(partial(_TracedPolls, telemetry))
    family.submissions = _TracedSubmissions(telemetry)


@attrs.frozen(kw_only=True)
class _Telemetry:
    """Where the spans and metrics of one family go."""

    tracer: trace.Tracer
    attributes: dict[str, str]
    reads: metrics.Counter
    refusals: metrics.Counter
    delay: metrics.Histogram

    def start(self, name: str, **attributes: Any) -> trace.Span:
        given = {f"chamelaion.{key}": value for key, value in attributes.items() if value is not None}
        return self.tracer.start_span(name, kind=trace.SpanKind.CLIENT, attributes={**self.attributes, **given})

    @contextmanager
    def span(self, name: str, **attributes: Any) -> Iterator[trace.Span]:
        """Make a span the current one, and end it. An error is recorded with its text, which masks secrets."""
        with trace.use_span(self.start(name, **attributes), end_on_exit=True) as span:
            yield span

    def failed(self, span: trace.Span, error: BaseException, event: str) -> None:
        """Add the event of a failure to a span, and count a 429."""
        if isinstance(error, RateLimitError):
            asked = {} if error.retry_after is None else {"chamelaion.retry_after": error.retry_after}
            span.add_event("rate_limited", asked)
        else:
            span.add_event(event, {"error.type": type(error).__qualname__})

    def count_read(self, kind: str) -> None:
        self.reads.add(1, {**self.attributes, "chamelaion.read": kind})

    def count_refusal(self) -> None:
        self.refusals.add(1, self.attributes)

    def became_known(self, snapshot: Snapshot[Any]) -> None:
        """Record how long the end of a job was unknown, to a wait that had seen the job before it ended.

        The end of a job that had ended by the first read says nothing: the wait may have begun long after it.
        """
        finished_at, seen_at = snapshot.request.finished_at, snapshot.stamp.server_time
        if snapshot.request.is_finished and finished_at is not None and seen_at is not None:
            self.delay.record(max((seen_at - finished_at).total_seconds(), 0.0), self.attributes)


class _TracedPolls(Polls[J]):
    """Adds a span to each wait."""

    def __init__(self, telemetry: _Telemetry, *args: Any, **options: Any) -> None:
        self._telemetry = telemetry
        self.make_source = partial(_TracedSource, telemetry=telemetry)
        self.make_state = partial(_TracedState, telemetry=telemetry)
        self.make_batch = partial(_TracedBatch, telemetry=telemetry)
        self.make_iterator = partial(_TracedIterator, telemetry=telemetry)
        super().__init__(*args, **options)

    async def wait(self, id: str, **options: Any) -> J:
        with self._telemetry.span("chamelaion wait", request_id=id, timeout=options.get("timeout")) as span:
            request = await super().wait(id, **options)
            span.set_attribute("chamelaion.status", request.status)
            return request


class _TracedBatch(Batch[J]):
    """Records for each request how soon its end became known."""

    def __init__(self, loader: Any, plan: WaitPlan, *, telemetry: _Telemetry, **options: Any) -> None:
        super().__init__(loader, plan, **options)
        self.timeout = plan.timeout
        self._telemetry = telemetry

    def on_snapshot(self, member: Member[J], snapshot: Snapshot[J]) -> None:
        if member.stamp is not None:
            self._telemetry.became_known(snapshot)
        super().on_snapshot(member, snapshot)


class _TracedIterator(BatchIterator[J, T]):
    """The outcomes of many requests, and the span that ends with them, or when the last reference to them goes."""

    def __init__(self, batch: _TracedBatch[J], ids: Any, *, telemetry: _Telemetry, **options: Any) -> None:
        super().__init__(batch, ids, **options)
        self._span = telemetry.start("chamelaion wait for many", timeout=batch.timeout)
        self._known = 0
        weakref.finalize(self, _end, self._span)

    async def __anext__(self) -> T:
        try:
            with trace.use_span(self._span, record_exception=False, set_status_on_exception=False):
                return await super().__anext__()
        finally:
            del self  # a traceback that is kept must not keep the polls going

    def _note(self, outcome: Outcome[J]) -> None:
        self._known += 1
        super()._note(outcome)

    async def _finish(self) -> None:
        try:
            await super()._finish()
        except Exception as error:
            self._span.record_exception(error)
            self._span.set_status(trace.StatusCode.ERROR, type(error).__qualname__)
            raise
        finally:
            self._end_span()
            del self

    async def aclose(self) -> None:
        try:
            await super().aclose()
        finally:
            self._end_span()

    def _end_span(self) -> None:
        if (
            self._span.is_recording()
        ):  # aclose may follow the end, and OpenTelemetry logs a warning of what comes late
            self._span.set_attribute("chamelaion.outcomes", self._known)
            self._span.end()


def _end(span: trace.Span) -> None:
    if span.is_recording():
        span.end()


@attrs.define(kw_only=True, eq=False, weakref_slot=False)
class _TracedState(PollState[J]):
    """Adds an event to the span of the wait for each poll, change and failure."""

    telemetry: _Telemetry = attrs.field(repr=False)
    _span: trace.Span = attrs.field(init=False, factory=trace.get_current_span, repr=False)

    def begin_poll(self, now: float) -> float:
        until = super().begin_poll(now)
        self._span.add_event("poll", {"chamelaion.poll": self.polls})
        return until

    def saw(self, snapshot: Snapshot[J]) -> bool:
        is_first, has_changed = self.stamp is None, super().saw(snapshot)
        if has_changed:
            self._span.add_event("change", {"chamelaion.status": snapshot.request.status})
            if not is_first:
                self.telemetry.became_known(snapshot)
        return has_changed

    def failed(self, error: ChamelaionError, now: float, **times: Any) -> bool:
        if error is not self.last_error:  # a refusal whose Retry-After has not ended stands without another poll
            self.telemetry.failed(self._span, error, "poll_failed")
        return super().failed(error, now, **times)


@attrs.frozen(kw_only=True)
class _TracedSource(HttpSource[J]):
    """Counts the reads of all waits."""

    telemetry: _Telemetry

    async def _send(self, turn: StatusTurn, read: Read[J]) -> Answer[J]:
        self.telemetry.count_read("page" if read.is_page else "get")
        try:
            return await super()._send(turn, read)
        except RateLimitError:
            self.telemetry.count_refusal()
            raise


class _TracedSubmissions(Submissions):
    """Adds a span to each submission, with its attempts and its look-ups."""

    def __init__(self, telemetry: _Telemetry) -> None:
        super().__init__()
        self._telemetry = telemetry

    async def submit(
        self,
        post: Callable[[], Awaitable[GenerateAccepted]],
        *,
        reference_id: str | None,
        list_jobs: ListJobs,
        sleep: Callable[[float], Awaitable[None]],
    ) -> GenerateAccepted:
        telemetry = self._telemetry
        with telemetry.span("chamelaion submit", reference_id=reference_id) as span:

            async def attempt() -> GenerateAccepted:
                span.add_event("attempt")
                try:
                    return await post()
                except ChamelaionError as error:
                    telemetry.failed(span, error, "attempt_failed")
                    if isinstance(error, RateLimitError):
                        telemetry.count_refusal()
                    raise

            async def look_up(reference_id: str, *, once: bool) -> ListedJobs:
                listed = await list_jobs(reference_id, once=once)
                span.add_event("look_up", {"chamelaion.found": listed.total})
                return listed

            accepted = await super().submit(attempt, reference_id=reference_id, list_jobs=look_up, sleep=sleep)
            span.set_attribute("chamelaion.request_id", accepted.request_id)
            return accepted
