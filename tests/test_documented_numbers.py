"""The numbers that the pages state are those of the code."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import Any

import attrs
import pytest

from chamelaion_async import AsyncClient, ChamelaionError, Pace, PollPolicy, RetryPolicy, SubmissionUncertainError
from chamelaion_async.sandbox import Fault, Sandbox

ROOT = Path(__file__).parents[1]
TEXTS = {
    page.relative_to(ROOT).as_posix(): page.read_text("utf-8")
    for page in [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
}
POLICIES = (PollPolicy(), RetryPolicy(), Pace())
WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "eight": 8, "ten": 10, "twelve": 12,
    "tenth": 0.1, "hundredth": 0.01, "half a": 0.5, "second": 1, "minute": 60, "hour": 3600,
}  # fmt: skip

# A page, words of it with # in place of a number, and the number, or where it is: "module:name" or "room:name".
STATED: list[tuple[str, str, str | float]] = [
    ("docs/howto/waiting.md", "The default is #.", "client:AsyncClient.wait_until_finished(timeout)"),
    ("docs/howto/waiting.md", "at random by up to a #", PollPolicy().jitter),
    ("docs/howto/waiting.md", "a # of the job's age", PollPolicy().age_factor),
    ("docs/howto/waiting.md", "at least # second", PollPolicy().min_interval),
    ("docs/howto/waiting.md", "and at most #.", PollPolicy().max_interval),
    ("docs/howto/waiting.md", "After # jobs", "polling.learned_intervals:ENOUGH"),
    ("docs/howto/waiting.md", "up to # times twelve seconds", "polling.learned_intervals:_LONGEST"),
    ("docs/howto/waiting.md", "outlast the deadline by up to a #.", "polling.plan:LAST_POLL"),
    ("docs/howto/many.md", "every # seconds, one of the jobs", "loading.delivery:_AUDIT_PAUSE"),
    ("docs/howto/many.md", "up to # times for each id", "polling:MOST_REFUSALS"),
    ("docs/howto/many.md", "A client begins with #.", "loading.reader_pool:_AT_FIRST"),
    ("docs/howto/configuration.md", "the last byte of the answer; # by default", "client:AsyncClient(timeout)"),
    ("docs/howto/configuration.md", "By default there are # attempts", RetryPolicy().attempts),
    ("docs/howto/configuration.md", "pauses of at most # second and", RetryPolicy().initial),
    ("docs/howto/configuration.md", "half a second and # second", RetryPolicy().initial * 2),
    ("docs/howto/configuration.md", "or for one # where it names", "_http.rate:_PAUSE"),
    ("docs/howto/configuration.md", "fewer than # requests", "_http.rate:_FIRST"),
    ("docs/howto/configuration.md", "the lane begins at # a second", "_http.rate:_FIRST"),
    ("docs/howto/configuration.md", "doubles that every # seconds", "_http.rate:_DOUBLES_IN"),
    ("docs/howto/configuration.md", "The lane starts a # below that", "_http.rate:_DIP"),
    ("docs/howto/configuration.md", "2, 4 and then # seconds", "_http.rate:_LONGEST_PAUSE"),
    ("docs/howto/configuration.md", "A client begins with #.", "_http.concurrency:_LEAST"),
    ("docs/howto/configuration.md", "and at least # seconds", "loading.list_health:_FAILURE_PAUSE.0"),
    ("docs/howto/list.md", "page after page, # at a time", "_http.paging:PAGE_SIZE"),
    ("docs/howto/list.md", "it goes on with #, the documented", "_http.paging:_DEFAULT_SIZE"),
    ("docs/howto/submit.md", "remembers for an # which jobs", "resources:LIFETIME"),
    ("docs/howto/submit.md", "an hour, and the newest # jobs", "resources:CAPACITY"),
    ("docs/howto/submit.md", "pages of # is asked", "_http.paging:PAGE_SIZE"),
    ("docs/sharing.md", "claim = A, for # seconds", "redis.claims:LEASE"),
    ("docs/sharing.md", "| # seconds without renewal", "redis.claims:LEASE"),
    ("docs/sharing.md", "its claims end after # seconds", "redis.claims:LEASE"),
    ("docs/sharing.md", "| # seconds after the last process", "redis.outbox:SEEN"),
    ("docs/sharing.md", "no answer to a command within # seconds", "redis.engine.connection:TIME_LIMIT"),
    ("docs/sharing.md", "connections: # for commands", "redis.engine.connection:CONNECTIONS"),
    ("docs/spacing.md", "until # jobs are known. After", "polling.learned_intervals:ENOUGH"),
    ("docs/spacing.md", "a pause may last up to # times `max_interval`", "polling.learned_intervals:_LONGEST"),
    ("docs/spacing.md", "with # that took longer", "polling.learned_intervals:_DOUBT"),
    ("docs/spacing.md", "a few durations over # times the median", "polling.learned_intervals:_OUTLIER"),
    ("docs/spacing.md", "a # of a second at least", "polling.learned_intervals:_LOWEST_PRICE"),
    ("docs/spacing.md", "the pause is a # of it", PollPolicy().age_factor),
    ("docs/spacing.md", "half of one that came # jobs later", "polling.durations:_HALF_LIFE"),
    ("docs/spacing.md", "The newest # of each kind", "polling.durations:_MOST"),
    ("docs/spacing.md", "once # with the same number", "polling.durations:_OWN"),
    ("docs/spacing.md", "until # jobs are known. From", "polling.durations:_ENOUGH"),
    ("docs/spacing.md", "at most # jobs of a page", "polling.durations:_FEW"),
    ("docs/spacing.md", "up to # share the price", "loading.loader:_MOST_SHARING"),
    ("docs/spacing.md", "a poll costs # times as much", "loading.loader:_THROTTLED"),
    ("docs/why.md", "for every # GETs", "loading.entries:_GETS_PER_PAGE"),
    ("docs/why.md", "again after # seconds", "loading.list_health:_FAILURE_PAUSE.0"),
    ("docs/why.md", "Every # seconds one of the jobs", "loading.delivery:_AUDIT_PAUSE"),
    ("docs/why.md", "not read for a #,", "loading.list_health:_LAG_PAUSE.0"),
    ("docs/reference/api.md", "rides out 404 for # seconds", PollPolicy().not_found_grace),
    ("docs/reference/api.md", "with GET every # seconds", "loading.delivery:_AUDIT_PAUSE"),
    ("docs/tutorial.md", "A wait ends after # minutes", 600 / 60),
    ("README.md", "for # minutes", PollPolicy().outage_budget / 60),
]  # fmt: skip


def value_of(source: str | float) -> float:
    """Return a number of the package: a constant, an item of one, or the default of an argument."""
    if not isinstance(source, str):
        return source
    place, _, name = source.partition(":")
    path, _, argument = name.rstrip(")").partition("(")
    first, *rest = path.split(".")
    room = importlib.import_module(f"chamelaion_async.{place}")
    names = [f"{room.__name__}.{module.name}" for module in pkgutil.iter_modules(getattr(room, "__path__", []))]
    modules = [room, *map(importlib.import_module, names)]
    found: Any
    (found,) = {getattr(module, first) for module in modules if hasattr(module, first)}
    for part in rest:
        found = found[int(part)] if part.isdigit() else getattr(found, part)
    if argument:
        found = inspect.signature(found).parameters[argument].default
    assert isinstance(found, (int, float))
    return found


def number(text: str) -> float:
    return WORDS[text] if text in WORDS else float(text.replace(",", ""))


def flowing(page: str) -> str:
    """Return a page without line breaks and emphasis."""
    return " ".join(TEXTS[page].replace("*", "").split())


@pytest.mark.parametrize(("page", "words", "source"), STATED, ids=lambda value: str(value)[:48])
def test_a_page_states_the_number_of_the_code(page: str, words: str, source: str | float) -> None:
    before, _, after = words.partition("#")
    choice = "|".join([*sorted(WORDS, key=len, reverse=True), r"\d[\d,.]*\d|\d"])
    stated = re.search(f"{re.escape(before)}({choice}){re.escape(after)}", flowing(page))
    assert stated, f"{page} no longer says {words!r}"
    assert number(stated[1]) == pytest.approx(value_of(source))


@pytest.mark.parametrize("page", TEXTS)
def test_a_default_beside_the_name_of_a_setting_is_the_default(page: str) -> None:
    defaults: dict[str, set[float]] = {}
    for policy in POLICIES:
        for name, value in attrs.asdict(policy).items():
            if isinstance(value, (int, float)):
                defaults.setdefault(name, set()).add(float(value))
    for name, stated in re.findall(r"`(?:\w+\.)?(\w+)` (?:seconds |says )?\((\d+)\)", flowing(page)):
        assert name in defaults, f"{page} gives {name} a default"
        assert float(stated) in defaults[name], f"{page} says {stated} for {name}"


LIST, SUBMIT = "GET /v1/lipsync/requests", "POST /v1/lipsync/generate"
VIDEO, AUDIO = "https://cdn.example.com/1.mp4", "https://cdn.example.com/1.wav"


async def submitted(*faults: tuple[Fault, int | None]) -> tuple[Sandbox, float, Exception]:
    """Submit to a sandbox with these faults, each so many times, and return how long it took and how it ended."""
    clock = asyncio.get_running_loop().time
    async with Sandbox() as sandbox, AsyncClient("sk-test", base_url=sandbox.base_url) as client:
        for fault, times in faults:
            sandbox.inject(fault, route=SUBMIT, times=times)
        began = clock()
        with pytest.raises(ChamelaionError) as caught:
            await client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id="dub-1")
        return sandbox, clock() - began, caught.value


@pytest.mark.virtual_time
async def test_after_a_lost_answer_the_list_is_read_three_times_over_five_seconds() -> None:
    sandbox, seconds, error = await submitted((Fault.status(504), 1))
    assert isinstance(error, SubmissionUncertainError)
    assert sandbox.count(LIST) == 1 + 3  # one before the submission
    assert seconds == pytest.approx(5, abs=0.2)
    assert "up to three times, over about five seconds" in flowing("docs/howto/submit.md")


@pytest.mark.virtual_time
async def test_after_a_refusal_of_a_second_attempt_the_list_is_read_once_more_three_seconds_later() -> None:
    sandbox, seconds, error = await submitted((Fault.reset(), 1), (Fault.status(412), 1))
    assert isinstance(error, SubmissionUncertainError)
    assert sandbox.count(LIST) == 1 + 3 + 1
    assert seconds == pytest.approx(5 + 3, abs=0.2)
    assert "once more, three seconds later" in flowing("docs/howto/submit.md")


@pytest.mark.virtual_time
async def test_a_lost_submission_is_sent_at_most_four_times_more() -> None:
    sandbox, _, error = await submitted((Fault.reset(), None))
    assert isinstance(error, SubmissionUncertainError)
    assert sandbox.count(SUBMIT) == 1 + 4
    assert "at most four times more" in flowing("docs/howto/submit.md")


def test_the_cap_on_answers_and_the_redirects_are_as_security_says() -> None:
    assert value_of("_http.answers:MAX_BODY") == 8 * 1024 * 1024
    assert "more than 8 MiB" in flowing("SECURITY.md")
    assert value_of("_media:MAX_REDIRECTS") == 10
    assert "redirects to http(s), at most ten" in flowing("SECURITY.md")


def test_the_rate_is_never_learned_below_one_request_in_ten_seconds() -> None:
    assert value_of("_http.rate:_LEAST") == pytest.approx(1 / 10)
    assert "one request in ten seconds" in flowing("docs/howto/configuration.md")


def test_the_width_of_a_lane_is_judged_every_25_milliseconds() -> None:
    assert value_of("_http.concurrency:MOMENT") == pytest.approx(0.025)
    assert "every 25 milliseconds" in flowing("docs/howto/configuration.md")


@pytest.mark.virtual_time
async def test_eight_reads_begin_at_once_and_one_more_for_each_good_answer() -> None:
    one = "GET /v1/lipsync/requests/{id}"
    async with Sandbox() as sandbox, AsyncClient("sk-test", base_url=sandbox.base_url) as client:
        sandbox.add_job()
        sandbox.inject(Fault.hang(), route=one)
        # A page comes first. Its ids are UUIDs, so it cannot answer for references: each needs a GET.
        reading = asyncio.create_task(client.lipsync.requests.get_many([f"job-{n}" for n in range(100)]))
        await asyncio.sleep(0.2)  # before the GETs count as slow, which would let more begin
        assert sandbox.count("GET /v1/lipsync/requests") == 1
        assert sandbox.count(one) == 8 + 1
        reading.cancel()
