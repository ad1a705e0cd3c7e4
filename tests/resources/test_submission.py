"""Paid once: whatever becomes of the answer, one submission starts one job, or says that it does not know."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Literal, TypeVar

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chamelaion_async import (
    APIConnectionError,
    APITimeoutError,
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    ChamelaionError,
    ClientClosedError,
    ConflictError,
    GenerateAccepted,
    InternalServerError,
    InvalidResponseError,
    Pace,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    RetryPolicy,
    SubmissionUncertainError,
    UnprocessableEntityError,
)
from chamelaion_async.errors import APIStatusError
from chamelaion_async.models import Job
from chamelaion_async.resources.baseline import ListedJobs
from chamelaion_async.resources.submission import Submissions
from chamelaion_async.sandbox import Fault, Sandbox
from tests.conftest import RefusePages

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)

REFERENCE = "dub-42"
NOON = datetime(2026, 4, 7, 12, 0, tzinfo=UTC)
GENERATE = "POST /v1/lipsync/generate"
GENERATE_WITH_MEDIA = "POST /v1/lipsync/generate-with-media"
LIST = "GET /v1/lipsync/requests"
VIDEO = "https://cdn.example.com/42.mp4"
AUDIO = "https://cdn.example.com/42.wav"
SWIFT = RetryPolicy(initial=0.01, max=0.02)


def status(kind: type[APIStatusError], code: int) -> APIStatusError:
    return kind(f"answered {code}", status=code, message="", headers={}, body=None, method="POST", path="/generate")


def lost(
    kind: type[APIConnectionError] = APIConnectionError, sent: Literal["no", "maybe"] = "maybe"
) -> ChamelaionError:
    return kind(f"{kind.__name__}, sent: {sent}", sent=sent, method="POST", path="/generate")


def anew(error: E) -> E:
    """The same error without what it has been through, which would grow from test to test."""
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)


RESET = lost()
TIMEOUT = lost(APITimeoutError)
UNREADABLE = InvalidResponseError("answered 200 with HTML", method="POST", path="/generate", status=200)

# Not accepted, if the list says so after a few seconds.
PERHAPS_LOST = {
    "reset": RESET,
    "500": status(InternalServerError, 500),
    "502": status(InternalServerError, 502),
    "503": status(InternalServerError, 503),
}
# The service, or whatever stands before it, may still be at work, or has said yes already.
PERHAPS_AT_WORK = {
    "timeout": TIMEOUT,
    "504": status(InternalServerError, 504),
    "524, a proxy's timeout": status(InternalServerError, 524),
    "unreadable 200": UNREADABLE,
}
# Whatever the list says.
NOT_ACCEPTED = {
    "not sent": lost(sent="no"),
    "connect timeout": lost(APITimeoutError, sent="no"),
    "429": status(RateLimitError, 429),
    "400": status(BadRequestError, 400),
    "401": status(AuthenticationError, 401),
    "403": status(PermissionDeniedError, 403),
    "409": status(ConflictError, 409),
    "412": status(QuotaExceededError, 412),
    "422": status(UnprocessableEntityError, 422),
}
UNCERTAIN = PERHAPS_LOST | PERHAPS_AT_WORK


@attrs.frozen
class Fate:
    """What becomes of one POST: whether it starts a job, how long the list hides it, and how the answer fails."""

    error: ChamelaionError | None = None
    lag: float | None = 0.0  # None: no job was started


@attrs.define
class Entry:
    job: Job
    listed_at: float


@attrs.define(kw_only=True, eq=False)
class Service:
    """The API as a submission sees it. The last fate is that of every further POST."""

    fates: list[Fate]
    clock: Callable[[], float]
    skew: float = 0.0
    cap: int = 100
    has_date: bool = True
    counts_strangers: bool = True
    is_newest_first: bool = True
    list_errors: list[ChamelaionError | None] = attrs.field(factory=list)
    entries: list[Entry] = attrs.field(factory=list)
    started: list[str] = attrs.field(factory=list)
    posts: int = 0
    reads: list[bool] = attrs.field(factory=list)

    async def post(self) -> GenerateAccepted:
        fate = self.fates[min(self.posts, len(self.fates) - 1)]
        self.posts += 1
        id = f"job-{self.posts}"
        if fate.lag is not None:
            self.started.append(id)
            self.add(id, created_at=self.clock() + self.skew, listed_at=self.clock() + fate.lag)
        if fate.error is not None:
            raise anew(fate.error)
        return GenerateAccepted(request_id=id, status="success")

    async def list_jobs(self, reference_id: str, *, once: bool) -> ListedJobs:
        assert reference_id == REFERENCE
        number = len(self.reads)
        self.reads.append(once)
        if number < len(self.list_errors) and (error := self.list_errors[number]) is not None:
            raise anew(error)
        shown = [entry.job for entry in self.entries if entry.listed_at <= self.clock()]
        shown.sort(key=lambda job: job.created_at, reverse=self.is_newest_first)
        date = self.time(self.clock()).replace(microsecond=0)  # the Date header has no fraction
        total = len([job for job in shown if self.counts_strangers or job.reference_id == reference_id])
        return ListedJobs(jobs=shown[: self.cap], total=total, server_time=date if self.has_date else None)

    def add(
        self, id: str, *, created_at: float, listed_at: float = 0.0, reference_id: str | None = REFERENCE
    ) -> None:
        job = Job(id=id, status="queued", created_at=self.time(created_at), reference_id=reference_id)
        self.entries.append(Entry(job, listed_at))

    def add_older(self, number: int, *, apart: float = 60.0) -> None:
        """Jobs that carried the reference before, the youngest of them two minutes ago."""
        for n in range(number):
            self.add(f"older-{n + 1}", created_at=self.clock() - 120.0 - apart * n)

    @staticmethod
    def time(seconds: float) -> datetime:
        return NOON + timedelta(seconds=seconds)


def service(*fates: Fate, **settings: Any) -> Service:
    """A service whose clock is the loop's; must be made inside of it."""
    return Service(fates=list(fates), clock=asyncio.get_running_loop().time, **settings)


