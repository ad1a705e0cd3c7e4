"""Submissions of rows: once, whenever the process dies."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chamelaion_async import AsyncClient, errors
from chamelaion_async.cli._batch.entries import Entry, Step
from chamelaion_async.cli._batch.journal import Journal
from chamelaion_async.cli._batch.plan import PlannedRow
from chamelaion_async.cli._batch.progress import RowProgress
from chamelaion_async.cli._batch.rows import Row
from chamelaion_async.cli._batch.submitting import Submitter
from chamelaion_async.sandbox import Fault, Sandbox

from ..running import GENERATE, LIST

pytestmark = pytest.mark.virtual_time

Submit = Callable[..., Any]
URLS = {"video": "https://a/v.mp4", "audio": "https://a/a.wav"}


@pytest.fixture
def journal(tmp_path: Path, sandbox: Sandbox) -> Iterator[Journal]:
    with Journal.open(tmp_path / "jobs.csv.journal", sandbox.base_url) as opened:
        yield opened


@pytest.fixture
def make(sandbox_client: AsyncClient, journal: Journal, tmp_path: Path) -> Callable[..., Submitter]:
    def submitter(**settings: Any) -> Submitter:
        usual = {"rate": 60.0, "resubmit_after": 60.0, "no_speaker_detection": False}
        return Submitter(**{"client": sandbox_client, "journal": journal, "folder": tmp_path, **usual, **settings})

    return submitter


def row(reference_id: str | None = None, entry: Entry | None = None, **details: Any) -> RowProgress:
    found = Row(**{"line": 2, **URLS, "reference_id": reference_id, "out": "o.mp4", **details})
    return RowProgress(PlannedRow(row=found, entry=entry, target=Path("o.mp4"), path="o.mp4"))


async def in_doubt(journal: Journal, reference_id: str = "r", family: str = "lipsync") -> Entry:
    """Return a submission that a process has begun, and died."""
    return await journal.write(reference_id, Step.SUBMITTING, line=2, family=family, content=URLS)


def posts(sandbox: Sandbox) -> int:
    return sum(each.method == "POST" for each in sandbox.received)


async def test_the_reference_is_in_the_journal_before_the_post(
    sandbox: Sandbox, make: Submit, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Step] = []

    async def generate(**options: Any) -> None:
        seen.append(Journal.read(journal.path, sandbox.base_url).entries[options["reference_id"]].step)
        raise KeyboardInterrupt

    submitter, begun = make(), row()
    monkeypatch.setattr(submitter.client.lipsync, "generate", generate)
    with pytest.raises(KeyboardInterrupt):
        await submitter.submit(begun)
    assert seen == [Step.SUBMITTING]
    assert begun.step is Step.SUBMITTING


async def test_each_row_has_a_reference_of_its_own(sandbox: Sandbox, make: Submit) -> None:
    rows = [row(), row(), row("mine")]
    submitter = make()
    assert [await submitter.submit(each) for each in rows] == [True, True, True]
    references = [job.reference_id for job in sandbox.jobs.values()]
    assert references == [each.reference_id for each in rows]
    assert len({*references}) == 3
    assert references[2] == "mine"
    assert [job.id for job in sandbox.jobs.values()] == [each.request_id for each in rows]


@pytest.mark.parametrize(
    ("details", "family", "route"),
    [
        (URLS, "lipsync", "generate"),
        ({"video": "v.mp4", "audio": "a.wav"}, "lipsync", "generate-with-media"),
        ({"audio": None, "languages": ("de", "fr"), "source_language": "en"}, "video-translate", "generate"),
        ({"video": "v.mp4", "audio": None, "languages": ("de",)}, "video-translate", "generate-with-media"),
    ],
    ids=["URLs", "files", "a translation of a URL", "a translation of a file"],
)
async def test_a_row_is_submitted_to_its_endpoint(
    sandbox: Sandbox, make: Submit, tmp_path: Path, details: dict[str, Any], family: str, route: str
) -> None:
    (tmp_path / "v.mp4").write_bytes(b"the video")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    assert await make().submit(row(**details))
    assert [each.route for each in sandbox.received if each.method == "POST"] == [f"POST /v1/{family}/{route}"]


@pytest.mark.parametrize("video", ["https://cdn.example.com/v.mp4", "v.mp4"])
async def test_voices_and_subtitles_go_with_a_translation(
    sandbox: Sandbox, make: Submit, tmp_path: Path, video: str
) -> None:
    (tmp_path / "v.mp4").write_bytes(b"the video")
    for language in ("en", "de"):
        (tmp_path / f"{language}.srt").write_text(f"1\n00:00:00,000 --> 00:00:01,000\n{language}\n")
    details: dict[str, Any] = {"voices": ("0=ada", "1=ben"), "source_srt": "en.srt", "target_srts": ("de=de.srt",)}
    assert await make().submit(row(video=video, audio=None, languages=("de",), **details))
    (job,) = sandbox.jobs.values()
    config = job.payload["config"]
    assert config["speaker_voices"] == {"0": "ada", "1": "ben"}
    if video == "v.mp4":
        assert {"source_srt", "target_srt.de"} <= {*job.uploads}
    else:
        assert config["source_srt"]["content"].endswith("\nen\n")
        assert config["target_srts"]["de"]["content"].endswith("\nde\n")


async def test_submissions_are_spaced_evenly(make: Submit) -> None:
    loop = asyncio.get_running_loop()
    submitter, begin = make(rate=30.0), loop.time()
    await asyncio.gather(*(submitter.submit(row()) for _ in range(20)))
    assert loop.time() - begin == pytest.approx(38, abs=0.5)


@pytest.mark.parametrize("family", ["lipsync", "translate"])
async def test_the_job_of_a_run_that_was_killed_is_found(
    sandbox: Sandbox, make: Submit, journal: Journal, family: str
) -> None:
    job = sandbox.add_job(reference_id="r", family="lipsync" if family == "lipsync" else "video_translate")
    languages: Any = {"languages": ("de",)} if family == "translate" else {}
    begun = row(entry=await in_doubt(journal, family=family), **languages)
    assert await make().submit(begun)
    assert begun.request_id == job.id
    assert begun.step is Step.ACCEPTED
    assert posts(sandbox) == 0


async def test_a_job_that_the_list_shows_late_is_found(sandbox: Sandbox, make: Submit, journal: Journal) -> None:
    loop = asyncio.get_running_loop()
    begun = row(entry=await in_doubt(journal))
    loop.call_later(59, lambda: sandbox.add_job(reference_id="r"))
    assert await make().submit(begun)
    assert posts(sandbox) == 0
    assert len(sandbox.jobs) == 1


async def test_what_is_not_found_in_time_is_submitted_again_under_its_reference(
    sandbox: Sandbox, make: Submit, journal: Journal
) -> None:
    loop = asyncio.get_running_loop()
    begun, begin = row(entry=await in_doubt(journal)), loop.time()
    assert await make(resubmit_after=60.0).submit(begun)
    assert loop.time() - begin == pytest.approx(60, abs=1)
    assert [job.reference_id for job in sandbox.jobs.values()] == ["r"]


async def test_nothing_is_submitted_again_if_that_is_not_wanted(
    sandbox: Sandbox, make: Submit, journal: Journal
) -> None:
    begun = row(entry=await in_doubt(journal))
    with pytest.raises(errors.SubmissionUncertainError, match="'r' may or may not have been accepted"):
        await make(resubmit_after=math.inf).submit(begun)
    assert posts(sandbox) == 0
    assert begun.step is Step.SUBMITTING


async def test_a_job_with_a_similar_reference_is_not_taken(
    sandbox: Sandbox, make: Submit, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list whose filter ignores case, or does not filter at all, must not give one row the job of another."""
    sandbox.add_job(reference_id="R")
    submitter, begun = make(), row(entry=await in_doubt(journal))
    everything = submitter.client.lipsync.requests.iterate
    monkeypatch.setattr(submitter.client.lipsync.requests, "iterate", lambda **_: everything())
    assert await submitter.submit(begun)
    assert [job.reference_id for job in sandbox.jobs.values()] == ["R", "r"]


