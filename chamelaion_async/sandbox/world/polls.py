"""Which of the received requests polled a job or submitted one, and the texts that say what was seen."""

from collections.abc import Sequence
from urllib.parse import unquote

from .jobs import Job
from .journal import Received
from .timestamps import rfc3339

_SHOWN = 8  # requests that a text shows; the rest is counted


def polls_of(received: Sequence[Received], id: str | None, job: Job | None) -> list[Received]:
    """Return the polls among requests.

    Args:
        received: the requests.
        id: UUID or reference_id of the job that is polled; None for any read of a job or a list of jobs.
        job: the job that has this id, if there is one.
    """
    names = {id} if job is None else {id, job.id, job.reference_id}
    return [each for each in received if _reads_jobs(each) and (id is None or names & _shown_by(each))]


def submissions(received: Sequence[Received], reference_id: str | None) -> list[Received]:
    """Return the requests that started a job with a reference_id, or with any if it is None."""
    return [
        each
        for each in received
        if each.job_id is not None and (reference_id is None or _reference_of(each) == reference_id)
    ]


def polls_seen(id: str | None, times: int, seconds: float, polls: Sequence[Received], all: Sequence[Received]) -> str:
    """Say that a job was polled too often, or not often enough."""
    what = "no poll" if not times else "a poll" if times == 1 else f"{times} polls"
    of = "of any job" if id is None else f"of {id!r}"
    others = [each for each in all if each not in polls]
    return (
        f"expected {what} {of} within {seconds:.3g} s, but there {_number(polls)}"
        + _listing("\nthe polls:", polls)
        + _listing("\nother requests:", others)
        + ("" if all else "\nno request at all was received")
    )


def submissions_seen(received: Sequence[Received], reference_id: str | None, times: int) -> str:
    """Say that there were other submissions than expected."""
    found = submissions(received, reference_id)
    posts = [each for each in received if each.lane == "generate" and each not in found]
    which = "" if reference_id is None else f" with reference_id {reference_id!r}"
    return (
        f"expected {times or 'no'} {'job' if times == 1 else 'jobs'} submitted{which}, but there {_number(found)}"
        + _listing("\nsubmitted:", found)
        + _listing("\nother submissions:", [each for each in posts if each.job_id is not None])
        + _listing("\nrefused:", [each for each in posts if each.job_id is None])
        + ("" if found or posts else "\nno generation call was received")
    )


def _reads_jobs(received: Received) -> bool:
    return received.method == "GET" and received.route is not None and "/requests" in received.route


def _shown_by(received: Received) -> set[str | None]:
    """Return the names of the jobs that a read shows; of a single job the one that it was asked by."""
    if received.route is not None and received.route.endswith("{id}"):
        return {unquote(received.path.rpartition("/")[2])}
    return {*received.listed}


def _reference_of(received: Received) -> str | None:
    return received.body.get("reference_id") if isinstance(received.body, dict) else None


def _number(found: Sequence[Received]) -> str:
    return "was one" if len(found) == 1 else f"were {len(found) or 'none'}"


def _listing(title: str, requests: Sequence[Received]) -> str:
    if not requests:
        return ""
    lines = [f"\n  {_line(each)}" for each in requests[:_SHOWN]]
    more = len(requests) - len(lines)
    return title + "".join(lines) + (f"\n  and {more} more" if more else "")


def _line(received: Received) -> str:
    # Only the path: what is in a query or a body may be signed.
    status = "no answer" if received.status is None else received.status
    reference = _reference_of(received)
    return (
        f"{rfc3339(received.at)} {received.method} {received.path} -> {status}"
        + (f", reference_id {reference!r}" if reference is not None else "")
        + (f", job {received.job_id}" if received.job_id is not None else "")
        + (f", a page of {len(received.listed)}" if received.listed else "")
    )
