"""Waiting for the requests of one family, put together: the loader, the waits and the batches upon it."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Iterable
from typing import Generic, TypeVar

from .. import _wire
from .._transport import Transport
from ..config import PollPolicy
from ..models import Job, OnUpdate, Outcome
from .batch import Batch
from .loader import Loader
from .shape import Shape
from .source import HttpSource
from .state import make_terms
from .wait import wait_until_finished
from .watcher import Watcher

__all__ = ["Polls"]

J = TypeVar("J", bound=Job)


class Polls(Generic[J]):
    """What all views of a client wait through.

    Args:
        transport: Carries the calls.
        path: Where the requests lie.
        model: What one of them is.
        nudge_timeout: Seconds that a look may take which is nobody's but a nudge's.
    """

    def __init__(self, transport: Transport, *, path: str, model: type[J], nudge_timeout: float) -> None:
        self._connection = transport.connection
        source = HttpSource(transport=transport, path=path, model=model)
        self._loader: Loader[J] = Loader(source, Shape(model), random=random.random, nudge_timeout=nudge_timeout)
        self._connection.at_close(self._loader.close)

    async def wait(self, id: str, *, timeout: float | None, policy: PollPolicy, on_update: OnUpdate[J] | None) -> J:
        """Wait for one request; see ``resources.requests`` for what a caller is promised."""
        _wire.id_segment(id)
        watcher = Watcher(self._loader, id, self._connection.sleep)
        try:
            return await wait_until_finished(
                watcher.read,
                id,
                timeout=timeout,
                policy=policy,
                sleep=watcher.sleep,
                random=random.random,
                on_update=on_update,
            )
        finally:
            await watcher.aclose()

    def follow(
        self,
        ids: Iterable[str],
        *,
        timeout: float | None,
        policy: PollPolicy,
        attempts: int | None,
        every_change: bool,
    ) -> AsyncGenerator[Outcome[J], None]:
        """Follow many, each of ``ids`` once; see ``Terms`` and ``Batch`` for the arguments."""
        terms = make_terms(timeout, policy, random.random, attempts=attempts)
        return Batch(self._loader, terms, check=_wire.id_segment, every_change=every_change).follow(ids)

    def nudge(self, id: str) -> None:
        """Look now, from whichever thread this is called in."""
        self._connection.call_in_loop(self._loader.nudge, id)