async def test_of_two_jobs_the_first_is_taken_and_both_are_named(
    sandbox: Sandbox, make: Submit, journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    first = sandbox.add_job(reference_id="r")
    second = sandbox.add_job(reference_id="r")
    begun = row(entry=await in_doubt(journal))
    assert await make().submit(begun)
    assert begun.request_id == first.id
    assert capsys.readouterr().err == f"2 jobs carry the reference r: {first.id}, {second.id}; the first is taken\n"


async def test_a_lost_answer_is_searched_for_in_the_same_run(sandbox: Sandbox, make: Submit) -> None:
    sandbox.inject(Fault.status(504, when="after"), route=GENERATE, times=1)
    sandbox.inject(Fault.status(503), route=LIST, times=8, after=1)  # the client gives up its own search
    begun = row()
    assert await make().submit(begun)
    assert [job.id for job in sandbox.jobs.values()] == [begun.request_id]


async def test_a_row_whose_answers_are_lost_again_and_again_is_left_in_doubt(sandbox: Sandbox, make: Submit) -> None:
    sandbox.inject(Fault.status(504), route=GENERATE)
    begun = row()
    with pytest.raises(errors.SubmissionUncertainError, match="the next run searches on"):
        await make().submit(begun)
    assert posts(sandbox) == 3
    assert begun.step is Step.SUBMITTING


async def test_a_refused_row_keeps_its_reference_for_the_next_run(sandbox: Sandbox, make: Submit) -> None:
    sandbox.inject(Fault.status(400, "invalid video"), route=GENERATE, times=1)
    begun = row()
    with pytest.raises(errors.BadRequestError):
        await make().submit(begun)
    assert begun.step is Step.REFUSED
    reference_id = begun.reference_id
    assert await make().submit(begun)
    assert [job.reference_id for job in sandbox.jobs.values()] == [reference_id]


@pytest.mark.parametrize(
    ("status", "step"),
    [
        (400, Step.REFUSED),
        (422, Step.REFUSED),
        (409, Step.SUBMITTING),
        (412, Step.SUBMITTING),
        (403, Step.SUBMITTING),
    ],
)
async def test_a_refusal_after_a_lost_answer_ends_the_doubt_only_if_it_is_about_the_row(
    sandbox: Sandbox, make: Submit, journal: Journal, status: int, step: Step
) -> None:
    """The lost submission may have taken the reference, or the last of the quota."""
    sandbox.inject(Fault.status(status), route=GENERATE)
    begun = row(entry=await in_doubt(journal))
    with pytest.raises(errors.APIStatusError):
        await make().submit(begun)
    assert begun.step is step
    assert Journal.read(journal.path, sandbox.base_url).entries["r"].step is step


async def test_a_reference_of_the_list_that_has_a_job_already_is_refused(
    sandbox: Sandbox, make: Submit, journal: Journal
) -> None:
    job = sandbox.add_job(reference_id="mine")
    begun = row("mine")
    with pytest.raises(errors.ConfigurationError, match=f"belongs to an earlier job already, {job.id}"):
        await make().submit(begun)
    assert posts(sandbox) == 0
    assert journal.entries == {}


async def test_nothing_is_submitted_once_the_run_has_stopped(sandbox: Sandbox, make: Submit) -> None:
    submitter = make()
    submitter.stopped = "enough"
    assert not await submitter.submit(row())
    assert sandbox.received == ()


async def test_rows_that_queue_end_at_once_when_the_run_stops(sandbox: Sandbox, make: Submit) -> None:
    loop = asyncio.get_running_loop()
    submitter, begin = make(rate=6.0), loop.time()
    tasks = [asyncio.create_task(submitter.submit(row())) for _ in range(50)]
    await asyncio.sleep(25)
    submitter.stopped = "enough"
    assert [await task for task in tasks] == [True] * 3 + [False] * 47
    assert loop.time() - begin == pytest.approx(30, abs=1)


async def test_a_cancellation_leaves_the_doubt_in_the_journal(
    sandbox: Sandbox, make: Submit, journal: Journal
) -> None:
    sandbox.inject(Fault.latency(30), route=GENERATE)
    begun = row()
    task = asyncio.create_task(make().submit(begun))
    await asyncio.sleep(10)
    assert len(sandbox.jobs) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    entry = Journal.read(journal.path, sandbox.base_url).entries[str(begun.reference_id)]
    assert entry.step is Step.SUBMITTING
    again = row(entry=entry)
    assert await make().submit(again)
    assert [job.id for job in sandbox.jobs.values()] == [again.request_id]
