"""What the processes on one account share: the rate of their calls, and the answers to their polls.

``AsyncClient(shared=...)`` takes a ``Shared``; ``chamelaion_async.redis.RedisShared`` is the one that comes with this
package. The protocols below are what a client needs of it, so that it may be built on something else.

::

    Shared --join--> Membership ---> Budget          one for each client
                         |  claim, publish, release, nudge
                         v
                     Listener                        one for each family of requests of that client

Nothing here may fail: a ``Shared`` whose engine is gone lets each process go on alone.
"""

from __future__ import annotations

from typing import Literal, Protocol

__all__ = ["Budget", "LaneName", "Listener", "Membership", "Shared"]

LaneName = Literal["generation", "status"]
"""The kinds of calls, each with a rate of its own."""


class Budget(Protocol):
    """Gives the permits of the lanes."""

    def try_acquire(self, lane: LaneName) -> bool:
        """Take one permit if that needs no waiting; False is always a correct answer."""

    async def acquire(self, lane: LaneName, n: int = 1) -> None:
        """Return once ``n`` requests of ``lane`` may start. A cancelled caller leaves the queue."""

    def give_back(self, lane: LaneName) -> None:
        """Take back a permit of which no use was made, with the time at which it was due."""

    def throttled(
        self,
        lane: LaneName,
        seconds: float | None,
        answered: int | None,
        lately: tuple[int, float] = (0, 0.0),
        sent: float | None = None,
    ) -> None:
        """Record a 429, and close the lane for a while.

        Args:
            lane: Whose call it was.
            seconds: What ``Retry-After`` asks for, or None if it names no time.
            answered: Good answers of this process since its last 429, or in the last second if the lane was not
                throttled. 0 if the service still refuses, and None if the call was sent before the last 429 came:
                neither is a second reason to slow down.
            lately: Good answers in the ten seconds before the first 429, and seconds from the first of them to it.
            sent: When the call was sent, by the loop's clock, or None if that is not known. What was sent before
                another process was refused is no second reason to slow down either.
        """

    def is_throttled(self, lane: LaneName) -> bool:
        """Whether 429s hold the lane back: it is closed, or its rate was learned from them."""


class Listener(Protocol):
    """Receives what other members tell. The methods are called in the loop, one after the other, and never raise."""

    def on_published(self, reading: str, payload: bytes | None, began: float) -> None:
        """Receive the answer to a reading that another member has read.

        Args:
            reading: What was read.
            payload: What that member published; None if it released its claim, since its read failed or was
                cancelled.
            began: When its read was sent, by this loop's clock, or earlier, but never later: clocks of two machines
                are compared with a margin.
        """

    def on_nudge(self, id: str) -> None:
        """Receive that a request is to be polled now."""

    def on_lost(self) -> None:
        """Receive that messages may have been lost: what is waited for may never be published."""


class Membership(Protocol):
    """One client among those on the same account.

    Attributes:
        budget: The permits of all members.
    """

    budget: Budget

    @property
    def peers(self) -> int:
        """How many other members there are; 0 if none can be reached. Then nothing is claimed or published."""

    async def claim(self, reading: str) -> bool:
        """Claim a reading, and return whether this member is to read it.

        A refused claim means that another member is reading, and that each listener will receive what it publishes.
        The answer is True without a question if this member has claimed the reading already, or has no peers. A claim
        ends with ``publish`` or ``release``, or if its caller is cancelled before the answer; one whose member has
        died ends after two seconds.
        """

    def publish(self, reading: str, payload: bytes, began: float) -> None:
        """Send an answer to all other members, and end the claim, if this member has one.

        Args:
            reading: What was read.
            payload: The answer.
            began: When the read was sent, by this loop's clock.
        """

    def release(self, reading: str) -> None:
        """End a claim without an answer, so that another member may read."""

    def nudge(self, id: str) -> None:
        """Tell all other members to poll a request now. May be called from any thread."""

    def attach(self, listener: Listener) -> None:
        """Call a listener from now on."""

    def close(self) -> None:
        """Leave: release all claims, and call no listener any more."""


class Shared(Protocol):
    """Connects the processes on one account. The caller of ``AsyncClient`` opens and closes it."""

    def join(self, *, base_url: str, credentials: bytes, max_rate: float | None) -> Membership:
        """Add a client to those with the same base URL and credentials.

        Args:
            base_url: Where the client's calls go.
            credentials: What identifies the account. Nothing that is sent or stored may reveal it.
            max_rate: ``Pace.max_rate``: requests a second of all members together, or None to learn the limit.

        Raises:
            ConfigurationError: It is not open, or belongs to another event loop.
        """
