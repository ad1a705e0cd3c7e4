"""Paid once: what becomes of a submission whose fate is unknown.

A POST that got no readable answer may have started a job that costs money. Only the list of jobs can tell, and only
if the submission carries a ``reference_id`` by which to find it. So the jobs that carry it already are noted before
the submission; whatever else carries it afterwards is the job that this submission started.

Certainty is about the submission as a whole. A refusal says that *this* attempt started nothing. It says nothing of
an earlier attempt whose answer was lost, and may even be caused by it, if that one took the name (409) or the last of
the quota (412).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from ..errors import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    ChamelaionError,
    ClientClosedError,
    ConfigurationError,
    InternalServerError,
    InvalidResponseError,
    SubmissionUncertainError,
)
from ..models import GenerateAccepted
from .evidence import Before, Listing, canonical
from .recent import Recent

__all__ = ["Listing", "Submissions"]

LOOKS: Final = (0.5, 1.5, 3.0)
"""Pauses in seconds before each read of the list, since it may lag behind what was accepted."""

_ATTEMPTS: Final = 5
_GATEWAY_TIMEOUTS: Final = frozenset({504, 524})

ListJobs = Callable[..., Awaitable[Listing]]
"""``(reference_id, *, once)``: reads one page of the jobs that carry it; ``once`` tries a single time."""


class Submissions:
    """The submissions of one client: those under way by ``reference_id``, and what is left of those that ended.

    A list that lags, or whose clock is wrong, can show a job of an earlier submission as if it had just appeared. So
    the ids that were returned are remembered, and the names of which a job may still turn up.

    Args:
        clock: Tells the time in seconds; it must never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._under_way: dict[str, list[_Submission]] = {}
        self._returned = Recent(clock)
        self._uncertain = Recent(clock)

    @property
    def is_idle(self) -> bool:
        """Whether none is under way."""
        return not self._under_way

    async def submit(
        self,
        post: Callable[[], Awaitable[GenerateAccepted]],
        *,
        reference_id: str | None,
        list_jobs: ListJobs,
        sleep: Callable[[float], Awaitable[None]],
    ) -> GenerateAccepted:
        """Submit once, whatever happens to the answer.

        What interrupts it after it may have been sent, a cancellation above all, passes as it is. It gets a note that
        the submission may have been accepted, and the next submission under the same name takes that into account.

        Raises:
            SubmissionUncertainError: It may or may not have been accepted, and the list could not decide.
            ClientClosedError: The client was closed meanwhile, which leaves it open whether it was accepted.
            ChamelaionError: Any other one: it was certainly not accepted.
        """
        submission = _Submission(post, reference_id, list_jobs, sleep, self._returned)
        with self._kept(submission):
            try:
                accepted = await submission.run()
            except BaseException as error:
                if submission.is_open and not isinstance(error, SubmissionUncertainError):
                    error.add_note(submission.reminder)
                raise
            finally:
                if submission.is_open and reference_id is not None:
                    self._uncertain.add(reference_id)
            if reference_id is not None:  # or no search by name could ever find it
                self._returned.add(canonical(accepted.request_id))
            return accepted

    @contextmanager
    def _kept(self, submission: _Submission) -> Iterator[None]:
        """Count a submission as under way, and tell all under the same name of each other."""
        reference_id = submission.reference_id
        if reference_id is None:
            yield
            return
        others = self._under_way.setdefault(reference_id, [])
        if reference_id in self._uncertain:
            submission.company = "an earlier submission with its reference_id may still turn up"
        for other in (*others, submission) if others else ():
            other.company = "another submission with its reference_id was under way"
        others.append(submission)
        try:
            yield
        finally:
            others.remove(submission)
            if not others:
                del self._under_way[reference_id]