async def submit(
    service: Service,
    *,
    reference_id: str | None = REFERENCE,
    submissions: Submissions | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> GenerateAccepted:
    return await (submissions or Submissions()).submit(
        service.post, reference_id=reference_id, list_jobs=service.list_jobs, sleep=sleep
    )


async def outcome(service: Service, **settings: Any) -> str | ChamelaionError:
    """The id of the job that was returned, "uncertain", or the error."""
    try:
        return (await submit(service, **settings)).request_id
    except SubmissionUncertainError:
        return "uncertain"
    except ChamelaionError as error:
        return error


async def uncertainty(service: Service, **settings: Any) -> SubmissionUncertainError:
    with pytest.raises(SubmissionUncertainError) as caught:
        await submit(service, **settings)
    return caught.value


def errors(table: dict[str, ChamelaionError]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("error", list(table.values()), ids=list(table))


virtual_time = pytest.mark.virtual_time


@virtual_time
async def test_an_answered_submission_costs_one_read_beforehand() -> None:
    api = service(Fate())

    assert (await outcome(api), api.posts, len(api.reads)) == ("job-1", 1, 1)


@virtual_time
async def test_an_answered_submission_without_a_reference_reads_nothing() -> None:
    api = service(Fate())

    assert (await outcome(api, reference_id=None), api.posts, len(api.reads)) == ("job-1", 1, 0)


@virtual_time
async def test_an_answered_submission_does_not_pause() -> None:
    started = asyncio.get_running_loop().time()

    await submit(service(Fate()))

    assert asyncio.get_running_loop().time() == started


@virtual_time
@errors(UNCERTAIN)
@pytest.mark.parametrize(("lag", "reads"), [(0.0, 2), (0.4, 2), (1.0, 3), (2.1, 4), (4.9, 4)])
async def test_a_job_whose_answer_was_lost_is_found_in_the_list(
    error: ChamelaionError, lag: float, reads: int
) -> None:
    api = service(Fate(error, lag))

    assert (await outcome(api), api.posts, len(api.reads)) == ("job-1", 1, reads)


@virtual_time
@errors(PERHAPS_LOST)
async def test_what_the_list_never_shows_is_submitted_again(error: ChamelaionError) -> None:
    api = service(Fate(error, None), Fate())

    assert (await outcome(api), api.posts, len(api.reads)) == ("job-2", 2, 4)


@virtual_time
@errors(PERHAPS_LOST)
async def test_what_is_lost_five_times_is_uncertain(error: ChamelaionError) -> None:
    api = service(Fate(error, None))

    assert (await outcome(api), api.posts, len(api.reads)) == ("uncertain", 5, 16)


@virtual_time
@errors(PERHAPS_AT_WORK)
async def test_what_the_service_may_still_be_at_is_never_submitted_again(error: ChamelaionError) -> None:
    api = service(Fate(error, None))

    assert (await outcome(api), api.posts, len(api.reads)) == ("uncertain", 1, 4)


@virtual_time
@errors(NOT_ACCEPTED)
async def test_what_was_certainly_not_accepted_is_raised_as_it_is(error: ChamelaionError) -> None:
    api = service(Fate(error, None))

    assert (await outcome(api), api.posts, len(api.reads)) == (error, 1, 1)


@virtual_time
@errors(UNCERTAIN)
@pytest.mark.parametrize("lag", [0.0, 1.0, None])
async def test_a_lost_answer_without_a_reference_is_uncertain_at_once(
    error: ChamelaionError, lag: float | None
) -> None:
    api = service(Fate(error, lag))

    assert (await outcome(api, reference_id=None), api.posts, len(api.reads)) == ("uncertain", 1, 0)


@virtual_time
@errors(NOT_ACCEPTED)
async def test_what_was_certainly_not_accepted_needs_no_reference(error: ChamelaionError) -> None:
    api = service(Fate(error, None))

    assert (await outcome(api, reference_id=None), api.posts, len(api.reads)) == (error, 1, 0)


@virtual_time
async def test_a_repetition_whose_answer_is_lost_as_well_is_found() -> None:
    api = service(Fate(RESET, None), Fate(RESET, 0.0))

    assert (await outcome(api), api.posts, len(api.reads)) == ("job-2", 2, 5)


@virtual_time
async def test_a_repetition_that_times_out_is_not_repeated() -> None:
    api = service(Fate(RESET, None), Fate(TIMEOUT, None), Fate())

    assert (await outcome(api), api.posts) == ("uncertain", 2)


@virtual_time
@errors(NOT_ACCEPTED)
@pytest.mark.parametrize("lag", [30.0, None], ids=["accepted", "lost"])
async def test_a_refusal_after_a_lost_answer_says_nothing_of_what_was_lost(
    error: ChamelaionError, lag: float | None
) -> None:
    api = service(Fate(RESET, lag), Fate(error, None))

    caught = await uncertainty(api)

    assert (caught.__cause__, caught.reference_id, api.posts) == (error, REFERENCE, 2)


@virtual_time
@errors(PERHAPS_LOST)
async def test_a_refusal_after_any_lost_answer_is_uncertain(error: ChamelaionError) -> None:
    refusal = status(QuotaExceededError, 412)

    assert (await uncertainty(service(Fate(error, 30.0), Fate(refusal, None)))).__cause__ is refusal


@virtual_time
async def test_a_refusal_after_several_lost_answers_is_uncertain() -> None:
    refusal = status(ConflictError, 409)
    api = service(Fate(RESET, None), Fate(RESET, None), Fate(RESET, 30.0), Fate(refusal, None))

    assert ((await uncertainty(api)).__cause__, api.posts) == (refusal, 4)


@virtual_time
@errors(NOT_ACCEPTED)
@pytest.mark.parametrize("lag", [5.1, 6.0, 7.9])
async def test_the_list_is_read_once_more_after_a_refusal(error: ChamelaionError, lag: float) -> None:
    """What was lost may have caused the refusal: it took the name, or the last of the quota."""
    api = service(Fate(RESET, lag), Fate(error, None))

    assert (await outcome(api), api.posts, len(api.reads)) == ("job-1", 2, 5)


@virtual_time
@errors(NOT_ACCEPTED)
async def test_a_refusal_does_not_settle_between_two_jobs(error: ChamelaionError) -> None:
    api = service(Fate(RESET, 6.0), Fate(error, None))
    api.add("foreign", created_at=api.clock(), listed_at=api.clock() + 6.0)

    assert await outcome(api) == "uncertain"


@virtual_time
async def test_an_uncertainty_after_a_refusal_holds_the_words_of_both_attempts() -> None:
    refusal = status(QuotaExceededError, 412)
    text = str(await uncertainty(service(Fate(RESET, 30.0), Fate(refusal, None))))

    assert (str(RESET) in text, str(refusal) in text) == (True, True)


@virtual_time
async def test_a_job_that_shows_only_during_the_repetition_is_not_one_to_choose_from() -> None:
    """Two have been paid for, and the caller has to know it."""
    api = service(Fate(RESET, 5.2), Fate(RESET, 0.0))

    assert (await outcome(api), api.posts) == ("uncertain", 2)


@virtual_time
async def test_looking_for_a_job_takes_five_seconds_at_most() -> None:
    started = asyncio.get_running_loop().time()

    await uncertainty(service(Fate(TIMEOUT, None)))

    assert asyncio.get_running_loop().time() - started == pytest.approx(5.0)


@virtual_time
async def test_only_the_read_beforehand_is_tried_a_single_time() -> None:
    api = service(Fate(TIMEOUT, None))

    await uncertainty(api)

    assert api.reads == [True, False, False, False]


@virtual_time
async def test_a_found_job_is_accepted_as_any_other() -> None:
    assert await submit(service(Fate(RESET))) == GenerateAccepted(request_id="job-1", status="success")


SOME_AND_MANY = pytest.mark.parametrize("older", [1, 2, 10, 99, 100, 101, 250])


@virtual_time
@SOME_AND_MANY
async def test_the_new_job_is_told_from_older_ones(older: int) -> None:
    api = service(Fate(RESET))
    api.add_older(older)

    assert await outcome(api) == "job-1"


@virtual_time
@SOME_AND_MANY
async def test_an_older_job_is_not_taken_for_a_submission_that_was_lost(older: int) -> None:
    api = service(Fate(TIMEOUT, None))
    api.add_older(older)

    assert await outcome(api) == "uncertain"


@virtual_time
@pytest.mark.parametrize("older", [20, 21, 60])
async def test_the_new_job_is_told_from_older_ones_where_pages_are_small(older: int) -> None:
    api = service(Fate(RESET), cap=20)
    api.add_older(older)

    assert await outcome(api) == "job-1"


@virtual_time
async def test_an_older_job_that_moves_up_onto_the_page_is_not_taken_for_a_new_one() -> None:
    api = service(Fate(TIMEOUT, None))
    api.add_older(150)

    async def delete_the_youngest(seconds: float) -> None:
        del api.entries[:10]
        await asyncio.sleep(seconds)

    assert await outcome(api, sleep=delete_the_youngest) == "uncertain"


@virtual_time
async def test_an_older_job_that_the_list_shows_late_is_not_taken_for_a_new_one() -> None:
    """It is in the list beforehand only if the list does not lag, but it was created before all the same."""
    api = service(Fate(TIMEOUT, None))
    now = asyncio.get_running_loop().time()
    api.add("older", created_at=now - 10, listed_at=now + 0.1)

    assert await outcome(api) == "uncertain"


@virtual_time
async def test_the_new_job_is_found_beside_an_older_one_that_the_list_shows_late() -> None:
    api = service(Fate(TIMEOUT))
    now = asyncio.get_running_loop().time()
    api.add("older", created_at=now - 10, listed_at=now + 0.1)

    assert await outcome(api) in {"job-1", "uncertain"}


@virtual_time
@pytest.mark.parametrize("older", [101, 250])
async def test_a_job_beyond_a_page_that_shows_the_oldest_first_is_not_paid_for_twice(older: int) -> None:
    """The order of the list is not documented, so absence from one page of several proves nothing."""
    api = service(Fate(RESET), is_newest_first=False)
    api.add_older(older)

    await outcome(api)

    assert api.started == ["job-1"]


@virtual_time
async def test_a_job_beyond_a_page_of_jobs_of_one_second_is_not_paid_for_twice() -> None:
    """What a batch has submitted in one second looks sorted either way."""
    api = service(Fate(RESET), is_newest_first=False)
    api.add_older(120, apart=0.0)

    await outcome(api)

    assert api.started == ["job-1"]


@virtual_time
async def test_a_total_that_stays_since_an_old_job_has_gone_does_not_make_a_job_paid_for_twice() -> None:
    api = service(Fate(RESET), is_newest_first=False)
    api.add_older(120)

    async def an_old_job_expires(seconds: float) -> None:
        if len(api.entries) == 121:
            del api.entries[50]
        await asyncio.sleep(seconds)

    await outcome(api, sleep=an_old_job_expires)

    assert api.started == ["job-1"]


@virtual_time
@pytest.mark.parametrize("lag", [0.0, None], ids=["accepted", "lost"])
async def test_an_empty_page_of_a_list_that_is_said_to_hold_jobs_decides_nothing(lag: float | None) -> None:
    api = service(Fate(RESET, lag), cap=0)
    api.add_older(5)

    assert (await outcome(api), api.posts) == ("uncertain", 1)


@virtual_time
@pytest.mark.parametrize("older", [0, 10, 150])
async def test_a_date_header_ahead_of_the_clock_that_stamps_jobs_does_not_make_one_paid_for_twice(older: int) -> None:
    """The Date may come from a proxy. A strange job is either this one or a reason not to know."""
    api = service(Fate(RESET), skew=-2.0)
    api.add_older(older)

    await outcome(api)

    assert api.started == ["job-1"]


@virtual_time
async def test_two_new_jobs_are_not_chosen_between() -> None:
    api = service(Fate(RESET))

    async def another_process_submits(seconds: float) -> None:
        await asyncio.sleep(seconds)
        api.add("foreign", created_at=asyncio.get_running_loop().time())

    assert (await outcome(api, sleep=another_process_submits), api.posts) == ("uncertain", 1)


STRANGERS = {
    "another": ["dub-43"],
    "longer, as of a prefix match": ["dub-421"],
    "in another case": ["DUB-42"],
    "with a blank": ["dub-42 "],
    "without a name": [None],
    "a whole list": ["dub-4", "dub-421", None, "DUB-42", "x"] * 12,
}
strangers = pytest.mark.parametrize("names", list(STRANGERS.values()), ids=list(STRANGERS))


def add_strangers(api: Service, names: list[str | None], *, listed_at: float) -> None:
    for number, name in enumerate(names):
        api.add(f"stranger-{number}", created_at=api.clock(), listed_at=listed_at, reference_id=name)


@virtual_time
@strangers
@pytest.mark.parametrize("listed_in", [0.0, 0.4, 4.9])
async def test_a_job_with_another_reference_is_neither_found_nor_in_the_way(
    names: list[str | None], listed_in: float
) -> None:
    api = service(Fate(RESET))
    add_strangers(api, names, listed_at=api.clock() + listed_in)

    assert (await outcome(api), api.posts) == ("job-1", 1)


counted = pytest.mark.parametrize("counts_strangers", [True, False], ids=["counted", "not counted"])


@virtual_time
@strangers
@counted
@pytest.mark.parametrize("lag", [30.0, None], ids=["accepted", "lost"])
async def test_a_page_with_other_references_proves_no_absence(
    names: list[str | None], counts_strangers: bool, lag: float | None
) -> None:
    api = service(Fate(RESET, lag), Fate(), counts_strangers=counts_strangers)
    add_strangers(api, names, listed_at=api.clock() + 0.4)

    assert (await outcome(api), api.posts) == ("uncertain", 1)


@virtual_time
async def test_a_page_with_other_references_is_not_the_newest_end_of_the_list() -> None:
    api = service(Fate(RESET, None), Fate(), cap=100)
    api.add_older(150)
    add_strangers(api, ["dub-421"], listed_at=api.clock())

    error = await uncertainty(api)

    assert ("another reference_id" in str(error), api.posts) == (True, 1)


@virtual_time
@strangers
@counted
async def test_a_page_with_other_references_proves_nothing_of_what_was_there_before(
    names: list[str | None], counts_strangers: bool
) -> None:
    """Without a clock, a job is new only if all that was there before is known."""
    api = service(Fate(TIMEOUT, None), has_date=False, counts_strangers=counts_strangers)
    now = api.clock()
    add_strangers(api, names, listed_at=now)
    api.add("older", created_at=now - 120, listed_at=now + 0.4)

    assert await outcome(api) == "uncertain"


@virtual_time
async def test_two_submissions_under_names_that_the_filter_takes_for_one_get_a_job_each() -> None:
    api, submissions = service(Fate(RESET, 1.0)), Submissions()

    async def submit_as(name: str) -> str:
        async def post() -> GenerateAccepted:
            try:
                return await api.post()
            finally:
                entry = api.entries[-1]
                entry.job = attrs.evolve(entry.job, reference_id=name)

        async def list_jobs(reference_id: str, *, once: bool) -> ListedJobs:
            return await api.list_jobs(REFERENCE, once=once)

        accepted = await submissions.submit(post, reference_id=name, list_jobs=list_jobs, sleep=asyncio.sleep)
        return accepted.request_id

    ids = await asyncio.gather(*map(submit_as, ["talk-42", "talk-4"]))

    assert ids == ["job-1", "job-2"]


@virtual_time
async def test_a_record_that_stands_on_the_page_twice_is_one_job() -> None:
    api = service(Fate(RESET))

    async def list_jobs(reference_id: str, *, once: bool) -> ListedJobs:
        listing = await api.list_jobs(reference_id, once=once)
        return listing._replace(jobs=[*listing.jobs, *listing.jobs])

    accepted = await Submissions().submit(api.post, reference_id=REFERENCE, list_jobs=list_jobs, sleep=asyncio.sleep)

    assert accepted.request_id == "job-1"


@virtual_time
async def test_a_record_that_stands_on_the_page_twice_does_not_stand_for_one_that_is_missing() -> None:
    api = service(Fate(RESET, 0.0), Fate())
    api.add("older", created_at=api.clock() - 120)

    async def list_jobs(reference_id: str, *, once: bool) -> ListedJobs:
        listing = await api.list_jobs(reference_id, once=once)
        return listing._replace(jobs=[listing.jobs[-1]] * len(listing.jobs))

    with pytest.raises(SubmissionUncertainError):
        await Submissions().submit(api.post, reference_id=REFERENCE, list_jobs=list_jobs, sleep=asyncio.sleep)

    assert api.posts == 1


@virtual_time
async def test_a_job_without_an_id_is_not_returned() -> None:
    api = service(Fate(RESET, None))
    api.add("", created_at=api.clock(), listed_at=api.clock() + 0.1)

    assert (await outcome(api), api.posts) == ("uncertain", 1)


@virtual_time
@pytest.mark.parametrize("noted", [str.upper, str.lower, str])
async def test_an_older_job_is_known_by_its_uuid_in_either_case(noted: Callable[[str], str]) -> None:
    id = "6f82a2d8-A6D4-4e8a-a0fa-e8b09823a2d8"
    api = service(Fate(TIMEOUT, None), has_date=False)
    api.add(noted(id), created_at=api.clock())

    async def list_it_otherwise(seconds: float) -> None:
        api.entries[0].job = attrs.evolve(api.entries[0].job, id=id.lower())
        await asyncio.sleep(seconds)

    assert await outcome(api, sleep=list_it_otherwise) == "uncertain"


fates = st.builds(Fate, error=st.sampled_from([None, *UNCERTAIN.values()]), lag=st.floats(0, 4.9)) | st.builds(
    Fate, error=st.sampled_from([*UNCERTAIN.values(), *NOT_ACCEPTED.values()]), lag=st.none()
)


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run what never has to wait for anything."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    raise AssertionError("it waits")


@given(
    st.lists(fates, min_size=1, max_size=4),
    st.sampled_from([0, 1, 3, 99, 100, 101, 140]),
    st.sampled_from([0.0, 0.1, 60.0]),
    st.sampled_from([20, 100]),
    st.booleans(),
    st.floats(-5, 5),
    st.floats(0, 0.999),
)
def test_whatever_happens_within_the_time_for_looking_nobody_pays_twice(
    fates: list[Fate],
    older: int,
    apart: float,
    cap: int,
    is_newest_first: bool,
    skew: float,
    fraction: float,
) -> None:
    now = 1000.0 + fraction
    api = Service(fates=fates, clock=lambda: now, cap=cap, is_newest_first=is_newest_first, skew=skew)
    api.add_older(older, apart=apart)

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    result = at_once(outcome(api, sleep=sleep))

    assert len(api.started) <= 1
    assert result in api.started or (isinstance(result, ChamelaionError) and not api.started) or result == "uncertain"


UNREADABLE_LIST: dict[str, ChamelaionError] = {
    "connection error": RESET,
    "not sent": lost(sent="no"),
    "timeout": TIMEOUT,
    "500": status(InternalServerError, 500),
    "503": status(InternalServerError, 503),
    "unreadable": UNREADABLE,
    "429": status(RateLimitError, 429),
}


@virtual_time
@errors(UNREADABLE_LIST)
async def test_a_list_that_fails_beforehand_does_not_keep_a_job_from_being_submitted(error: ChamelaionError) -> None:
    api = service(Fate(), list_errors=[error])

    assert (await outcome(api), api.posts, len(api.reads)) == ("job-1", 1, 1)


@virtual_time
@errors(UNREADABLE_LIST)
async def test_a_lost_answer_after_a_list_that_failed_beforehand_is_uncertain(error: ChamelaionError) -> None:
    api = service(Fate(RESET), list_errors=[error])

    assert (await outcome(api), api.posts, len(api.reads)) == ("uncertain", 1, 1)


@virtual_time
async def test_what_was_certainly_not_accepted_needs_no_list_beforehand() -> None:
    error = status(BadRequestError, 400)
    api = service(Fate(error, None), list_errors=[RESET])

    assert await outcome(api) is error


@virtual_time
async def test_credentials_that_the_list_does_not_accept_submit_nothing() -> None:
    error = status(AuthenticationError, 401)
    api = service(Fate(), list_errors=[error])

    assert (await outcome(api), api.posts) == (error, 0)


@virtual_time
@errors(UNREADABLE_LIST | {"401": status(AuthenticationError, 401), "400": status(BadRequestError, 400)})
async def test_a_list_that_fails_afterwards_leaves_a_lost_answer_uncertain(error: ChamelaionError) -> None:
    api = service(Fate(RESET), list_errors=[None, error, error, error])

    assert (await outcome(api), api.posts) == ("uncertain", 1)


@virtual_time
async def test_a_list_that_fails_afterwards_is_named_beside_the_lost_answer() -> None:
    cause = status(InternalServerError, 503)
    error = await uncertainty(service(Fate(RESET), list_errors=[None, cause, cause, cause]))

    assert (str(cause) in str(error), str(RESET) in str(error)) == (True, True)


LOOK_ERRORS: dict[str, ChamelaionError] = UNREADABLE_LIST | {
    "400": status(BadRequestError, 400),
    "401": status(AuthenticationError, 401),
    "403": status(PermissionDeniedError, 403),
}


@virtual_time
@errors(LOOK_ERRORS)
async def test_a_list_that_fails_after_a_refusal_leaves_a_lost_answer_uncertain(error: ChamelaionError) -> None:
    refusal = status(AuthenticationError, 401)
    api = service(Fate(RESET, None), Fate(refusal, None), list_errors=[None, None, None, None, error])

    caught = await uncertainty(api)

    assert (caught.__cause__, api.posts, len(api.reads)) == (refusal, 2, 5)


@virtual_time
@errors(LOOK_ERRORS)
async def test_a_list_that_fails_at_last_proves_no_absence(error: ChamelaionError) -> None:
    api = service(Fate(RESET, None), list_errors=[None, None, None, error])

    assert (await outcome(api), api.posts) == ("uncertain", 1)


@virtual_time
@errors(LOOK_ERRORS)
async def test_a_list_that_fails_for_a_moment_does_not_hide_the_job(error: ChamelaionError) -> None:
    api = service(Fate(RESET), list_errors=[None, error, error])

    assert (await outcome(api), api.posts) == ("job-1", 1)


@virtual_time
async def test_in_company_a_found_job_may_be_the_others() -> None:
    api, submissions = service(Fate(RESET), Fate()), Submissions()

    results = await asyncio.gather(*(outcome(api, submissions=submissions) for _ in range(2)))

    assert (results, api.posts) == (["uncertain", "job-2"], 2)


@virtual_time
async def test_in_company_a_job_that_is_not_found_is_not_submitted_again() -> None:
    api, submissions = service(Fate(RESET, None)), Submissions()

    results = await asyncio.gather(*(outcome(api, submissions=submissions) for _ in range(3)))

    assert (results, api.posts) == (["uncertain"] * 3, 3)


@virtual_time
async def test_company_that_comes_while_looking_counts() -> None:
    api, submissions = service(Fate(RESET, 3.0), Fate()), Submissions()
    first = asyncio.create_task(outcome(api, submissions=submissions))
    await asyncio.sleep(1.0)

    second = await outcome(api, submissions=submissions)

    assert [await first, second] == ["uncertain", "job-2"]


@virtual_time
async def test_company_that_left_while_looking_counts() -> None:
    api, submissions = service(Fate(RESET, 3.0), Fate(None, 10.0)), Submissions()
    first = asyncio.create_task(outcome(api, submissions=submissions))
    await asyncio.sleep(1.0)
    await submit(api, submissions=submissions)

    assert await first == "uncertain"


@virtual_time
async def test_a_submission_that_has_ended_is_no_company() -> None:
    api, submissions = service(Fate(), Fate(RESET)), Submissions()
    await submit(api, submissions=submissions)

    assert await outcome(api, submissions=submissions) == "job-2"


@virtual_time
async def test_company_does_no_harm_to_those_who_get_their_answer() -> None:
    api, submissions = service(Fate()), Submissions()

    results = await asyncio.gather(*(outcome(api, submissions=submissions) for _ in range(5)))

    assert results == [f"job-{n}" for n in range(1, 6)]


@virtual_time
async def test_submissions_without_a_reference_are_no_company() -> None:
    submissions = Submissions()

    named, _ = await asyncio.gather(
        outcome(service(Fate(RESET)), submissions=submissions),
        outcome(service(Fate()), submissions=submissions, reference_id=None),
    )

    assert named == "job-1"


CLOCKS: dict[str, dict[str, Any]] = {
    "one clock": {},
    "no Date": {"has_date": False},
    "jobs stamped ahead": {"skew": 2.0},
    "jobs stamped behind": {"skew": -2.0},
}
clocks = pytest.mark.parametrize("settings", list(CLOCKS.values()), ids=list(CLOCKS))


@virtual_time
@clocks
@errors(PERHAPS_LOST)
async def test_a_job_that_was_returned_is_never_returned_again(
    error: ChamelaionError, settings: dict[str, Any]
) -> None:
    """The list lags, so that the first job turns up after the second submission has begun."""
    api, submissions = service(Fate(None, 2.0), Fate(error, None), Fate(), **settings), Submissions()
    first = await outcome(api, submissions=submissions)
    await asyncio.sleep(0.9)

    second = await outcome(api, submissions=submissions)

    assert (first, second, api.started) == ("job-1", "job-3", ["job-1", "job-3"])


@virtual_time
@clocks
async def test_beside_a_job_that_was_returned_the_next_one_is_found(settings: dict[str, Any]) -> None:
    api, submissions = service(Fate(None, 2.0), Fate(RESET, 2.5), **settings), Submissions()
    await submit(api, submissions=submissions)
    await asyncio.sleep(0.9)

    assert await outcome(api, submissions=submissions) in {"job-2", "uncertain"}


@virtual_time
async def test_a_job_that_was_found_is_never_returned_again() -> None:
    api, submissions = service(Fate(RESET, 1.0), Fate(TIMEOUT, None), has_date=False), Submissions()
    assert await outcome(api, submissions=submissions) == "job-1"
    api.list_errors = [None, None, None, None]
    for entry in api.entries:  # a replica that lags behind the one that was read before
        entry.listed_at = api.clock() + 0.3

    assert await outcome(api, submissions=submissions) == "uncertain"


@virtual_time
async def test_after_a_job_was_found_the_next_submission_is_alone() -> None:
    api, submissions = service(Fate(RESET, 1.0)), Submissions()

    assert [await outcome(api, submissions=submissions) for _ in range(3)] == ["job-1", "job-2", "job-3"]


@virtual_time
async def test_a_job_of_an_attempt_before_the_one_that_was_found_is_not_taken_for_the_next_submission() -> None:
    """The list was too slow for the first attempt, and shows the second job first."""
    api = service(Fate(RESET, 9.0), Fate(RESET, 1.0), Fate(TIMEOUT, None), has_date=False)
    submissions = Submissions()
    assert await outcome(api, submissions=submissions) == "job-2"

    assert await outcome(api, submissions=submissions) == "uncertain"


@virtual_time
@pytest.mark.parametrize("answered", [str.upper, str.lower])
@pytest.mark.parametrize("listed", [str.upper, str.lower])
async def test_a_job_that_was_returned_is_known_by_its_uuid_in_either_case(
    answered: Callable[[str], str], listed: Callable[[str], str]
) -> None:
    id = "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8"
    api, submissions = service(Fate(TIMEOUT, None), has_date=False), Submissions()

    async def accept() -> GenerateAccepted:
        return GenerateAccepted(request_id=answered(id), status="success")

    await submissions.submit(accept, reference_id=REFERENCE, list_jobs=api.list_jobs, sleep=asyncio.sleep)
    api.add(listed(id), created_at=api.clock(), listed_at=api.clock() + 0.3)

    assert await outcome(api, submissions=submissions) == "uncertain"


@virtual_time
@clocks
@errors(PERHAPS_AT_WORK)
async def test_a_job_of_an_uncertain_submission_is_not_taken_for_the_next_one(
    error: ChamelaionError, settings: dict[str, Any]
) -> None:
    api, submissions = service(Fate(error, 6.0), Fate(RESET, None), Fate(), **settings), Submissions()
    assert await outcome(api, submissions=submissions) == "uncertain"

    assert (await outcome(api, submissions=submissions), api.posts) == ("uncertain", 2)


@virtual_time
async def test_after_an_uncertain_submission_the_next_one_is_not_repeated() -> None:
    """Its list has failed to show a job once already, or may be about to show one."""
    api, submissions = service(Fate(TIMEOUT, None), Fate(RESET, None), Fate()), Submissions()
    await uncertainty(api, submissions=submissions)

    error = await uncertainty(api, submissions=submissions)

    assert ("an earlier submission" in str(error), api.posts) == (True, 2)


@virtual_time
async def test_after_an_uncertain_submission_the_next_one_that_is_answered_is_returned() -> None:
    api, submissions = service(Fate(TIMEOUT, None), Fate()), Submissions()
    await uncertainty(api, submissions=submissions)

    assert await outcome(api, submissions=submissions) == "job-2"


@virtual_time
@errors(NOT_ACCEPTED)
async def test_after_an_uncertain_submission_a_refusal_of_the_next_one_is_its_own(error: ChamelaionError) -> None:
    api, submissions = service(Fate(TIMEOUT, None), Fate(error, None)), Submissions()
    await uncertainty(api, submissions=submissions)

    assert await outcome(api, submissions=submissions) is error


@virtual_time
async def test_after_a_refused_submission_the_next_one_is_alone() -> None:
    api, submissions = service(Fate(status(BadRequestError, 400), None), Fate(RESET)), Submissions()
    await outcome(api, submissions=submissions)

    assert await outcome(api, submissions=submissions) == "job-2"


@virtual_time
async def test_a_job_of_an_attempt_that_was_repeated_is_not_taken_for_the_next_submission() -> None:
    """The list was too slow for the first attempt, so the first submission has two jobs, and returned the second."""
    api = service(Fate(RESET, 5.6), Fate(None, 0.0), Fate(TIMEOUT, None), has_date=False)
    submissions = Submissions()
    assert await outcome(api, submissions=submissions) == "job-2"

    assert await outcome(api, submissions=submissions) == "uncertain"


@virtual_time
@pytest.mark.parametrize("moment", [0.5, 1.2, 2.5, 5.5])
async def test_a_job_of_a_cancelled_submission_is_not_taken_for_the_next_one(moment: float) -> None:
    """Cancelled while the POST is under way, after its answer was lost, and during the repetition."""
    api, submissions = service(Fate(RESET, 7.0), Fate(TIMEOUT, None), has_date=False), Submissions()

    async def slow_post() -> GenerateAccepted:
        try:
            return await api.post()
        finally:
            await asyncio.sleep(1.0)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(moment):
            await submissions.submit(slow_post, reference_id=REFERENCE, list_jobs=api.list_jobs, sleep=asyncio.sleep)
    await asyncio.sleep(6.5 - moment)

    assert await outcome(api, submissions=submissions) == "uncertain"


@virtual_time
async def test_what_was_cancelled_before_it_was_sent_is_no_company_to_the_next_one() -> None:
    submissions, api = Submissions(), service(Fate(RESET))
    cancelled = Interrupted("note", raising(asyncio.CancelledError()), submissions)
    with pytest.raises(asyncio.CancelledError):
        await cancelled.submit()

    assert await outcome(api, submissions=submissions) == "job-1"


@virtual_time
async def test_an_hour_later_nothing_is_remembered() -> None:
    loop = asyncio.get_running_loop()
    api, submissions = service(Fate(TIMEOUT, None), Fate(RESET)), Submissions(loop.time)
    await uncertainty(api, submissions=submissions)
    await asyncio.sleep(3601.0)

    assert await outcome(api, submissions=submissions) == "job-2"


Stage = Literal["note", "post", "pause", "look"]
STAGES: tuple[Stage, ...] = ("note", "post", "pause", "look")
stages = pytest.mark.parametrize("stage", STAGES)


@attrs.define
class Interrupted:
    """A submission whose answer is lost, which does something else at one stage."""

    stage: Stage
    interrupt: Callable[[], Awaitable[Any]]
    submissions: Submissions = attrs.field(factory=Submissions)
    _reads: Iterator[int] = attrs.field(factory=count)

    async def _at(self, stage: Stage) -> None:
        if stage == self.stage:
            await self.interrupt()

    async def post(self) -> GenerateAccepted:
        await self._at("post")
        raise anew(RESET)

    async def list_jobs(self, reference_id: str, *, once: bool) -> ListedJobs:
        await self._at("look" if next(self._reads) else "note")
        return ListedJobs(jobs=[], total=0, server_time=NOON)

    async def sleep(self, seconds: float) -> None:
        await self._at("pause")

    async def submit(self, reference_id: str | None = REFERENCE) -> GenerateAccepted:
        return await self.submissions.submit(
            self.post, reference_id=reference_id, list_jobs=self.list_jobs, sleep=self.sleep
        )


def raising(error: BaseException) -> Callable[[], Awaitable[None]]:
    async def interrupt() -> None:
        raise anew(error)

    return interrupt


@stages
async def test_a_cancellation_passes_at_every_stage(stage: Stage) -> None:
    reached = asyncio.Event()

    async def interrupt() -> None:
        reached.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(Interrupted(stage, interrupt).submit())
    async with asyncio.timeout(5):
        await reached.wait()
    task.cancel("enough")

    with pytest.raises(asyncio.CancelledError, match="enough"):
        await task


@stages
async def test_closing_the_client_passes_at_every_stage(stage: Stage) -> None:
    with pytest.raises(ClientClosedError):
        await Interrupted(stage, raising(ClientClosedError("closed"))).submit()


@stages
async def test_what_is_not_our_error_passes_at_every_stage(stage: Stage) -> None:
    with pytest.raises(ZeroDivisionError):
        await Interrupted(stage, raising(ZeroDivisionError())).submit()


@pytest.mark.parametrize("error", [asyncio.CancelledError(), ClientClosedError("closed"), ZeroDivisionError()])
async def test_an_interruption_passes_without_a_reference_too(error: BaseException) -> None:
    with pytest.raises(type(error)):
        await Interrupted("post", raising(error)).submit(reference_id=None)


SENT = [stage for stage in STAGES if stage != "note"]


@pytest.mark.parametrize("stage", SENT)
@pytest.mark.parametrize("error", [asyncio.CancelledError("x"), ClientClosedError("closed"), ZeroDivisionError("x")])
async def test_what_interrupts_a_submission_after_sending_says_what_it_leaves_open(
    stage: Stage, error: BaseException
) -> None:
    with pytest.raises(type(error), match=r"may or may not have been accepted.*check list\(reference_id='dub-42'\)"):
        await Interrupted(stage, raising(type(error)("x"))).submit()


@pytest.mark.parametrize("error", [asyncio.CancelledError("x"), ClientClosedError("closed"), ZeroDivisionError("x")])
async def test_what_interrupts_a_submission_before_sending_leaves_nothing_open(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        await Interrupted("note", raising(type(error)("x"))).submit()

    assert not hasattr(caught.value, "__notes__")


async def test_what_interrupts_a_submission_without_a_reference_says_where_to_look() -> None:
    with pytest.raises(asyncio.CancelledError, match="Look through the newest requests"):
        await Interrupted("post", raising(asyncio.CancelledError("x"))).submit(reference_id=None)


@stages
@pytest.mark.parametrize("error", [asyncio.CancelledError(), ClientClosedError("closed"), ZeroDivisionError()])
async def test_an_interrupted_submission_is_no_longer_under_way(stage: Stage, error: BaseException) -> None:
    interrupted = Interrupted(stage, raising(error))

    with pytest.raises((type(error), SubmissionUncertainError)):
        await interrupted.submit()

    assert interrupted.submissions.is_idle


@virtual_time
@pytest.mark.parametrize(
    "fate",
    [Fate(), Fate(RESET), Fate(RESET, None), Fate(TIMEOUT, None), Fate(status(BadRequestError, 400), None)],
    ids=["answered", "found", "lost", "uncertain", "refused"],
)
async def test_a_submission_that_has_ended_is_no_longer_under_way(fate: Fate) -> None:
    submissions = Submissions()

    await outcome(service(fate), submissions=submissions)

    assert submissions.is_idle


@virtual_time
async def test_submissions_in_company_are_no_longer_under_way_after_the_last() -> None:
    api, submissions = service(Fate(RESET, None), Fate(), Fate(TIMEOUT)), Submissions()

    await asyncio.gather(*(outcome(api, submissions=submissions) for _ in range(3)))

    assert submissions.is_idle


@virtual_time
async def test_a_submission_under_way_is_not_idle() -> None:
    """Without this, the tests above would pass on something that is always idle."""
    submissions = Submissions()
    task = asyncio.create_task(submit(service(Fate(RESET, 4.0)), submissions=submissions))
    await asyncio.sleep(1.0)

    assert not submissions.is_idle
    await task


@virtual_time
@errors(UNCERTAIN)
async def test_the_reason_of_an_uncertainty_is_its_cause(error: ChamelaionError) -> None:
    assert (await uncertainty(service(Fate(error, None)))).__cause__ is error


@virtual_time
@errors(UNCERTAIN)
async def test_the_reason_of_an_uncertainty_without_a_reference_is_its_cause(error: ChamelaionError) -> None:
    assert (await uncertainty(service(Fate(error, None)), reference_id=None)).__cause__ is error


@virtual_time
async def test_the_reason_of_an_uncertainty_is_its_cause_even_if_there_was_nothing_to_compare_with() -> None:
    assert (await uncertainty(service(Fate(TIMEOUT), list_errors=[RESET]))).__cause__ is TIMEOUT


@virtual_time
async def test_an_uncertainty_says_under_which_reference_to_look() -> None:
    error = await uncertainty(service(Fate(TIMEOUT, None)))

    assert (error.reference_id, f"list(reference_id={REFERENCE!r})" in str(error)) == (REFERENCE, True)


@virtual_time
async def test_an_uncertainty_says_what_to_do_only_once() -> None:
    assert not hasattr(await uncertainty(service(Fate(TIMEOUT, None))), "__notes__")


@virtual_time
async def test_an_uncertainty_without_a_reference_says_what_to_do_about_it() -> None:
    error = await uncertainty(service(Fate(TIMEOUT, None)), reference_id=None)

    assert (error.reference_id, "pass a reference_id next time" in str(error)) == (None, True)


@virtual_time
@pytest.mark.parametrize("reference_id", [REFERENCE, None])
async def test_an_uncertainty_holds_the_words_of_its_reason(reference_id: str | None) -> None:
    assert str(TIMEOUT) in str(await uncertainty(service(Fate(TIMEOUT, None)), reference_id=reference_id))


@virtual_time
async def test_an_uncertainty_in_company_asks_for_references_of_their_own() -> None:
    api, submissions = service(Fate(RESET)), Submissions()

    results = await asyncio.gather(*(submit(api, submissions=submissions) for _ in range(2)), return_exceptions=True)

    assert all("give each submission one of its own" in str(result) for result in results)


@pytest.fixture
def _swift_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chamelaion_async.resources.submission.SEARCH_PAUSES", (0.0, 0.01, 0.02))


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 500 submissions, one or two would be lost three times in a row, and be uncertain."""
    monkeypatch.setattr("chamelaion_async.resources.submission._ATTEMPTS", 12)


def drop_answers(sandbox: Sandbox, route: str) -> None:
    """Drop 30 of 100 answers, half of them before and half of them after the job was started."""
    sandbox.inject(Fault.reset(when="before"), route=route, probability=0.15)
    sandbox.inject(Fault.reset(when="after"), route=route, probability=0.15 / 0.85)


async def all_of(calls: list[Coroutine[Any, Any, T]], at_a_time: int) -> list[T]:
    slots = asyncio.Semaphore(at_a_time)

    async def one(call: Coroutine[Any, Any, T]) -> T:
        async with slots:
            return await call

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(call)) for call in calls]
    return [task.result() for task in tasks]


def references(sandbox: Sandbox, ids: list[str]) -> list[str | None]:
    return [sandbox.jobs[id].reference_id for id in ids]


@pytest.mark.usefixtures("_swift_looks", "_patient")
async def test_500_submissions_are_500_jobs_though_30_of_100_answers_are_dropped(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    drop_answers(sandbox, GENERATE)
    names = [f"dub-{n}" for n in range(500)]

    accepted = await all_of(
        [sandbox_client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id=name) for name in names], 50
    )

    ids = [each.request_id for each in accepted]
    dropped = [r for r in sandbox.received if r.route == GENERATE and r.faults]
    assert len(dropped) > 100  # else this shows nothing
    assert (len(sandbox.jobs), len(set(ids)), references(sandbox, ids)) == (500, 500, names)


@pytest.mark.usefixtures("_swift_looks", "_patient")
async def test_older_jobs_under_each_reference_are_never_returned_though_answers_are_dropped(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    names = [f"dub-{n}" for n in range(100)]
    older = {sandbox.add_job(reference_id=name).id for name in names for _ in range(10)}
    drop_answers(sandbox, GENERATE)

    accepted = await all_of(
        [sandbox_client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id=name) for name in names], 50
    )

    ids = [each.request_id for each in accepted]
    assert (set(ids) & older, len(sandbox.jobs) - len(older), references(sandbox, ids)) == (set(), 100, names)


@pytest.mark.usefixtures("_swift_looks", "_patient")
async def test_50_uploads_are_50_jobs_though_30_of_100_answers_are_dropped(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    drop_answers(sandbox, GENERATE_WITH_MEDIA)
    names = [f"dub-{n}" for n in range(50)]

    accepted = await all_of(
        [
            sandbox_client.lipsync.generate_with_media(video=b"v" * 5000, audio=b"a" * 3000, reference_id=name)
            for name in names
        ],
        25,
    )

    ids = [each.request_id for each in accepted]
    uploads = Counter(upload.size for id in ids for upload in sandbox.jobs[id].uploads.values())
    assert (len(sandbox.jobs), references(sandbox, ids), uploads) == (50, names, Counter({5000: 50, 3000: 50}))


MISFORTUNES = [
    Fault.reset(when="before"),
    Fault.reset(when="after"),
    Fault.close(when="before"),
    Fault.close(when="after"),
    Fault.close(when="answered"),
    Fault.garbage(when="before"),
    Fault.garbage(when="after"),
    Fault.truncate(10),
    Fault.status(500, when="before"),
    Fault.status(500, when="after"),
    Fault.status(502, b"<html>", when="after"),
    Fault.status(504, when="after"),
    Fault.body(b"<html>", when="after"),
    Fault.rate_limited(0),
    Fault.hang(when="before"),
    Fault.hang(when="after"),
]


@pytest.fixture
def _no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A 429 that comes at random, whatever the rate, would slow the lane to a crawl."""
    monkeypatch.setattr("chamelaion_async._http.rate.AdaptiveRate.throttled", lambda *_: None)


@pytest.mark.usefixtures("_swift_looks", "_no_limit")
async def test_no_mixture_of_misfortunes_makes_a_reference_pay_twice(sandbox: Sandbox) -> None:
    for left, fault in zip(range(len(MISFORTUNES) + 10, 0, -1), MISFORTUNES, strict=False):
        sandbox.inject(fault, route=GENERATE, probability=1 / left)
    sandbox.inject(Fault.status(500), route=LIST, probability=0.02)
    names = [f"dub-{n}" for n in range(300)]

    async def one(client: AsyncClient, name: str) -> str | None:
        try:
            return (await client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id=name)).request_id
        except (SubmissionUncertainError, RateLimitError):
            return None

    async with AsyncClient("sk-key", base_url=sandbox.base_url, timeout=0.4, retry=SWIFT) as client:
        ids = await all_of([one(client, name) for name in names], 50)

    jobs = Counter(job.reference_id for job in sandbox.jobs.values())
    returned = {name: id for name, id in zip(names, ids, strict=True) if id is not None}
    assert max(jobs.values()) == 1
    assert references(sandbox, list(returned.values())) == list(returned)


@pytest.mark.usefixtures("_swift_looks")
async def test_an_acceptance_that_breaks_off_is_not_submitted_again() -> None:
    """A 200 has been given, and what follows it makes no difference."""
    async with (
        Sandbox(list_lag=3600) as sandbox,
        AsyncClient("sk-key", base_url=sandbox.base_url, retry=SWIFT) as client,
    ):
        sandbox.inject(Fault.truncate(10), route=GENERATE)
        with pytest.raises(SubmissionUncertainError):
            await client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id=REFERENCE)

        assert len(sandbox.jobs) == 1


@pytest.mark.usefixtures("_swift_looks")
async def test_a_submission_that_times_out_is_found_once_the_list_shows_it(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.inject(Fault.hang(when="after"), route=GENERATE)
    async with AsyncClient("sk-key", base_url=sandbox.base_url, timeout=0.1) as client:
        accepted = await client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id=REFERENCE)

    assert list(sandbox.jobs) == [accepted.request_id]


@pytest.mark.usefixtures("_swift_looks")
async def test_a_submission_that_times_out_before_it_is_accepted_is_made_once(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.hang(when="before"), route=GENERATE)
    async with AsyncClient("sk-key", base_url=sandbox.base_url, timeout=0.1) as client:
        with pytest.raises(SubmissionUncertainError):
            await client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id=REFERENCE)

    assert sandbox.count(GENERATE) == 1


