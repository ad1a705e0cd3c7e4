"""Our spans and metrics for OpenTelemetry: what they hold, what they never hold, and beside those of aiohttp."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import attrs
import pytest
from aioresponses import aioresponses
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from chamelaion_async import (
    AsyncClient,
    ConfigurationError,
    NotFoundError,
    PollPolicy,
    RateLimitError,
    WaitTimeoutError,
)
from chamelaion_async._http.lanes import Lane
from chamelaion_async._http.transport import Transport
from chamelaion_async.loading.loader import Loader
from chamelaion_async.loading.source import HttpSource
from chamelaion_async.polling.batch import Batch
from chamelaion_async.polling.iteration import BatchIterator
from chamelaion_async.polling.polls import Polls
from chamelaion_async.polling.state import PollState
from chamelaion_async.resources.submission import Submissions
from chamelaion_async.sandbox import Fault, Sandbox
from chamelaion_async.sandbox.world.jobs import Family
from chamelaion_async.testing import sandbox_in_thread
from chamelaion_async.tracing import instrument

pytestmark = pytest.mark.virtual_time
KEY = "sk-live-5up3r53cr37"
SIGNED = "https://cdn.example.com/v.mp4?X-Amz-Signature=5ign3d"


@attrs.frozen
class Recorded:
    """What was exported."""

    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader
    tracers: TracerProvider
    meters: MeterProvider

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}

    @property
    def points(self) -> dict[tuple[str, Any], Any]:
        """The points of the metrics, by name and kind of read."""
        data = self.reader.get_metrics_data()
        metrics = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics] if data else []
        return {(m.name, (p.attributes or {}).get("chamelaion.read")): p for m in metrics for p in m.data.data_points}


@pytest.fixture
def recorded(caplog: pytest.LogCaptureFixture) -> Iterator[Recorded]:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider([reader])
    yield Recorded(exporter, reader, tracers, meters)
    # It warns of what is done to a span that has ended.
    assert [record.message for record in caplog.get_records("call") if record.name.startswith("opentelemetry")] == []
    tracers.shutdown()
    meters.shutdown()


@pytest.fixture
async def client(sandbox: Sandbox, recorded: Recorded) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(KEY, base_url=sandbox.base_url) as made:
        instrument(made, tracer_provider=recorded.tracers, meter_provider=recorded.meters)
        yield made


def events(span: ReadableSpan) -> list[tuple[str, dict[str, Any]]]:
    return [(event.name, dict(event.attributes or {})) for event in span.events if event.name != "exception"]


async def test_a_wait_is_a_span_with_its_polls_and_changes(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded
) -> None:
    job = sandbox.add_job(job_seconds=20.0, queue_seconds=1.5)
    await client.wait_until_finished(job.id)
    span = recorded.spans["chamelaion wait"]
    assert dict(span.attributes or {}) == {
        "chamelaion.family": "lipsync",
        "chamelaion.request_id": job.id,
        "chamelaion.timeout": 600.0,
        "chamelaion.status": "completed",
    }
    seen = events(span)
    assert [more["chamelaion.status"] for name, more in seen if name == "change"] == [
        "queued",
        "processing",
        "completed",
    ]
    assert (
        sum(name == "poll" for name, _ in seen) == sandbox.count() == recorded.points["chamelaion.reads", "get"].value
    )
    assert span.status.status_code is StatusCode.UNSET


async def test_the_delay_from_the_end_to_the_answer_that_showed_it_is_a_histogram(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded
) -> None:
    await client.wait_until_finished(sandbox.add_job(job_seconds=100.0).id)
    point = recorded.points["chamelaion.wait.delay", None]
    assert point.count == 1
    assert 0.0 <= point.sum <= 11.0


async def wait_alone(client: AsyncClient, ids: list[str]) -> None:
    await asyncio.gather(*map(client.wait_until_finished, ids))


async def wait_for_all(client: AsyncClient, ids: list[str]) -> None:
    await client.lipsync.requests.wait_all(ids)


async def iterate(client: AsyncClient, ids: list[str]) -> None:
    async for _ in client.lipsync.requests.as_finished(ids):
        pass


async def watch_each(client: AsyncClient, ids: list[str]) -> None:
    for id in ids:  # those that come later have ended meanwhile, and are seen for the first time as finished
        async for _ in client.lipsync.requests.watch(id, every=0.5):
            pass


async def watch_all(client: AsyncClient, ids: list[str]) -> None:
    async for _ in client.lipsync.requests.watch_many(ids, every=0.5):
        pass


async def read_each(client: AsyncClient, ids: list[str]) -> None:
    await client.lipsync.requests.get_many(ids)


Wait = Callable[[AsyncClient, list[str]], Awaitable[None]]
WAITS = [wait_alone, wait_for_all, iterate, watch_each, watch_all]


@pytest.mark.parametrize("jobs", [1, 3, 150], ids=lambda jobs: f"{jobs} jobs")
@pytest.mark.parametrize("wait", WAITS)
async def test_each_job_of_a_wait_tells_its_delay_once(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded, wait: Wait, jobs: int
) -> None:
    await wait(client, [sandbox.add_job(job_seconds=30.0).id for _ in range(jobs)])
    point = recorded.points["chamelaion.wait.delay", None]
    assert point.count == (1 if wait is watch_each else jobs)
    assert 0.0 <= point.min <= point.max <= 4.0
    assert point.attributes == {"chamelaion.family": "lipsync"}


async def test_a_delay_of_a_joint_wait_is_that_of_its_answer(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded
) -> None:
    steady = PollPolicy(min_interval=20.0, max_interval=20.0, jitter=0.0)
    job = sandbox.add_job(job_seconds=30.0)
    async for _ in client.lipsync.requests.as_finished([job.id], polling=steady):
        pass
    assert 9.0 <= recorded.points["chamelaion.wait.delay", None].sum <= 10.0  # polls at 0, 20 and 40


async def test_two_waits_for_one_job_each_tell_its_delay(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded
) -> None:
    ids = [sandbox.add_job(job_seconds=30.0).id]
    await asyncio.gather(*(wait(client, ids) for wait in WAITS))
    assert recorded.points["chamelaion.wait.delay", None].count == len(WAITS)


@pytest.mark.parametrize("wait", [*WAITS, read_each])
async def test_a_job_that_had_ended_before_tells_no_delay(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded, wait: Wait
) -> None:
    await wait(client, [sandbox.add_job(job_seconds=0.0).id])
    assert ("chamelaion.wait.delay", None) not in recorded.points


async def test_a_job_that_is_given_up_tells_no_delay(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded
) -> None:
    await client.lipsync.requests.wait_all([sandbox.add_job(job_seconds=100.0).id], timeout=10.0)
    assert ("chamelaion.wait.delay", None) not in recorded.points


@pytest.mark.parametrize(
    ("finished_at", "headers", "told"),
    [
        ("2026-04-07T10:00:05Z", {"Date": "Tue, 07 Apr 2026 10:00:09 GMT"}, 4.0),
        ("2026-04-07T10:00:09.5Z", {"Date": "Tue, 07 Apr 2026 10:00:09 GMT"}, 0.0),
        (None, {"Date": "Tue, 07 Apr 2026 10:00:09 GMT"}, None),
        ("2026-04-07T10:00:05Z", {}, None),
    ],
    ids=["both times", "within the second of the answer", "no end", "no time of the answer"],
)
@pytest.mark.parametrize("wait", [wait_alone, iterate])
async def test_a_delay_needs_both_times(
    mock: aioresponses, recorded: Recorded, wait: Wait, finished_at: str | None, headers: dict[str, str], told: float
) -> None:
    id, job = "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8", {"created_at": "2026-04-07T10:00:00Z"}
    url = f"https://api.example.com/api/v1/lipsync/requests/{id}"
    mock.get(url, payload=job | {"id": id, "status": "processing"}, headers=headers)
    mock.get(url, payload=job | {"id": id, "status": "completed", "finished_at": finished_at}, headers=headers)
    async with AsyncClient(KEY, base_url="https://api.example.com/api") as client:
        instrument(client, tracer_provider=recorded.tracers, meter_provider=recorded.meters)
        await wait(client, [id])
    point = recorded.points.get(("chamelaion.wait.delay", None))
    assert (point and point.sum) == told


async def test_a_429_and_another_failure_are_events(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded
) -> None:
    sandbox.inject(Fault.rate_limited(3), times=1)
    sandbox.inject(Fault.status(503), times=1)
    await client.wait_until_finished(sandbox.add_job(job_seconds=0.0).id)
    seen = events(recorded.spans["chamelaion wait"])
    assert ("rate_limited", {"chamelaion.retry_after": 3.0}) in seen
    assert ("poll_failed", {"error.type": "InternalServerError"}) in seen
    assert recorded.points["chamelaion.rate_limited", None].value == 1


@pytest.mark.parametrize("error", [NotFoundError, WaitTimeoutError], ids=lambda error: error.__name__)
async def test_a_wait_that_fails_is_a_span_with_an_error(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded, error: type[Exception]
) -> None:
    id = "unknown" if error is NotFoundError else sandbox.add_job(job_seconds=1000.0).id
    with pytest.raises(error):
        await client.wait_until_finished(id, timeout=100.0)
    span = recorded.spans["chamelaion wait"]
    assert span.status.status_code is StatusCode.ERROR
    assert error.__name__ in str(span.status.description)


async def test_a_submission_is_a_span_with_its_look_ups(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded
) -> None:
    sandbox.inject(Fault.rate_limited(), route="POST *", times=1)
    sandbox.inject(Fault.status(500, when="after"), route="POST *", times=1)
    job = await client.lipsync.generate(video=SIGNED, audio=SIGNED, reference_id="dub-42")
    sandbox.assert_submitted(reference_id="dub-42")
    span = recorded.spans["chamelaion submit"]
    assert dict(span.attributes or {}) == {
        "chamelaion.family": "lipsync",
        "chamelaion.reference_id": "dub-42",
        "chamelaion.request_id": job.request_id,
    }
    seen = events(span)
    assert seen[0] == ("look_up", {"chamelaion.found": 0})
    assert seen[-1] == ("look_up", {"chamelaion.found": 1})
    assert ("attempt_failed", {"error.type": "InternalServerError"}) in seen


async def test_a_submission_that_is_refused_for_good_counts_its_429(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded
) -> None:
    sandbox.inject(Fault.rate_limited(3600))
    with pytest.raises(RateLimitError):
        await client.lipsync.generate(video=SIGNED, audio=SIGNED)
    assert events(recorded.spans["chamelaion submit"])[-1] == (
        "rate_limited",
        {"chamelaion.retry_after": 3600.0},
    )
    assert recorded.points["chamelaion.rate_limited", None].value == 1


async def test_a_batch_is_one_span_and_its_pages_are_counted(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded
) -> None:
    ids = [sandbox.add_job(job_seconds=30.0).id for _ in range(200)]
    async for _ in client.lipsync.requests.as_finished(ids):
        pass
    [span] = recorded.exporter.get_finished_spans()
    assert span.name == "chamelaion wait for many"
    assert (span.attributes or {})["chamelaion.outcomes"] == 200
    pages = sandbox.count("GET /v1/lipsync/requests")
    assert recorded.points["chamelaion.reads", "page"].value == pages > 0


async def test_the_span_of_a_batch_says_how_long_it_may_last(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded
) -> None:
    await client.lipsync.requests.wait_all([sandbox.add_job(job_seconds=0.0).id], timeout=90.0)
    assert dict(recorded.spans["chamelaion wait for many"].attributes or {}) == {
        "chamelaion.family": "lipsync",
        "chamelaion.timeout": 90.0,
        "chamelaion.outcomes": 1,
    }


async def test_an_iterator_that_is_left_ends_its_span(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded
) -> None:
    job = sandbox.add_job(job_seconds=30.0)
    changes = client.lipsync.requests.watch(job.id)
    await anext(changes)
    await changes.aclose()
    assert (recorded.spans["chamelaion wait for many"].attributes or {})["chamelaion.outcomes"] == 1


async def test_a_mistake_in_its_use_is_no_error_of_a_joint_wait(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded
) -> None:
    changes = client.lipsync.requests.watch(sandbox.add_job(job_seconds=30.0).id)
    first = asyncio.create_task(anext(changes))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="another task"):
        await anext(changes)
    await first
    await changes.aclose()
    span = recorded.spans["chamelaion wait for many"]
    assert (span.events, span.status.status_code) == ((), StatusCode.UNSET)


async def test_an_iterator_that_is_dropped_ends_its_span(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded
) -> None:
    changes = client.lipsync.requests.watch(sandbox.add_job(job_seconds=30.0).id)
    await anext(changes)
    assert recorded.spans == {}
    del changes
    gc.collect()
    assert [*recorded.spans] == ["chamelaion wait for many"]


async def test_an_error_for_all_ends_the_span_of_a_batch(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded
) -> None:
    sandbox.revoke(KEY)
    with pytest.raises(Exception, match="unauthorized"):
        await client.lipsync.requests.wait_all([sandbox.add_job().id])
    span = recorded.spans["chamelaion wait for many"]
    assert span.status.description == "AuthenticationError"
    [event] = span.events
    assert (event.name, "AuthenticationError" in str((event.attributes or {})["exception.type"])) == (
        "exception",
        True,
    )


async def test_translations_and_views_are_traced_too(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded
) -> None:
    view = client.with_options(timeout=10.0)
    accepted = await view.video_translate.generate(video=SIGNED, target_languages=["de"])
    await view.video_translate.requests.wait_until_finished(accepted.request_id)
    assert [(span.attributes or {})["chamelaion.family"] for span in recorded.exporter.get_finished_spans()] == [
        "video-translate",
        "video-translate",
    ]


async def test_no_span_and_no_metric_holds_a_key_or_a_signed_query(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded
) -> None:
    sandbox.inject(Fault.status(500, f"no {KEY}", when="after"), route="POST *", times=1)
    job = await client.lipsync.generate(video=SIGNED, audio=SIGNED, reference_id="dub-42")
    sandbox.inject(Fault.status(403, f"{KEY} is refused"))
    with pytest.raises(Exception, match="403"):
        await client.wait_until_finished(job.request_id)
    shown = "".join(span.to_json() for span in recorded.exporter.get_finished_spans())
    data = recorded.reader.get_metrics_data()
    assert data is not None
    assert "exception.message" in shown
    for secret in (KEY, "5ign3d", "X-Amz-Signature"):
        assert secret not in shown + data.to_json()


@pytest.mark.parametrize(("wait", "name"), [(wait_alone, "chamelaion wait"), (iterate, "chamelaion wait for many")])
async def test_beside_the_instrumentation_of_aiohttp_each_call_has_one_span(
    sandbox: Sandbox, recorded: Recorded, wait: Wait, name: str
) -> None:
    aiohttp_spans = AioHttpClientInstrumentor()
    aiohttp_spans.instrument(tracer_provider=recorded.tracers, meter_provider=recorded.meters)
    try:
        async with AsyncClient(KEY, base_url=sandbox.base_url) as client:
            instrument(client, tracer_provider=recorded.tracers, meter_provider=recorded.meters)
            await wait(client, [sandbox.add_job(job_seconds=5.0).id])
    finally:
        aiohttp_spans.uninstrument()
    spans = recorded.exporter.get_finished_spans()
    parent, calls = recorded.spans[name], [span for span in spans if span.name == "GET"]
    assert len(calls) == len(spans) - 1 == sandbox.count()
    for call in calls:
        assert call.parent is not None
        assert parent.context is not None
        assert call.parent.span_id == parent.context.span_id


@pytest.mark.parametrize("family", ["lipsync", "video_translate"])
async def test_a_client_is_instrumented_once_and_before_its_first_wait(
    sandbox: Sandbox, client: AsyncClient, family: Family
) -> None:
    with pytest.raises(ConfigurationError, match="instrument it once"):
        instrument(client)
    async with AsyncClient(KEY, base_url=sandbox.base_url) as other:
        job = sandbox.add_job(family=family, job_seconds=0.0)
        await getattr(other, family).requests.wait_until_finished(job.id)
        with pytest.raises(ConfigurationError, match="has waited"):
            instrument(other)


async def test_a_cancelled_wait_is_no_error(sandbox: Sandbox, client: AsyncClient, recorded: Recorded) -> None:
    waiting = asyncio.create_task(client.wait_until_finished(sandbox.add_job(job_seconds=1000.0).id))
    await asyncio.sleep(10.0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert recorded.spans["chamelaion wait"].status.status_code is StatusCode.UNSET


OFF = """
import asyncio, sys
from chamelaion_async import AsyncClient

