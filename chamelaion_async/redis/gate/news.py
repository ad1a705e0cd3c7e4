"""What one process is still to tell the gate of a lane: permits used or given back, and 429s."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

from .grant_log import GrantLog
from .script import Answer, Question, Refusal

__all__ = ["News"]

_RECALLED: Final = 60.0  # seconds for which a learned rate is worth telling to a gate that has lost its state
_LATEST: Final = 100  # permits that may be given back


class News:
    """Collects what the next question says.

    Args:
        member: Tells this process from others.
        max_rate: The user's bound in requests a second, or None.

    Attributes:
        used: Permits taken without asking.
        refusals: The 429s since the last question.
        is_urgent: Whether to ask now, even if there is nothing to tell.
        answer: The last answer of the gate.
        answered_at: When it came.
    """

    def __init__(self, member: str, max_rate: float | None) -> None:
        self._member = member
        self._max_rate = max_rate
        self.used: int = 0
        self.refusals: list[Refusal] = []
        self.is_urgent: bool = False
        self.answer: Answer | None = None
        self.answered_at: float = 0.0
        self._back: list[int] = []
        self._latest: deque[int] = deque(maxlen=_LATEST)
        self._closed_at = -math.inf  # when it became known that the gate has closed
        self._grants = GrantLog()

    @property
    def is_due(self) -> bool:
        """Whether the gate is to be told at once. What was used without asking can wait."""
        return bool(self.is_urgent or self._back or self.refusals)

    @property
    def is_throttled(self) -> bool:
        """Whether 429s held the lane back at the last answer."""
        return self.answer is not None and self.answer.is_throttled

    def started(self, now: float, time: int) -> None:
        """Count a permit that was used; ``time`` is what the gate calls it."""
        self._latest.append(time)
        self._grants.add(now)

    def give_back(self, times: Sequence[int]) -> None:
        """Give times back that were not used."""
        self._back += times

    def give_back_last(self, now: float) -> None:
        """Give back the last permit that counts as used, if it is still known."""
        if self._latest:
            self._back.append(self._latest.pop())
            self._grants.add(now, -1)

    def refused(
        self,
        now: float,
        seconds: float | None,
        answered: int | None,
        lately: tuple[int, float],
        sent: float | None = None,
    ) -> None:
        """Record a 429; see ``Budget.throttled``."""
        sent = now if sent is None else sent
        count, span = lately
        refusal = Refusal(
            seconds=seconds,
            # Another process may have been refused since this one was, and what was sent before that is old news.
            answered=None if sent <= self._closed_at else answered,
            lately=count,
            span=span,
            age=now - sent,
            own=self._grants.lately(now) + self.used,
        )
        self.refusals.append(refusal)

    def question(self, now: float, *, wanted: int, held: int, closed: float, processes: int) -> Question:
        """Return the next question, and forget what it tells."""
        last = self.answer
        is_known = last is not None and last.is_throttled and not last.is_free and now < self.answered_at + _RECALLED
        question = Question(
            member=self._member,
            epoch=0 if last is None else last.epoch,
            limit=self._max_rate,
            wanted=wanted,
            held=held,
            used=self.used,
            back=self._back,
            refusals=self.refusals,
            rate=last.rate if last is not None and is_known else None,
            closed=closed,
            processes=processes,
        )
        if self.used:
            self._grants.add(now, self.used)
        self.drop()
        return question

    def lost(self, question: Question) -> None:
        """Take the refusals of a question back that was not answered."""
        self.refusals = [*question.refusals, *self.refusals]

    def heard(self, now: float, answer: Answer) -> bool:
        """Keep an answer, and return whether the lane was closed since the last one."""
        is_closed = answer.epoch != (0 if self.answer is None else self.answer.epoch)
        if is_closed:
            self._closed_at = now
        self.answer, self.answered_at = answer, now
        return is_closed

    def drop(self) -> list[Refusal]:
        """Forget all that is to be told, and return the refusals."""
        refusals = self.refusals
        self.used, self._back, self.refusals, self.is_urgent = 0, [], [], False
        return refusals