@pytest.mark.usefixtures("_swift_looks")
async def test_an_outage_of_the_service_is_not_uncertain(sandbox: Sandbox) -> None:
    """Nothing was sent: there is nothing to be uncertain of."""
    async with AsyncClient("sk-key", base_url=sandbox.base_url, retry=SWIFT) as client:
        await sandbox.stop()
        with pytest.raises(APIConnectionError) as caught:
            await client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id=REFERENCE)

    assert caught.value.sent == "no"


@pytest.mark.usefixtures("_swift_looks")
async def test_views_of_a_client_are_company_to_each_other(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    sandbox.inject(Fault.reset(when="after"), route=GENERATE, times=2)
    view = sandbox_client.with_options(timeout=5.0)

    results = await asyncio.gather(
        *(
            client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id=REFERENCE)
            for client in (sandbox_client, view)
        ),
        return_exceptions=True,
    )

    assert ([type(result) for result in results], len(sandbox.jobs)) == ([SubmissionUncertainError] * 2, 2)


@pytest.mark.usefixtures("_swift_looks")
async def test_a_translation_is_no_company_to_a_lip_sync(sandbox: Sandbox, sandbox_client: AsyncClient) -> None:
    """Each family has a list of its own, so the same reference in both is told apart."""
    sandbox.inject(Fault.reset(when="after"), route=GENERATE, times=1)

    accepted, _ = await asyncio.gather(
        sandbox_client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id=REFERENCE),
        sandbox_client.video_translate.generate(video=VIDEO, target_languages=["de"], reference_id=REFERENCE),
    )

    assert sandbox.jobs[accepted.request_id].family == "lipsync"


