"""Faults at work: on which route, how often, and with what chance."""

from random import Random

from attrs import define, field
from attrs.validators import ge, instance_of, le, optional

from .faults import Fault, Latency
from .journal import Received
from .routing import split_pattern


@define(kw_only=True, eq=False)
class Injection:
    """A fault at work.

    Args:
        fault: what happens.
        route: "*", "METHOD *", or a template or path with or without its method.
        times: how often it strikes, None for ever.
        after: how many matching requests pass unharmed first.
        probability: of striking, for each matching request.
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
        """Let every further request pass. A request that has been struck is not helped by it."""
        self._is_removed = True

    @property
    def is_spent(self) -> bool:
        """Whether it will never strike again."""
        return self._is_removed or (self.times is not None and self.hits >= self.times)

    def strikes(self, received: Received, random: Random) -> bool:
        """Return whether it strikes a request, and count it.

        Args:
            received: the request.
            random: where chance comes from.
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
        if method is not None and method != received.method:
            return False
        if path in {"*", received.path.removeprefix("/api")}:
            return True
        return received.route is not None and split_pattern(received.route)[1] == path


@define(kw_only=True, eq=False)
class Faults:
    """The faults at work in a sandbox.

    Args:
        random: where chance comes from.
    """

    random: Random
    _injections: list[Injection] = field(init=False, factory=list)

    def add(self, injection: Injection) -> None:
        """Put a fault to work."""
        self._injections.append(injection)

    def clear(self) -> None:
        """End all of them."""
        for injection in self._injections:
            injection.remove()
        self._injections.clear()

    def striking(self, received: Received) -> list[Fault]:
        """Return the faults that strike a request: latencies up to the first other fault, and that one.

        Args:
            received: the request.
        """
        struck: list[Fault] = []
        if self._injections:
            self._injections = [each for each in self._injections if not each.is_spent]
            for injection in self._injections:
                if injection.strikes(received, self.random):
                    struck.append(injection.fault)
                    if not isinstance(injection.fault, Latency):
                        break
        return struck
