"""What visitors are told when a call fails: words for them, and no id, path or header of the call."""

from __future__ import annotations

from typing import Any

import attrs

from chamelaion_async import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    ChamelaionError,
    ClientClosedError,
    ConfigurationError,
    InternalServerError,
    InvalidResponseError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    SubmissionUncertainError,
    WaitUnreachableError,
)


@attrs.frozen
class Problem:
    """A status for the answer, words for the page, and whether the page should try again by itself."""

    status: int
    text: str
    passes: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {"error": self.text, "retry": self.passes}


NO_ANSWER = Problem(502, "The lip sync service does not answer at the moment. Jobs that it has accepted go on.", True)


def explain(error: ChamelaionError) -> Problem:
    match error:
        case NotFoundError():
            return Problem(404, "There is no job with this id.")
        case ConfigurationError():
            return Problem(400, "This cannot work: a job needs two web addresses or two files, and no id is so long.")
        case AuthenticationError() | PermissionDeniedError():
            return Problem(500, "The lip sync service does not accept this site's key any more. We have to renew it.")
        case QuotaExceededError():
            return Problem(503, "This site has used up its quota at the lip sync service.")
        case SubmissionUncertainError():
            return Problem(
                502, "It may have been accepted. Do not send it again: if it was, it will be among all jobs."
            )
        case RateLimitError():
            return Problem(503, "Much is going on here. Try again in a minute.", True)
        case ClientClosedError():
            return Problem(503, "This site is being restarted.", True)
        case WaitUnreachableError() | APIConnectionError() | InternalServerError() | InvalidResponseError():
            return NO_ANSWER
        case APIStatusError():
            return Problem(400, f"The lip sync service refuses this: {error.message}")
        case _:
            return Problem(500, "Something went wrong here.")