Generate = Callable[[AsyncClient], Awaitable[GenerateAccepted]]
GENERATES: dict[str, tuple[str, Generate]] = {
    "lip sync": (
        GENERATE,
        lambda client: client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id=REFERENCE),
    ),
    "lip sync, uploaded": (
        GENERATE_WITH_MEDIA,
        lambda client: client.lipsync.generate_with_media(video=b"v", audio=b"a", reference_id=REFERENCE),
    ),
    "translation": (
        "POST /v1/video-translate/generate",
        lambda client: client.video_translate.generate(video=VIDEO, target_languages=["de"], reference_id=REFERENCE),
    ),
    "translation, uploaded": (
        "POST /v1/video-translate/generate-with-media",
        lambda client: client.video_translate.generate_with_media(
            video=b"v", target_languages=["de"], reference_id=REFERENCE
        ),
    ),
}
generates = pytest.mark.parametrize(("route", "generate"), list(GENERATES.values()), ids=list(GENERATES))


@pytest.mark.usefixtures("_swift_looks")
@generates
async def test_the_end_of_the_quota_may_be_the_doing_of_a_lost_submission(route: str, generate: Generate) -> None:
    async with (
        Sandbox(list_lag=30, token_limit=1) as sandbox,
        AsyncClient("sk-key", base_url=sandbox.base_url) as client,
    ):
        sandbox.inject(Fault.reset(when="after"), route=route, times=1)

        with pytest.raises(SubmissionUncertainError) as caught:
            await generate(client)

    assert (type(caught.value.__cause__), caught.value.reference_id) == (QuotaExceededError, REFERENCE)
    assert (len(sandbox.jobs), sandbox.count(route)) == (1, 2)


