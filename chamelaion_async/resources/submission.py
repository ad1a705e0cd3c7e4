"""Submitting a job, which costs money: once, whatever becomes of the answer.

A POST whose answer is lost may have started a job. Only the list of jobs shows it, and only under a
``reference_id``. So the list is read before the POST, for the jobs that carry the reference already (the baseline),
and after a lost answer, for one that is not in the baseline. ``_Submission.run`` holds the steps in their order.

Certainty is about the submission as a whole. A refusal says that *this* attempt started nothing. An earlier attempt
whose answer was lost may have started a job, and may even be the cause of the refusal: it took the reference (409) or
the last of the quota (412).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import attrs

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
from .baseline import Baseline, ListedJobs, canonical_id
from .expiring_set import ExpiringSet

__all__ = ["SEARCH_PAUSES", "Submissions"]

SEARCH_PAUSES: Final = (0.5, 1.5, 3.0)
"""Pauses in seconds before each read of the list, since it may lag behind what was accepted."""

_ATTEMPTS: Final = 5
_GATEWAY_TIMEOUTS: Final = frozenset({504, 524})  # 524 is Cloudflare's


class ListJobs(Protocol):
    """Reads the first page of the jobs that carry a reference; ``once`` makes it a single attempt."""

    def __call__(self, reference_id: str, *, once: bool) -> Awaitable[ListedJobs]: ...


class Submissions:
    """The submissions of one client in one family.

    A list that lags, or whose clock is wrong, can show a job of an earlier submission as if it had just appeared. So
    the ids that were returned are kept for a while, and the references under which a job may still appear.

    Args:
        clock: Returns the time in seconds; it must be monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._under_way: dict[str, list[_Submission]] = {}
        self._returned = ExpiringSet(clock)
        self._uncertain = ExpiringSet(clock)

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
        """Submit once.

        What interrupts it after it may have been sent, above all a cancellation, passes unchanged, with a note that
        the submission may have been accepted. The next submission under the same reference takes that into account.

        Raises:
            SubmissionUncertainError: It may or may not have been accepted, and the list could not decide.
            ClientClosedError: The client was closed meanwhile, which leaves open whether it was accepted.
            ChamelaionError: Any other one: it was certainly not accepted.
        """
        submission = _Submission(reference_id, post, list_jobs, sleep, self._returned)
        with self._registered(submission):
            try:
                accepted = await submission.run()
            except BaseException as error:
                if submission.is_open and not isinstance(error, SubmissionUncertainError):
                    error.add_note(submission.reminder)
                raise
            finally:
                if submission.is_open and reference_id is not None:
                    self._uncertain.add(reference_id)
            if reference_id is not None:  # or no search under a reference could ever find it
                self._returned.add(canonical_id(accepted.request_id))
            return accepted

    @contextmanager
    def _registered(self, submission: _Submission) -> Iterator[None]:
        """Count a submission as under way, and mark all that share its reference."""
        reference_id = submission.reference_id
        if reference_id is None:
            yield
            return
        others = self._under_way.setdefault(reference_id, [])
        if reference_id in self._uncertain:
            submission.doubt = "an earlier submission with its reference_id may still turn up"
        for other in (*others, submission) if others else ():
            other.doubt = "another submission with its reference_id was under way"
        others.append(submission)
        try:
            yield
        finally:
            others.remove(submission)
            if not others:
                del self._under_way[reference_id]


