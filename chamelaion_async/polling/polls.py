"""Puts together what waits for the requests of one family: the loader, single waits and batches."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Generic, TypeVar

from .._http.addresses import id_segment
from .._http.clock import loop_time
from .._http.transport import Transport
from ..config import PollPolicy
from ..errors import InvalidResponseError
from ..loading.loader import Loader
from ..loading.shared_reads import SharedReads
from ..loading.source import HttpSource
from ..models import Job, OnUpdate, Outcome, RawResponse
from ..sharing import Membership
from .batch import Batch
from .durations import Durations
from .iteration import BatchIterator, check_every
from .open_waits import OpenWaits
from .plan import WaitPlan, make_plan
from .state import PollState
from .subscription import WaitSubscription
from .wait import poll_until_finished

__all__ = ["Polls"]

J = TypeVar("J", bound=Job)


class Polls(Generic[J]):
    """The waits of all views of one client.

    Attributes:
        make_source: Makes what sends the reads. A subclass replaces it, and the other three, to observe waits.
        make_state: Makes the state of a single wait.
        make_batch: Makes the wait for many requests.
        make_iterator: Makes the iterator over the outcomes of a batch.

    Args:
        transport: Carries the calls.
        path: Path of the list of requests.
        model: The class of a request.
        durations: How long jobs took; every read adds to it.
        membership: The client among those that share an account, if any.
        read_timeout: Seconds for the answer to a page, or to a GET that only a nudge asked for.
    """

    make_source: Callable[..., HttpSource[J]] = HttpSource
    make_state: Callable[..., PollState[J]] = PollState
    make_batch: Callable[..., Batch[J]] = Batch
    make_iterator: Callable[..., BatchIterator[J, Any]] = BatchIterator

    def __init__(
        self,
        transport: Transport,
        *,
        path: str,
        model: type[J],
        durations: Durations,
        membership: Membership | None = None,
        read_timeout: float,
    ) -> None:
        self._lifecycle = transport.lifecycle
        self._durations = durations
        # Under a rate of the user's, a page for nothing but durations would delay other calls.
        self._may_prime = transport.lanes["status"].max_rate is None
        self._shared = None if membership is None else SharedReads(membership, path)
        source = self.make_source(transport=transport, path=path, model=model, shared=self._shared)
        self._loader: Loader[J] = Loader(source, random=random.random, read_timeout=read_timeout, finished=durations)
        self._lifecycle.at_close(self._loader.close)
        if self._shared is not None:
            self._shared.listen(hear=partial(_hear, source, self._loader), nudge=self._loader.nudge)
        self._waits = OpenWaits(self._lifecycle)

    async def wait(self, id: str, *, timeout: float | None, policy: PollPolicy, on_update: OnUpdate[J] | None) -> J:
        """Wait for one request; ``resources.requests`` documents the promises."""
        id_segment(id)
        plan = make_plan(timeout, policy, random.random, durations=self._durations, started=loop_time())
        self._waits.check()
        state: PollState[J] = self.make_state(id=id, plan=plan)
        subscription = WaitSubscription(self._loader, state, self._lifecycle.sleep)
        self._waits.add(subscription)
        self._prime(plan)
        try:
            return await poll_until_finished(state, subscription, on_update)
        finally:
            self._waits.discard(subscription)
            await subscription.aclose()

    def follow(
        self,
        ids: Iterable[str],
        *,
        timeout: float | None,
        policy: PollPolicy,
        attempts: int | None = None,
    ) -> BatchIterator[J, Outcome[J]]:
        """Wait for many requests, each of ``ids`` once; ``WaitPlan`` and ``Batch`` explain the arguments."""
        batch = self._batch(timeout, policy, attempts=attempts)
        # What reads each request once is a call, which draining leaves alone.
        return self.make_iterator(batch, ids, show=_as_it_is, waits=self._waits if attempts is None else None)

    def watch_many(
        self, ids: Iterable[str], *, timeout: float | None, policy: PollPolicy, every: float | None
    ) -> BatchIterator[J, Outcome[J]]:
        """Wait for many requests, and yield their changes too."""
        every = check_every(every)
        batch = self._batch(timeout, policy, every_change=True)
        return self.make_iterator(batch, ids, show=_as_it_is, every=every, waits=self._waits)

    def watch(
        self, id: str, *, timeout: float | None, policy: PollPolicy, every: float | None
    ) -> BatchIterator[J, J]:
        """Wait for one request, and yield it at each change."""
        id_segment(id)
        every = check_every(every)
        batch = self._batch(timeout, policy, every_change=True)
        return self.make_iterator(batch, [id], show=_unwrapped, raises=True, every=every, waits=self._waits)

    def _batch(
        self, timeout: float | None, policy: PollPolicy, *, attempts: int | None = None, every_change: bool = False
    ) -> Batch[J]:
        plan = make_plan(timeout, policy, random.random, durations=self._durations, attempts=attempts)
        self._prime(plan)
        return self.make_batch(self._loader, plan, check=id_segment, every_change=every_change)

    def _prime(self, plan: WaitPlan) -> None:
        """Let the first wait read a page of finished jobs, if none is known."""
        policy = plan.policy
        if plan.reads_once or not (policy.prime and policy.learn):
            return
        if self._may_prime and not self._durations:
            self._may_prime = False
            self._loader.prime()

    def nudge(self, id: str) -> None:
        """Poll now. May be called in any thread."""
        self._lifecycle.call_in_loop(self._loader.nudge, id)
        if self._shared is not None:
            self._shared.nudge(id)


def _hear(source: HttpSource[J], loader: Loader[J], reading: str, began: float, response: RawResponse) -> None:
    """Hand on what another process has read."""
    if loader.is_idle:
        return
    try:
        read, answer = source.heard(reading, began, response)
    except InvalidResponseError:
        return  # the process that read it knows what it means
    loader.hear(read, answer)


def _as_it_is(outcome: Outcome[J]) -> Outcome[J]:
    return outcome


def _unwrapped(outcome: Outcome[J]) -> J:
    return outcome.unwrap()