@pytest.mark.usefixtures("_swift_looks")
@generates
async def test_views_of_a_client_share_what_they_remember(
    sandbox: Sandbox, sandbox_client: AsyncClient, route: str, generate: Generate
) -> None:
    """The list does not show the first job before the second submission, and shows it afterwards."""
    first = await generate(sandbox_client)
    empty = b'{"data": [], "pagination": {"limit": 100, "offset": 0, "total": 0}}'
    family = route.removeprefix("POST ").rpartition("/")[0]
    sandbox.inject(Fault.body(empty), route=f"GET {family}/requests", times=1)
    sandbox.inject(Fault.status(504), route=route, times=1)

    with pytest.raises(SubmissionUncertainError):
        await generate(sandbox_client.with_options(timeout=5.0))

    assert list(sandbox.jobs) == [first.request_id]


@pytest.mark.usefixtures("_swift_looks")
async def test_views_of_a_client_share_the_names_that_are_uncertain(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    sandbox.inject(Fault.status(504, when="before"), route=GENERATE, times=1)
    sandbox.inject(Fault.reset(when="after"), route=GENERATE, times=1)
    view = sandbox_client.with_options(timeout=5.0)

    for client in (view, sandbox_client):
        with pytest.raises(SubmissionUncertainError):
            await client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id=REFERENCE)


