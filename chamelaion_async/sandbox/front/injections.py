"""Injected faults: on which route, how often, and with what probability."""

from random import Random

from attrs import define, field
from attrs.validators import ge, instance_of, le, optional

from ..world.journal import Received
from .faults import Fault, Latency
from .routing import split_pattern


@define(kw_only=True, eq=False)
class Injection:
    """A fault that was injected. `Sandbox.inject` makes it.

    Args:
        fault: what goes wrong.
        route: "*", "METHOD *", or a template or path with or without its method.
        times: how many requests it is applied to, None for all.
        after: how many matching requests pass before the first.
        probability: of being applied to a matching request.
        hits: how many requests it was applied to so far.
    """

    fault: Fault = field(validator=instance_of(Fault))  # type: ignore[type-abstract]  # mypy takes no ABC here
    route: str = "*"
    times: int | None = field(default=None, validator=optional(ge(0)))
    after: int = field(default=0, validator=ge(0))
    probability: float = field(default=1.0, validator=[ge(0.0), le(1.0)])
    hits: int = field(init=False, default=0)
    _passed: int = field(init=False, default=0)
    _is_removed: bool = field(init=False, default=False)

    def remove(self) -> None:
        """Let every further request pass. A request that it was applied to already still gets the fault."""
        self._is_removed = True

    @property
    def is_spent(self) -> bool:
        """Whether it is never applied again."""
        return self._is_removed or (self.times is not None and self.hits >= self.times)

    def strikes(self, received: Received, random: Random) -> bool:
        """Return whether it applies to a request, and count it.

        Args:
            received: the request.
            random: source of the probability.
        """
        if self.is_spent or not self._matches(received):
            return False
        if self._passed < self.after:
            self._passed += 1
            return False
        if self.probability < 1.0 and random.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def _matches(self, received: Received) -> bool:
        method, path = split_pattern(self.route)
        template = split_pattern(received.route or "")[1]
        return method in {None, received.method} and path in {"*", template, received.path.removeprefix("/api")}


@define(kw_only=True, eq=False)
class Injections:
    """The injected faults of a sandbox.

    Args:
        random: source of the probability.
    """

    random: Random
    _injections: list[Injection] = field(init=False, factory=list)

    def add(self, injection: Injection) -> None:
        """Add a fault."""
        self._injections.append(injection)

    def clear(self) -> None:
        """Remove all of them."""
        for injection in self._injections:
            injection.remove()
        self._injections.clear()

    def striking(self, received: Received) -> list[Fault]:
        """Return the faults that apply to a request: latencies up to the first other fault, and that one.

        Args:
            received: the request.
        """
        struck: list[Fault] = []
        self._injections = [each for each in self._injections if not each.is_spent]
        for injection in self._injections:
            if injection.strikes(received, self.random):
                struck.append(injection.fault)
                if not isinstance(injection.fault, Latency):
                    break
        return struck
