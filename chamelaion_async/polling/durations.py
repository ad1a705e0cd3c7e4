"""How long jobs take, learned from the finished ones that any read shows."""

from __future__ import annotations

import json
import logging
import time
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final, Self

from ..config import PollPolicy
from ..errors import ConfigurationError
from ..models import Job
from .forecast import NO_FORECAST, Forecast, make_forecast
from .intervals import interval_by_age
from .learned_intervals import LearnedIntervals, learn_intervals

__all__ = ["Durations", "given_durations", "kind_of"]

logger: logging.Logger = logging.getLogger("chamelaion_async")

_MOST: Final = 200  # jobs of a kind that are kept
_HALF_LIFE: Final = 80  # jobs after which one counts half
_OWN: Final = 10  # jobs with as many languages from which on only those count
_ENOUGH: Final = 100  # jobs from which on only those count that are waited for
_FEW: Final = 16  # of a page that are learned from then: very many may have finished since the last read
_MOST_LANGUAGES: Final = 8  # that are told apart
_MOST_POLICIES: Final = 8  # whose intervals are kept
_MOST_IDS: Final = 1024  # finished jobs that are known not to count twice
_RENEWED_AFTER: Final = 0.2  # part of the jobs that is new
_SURPRISE: Final = 2.0  # times the pause by age, where a job ended after all
_CLOCK_TICK: Final = 1.0  # seconds; ``Date`` has no fractions
_VERSION: Final = 1
_LONGEST: Final = 10 * 365 * 86400.0  # seconds; a time beyond that is a mistake


def kind_of(model: str, languages: int | None = None) -> str:
    """Return the name of a kind of jobs: those of a model, or those of them with so many target languages."""
    return model if languages is None else f"{model}/{min(languages, _MOST_LANGUAGES)}"


class _Kind:
    """The newest finished jobs of one kind: seconds in the queue, and seconds until the end."""

    __slots__ = ("_made", "_new", "processing", "queued")

    def __init__(self) -> None:
        # Numbers of four bytes: a day is still exact to a hundredth of a second.
        self.queued: array[float] = array("f")
        self.processing: array[float] = array("f")
        self._made: dict[tuple[bool, float, float, float], LearnedIntervals] = {}
        self._new = 0

    def __len__(self) -> int:
        return len(self.queued)

    def add(self, queued: float, processing: float) -> None:
        if len(self) == _MOST:
            del self.queued[0], self.processing[0]
        self.queued.append(queued)
        self.processing.append(processing)
        self._new += 1
        if self._new >= _RENEWED_AFTER * len(self) or self._is_surprise(queued, processing):
            self._new = 0
            self._made.clear()

    def _is_surprise(self, queued: float, processing: float) -> bool:
        """Whether the intervals would have polled this job much less often at its end than by age."""
        for (is_processing, *_), intervals in self._made.items():
            policy, age = intervals.policy, processing if is_processing else queued + processing
            if intervals.pause(age) > _SURPRISE * interval_by_age(age, policy):
                return True
        return False

    def weighted(self) -> Iterator[tuple[float, float, float]]:
        """Yield the seconds of each job in the queue and after it, and how much it counts."""
        newest = len(self) - 1
        for number, (queued, processing) in enumerate(zip(self.queued, self.processing, strict=True)):
            yield queued, processing, 0.5 ** ((newest - number) / _HALF_LIFE)

    def intervals(self, policy: PollPolicy, *, is_processing: bool) -> LearnedIntervals:
        key = (is_processing, policy.min_interval, policy.max_interval, policy.age_factor)
        made = self._made.get(key)
        if made is None:
            if len(self._made) == _MOST_POLICIES:
                self._made.clear()
            weights = [weight for *_, weight in self.weighted()]
            whole = self.processing if is_processing else [*map(float.__add__, self.queued, self.processing)]
            made = self._made[key] = learn_intervals(whole, weights, policy)
        return made