@pytest.mark.usefixtures("_swift_looks")
async def test_an_uncertain_lip_sync_is_nothing_to_a_translation(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    sandbox.inject(Fault.status(504, when="after"), route=GENERATE, times=1)
    sandbox.inject(Fault.reset(when="after"), route="POST /v1/video-translate/generate", times=1)
    sandbox.inject(Fault.status(500), route=LIST)
    with pytest.raises(SubmissionUncertainError):
        await sandbox_client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id=REFERENCE)

    accepted = await sandbox_client.video_translate.generate(
        video=VIDEO, target_languages=["de"], reference_id=REFERENCE
    )

    assert sandbox.jobs[accepted.request_id].family == "video_translate"


async def test_a_closed_client_leaves_nothing_open(sandbox: Sandbox) -> None:
    client = AsyncClient("sk-key", base_url=sandbox.base_url)
    await client.aclose()

    with pytest.raises(ClientClosedError) as caught:
        await client.lipsync.generate(video=VIDEO, audio=AUDIO)

    assert not hasattr(caught.value, "__notes__")


@pytest.mark.usefixtures("_swift_looks")
@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("largest", [99, 20, 5])
@generates
async def test_a_job_is_found_in_a_list_that_refuses_large_pages(
    sandbox: Sandbox,
    sandbox_client: AsyncClient,
    refuse_pages: RefusePages,
    route: str,
    generate: Generate,
    largest: int,
    status: int,
) -> None:
    refuse_pages(largest, status)
    sandbox.inject(Fault.reset(when="after"), route=route, times=1)

    accepted = await generate(sandbox_client)

    assert list(sandbox.jobs) == [accepted.request_id]