@attrs.define(eq=False, repr=False)  # its repr would show the signed URLs of a body
class _Submission:
    """One submission.

    Attributes:
        reference_id: The caller's id for the job, or None.
        doubt: Why a job under this reference may be another submission's; empty where there is no reason.
        is_open: Whether it may have started a job that is not known. That outlasts the acceptance of a repetition: a
            list that lags for long may still show a job of the first attempt.
    """

    reference_id: str | None
    _post: Callable[[], Awaitable[GenerateAccepted]]
    _list_jobs: ListJobs
    _sleep: Callable[[float], Awaitable[None]]
    _returned: ExpiringSet
    doubt: str = attrs.field(init=False, default="")
    is_open: bool = attrs.field(init=False, default=False)
    # How an earlier attempt failed whose job was not found. The text alone: an error that is held by a frame of its
    # own traceback is freed by the garbage collector only.
    _lost: str = attrs.field(init=False, default="")

    async def run(self) -> GenerateAccepted:
        """Submit until it is known whether a job was started, or cannot be known."""
        baseline = await self._read_baseline()
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
                found = await self._search(baseline, error)
                if found is not None:
                    self.is_open = bool(self._lost)
                    return found
                if reason := self._reason_to_stop(error, attempt):
                    raise self._uncertain(reason, error) from error
                self._lost = str(error)

    async def _read_baseline(self) -> Baseline | None:
        if self.reference_id is None:
            return None
        try:
            listed = await self._list_jobs(self.reference_id, once=True)
        # The POST would fail in the same way, so it is not sent.
        except (AuthenticationError, ClientClosedError, ConfigurationError):
            raise
        except ChamelaionError:
            return None  # only an answer that is lost as well would need it
        return Baseline.of(self.reference_id, listed)

    async def _attempt(self) -> GenerateAccepted:
        self.is_open = True
        try:
            accepted = await self._post()
        except ChamelaionError as error:
            self.is_open = bool(self._lost) or not _is_certain(error)
            raise
        self.is_open = bool(self._lost)
        return accepted

    async def _search(self, baseline: Baseline | None, cause: ChamelaionError) -> GenerateAccepted | None:
        """Return the job that the list shows, or None where it proves that there is none."""
        if self.reference_id is None:
            raise self._uncertain("it carried no reference_id by which it could be found", cause)
        if baseline is None:
            reason = "the list could not be read beforehand, so an older job might be taken for it"
            raise self._uncertain(reason, cause)
        gap = ""
        # After a refusal one read is enough: the list was read three times for the attempt before.
        for pause in SEARCH_PAUSES[-1:] if _is_certain(cause) else SEARCH_PAUSES:
            await self._sleep(pause)
            try:
                listed = await self._list_jobs(self.reference_id, once=False)
            except ClientClosedError:
                raise
            except ChamelaionError as error:
                gap = f"the list could not be read afterwards ({error})"
                continue
            new, is_ambiguous, gap = baseline.compare(listed, self._returned.__contains__)
            if is_ambiguous:
                raise self._uncertain("the list shows a job that may be this one or an older one", cause)
            if len(new) > 1 or (new and self.doubt):
                raise self._uncertain("other jobs carry its reference_id; give each submission one of its own", cause)
            if new:
                # The status that the API documents for every acceptance.
                return GenerateAccepted(request_id=new[0], status="success")
        if self.doubt or gap:
            raise self._uncertain(self.doubt or gap, cause)
        return None

    def _reason_to_stop(self, error: ChamelaionError, attempt: int) -> str:
        """Why a submission that the list does not show is not repeated; empty where it is."""
        if _is_certain(error):
            return f"an earlier attempt may have started a job ({self._lost}) before the last was refused"
        if not _may_be_repeated(error):
            return "the list does not show it yet, and it may still come"
        if attempt == _ATTEMPTS:
            return f"the list does not show it after {attempt} attempts"
        return ""

    @property
    def reminder(self) -> str:
        """The note for what interrupts the submission."""
        return f"{self._shown} may or may not have been accepted. {self._advice}."

    def _uncertain(self, reason: str, cause: ChamelaionError) -> SubmissionUncertainError:
        error = SubmissionUncertainError(
            f"{self._shown} may or may not have been accepted: {reason}. {self._advice}. The reason: {cause}",
            reference_id=self.reference_id,
        )
        error.__cause__ = cause
        return error

    @property
    def _shown(self) -> str:
        return "the submission" + ("" if self.reference_id is None else f" with reference_id {self.reference_id!r}")

    @property
    def _advice(self) -> str:
        if self.reference_id is None:
            return "Look through the newest requests before you submit again, and pass a reference_id next time"
        return f"Before you submit again, check list(reference_id={self.reference_id!r})"


def _is_certain(error: ChamelaionError) -> bool:
    """Whether it is known that the attempt which ended with this started no job."""
    if isinstance(error, APIConnectionError):
        return error.sent == "no"
    return not isinstance(error, (InternalServerError, InvalidResponseError, ClientClosedError))


def _may_be_repeated(error: ChamelaionError) -> bool:
    """Whether a submission that the list does not show was lost: not if the service may still be processing it."""
    if isinstance(error, InternalServerError):
        return error.status not in _GATEWAY_TIMEOUTS
    # An answer that had begun means that the service had decided.
    return isinstance(error, APIConnectionError) and not isinstance(error, APITimeoutError) and error.status is None