async def main():
    async with AsyncClient("sk", base_url=sys.argv[1]) as client:
        job = await client.lipsync.generate(video="https://v", audio="https://a", reference_id="dub-42")
        await client.lipsync.requests.get(job.request_id)
        await client.wait_until_finished(job.request_id)
        await client.lipsync.requests.wait_all([job.request_id])
        async for _ in client.lipsync.requests.watch_many([job.request_id]):
            pass
    print(sorted(name for name in sys.modules if "opentelemetry" in name or name == "chamelaion_async.tracing"))

asyncio.run(main())
"""


async def test_a_program_that_instruments_nothing_imports_nothing_of_it() -> None:
    with sandbox_in_thread(job_seconds=0.0) as sandbox:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", OFF, sandbox.base_url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.stdout, done.stderr) == ("[]\n", "")


ON_THE_PATH = [AsyncClient, Transport, Lane, Loader, HttpSource, Polls, PollState, Batch, BatchIterator, Submissions]


async def test_instrumenting_one_client_changes_no_class_and_no_other_client(
    sandbox: Sandbox, recorded: Recorded
) -> None:
    before = [dict(vars(each)) for each in ON_THE_PATH]
    async with AsyncClient(KEY, base_url=sandbox.base_url) as plain, AsyncClient(KEY) as traced:
        instrument(traced, tracer_provider=recorded.tracers, meter_provider=recorded.meters)
        await plain.wait_until_finished(sandbox.add_job(job_seconds=5.0).id)
        for family in plain._common.families:
            assert (type(family.polls), type(family.submissions)) == (Polls, Submissions)
            assert type(family.polls._loader._source) is HttpSource
            assert not {"make_source", "make_state", "make_batch", "make_iterator"} & {*vars(family.polls)}
    assert [dict(vars(each)) for each in ON_THE_PATH] == before
    assert recorded.spans == {}


async def test_a_call_that_is_no_wait_and_no_submission_goes_the_same_way_when_traced(
    sandbox: Sandbox, client: AsyncClient, recorded: Recorded
) -> None:
    async with AsyncClient(KEY, base_url=sandbox.base_url) as plain:
        assert vars(plain).keys() == vars(client).keys()
        assert type(plain._transport) is type(client._transport)
    await client.lipsync.requests.get(sandbox.add_job().id)
    assert recorded.spans == {}
    assert recorded.points == {}