async def test_the_size_of_page_that_a_list_takes_is_remembered(
    sandbox_client: AsyncClient, refuse_pages: RefusePages
) -> None:
    limits = refuse_pages(20, 400)

    for number in range(3):
        await sandbox_client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id=f"dub-{number}")

    assert limits == ["100", "20", "20", "20"]


@pytest.mark.usefixtures("_swift_looks")
@pytest.mark.parametrize("reference_id", ["dub 42", "a/b&c=d#e?f", "../x", "日本語 🎬", "100%", "a+b"])
async def test_a_lost_job_is_found_under_an_odd_reference(
    sandbox: Sandbox, sandbox_client: AsyncClient, reference_id: str
) -> None:
    sandbox.inject(Fault.reset(when="after"), route=GENERATE, times=1)

    accepted = await sandbox_client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id=reference_id)

    assert [(job.id, job.reference_id) for job in sandbox.jobs.values()] == [(accepted.request_id, reference_id)]


@pytest.mark.usefixtures("_swift_looks")
async def test_a_lost_translation_is_found_in_the_list_of_translations(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    sandbox.inject(Fault.reset(when="after"), route="POST /v1/video-translate/generate", times=1)

    accepted = await sandbox_client.video_translate.generate(
        video=VIDEO, target_languages=["de"], reference_id=REFERENCE
    )

    assert [(job.id, job.family) for job in sandbox.jobs.values()] == [(accepted.request_id, "video_translate")]


async def test_a_429_of_the_list_beforehand_does_not_keep_a_job_from_being_submitted(
    sandbox: Sandbox, sandbox_client: AsyncClient
) -> None:
    """Polling and submitting have lanes of their own: a service tired of the one may well take the other."""
    sandbox.inject(Fault.rate_limited(0), route=LIST, times=1)

    await sandbox_client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id=REFERENCE)

    assert len(sandbox.jobs) == 1


