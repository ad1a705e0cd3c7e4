"""docs/howto/migrate.md is true: each row of its tables is run with the vendor's client and with ours."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import chamelaion
import pytest
from chamelaion import AsyncChamelaion

import chamelaion_async
from chamelaion_async import AsyncClient, RetryPolicy, Subtitle, Upload
from chamelaion_async.sandbox import Fault, Received, Sandbox

from .test_vendor_client import ASK

PAGE = Path(__file__).parents[2].joinpath("docs", "howto", "migrate.md").read_text("utf-8")
VIDEO, AUDIO = "https://cdn.example.com/42.mp4", "https://cdn.example.com/42.wav"
INPUTS: Any = [{"type": "video", "url": VIDEO}, {"type": "audio", "url": AUDIO}]
NAMES: dict[str, Any] = {
    "VIDEO": VIDEO,
    "AUDIO": AUDIO,
    "VOICE": "sandbox-voice-01",
    "SRT": "1\n00:00:00,000 --> 00:00:01,000\nGrüße\n",
    "OPTIONS": {
        "disable_background_audio": False,
        "disable_lip_sync": True,
        "formality": True,
        "model": "classic",
        "reference_id": "talk-42",
        "source_language": "en",
        "webhook_url": "https://example.com/hook",
    },
    "Path": Path,
    "Subtitle": Subtitle,
}
POST = "POST /v1/lipsync/generate"
GET = "GET /v1/lipsync/requests/{id}"
GOOD = {"id": "x", "status": "queued", "created_at": "2026-04-07T12:00:00Z"}

pytestmark = pytest.mark.virtual_time


def table(title: str) -> list[tuple[str, ...]]:
    """Return the rows of a section's table, without its head."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return [tuple(line.strip("| ").split(" | ")) for line in section.splitlines() if line.startswith("| ")][1:]


CALLS = table("Call by call")
SITUATIONS: set[str] = set()


