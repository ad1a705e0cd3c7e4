"""The filters of the list of video translations."""

from collections.abc import Callable, Mapping

from ..world.jobs import Job
from ..world.timestamps import parse_rfc3339
from .answers import ApiError

STATUSES = ("queued", "uploading", "processing", "completed", "failed")
_FILTERS = ("created_after", "created_before", "source_language", "status", "target_language")


def translate_filter(query: Mapping[str, str], *, now: float) -> Callable[[Job], bool] | None:
    """Return whether a job matches a query, as a function; None if the query filters nothing.

    Assumed: languages match exactly, and a job that was created at the given moment is neither after nor before it.

    Args:
        query: of the request; the store filters by reference_id.
        now: seconds since the epoch, for the status.

    Raises:
        ApiError: 400, if a time is no RFC 3339 timestamp or the status is not a documented one.
    """
    if not any(name in query for name in _FILTERS):
        return None
    after = _moment(query, "created_after")
    before = _moment(query, "created_before")
    status = query.get("status")
    if status is not None and status not in STATUSES:
        raise ApiError(400, "invalid status")
    source = query.get("source_language")
    target = query.get("target_language")

    def matches(job: Job) -> bool:
        return (
            (after is None or job.created_at > after)
            and (before is None or job.created_at < before)
            and (status is None or job.status(now) == status)
            and (source is None or job.payload.get("source_language") == source)
            and (target is None or target in job.payload["target_languages"])
        )

    return matches


def _moment(query: Mapping[str, str], name: str) -> float | None:
    if name not in query:
        return None
    try:
        return parse_rfc3339(query[name])
    except (ValueError, OverflowError):
        raise ApiError(400, f"invalid {name}") from None
