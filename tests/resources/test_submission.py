"""Paid once, on virtual time: whatever becomes of the answer, one submission starts one job or is uncertain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from typing import Any, Literal

import attrs
import pytest

from chamelaion_async import ChamelaionError, ClientClosedError, GenerateAccepted, SubmissionUncertainError
from chamelaion_async.models import Job
from chamelaion_async.resources.baseline import ListedJobs
from chamelaion_async.resources.submission import Submissions

from .scripted import AT_WORK, LOST, NOON, REFERENCE, REFUSED, UNCERTAIN, Fate, ScriptedService, failure, script

pytestmark = pytest.mark.virtual_time

UNREADABLE_LIST = ("reset", "not sent", "timeout", "500", "503", "unreadable", "429")
UUID = "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8"

many = pytest.mark.parametrize("older", [1, 2, 10, 99, 100, 101, 250])
accepted_or_lost = pytest.mark.parametrize("lag", [0.0, None], ids=["accepted", "lost"])
later_or_lost = pytest.mark.parametrize("lag", [30.0, None], ids=["accepted", "lost"])
clocks = pytest.mark.parametrize(
    "clock",
    [{}, {"has_date": False}, {"ahead": 2.0}, {"ahead": -2.0}],
    ids=["one clock", "no Date", "jobs stamped ahead", "jobs stamped behind"],
)


def troubles(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("trouble", names)


@attrs.define(eq=False)
class Scene:
    """A service, the submissions of one client, and the fates of the POSTs."""

    fates: Iterator[Fate]
    api: ScriptedService
    submissions: Submissions

    async def submit(
        self, reference_id: str | None = REFERENCE, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> GenerateAccepted:
        return await self.api.submit(self.submissions, self.fates, reference_id, sleep)

    async def outcome(self, **options: Any) -> str:
        """The id of the job that is returned, "uncertain", or the text of the error."""
        try:
            return (await self.submit(**options)).request_id
        except SubmissionUncertainError:
            return "uncertain"
        except ChamelaionError as error:
            return str(error)

    async def cost(self, **options: Any) -> tuple[str, int, int]:
        """The outcome, and the numbers of POSTs and of reads of the list."""
        return await self.outcome(**options), self.api.posts, len(self.api.reads)

    async def uncertainty(self, **options: Any) -> SubmissionUncertainError:
        with pytest.raises(SubmissionUncertainError) as caught:
            await self.submit(**options)
        return caught.value


def scene(*fates: Fate, **settings: Any) -> Scene:
    api = ScriptedService(**settings)
    return Scene(script(*fates), api, Submissions(api.clock))


@pytest.mark.parametrize(("reference_id", "reads"), [(REFERENCE, 1), (None, 0)])
async def test_an_answered_submission_costs_at_most_one_read_and_no_pause(
    reference_id: str | None, reads: int
) -> None:
    one = scene(Fate())
    started = one.api.clock()

    assert await one.cost(reference_id=reference_id) == ("job-1", 1, reads)
    assert one.api.clock() == started


@troubles(*UNCERTAIN)
@pytest.mark.parametrize(("lag", "reads"), [(0.0, 2), (0.4, 2), (1.0, 3), (2.1, 4), (4.9, 4)])
async def test_a_job_whose_answer_was_lost_is_found_in_the_list(trouble: str, lag: float, reads: int) -> None:
    assert await scene(Fate(trouble, lag)).cost() == ("job-1", 1, reads)


async def test_a_found_job_is_accepted_as_any_other() -> None:
    assert await scene(Fate("reset")).submit() == GenerateAccepted(request_id="job-1", status="success")


@pytest.mark.parametrize(
    ("trouble", "later", "expected"),
    [
        *((each, [Fate()], ("job-2", 2, 4)) for each in LOST),
        *((each, [], ("uncertain", 5, 16)) for each in LOST),
        *((each, [], ("uncertain", 1, 4)) for each in AT_WORK),
        *((each, [], (each, 1, 1)) for each in REFUSED),
        ("reset", [Fate("reset", 0.0)], ("job-2", 2, 5)),
        ("reset", [Fate("timeout", None), Fate()], ("uncertain", 2, 7)),
    ],
)
async def test_a_submission_without_a_job_is_repeated_only_if_it_was_certainly_lost(
    trouble: str, later: list[Fate], expected: tuple[str, int, int]
) -> None:
    assert await scene(Fate(trouble, None), *later).cost() == expected


@pytest.mark.parametrize(
    ("trouble", "lag", "outcome"),
    [
        *((each, lag, "uncertain") for each in UNCERTAIN for lag in (0.0, 1.0, None)),
        *((each, None, each) for each in REFUSED),
    ],
)
async def test_without_a_reference_nothing_is_searched_for_or_repeated(
    trouble: str, lag: float | None, outcome: str
) -> None:
    assert await scene(Fate(trouble, lag)).cost(reference_id=None) == (outcome, 1, 0)


@pytest.mark.parametrize(
    "trouble_and_refusal", [*(("reset", each) for each in REFUSED), *((each, "412") for each in LOST)]
)
@later_or_lost
async def test_a_refusal_after_a_lost_answer_leaves_the_submission_uncertain(
    trouble_and_refusal: tuple[str, str], lag: float | None
) -> None:
    lost, refusal = trouble_and_refusal
    one = scene(Fate(lost, lag), Fate(refusal, None))

    error = await one.uncertainty()

    assert (str(error.__cause__), error.reference_id, one.api.posts) == (refusal, REFERENCE, 2)
    assert (lost in str(error), refusal in str(error)) == (True, True)


async def test_a_refusal_after_several_lost_answers_is_uncertain() -> None:
    one = scene(Fate("reset", None), Fate("reset", None), Fate("reset", 30.0), Fate("409", None))

    assert (str((await one.uncertainty()).__cause__), one.api.posts) == ("409", 4)


@troubles(*REFUSED)
@pytest.mark.parametrize("lag", [5.1, 6.0, 7.9])
async def test_the_list_is_read_once_more_after_a_refusal(trouble: str, lag: float) -> None:
    """What was lost may have caused the refusal: it took the reference, or the last of the quota."""
    assert await scene(Fate("reset", lag), Fate(trouble, None)).cost() == ("job-1", 2, 5)


@troubles(*REFUSED)
async def test_a_refusal_does_not_decide_between_two_jobs(trouble: str) -> None:
    one = scene(Fate("reset", 6.0), Fate(trouble, None))
    one.api.add("foreign", lag=6.0)

    assert await one.outcome() == "uncertain"


async def test_two_jobs_of_one_submission_are_uncertain() -> None:
    """The list shows the first during the repetition: two have been paid for, and the caller has to know it."""
    assert await scene(Fate("reset", 5.2), Fate("reset", 0.0)).cost() == ("uncertain", 2, 5)


async def test_a_search_takes_five_seconds_and_only_the_read_before_it_is_a_single_attempt() -> None:
    one = scene(Fate("timeout", None))
    started = one.api.clock()

    await one.uncertainty()

    assert one.api.clock() - started == pytest.approx(5.0)
    assert one.api.reads == [True, False, False, False]


@many
@pytest.mark.parametrize(("fate", "outcome"), [(Fate("reset"), "job-1"), (Fate("timeout", None), "uncertain")])
async def test_older_jobs_under_the_reference_are_not_returned(older: int, fate: Fate, outcome: str) -> None:
    one = scene(fate)
    one.api.add_older(older)

    assert await one.outcome() == outcome


@pytest.mark.parametrize("older", [20, 21, 60])
async def test_the_new_job_is_found_beside_older_ones_where_pages_are_small(older: int) -> None:
    one = scene(Fate("reset"), cap=20)
    one.api.add_older(older)

    assert await one.outcome() == "job-1"


async def test_an_older_job_that_moves_up_onto_the_page_is_not_returned() -> None:
    one = scene(Fate("timeout", None))
    one.api.add_older(150)

    async def delete_the_youngest(seconds: float) -> None:
        del one.api.jobs[:10]
        await asyncio.sleep(seconds)

    assert await one.outcome(sleep=delete_the_youngest) == "uncertain"


@pytest.mark.parametrize(
    ("lag", "outcomes"), [(None, {"uncertain"}), (0.0, {"job-1", "uncertain"})], ids=["lost", "accepted"]
)
async def test_an_older_job_that_the_list_shows_late_is_not_returned(lag: float | None, outcomes: set[str]) -> None:
    """A list that lags does not show it beforehand, but its time of creation does."""
    one = scene(Fate("timeout", lag))
    one.api.add("older", ago=10.0, lag=0.1)

    assert await one.outcome() in outcomes


def oldest_first(jobs: list[Job]) -> list[Job]:
    return jobs[::-1]


def newest_last(jobs: list[Job]) -> list[Job]:
    return [*jobs[1:], *jobs[:1]]


def mixed(jobs: list[Job]) -> list[Job]:
    return [*jobs[2:3], *jobs[1:2], *jobs[3:], *jobs[:1]]


@pytest.mark.parametrize(
    ("as_listed", "older", "apart", "expires"),
    [
        (oldest_first, 101, 60.0, False),
        (oldest_first, 250, 60.0, False),
        (oldest_first, 120, 60.0, True),
        (oldest_first, 120, 0.0, False),
        (oldest_first, 120, 0.0, True),
        (newest_last, 150, 60.0, False),
        (mixed, 150, 60.0, True),
    ],
)
async def test_a_job_beyond_the_first_page_is_not_paid_for_twice(
    as_listed: Callable[[list[Job]], list[Job]], older: int, apart: float, expires: bool
) -> None:
    """Absence from one page of several proves nothing.

    The order of the list is not documented, jobs of one second are sorted either way, and a total
    stays the same if an old job goes.
    """
    one = scene(Fate("reset"), as_listed=as_listed)
    one.api.add_older(older, apart=apart)

    await one.outcome(sleep=expiring(one.api) if expires else asyncio.sleep)

    assert one.api.started == ["job-1"]


async def test_a_job_whose_stamp_is_behind_recent_ones_is_not_paid_for_twice() -> None:
    one = scene(Fate("reset"))
    for number in range(150):
        one.api.add(f"recent-{number}", ago=10.0 + number / 100)
    one.api.ahead = -30.0

    await one.outcome(sleep=expiring(one.api))

    assert one.api.started == ["job-1"]


def expiring(api: ScriptedService) -> Callable[[float], Awaitable[None]]:
    """A sleep during which an old job expires, once."""
    number = len(api.jobs)

    async def sleep(seconds: float) -> None:
        if len(api.jobs) == number + 1:
            del api.jobs[number - 10]
        await asyncio.sleep(seconds)

    return sleep


@accepted_or_lost
async def test_an_empty_page_of_a_list_that_is_said_to_hold_jobs_decides_nothing(lag: float | None) -> None:
    one = scene(Fate("reset", lag), cap=0)
    one.api.add_older(5)

    assert await one.cost() == ("uncertain", 1, 4)


@pytest.mark.parametrize("older", [0, 10, 150])
async def test_a_date_header_ahead_of_the_clock_that_stamps_jobs_makes_no_job_paid_for_twice(older: int) -> None:
    """The Date may come from a proxy. An unknown job is either this one or a reason not to know."""
    one = scene(Fate("reset"), ahead=-2.0)
    one.api.add_older(older)

    await one.outcome()

    assert one.api.started == ["job-1"]


async def test_two_new_jobs_are_not_chosen_between() -> None:
    one = scene(Fate("reset"))

    async def another_process_submits(seconds: float) -> None:
        await asyncio.sleep(seconds)
        one.api.add("foreign")

    assert await one.cost(sleep=another_process_submits) == ("uncertain", 1, 2)


STRANGERS: dict[str, list[str | None]] = {
    "another": ["dub-43"],
    "longer, as of a prefix match": ["dub-421"],
    "in another case": ["DUB-42"],
    "with a blank": ["dub-42 "],
    "without a name": [None],
    "a whole list": ["dub-4", "dub-421", None, "DUB-42", "x"] * 12,
}
strangers = pytest.mark.parametrize("names", list(STRANGERS.values()), ids=list(STRANGERS))
counted = pytest.mark.parametrize("counts_strangers", [True, False], ids=["counted", "not counted"])


def add_strangers(api: ScriptedService, names: list[str | None], lag: float) -> None:
    for number, name in enumerate(names):
        api.add(f"stranger-{number}", lag=lag, reference_id=name)


@strangers
@pytest.mark.parametrize("listed_in", [0.0, 0.4, 4.9])
async def test_a_job_with_another_reference_is_not_taken_for_the_new_one(
    names: list[str | None], listed_in: float
) -> None:
    one = scene(Fate("reset"))
    add_strangers(one.api, names, listed_in)

    assert await one.cost() == ("job-1", 1, 2)


@strangers
@counted
@later_or_lost
async def test_a_page_with_other_references_proves_no_absence(
    names: list[str | None], counts_strangers: bool, lag: float | None
) -> None:
    one = scene(Fate("reset", lag), Fate(), counts_strangers=counts_strangers)
    add_strangers(one.api, names, 0.4)

    assert await one.cost() == ("uncertain", 1, 4)


async def test_a_page_with_other_references_is_not_the_newest_end_of_the_list() -> None:
    one = scene(Fate("reset", None), Fate())
    one.api.add_older(150)
    add_strangers(one.api, ["dub-421"], 0.0)

    assert ("another reference_id" in str(await one.uncertainty()), one.api.posts) == (True, 1)


@strangers
@counted
async def test_a_page_with_other_references_is_no_whole_baseline(
    names: list[str | None], counts_strangers: bool
) -> None:
    """Without a clock, a job is new only if all that was there before is known."""
    one = scene(Fate("timeout", None), has_date=False, counts_strangers=counts_strangers)
    add_strangers(one.api, names, 0.0)
    one.api.add("older", ago=120.0, lag=0.4)

    assert await one.outcome() == "uncertain"


async def test_two_references_that_the_filter_takes_for_one_get_a_job_each() -> None:
    one = scene(Fate("reset", 1.0))

    ids = await asyncio.gather(*(one.outcome(reference_id=name) for name in ("talk-42", "talk-4")))

    assert ids == ["job-1", "job-2"]


@pytest.mark.parametrize(
    ("older", "as_listed", "outcome"),
    [(0, lambda jobs: [*jobs, *jobs], "job-1"), (1, lambda jobs: [*jobs[-1:]] * len(jobs), "uncertain")],
    ids=["twice is one", "twice is not another"],
)
async def test_a_record_that_is_on_the_page_twice_is_one_job(
    older: int, as_listed: Callable[[list[Job]], list[Job]], outcome: str
) -> None:
    one = scene(Fate("reset"), Fate(), as_listed=as_listed)
    one.api.add_older(older)

    assert (await one.outcome(), one.api.posts) == (outcome, 1)


async def test_a_job_without_an_id_is_not_returned() -> None:
    one = scene(Fate("reset", None))
    one.api.add("", lag=0.1)

    assert await one.cost() == ("uncertain", 1, 2)


@pytest.mark.parametrize("noted", [str.upper, str.lower, str])
async def test_an_older_job_is_known_by_its_uuid_in_either_case(noted: Callable[[str], str]) -> None:
    one = scene(Fate("timeout", None), has_date=False)
    one.api.add(noted("6f82a2d8-A6D4-4e8a-a0fa-e8b09823a2d8"))

    async def list_it_otherwise(seconds: float) -> None:
        one.api.jobs[0].job = attrs.evolve(one.api.jobs[0].job, id=UUID)
        await asyncio.sleep(seconds)

    assert await one.outcome(sleep=list_it_otherwise) == "uncertain"


@pytest.mark.parametrize(
    ("fate", "outcome"), [(Fate(), "job-1"), (Fate("reset"), "uncertain"), (Fate("400", None), "400")]
)
@troubles(*UNREADABLE_LIST)
async def test_a_list_that_fails_beforehand_matters_only_if_an_answer_is_lost(
    trouble: str, fate: Fate, outcome: str
) -> None:
    assert await scene(fate, list_troubles=[trouble]).cost() == (outcome, 1, 1)


async def test_credentials_that_the_list_does_not_accept_submit_nothing() -> None:
    assert await scene(Fate(), list_troubles=["401"]).cost() == ("401", 0, 1)


@troubles(*UNREADABLE_LIST, "400", "401", "403")
@pytest.mark.parametrize(
    ("fates", "failing", "expected"),
    [
        ([Fate("reset")], [False, True, True, True], ("uncertain", 1, 4)),
        ([Fate("reset", None)], [False, False, False, True], ("uncertain", 1, 4)),
        ([Fate("reset")], [False, True, True], ("job-1", 1, 4)),
        ([Fate("reset", None), Fate("401", None)], [False] * 4 + [True], ("uncertain", 2, 5)),
    ],
    ids=["always", "at last", "for a moment", "after a refusal"],
)
async def test_a_list_that_fails_afterwards_proves_no_absence(
    trouble: str, fates: list[Fate], failing: list[bool], expected: tuple[str, int, int]
) -> None:
    assert await scene(*fates, list_troubles=[trouble if each else None for each in failing]).cost() == expected


async def test_a_list_that_fails_afterwards_is_named_beside_the_lost_answer() -> None:
    error = await scene(Fate("reset"), list_troubles=[None, "503", "503", "503"]).uncertainty()

    assert ("503" in str(error), str(error.__cause__)) == (True, "reset")


async def at_once(one: Scene, number: int) -> list[str]:
    return await asyncio.gather(*(one.outcome() for _ in range(number)))


@pytest.mark.parametrize(
    ("fates", "outcomes"),
    [
        ([Fate("reset"), Fate()], ["uncertain", "job-2"]),
        ([Fate("reset", None)], ["uncertain"] * 3),
        ([Fate()], [f"job-{n}" for n in range(1, 6)]),
    ],
    ids=["a found job may be another's", "a lost one is not repeated", "answered ones are returned"],
)
async def test_submissions_at_once_under_one_reference(fates: list[Fate], outcomes: list[str]) -> None:
    one = scene(*fates)

    assert (await at_once(one, len(outcomes)), one.api.posts) == (outcomes, len(outcomes))
    assert one.submissions.is_idle


@pytest.mark.parametrize("lag", [0.0, 10.0], ids=["begins", "begins and ends"])
async def test_another_submission_during_the_search_makes_it_uncertain(lag: float) -> None:
    one = scene(Fate("reset", 3.0), Fate(None, lag))
    first = asyncio.create_task(one.outcome())
    await asyncio.sleep(1.0)

    assert not one.submissions.is_idle
    assert [await one.outcome(), await first] == ["job-2", "uncertain"]


async def test_submissions_without_a_reference_share_none() -> None:
    one, other = scene(Fate("reset")), scene(Fate())
    other.submissions = one.submissions

    assert (await asyncio.gather(one.outcome(), other.outcome(reference_id=None)))[0] == "job-1"


@pytest.mark.parametrize(
    ("fates", "outcomes"),
    [
        ([Fate(), Fate("reset")], ["job-1", "job-2"]),
        ([Fate("400", None), Fate("reset")], ["400", "job-2"]),
        ([Fate("reset", 1.0)], ["job-1", "job-2", "job-3"]),
        ([Fate("timeout", None), Fate()], ["uncertain", "job-2"]),
        *(([Fate("timeout", None), Fate(each, None)], ["uncertain", each]) for each in REFUSED),
    ],
)
async def test_a_submission_after_one_that_ended_ends_by_itself(fates: list[Fate], outcomes: list[str]) -> None:
    one = scene(*fates)

    assert [await one.outcome() for _ in outcomes] == outcomes
    assert one.submissions.is_idle


@clocks
@troubles(*LOST)
async def test_a_job_that_was_returned_is_never_returned_again(trouble: str, clock: dict[str, Any]) -> None:
    """The list lags, so that the first job appears after the second submission has begun."""
    one = scene(Fate(None, 2.0), Fate(trouble, None), Fate(), **clock)
    first = await one.outcome()
    await asyncio.sleep(0.9)

    assert (first, await one.outcome(), one.api.started) == ("job-1", "job-3", ["job-1", "job-3"])


@clocks
async def test_beside_a_job_that_was_returned_the_next_one_is_found(clock: dict[str, Any]) -> None:
    one = scene(Fate(None, 2.0), Fate("reset", 2.5), **clock)
    await one.submit()
    await asyncio.sleep(0.9)

    assert await one.outcome() in {"job-2", "uncertain"}


async def test_a_job_that_was_found_is_never_returned_again() -> None:
    one = scene(Fate("reset", 1.0), Fate("timeout", None), has_date=False)
    assert await one.outcome() == "job-1"
    for started in one.api.jobs:  # a replica that lags behind the one that was read before
        started.listed_at = one.api.clock() + 0.3

    assert await one.outcome() == "uncertain"


@pytest.mark.parametrize(
    "fates",
    [[Fate("reset", 9.0), Fate("reset", 1.0)], [Fate("reset", 5.6), Fate(None, 0.0)]],
    ids=["then found", "then answered"],
)
async def test_a_job_of_an_attempt_that_was_repeated_is_not_taken_for_the_next_submission(fates: list[Fate]) -> None:
    """The list was too slow for the first attempt, so the first submission has two jobs, and returned the second."""
    one = scene(*fates, Fate("timeout", None), has_date=False)
    assert await one.outcome() == "job-2"

    assert await one.outcome() == "uncertain"


@pytest.mark.parametrize("answered", [str.upper, str.lower])
@pytest.mark.parametrize("listed", [str.upper, str.lower])
async def test_a_job_that_was_returned_is_known_by_its_uuid_in_either_case(
    answered: Callable[[str], str], listed: Callable[[str], str]
) -> None:
    one = scene(Fate("timeout", None), has_date=False)

    async def accept() -> GenerateAccepted:
        return GenerateAccepted(request_id=answered(UUID), status="success")

    await one.submissions.submit(accept, reference_id=REFERENCE, list_jobs=one.api.list_jobs, sleep=asyncio.sleep)
    one.api.add(listed(UUID), lag=0.3)

    assert await one.outcome() == "uncertain"


@clocks
@troubles(*AT_WORK)
async def test_a_job_of_an_uncertain_submission_is_not_taken_for_the_next_one(
    trouble: str, clock: dict[str, Any]
) -> None:
    one = scene(Fate(trouble, 6.0), Fate("reset", None), Fate(), **clock)

    assert ([await one.outcome(), await one.outcome()], one.api.posts) == (["uncertain"] * 2, 2)


async def test_after_an_uncertain_submission_the_next_one_is_not_repeated() -> None:
    """The list has failed to show a job once already, or may be about to show one."""
    one = scene(Fate("timeout", None), Fate("reset", None), Fate())
    await one.uncertainty()

    assert ("an earlier submission" in str(await one.uncertainty()), one.api.posts) == (True, 2)


@pytest.mark.parametrize("moment", [0.5, 1.2, 2.5, 5.5])
async def test_a_job_of_a_cancelled_submission_is_not_taken_for_the_next_one(moment: float) -> None:
    """Cancelled while the POST is under way, after its answer was lost, and during the repetition."""
    one = scene(Fate("reset", 6.0, takes=1.0), Fate("timeout", None), has_date=False)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(moment):
            await one.submit()
    await asyncio.sleep(6.5 - moment)

    assert await one.outcome() == "uncertain"


async def test_an_hour_later_nothing_is_remembered() -> None:
    one = scene(Fate("timeout", None), Fate("reset"))
    await one.uncertainty()
    await asyncio.sleep(3601.0)

    assert await one.outcome() == "job-2"


Stage = Literal["baseline", "post", "pause", "search"]
STAGES: tuple[Stage, ...] = ("baseline", "post", "pause", "search")
INTERRUPTIONS = (asyncio.CancelledError, ClientClosedError, ZeroDivisionError)


@attrs.define
class Interrupted:
    """A submission whose answer is lost, and which an error interrupts at one stage."""

    stage: Stage
    kind: type[BaseException]
    submissions: Submissions = attrs.field(factory=Submissions)
    _reads: Iterator[int] = attrs.field(factory=count)

    def _at(self, stage: Stage) -> None:
        if stage == self.stage:
            raise self.kind("enough")

    async def post(self) -> GenerateAccepted:
        self._at("post")
        raise failure("reset")

    async def list_jobs(self, reference_id: str, *, once: bool) -> ListedJobs:
        self._at("search" if next(self._reads) else "baseline")
        return ListedJobs(jobs=[], total=0, server_time=NOON)

    async def sleep(self, seconds: float) -> None:
        self._at("pause")

    async def submit(self, reference_id: str | None = REFERENCE) -> BaseException:
        with pytest.raises(self.kind, match="enough") as caught:
            await self.submissions.submit(
                self.post, reference_id=reference_id, list_jobs=self.list_jobs, sleep=self.sleep
            )
        return caught.value


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("kind", INTERRUPTIONS)
async def test_an_interruption_passes_at_every_stage_and_says_what_it_leaves_open(
    stage: Stage, kind: type[BaseException]
) -> None:
    interrupted = Interrupted(stage, kind)

    notes = getattr(await interrupted.submit(), "__notes__", [])

    note = f"the submission with reference_id {REFERENCE!r} may or may not have been accepted. "
    note += f"Before you submit again, check list(reference_id={REFERENCE!r})."
    assert (notes, interrupted.submissions.is_idle) == ([] if stage == "baseline" else [note], True)


@pytest.mark.parametrize("kind", INTERRUPTIONS)
async def test_an_interruption_without_a_reference_says_where_to_check(kind: type[BaseException]) -> None:
    (note,) = (await Interrupted("post", kind).submit(reference_id=None)).__notes__

    assert "the newest requests before you submit again" in note


async def test_what_was_cancelled_before_it_was_sent_leaves_no_doubt_about_the_next_one() -> None:
    one = scene(Fate("reset"))
    await Interrupted("baseline", asyncio.CancelledError, one.submissions).submit()

    assert await one.outcome() == "job-1"


@troubles(*UNCERTAIN)
@pytest.mark.parametrize(
    ("reference_id", "advice"),
    [(REFERENCE, f"list(reference_id={REFERENCE!r})"), (None, "pass a reference_id next time")],
)
async def test_an_uncertainty_says_why_and_what_to_do_once(
    trouble: str, reference_id: str | None, advice: str
) -> None:
    error = await scene(Fate(trouble, None)).uncertainty(reference_id=reference_id)

    assert error.reference_id == reference_id
    assert (str(error.__cause__), trouble in str(error), advice in str(error)) == (trouble, True, True)
    assert not hasattr(error, "__notes__")


async def test_an_uncertainty_without_a_baseline_has_the_lost_answer_as_its_cause() -> None:
    error = await scene(Fate("timeout"), list_troubles=["reset"]).uncertainty()

    assert str(error.__cause__) == "timeout"


async def test_an_uncertainty_between_two_submissions_asks_for_references_of_their_own() -> None:
    one = scene(Fate("reset"))

    results = await asyncio.gather(*(one.submit() for _ in range(2)), return_exceptions=True)

    assert all("give each submission one of its own" in str(result) for result in results)