class Durations:
    """How long the jobs of an account took: the newest 200 of each kind.

    An ``AsyncClient`` learns them from every finished request that a wait, a status read or a list shows, by the
    service's own times, and spaces its polls by them. Pass the ``durations`` of one client to another, or save them
    with ``dump`` and load them in the next process, and that knows them at once. Not for several threads at once.

    Args:
        clock: Seconds of a clock that never goes back.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: dict[str, _Kind] = {}
        self._counted: OrderedDict[str, None] = OrderedDict()
        self._server_time: datetime | None = None
        self._server_ahead: float | None = None

    def __len__(self) -> int:
        """How many finished jobs are known."""
        return sum(len(kind) for name, kind in self._kinds.items() if "/" not in name)

    def __repr__(self) -> str:
        return f"<Durations of {len(self)} jobs>"

    @property
    def room(self) -> int:
        """How many finished jobs of one page are learned from: all of them at first, later a few."""
        return _MOST if len(self) < _ENOUGH else _FEW

    def wants(self, id: str) -> bool:
        """Whether a finished job without a wait would add something: too few are known, and it is not among them."""
        return len(self) < _ENOUGH and id not in self._counted

    def add(self, request: Job, server_time: datetime | None = None) -> None:
        """Learn from a request, if it is finished and new, and its times are possible.

        Args:
            request: As the service showed it.
            server_time: When the service answered, by its own clock; None if it did not say.
        """
        self.set_clock(server_time)
        if request.finished_at is None or request.id in self._counted or not request.is_finished:
            return
        self._counted[request.id] = None
        if len(self._counted) > _MOST_IDS:
            self._counted.popitem(last=False)
        if server_time is not None and (request.finished_at - server_time).total_seconds() > _CLOCK_TICK:
            return  # it has not ended yet, by the same clock
        # A job that never started, or without its start, has spent all its time in one state.
        started_at = request.started_at or request.created_at
        queued = (started_at - request.created_at).total_seconds()
        processing = (request.finished_at - started_at).total_seconds()
        # Also false for a start before the acceptance, or an end before the start.
        if not (0 <= queued <= _LONGEST and 0 <= processing <= _LONGEST):
            return
        for name in _names_of(request):
            self._kinds.setdefault(name, _Kind()).add(queued, processing)

    def set_clock(self, server_time: datetime | None) -> None:
        """Set the service's clock, by which forecasts tell the age of a job."""
        # Of the answers of one second, the first is the nearest to what their ``Date`` says.
        if server_time is not None and server_time != self._server_time:
            self._server_time = server_time
            self._server_ahead = server_time.timestamp() - self._clock()

    def pause(
        self,
        name: str,
        policy: PollPolicy,
        age: float,
        *,
        is_processing: bool,
        price: Callable[[], float] = lambda: 1.0,
    ) -> float | None:
        """Return the seconds until the next poll of a job, or None if no job like it is known.

        Args:
            name: What kind of job it is, see ``kind_of``.
            policy: The bounds.
            age: Seconds since it was started, or since it was accepted where it waits in the service's queue.
            is_processing: Whether it was started.
            price: Returns what a poll costs, as a multiple of what it usually does; called if a job like it is known.
        """
        kind = self._kind(name)
        if kind is None:
            return None
        return kind.intervals(policy, is_processing=is_processing).pause(age, price())

    def forecast(self, request: Job) -> Forecast:
        """Return how long a job will still take. Without I/O; a finished job takes no time.

        Args:
            request: As it was last read.
        """
        kind = self._kind(_names_of(request)[-1])
        if kind is None:
            return NO_FORECAST
        if request.is_finished:
            return Forecast(remaining=0.0, low=0.0, high=0.0, samples=len(kind))
        waited = self._seconds_since(request.started_at or request.created_at)
        if request.started_at is not None:
            remaining = [(took - waited, weight) for _, took, weight in kind.weighted() if took > waited]
            usual = _median(kind.processing)
        else:
            remaining = [
                (queued - waited + took, weight) for queued, took, weight in kind.weighted() if queued > waited
            ] or [(took, weight) for _, took, weight in kind.weighted()]
            usual = _median(map(float.__add__, kind.queued, kind.processing))
        return make_forecast(remaining, waited, usual, len(kind))

    def age(self, request: Job) -> float:
        """Return the seconds since the service accepted a job, by its own clock as far as that is known.

        Args:
            request: As it was last read.
        """
        return self._seconds_since(request.created_at)

    def dump(self) -> str:
        """Return what was learned as JSON text, of some kilobytes, for ``load``."""
        kinds = {
            name: {"queued": [*map(_rounded, kind.queued)], "processing": [*map(_rounded, kind.processing)]}
            for name, kind in self._kinds.items()
        }
        return json.dumps({"version": _VERSION, "kinds": kinds}, separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> Self:
        """Return what was dumped.

        Args:
            text: What ``dump`` returned. If it is damaged, or of another version of this package, none of it is used,
                and the log has a warning.
        """
        durations = cls()
        try:
            saved = json.loads(text)
            if saved["version"] != _VERSION:
                raise ValueError(f"version {saved['version']!r} instead of {_VERSION}")
            for name, values in saved["kinds"].items():
                for queued, processing in zip(values["queued"], values["processing"], strict=True):
                    durations._kinds.setdefault(name, _Kind()).add(_checked(queued), _checked(processing))
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            logger.warning("the saved durations cannot be read, and are learned again: %r", error)
            return cls()
        return durations

    def _seconds_since(self, moment: datetime) -> float:
        ahead = self._server_ahead
        # Until an answer had a Date, there is no other clock than that of this machine.
        now = time.time() if ahead is None else self._clock() + ahead
        return max(now - moment.timestamp(), 0.0)

    def _kind(self, name: str) -> _Kind | None:
        kind = self._kinds.get(name)
        if kind is not None and len(kind) >= _OWN:
            return kind
        return self._kinds.get(name.partition("/")[0])


def given_durations(value: object) -> Durations:
    """Return the argument ``durations`` of a client: those of another one, or text from ``dump``.

    Raises:
        ConfigurationError: It is neither.
    """
    if value is None:
        return Durations()
    if isinstance(value, Durations):
        return value
    if isinstance(value, str):
        return Durations.load(value)
    raise ConfigurationError(
        f"durations must be a Durations or the str that its dump() returned, not {type(value).__name__}"
    )


def _names_of(request: Job) -> tuple[str, ...]:
    """Return the kinds that a job counts for, from the widest to the narrowest."""
    model, languages = type(request).__name__, getattr(request, "target_languages", None)
    return (model,) if languages is None else (model, kind_of(model, len(languages)))


def _median(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def _rounded(seconds: float) -> float:
    return float(f"{seconds:.4g}")


def _checked(seconds: object) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= _LONGEST:
        raise ValueError(f"{seconds!r} is no duration")
    return float(seconds)
