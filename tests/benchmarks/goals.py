"""A figure, its bounds, and whether it lies within them."""

from __future__ import annotations

from typing import Any

from attrs import frozen


@frozen(kw_only=True)
class Goal:
    """One figure with its bounds."""

    what: str
    measured: float
    at_most: float | None = None
    at_least: float | None = None

    @property
    def reached(self) -> bool:
        """Whether the figure lies within its bounds."""
        return (self.at_most is None or self.measured <= self.at_most) and (
            self.at_least is None or self.measured >= self.at_least
        )

    def row(self) -> dict[str, Any]:
        """Return the goal as tables and JSON show it."""
        bounds = [
            f"{sign} {bound:,g}" for sign, bound in (("<=", self.at_most), (">=", self.at_least)) if bound is not None
        ]
        return {"what": self.what, "measured": self.measured, "goal": " ".join(bounds), "reached": self.reached}