def situation(row: str) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., Awaitable[None]]]:
    """Mark a test as the one that holds a row of "Behaviour by behaviour"."""

    def mark(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        SITUATIONS.add(row)
        return test

    return mark


@pytest.fixture(autouse=True)
def _a_folder_with_files_and_no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "CHAMELAION_CUSTOM_HEADERS"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("API_KEY", "BEARER_TOKEN", "BASE_URL"):
        monkeypatch.delenv(f"CHAMELAION_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("42.mp4").write_bytes(b"video")
    Path("42.wav").write_bytes(b"audio")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as served:
        served.add_job(reference_id="dub-42")
        yield served


def transport() -> Any:
    # Without verify=False each client would first load the system's certificates.
    return chamelaion.DefaultAsyncHttpxClient(verify=False)


@pytest.fixture
async def vendor(sandbox: Sandbox) -> AsyncIterator[AsyncChamelaion]:
    async with AsyncChamelaion(api_key="sk", base_url=sandbox.base_url, http_client=transport()) as made:
        yield made


@pytest.fixture
async def ours(sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    async with AsyncClient("sk", base_url=sandbox.base_url) as made:
        yield made


def now() -> float:
    return asyncio.get_running_loop().time()


def vendor_submits(vendor: AsyncChamelaion) -> Awaitable[Any]:
    return vendor.lipsync.generate(inputs=INPUTS)


def we_submit(ours: AsyncClient, **options: Any) -> Awaitable[Any]:
    return ours.lipsync.generate(video=VIDEO, audio=AUDIO, **options)


def sent(received: Received) -> tuple[object, ...]:
    return received.method, received.path, dict(parse_qsl(received.query_string)), received.body


def code_of(cell: str) -> str:
    assert re.fullmatch(r"`[^`]+`", cell), cell
    return cell.strip("`")


async def evaluated(call: str, client: object, id: str) -> None:
    await eval(call, {"client": client, "ID": id, **NAMES})


@pytest.mark.parametrize(("old", "new"), CALLS, ids=[code_of(new).partition("(")[0] for _, new in CALLS])
async def test_the_new_call_sends_what_the_old_one_sent(
    sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient, old: str, new: str
) -> None:
    id = sandbox.add_job(family="video_translate" if "video_translate" in old else "lipsync").id
    await evaluated(code_of(old), vendor, id)
    (before,) = sandbox.received
    sandbox.forget()
    await evaluated(code_of(new), ours, id)
    # With a reference_id, our client reads the list before it submits.
    assert [sent(received) for received in sandbox.received if received.method == before.method] == [sent(before)]


def test_every_call_of_the_vendors_client_is_in_the_table() -> None:
    assert {f"client.{name}" for name in ASK} <= {code_of(old).partition("(")[0] for old, _ in CALLS}


def test_every_row_of_the_table_of_behaviours_is_held_by_a_test() -> None:
    assert {row[0] for row in table("Behaviour by behaviour")} == SITUATIONS
    assert all(len(row) == 3 for row in table("Behaviour by behaviour"))


async def test_the_loop_of_the_vendors_client_does_what_the_page_says(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAMELAION_API_KEY", "sk")
    monkeypatch.setenv("CHAMELAION_BASE_URL", sandbox.base_url)
    code = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    namespace: dict[str, Any] = {}
    exec(compile(ast.parse(code), "migrate.md", "exec"), namespace)
    assert (await namespace["dub"](VIDEO, AUDIO)).status == "completed"


SAME_NAMES = [
    *("APIStatusError", "BadRequestError", "AuthenticationError", "PermissionDeniedError", "NotFoundError"),
    *("ConflictError", "UnprocessableEntityError", "RateLimitError", "InternalServerError"),
    *("APIConnectionError", "APITimeoutError"),
]


def test_errors_that_have_the_same_name_are_named() -> None:
    theirs = {name for name in chamelaion.__all__ if name.endswith("Error")}
    shared = theirs & {*chamelaion_async.__all__} - {"ChamelaionError"}
    assert shared == {*SAME_NAMES}
    text = PAGE.partition("The other errors of a status")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(\w+Error)`", text)) == shared
    assert theirs - shared - {"ChamelaionError"} == {"APIError", "APIResponseValidationError"}


async def test_what_an_error_holds_has_the_names_of_the_table(vendor: AsyncChamelaion, ours: AsyncClient) -> None:
    with pytest.raises(chamelaion.NotFoundError) as theirs:
        await vendor.lipsync.requests.retrieve("no-such-job")
    with pytest.raises(chamelaion_async.NotFoundError) as error:
        await ours.lipsync.requests.get("no-such-job")
    assert theirs.value.status_code == error.value.status == 404
    assert theirs.value.response.headers["content-type"] == error.value.headers["content-type"]
    assert isinstance(theirs.value.body, dict)
    assert theirs.value.body["error"] == error.value.message


async def test_what_an_answer_holds_has_the_names_of_the_table(vendor: AsyncChamelaion, ours: AsyncClient) -> None:
    assert [voice.voice_id for voice in (await vendor.video_translate.voices.list()).voices] == [
        voice.voice_id for voice in (await ours.video_translate.voices.list()).data
    ]
    theirs = (await vendor.lipsync.requests.retrieve("dub-episode-42")).to_dict(mode="json")
    assert theirs.items() <= (await ours.lipsync.requests.get("dub-episode-42")).to_dict().items()


async def test_both_clients_try_three_times_by_default(vendor: AsyncChamelaion) -> None:
    assert vendor.max_retries + 1 == RetryPolicy().attempts == 3


async def test_settings_that_are_named_alike_are_those_of_both_clients() -> None:
    row = next(new for old, new in table("Settings, answers and errors") if old.startswith("`AsyncChamelaion"))
    named = set(re.findall(r"`([a-z_]+)`", row))
    assert len(named) == 6
    assert named <= {*inspect.signature(AsyncChamelaion).parameters}
    assert named <= {*inspect.signature(AsyncClient).parameters}


@situation("No credentials")
async def test_no_credentials(sandbox: Sandbox) -> None:
    async with AsyncChamelaion(base_url=sandbox.base_url, http_client=transport()) as vendor:
        with pytest.raises(TypeError, match="Could not resolve authentication"):
            await vendor.users.retrieve_current()
    async with AsyncClient(base_url=sandbox.base_url) as ours:
        with pytest.raises(chamelaion_async.ConfigurationError, match="needs credentials"):
            await ours.users.me()
    assert sandbox.count() == 0


@situation("An id that is empty, `.` or `..`")
@pytest.mark.parametrize("id", ["", ".", ".."])
async def test_an_id_that_is_no_segment(vendor: AsyncChamelaion, ours: AsyncClient, id: str) -> None:
    with pytest.raises(ValueError, match=r"non-empty|dot-segment"):
        await vendor.lipsync.requests.retrieve(id)
    with pytest.raises(chamelaion_async.ConfigurationError) as caught:
        await ours.lipsync.requests.get(id)
    assert isinstance(caught.value, ValueError)


@situation("A POST that is answered 500, times out, or loses its connection")
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.status(500, when="after"), chamelaion.InternalServerError),
        (Fault.hang(when="after"), chamelaion.APITimeoutError),
        (Fault.reset("after"), chamelaion.APIConnectionError),
    ],
    ids=["500", "timeout", "reset"],
)
async def test_a_lost_answer(
    sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient, fault: Fault, error: type[Exception]
) -> None:
    sandbox.inject(fault, route=POST)
    with pytest.raises(error):
        await vendor_submits(vendor)
    assert len({received.job_id for received in sandbox.received}) == 3  # three jobs, and no id of any of them
    sandbox.forget()
    with pytest.raises(chamelaion_async.SubmissionUncertainError):
        await we_submit(ours)
    assert sandbox.count() == 1
    sandbox.forget()
    found = await we_submit(ours, reference_id="dub-43")
    assert [received.job_id for received in sandbox.received if received.method == "POST"] == [found.request_id]


@situation("A POST that is answered 408 or 409")
@pytest.mark.parametrize("status", [408, 409])
async def test_a_refused_submission(
    sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient, status: int
) -> None:
    sandbox.inject(Fault.status(status))
    with pytest.raises(chamelaion.APIStatusError):
        await vendor_submits(vendor)
    assert sandbox.count() == 3
    sandbox.forget()
    with pytest.raises(chamelaion_async.APIStatusError):
        await we_submit(ours)
    assert sandbox.count() == 1


@situation("A GET that is answered 500")
async def test_a_read_that_fails(sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient) -> None:
    sandbox.inject(Fault.status(500))
    with pytest.raises(chamelaion.InternalServerError):
        await vendor.users.retrieve_current()
    assert sandbox.count() == 3
    sandbox.forget()
    with pytest.raises(chamelaion_async.InternalServerError):
        await ours.users.me()
    assert sandbox.count() == 3


@situation("429 with `Retry-After` of 60 seconds")
async def test_a_pause_that_is_obeyed(sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient) -> None:
    async def other_call(call: Callable[[], Awaitable[object]]) -> float:
        await asyncio.sleep(1)
        await call()
        return now()

    took: list[tuple[bool, bool]] = []
    for call in (vendor.users.retrieve_current, ours.users.me):
        sandbox.inject(Fault.rate_limited(60), times=1)
        start = now()
        _, other = await asyncio.gather(call(), other_call(call))
        took.append((60 <= now() - start < 62, other - start >= 60))
    assert took == [(True, False), (True, True)]


@situation("429 with `Retry-After` of more than 60 seconds")
async def test_a_pause_that_is_too_long(sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient) -> None:
    sandbox.inject(Fault.rate_limited(61), times=1)
    start = now()
    await vendor.users.retrieve_current()
    assert now() - start < 1
    assert sandbox.count() == 2
    sandbox.inject(Fault.rate_limited(61), times=1)
    with pytest.raises(chamelaion_async.RateLimitError):
        await ours.users.me()
    assert sandbox.count() == 3


@situation("412, the quota is used up")
async def test_a_quota_that_is_used_up(sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient) -> None:
    sandbox.inject(Fault.status(412))
    with pytest.raises(chamelaion.APIStatusError) as caught:
        await vendor_submits(vendor)
    assert type(caught.value) is chamelaion.APIStatusError
    with pytest.raises(chamelaion_async.QuotaExceededError) as error:
        await we_submit(ours)
    assert isinstance(error.value, chamelaion_async.APIStatusError)


@situation("A redirect to another host")
async def test_a_redirect(sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient) -> None:
    async with Sandbox() as elsewhere:
        sandbox.inject(Fault.redirect(f"{elsewhere.base_url}/v1/users/me"))
        await vendor.users.retrieve_current()
        assert elsewhere.received[0].headers["x-api-key"] == "sk"
        elsewhere.forget()
        with pytest.raises(chamelaion_async.APIStatusError) as caught:
            await ours.users.me()
        assert caught.value.status == 307
        assert elsewhere.count() == 0


@situation("`timeout=60`")
async def test_an_answer_that_drips(sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient) -> None:
    sandbox.inject(Fault.drip(50))
    start = now()
    assert (await vendor.users.retrieve_current()).name == "production-key"
    assert now() - start > 600
    start = now()
    with pytest.raises(chamelaion_async.APITimeoutError):
        await ours.with_options(retry=RetryPolicy(attempts=1)).users.me()
    assert 60 <= now() - start < 62


async def invalid(sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient, body: bytes, kind: str) -> Any:
    """Return what the vendor's client makes of an answer that ours refuses."""
    sandbox.inject(Fault.body(body, content_type=kind), route=GET)
    with pytest.raises(chamelaion_async.InvalidResponseError):
        await ours.lipsync.requests.get("x")
    return await vendor.lipsync.requests.retrieve("x")


@situation("A 200 whose body is HTML")
async def test_a_page_in_place_of_an_answer(sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient) -> None:
    assert await invalid(sandbox, vendor, ours, b"<html>", "text/html") == "<html>"


@situation("A 200 whose body is `null`")
async def test_null_in_place_of_an_answer(sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient) -> None:
    assert await invalid(sandbox, vendor, ours, b"null", "application/json") is None


@situation("A 200 whose body is empty")
async def test_nothing_in_place_of_an_answer(sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient) -> None:
    with pytest.raises(json.JSONDecodeError):
        await invalid(sandbox, vendor, ours, b"", "application/json")


@situation("An answer without `id` or `status`")
@pytest.mark.parametrize("name", ["id", "status"])
async def test_a_field_that_is_missing(
    sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient, name: str
) -> None:
    body = json.dumps({key: value for key, value in GOOD.items() if key != name}).encode()
    assert getattr(await invalid(sandbox, vendor, ours, body, "application/json"), name) is None
    with pytest.raises(chamelaion_async.InvalidResponseError, match=rf"\$\.{name}"):
        await ours.lipsync.requests.get("x")


@situation("A time without a zone")
async def test_a_time_without_a_zone(sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient) -> None:
    body = json.dumps({**GOOD, "created_at": "2026-04-07T12:00:00"}).encode()
    sandbox.inject(Fault.body(body), route=GET)
    assert (await vendor.lipsync.requests.retrieve("x")).created_at == datetime(2026, 4, 7, 12)  # noqa: DTZ001
    assert (await ours.lipsync.requests.get("x")).created_at == datetime(2026, 4, 7, 12, tzinfo=UTC)


@situation("A date in place of a time")
async def test_a_date_in_place_of_a_time(sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient) -> None:
    body = json.dumps({**GOOD, "created_at": "2026-04-07"}).encode()
    assert (await invalid(sandbox, vendor, ours, body, "application/json")).created_at == "2026-04-07"


@situation("`created_after` with an aware `datetime`")
async def test_a_filter_by_time(sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient) -> None:
    after = datetime(2026, 4, 7, 10, tzinfo=timezone(timedelta(hours=2)))
    await vendor.video_translate.requests.list(created_after=after)
    await ours.video_translate.requests.list(created_after=after)
    assert [received.query_string for received in sandbox.received] == [
        "created_after=2026-04-07+10%3A00%3A00%2B02%3A00",
        "created_after=2026-04-07T08%3A00%3A00Z",
    ]


@situation("Options of a translation upload that are left out")
async def test_options_that_are_left_out(sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient) -> None:
    with pytest.raises(chamelaion.BadRequestError):
        await vendor.video_translate.generate_with_media(video=Path("42.mp4"), target_languages=["de"])
    body = sandbox.received[0].body
    assert {name for name, value in body.items() if "<chamelaion.Omit object at 0x" in value} == {*NAMES["OPTIONS"]}
    await ours.video_translate.generate_with_media(video="42.mp4", target_languages=["de"])
    assert sandbox.received[1].body.keys() & NAMES["OPTIONS"].keys() == set()


@situation("A `Path` as a file")
async def test_the_memory_of_an_upload(
    sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient, tmp_path: Path
) -> None:
    size = 24 * 1024 * 1024
    tmp_path.joinpath("long.mp4").write_bytes(bytes(size))
    sandbox.inject(Fault.status(400))
    peaks: list[int] = []
    for client, error in ((vendor, chamelaion.BadRequestError), (ours, chamelaion_async.BadRequestError)):
        tracemalloc.start()
        with pytest.raises(error):
            await client.lipsync.generate_with_media(video=Path("long.mp4"), audio=Path("42.wav"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] > size > 3 * peaks[1]


@situation("A `str` as a file")
async def test_a_text_as_a_file(sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient) -> None:
    video: Any = "42.mp4"
    with pytest.raises(RuntimeError, match="received <class 'str'>"):
        await vendor.lipsync.generate_with_media(video=video, audio=b"a")
    await ours.lipsync.generate_with_media(video=video, audio=b"a")
    assert sandbox.received[0].body["video"] == {"filename": "42.mp4", "content_type": "video/mp4", "size": 5}


@situation("A file with a name of its own")
async def test_a_file_with_a_name(sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient) -> None:
    await vendor.lipsync.generate_with_media(video=("a.mp4", b"video"), audio=b"a")
    await ours.lipsync.generate_with_media(video=Upload(b"video", file_name="a.mp4"), audio=b"a")
    await ours.lipsync.generate_with_media(video=Upload("42.mp4", file_name="a.mp4"), audio=b"a")
    files = [received.body["video"] for received in sandbox.received]
    assert files == [{"filename": "a.mp4", "content_type": "video/mp4", "size": 5}] * 3
    pair: Any = ("a.mp4", Path("42.mp4"))
    with pytest.raises(chamelaion.APIConnectionError, match=r"^Connection error\.$"):
        await vendor.lipsync.generate_with_media(video=pair, audio=b"a")


@situation("`HTTP_PROXY` and `HTTPS_PROXY`")
async def test_a_proxy_in_the_environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    # The proxy is a second sandbox. It answers 404, since what a proxy is sent is a whole URL.
    async with Sandbox() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url.removesuffix("/api"))
        async with AsyncChamelaion(api_key="sk", base_url=sandbox.base_url, http_client=transport()) as vendor:
            with pytest.raises(chamelaion.NotFoundError):
                await vendor.users.retrieve_current()
        async with AsyncClient("sk", base_url=sandbox.base_url, trust_env=True) as ours:
            with pytest.raises(chamelaion_async.NotFoundError):
                await ours.users.me()
        assert (proxy.count(), sandbox.count()) == (2, 0)
        async with AsyncClient("sk", base_url=sandbox.base_url) as ours:
            await ours.users.me()
        assert (proxy.count(), sandbox.count()) == (2, 1)


@situation("`CHAMELAION_BASE_URL` and the argument `environment`")
async def test_an_environment_beside_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAMELAION_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(ValueError, match="Ambiguous URL"):
        AsyncChamelaion(api_key="sk", environment="staging")
    async with AsyncClient("sk", environment="staging") as ours:
        assert ours.base_url == "https://api.dev.chamelaion.com/api"


@situation("Headers about your machine")
async def test_headers_about_the_machine(sandbox: Sandbox, vendor: AsyncChamelaion, ours: AsyncClient) -> None:
    await vendor.users.retrieve_current()
    await ours.users.me()
    old, new = ([name.lower() for name in received.headers] for received in sandbox.received)
    assert len([name for name in old if name.startswith("x-stainless-")]) == 9
    assert {"x-stainless-os", "x-stainless-arch", "x-stainless-runtime-version"} <= {*old}
    assert [name for name in new if name.startswith("x-")] == ["x-api-key"]
    agent = sandbox.received[1].headers["User-Agent"]
    assert re.fullmatch(r"chamelaion-async/\S+ aiohttp/\S+ Python/\S+", agent)
