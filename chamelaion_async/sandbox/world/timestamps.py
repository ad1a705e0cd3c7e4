"""Times as the API writes them: RFC 3339 in bodies, RFC 9110 dates in headers."""

from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache


@lru_cache(maxsize=4096)
def rfc3339(seconds: float) -> str:
    """Return an RFC 3339 UTC timestamp, with a fraction only if it is not zero.

    Args:
        seconds: since the epoch.
    """
    moment = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    if moment.microsecond:
        return f"{moment.isoformat(timespec='microseconds').rstrip('0')}Z"
    return f"{moment.isoformat()}Z"


def parse_rfc3339(text: str) -> float:
    """Return the seconds since the epoch that an RFC 3339 timestamp names.

    Args:
        text: with a date, a time and an offset, such as 2026-04-07T10:00:00Z.

    Raises:
        ValueError: if text is no such timestamp or names no offset.
    """
    moment = datetime.fromisoformat(text.upper())  # it does not read the "z" that RFC 3339 allows (5.6)
    if moment.tzinfo is None:
        raise ValueError("a timestamp needs an offset such as Z")
    return moment.timestamp()


def seconds_of(moment: datetime | float, name: str) -> float:
    """Return a moment in seconds since the epoch.

    Args:
        moment: an aware datetime, or seconds since the epoch already.
        name: of the argument, for the error.

    Raises:
        ValueError: if the datetime is naive.
    """
    if not isinstance(moment, datetime):
        return moment
    if moment.tzinfo is None:
        raise ValueError(f"{name} must be aware of its time zone")
    return moment.timestamp()


@lru_cache(maxsize=64)
def _http_date(second: int) -> str:
    return formatdate(second, usegmt=True)


def http_date(seconds: float) -> str:
    """Return the RFC 9110 date (5.6.7) of a time in seconds since the epoch; the fraction is dropped."""
    return _http_date(int(seconds))
