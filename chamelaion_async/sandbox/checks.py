"""What a test asks a sandbox: what was received, when a job is polled, and whether both are as expected."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from attrs import define, field

from .control import JobControl
from .endpoints.routes import ROUTES
from .world.journal import Journal, Received
from .world.polls import polls_of, polls_seen, submissions, submissions_seen
from .world.timestamps import seconds_of
from .world.webhooks import Delivery


@define(kw_only=True, eq=False)
class Checks(JobControl):
    """The requests that a sandbox received."""

    _journal: Journal = field(init=False, repr=False)

    @property
    def received(self) -> Sequence[Received]:
        """The latest requests, oldest first, as many as `remember` says."""
        return tuple(self._journal.received)

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """The webhooks that were delivered, failed or skipped, oldest first."""
        return tuple(self._world.webhooks.deliveries)

    def count(
        self,
        route: str | None = None,
        *,
        method: str | None = None,
        lane: str | None = None,
        status: int | None = None,
    ) -> int:
        """Return how many requests there were since the beginning, also those no longer in `received`.

        Args:
            route: such as "GET /v1/lipsync/requests/{id}"; None for any, unknown paths included.
            method: HTTP method, None for any.
            lane: "status" or "generate", None for any.
            status: of the answer, None for any and for requests without one.

        Raises:
            ValueError: if there is no such route.
        """
        if route is not None and all(each.name != route for each in ROUTES):
            raise ValueError(f"there is no route {route!r}")
        return self._journal.count(route=route, method=method, lane=lane, status=status)

    def forget(self) -> None:
        """Empty `received` and set every count to zero."""
        self._journal.clear()

    async def polled(self, id: str, *, times: int = 1, timeout: float = 30.0) -> Received:
        """Wait until a job is polled, from now on.

        A poll is an answered GET of the job, or a list page that shows it. A job that is submitted only later counts
        as well.

        Args:
            id: UUID or reference_id.
            times: how many polls to wait for.
            timeout: seconds of the event loop's time.

        Returns:
            The last of these polls, for `assert_not_polled_since`.

        Raises:
            AssertionError: if it was not polled so often in time; the text says what was received instead.
        """
        polls: list[Received] = []
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        last = self.received[-1] if self.received else None

        def note(received: Received) -> None:
            if polls_of([received], id, self._world.known(id)):
                polls.append(received)
                if len(polls) >= times and not done.done():
                    done.set_result(None)

        with self._journal.listening(note):
            await asyncio.wait([done], timeout=timeout)
        if len(polls) < times:
            raise AssertionError(polls_seen(id, times, timeout, polls, _after(last, self.received)))
        return polls[times - 1]

    def assert_submitted(self, *, reference_id: str | None = None, times: int = 1) -> None:
        """Check how many jobs were submitted: calls that started one, whatever became of their answers.

        Args:
            reference_id: only those with this one; None counts all.
            times: how many there must be, since the start or the last `forget`.

        Raises:
            AssertionError: if there were more or fewer; the text says which there were.
        """
        found = submissions(self.received, reference_id)
        if len(found) != times:
            raise AssertionError(submissions_seen(self.received, reference_id, times))

    def assert_not_polled_since(self, since: Received | datetime | float, id: str | None = None) -> None:
        """Check that no poll came after some moment, such as the cancellation of a wait.

        Args:
            since: a poll that `polled` returned; or an aware datetime or seconds since the epoch, by the sandbox's
                clock, such as `now`.
            id: UUID or reference_id of the job; None for every read of a job or a list.

        Raises:
            AssertionError: if there was one; the text says when and which.
            ValueError: if `since` is a time without a zone.
        """
        received = self.received
        if isinstance(since, Received):
            later, moment = _after(since, received), since.at
        else:
            moment = seconds_of(since, "since")
            later = [each for each in received if each.at > moment]
        found = polls_of(later, id, None if id is None else self._world.known(id))
        if found:
            raise AssertionError(polls_seen(id, 0, self.now - moment, found, later))

    @property
    def now(self) -> float:
        """The time of the service, in seconds since the epoch."""
        return self.clock.time()


def _after(mark: Received | None, received: Sequence[Received]) -> Sequence[Received]:
    """Return what came after a request; all of them if that one is no longer kept."""
    place = next((n for n, each in enumerate(received) if each is mark), -1)
    return received[place + 1 :]