async def test_a_client_closed_while_it_looks_for_a_job_says_so(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chamelaion_async.resources.submission.SEARCH_PAUSES", (0.0,))
    sandbox.inject(Fault.reset(when="after"), route=GENERATE)
    looking = sandbox.inject(Fault.hang(), route=LIST, after=1)
    async with AsyncClient("sk-key", base_url=sandbox.base_url) as client:
        task = asyncio.create_task(client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id=REFERENCE))
        async with asyncio.timeout(5):
            while not looking.hits:
                await client.health.check()
        await client.aclose()

        with pytest.raises(ClientClosedError):
            await task


@pytest.mark.usefixtures("_swift_looks")
async def test_a_narrow_lane_does_not_hold_up_a_submission_that_looks_for_its_job(sandbox: Sandbox) -> None:
    sandbox.inject(Fault.reset(when="after"), route=GENERATE)
    async with AsyncClient("sk-key", base_url=sandbox.base_url, pace=Pace(max_concurrency=1)) as client:
        async with asyncio.timeout(10):
            accepted = await asyncio.gather(
                *(client.lipsync.generate(video=VIDEO, audio=AUDIO, reference_id=f"dub-{n}") for n in range(20))
            )

    assert {each.request_id for each in accepted} == set(sandbox.jobs)