class _Submission:
    """One submission.

    Attributes:
        reference_id: Its name, or None.
        company: Why a job under its name may be another submission's; empty where there is no reason.
        is_open: Whether it may have started a job that is not known. That outlasts the acceptance of a repetition: a
            list that lags for long may still show a job of the first attempt.
    """

    def __init__(
        self,
        post: Callable[[], Awaitable[GenerateAccepted]],
        reference_id: str | None,
        list_jobs: ListJobs,
        sleep: Callable[[float], Awaitable[None]],
        returned: Recent,
    ) -> None:
        self.reference_id = reference_id
        self._post = post
        self._list_jobs = list_jobs
        self._sleep = sleep
        self._returned = returned
        self.company = ""
        self.is_open = False
        # What became of an earlier attempt whose job was not found. The text alone: an error that is held by a frame
        # of its own traceback is freed by the garbage collector only.
        self._lost = ""

    @property
    def reminder(self) -> str:
        """What to say of a submission that was interrupted."""
        return f"{self._named} may or may not have been accepted. {self._advice}."

    async def run(self) -> GenerateAccepted:
        """Submit, until it is known what became of it or cannot be known."""
        if self.reference_id is None:
            return await self._post_unnamed()
        return await self._post_named(self.reference_id)

    async def _post_unnamed(self) -> GenerateAccepted:
        try:
            return await self._attempt()
        except ClientClosedError:
            raise
        except ChamelaionError as error:
            if not self.is_open:
                raise
            raise self._uncertain("it carried no reference_id by which it could be found", error) from error

    async def _post_named(self, reference_id: str) -> GenerateAccepted:
        before = await self._note(reference_id)
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._attempt()
            except ClientClosedError:
                raise
            except ChamelaionError as error:
                if not self.is_open:
                    raise
                is_refused = _is_certain(error)
                # After a refusal one read is enough: the list was read three times for the attempt before.
                found = await self._find(before, error, LOOKS[-1:] if is_refused else LOOKS)
                if found is not None:
                    self.is_open = bool(self._lost)
                    return found
                if is_refused:
                    reason = f"an earlier attempt may have started a job ({self._lost}) before the last was refused"
                    raise self._uncertain(reason, error) from error
                if not _may_be_repeated(error):
                    raise self._uncertain("the list does not show it yet, and it may still come", error) from error
                if attempt == _ATTEMPTS:
                    raise self._uncertain(f"the list does not show it after {attempt} attempts", error) from error
                self._lost = str(error)

    async def _attempt(self) -> GenerateAccepted:
        self.is_open = True
        try:
            accepted = await self._post()
        except ChamelaionError as error:
            self.is_open = bool(self._lost) or not _is_certain(error)
            raise
        self.is_open = bool(self._lost)
        return accepted

    async def _note(self, reference_id: str) -> Before | None:
        try:
            listing = await self._list_jobs(reference_id, once=True)
        except (AuthenticationError, ClientClosedError, ConfigurationError):
            raise
        except ChamelaionError:
            return None  # only an answer that gets lost as well would need it
        return Before.of(reference_id, listing)

    async def _find(
        self, before: Before | None, cause: ChamelaionError, looks: tuple[float, ...]
    ) -> GenerateAccepted | None:
        """Return the job that the list shows, or None where it proves that there is none."""
        if before is None:
            raise self._uncertain(
                "the list could not be read beforehand, so an older job might be taken for it", cause
            )
        gap = ""
        for pause in looks:
            await self._sleep(pause)
            try:
                listing = await self._list_jobs(before.reference_id, once=False)
            except ClientClosedError:
                raise
            except ChamelaionError as error:
                gap = f"the list that would tell could not be read ({error})"
                continue
            new, is_ambiguous, gap = before.compare(listing, self._returned.__contains__)
            if is_ambiguous:
                raise self._uncertain("the list shows a job that may be this one or an older one", cause)
            if len(new) > 1 or (new and self.company):
                raise self._uncertain("other jobs carry its reference_id; give each submission one of its own", cause)
            if new:
                return GenerateAccepted(request_id=new[0], status="success")
        if self.company or gap:
            raise self._uncertain(self.company or gap, cause)
        return None

    @property
    def _named(self) -> str:
        return "the submission" + ("" if self.reference_id is None else f" with reference_id {self.reference_id!r}")

    @property
    def _advice(self) -> str:
        if self.reference_id is None:
            return "Look through the newest requests before you submit again, and pass a reference_id next time"
        return f"Before you submit again, check list(reference_id={self.reference_id!r})"

    def _uncertain(self, reason: str, cause: ChamelaionError) -> SubmissionUncertainError:
        error = SubmissionUncertainError(
            f"{self._named} may or may not have been accepted: {reason}. {self._advice}. The reason: {cause}",
            reference_id=self.reference_id,
        )
        error.__cause__ = cause
        return error


def _is_certain(error: ChamelaionError) -> bool:
    """Whether it is known that the attempt which ended with this started no job."""
    if isinstance(error, APIConnectionError):
        return error.sent == "no"
    return not isinstance(error, (InternalServerError, InvalidResponseError, ClientClosedError))


def _may_be_repeated(error: ChamelaionError) -> bool:
    """Whether a submission that the list does not show can be taken for lost: not while the service may be at it."""
    if isinstance(error, InternalServerError):
        return error.status not in _GATEWAY_TIMEOUTS
    # Where the answer had begun, the service had made up its mind.
    return isinstance(error, APIConnectionError) and not isinstance(error, APITimeoutError) and error.status is None
