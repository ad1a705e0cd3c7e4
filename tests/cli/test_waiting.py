"""Waits of commands, on a scripted stream of outcomes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

from chamelaion_async import LipsyncRequest, NotFoundError, Outcome, PollPolicy
from chamelaion_async.cli._ui.board import QuietBoard
from chamelaion_async.cli._ui.waiting import Wait
from chamelaion_async.models import ErrorOutcome, RequestOutcome

Job = Callable[..., LipsyncRequest]


class Scripted:
    """The requests of a family and their list: a request that is seen, then answered 404, then completed."""

    def __init__(self, job: Job) -> None:
        missing = NotFoundError(
            "", status=404, message="no", headers={}, body=b"", method="GET", path="/", attempts=1
        )
        self._first: list[Outcome[LipsyncRequest]] = [
            RequestOutcome(id="a", request=job("processing")),
            ErrorOutcome(id="a", error=missing),
        ]
        self._then: list[Outcome[LipsyncRequest]] = [RequestOutcome(id="a", request=job("completed"))]

    async def watch_many(
        self, ids: list[str], *, timeout: float | None, polling: PollPolicy
    ) -> AsyncGenerator[Outcome[LipsyncRequest], None]:
        for outcome in self._then if polling.not_found_grace else self._first:
            yield outcome

    async def may_hold(self, _: str) -> bool:
        return False


async def test_a_404_may_pass_for_a_request_that_was_seen(job: Job) -> None:
    scripted: Any = Scripted(job)
    wait = Wait(requests=scripted, board=QuietBoard(), names=["a"], recent=scripted)
    (outcome,) = await wait.run(60.0)
    assert outcome.unwrap().is_completed
    assert wait.open == []
