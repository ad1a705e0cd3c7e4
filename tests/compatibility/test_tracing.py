"""OpenTelemetry and Sentry: each call has one span, and neither gets the key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
import sentry_sdk
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.aiohttp import AioHttpIntegration
from sentry_sdk.transport import Transport

from chamelaion_async import AsyncClient, ChamelaionError, RetryPolicy
from chamelaion_async.sandbox import Fault, Sandbox

KEY = "sk-live-5up3r53cr37"
GIVEN = pytest.mark.parametrize("given", [True, False], ids=["with a session", "without one"])


async def call(sandbox: Sandbox, given: bool) -> None:
    if not given:
        async with AsyncClient(KEY, base_url=sandbox.base_url) as client:
            await client.users.me()
        return
    async with (
        aiohttp.ClientSession() as session,
        AsyncClient(KEY, base_url=sandbox.base_url, session=session) as client,
    ):
        await client.users.me()


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """OpenTelemetry, switched on."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = AioHttpClientInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield exporter
    instrumentor.uninstrument()
    provider.shutdown()


@GIVEN
async def test_a_call_is_one_span_of_opentelemetry(
    sandbox: Sandbox, spans: InMemorySpanExporter, given: bool
) -> None:
    await call(sandbox, given)

    [span] = spans.get_finished_spans()
    assert span.name == "GET"
    assert KEY not in repr(span.attributes)
    assert "traceparent" in sandbox.received[0].headers


@GIVEN
async def test_spans_of_opentelemetry_do_not_pile_up_in_the_headers(
    sandbox: Sandbox, spans: InMemorySpanExporter, given: bool
) -> None:
    async with AsyncClient(base_url=sandbox.base_url) as client:
        for _ in range(3):
            await client.health.check()

    assert [list(received.headers).count("traceparent") for received in sandbox.received] == [1, 1, 1]
    assert len({received.headers["traceparent"] for received in sandbox.received}) == 3


class Home(Transport):
    """Where Sentry sends what it finds."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[Any] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.items += [item.payload.json for item in envelope.items]


@pytest.fixture
def sentry() -> Iterator[Home]:
    """Sentry, switched on: every trace, and errors with the variables of their frames."""
    home = Home()
    sentry_sdk.init(
        dsn="http://public@127.0.0.1:1/1",
        transport=home,
        traces_sample_rate=1.0,
        default_integrations=False,  # they would change this process for all tests that come later
        auto_enabling_integrations=False,
        integrations=[AioHttpIntegration()],  # what it has changed does nothing once there is no client
    )
    yield home
    sentry_sdk.get_client().close(timeout=0)
    sentry_sdk.get_global_scope().set_client(None)


@GIVEN
async def test_a_call_is_one_span_of_sentry(sandbox: Sandbox, sentry: Home, given: bool) -> None:
    with sentry_sdk.start_transaction(name="dub"):
        await call(sandbox, given)

    [transaction] = sentry.items
    assert [span["op"] for span in transaction["spans"]] == ["http.client"]
    assert KEY not in repr(transaction)


async def test_an_error_is_sent_to_sentry_without_the_key(sandbox: Sandbox, sentry: Home) -> None:
    sandbox.inject(Fault.status(401))
    async with AsyncClient(KEY, base_url=sandbox.base_url, retry=RetryPolicy(attempts=1)) as client:
        try:
            await client.users.me()
        except ChamelaionError:
            sentry_sdk.capture_exception()

    [event] = sentry.items
    assert event["exception"]["values"][-1]["type"] == "AuthenticationError"
    frames = event["exception"]["values"][-1]["stacktrace"]["frames"]
    assert any("vars" in frame for frame in frames)
    assert KEY not in repr(event)
